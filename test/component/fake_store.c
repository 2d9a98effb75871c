#include "test/component/fake_store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/builder/builder.h"
#include "server/core/loop.h"
#include "server/hook/hook.h"
#include "server/store/files.h"
#include "server/store/idempotency.h"

struct store_op {
	struct store *store;
	struct deferred *call;
	void (*run)(struct store_op *op);
	void *fn, *arg;
	char text[256];
	int64_t number;
	struct repo *repo;
};

static const struct err away = { .code = ERR_UNAVAILABLE, .text = "Redis is away" };
static const struct err missing = { .code = ERR_NOT_FOUND, .text = "there is no such record" };

void
fake_store_init(struct store *store, struct loop *loop)
{
	*store = (struct store){ .loop = loop };
}

void
fake_store_fini(struct store *store)
{
	for (size_t i = 0; i < store->repo_count; i++)
		repo_free(&store->repos[i]);
	change_fini(&store->submitted);
}

struct build *
fake_build(struct store *store, int64_t number, enum build_state state)
{
	static char none[] = "";
	struct build *b = &store->builds[store->build_count++];

	*b = (struct build){ .build = number, .state = state };
	b->repo = b->reason = b->ref = b->branch = b->commit = b->title = b->author = b->event = b->notify = none;
	b->warnings = b->previous = b->rerun_jobs = b->node = b->token = none;
	return b;
}

struct job *
fake_job(struct store *store, const char *id, enum job_state state)
{
	static char none[] = "";
	struct job *j = &store->jobs[store->job_count++];
	int64_t k;

	*j = (struct job){ .id = (char *)id, .state = state, .attempt = 1, .exit_code = -1 };
	assert(job_id_parse(id, &j->build, &k));
	j->repo = j->name = j->image = j->spec = j->waits_for = j->node = j->engine = j->container = none;
	j->token = j->reason = none;
	j->history = j->needs = j->run_on = j->labels = j->group = j->reused_from = none;
	return j;
}

/* --- copies, as the records are handed over --- */

static struct job
job_copy(const struct job *j)
{
	struct job c = *j;

	c.id = xstrdup(j->id);
	c.repo = xstrdup(j->repo);
	c.name = xstrdup(j->name);
	c.image = xstrdup(j->image);
	c.spec = xstrdup(j->spec);
	c.waits_for = xstrdup(j->waits_for);
	c.node = xstrdup(j->node);
	c.engine = xstrdup(j->engine);
	c.container = xstrdup(j->container);
	c.token = xstrdup(j->token);
	c.reason = xstrdup(j->reason);
	c.history = xstrdup(j->history);
	c.needs = xstrdup(j->needs);
	c.run_on = xstrdup(j->run_on);
	c.labels = xstrdup(j->labels);
	c.group = xstrdup(j->group);
	c.reused_from = xstrdup(j->reused_from);
	return c;
}

static struct build
build_copy(const struct store *store, const struct build *b, bool with_jobs)
{
	struct build c = *b;

	c.repo = xstrdup(b->repo);
	c.reason = xstrdup(b->reason);
	c.ref = xstrdup(b->ref);
	c.branch = xstrdup(b->branch);
	c.commit = xstrdup(b->commit);
	c.title = xstrdup(b->title);
	c.author = xstrdup(b->author);
	c.event = xstrdup(b->event);
	c.notify = xstrdup(b->notify);
	c.warnings = xstrdup(b->warnings);
	c.previous = xstrdup(b->previous);
	c.rerun_jobs = xstrdup(b->rerun_jobs);
	c.node = xstrdup(b->node);
	c.token = xstrdup(b->token);
	c.change = NULL;
	c.jobs = xcalloc(FAKE_MAX, sizeof(*c.jobs));
	c.job_count = 0;
	for (size_t i = 0; with_jobs && i < store->job_count; i++)
		if (store->jobs[i].build == b->build)
			c.jobs[c.job_count++] = job_copy(&store->jobs[i]);
	return c;
}

static struct repo *
find_repo(struct store *store, const char *id)
{
	for (size_t i = 0; i < store->repo_count; i++)
		if (strcmp(store->repos[i]->id, id) == 0)
			return store->repos[i];
	return NULL;
}

