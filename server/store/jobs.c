#include <assert.h>

#include "server/store/op.h"

static void
answer_claim(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct err failure;

	if (err == NULL && str_is(reply_word(reply), "none"))
		op->fn.claim(op->arg, NULL, NULL, NULL);
	else if ((err = op_failure(op, reply, err, &failure)) != NULL)
		op->fn.claim(op->arg, NULL, NULL, err);
	else
		op->fn.claim(op->arg, job_read(redis_reply_at(reply, 1)),
		    build_read(redis_reply_at(reply, 2), redis_reply_at(reply, 3)), NULL);
}

struct store_op *
store_job_claim(struct store *store, const char *const *offers, size_t count, store_claim_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_claim, arg, "claim of a job by %.*s", REPO_ID_MAX, store->conf.node);
	struct args args = { 0 };

	op->fn.claim = fn;
	op_claim_args(op, &store->lost_jobs, &args);
	for (size_t i = 0; i < count; i++)
		args_text(&args, offers[i]);
	op_send(op, &script_claim, &args, STORE_TIMEOUT_MS);
	return op;
}

/* An operation upon a job begins with its id; one that is none gets its answer at once. */
static struct store_op *
job_op(struct store *store, store_answer_fn *answer, const char *job, struct args *args, void *arg)
{
	struct store_op *op = op_new(store, answer, arg, "job %.*s", JOB_ID_MAX, job);
	int64_t build, k;

	*args = (struct args){ 0 };
	if (job_id_parse(job, &build, &k))
		args_text(args, job);
	else
		op_answer_later(op, err_make(ERR_NOT_FOUND, 0, "there is no such thing"));
	return op;
}

struct store_op *
store_job_adopt(struct store *store, const char *job, const char *token, store_claim_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_claim, arg, "job %.*s", JOB_ID_MAX, job);
	struct args args = { 0 };

	op->fn.claim = fn;
	args_text(&args, store->conf.node);
	args_text(&args, job);
	args_text(&args, token);
	args_int(&args, store->conf.lease_ms);
	op_send(op, &script_adopt, &args, STORE_TIMEOUT_MS);
	return op;
}

struct store_op *
store_job_started(struct store *store, const char *job, const char *token, const char *container, const char *engine,
    const char *progress, const char *images, const char *kind, store_done_fn *fn, void *arg)
{
	struct args args;
	struct store_op *op = job_op(store, answer_done, job, &args, arg);

	op->fn.done = fn;
	args_text(&args, token);
	args_text(&args, container);
	args_text(&args, engine);
	args_text(&args, progress);
	args_text(&args, images);
	args_text(&args, kind);
	return op_send(op, &script_started, &args, STORE_TIMEOUT_MS);
}

struct store_op *
store_job_built(struct store *store, const char *job, const char *token, const char *engine, const char *image,
    store_done_fn *fn, void *arg)
{
	struct args args;
	struct store_op *op = job_op(store, answer_done, job, &args, arg);

	op->fn.done = fn;
	args_text(&args, token);
	args_text(&args, engine);
	args_text(&args, image);
	return op_send(op, &script_built, &args, STORE_TIMEOUT_MS);
}

static struct store_op *
result_op(struct store *store, const char *job, const char *token, const struct store_job_result *result,
    struct args *args, store_done_fn *fn, void *arg)
{
	struct store_op *op = job_op(store, answer_done, job, args, arg);

	assert(job_state_is_final(result->state));
	op->fn.done = fn;
	args_text(args, token);
	args_text(args, job_state_name(result->state));
	args_int(args, result->exit_code);
	args_text(args, result->reason);
	return op;
}

struct store_op *
store_job_verdict(struct store *store, const char *job, const char *token, const struct store_job_result *result,
    store_done_fn *fn, void *arg)
{
	struct args args;
	struct store_op *op = result_op(store, job, token, result, &args, fn, arg);

	return op_send(op, &script_verdict, &args, STORE_TIMEOUT_MS);
}

struct store_op *
store_job_finished(struct store *store, const char *job, const char *token, const struct store_job_result *result,
    store_done_fn *fn, void *arg)
{
	struct args args;
	struct store_op *op = result_op(store, job, token, result, &args, fn, arg);

	args_int(&args, result->log_bytes);
	args_text(&args, result->images);
	return op_send(op, &script_finish, &args, STORE_TIMEOUT_MS);
}

struct store_op *
store_job_requeue(struct store *store, const char *job, const char *token, int64_t delay_ms, const char *reason,
    store_done_fn *fn, void *arg)
{
	struct args args;
	struct store_op *op = job_op(store, answer_done, job, &args, arg);

	assert(delay_ms >= 0);
	op->fn.done = fn;
	args_text(&args, token);
	args_int(&args, delay_ms);
	args_text(&args, reason);
	return op_send(op, &script_requeue, &args, STORE_TIMEOUT_MS);
}

struct store_op *
store_job_cancel(struct store *store, const char *job, store_done_fn *fn, void *arg)
{
	struct args args;
	struct store_op *op = job_op(store, answer_done, job, &args, arg);

	op->fn.done = fn;
	return op_send(op, &script_cancel_job, &args, STORE_TIMEOUT_MS);
}

static void
answer_job(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct err failure;

	err = op_failure(op, reply, err, &failure);
	op->fn.job(op->arg, err == NULL ? job_read(redis_reply_at(reply, 1)) : NULL, err);
}

struct store_op *
store_job_get(struct store *store, const char *job, store_job_fn *fn, void *arg)
{
	struct args args;
	struct store_op *op = job_op(store, answer_job, job, &args, arg);

	op->fn.job = fn;
	return op_send(op, &script_job_get, &args, STORE_TIMEOUT_MS);
}

static void
answer_jobs(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct err failure;

	err = op_failure(op, NULL, err, &failure);
	op->fn.jobs(op->arg, job_list_read(reply, 0), err);
}

struct store_op *
store_queue(struct store *store, store_jobs_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_jobs, arg, "queue");
	struct args args = { 0 };

	op->fn.jobs = fn;
	args_int(&args, STORE_LIST_MAX);
	op_send(op, &script_queue, &args, STORE_TIMEOUT_MS);
	return op;
}

struct store_op *
store_running(struct store *store, const char *node, store_jobs_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_jobs, arg, "running jobs");
	struct args args = { 0 };

	op->fn.jobs = fn;
	args_text(&args, node);
	op_send(op, &script_running, &args, STORE_TIMEOUT_MS);
	return op;
}

static struct store_op *
job_judge(struct store *store, const struct redis_script *script, const char *job, const char *who, store_done_fn *fn,
    void *arg)
{
	struct args args;
	struct store_op *op = job_op(store, answer_done, job, &args, arg);

	op->fn.done = fn;
	args_text(&args, who);
	return op_send(op, script, &args, STORE_TIMEOUT_MS);
}

struct store_op *
store_job_approve(struct store *store, const char *job, const char *who, store_done_fn *fn, void *arg)
{
	return job_judge(store, &script_job_approve, job, who, fn, arg);
}

struct store_op *
store_job_reject(struct store *store, const char *job, const char *who, store_done_fn *fn, void *arg)
{
	return job_judge(store, &script_job_reject, job, who, fn, arg);
}
