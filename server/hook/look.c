#include "server/hook/look.h"

#include <stdlib.h>
#include <string.h>

#include "proto/hook.h"
#include "proto/mem.h"
#include "proto/trigger.h"
#include "server/core/log.h"
#include "server/io/git.h"
#include "server/store/heads.h"
#include "server/store/store.h"

#define DEADLINE_MS (LOOK_MINE_MS - 60000)
#define WAIT_MS 5000      /* for the delivery: a forge needs a moment for it */
#define MORE_MS 1000      /* until the next look, when this one did not see to everything */
#define LATEST_MS 3600000 /* of the next look after failures */

enum look_state {
	LOOK_REPO,
	LOOK_REDELIVER,
	LOOK_LIST,
	LOOK_COMPARE,
	LOOK_WAIT,
	LOOK_LIST_AGAIN,
	LOOK_COMPARE_AGAIN,
	LOOK_NEXT,
	LOOK_FETCH,
	LOOK_READ,
	LOOK_RECOVER,
	LOOK_SETTLE,
	LOOK_REPORT,
	LOOK_DONE,
};

struct look {
	const struct look_means *means;
	char *id;
	enum look_state state;
	struct timer *deadline;
	struct timer *wait;
	struct store_op *op;
	struct git_op *git_op;
	struct redelivery *redelivery;
	struct repo *repo;
	struct heads heads;
	struct store_comparison found;
	size_t at;               /* the difference at hand */
	struct hook_result push; /* what it is */
	struct err err;          /* the first that kept something from being seen to */
	loop_fn *done;
	void *arg;
};

static void enter_repo(struct look *l);
static void enter_redeliver(struct look *l);
static void enter_list(struct look *l);
static void enter_compare(struct look *l);
static void enter_wait(struct look *l);
static void enter_next(struct look *l);
static void enter_fetch(struct look *l);
static void enter_read(struct look *l);
static void enter_recover(struct look *l);
static void enter_settle(struct look *l);
static void enter_report(struct look *l);
static void enter_done(struct look *l);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct look *l);
	enum look_state next;
} states[] = {
	[LOOK_REPO]          = { "repo",          enter_repo,      LOOK_LIST },
	[LOOK_REDELIVER]     = { "redeliver",     enter_redeliver, LOOK_LIST },
	[LOOK_LIST]          = { "list",          enter_list,      LOOK_COMPARE },
	[LOOK_COMPARE]       = { "compare",       enter_compare,   LOOK_WAIT },
	[LOOK_WAIT]          = { "wait",          enter_wait,      LOOK_LIST_AGAIN },
	[LOOK_LIST_AGAIN]    = { "list again",    enter_list,      LOOK_COMPARE_AGAIN },
	[LOOK_COMPARE_AGAIN] = { "compare again", enter_compare,   LOOK_NEXT },
	[LOOK_NEXT]          = { "next",          enter_next,      LOOK_FETCH },
	[LOOK_FETCH]         = { "fetch",         enter_fetch,     LOOK_READ },
	[LOOK_READ]          = { "read",          enter_read,      LOOK_RECOVER },
	[LOOK_RECOVER]       = { "recover",       enter_recover,   LOOK_NEXT },
	[LOOK_SETTLE]        = { "settle",        enter_settle,    LOOK_NEXT },
	[LOOK_REPORT]        = { "report",        enter_report,    LOOK_DONE },
	[LOOK_DONE]          = { "done",          enter_done,      LOOK_DONE },
};
/* clang-format on */

/* The only place where the state changes. l may be gone when it returns. */
static void
look_step(struct look *l, enum look_state next)
{
	if (l->state != LOOK_NEXT && next != LOOK_NEXT)
		log_debug("look at %s: %s -> %s", l->id, states[l->state].name, states[next].name);
	store_cancel(&l->op);
	git_cancel(&l->git_op);
	redelivery_cancel(&l->redelivery);
	timer_stop(l->wait);
	l->state = next;
	states[next].enter(l);
}

static void
go_on(struct look *l)
{
	look_step(l, states[l->state].next);
}

static void
keep_error(struct look *l, struct err err)
{
	if (l->err.code == ERR_NONE)
		l->err = err;
}

/* Error, and deadline: the next look has another go. */
static void
look_fail(struct look *l, const struct err *err)
{
	keep_error(l, *err);
	look_step(l, l->state == LOOK_REPORT ? LOOK_DONE : LOOK_REPORT);
}

static void
on_deadline(void *arg)
{
	struct look *l = arg;
	const struct err err = err_make(ERR_TIMEOUT, 0, "%s took too long", states[l->state].name);

	look_fail(l, &err);
}

