#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/labels.h"
#include "proto/mem.h"
#include "server/store/op.h"

#define APPROVAL_S (7 * 24 * 3600)
#define WARNINGS_MAX 65536
#define NEEDS_MAX 65536

/* --- a change becomes a build --- */

/* A delivery's id becomes part of a key: one that does not look like an id is replaced by its digest. */
static void
args_delivery(struct args *args, struct str delivery)
{
	char digest[SHA256_HEX_SIZE];
	bool plain = delivery.len <= 64;

	for (size_t i = 0; i < delivery.len && plain; i++)
		plain = (delivery.p[i] >= '0' && delivery.p[i] <= '9') ||
			(delivery.p[i] >= 'a' && delivery.p[i] <= 'z') ||
			(delivery.p[i] >= 'A' && delivery.p[i] <= 'Z') || delivery.p[i] == '-';
	if (plain) {
		args_str(args, delivery);
	} else {
		sha256_hex(delivery, digest);
		args_copy(args, str_of(digest));
	}
}

/* What lists show, so that they need not read the change. */
static void
args_summary(struct args *args, const struct change *change)
{
	const char *const texts[][2] = {
		{ "ref", change->ref },
		{ "branch", change->branch },
		{ "commit", change->commit },
		{ "title", change->title },
		{ "author", change->author_name != NULL ? change->author_name : change->sender },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i][1] != NULL) {
			args_text(args, texts[i][0]);
			args_text(args, texts[i][1]);
		}
	args_text(args, "event");
	args_text(args, change_event_name(change->event));
}

void
args_change(struct args *args, const struct change *change)
{
	size_t length;

	args_int(args, 0);
	length = args->count;
	args_record(args, &change_record, change, false);
	args_set_int(args, length - 1, (int64_t)(args->count - length));
	args_summary(args, change);
}

static void
answer_submit(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	static const struct {
		const char *word;
		enum store_submit_result result;
	} words[] = {
		{ "new", STORE_NEW },
		{ "duplicate", STORE_DUPLICATE },
		{ "conflict", STORE_CONFLICT },
		{ "full", STORE_FULL },
		{ "no_repo", STORE_NO_REPO },
	};
	struct store_submitted submitted = { .build = redis_reply_int(redis_reply_at(reply, 1), 0) };
	struct err failure;

	for (size_t i = 0; err == NULL && i < sizeof(words) / sizeof(words[0]); i++)
		if (str_is(reply_word(reply), words[i].word)) {
			submitted.result = words[i].result;
			op->fn.submit(op->arg, &submitted, NULL);
			return;
		}
	if (err == NULL)
		failure = err_make(ERR_PROTO, 0, "%s: Redis answered nonsense", op->what);
	else
		failure = err_prefix(*err, "%s", op->what);
	op->fn.submit(op->arg, NULL, &failure);
}

struct store_op *
store_submit(struct store *store, const char *repo, const struct change *change, struct str delivery,
    const char *body_sha256, store_submit_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_submit, arg, "submit for %.*s", REPO_ID_MAX, repo);
	struct args args = { 0 };

	assert(repo_id_is_valid(repo));
	assert(body_sha256 == NULL || strlen(body_sha256) == SHA256_HEX_SIZE - 1);
	op->fn.submit = fn;
	args_text(&args, repo);
	args_delivery(&args, delivery);
	args_text(&args, body_sha256);
	args_int(&args, store->conf.max_planning);
	args_int(&args, STORE_LATE_S);
	if (change->event == CHANGE_PULL_REQUEST)
		args_int(&args, APPROVAL_S);
	args_change(&args, change);
	if (store->refusal != NULL)
		op_answer_later(op, err_make(ERR_UNAVAILABLE, 0, "%s", store->refusal));
	op_send(op, change->event == CHANGE_PULL_REQUEST ? &script_accept_pull : &script_accept, &args, STORE_SUBMIT_TIMEOUT_MS);
	store_expect(store, STORE_EXPECT_PLANNING);
	return op;
}

/* --- planning --- */

