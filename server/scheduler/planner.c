#include "server/scheduler/planner.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "proto/mem.h"
#include "proto/pipeline.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/io/git.h"

#define FILE_MAX (256 * 1024)
#define FETCH_ATTEMPTS 3
#define FETCH_RETRY_MS 1000

enum planner_state { PLANNER_FETCH, PLANNER_READ, PLANNER_READ_ALIAS, PLANNER_DONE };

struct planner_op {
	struct planner *planner;
	enum planner_state state;
	const struct build *build;
	const struct repo *repo;
	struct git_op *git_op;
	struct timer *retry;
	unsigned fetches;
	struct planner_result result;
	planner_fn *fn;
	void *arg;
};

/* A workspace in the making: nobody waits for it yet. */
struct prefetch {
	LIST_ENTRY(prefetch) link;
	struct git_op *op;
};

struct planner {
	struct loop *loop;
	struct git *git;
	bool full_clone;
	LIST_HEAD(, prefetch) prefetches;
};

static void enter_fetch(struct planner_op *op);
static void enter_read(struct planner_op *op);
static void enter_read_alias(struct planner_op *op);
static void enter_done(struct planner_op *op);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct planner_op *op);
} states[] = {
	[PLANNER_FETCH]      = { "fetch",             enter_fetch },
	[PLANNER_READ]       = { "read daocloud.yml", enter_read },
	[PLANNER_READ_ALIAS] = { "read davit.yml",    enter_read_alias },
	[PLANNER_DONE]       = { "done",              enter_done },
};
/* clang-format on */

/* The only place where the state changes. op may be gone when it returns. */
static void
planner_step(struct planner_op *op, enum planner_state next)
{
	log_debug("build %lld: %s -> %s", (long long)op->build->build, states[op->state].name, states[next].name);
	git_cancel(&op->git_op);
	timer_stop(op->retry);
	op->state = next;
	states[next].enter(op);
}

static void
planner_fail(struct planner_op *op, enum build_state state, const char *reason)
{
	op->result.state = state;
	snprintf(op->result.reason, sizeof(op->result.reason), "%s", reason);
	planner_step(op, PLANNER_DONE);
}

/* --- the workspace on the side --- */

static void
prefetch_free(struct prefetch *p)
{
	git_cancel(&p->op);
	LIST_REMOVE(p, link);
	free(p);
}

/* An error comes again, and is reported, when a job asks for the workspace. */
static void
on_prefetched(void *arg, struct git_workspace *workspace, const struct err *err)
{
	struct prefetch *p = arg;

	(void)err;
	p->op = NULL;
	git_workspace_release(&workspace);
	prefetch_free(p);
}

static void
prefetch(struct planner_op *op)
{
	struct planner *planner = op->planner;
	struct prefetch *p = xcalloc(1, sizeof(*p));
	struct git_checkout checkout = {
		.repo = op->repo->id,
		.commit = op->build->commit,
		.ref = op->build->ref,
		.origin = op->repo->url,
		.full = planner->full_clone,
	};

	LIST_INSERT_HEAD(&planner->prefetches, p, link);
	p->op = git_workspace(planner->git, &checkout, on_prefetched, p);
}

/* --- fetch --- */

static bool
may_help_again(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE || err->code == ERR_TIMEOUT;
}

static void
on_fetched(void *arg, const struct err *err)
{
	struct planner_op *op = arg;

	op->git_op = NULL;
	if (err == NULL) {
		prefetch(op);
		planner_step(op, PLANNER_READ);
	} else if (may_help_again(err) && op->fetches < FETCH_ATTEMPTS) {
		log_info("build %lld: fetch: %s; again", (long long)op->build->build, err->text);
		timer_start(op->retry, FETCH_RETRY_MS << (2 * (op->fetches - 1)));
	} else {
		planner_fail(op, BUILD_ERROR, err_prefix(*err, "fetch").text);
	}
}

