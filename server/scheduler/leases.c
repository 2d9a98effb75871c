#include "server/scheduler/leases.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"

struct lease {
	TAILQ_ENTRY(lease) link;
	char *id;
	char *token;
};

TAILQ_HEAD(lease_list, lease);

struct leases {
	struct store *store;
	int64_t period_ms;
	leases_labels_fn *labels;
	leases_fn *fn;
	void *arg;
	struct timer *timer;
	struct store_op *op;
	struct lease_list held;
	/* The batch that is being renewed: copies, since what is held may be dropped meanwhile. */
	struct store_lease batch[STORE_LIST_MAX];
	size_t batch_count;
	size_t renewed; /* of held, in this round */
};

static void on_period(void *arg);

struct leases *
leases_new(struct loop *loop, struct store *store, int64_t lease_ms, leases_labels_fn *labels, leases_fn *fn, void *arg)
{
	struct leases *l = xcalloc(1, sizeof(*l));

	assert(lease_ms > 0);
	*l = (struct leases){ .store = store, .period_ms = lease_ms / 3, .labels = labels, .fn = fn, .arg = arg };
	TAILQ_INIT(&l->held);
	l->timer = timer_new(loop, on_period, l);
	return l;
}

static void
lease_free(struct lease *lease)
{
	free(lease->id);
	free(lease->token);
	free(lease);
}

static void
batch_clear(struct leases *l)
{
	for (size_t i = 0; i < l->batch_count; i++) {
		free((char *)l->batch[i].id);
		free((char *)l->batch[i].token);
	}
	l->batch_count = 0;
}

void
leases_free(struct leases **leases)
{
	struct leases *l = *leases;
	struct lease *lease;

	if (l == NULL)
		return;
	*leases = NULL;
	store_cancel(&l->op);
	batch_clear(l);
	while ((lease = TAILQ_FIRST(&l->held)) != NULL) {
		TAILQ_REMOVE(&l->held, lease, link);
		lease_free(lease);
	}
	timer_free(&l->timer);
	free(l);
}

void
leases_start(struct leases *l)
{
	timer_start(l->timer, 0);
}

static struct lease *
find(const struct leases *l, const char *id)
{
	struct lease *lease;

	TAILQ_FOREACH(lease, &l->held, link)
	if (strcmp(lease->id, id) == 0)
		return lease;
	return NULL;
}

bool
leases_has(const struct leases *l, const char *id)
{
	return find(l, id) != NULL;
}

void
leases_hold(struct leases *l, const char *id, const char *token)
{
	struct lease *lease = xcalloc(1, sizeof(*lease));

	assert(find(l, id) == NULL);
	lease->id = xstrdup(id);
	lease->token = xstrdup(token);
	TAILQ_INSERT_TAIL(&l->held, lease, link);
}

void
leases_drop(struct leases *l, const char *id)
{
	struct lease *lease = find(l, id);

	if (lease == NULL)
		return;
	TAILQ_REMOVE(&l->held, lease, link);
	lease_free(lease);
}

/* The batch says what was asked; what was dropped or claimed anew since is none of its business. */
static void
tell(struct leases *l, const struct store_lease *asked, enum store_lease_state state)
{
	struct lease *lease = find(l, asked->id);

	if (state == STORE_LEASE_OK || lease == NULL || strcmp(lease->token, asked->token) != 0)
		return;
	l->fn(l->arg, asked->id, state);
}

static void renew_next(struct leases *l);

static void
on_renewed(void *arg, const enum store_lease_state *states, size_t count, const struct err *err)
{
	struct leases *l = arg;

	l->op = NULL;
	if (err != NULL && err->code == ERR_NOT_FOUND) {
		batch_clear(l);
		l->fn(l->arg, NULL, STORE_LEASE_LOST);
		return;
	}
	if (err != NULL) {
		log_debug("leases not renewed: %s", err->text);
		batch_clear(l);
		timer_start(l->timer, l->period_ms / 10);
		return;
	}
	CRASH_POINT(lease_renewed);
	for (size_t i = 0; i < count; i++)
		tell(l, &l->batch[i], states[i]);
	renew_next(l);
}

static void
batch_fill(struct leases *l)
{
	struct lease *lease;
	size_t skip = l->renewed;

	TAILQ_FOREACH(lease, &l->held, link)
	{
		if (skip > 0) {
			skip--;
			continue;
		}
		if (l->batch_count == STORE_LIST_MAX)
			return;
		l->batch[l->batch_count++] = (struct store_lease){ xstrdup(lease->id), xstrdup(lease->token) };
	}
}

/* A lease that was dropped in between moves another one out of this round: the next round has it, well before its end.
 */
static void
renew_next(struct leases *l)
{
	size_t done = l->batch_count;

	batch_clear(l);
	l->renewed += done;
	batch_fill(l);
	if (l->batch_count == 0) {
		timer_start(l->timer, l->period_ms);
		return;
	}
	l->op = store_renew(l->store, l->labels(l->arg), l->batch, l->batch_count, on_renewed, l);
}

static void
on_period(void *arg)
{
	struct leases *l = arg;

	CRASH_POINT(lease_renewing);
	l->renewed = 0;
	batch_fill(l);
	l->op = store_renew(l->store, l->labels(l->arg), l->batch, l->batch_count, on_renewed, l);
}