static struct build *
find_build(struct store *store, int64_t number)
{
	for (size_t i = 0; i < store->build_count; i++)
		if (store->builds[i].build == number)
			return &store->builds[i];
	return NULL;
}

/* --- operations --- */

static void
op_free(struct store_op *op)
{
	repo_free(&op->repo);
	free(op);
}

static void
on_turn(void *arg)
{
	struct store_op *op = arg;

	op->call = NULL;
	op->run(op);
	op_free(op);
}

static struct store_op *
start(struct store *store, void (*run)(struct store_op *), void *fn, void *arg, const char *text, int64_t number)
{
	struct store_op *op = xcalloc(1, sizeof(*op));

	*op = (struct store_op){ .store = store, .run = run, .fn = fn, .arg = arg, .number = number };
	snprintf(op->text, sizeof(op->text), "%s", text != NULL ? text : "");
	if (!store->is_stuck)
		op->call = deferred_call(store->loop, on_turn, op);
	return op;
}

void
store_cancel(struct store_op **op)
{
	if (*op == NULL)
		return;
	deferred_cancel(&(*op)->call);
	op_free(*op);
	*op = NULL;
}

static void
done(struct store_op *op, const struct err *err)
{
	((store_done_fn *)op->fn)(op->arg, op->store->is_away ? &away : err);
}

static void
run_repo_list(struct store_op *op)
{
	struct store *s = op->store;
	struct repo_list list = { 0 };

	if (!s->is_away) {
		list.items = xcalloc(s->repo_count, sizeof(*list.items));
		for (; list.count < s->repo_count; list.count++) {
			struct repo *copy = repo_copy(s->repos[list.count]);

			list.items[list.count] = *copy;
			free(copy);
		}
	}
	((store_repos_fn *)op->fn)(op->arg, list, s->is_away ? &away : NULL);
}

static void
run_repo_get(struct store_op *op)
{
	struct repo *repo = op->store->is_away ? NULL : find_repo(op->store, op->text);

	((store_repo_fn *)op->fn)(op->arg, repo != NULL ? repo_copy(repo) : NULL,
	    op->store->is_away ? &away
	    : repo != NULL     ? NULL
			       : &missing);
}

static void
run_repo_put(struct store_op *op)
{
	struct store *s = op->store;
	struct repo *old = find_repo(s, op->repo->id);

	for (size_t i = 0; i < s->repo_count; i++)
		if (s->repos[i] == old && old != NULL) {
			repo_free(&s->repos[i]);
			s->repos[i] = s->repos[--s->repo_count];
			break;
		}
	s->repos[s->repo_count++] = repo_copy(op->repo);
	done(op, NULL);
}

static void
run_repo_delete(struct store_op *op)
{
	struct store *s = op->store;

	for (size_t i = 0; i < s->repo_count; i++)
		if (strcmp(s->repos[i]->id, op->text) == 0) {
			repo_free(&s->repos[i]);
			s->repos[i] = s->repos[--s->repo_count];
			done(op, NULL);
			return;
		}
	done(op, &missing);
}

static void
run_builds(struct store_op *op)
{
	struct store *s = op->store;
	struct build_list list = { .items = xcalloc(FAKE_MAX, sizeof(struct build)) };

	for (size_t i = s->build_count; !s->is_away && i > 0; i--)
		if (op->text[0] == '\0' || strcmp(op->text, s->builds[i - 1].repo) == 0)
			list.items[list.count++] = build_copy(s, &s->builds[i - 1], false);
	((store_builds_fn *)op->fn)(op->arg, list, s->is_away ? &away : NULL);
}

static void
run_build_get(struct store_op *op)
{
	struct store *s = op->store;
	struct build *found = s->is_away ? NULL : find_build(s, op->number), *copy = NULL;

	s->questions++;
	if (found != NULL) {
		copy = xcalloc(1, sizeof(*copy));
		*copy = build_copy(s, found, true);
	}
	((store_build_fn *)op->fn)(op->arg, copy, s->is_away ? &away : found != NULL ? NULL : &missing);
}