static void
on_retry(void *arg)
{
	planner_step(arg, PLANNER_FETCH);
}

static void
enter_fetch(struct planner_op *op)
{
	struct git_source source = {
		.repo = op->repo->id,
		.url = op->repo->url,
		.fetch_url = op->build->change != NULL ? op->build->change->fetch_url : NULL,
		.ref = op->build->ref,
		.token = op->repo->token,
	};

	op->fetches++;
	op->git_op = git_fetch(op->planner->git, &source, op->build->commit, on_fetched, op);
}

/* --- read --- */

static void
take_file(struct planner_op *op, const char *name, struct str text)
{
	struct err err;

	if (pipeline_parse(text, name, NULL, &op->result.plan, &err))
		planner_step(op, PLANNER_DONE);
	else
		planner_fail(op, BUILD_FAILED, err.text);
}

static void
fail_read(struct planner_op *op, const char *name, const struct err *err)
{
	enum build_state state = err->code == ERR_LIMIT || err->code == ERR_INPUT ? BUILD_FAILED : BUILD_ERROR;

	planner_fail(op, state, err_prefix(*err, "%s", name).text);
}

static void
on_alias(void *arg, struct str text, const struct err *err)
{
	struct planner_op *op = arg;

	op->git_op = NULL;
	if (err == NULL)
		take_file(op, "davit.yml", text);
	else if (err->code == ERR_NOT_FOUND)
		planner_fail(op, BUILD_FAILED,
		    "there is no daocloud.yml at the root of this commit: add one with \"image\" and \"script\" "
		    "(davit.yml is read too)");
	else
		fail_read(op, "davit.yml", err);
}

static void
on_file(void *arg, struct str text, const struct err *err)
{
	struct planner_op *op = arg;

	op->git_op = NULL;
	if (err == NULL)
		take_file(op, "daocloud.yml", text);
	else if (err->code == ERR_NOT_FOUND)
		planner_step(op, PLANNER_READ_ALIAS);
	else
		fail_read(op, "daocloud.yml", err);
}

static void
enter_read(struct planner_op *op)
{
	op->git_op = git_read(op->planner->git, op->repo->id, op->build->commit, "daocloud.yml", FILE_MAX, on_file, op);
}

static void
enter_read_alias(struct planner_op *op)
{
	op->git_op = git_read(op->planner->git, op->repo->id, op->build->commit, "davit.yml", FILE_MAX, on_alias, op);
}

/* --- the operation --- */

static void
enter_done(struct planner_op *op)
{
	struct planner_result result = op->result;
	planner_fn *fn = op->fn;
	void *arg = op->arg;

	assert(op->git_op == NULL);
	timer_free(&op->retry);
	free(op);
	fn(arg, &result);
}

struct planner_op *
planner_start(struct planner *planner, const struct build *build, const struct repo *repo, planner_fn *fn, void *arg)
{
	struct planner_op *op = xcalloc(1, sizeof(*op));

	*op = (struct planner_op){ .planner = planner, .build = build, .repo = repo, .fn = fn, .arg = arg };
	op->retry = timer_new(planner->loop, on_retry, op);
	enter_fetch(op);
	return op;
}

void
planner_cancel(struct planner_op **op)
{
	struct planner_op *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	git_cancel(&o->git_op);
	timer_free(&o->retry);
	free(o);
}

struct planner *
planner_new(struct loop *loop, struct git *git, bool full_clone)
{
	struct planner *planner = xcalloc(1, sizeof(*planner));

	*planner = (struct planner){ .loop = loop, .git = git, .full_clone = full_clone };
	LIST_INIT(&planner->prefetches);
	return planner;
}

void
planner_free(struct planner **planner)
{
	struct planner *p = *planner;

	if (p == NULL)
		return;
	*planner = NULL;
	while (!LIST_EMPTY(&p->prefetches))
		prefetch_free(LIST_FIRST(&p->prefetches));
	free(p);
}
