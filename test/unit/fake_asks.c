#include "test/unit/fake_asks.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

struct planner_op {
	struct store_op ask;
};

void
fake_asks_init(struct store *store)
{
	*store = (struct store){ 0 };
	TAILQ_INIT(&store->asks);
}

unsigned
fake_asks_count(const struct store *store)
{
	const struct store_op *op;
	unsigned count = 0;

	TAILQ_FOREACH(op, &store->asks, link)
	count++;
	return count;
}

struct store_op *
asked(struct store *store, enum ask_kind kind)
{
	struct store_op *op;

	TAILQ_FOREACH(op, &store->asks, link)
	if (op->kind == kind)
		return op;
	return NULL;
}

/* --- records: the store's own would bring the whole of io/ along --- */

static void
job_fini(struct job *job)
{
	free(job->id);
	free(job->token);
}

void
job_free(struct job **job)
{
	if (*job != NULL)
		job_fini(*job);
	free(*job);
	*job = NULL;
}

void
job_list_fini(struct job_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		job_fini(&list->items[i]);
	free(list->items);
	*list = (struct job_list){ 0 };
}

void
build_free(struct build **build)
{
	if (*build != NULL) {
		free((*build)->repo);
		free((*build)->commit);
		free((*build)->token);
	}
	free(*build);
	*build = NULL;
}

void
repo_free(struct repo **repo)
{
	if (*repo != NULL)
		free((*repo)->id);
	free(*repo);
	*repo = NULL;
}

void
environment_list_fini(struct environment_list *list)
{
	free(list->items);
	*list = (struct environment_list){ 0 };
}

void
deployment_list_fini(struct deployment_list *list)
{
	free(list->items);
	*list = (struct deployment_list){ 0 };
}

/* Of answer_environments: approve is whether it takes it. */
bool
environment_takes(const struct environment *environment, const struct build *build, struct err *why)
{
	assert(build->build != 0);
	return environment->approve || err_set(why, ERR_REFUSED, 0, "%s takes tags", environment->name);
}

/* --- asking --- */

static void
ask_init(struct store_op *op, struct store *store, enum ask_kind kind, void *fn, void *arg)
{
	*op = (struct store_op){ .store = store, .kind = kind, .fn = fn, .arg = arg };
	TAILQ_INSERT_TAIL(&store->asks, op, link);
}

static struct store_op *
ask(struct store *store, enum ask_kind kind, void *fn, void *arg)
{
	struct store_op *op = xcalloc(1, sizeof(*op));

	ask_init(op, store, kind, fn, arg);
	return op;
}

static void
name_build(struct store_op *op, int64_t build, const char *token)
{
	snprintf(op->id, sizeof(op->id), "%lld", (long long)build);
	snprintf(op->token, sizeof(op->token), "%s", token);
}

void
store_cancel(struct store_op **op)
{
	if (*op == NULL)
		return;
	(*op)->store->taken_back++;
	TAILQ_REMOVE(&(*op)->store->asks, *op, link);
	free(*op);
	*op = NULL;
}

struct store_op *
store_node_register(struct store *store, const struct store_node *node, store_number_fn *fn, void *arg)
{
	(void)node;
	return ask(store, ASK_REGISTER, fn, arg);
}

struct store_op *
store_running(struct store *store, const char *node, store_jobs_fn *fn, void *arg)
{
	struct store_op *op = ask(store, ASK_RUNNING, fn, arg);

	snprintf(op->id, sizeof(op->id), "%s", node);
	return op;
}

struct store_op *
store_job_claim(struct store *store, const char *const *offers, size_t count, store_claim_fn *fn, void *arg)
{
	assert(count > 0 && offers[0] != NULL);
	return ask(store, ASK_CLAIM, fn, arg);
}

struct store_op *
store_job_adopt(struct store *store, const char *job, const char *token, store_claim_fn *fn, void *arg)
{
	struct store_op *op = ask(store, ASK_ADOPT, fn, arg);

	snprintf(op->id, sizeof(op->id), "%s", job);
	snprintf(op->token, sizeof(op->token), "%s", token);
	return op;
}