/* --- what there is --- */

static enum look_state
list_or_not(const struct look *l)
{
	return l->repo->url[0] != '\0' ? LOOK_LIST : LOOK_REPORT;
}

static void
on_repo(void *arg, struct repo *repo, const struct err *err)
{
	struct look *l = arg;

	l->op = NULL;
	l->repo = repo;
	if (err != NULL)
		look_fail(l, err);
	else if (redelivery_takes(repo))
		look_step(l, LOOK_REDELIVER);
	else
		look_step(l, list_or_not(l));
}

static void
enter_repo(struct look *l)
{
	l->op = store_repo_get(l->means->store, l->id, on_repo, l);
}

/* A token that may not do it is no failure: git finds pushes, too. */
static void
on_redelivered(void *arg, size_t sent, const struct err *err)
{
	struct look *l = arg;

	l->redelivery = NULL;
	if (err != NULL)
		log_debug("look at %s: %s", l->id, err->text);
	if (sent > 0) {
		log_info("%s: GitHub sends %zu missed deliveries again", l->id, sent);
		look_step(l, LOOK_REPORT);
	} else {
		look_step(l, list_or_not(l));
	}
}

static void
enter_redeliver(struct look *l)
{
	l->redelivery = redelivery_start(l->means->loop, &l->means->redelivery, l->repo, on_redelivered, l);
}

static void
on_heads(void *arg, struct heads heads, const struct err *err)
{
	struct look *l = arg;

	l->git_op = NULL;
	heads_fini(&l->heads);
	l->heads = heads;
	if (err != NULL)
		look_fail(l, err);
	else
		timer_start(l->wait, 0); /* to read a long list was enough for one turn of the loop */
}

static struct git_source
source_of(const struct look *l, const char *ref)
{
	return (struct git_source){ .repo = l->id, .url = l->repo->url, .ref = ref, .token = l->repo->token };
}

static void
enter_list(struct look *l)
{
	struct git_source source = source_of(l, NULL);

	l->git_op = git_heads(l->means->git, &source, on_heads, l);
}

/* --- what differs --- */

static bool
has_same(const struct store_comparison *c, const struct store_difference *d)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->items[i].ref, d->ref) == 0)
			return c->items[i].kind == d->kind && strcmp(c->items[i].commit, d->commit) == 0 &&
			       strcmp(c->items[i].value, d->value) == 0;
	return false;
}

/* Leaves of what was found now that which was found before as well. */
static void
confirm(struct store_comparison *now, const struct store_comparison *before)
{
	size_t kept = 0;

	for (size_t i = 0; i < now->count; i++) {
		struct store_difference d = now->items[i];

		if (has_same(before, &d)) { /* the two change places, so that each is freed */
			now->items[i] = now->items[kept];
			now->items[kept++] = d;
		}
	}
	for (size_t i = kept; i < now->count; i++) {
		free(now->items[i].ref);
		free(now->items[i].value);
	}
	now->count = kept;
}

static void
on_comparison(void *arg, struct store_comparison comparison, const struct err *err)
{
	struct look *l = arg;
	struct store_comparison before = l->found;

	l->op = NULL;
	l->found = comparison;
	if (l->state == LOOK_COMPARE_AGAIN)
		confirm(&l->found, &before);
	store_comparison_fini(&before);
	if (err != NULL)
		look_fail(l, err);
	else if (l->found.count == 0)
		look_step(l, LOOK_REPORT);
	else
		go_on(l);
}

static void
enter_compare(struct look *l)
{
	l->op = store_heads_compare(l->means->store, l->id, &l->heads, on_comparison, l);
}

static void
on_waited(void *arg)
{
	go_on(arg);
}

static void
enter_wait(struct look *l)
{
	timer_start(l->wait, l->means->interval_ms < WAIT_MS ? l->means->interval_ms : WAIT_MS);
}

/* --- one difference after the other --- */

static const struct store_difference *
at_hand(const struct look *l)
{
	return &l->found.items[l->at];
}

static void
next_difference(struct look *l)
{
	l->at++;
	look_step(l, LOOK_NEXT);
}

/* It is left for the next look; the others are seen to. */
static void
leave(struct look *l, const struct err *err)
{
	keep_error(l, err_prefix(*err, "%.100s", at_hand(l)->ref));
	next_difference(l);
}

