#include "server/scheduler/planner.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/change.h"
#include "proto/git_object.h"
#include "proto/mem.h"
#include "proto/pipeline.h"
#include "proto/trigger.h"
#include "server/core/crash.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/io/git.h"
#include "server/scheduler/parsing.h"
#include "server/scheduler/paths.h"
#include "server/scheduler/template.h"

#define FILE_MAX (256 * 1024)
#define FETCH_ATTEMPTS 3
#define FETCH_RETRY_MS 1000

enum planner_state {
	PLANNER_BRANCH,
	PLANNER_HEAD,
	PLANNER_FETCH,
	PLANNER_TARGET,
	PLANNER_FETCH_TARGET,
	PLANNER_MERGE,
	PLANNER_COMMIT,
	PLANNER_READ,
	PLANNER_READ_ALIAS,
	PLANNER_LIST,
	PLANNER_INCLUDE,
	PLANNER_PARSE,
	PLANNER_PATHS,
	PLANNER_DEFAULT,
	PLANNER_DONE,
};

struct planner_op {
	struct planner *planner;
	enum planner_state state;
	const struct build *build;
	const struct repo *repo;
	struct git_op *git_op;
	struct paths_op *paths_op;
	struct template_op *template_op;
	struct timer *retry;
	unsigned fetches;
	int64_t commit_ms;       /* when the commit was made */
	bool is_aside;           /* of another branch than the default one */
	struct disk_op *disk_op; /* it has the parsing meanwhile */
	struct parsing *parsing; /* from the file's text on */
	size_t included;         /* how many of its includes were read */
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
	struct disk *disk;
	struct planner_conf conf;
	LIST_HEAD(, prefetch) prefetches;
};

static void enter_branch(struct planner_op *op);
static void enter_head(struct planner_op *op);
static void enter_fetch(struct planner_op *op);
static void enter_target(struct planner_op *op);
static void enter_fetch_target(struct planner_op *op);
static void enter_merge(struct planner_op *op);
static void enter_commit(struct planner_op *op);
static void enter_read(struct planner_op *op);
static void enter_read_alias(struct planner_op *op);
static void enter_list(struct planner_op *op);
static void enter_include(struct planner_op *op);
static void enter_parse(struct planner_op *op);
static void enter_paths(struct planner_op *op);
static void enter_default(struct planner_op *op);
static void enter_done(struct planner_op *op);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct planner_op *op);
} states[] = {
	[PLANNER_BRANCH]       = { "default branch",    enter_branch },
	[PLANNER_HEAD]         = { "head",              enter_head },
	[PLANNER_FETCH]        = { "fetch",             enter_fetch },
	[PLANNER_TARGET]       = { "target",            enter_target },
	[PLANNER_FETCH_TARGET] = { "fetch target",      enter_fetch_target },
	[PLANNER_MERGE]        = { "merge",             enter_merge },
	[PLANNER_COMMIT]       = { "commit",            enter_commit },
	[PLANNER_READ]         = { "read daocloud.yml", enter_read },
	[PLANNER_READ_ALIAS]   = { "read davit.yml",    enter_read_alias },
	[PLANNER_LIST]         = { "list of includes",  enter_list },
	[PLANNER_INCLUDE]      = { "include",           enter_include },
	[PLANNER_PARSE]        = { "parse",             enter_parse },
	[PLANNER_PATHS]        = { "changed files",     enter_paths },
	[PLANNER_DEFAULT]      = { "default branch?",   enter_default },
	[PLANNER_DONE]         = { "done",              enter_done },
};
/* clang-format on */

/* The only place where the state changes. op may be gone when it returns. */
static void
planner_step(struct planner_op *op, enum planner_state next)
{
	log_debug("build %lld: %s -> %s", (long long)op->build->build, states[op->state].name, states[next].name);
	git_cancel(&op->git_op);
	paths_cancel(&op->paths_op);
	template_cancel(&op->template_op);
	timer_stop(op->retry);
	op->state = next;
	states[next].enter(op);
}

