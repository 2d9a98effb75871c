#include "server/scheduler/planning.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/git_name.h"
#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/scheduler/leases.h"
#include "server/scheduler/planner.h"

#define RETRY_MS 500

enum planning_state {
	PLANNING_REPO,
	PLANNING_PLAN,
	PLANNING_COMMIT,
	PLANNING_ENVIRONMENTS,
	PLANNING_RECORD,
	PLANNING_END,
};

/* One build on its way from accepted to queued. */
struct item {
	LIST_ENTRY(item) link;
	struct planning *planning;
	enum planning_state state;
	char id[24]; /* of its lease */
	struct build *build;
	struct repo *repo;
	struct store_op *op;
	struct planner_op *planner_op;
	struct planner_result result;
	struct timer *retry;
};

struct planning {
	struct loop *loop;
	struct store *store;
	struct planner *planner;
	struct leases *leases;
	unsigned max;
	unsigned count;
	LIST_HEAD(, item) items;
	struct store_op *claim_op;
	struct timer *claim_retry;
	bool claim_again;
	bool draining;
	bool is_held;
};

static void enter_repo(struct item *item);
static void enter_plan(struct item *item);
static void enter_commit(struct item *item);
static void enter_environments(struct item *item);
static void enter_record(struct item *item);
static void enter_end(struct item *item);
static void claim(struct planning *p);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct item *item);
} states[] = {
	[PLANNING_REPO]         = { "repository",   enter_repo },
	[PLANNING_PLAN]         = { "plan",         enter_plan },
	[PLANNING_COMMIT]       = { "commit",       enter_commit },
	[PLANNING_ENVIRONMENTS] = { "environments", enter_environments },
	[PLANNING_RECORD]       = { "record",       enter_record },
	[PLANNING_END]          = { "end",          enter_end },
};
/* clang-format on */

/* The only place where the state changes. item may be gone when it returns. */
static void
item_step(struct item *item, enum planning_state next)
{
	log_debug("build %s: planning: %s -> %s", item->id, states[item->state].name, states[next].name);
	store_cancel(&item->op);
	planner_cancel(&item->planner_op);
	timer_stop(item->retry);
	item->state = next;
	states[next].enter(item);
}

/* What Redis cannot take now is offered again: the lease bounds it, since planning_drop() ends a lost one. */
static void
item_retry(struct item *item, const struct err *err)
{
	log_debug("build %s: planning: %s: %s", item->id, states[item->state].name, err->text);
	timer_start(item->retry, RETRY_MS);
}

static void
on_retry(void *arg)
{
	struct item *item = arg;

	item_step(item, item->state);
}

static void
item_fail(struct item *item, enum build_state state, const char *reason)
{
	item->result = (struct planner_result){ .state = state };
	snprintf(item->result.reason, sizeof(item->result.reason), "%s", reason);
	item_step(item, PLANNING_RECORD);
}

static void
on_repo(void *arg, struct repo *repo, const struct err *err)
{
	struct item *item = arg;

	item->op = NULL;
	if (err == NULL) {
		item->repo = repo;
		item_step(item, PLANNING_PLAN);
	} else if (err->code == ERR_NOT_FOUND) {
		item_fail(item, BUILD_ERROR, "the repository was removed");
	} else {
		item_retry(item, err);
	}
}

static void
enter_repo(struct item *item)
{
	item->op = store_repo_get(item->planning->store, item->build->repo, on_repo, item);
}

/* The planner found out more of the commit than the build knows. */
static bool
has_news(const struct item *item)
{
	const struct planner_result *r = &item->result;

	return (item->build->commit[0] == '\0' && r->commit[0] != '\0') || r->ref != NULL || r->built[0] != '\0';
}

static void
on_planned(void *arg, struct planner_result *result)
{
	struct item *item = arg;

	item->planner_op = NULL;
	item->result = *result;
	CRASH_POINT(plan_made);
	item_step(item, has_news(item) ? PLANNING_COMMIT : PLANNING_ENVIRONMENTS);
}

static void
enter_plan(struct item *item)
{
	item->planner_op = planner_start(item->planning->planner, item->build, item->repo, on_planned, item);
}