static void
run_job_get(struct store_op *op)
{
	struct store *s = op->store;
	struct job *copy = NULL;

	s->questions++;
	for (size_t i = 0; !s->is_away && i < s->job_count; i++)
		if (strcmp(s->jobs[i].id, op->text) == 0) {
			copy = xcalloc(1, sizeof(*copy));
			*copy = job_copy(&s->jobs[i]);
		}
	((store_job_fn *)op->fn)(op->arg, copy, s->is_away ? &away : copy != NULL ? NULL : &missing);
}

static void
run_jobs(struct store_op *op)
{
	struct store *s = op->store;
	struct job_list list = { .items = xcalloc(FAKE_MAX, sizeof(struct job)) };

	for (size_t i = 0; !s->is_away && i < s->job_count; i++)
		if ((int64_t)s->jobs[i].state == op->number)
			list.items[list.count++] = job_copy(&s->jobs[i]);
	((store_jobs_fn *)op->fn)(op->arg, list, s->is_away ? &away : NULL);
}

static void
run_cancel(struct store_op *op)
{
	snprintf(op->store->cancelled, sizeof(op->store->cancelled), "%s", op->text);
	done(op, NULL);
}

static void
run_rerun(struct store_op *op)
{
	struct build *b = find_build(op->store, op->number);

	((store_number_fn *)op->fn)(op->arg, b != NULL ? 1000 + op->number : 0, b != NULL ? NULL : &missing);
}

static void
run_submit(struct store_op *op)
{
	struct store_submitted submitted = {
		.result = find_repo(op->store, op->text) != NULL ? STORE_NEW : STORE_NO_REPO, .build = 99
	};

	((store_submit_fn *)op->fn)(op->arg, &submitted, NULL);
}

static void
run_stats(struct store_op *op)
{
	struct store_stats stats = { .repos = (int64_t)op->store->repo_count, .queued = 3 };

	((store_stats_fn *)op->fn)(op->arg, &stats, op->store->is_away ? &away : NULL);
}

struct store_op *
store_repo_list(struct store *store, store_repos_fn *fn, void *arg)
{
	return start(store, run_repo_list, fn, arg, NULL, 0);
}

struct store_op *
store_repo_get(struct store *store, const char *id, store_repo_fn *fn, void *arg)
{
	return start(store, run_repo_get, fn, arg, id, 0);
}

struct store_op *
store_repo_put(struct store *store, const struct repo *repo, store_done_fn *fn, void *arg)
{
	struct store_op *op = start(store, run_repo_put, fn, arg, NULL, 0);

	op->repo = repo_copy(repo);
	return op;
}

struct store_op *
store_repo_delete(struct store *store, const char *id, store_done_fn *fn, void *arg)
{
	return start(store, run_repo_delete, fn, arg, id, 0);
}

/* --- requests with a key --- */

static void
run_ok(struct store_op *op)
{
	done(op, NULL);
}

static void
run_claim(struct store_op *op)
{
	((store_idempotency_fn *)op->fn)(op->arg, NULL, op->store->is_away ? &away : NULL);
}

const char *
store_process(const struct store *store)
{
	(void)store;
	return "process";
}

bool
idempotency_key_is_valid(struct str key)
{
	return key.len > 0;
}

struct store_op *
store_idempotency_claim(struct store *store, const struct idempotency_claim *claim, store_idempotency_fn *fn, void *arg)
{
	(void)claim;
	store->claims++;
	return start(store, run_claim, fn, arg, NULL, 0);
}

struct store_op *
store_idempotency_answer(struct store *store, const struct idempotency_claim *claim, int status, struct str answer,
    store_done_fn *fn, void *arg)
{
	(void)claim;
	(void)answer;
	store->answered = status;
	return start(store, run_ok, fn, arg, NULL, 0);
}

/* --- access tokens --- */

static void
run_access_tokens(struct store_op *op)
{
	struct store *s = op->store;
	struct access_token_list list = { .items = xcalloc(2, sizeof(*list.items)) };

	for (size_t i = 0; i < 2 && !s->is_away; i++)
		if (s->tokens[i].name[0] != '\0')
			list.items[list.count++] = (struct access_token){ .name = xstrdup(s->tokens[i].name),
				.role = xstrdup(s->tokens[i].role),
				.sha256 = xstrdup(s->tokens[i].sha256),
				.created_by = xstrdup("admin") };
	((store_access_tokens_fn *)op->fn)(op->arg, list, s->is_away ? &away : NULL);
}

