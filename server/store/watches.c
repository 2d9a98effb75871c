/* Environments that follow a tag in a registry. */
#include "server/store/op.h"

#include "proto/mem.h"

static void
answer_watches(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct store_watches due = { .next_ms = -1 };
	struct err failure;

	if ((err = op_failure(op, NULL, err, &failure)) == NULL) {
		due.next_ms = redis_reply_int(redis_reply_at(reply, 0), -1);
		environments_read(reply, 1, &due.environments, &due.deployments);
	}
	op->fn.watches(op->arg, due, err);
}

struct store_op *
store_watches_due(struct store *store, unsigned limit, int64_t wait_ms, store_watches_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_watches, arg, "followed tags");
	struct args args = { 0 };

	op->fn.watches = fn;
	args_int(&args, limit);
	args_int(&args, wait_ms);
	return op_send(op, &script_watch_due, &args, STORE_TIMEOUT_MS);
}

struct store_op *
store_watch_seen(struct store *store, const struct environment *environment, const char *digest, const char *error,
    store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "environment %.40s", environment->name);
	struct args args = { 0 };

	op->fn.done = fn;
	args_text(&args, environment->repo);
	args_text(&args, environment->name);
	args_text(&args, environment->watch);
	args_text(&args, digest);
	args_text(&args, error);
	return op_send(op, &script_watch_seen, &args, STORE_TIMEOUT_MS);
}

struct store_op *
store_watch_told(struct store *store, const struct strings *names, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "followed tags");
	struct args args = { 0 };

	op->fn.done = fn;
	for (size_t i = 0; i < names->count; i++)
		args_text(&args, names->items[i]);
	return op_send(op, &script_watch_told, &args, STORE_TIMEOUT_MS);
}
