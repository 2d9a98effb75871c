#include "server/scheduler/paths.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/io/git.h"

enum paths_state { PATHS_BEGIN, PATHS_OTHER, PATHS_FETCH, PATHS_BASE, PATHS_DIFF, PATHS_DONE };

struct paths_op {
	struct git *git;
	const struct build *build;
	const struct repo *repo;
	char *commit;
	char *from;      /* NULL: not known yet */
	char *other_ref; /* the branch whose history is asked: the target's, or "HEAD" */
	bool is_before;  /* from is what the branch was at */
	enum paths_state state;
	struct git_op *git_op;
	struct deferred *begin;
	paths_fn *fn;
	void *arg;
};

static void enter_other(struct paths_op *op);
static void enter_fetch(struct paths_op *op);
static void enter_base(struct paths_op *op);
static void enter_diff(struct paths_op *op);
static void enter_done(struct paths_op *op);
static enum paths_state other_failed(const struct paths_op *op);
static enum paths_state fetch_failed(const struct paths_op *op);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct paths_op *op);
	enum paths_state (*failed)(const struct paths_op *op);
} states[] = {
	[PATHS_BEGIN] = { "begin",        NULL,        NULL },
	[PATHS_OTHER] = { "other branch", enter_other, other_failed },
	[PATHS_FETCH] = { "fetch",        enter_fetch, fetch_failed },
	[PATHS_BASE]  = { "merge base",   enter_base,  other_failed },
	[PATHS_DIFF]  = { "diff",         enter_diff,  other_failed },
	[PATHS_DONE]  = { "done",         enter_done,  NULL },
};
/* clang-format on */

/* The only place where the state changes. op may be gone when it returns. */
static void
paths_step(struct paths_op *op, enum paths_state next)
{
	log_debug("build %lld: changed files: %s -> %s", (long long)op->build->build, states[op->state].name,
	    states[next].name);
	git_cancel(&op->git_op);
	op->state = next;
	states[next].enter(op);
}

static void
paths_fail(struct paths_op *op, const struct err *err)
{
	log_debug("build %lld: changed files: %s: %s", (long long)op->build->build, states[op->state].name, err->text);
	paths_step(op, states[op->state].failed(op));
}

static enum paths_state
other_failed(const struct paths_op *op)
{
	(void)op;
	return PATHS_DONE;
}

/* What a forced push left behind may be gone: then it is as with a new branch. */
static enum paths_state
fetch_failed(const struct paths_op *op)
{
	return op->is_before ? PATHS_OTHER : PATHS_DONE;
}

static struct git_source
source_of(const struct paths_op *op, const char *ref)
{
	return (struct git_source){ .repo = op->repo->id, .url = op->repo->url, .ref = ref, .token = op->repo->token };
}

/* --- the other branch's commit --- */

static void
on_other(void *arg, const char *commit, const struct err *err)
{
	struct paths_op *op = arg;

	op->git_op = NULL;
	if (err != NULL) {
		paths_fail(op, err);
	} else if (strcmp(commit, op->commit) == 0) {
		paths_step(op, PATHS_DONE); /* the first push of the default branch itself */
	} else {
		free(op->from);
		op->from = xstrdup(commit);
		op->is_before = false;
		paths_step(op, PATHS_FETCH);
	}
}

static void
enter_other(struct paths_op *op)
{
	struct git_source source = source_of(op, op->other_ref);

	op->git_op = git_head(op->git, &source, on_other, op);
}

/* --- fetch, merge base --- */

static void
on_fetched(void *arg, const struct err *err)
{
	struct paths_op *op = arg;

	op->git_op = NULL;
	if (err != NULL)
		paths_fail(op, err);
	else
		paths_step(op, op->is_before ? PATHS_DIFF : PATHS_BASE);
}

static void
enter_fetch(struct paths_op *op)
{
	struct git_source source = source_of(op, op->is_before ? NULL : op->other_ref);

	if (source.ref != NULL && strcmp(source.ref, "HEAD") == 0)
		source.ref = NULL;
	op->git_op = git_fetch(op->git, &source, op->from, on_fetched, op);
}

static void
on_base(void *arg, const char *commit, const struct err *err)
{
	struct paths_op *op = arg;

	op->git_op = NULL;
	if (err != NULL) {
		paths_fail(op, err);
		return;
	}
	free(op->from);
	op->from = xstrdup(commit);
	paths_step(op, PATHS_DIFF);
}

static void
enter_base(struct paths_op *op)
{
	op->git_op = git_merge_base(op->git, op->repo->id, op->from, op->commit, on_base, op);
}

/* --- diff and end --- */

static void
paths_free(struct paths_op *op)
{
	git_cancel(&op->git_op);
	deferred_cancel(&op->begin);
	free(op->commit);
	free(op->from);
	free(op->other_ref);
	free(op);
}

static void
finish(struct paths_op *op, const struct strings *paths)
{
	paths_fn *fn = op->fn;
	void *arg = op->arg;

	paths_free(op);
	fn(arg, paths);
}

static void
on_paths(void *arg, const struct strings *paths, const struct err *err)
{
	struct paths_op *op = arg;

	op->git_op = NULL;
	if (err != NULL)
		paths_fail(op, err);
	else
		finish(op, paths);
}

static void
enter_diff(struct paths_op *op)
{
	op->git_op = git_changed_paths(op->git, op->repo->id, op->from, op->commit, on_paths, op);
}

static void
enter_done(struct paths_op *op)
{
	finish(op, NULL);
}

/* --- the start --- */

static void
on_begin(void *arg)
{
	struct paths_op *op = arg;
	const struct change *change = op->build->change;

	op->begin = NULL;
	if (change != NULL && change->event == CHANGE_PULL_REQUEST) {
		op->other_ref = xasprintf("refs/heads/%s", change->branch != NULL ? change->branch : "");
		paths_step(op, PATHS_OTHER);
	} else if (change != NULL && change->event == CHANGE_PUSH) {
		op->other_ref = xstrdup("HEAD");
		op->from = xstrdup_null(change->before);
		op->is_before = change->before != NULL;
		paths_step(op, op->is_before ? PATHS_FETCH : PATHS_OTHER);
	} else {
		paths_step(op, PATHS_DONE);
	}
}

struct paths_op *
paths_start(struct loop *loop, struct git *git, const struct build *build, const struct repo *repo, const char *commit,
    paths_fn *fn, void *arg)
{
	struct paths_op *op = xcalloc(1, sizeof(*op));

	*op = (struct paths_op){
		.git = git, .build = build, .repo = repo, .commit = xstrdup(commit), .fn = fn, .arg = arg
	};
	op->begin = deferred_call(loop, on_begin, op);
	return op;
}

void
paths_cancel(struct paths_op **op)
{
	if (*op != NULL)
		paths_free(*op);
	*op = NULL;
}