struct store_op *
store_access_tokens(struct store *store, store_access_tokens_fn *fn, void *arg)
{
	return start(store, run_access_tokens, fn, arg, NULL, 0);
}

struct store_op *
store_access_token_put(struct store *store, const struct access_token *token, store_done_fn *fn, void *arg)
{
	size_t i = store->tokens[0].name[0] == '\0' || strcmp(store->tokens[0].name, token->name) == 0 ? 0 : 1;

	snprintf(store->tokens[i].name, sizeof(store->tokens[i].name), "%s", token->name);
	snprintf(store->tokens[i].role, sizeof(store->tokens[i].role), "%s", token->role);
	snprintf(store->tokens[i].sha256, sizeof(store->tokens[i].sha256), "%s", token->sha256);
	return start(store, run_ok, fn, arg, NULL, 0);
}

static void
run_access_token_delete(struct store_op *op)
{
	bool known = false;

	for (size_t i = 0; i < 2 && !known; i++) {
		known = strcmp(op->text, op->store->tokens[i].name) == 0;
		if (known)
			op->store->tokens[i].name[0] = '\0';
	}
	done(op, known ? NULL : &missing);
}

struct store_op *
store_access_token_delete(struct store *store, const char *name, store_done_fn *fn, void *arg)
{
	return start(store, run_access_token_delete, fn, arg, name, 0);
}

/* --- secrets --- */

static void
run_secret_list(struct store_op *op)
{
	struct store *s = op->store;
	struct secret_list list = { .items = xcalloc(1, sizeof(*list.items)) };

	if (!s->is_away && s->secret.scope[0] != '\0' &&
	    (op->text[0] == '\0' || strcmp(op->text, s->secret.owner) == 0))
		list.items[list.count++] = (struct secret){ .scope = xstrdup(s->secret.scope),
			.owner = xstrdup(s->secret.owner),
			.name = xstrdup(s->secret.name),
			.value = xstrdup(""),
			.events = xstrdup(s->secret.events),
			.branches = xstrdup(s->secret.branches) };
	((store_secrets_fn *)op->fn)(op->arg, list, s->is_away ? &away : NULL);
}

struct store_op *
store_secret_list(struct store *store, enum secret_scope scope, const char *owner, store_secrets_fn *fn, void *arg)
{
	(void)scope;
	return start(store, run_secret_list, fn, arg, owner, 0);
}

struct store_op *
store_secret_put(struct store *store, const struct secret *secret, store_done_fn *fn, void *arg)
{
	snprintf(store->secret.scope, sizeof(store->secret.scope), "%s", secret->scope);
	snprintf(store->secret.owner, sizeof(store->secret.owner), "%s", secret->owner);
	snprintf(store->secret.name, sizeof(store->secret.name), "%s", secret->name);
	snprintf(store->secret.value, sizeof(store->secret.value), "%s", secret->value);
	snprintf(store->secret.events, sizeof(store->secret.events), "%s", secret->events);
	snprintf(store->secret.branches, sizeof(store->secret.branches), "%s", secret->branches);
	return start(store, run_ok, fn, arg, NULL, 0);
}

static void
run_secret_delete(struct store_op *op)
{
	bool known = strcmp(op->text, op->store->secret.name) == 0;

	if (known)
		op->store->secret.scope[0] = '\0';
	done(op, known ? NULL : &missing);
}

struct store_op *
store_secret_delete(
    struct store *store, enum secret_scope scope, const char *owner, const char *name, store_done_fn *fn, void *arg)
{
	(void)scope;
	(void)owner;
	return start(store, run_secret_delete, fn, arg, name, 0);
}

struct store_op *
store_builds(struct store *store, const char *repo, int64_t before, unsigned limit, store_builds_fn *fn, void *arg)
{
	(void)before;
	(void)limit;
	return start(store, run_builds, fn, arg, repo, 0);
}

