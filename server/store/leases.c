#include <assert.h>

#include "server/store/op.h"

static void
answer_promote(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct store_promoted promoted = { .next_ms = redis_reply_int(redis_reply_at(reply, 0), -1) };
	struct err failure;

	err = op_failure(op, NULL, err, &failure);
	promoted.expired = job_list_read(reply, 1);
	op->fn.promote(op->arg, promoted, err);
}

struct store_op *
store_promote(struct store *store, store_promote_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_promote, arg, "promotion");
	struct args args = { 0 };

	op->fn.promote = fn;
	args_int(&args, store->conf.lease_ms);
	args_int(&args, STORE_LIST_MAX);
	op_send(op, &script_promote, &args, STORE_TIMEOUT_MS);
	return op;
}

static enum store_lease_state
lease_state(struct str word)
{
	if (str_is(word, "ok"))
		return STORE_LEASE_OK;
	return str_is(word, "cancel") ? STORE_LEASE_CANCEL : STORE_LEASE_LOST;
}

static void
answer_renew(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	enum store_lease_state states[STORE_LIST_MAX];
	size_t count = 0;
	struct err failure;

	if ((err = op_failure(op, reply, err, &failure)) == NULL)
		for (size_t i = 1; i < redis_reply_count(reply) && count < STORE_LIST_MAX; i++)
			states[count++] = lease_state(redis_reply_str(redis_reply_at(reply, i)));
	op->fn.renew(op->arg, states, count, err);
}

struct store_op *
store_renew(struct store *store, const char *labels, const struct store_lease *leases, size_t count, store_renew_fn *fn,
    void *arg)
{
	struct store_op *op = op_new(store, answer_renew, arg, "leases of %.*s", REPO_ID_MAX, store->conf.node);
	struct args args = { 0 };

	assert(count <= STORE_LIST_MAX);
	op->fn.renew = fn;
	args_text(&args, store->conf.node);
	args_int(&args, store->conf.lease_ms);
	args_text(&args, labels);
	for (size_t i = 0; i < count; i++) {
		args_text(&args, leases[i].id);
		args_text(&args, leases[i].token);
	}
	op_send(op, &script_renew, &args, STORE_TIMEOUT_MS);
	return op;
}