/* Whether the push is to be built by what is known of it; object may be empty. */
static bool
wants(struct look *l, struct str object)
{
	const struct store_difference *d = at_hand(l);
	const struct repo *repo = l->repo;
	const struct trigger trigger = { repo->events, repo->branches, repo->tags, repo->pulls, repo->forks };
	struct err why;

	hook_result_fini(&l->push);
	l->push = (struct hook_result){ 0 };
	return d->kind == STORE_HEAD_NEW && hook_decode_commit(d->ref, d->commit, d->before, object, &l->push, &why) &&
	       l->push.outcome == HOOK_CHANGE && trigger_wants(&trigger, &l->push.change, &why);
}

static void
enter_next(struct look *l)
{
	if (l->at == l->found.count)
		look_step(l, LOOK_REPORT);
	else
		look_step(l, wants(l, STR("")) ? LOOK_FETCH : LOOK_SETTLE);
}

static void
on_fetched(void *arg, const struct err *err)
{
	struct look *l = arg;

	l->git_op = NULL;
	if (err != NULL)
		leave(l, err);
	else
		go_on(l);
}

static void
enter_fetch(struct look *l)
{
	struct git_source source = source_of(l, at_hand(l)->ref);

	l->git_op = git_fetch(l->means->git, &source, at_hand(l)->commit, on_fetched, l);
}

static void
on_object(void *arg, struct str object, const struct err *err)
{
	struct look *l = arg;

	l->git_op = NULL;
	if (err != NULL)
		leave(l, err);
	else
		look_step(l, wants(l, object) ? LOOK_RECOVER : LOOK_SETTLE);
}

static void
enter_read(struct look *l)
{
	l->git_op = git_commit_object(l->means->git, l->id, at_hand(l)->commit, on_object, l);
}

/* A conflict: a delivery has come, or another daemon was first. */
static void
on_recovered(void *arg, int64_t build, const struct err *err)
{
	struct look *l = arg;

	l->op = NULL;
	if (err != NULL && err->code != ERR_CONFLICT) {
		look_fail(l, err);
		return;
	}
	if (err == NULL)
		log_info("%s: no delivery told of %s at %s: build %lld", l->id, at_hand(l)->ref, at_hand(l)->commit,
		    (long long)build);
	next_difference(l);
}

static void
enter_recover(struct look *l)
{
	l->op = store_head_recover(l->means->store, l->id, at_hand(l), &l->push.change, on_recovered, l);
}

static void
on_settled(void *arg, const struct err *err)
{
	struct look *l = arg;

	l->op = NULL;
	if (err != NULL && err->code != ERR_CONFLICT)
		look_fail(l, err);
	else
		next_difference(l);
}

static void
enter_settle(struct look *l)
{
	l->op = store_head_settle(l->means->store, l->id, at_hand(l), on_settled, l);
}

/* --- the end --- */

/* One line when it begins to fail, one when it is over. */
static void
on_reported(void *arg, int64_t failures, int64_t before, const struct err *err)
{
	struct look *l = arg;

	l->op = NULL;
	if (err != NULL)
		log_debug("look at %s: %s", l->id, err->text);
	else if (failures == 1)
		log_warn("%s: missed pushes cannot be looked for: %s", l->id, l->err.text);
	else if (failures == 0 && before > 0)
		log_info("%s: missed pushes are looked for again, after %lld failures", l->id, (long long)before);
	go_on(l);
}

static void
enter_report(struct look *l)
{
	bool more = l->found.more && l->err.code == ERR_NONE;

	l->op = store_poll_done(l->means->store, l->id, more ? MORE_MS : l->means->interval_ms, LATEST_MS,
	    l->err.code == ERR_NONE ? "" : l->err.text, on_reported, l);
}

static void
look_free(struct look *l)
{
	store_cancel(&l->op);
	git_cancel(&l->git_op);
	redelivery_cancel(&l->redelivery);
	timer_free(&l->deadline);
	timer_free(&l->wait);
	hook_result_fini(&l->push);
	store_comparison_fini(&l->found);
	heads_fini(&l->heads);
	repo_free(&l->repo);
	free(l->id);
	free(l);
}

static void
enter_done(struct look *l)
{
	loop_fn *done = l->done;
	void *arg = l->arg;

	look_free(l);
	done(arg);
}

struct look *
look_start(const struct look_means *means, const char *repo, loop_fn *done, void *arg)
{
	struct look *l = xcalloc(1, sizeof(*l));

	*l = (struct look){ .means = means, .id = xstrdup(repo), .done = done, .arg = arg };
	l->deadline = timer_new(means->loop, on_deadline, l);
	l->wait = timer_new(means->loop, on_waited, l);
	timer_start(l->deadline, DEADLINE_MS);
	enter_repo(l);
	return l;
}

void
look_cancel(struct look **look)
{
	if (*look != NULL)
		look_free(*look);
	*look = NULL;
}