static void
answer_plan_claim(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct err failure;

	if (err == NULL && str_is(reply_word(reply), "none"))
		op->fn.build(op->arg, NULL, NULL);
	else if ((err = op_failure(op, reply, err, &failure)) != NULL)
		op->fn.build(op->arg, NULL, err);
	else
		op->fn.build(op->arg, build_read(redis_reply_at(reply, 1), redis_reply_at(reply, 2)), NULL);
}

struct store_op *
store_plan_claim(struct store *store, store_build_fn *fn, void *arg)
{
	struct store_op *op =
	    op_new(store, answer_plan_claim, arg, "claim of a build by %.*s", REPO_ID_MAX, store->conf.node);
	struct args args = { 0 };

	op->fn.build = fn;
	op_claim_args(op, &store->lost_plans, &args);
	op_send(op, &script_plan_claim, &args, STORE_TIMEOUT_MS);
	return op;
}

static void
args_owned(struct args *args, char *text)
{
	args_copy(args, str_of(text));
	free(text);
}

static void
args_warnings(struct args *args, const struct plan *plan)
{
	struct buf text;

	buf_init(&text, WARNINGS_MAX);
	for (size_t i = 0; i < plan->warning_count; i++)
		buf_addf(&text, "%s%s", i > 0 ? "\n" : "", plan->warnings[i]);
	args_copy(args, buf_str(&text));
	buf_fini(&text);
}

static char *
needs_text(const struct job_spec *job)
{
	struct buf text;
	char *copy;

	buf_init(&text, NEEDS_MAX);
	for (size_t i = 0; i < job->need_count; i++)
		buf_addf(&text, "%s%u", i > 0 ? " " : "", job->needs[i].job);
	copy = str_dup(buf_str(&text));
	buf_fini(&text);
	return copy;
}

static char *
retry_text(unsigned on)
{
	return xasprintf("%s%s%s", on & RETRY_INFRASTRUCTURE ? "infrastructure " : "",
	    on & RETRY_FAILURE ? "failure " : "", on & RETRY_TIMEOUT ? "timeout" : "");
}

/* Name and value, unless there is none. Frees the value. */
static void
args_named(struct args *args, const char *name, char *value)
{
	if (value != NULL && value[0] != '\0') {
		args_text(args, name);
		args_owned(args, value);
	} else {
		free(value);
	}
}

/* One at a time is deployed to an environment: that is the group of its jobs, and nobody else's. */
static char *
group_text(const struct job_spec *job)
{
	return job->deploy != NULL ? xasprintf("environment:%s", job->deploy->environment)
				   : xstrdup_null(job->concurrency.group);
}

/* A deployment that has begun is not broken off because another one comes. */
static bool
cancels_older(const struct job_spec *job)
{
	return job->deploy == NULL && job->concurrency.group != NULL && job->concurrency.cancel;
}

static void
args_deploy(struct args *args, const struct deploy_spec *deploy)
{
	if (deploy == NULL)
		return;
	args_named(args, "environment", xstrdup(deploy->environment));
	args_named(args, "approve", xstrdup(deploy->approve ? "1" : ""));
	args_named(args, "deploy_image", xstrdup_null(deploy->image));
	args_named(args, "lacks", xstrdup_null(deploy->lacks));
	args_named(args, "refused", xstrdup_null(deploy->refused));
}

/* What planned.lua writes into the job's hash. */
static void
args_job(struct args *args, const struct job_spec *job)
{
	static const char *const run_on[] = {
		[RUN_ON_SUCCESS] = "", [RUN_ON_FAILURE] = "failure", [RUN_ALWAYS] = "always"
	};
	size_t length = args->count;

	args_int(args, 0);
	args_text(args, "name");
	args_text(args, job->name);
	args_text(args, "image");
	args_text(args, job->image);
	args_text(args, "spec");
	args_owned(args, job_spec_to_json(job));
	args_named(args, "needs", needs_text(job));
	args_named(args, "run_on", xstrdup(run_on[job->run_on]));
	args_named(args, "skipped", xstrdup_null(job->skipped));
	args_named(args, "allow_failure", xstrdup(job->allow_failure ? "1" : ""));
	args_named(args, "labels", labels_text(&job->labels));
	args_named(args, "group", group_text(job));
	args_deploy(args, job->deploy);
	args_named(args, "group_cancel", xstrdup(cancels_older(job) ? "1" : ""));
	if (job->retry.max > 0) {
		args_text(args, "retry_max");
		args_int(args, job->retry.max);
		args_named(args, "retry_on", retry_text(job->retry.on));
	}
	args_set_int(args, length, (int64_t)(args->count - length - 1));
}