/* What the build is of, by name. */
static const char *
ref_of(const struct planner_op *op)
{
	return op->result.ref != NULL ? op->result.ref : op->build->ref;
}

/* What is read and built: the merge, or the commit itself. */
static const char *
commit_of(const struct planner_op *op)
{
	return op->result.built[0] != '\0' ? op->result.built : op->result.commit;
}

static void
keep_id(char to[65], const char *commit)
{
	snprintf(to, 65, "%s", commit);
}

static void
planner_fail(struct planner_op *op, enum build_state state, const char *reason)
{
	plan_free(&op->result.plan);
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
		.commit = commit_of(op),
		.ref = ref_of(op),
		.origin = op->repo->url,
		.full = planner->conf.full_clone,
	};

	LIST_INSERT_HEAD(&planner->prefetches, p, link);
	p->op = git_workspace(planner->git, &checkout, on_prefetched, p);
}

/* --- what comes from the forge --- */

static bool
may_help_again(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE || err->code == ERR_TIMEOUT;
}

/* The same state again, some time later, or the end. */
static void
fetch_failed(struct planner_op *op, const struct err *err)
{
	bool is_theirs = (op->state == PLANNER_BRANCH || op->state == PLANNER_HEAD) && err->code == ERR_NOT_FOUND;

	if (may_help_again(err) && op->fetches < FETCH_ATTEMPTS) {
		log_info("build %lld: %s: %s; again", (long long)op->build->build, states[op->state].name, err->text);
		timer_start(op->retry, FETCH_RETRY_MS << (2 * (op->fetches - 1)));
	} else {
		planner_fail(
		    op, is_theirs ? BUILD_FAILED : BUILD_ERROR, err_prefix(*err, "%s", states[op->state].name).text);
	}
}

static void
on_retry(void *arg)
{
	struct planner_op *op = arg;

	planner_step(op, op->state);
}

static void
fetched(struct planner_op *op, enum planner_state next)
{
	op->fetches = 0;
	planner_step(op, next);
}

static struct git_source
source_of(const struct planner_op *op, const char *ref)
{
	return (struct git_source){ .repo = op->repo->id, .url = op->repo->url, .ref = ref, .token = op->repo->token };
}

/* One that was named already is not asked for again. */
static enum planner_state
after_branch(const struct planner_op *op)
{
	return op->build->commit[0] == '\0' ? PLANNER_HEAD : PLANNER_FETCH;
}

static void
on_branch(void *arg, const char *ref, const struct err *err)
{
	struct planner_op *op = arg;

	op->git_op = NULL;
	if (err != NULL) {
		fetch_failed(op, err);
		return;
	}
	op->result.ref = xstrdup(ref);
	fetched(op, after_branch(op));
}

static void
enter_branch(struct planner_op *op)
{
	struct git_source source = source_of(op, NULL);

	op->fetches++;
	op->git_op = git_default_branch(op->planner->git, &source, on_branch, op);
}

static void
on_head(void *arg, const char *commit, const struct err *err)
{
	struct planner_op *op = arg;

	op->git_op = NULL;
	if (err != NULL) {
		fetch_failed(op, err);
		return;
	}
	keep_id(op->result.commit, commit);
	fetched(op, PLANNER_FETCH);
}

static void
enter_head(struct planner_op *op)
{
	struct git_source source = source_of(op, ref_of(op));

	op->fetches++;
	op->git_op = git_head(op->planner->git, &source, on_head, op);
}

static bool
is_merged(const struct planner_op *op)
{
	const struct trigger trigger = { .pulls = op->repo->pulls };

	return op->build->change != NULL && trigger_merges(&trigger, op->build->change);
}

static void
on_fetched(void *arg, const struct err *err)
{
	struct planner_op *op = arg;

	op->git_op = NULL;
	if (err != NULL) {
		fetch_failed(op, err);
		return;
	}
	CRASH_POINT(fetch_ended);
	if (!is_merged(op))
		prefetch(op);
	fetched(op, is_merged(op) ? PLANNER_TARGET : PLANNER_COMMIT);
}