struct store_op *
store_promote(struct store *store, store_promote_fn *fn, void *arg)
{
	return ask(store, ASK_PROMOTE, fn, arg);
}

struct store_op *
store_job_requeue(struct store *store, const char *job, const char *token, int64_t delay_ms, const char *reason,
    store_done_fn *fn, void *arg)
{
	struct store_op *op = ask(store, ASK_REQUEUE, fn, arg);

	snprintf(op->id, sizeof(op->id), "%s", job);
	snprintf(op->token, sizeof(op->token), "%s", token);
	snprintf(op->reason, sizeof(op->reason), "%s", reason);
	op->number = delay_ms;
	return op;
}

struct store_op *
store_renew(struct store *store, const char *labels, const struct store_lease *leases, size_t count, store_renew_fn *fn,
    void *arg)
{
	struct store_op *op = ask(store, ASK_RENEW, fn, arg);

	assert(count <= STORE_LIST_MAX && labels != NULL);
	op->number = (int64_t)count;
	for (size_t i = 0; i < count; i++)
		strcat(strcat(op->leases, leases[i].id), " ");
	return op;
}

struct store_op *
store_plan_claim(struct store *store, store_build_fn *fn, void *arg)
{
	return ask(store, ASK_PLAN_CLAIM, fn, arg);
}

struct store_op *
store_repo_get(struct store *store, const char *id, store_repo_fn *fn, void *arg)
{
	struct store_op *op = ask(store, ASK_REPO, fn, arg);

	snprintf(op->id, sizeof(op->id), "%s", id);
	return op;
}

struct store_op *
store_plan_commit(struct store *store, int64_t build, const char *token, const struct store_commit *commit,
    store_done_fn *fn, void *arg)
{
	struct store_op *op = ask(store, ASK_PLAN_COMMIT, fn, arg);

	name_build(op, build, token);
	snprintf(op->reason, sizeof(op->reason), "%s %s %s", commit->commit, commit->base, commit->built);
	return op;
}

struct store_op *
store_environments(struct store *store, const char *repo, store_environments_fn *fn, void *arg)
{
	struct store_op *op = ask(store, ASK_ENVIRONMENTS, fn, arg);

	snprintf(op->id, sizeof(op->id), "%s", repo);
	return op;
}

struct store_op *
store_planned(
    struct store *store, int64_t build, const char *token, const struct plan *plan, store_done_fn *fn, void *arg)
{
	struct store_op *op = ask(store, ASK_PLANNED, fn, arg);

	assert(plan != NULL);
	name_build(op, build, token);
	if (plan->job_count > 0 && plan->jobs[0].deploy->refused != NULL)
		snprintf(op->reason, sizeof(op->reason), "%s", plan->jobs[0].deploy->refused);
	return op;
}

struct store_op *
store_plan_failed(struct store *store, int64_t build, const char *token, enum build_state state, const char *reason,
    store_done_fn *fn, void *arg)
{
	struct store_op *op = ask(store, ASK_PLAN_FAILED, fn, arg);

	name_build(op, build, token);
	snprintf(op->reason, sizeof(op->reason), "%s", reason);
	op->number = state;
	return op;
}

/* The store plays the planner, too. */
struct planner_op *
planner_start(struct planner *planner, const struct build *build, const struct repo *repo, planner_fn *fn, void *arg)
{
	struct planner_op *op = xcalloc(1, sizeof(*op));

	assert(strcmp(build->repo, repo->id) == 0);
	ask_init(&op->ask, (struct store *)planner, ASK_PLAN, fn, arg);
	name_build(&op->ask, build->build, build->token);
	return op;
}

void
planner_cancel(struct planner_op **op)
{
	struct store_op *question = *op == NULL ? NULL : &(*op)->ask;

	store_cancel(&question);
	*op = NULL;
}

/* --- answering --- */