struct store_op *
store_build_get(struct store *store, int64_t build, store_build_fn *fn, void *arg)
{
	return start(store, run_build_get, fn, arg, NULL, build);
}

struct store_op *
store_build_cancel(struct store *store, int64_t build, store_done_fn *fn, void *arg)
{
	char text[32];

	snprintf(text, sizeof(text), "build %lld", (long long)build);
	return start(store, run_cancel, fn, arg, text, 0);
}

struct store_op *
store_schedule_put(struct store *store, const struct schedule *schedule, store_done_fn *fn, void *arg)
{
	char text[256];

	snprintf(text, sizeof(text), "%s %s: %s %s %s %s", schedule->repo, schedule->name, schedule->rule,
	    schedule->zone, schedule->branch, schedule->params);
	return start(store, run_cancel, fn, arg, text, 0);
}

struct store_op *
store_schedule_delete(struct store *store, const char *repo, const char *name, store_done_fn *fn, void *arg)
{
	char text[160];

	snprintf(text, sizeof(text), "no %s %s", repo, name);
	return start(store, run_cancel, fn, arg, text, 0);
}

static void
run_schedules(struct store_op *op)
{
	((store_schedules_fn *)op->fn)(op->arg, (struct schedule_list){ 0 }, NULL);
}

struct store_op *
store_schedules(struct store *store, const char *repo, store_schedules_fn *fn, void *arg)
{
	return start(store, run_schedules, fn, arg, repo, 0);
}

/* --- environments: there is none but "live", which has nothing set --- */

static void
run_environments(struct store_op *op)
{
	((store_environments_fn *)op->fn)(op->arg, (struct environment_list){ 0 }, (struct deployment_list){ 0 }, NULL);
}

struct store_op *
store_environments(struct store *store, const char *repo, store_environments_fn *fn, void *arg)
{
	return start(store, run_environments, fn, arg, repo, 0);
}

static void
run_environment(struct store_op *op)
{
	struct environment *e = NULL;

	if (strcmp(op->text, "live") == 0) {
		e = xcalloc(1, sizeof(*e));
		*e = (struct environment){ .repo = xstrdup("app"),
			.name = xstrdup("live"),
			.kind = xstrdup("command"),
			.image = xstrdup(""),
			.command = xstrdup(""),
			.variables = xstrdup(""),
			.events = xstrdup(""),
			.branches = xstrdup("main"),
			.tags = xstrdup(""),
			.deployers = xstrdup(""),
			.watch = xstrdup(""),
			.locked_by = xstrdup(""),
			.lock_reason = xstrdup("") };
	}
	((store_environment_fn *)op->fn)(op->arg, e, e != NULL ? NULL : &missing);
}

struct store_op *
store_environment_get(struct store *store, const char *repo, const char *name, store_environment_fn *fn, void *arg)
{
	(void)repo;
	return start(store, run_environment, fn, arg, name, 0);
}

struct store_op *
store_environment_put(
    struct store *store, const struct environment *environment, bool is_new, store_done_fn *fn, void *arg)
{
	char text[256];

	snprintf(text, sizeof(text), "%s %s %s: %s|%s|%s|%s|%d", is_new ? "add" : "set", environment->repo,
	    environment->name, environment->image, environment->command, environment->variables, environment->branches,
	    environment->approve);
	return start(store, run_cancel, fn, arg, text, 0);
}

static struct store_op *
tell(struct store *store, const char *what, const char *repo, const char *name, void *fn, void *arg)
{
	char text[256];

	snprintf(text, sizeof(text), "%s %s %s", what, repo, name);
	return start(store, run_cancel, fn, arg, text, 0);
}

struct store_op *
store_environment_delete(struct store *store, const char *repo, const char *name, store_done_fn *fn, void *arg)
{
	return tell(store, "no", repo, name, fn, arg);
}

struct store_op *
store_watch_told(struct store *store, const struct strings *names, store_done_fn *fn, void *arg)
{
	return tell(store, "told", names->count > 0 ? names->items[0] : "", "", fn, arg);
}

struct store_op *
store_environment_lock(struct store *store, const char *repo, const char *name, const char *who, const char *reason,
    store_done_fn *fn, void *arg)
{
	char what[64];

	snprintf(what, sizeof(what), "lock(%s,%s)", who, reason);
	return tell(store, what, repo, name, fn, arg);
}