static void
enter_fetch(struct planner_op *op)
{
	struct git_source source = source_of(op, ref_of(op));

	source.fetch_url = op->build->change != NULL ? op->build->change->fetch_url : NULL;
	CRASH_POINT(fetch_beginning);
	op->fetches++;
	op->git_op = git_fetch(op->planner->git, &source, op->result.commit, on_fetched, op);
}

/* --- merged with its target --- */

static void
on_target(void *arg, const char *commit, const struct err *err)
{
	struct planner_op *op = arg;

	op->git_op = NULL;
	if (err != NULL) {
		fetch_failed(op, err);
		return;
	}
	keep_id(op->result.base, commit);
	fetched(op, PLANNER_FETCH_TARGET);
}

static void
enter_target(struct planner_op *op)
{
	char *ref = xasprintf("refs/heads/%s", op->build->branch);
	struct git_source source = source_of(op, ref);

	op->fetches++;
	op->git_op = git_head(op->planner->git, &source, on_target, op);
	free(ref);
}

static void
on_target_fetched(void *arg, const struct err *err)
{
	struct planner_op *op = arg;

	op->git_op = NULL;
	if (err != NULL)
		fetch_failed(op, err);
	else
		fetched(op, PLANNER_MERGE);
}

static void
enter_fetch_target(struct planner_op *op)
{
	char *ref = xasprintf("refs/heads/%s", op->build->branch);
	struct git_source source = source_of(op, ref);

	op->fetches++;
	op->git_op = git_fetch(op->planner->git, &source, op->result.base, on_target_fetched, op);
	free(ref);
}

static void
on_merged(void *arg, const char *commit, const struct err *err)
{
	struct planner_op *op = arg;

	op->git_op = NULL;
	if (err == NULL) {
		keep_id(op->result.built, commit);
		prefetch(op);
		planner_step(op, PLANNER_COMMIT);
		return;
	}
	planner_fail(op, err->code == ERR_CONFLICT || err->code == ERR_REFUSED ? BUILD_FAILED : BUILD_ERROR,
	    err_prefix(*err, "it cannot be merged into %.60s", op->build->branch).text);
}

static void
enter_merge(struct planner_op *op)
{
	op->git_op = git_merge(op->planner->git, op->repo->id, op->result.base, op->result.commit, on_merged, op);
}

/* --- read --- */

/* Without its time the plan is as good. */
static void
on_commit(void *arg, struct str object, const struct err *err)
{
	struct planner_op *op = arg;

	op->git_op = NULL;
	op->commit_ms = err == NULL ? git_object_time_ms(object) : 0;
	planner_step(op, PLANNER_READ);
}

static void
enter_commit(struct planner_op *op)
{
	op->git_op = git_commit_object(op->planner->git, op->repo->id, op->result.commit, on_commit, op);
}

/* The text is the pipeline's; what it includes is read next. */
static void
take_file(struct planner_op *op, const char *name, struct str text)
{
	op->parsing = parsing_new(name, text);
	planner_step(op, PLANNER_LIST);
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
	op->git_op = git_read(op->planner->git, op->repo->id, commit_of(op), "daocloud.yml", FILE_MAX, on_file, op);
}

static void
enter_read_alias(struct planner_op *op)
{
	op->git_op = git_read(op->planner->git, op->repo->id, commit_of(op), "davit.yml", FILE_MAX, on_alias, op);
}

/* --- include --- */

/* A large text in a thread, where it holds nobody. */
static void
parse(struct planner_op *op, disk_run_fn *run, disk_done_fn *fn)
{
	if (parsing_is_large(op->parsing)) {
		op->disk_op = disk_call(op->planner->disk, run, parsing_release, op->parsing, fn, op);
	} else {
		run(op->parsing, NULL);
		fn(op, NULL);
	}
}

/* What came of it; false: op has failed. */
static bool
is_parsed(struct planner_op *op, const struct err *err)
{
	const struct err *own = parsing_error(op->parsing);

	op->disk_op = NULL;
	if (err != NULL)
		planner_fail(op, BUILD_ERROR, err->text);
	else if (own != NULL)
		planner_fail(op, BUILD_FAILED, own->text);
	return err == NULL && own == NULL;
}