/* The question is gone before its answer comes, as loop.h has it. */
static struct store_op
take(struct store *store, enum ask_kind kind)
{
	struct store_op *op = asked(store, kind), copy;

	assert(op != NULL);
	TAILQ_REMOVE(&store->asks, op, link);
	copy = *op;
	free(op);
	return copy;
}

static void
fill_job(struct job *job, const char *id, const char *token)
{
	*job = (struct job){ .id = xstrdup(id), .build = atoll(id) };
	job->token = token != NULL ? xstrdup(token) : xasprintf("token of %s", id);
}

static struct build *
new_build(int64_t number, const char *token)
{
	struct build *b = xcalloc(1, sizeof(*b));

	*b = (struct build){ .build = number, .repo = xstrdup("app"), .commit = xstrdup(""), .token = xstrdup(token) };
	return b;
}

static struct job_list
new_jobs(const char *ids)
{
	struct job_list list = { .items = xcalloc(16, sizeof(*list.items)) };
	char copy[256], *save, *id;

	snprintf(copy, sizeof(copy), "%s", ids);
	for (id = strtok_r(copy, " ", &save); id != NULL; id = strtok_r(NULL, " ", &save))
		fill_job(&list.items[list.count++], id, NULL);
	return list;
}

void
answer_error(struct store *store, enum ask_kind kind, enum err_code code)
{
	struct store_op op = take(store, kind);
	struct err err = err_make(code, 0, "%s", err_name(code));

	switch (kind) {
	case ASK_REGISTER:
		((store_number_fn *)op.fn)(op.arg, 0, &err);
		break;
	case ASK_RUNNING:
		((store_jobs_fn *)op.fn)(op.arg, (struct job_list){ 0 }, &err);
		break;
	case ASK_CLAIM:
	case ASK_ADOPT:
		((store_claim_fn *)op.fn)(op.arg, NULL, NULL, &err);
		break;
	case ASK_PROMOTE:
		((store_promote_fn *)op.fn)(op.arg, (struct store_promoted){ .next_ms = -1 }, &err);
		break;
	case ASK_RENEW:
		((store_renew_fn *)op.fn)(op.arg, NULL, 0, &err);
		break;
	case ASK_PLAN_CLAIM:
		((store_build_fn *)op.fn)(op.arg, NULL, &err);
		break;
	case ASK_REPO:
		((store_repo_fn *)op.fn)(op.arg, NULL, &err);
		break;
	case ASK_ENVIRONMENTS:
		((store_environments_fn *)op.fn)(
		    op.arg, (struct environment_list){ 0 }, (struct deployment_list){ 0 }, &err);
		break;
	case ASK_REQUEUE:
	case ASK_PLAN_COMMIT:
	case ASK_PLANNED:
	case ASK_PLAN_FAILED:
		((store_done_fn *)op.fn)(op.arg, &err);
		break;
	case ASK_PLAN:
		assert(!"a planner's failure is a result: answer_plan");
	}
}

void
answer_done(struct store *store, enum ask_kind kind)
{
	struct store_op op = take(store, kind);

	assert(kind == ASK_REQUEUE || kind == ASK_PLAN_COMMIT || kind == ASK_PLANNED || kind == ASK_PLAN_FAILED);
	((store_done_fn *)op.fn)(op.arg, NULL);
}

void
answer_registered(struct store *store)
{
	struct store_op op = take(store, ASK_REGISTER);

	((store_number_fn *)op.fn)(op.arg, 1, NULL);
}

void
answer_running(struct store *store, const char *ids)
{
	struct store_op op = take(store, ASK_RUNNING);

	((store_jobs_fn *)op.fn)(op.arg, new_jobs(ids), NULL);
}

void
answer_promoted(struct store *store, const char *ids, int64_t next_ms)
{
	struct store_op op = take(store, ASK_PROMOTE);

	((store_promote_fn *)op.fn)(
	    op.arg, (struct store_promoted){ .expired = new_jobs(ids), .next_ms = next_ms }, NULL);
}