static void
run_deployments(struct store_op *op)
{
	((store_deployments_fn *)op->fn)(op->arg, (struct deployment_list){ 0 }, NULL);
}

struct store_op *
store_deployments(struct store *store, const char *repo, const char *name, int64_t before, unsigned limit,
    store_deployments_fn *fn, void *arg)
{
	(void)before;
	(void)limit;
	(void)repo;
	return start(store, run_deployments, fn, arg, name, 0);
}

static void
run_rollback(struct store_op *op)
{
	((store_deployments_fn *)op->fn)(op->arg, (struct deployment_list){ 0 }, &missing);
}

struct store_op *
store_rollback_find(struct store *store, const char *repo, const char *name, store_deployments_fn *fn, void *arg)
{
	(void)repo;
	return start(store, run_rollback, fn, arg, name, 0);
}

struct store_op *
store_build_deploy(struct store *store, int64_t build, const char *environment, const char *person, int64_t redeploys,
    store_number_fn *fn, void *arg)
{
	snprintf(store->rerun, sizeof(store->rerun), "%s by %s %d", environment, person, (int)redeploys);
	return start(store, run_rerun, fn, arg, NULL, build);
}

struct store_op *
store_job_approve(struct store *store, const char *job, const char *who, store_done_fn *fn, void *arg)
{
	return tell(store, "approve", job, who, fn, arg);
}

struct store_op *
store_job_reject(struct store *store, const char *job, const char *who, store_done_fn *fn, void *arg)
{
	return tell(store, "reject", job, who, fn, arg);
}

struct store_op *
store_build_approve(struct store *store, int64_t build, const char *who, store_done_fn *fn, void *arg)
{
	char text[64];

	snprintf(text, sizeof(text), "approve %lld by %s", (long long)build, who);
	return start(store, run_cancel, fn, arg, text, 0);
}

struct store_op *
store_build_reject(struct store *store, int64_t build, const char *who, store_done_fn *fn, void *arg)
{
	char text[64];

	snprintf(text, sizeof(text), "reject %lld by %s", (long long)build, who);
	return start(store, run_cancel, fn, arg, text, 0);
}

struct store_op *
store_job_cancel(struct store *store, const char *job, store_done_fn *fn, void *arg)
{
	return start(store, run_cancel, fn, arg, job, 0);
}

struct store_op *
store_build_rerun(struct store *store, int64_t build, const char *which, store_number_fn *fn, void *arg)
{
	snprintf(store->rerun, sizeof(store->rerun), "%s", which);
	return start(store, run_rerun, fn, arg, NULL, build);
}

struct store_op *
store_job_get(struct store *store, const char *job, store_job_fn *fn, void *arg)
{
	return start(store, run_job_get, fn, arg, job, 0);
}

struct store_op *
store_queue(struct store *store, store_jobs_fn *fn, void *arg)
{
	return start(store, run_jobs, fn, arg, NULL, JOB_QUEUED);
}

struct store_op *
store_running(struct store *store, const char *node, store_jobs_fn *fn, void *arg)
{
	(void)node;
	return start(store, run_jobs, fn, arg, NULL, JOB_RUNNING);
}

struct store_op *
store_submit(struct store *store, const char *repo, const struct change *change, struct str delivery,
    const char *body_sha256, store_submit_fn *fn, void *arg)
{
	(void)delivery;
	(void)body_sha256;
	change_fini(&store->submitted);
	store->submitted = (struct change){ .event = change->event,
		.trust = change->trust,
		.ref = xstrdup(change->ref),
		.branch = xstrdup_null(change->branch),
		.commit = xstrdup_null(change->commit),
		.params = xstrdup_null(change->params) };
	return start(store, run_submit, fn, arg, repo, 0);
}

struct store_op *
store_stats(struct store *store, store_stats_fn *fn, void *arg)
{
	return start(store, run_stats, fn, arg, NULL, 0);
}

