#include <assert.h>
#include <string.h>

#include "server/store/op.h"

#define TARGET_MAX 200

static void
answer_notice(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct err failure;

	if (err == NULL && str_is(reply_word(reply), "none"))
		op->fn.notice(op->arg, NULL, redis_reply_int(redis_reply_at(reply, 1), -1), NULL);
	else if ((err = op_failure(op, reply, err, &failure)) != NULL)
		op->fn.notice(op->arg, NULL, -1, err);
	else
		op->fn.notice(op->arg, notice_read(redis_reply_at(reply, 1)), 0, NULL);
}

struct store_op *
store_outbox_claim(struct store *store, store_notice_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_notice, arg, "outbox");
	struct args args = { 0 };

	op->fn.notice = fn;
	args_int(&args, store->conf.lease_ms);
	args_text(&args, store->conf.node);
	op_send(op, &script_outbox_claim, &args, STORE_TIMEOUT_MS);
	return op;
}

static struct store_op *
notice_op(struct store *store, const struct notice *notice, struct args *args, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "notice %.*s", REPO_ID_MAX, notice->notice);

	op->fn.done = fn;
	*args = (struct args){ 0 };
	args_text(args, notice->target);
	args_text(args, notice->notice);
	return op;
}

struct store_op *
store_outbox_ack(struct store *store, const struct notice *notice, store_done_fn *fn, void *arg)
{
	return store_outbox_fanout(store, notice, NULL, 0, fn, arg);
}

static struct store_op *
outbox_failed(
    struct store *store, const struct notice *notice, int64_t delay_ms, const char *error, store_done_fn *fn, void *arg)
{
	struct args args;
	struct store_op *op = notice_op(store, notice, &args, fn, arg);

	args_int(&args, notice->attempts);
	args_int(&args, delay_ms);
	args_text(&args, error);
	op_send(op, &script_outbox_retry, &args, STORE_TIMEOUT_MS);
	return op;
}

struct store_op *
store_outbox_retry(
    struct store *store, const struct notice *notice, int64_t delay_ms, const char *error, store_done_fn *fn, void *arg)
{
	assert(delay_ms >= 0);
	return outbox_failed(store, notice, delay_ms, error, fn, arg);
}

struct store_op *
store_outbox_drop(struct store *store, const struct notice *notice, const char *error, store_done_fn *fn, void *arg)
{
	return outbox_failed(store, notice, -1, error, fn, arg);
}

/* A target becomes part of a key; the colon keeps it apart from davit:outbox:dead. */
static bool
target_is_valid(const char *target)
{
	size_t len = strlen(target);

	for (size_t i = 0; i < len; i++)
		if (target[i] <= ' ' || target[i] > '~')
			return false;
	return len <= TARGET_MAX && strchr(target, ':') != NULL;
}

struct store_op *
store_outbox_fanout(struct store *store, const struct notice *event, const struct store_fanout *notices, size_t count,
    store_done_fn *fn, void *arg)
{
	struct args args;
	struct store_op *op = notice_op(store, event, &args, fn, arg);

	for (size_t i = 0; i < count; i++) {
		assert(target_is_valid(notices[i].target));
		args_text(&args, notices[i].target);
		args_text(&args, notices[i].kind);
		args_text(&args, notices[i].payload);
	}
	op_send(op, &script_outbox_ack, &args, STORE_TIMEOUT_MS);
	return op;
}