static void
on_commit(void *arg, const struct err *err)
{
	struct item *item = arg;

	item->op = NULL;
	if (err == NULL) {
		CRASH_POINT(commit_recorded);
		item_step(item, PLANNING_ENVIRONMENTS);
	} else if (err->code == ERR_CONFLICT || err->code == ERR_NOT_FOUND) {
		item_step(item, PLANNING_END);
	} else {
		item_retry(item, err);
	}
}

/* Before the jobs: whoever claims one has to know what it is of. */
static void
enter_commit(struct item *item)
{
	const struct planner_result *r = &item->result;
	const struct store_commit commit = { r->ref, r->commit, r->base, r->built };

	CRASH_POINT(commit_recording);
	item->op =
	    store_plan_commit(item->planning->store, item->build->build, item->build->token, &commit, on_commit, item);
}

static void
judge(const struct environment *environment, const struct build *build, struct plan *plan)
{
	struct err why;

	for (size_t i = 0; i < plan->job_count; i++) {
		struct deploy_spec *deploy = plan->jobs[i].deploy;

		if (deploy != NULL && deploy->refused == NULL && strcmp(deploy->environment, environment->name) == 0 &&
		    !environment_takes(environment, build, &why))
			deploy->refused = xstrdup(why.text);
	}
}

/* What is planned, with the branch that was found out. */
static struct build
found_build(const struct item *item)
{
	struct build build = *item->build;

	if (item->result.ref != NULL) {
		build.ref = item->result.ref;
		build.branch = (char *)git_ref_short(build.ref, "refs/heads/");
	}
	return build;
}

static void
on_environments(
    void *arg, struct environment_list environments, struct deployment_list deployments, const struct err *err)
{
	struct item *item = arg;
	const struct build build = found_build(item);

	item->op = NULL;
	for (size_t i = 0; i < environments.count; i++)
		judge(&environments.items[i], &build, item->result.plan);
	environment_list_fini(&environments);
	deployment_list_fini(&deployments);
	if (err == NULL)
		item_step(item, PLANNING_RECORD);
	else
		item_retry(item, err);
}

static bool
deploys(const struct plan *plan)
{
	for (size_t i = 0; plan != NULL && i < plan->job_count; i++)
		if (plan->jobs[i].deploy != NULL)
			return true;
	return false;
}

/* Nobody is asked to approve what its environment does not take. It is asked once more when the job begins: a rerun is
 * not planned, and rules change. */
static void
enter_environments(struct item *item)
{
	if (deploys(item->result.plan))
		item->op = store_environments(item->planning->store, item->repo->id, on_environments, item);
	else
		item_step(item, PLANNING_RECORD);
}

/* What the planner has found out stays as it is. */
static void
keep_found(struct item *item)
{
	struct build *b = item->build;
	const struct planner_result *r = &item->result;

	if (b->commit[0] == '\0') {
		free(b->commit);
		b->commit = xstrdup(r->commit);
	}
	if (r->ref != NULL) {
		free(b->ref);
		free(b->branch);
		b->ref = xstrdup(r->ref);
		b->branch = xstrdup(git_ref_short(r->ref, "refs/heads/"));
	}
}

/* Another build became the repository's first meanwhile: which one is no matter. */
static void
plan_as_later(struct item *item)
{
	keep_found(item);
	plan_free(&item->result.plan);
	free(item->result.ref);
	item->result = (struct planner_result){ .plan = NULL };
	item->repo->first_image = -1;
	item_step(item, PLANNING_PLAN);
}

static void
on_recorded(void *arg, const struct err *err)
{
	struct item *item = arg;

	item->op = NULL;
	if (err == NULL) {
		CRASH_POINT(plan_recorded);
		log_info("build %s: %s", item->id, item->result.plan != NULL ? "planned" : item->result.reason);
		item_step(item, PLANNING_END);
	} else if (err->code == ERR_CONFLICT || err->code == ERR_NOT_FOUND) {
		log_info("build %s: its plan is not wanted any more: %s", item->id, err->text);
		item_step(item, PLANNING_END);
	} else if (err->code == ERR_INPUT) {
		plan_as_later(item);
	} else {
		item_retry(item, err);
	}
}