static void
on_list(void *arg, const struct err *err)
{
	struct planner_op *op = arg;

	if (is_parsed(op, err))
		planner_step(op, PLANNER_INCLUDE);
}

static void
enter_list(struct planner_op *op)
{
	parse(op, parsing_list, on_list);
}

/* One that is not there is an error of the pipeline, which names the line. */
static void
take_include(struct planner_op *op, struct str text, const struct err *err)
{
	struct pipeline_include *include = &parsing_includes(op->parsing)->items[op->included];

	if (err != NULL && err->code != ERR_NOT_FOUND) {
		fail_read(op, include->name, err);
		return;
	}
	if (err == NULL) {
		include->text = xstrndup(text.p, text.len);
		include->len = text.len;
	}
	op->included++;
	planner_step(op, PLANNER_INCLUDE);
}

static void
on_included(void *arg, struct str text, const struct err *err)
{
	struct planner_op *op = arg;

	op->git_op = NULL;
	take_include(op, text, err);
}

static void
on_template(void *arg, struct str text, const struct err *err)
{
	struct planner_op *op = arg;

	op->template_op = NULL;
	take_include(op, text, err);
}

static void
enter_include(struct planner_op *op)
{
	const struct planner *planner = op->planner;
	const struct pipeline_includes *includes = parsing_includes(op->parsing);
	const struct pipeline_include *include;

	if (op->included == includes->count) {
		planner_step(op, PLANNER_PARSE);
		return;
	}
	include = &includes->items[op->included];
	if (include->is_template)
		op->template_op = template_read(
		    planner->loop, planner->disk, planner->conf.templates, include->name, FILE_MAX, on_template, op);
	else
		op->git_op =
		    git_read(planner->git, op->repo->id, commit_of(op), include->name, FILE_MAX, on_included, op);
}

/* --- parse --- */

static const char *
branch_of(const char *ref)
{
	return ref + strlen("refs/heads/");
}

/* As far as it is known. */
static bool
may_be_first(const struct planner_op *op)
{
	const struct build *b = op->build;
	bool is_open = op->repo->first_image == 0 || op->repo->first_image == b->change_id;

	return is_open && !op->is_aside && str_has_prefix(str_of(ref_of(op)), "refs/heads/") &&
	       (b->change == NULL || b->change->pull_number == 0);
}

static struct pipeline_context
context_of(const struct planner_op *op)
{
	const struct build *b = op->build;
	const struct change *c = b->change;
	bool is_tag = str_has_prefix(str_of(b->ref), "refs/tags/");
	const char *found = op->result.ref;

	return (struct pipeline_context){
		.event = b->event,
		.repo = op->repo->name,
		.ref = ref_of(op),
		.branch = is_tag          ? NULL
			  : found != NULL ? branch_of(found)
					  : b->branch,
		.tag = is_tag ? b->branch : NULL,
		.commit = op->result.commit,
		.message = c != NULL ? c->message : NULL,
		.author = b->author,
		.pull_number = c != NULL ? c->pull_number : 0,
		.fork = c != NULL && c->trust == CHANGE_FORK,
		.first = may_be_first(op),
	};
}

static bool
builds_image(const struct plan *plan)
{
	for (size_t i = 0; i < plan->job_count; i++)
		if (plan->jobs[i].kind == JOB_KIND_BUILD && plan->jobs[i].skipped == NULL)
			return true;
	return false;
}

/* The first build of an image is one of the default branch, or of one named master. */
static bool
knows_branch(const struct planner_op *op)
{
	return op->repo->first_image != 0 || op->result.ref != NULL || strcmp(ref_of(op), "refs/heads/master") == 0;
}

static enum planner_state
after_plan(const struct planner_op *op)
{
	const struct plan *plan = op->result.plan;

	if (plan->wants_paths && op->build->change != NULL && !parsing_knows_paths(op->parsing))
		return PLANNER_PATHS;
	return plan->is_first && !knows_branch(op) ? PLANNER_DEFAULT : PLANNER_DONE;
}