struct store_op *
store_planned(
    struct store *store, int64_t build, const char *token, const struct plan *plan, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "build %lld", (long long)build);
	struct args args = { 0 };

	op->fn.done = fn;
	args_int(&args, build);
	args_text(&args, token);
	args_owned(&args, plan->notify.recipient_count > 0 ? notify_spec_to_json(&plan->notify) : xstrdup(""));
	args_warnings(&args, plan);
	args_owned(&args, parameters_to_json(plan));
	args_int(&args, plan->commit_ms);
	args_int(&args, plan->is_first);
	for (size_t i = 0; i < plan->job_count; i++)
		args_job(&args, &plan->jobs[i]);
	op_send(op, &script_planned, &args, STORE_TIMEOUT_MS);
	store_expect(store, STORE_EXPECT_QUEUE);
	return op;
}

struct store_op *
store_plan_failed(struct store *store, int64_t build, const char *token, enum build_state state, const char *reason,
    store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "build %lld", (long long)build);
	struct args args = { 0 };

	assert(build_state_is_final(state));
	op->fn.done = fn;
	args_int(&args, build);
	args_text(&args, token);
	args_text(&args, build_state_name(state));
	args_text(&args, reason);
	op_send(op, &script_plan_failed, &args, STORE_TIMEOUT_MS);
	return op;
}

struct store_op *
store_plan_commit(struct store *store, int64_t build, const char *token, const struct store_commit *commit,
    store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "build %lld", (long long)build);
	struct args args = { 0 };

	op->fn.done = fn;
	args_int(&args, build);
	args_text(&args, token);
	args_text(&args, commit->commit);
	args_text(&args, commit->base);
	args_text(&args, commit->built);
	args_text(&args, commit->ref != NULL ? commit->ref : "");
	op_send(op, &script_plan_commit, &args, STORE_TIMEOUT_MS);
	return op;
}

/* --- what people see and do --- */

static void
answer_builds(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct build_list builds = { 0 };
	struct err failure;

	if ((err = op_failure(op, NULL, err, &failure)) == NULL) {
		builds.items = xcalloc(redis_reply_count(reply) + 1, sizeof(*builds.items));
		for (size_t i = 0; i < redis_reply_count(reply); i++)
			build_init(&builds.items[builds.count++], redis_reply_at(reply, i));
	}
	op->fn.builds(op->arg, builds, err);
}

struct store_op *
store_builds(struct store *store, const char *repo, int64_t before, unsigned limit, store_builds_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_builds, arg, "builds");
	struct args args = { 0 };

	op->fn.builds = fn;
	if (repo != NULL && !repo_id_is_valid(repo)) {
		op_answer_later(op, err_make(ERR_NOT_FOUND, 0, "there is no such repository"));
		return op;
	}
	args_text(&args, repo);
	args_int(&args, before);
	args_int(&args, limit < STORE_LIST_MAX ? limit : STORE_LIST_MAX);
	op_send(op, &script_builds, &args, STORE_TIMEOUT_MS);
	return op;
}

static void
answer_build_get(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct build *build = NULL;
	struct job_list jobs;
	struct err failure;

	if ((err = op_failure(op, reply, err, &failure)) == NULL) {
		build = build_read(redis_reply_at(reply, 1), redis_reply_at(reply, 2));
		jobs = job_list_read(reply, 3);
		build->jobs = jobs.items;
		build->job_count = jobs.count;
	}
	op->fn.build(op->arg, build, err);
}

struct store_op *
store_build_get(struct store *store, int64_t build, store_build_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_build_get, arg, "build %lld", (long long)build);
	struct args args = { 0 };

	op->fn.build = fn;
	args_int(&args, build);
	op_send(op, &script_build_get, &args, STORE_TIMEOUT_MS);
	return op;
}

struct store_op *
store_build_cancel(struct store *store, int64_t build, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "build %lld", (long long)build);
	struct args args = { 0 };

	op->fn.done = fn;
	args_int(&args, build);
	op_send(op, &script_cancel_build, &args, STORE_TIMEOUT_MS);
	return op;
}

