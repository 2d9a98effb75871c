#include "server/hook/polling.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/core/log.h"
#include "server/store/heads.h"

#define LOOKS_MAX 8
#define RETRY_MS 1000
#define TICK_MAX_MS 60000 /* the wall clock may be set meanwhile */

struct place {
	struct polling *polling;
	struct look *look; /* NULL: it is free */
};

struct polling {
	struct look_means means;
	struct place places[LOOKS_MAX];
	unsigned count;
	struct timer *timer; /* until the next is due */
	struct store_op *op; /* asks who is due */
	bool all;            /* this daemon has just started: pushes may have been missed anywhere */
	bool again;          /* woken while asking */
	bool is_up;          /* has been, once */
	bool draining;
};

static void ask(struct polling *p);

static void
on_timer(void *arg)
{
	ask(arg);
}

static void
on_looked(void *arg)
{
	struct place *place = arg;

	place->look = NULL;
	place->polling->count--;
	ask(place->polling);
}

static void
start(struct polling *p, const char *repo)
{
	struct place *place = p->places;

	while (place->look != NULL)
		place++;
	place->look = look_start(&p->means, repo, on_looked, place);
	p->count++;
}

static void
on_due(void *arg, struct store_poll poll, const struct err *err)
{
	struct polling *p = arg;
	int64_t wait_ms = TICK_MAX_MS;

	p->op = NULL;
	for (size_t i = 0; i < poll.repos.count; i++)
		start(p, poll.repos.items[i]);
	id_list_fini(&poll.repos);
	if (err != NULL) { /* Redis coming up wakes us as well */
		log_debug("polling: %s", err->text);
		wait_ms = RETRY_MS;
	} else {
		p->all = false;
		if (p->again)
			wait_ms = 0;
		else if (poll.next_ms >= 0 && poll.next_ms < wait_ms)
			wait_ms = poll.next_ms;
	}
	p->again = false;
	timer_start(p->timer, wait_ms + 1);
}

/* With all places taken the end of a look asks. */
static void
ask(struct polling *p)
{
	if (p->draining || !p->is_up || p->count == LOOKS_MAX)
		return;
	if (p->op != NULL) {
		p->again = true;
		return;
	}
	timer_stop(p->timer);
	p->op = store_poll_due(p->means.store, LOOKS_MAX - p->count, LOOK_MINE_MS, p->all, on_due, p);
}

struct polling *
polling_new(const struct look_means *means)
{
	struct polling *p = xcalloc(1, sizeof(*p));

	*p = (struct polling){ .means = *means, .all = true };
	for (size_t i = 0; i < LOOKS_MAX; i++)
		p->places[i].polling = p;
	p->timer = timer_new(means->loop, on_timer, p);
	return p;
}

void
polling_free(struct polling **polling)
{
	struct polling *p = *polling;

	if (p == NULL)
		return;
	*polling = NULL;
	polling_drain(p);
	timer_free(&p->timer);
	free(p);
}

void
polling_wake(struct polling *p, const char *line)
{
	if (p == NULL || (strcmp(line, "poll") != 0 && strcmp(line, "up") != 0))
		return;
	p->is_up = true;
	ask(p);
}

void
polling_drain(struct polling *p)
{
	if (p == NULL)
		return;
	p->draining = true;
	timer_stop(p->timer);
	store_cancel(&p->op);
	for (size_t i = 0; i < LOOKS_MAX; i++)
		look_cancel(&p->places[i].look);
	p->count = 0;
}
