#include "test/unit/fake_clock.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "proto/mem.h"
#include "server/core/loop.h"

struct timer {
	LIST_ENTRY(timer) link;
	loop_fn *fn;
	void *arg;
	int64_t due; /* -1: it does not run */
};

static LIST_HEAD(, timer) timers = LIST_HEAD_INITIALIZER(timers);
static int64_t now;

struct timer *
timer_new_named(struct loop *loop, const char *name, loop_fn *fn, void *arg)
{
	struct timer *t = xcalloc(1, sizeof(*t));

	(void)name;
	(void)loop;
	*t = (struct timer){ .fn = fn, .arg = arg, .due = -1 };
	LIST_INSERT_HEAD(&timers, t, link);
	return t;
}

void
timer_free(struct timer **timer)
{
	if (*timer == NULL)
		return;
	LIST_REMOVE(*timer, link);
	free(*timer);
	*timer = NULL;
}

void
timer_start(struct timer *timer, int64_t ms)
{
	assert(ms >= 0);
	timer->due = now + ms;
}

void
timer_stop(struct timer *timer)
{
	timer->due = -1;
}

bool
timer_is_running(const struct timer *timer)
{
	return timer->due >= 0;
}

static struct timer *
earliest(void)
{
	struct timer *t, *first = NULL;

	LIST_FOREACH(t, &timers, link)
	if (t->due >= 0 && (first == NULL || t->due < first->due))
		first = t;
	return first;
}

void
fake_clock_advance(int64_t ms)
{
	int64_t end = now + ms;
	struct timer *t;

	while ((t = earliest()) != NULL && t->due <= end) {
		now = t->due;
		t->due = -1;
		t->fn(t->arg); /* may free it */
	}
	now = end;
}

int64_t
fake_clock_next(void)
{
	struct timer *t = earliest();

	return t == NULL ? -1 : t->due - now;
}

unsigned
fake_clock_timers(void)
{
	unsigned count = 0;
	struct timer *t;

	LIST_FOREACH(t, &timers, link)
	count++;
	return count;
}