static void
run_insights(struct store_op *op)
{
	struct insights_list list = { 0 };

	if (op->text[0] != '\0' && find_repo(op->store, op->text) == NULL) {
		((store_insights_fn *)op->fn)(op->arg, list, &(struct err){ ERR_NOT_FOUND, 0, "no such repository" });
		return;
	}
	list = (struct insights_list){ xcalloc(1, sizeof(*list.items)), 1 };
	list.items[0].repo = xstrdup("app");
	list.items[0].environment = xstrdup("");
	insights_add_day(&list.items[0], STR("2026-11-29"),
	    (const struct str[]){ STR("builds_passed"), STR("3"), STR("builds_failed"), STR("1"), STR("run.41"),
		STR("3"), STR("run.ms"), STR("3000") },
	    8);
	((store_insights_fn *)op->fn)(op->arg, list, NULL);
}

struct store_op *
store_insights(struct store *store, const char *repo, unsigned days, unsigned most, store_insights_fn *fn, void *arg)
{
	(void)days;
	(void)most;
	return start(store, run_insights, fn, arg, repo, 0);
}

/* --- the builder and the hook --- */

bool fake_engine_is_down;
bool fake_hook_is_slow;

bool
builder_engine_status(const struct builder *builder, size_t index, struct builder_engine_status *ret)
{
	(void)builder;
	*ret = (struct builder_engine_status){ .name = "engine1",
		.version = "20.10.24",
		.up = !fake_engine_is_down,
		.reason = fake_engine_is_down ? "connection refused" : "",
		.slots = 2,
		.busy = 1 };
	return index == 0;
}

struct hook_op {
	hook_answer_fn *fn;
	void *arg;
	struct deferred *call;
	char json[256];
};

static struct hook_op *kept;

static void
on_hook_turn(void *arg)
{
	struct hook_op *op = arg;
	struct hook_answer answer = { .status = 202, .json = op->json };

	op->call = NULL;
	kept = NULL;
	op->fn(op->arg, &answer);
	free(op);
}

struct hook_op *
hook_receive(struct hook *hook, const char *repo, const struct hook_headers *headers, char *body, size_t body_len,
    hook_answer_fn *fn, void *arg)
{
	struct hook_op *op = xcalloc(1, sizeof(*op));
	unsigned count;
	struct str signature = headers->get(headers->arg, "X-Hub-Signature-256", &count);

	*op = (struct hook_op){ .fn = fn, .arg = arg };
	snprintf(op->json, sizeof(op->json), "{\"repo\":\"%s\",\"bytes\":%zu,\"signature\":\"%.*s\",\"count\":%u}",
	    repo, body_len, (int)signature.len, signature.p, count);
	free(body);
	kept = op;
	if (!fake_hook_is_slow)
		op->call = deferred_call((struct loop *)hook, on_hook_turn, op);
	return op;
}

void
fake_hook_answer(void)
{
	on_hook_turn(kept);
}

void
hook_cancel(struct hook_op **op)
{
	if (*op == NULL)
		return;
	deferred_cancel(&(*op)->call);
	kept = NULL;
	free(*op);
	*op = NULL;
}

struct hook_counts
hook_counts(const struct hook *hook)
{
	(void)hook;
	return (struct hook_counts){ .builds = 5 };
}

/* --- files: there are none --- */

static void
run_artifacts(struct store_op *op)
{
	((store_artifacts_fn *)op->fn)(op->arg, (struct artifact_list){ 0 }, op->store->is_away ? &away : NULL);
}

struct store_op *
store_artifact_list(struct store *store, int64_t build, int64_t job, store_artifacts_fn *fn, void *arg)
{
	(void)job;
	return start(store, run_artifacts, (void *)fn, arg, NULL, build);
}

static void
run_reports(struct store_op *op)
{
	((store_reports_fn *)op->fn)(op->arg, (struct test_report_list){ 0 }, op->store->is_away ? &away : NULL);
}

struct store_op *
store_report_list(struct store *store, int64_t build, store_reports_fn *fn, void *arg)
{
	return start(store, run_reports, (void *)fn, arg, NULL, build);
}

void
artifact_list_fini(struct artifact_list *list)
{
	*list = (struct artifact_list){ 0 };
}

void
test_report_list_fini(struct test_report_list *list)
{
	*list = (struct test_report_list){ 0 };
}