struct store_op *
store_build_approve(struct store *store, int64_t build, const char *who, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "build %lld", (long long)build);
	struct args args = { 0 };

	op->fn.done = fn;
	args_int(&args, build);
	args_text(&args, who);
	args_int(&args, store->conf.max_planning);
	op_send(op, &script_approve, &args, STORE_TIMEOUT_MS);
	return op;
}

struct store_op *
store_build_reject(struct store *store, int64_t build, const char *who, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "build %lld", (long long)build);
	struct args args = { 0 };

	op->fn.done = fn;
	args_int(&args, build);
	args_text(&args, who);
	op_send(op, &script_reject, &args, STORE_TIMEOUT_MS);
	return op;
}

struct store_op *
store_pull_close(struct store *store, const char *repo, const char *ref, store_number_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_number, arg, "pull request of %.*s", REPO_ID_MAX, repo);
	struct args args = { 0 };

	op->fn.number = fn;
	args_text(&args, repo);
	args_text(&args, ref);
	op_send(op, &script_pull_close, &args, STORE_SUBMIT_TIMEOUT_MS);
	return op;
}

struct store_op *
store_build_rerun(struct store *store, int64_t build, const char *which, store_number_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_number, arg, "build %lld", (long long)build);
	struct args args = { 0 };

	op->fn.number = fn;
	args_int(&args, build);
	args_int(&args, store->conf.max_planning);
	args_text(&args, which);
	args_text(&args, "");
	args_text(&args, "");
	op_send(op, &script_rerun, &args, STORE_TIMEOUT_MS);
	store_expect(store, STORE_EXPECT_PLANNING);
	return op;
}

static struct store_op *
deploy(struct store *store, int64_t build, const char *environment, const char *who, int64_t redeploys, bool is_unasked,
    store_number_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_number, arg, "build %lld", (long long)build);
	struct args args = { 0 };

	op->fn.number = fn;
	args_int(&args, build);
	args_int(&args, store->conf.max_planning);
	args_owned(&args, xasprintf("deploy %s", environment));
	args_text(&args, who);
	if (redeploys != 0)
		args_int(&args, redeploys);
	else
		args_text(&args, "");
	args_text(&args, is_unasked ? "1" : "");
	op_send(op, &script_rerun, &args, STORE_TIMEOUT_MS);
	store_expect(store, STORE_EXPECT_QUEUE);
	return op;
}

struct store_op *
store_build_deploy(struct store *store, int64_t build, const char *environment, const char *person, int64_t redeploys,
    store_number_fn *fn, void *arg)
{
	return deploy(store, build, environment, person, redeploys, false, fn, arg);
}

struct store_op *
store_build_follow(
    struct store *store, int64_t build, const char *environment, const char *cause, store_number_fn *fn, void *arg)
{
	return deploy(store, build, environment, cause, 0, true, fn, arg);
}

/* --- retention --- */

static void
answer_forgotten(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	int64_t builds[STORE_LIST_MAX];
	size_t count = 0;
	struct err failure;

	err = op_failure(op, NULL, err, &failure);
	for (; count < redis_reply_count(reply) && count < STORE_LIST_MAX; count++)
		builds[count] = redis_reply_int(redis_reply_at(reply, count), 0);
	op->fn.forgotten(op->arg, builds, count, err);
}

struct store_op *
store_prune(struct store *store, int64_t keep, store_forgotten_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_forgotten, arg, "pruning");
	struct args args = { 0 };

	assert(keep >= 0);
	op->fn.forgotten = fn;
	args_int(&args, keep);
	args_int(&args, STORE_LIST_MAX);
	op_send(op, &script_prune, &args, STORE_TIMEOUT_MS);
	return op;
}

struct store_op *
store_build_unknown(struct store *store, const int64_t *builds, size_t count, store_forgotten_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_forgotten, arg, "forgotten builds");
	struct args args = { 0 };

	assert(count <= STORE_LIST_MAX);
	op->fn.forgotten = fn;
	for (size_t i = 0; i < count; i++)
		args_int(&args, builds[i]);
	op_send(op, &script_build_unknown, &args, STORE_TIMEOUT_MS);
	return op;
}