static void
enter_record(struct item *item)
{
	struct store *store = item->planning->store;
	struct build *b = item->build;

	CRASH_POINT(plan_recording);
	if (item->result.plan != NULL)
		item->op = store_planned(store, b->build, b->token, item->result.plan, on_recorded, item);
	else
		item->op = store_plan_failed(
		    store, b->build, b->token, item->result.state, item->result.reason, on_recorded, item);
}

static void
item_free(struct item *item)
{
	store_cancel(&item->op);
	planner_cancel(&item->planner_op);
	timer_free(&item->retry);
	leases_drop(item->planning->leases, item->id);
	LIST_REMOVE(item, link);
	item->planning->count--;
	plan_free(&item->result.plan);
	free(item->result.ref);
	repo_free(&item->repo);
	build_free(&item->build);
	free(item);
}

static void
enter_end(struct item *item)
{
	struct planning *p = item->planning;

	item_free(item);
	claim(p);
}

static struct item *
find(struct planning *p, const char *id)
{
	struct item *item;

	LIST_FOREACH(item, &p->items, link)
	if (strcmp(item->id, id) == 0)
		return item;
	return NULL;
}

/* A build whose lease ran out while Redis was away may be claimed anew before we are told so: the older planning has
 * lost. */
static void
drop_older(struct planning *p, const struct build *build)
{
	char id[24];
	struct item *older;

	snprintf(id, sizeof(id), "%" PRId64, build->build);
	older = find(p, id);
	if (older != NULL)
		item_free(older);
}

static void
item_start(struct planning *p, struct build *build)
{
	struct item *item = xcalloc(1, sizeof(*item));

	drop_older(p, build);
	item->planning = p;
	item->build = build;
	snprintf(item->id, sizeof(item->id), "%" PRId64, build->build);
	item->retry = timer_new(p->loop, on_retry, item);
	LIST_INSERT_HEAD(&p->items, item, link);
	p->count++;
	leases_hold(p->leases, item->id, build->token);
	item_step(item, PLANNING_REPO);
}

static void
on_claim(void *arg, struct build *build, const struct err *err)
{
	struct planning *p = arg;

	p->claim_op = NULL;
	if (err != NULL) {
		log_debug("planning: claim: %s", err->text);
		timer_start(p->claim_retry, RETRY_MS);
	} else if (build != NULL) {
		CRASH_POINT(plan_claimed);
		item_start(p, build);
		claim(p);
	} else if (p->claim_again)
		claim(p);
}

static void
on_claim_retry(void *arg)
{
	claim(arg);
}

static void
claim(struct planning *p)
{
	if (p->claim_op != NULL) {
		p->claim_again = true;
		return;
	}
	if (p->draining || p->is_held || p->count >= p->max)
		return;
	p->claim_again = false;
	CRASH_POINT(plan_claiming);
	p->claim_op = store_plan_claim(p->store, on_claim, p);
}

struct planning *
planning_new(struct loop *loop, struct store *store, struct planner *planner, struct leases *leases, unsigned max)
{
	struct planning *p = xcalloc(1, sizeof(*p));

	assert(max > 0);
	*p = (struct planning){ .loop = loop, .store = store, .planner = planner, .leases = leases, .max = max };
	LIST_INIT(&p->items);
	p->claim_retry = timer_new(loop, on_claim_retry, p);
	return p;
}

void
planning_free(struct planning **planning)
{
	struct planning *p = *planning;

	if (p == NULL)
		return;
	*planning = NULL;
	store_cancel(&p->claim_op);
	timer_free(&p->claim_retry);
	while (!LIST_EMPTY(&p->items))
		item_free(LIST_FIRST(&p->items));
	free(p);
}

void
planning_wake(struct planning *p)
{
	claim(p);
}

void
planning_drain(struct planning *p)
{
	p->draining = true;
}

void
planning_hold(struct planning *p, bool is_held)
{
	p->is_held = is_held;
}

void
planning_drop(struct planning *p, const char *id)
{
	struct item *item = find(p, id);

	if (item != NULL)
		item_step(item, PLANNING_END);
}