void
answer_claim(struct store *store, const char *id, const char *token)
{
	struct store_op op = take(store, ASK_CLAIM);
	struct job *job = NULL;
	struct build *build = NULL;

	if (id != NULL) {
		job = xcalloc(1, sizeof(*job));
		fill_job(job, id, token);
		build = new_build(job->build, "");
	}
	((store_claim_fn *)op.fn)(op.arg, job, build, NULL);
}

void
answer_adopt(struct store *store)
{
	struct store_op op = take(store, ASK_ADOPT);
	struct job *job = xcalloc(1, sizeof(*job));

	fill_job(job, op.id, op.token);
	((store_claim_fn *)op.fn)(op.arg, job, new_build(job->build, ""), NULL);
}

void
answer_plan_claim(struct store *store, int64_t build, const char *token)
{
	struct store_op op = take(store, ASK_PLAN_CLAIM);

	((store_build_fn *)op.fn)(op.arg, build == 0 ? NULL : new_build(build, token), NULL);
}

void
answer_repo(struct store *store)
{
	struct store_op op = take(store, ASK_REPO);
	struct repo *repo = xcalloc(1, sizeof(*repo));

	repo->id = xstrdup(op.id);
	((store_repo_fn *)op.fn)(op.arg, repo, NULL);
}

static void
give_plan(struct store *store, struct planner_result result, const char *reason)
{
	struct store_op op = take(store, ASK_PLAN);

	snprintf(result.reason, sizeof(result.reason), "%s", reason);
	if (reason[0] == '\0')
		result.plan = xcalloc(1, sizeof(*result.plan));
	((planner_fn *)op.fn)(op.arg, &result);
}

void
answer_plan(struct store *store, enum build_state state, const char *reason)
{
	give_plan(store, (struct planner_result){ .state = state }, reason);
}

void
answer_plan_deploys(struct store *store)
{
	struct store_op op = take(store, ASK_PLAN);
	struct planner_result result = { .state = BUILD_PLANNING, .plan = xcalloc(1, sizeof(struct plan)) };
	struct job_spec *job = xcalloc(1, sizeof(*job));

	job->kind = JOB_KIND_DEPLOY;
	job->deploy = xcalloc(1, sizeof(*job->deploy));
	job->deploy->environment = xstrdup("live");
	result.plan->jobs = job;
	result.plan->job_count = 1;
	((planner_fn *)op.fn)(op.arg, &result);
}

void
answer_environments(struct store *store, bool takes)
{
	static char name[] = "live", other[] = "staging";
	struct store_op op = take(store, ASK_ENVIRONMENTS);
	struct environment_list list = { .items = xcalloc(2, sizeof(*list.items)), .count = 2 };

	list.items[0] = (struct environment){ .name = name, .approve = takes };
	list.items[1] = (struct environment){ .name = other };
	((store_environments_fn *)op.fn)(op.arg, list, (struct deployment_list){ 0 }, NULL);
}

void
answer_plan_of(struct store *store, const char *commit, const char *built, const char *reason)
{
	struct planner_result result = { .state = BUILD_FAILED };

	snprintf(result.commit, sizeof(result.commit), "%s", commit);
	snprintf(result.base, sizeof(result.base), "%s", built[0] != '\0' ? "base" : "");
	snprintf(result.built, sizeof(result.built), "%s", built);
	give_plan(store, result, reason);
}

void
answer_renew(struct store *store, const char *id, enum store_lease_state state)
{
	struct store_op op = take(store, ASK_RENEW);
	enum store_lease_state states[STORE_LIST_MAX];
	size_t count = 0;
	char *save, *lease;

	for (lease = strtok_r(op.leases, " ", &save); lease != NULL; lease = strtok_r(NULL, " ", &save))
		states[count++] = id != NULL && strcmp(lease, id) == 0 ? state : STORE_LEASE_OK;
	((store_renew_fn *)op.fn)(op.arg, states, count, NULL);
}