static void
on_plan(void *arg, const struct err *err)
{
	struct planner_op *op = arg;

	if (!is_parsed(op, err))
		return;
	op->result.plan = parsing_plan(op->parsing);
	op->result.plan->commit_ms = op->commit_ms;
	op->result.plan->is_first = may_be_first(op) && builds_image(op->result.plan);
	planner_step(op, after_plan(op));
}

static void
enter_parse(struct planner_op *op)
{
	struct pipeline_context context = context_of(op);

	plan_free(&op->result.plan);
	parsing_set(op->parsing, &context, op->build->change != NULL ? op->build->change->params : NULL);
	parse(op, parsing_run, on_plan);
}

/* --- changed files --- */

static void
on_paths(void *arg, const struct strings *paths)
{
	struct planner_op *op = arg;

	op->paths_op = NULL;
	if (paths == NULL) {
		planner_step(op, PLANNER_DONE); /* not known: the plan stands as it is */
		return;
	}
	parsing_set_paths(op->parsing, paths);
	planner_step(op, PLANNER_PARSE);
}

static void
enter_paths(struct planner_op *op)
{
	op->paths_op =
	    paths_start(op->planner->loop, op->planner->git, op->build, op->repo, op->result.commit, on_paths, op);
}

/* --- whether it is of the default branch --- */

/* Where no tag depends on it, nobody waits for a forge that is away. */
static void
on_default(void *arg, const char *ref, const struct err *err)
{
	struct planner_op *op = arg;
	struct plan *plan = op->result.plan;

	op->git_op = NULL;
	if (err != NULL && err->code != ERR_NOT_FOUND && plan->names_first) {
		fetch_failed(op, err);
		return;
	}
	op->is_aside = err != NULL || strcmp(ref, ref_of(op)) != 0;
	plan->is_first = !op->is_aside;
	fetched(op, op->is_aside && plan->names_first ? PLANNER_PARSE : PLANNER_DONE);
}

static void
enter_default(struct planner_op *op)
{
	struct git_source source = source_of(op, NULL);

	op->fetches++;
	op->git_op = git_default_branch(op->planner->git, &source, on_default, op);
}

/* --- the operation --- */

static void
op_free(struct planner_op *op)
{
	git_cancel(&op->git_op);
	paths_cancel(&op->paths_op);
	template_cancel(&op->template_op);
	timer_free(&op->retry);
	if (op->disk_op != NULL)
		disk_cancel(&op->disk_op); /* and the parsing stays the disk's */
	else
		parsing_free(&op->parsing);
	free(op);
}

static void
enter_done(struct planner_op *op)
{
	struct planner_result result = op->result;
	planner_fn *fn = op->fn;
	void *arg = op->arg;

	assert(op->git_op == NULL && op->paths_op == NULL && op->template_op == NULL && op->disk_op == NULL);
	op_free(op);
	fn(arg, &result);
}

struct planner_op *
planner_start(struct planner *planner, const struct build *build, const struct repo *repo, planner_fn *fn, void *arg)
{
	struct planner_op *op = xcalloc(1, sizeof(*op));

	*op = (struct planner_op){ .planner = planner, .build = build, .repo = repo, .fn = fn, .arg = arg };
	op->retry = timer_new(planner->loop, on_retry, op);
	op->state = strcmp(build->ref, CHANGE_REF_DEFAULT) == 0 ? PLANNER_BRANCH : after_branch(op);
	keep_id(op->result.commit, build->commit);
	states[op->state].enter(op);
	return op;
}

void
planner_cancel(struct planner_op **op)
{
	struct planner_op *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	plan_free(&o->result.plan);
	free(o->result.ref);
	op_free(o);
}

struct planner *
planner_new(struct loop *loop, struct git *git, struct disk *disk, const struct planner_conf *conf)
{
	struct planner *planner = xcalloc(1, sizeof(*planner));

	*planner = (struct planner){ .loop = loop, .git = git, .disk = disk, .conf = *conf };
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
