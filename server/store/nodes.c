#include <stdio.h>

#include "server/store/op.h"

static void
answer_register(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	int64_t epoch = redis_reply_int(redis_reply_at(reply, 1), 0);
	struct err failure;

	if ((err = op_failure(op, reply, err, &failure)) == NULL)
		snprintf(op->store->epoch, sizeof(op->store->epoch), "%lld", (long long)epoch);
	op->fn.number(op->arg, epoch, err);
}

struct store_op *
store_node_register(struct store *store, const struct store_node *node, store_number_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_register, arg, "node %.*s", REPO_ID_MAX, store->conf.node);
	struct args args = { 0 };

	op->fn.number = fn;
	store->epoch[0] = '\0'; /* an attempt whose answer was lost is no newer process */
	args_text(&args, store->conf.node);
	args_text(&args, node->url);
	args_text(&args, node->version);
	args_text(&args, node->engines);
	args_text(&args, node->labels);
	args_text(&args, store->process);
	op_send(op, &script_node_register, &args, STORE_TIMEOUT_MS);
	return op;
}

/* clang-format off */
static const struct field stats_fields[] = {
	{ "repos",    FIELD_INT, offsetof(struct store_stats, repos) },
	{ "builds",   FIELD_INT, offsetof(struct store_stats, builds) },
	{ "planning", FIELD_INT, offsetof(struct store_stats, planning) },
	{ "queued",   FIELD_INT, offsetof(struct store_stats, queued) },
	{ "held",     FIELD_INT, offsetof(struct store_stats, held) },
	{ "delayed",  FIELD_INT, offsetof(struct store_stats, delayed) },
	{ "running",  FIELD_INT, offsetof(struct store_stats, running) },
	{ "outbox",   FIELD_INT, offsetof(struct store_stats, outbox) },
	{ "dead",     FIELD_INT, offsetof(struct store_stats, dead) },
	{ "nodes",    FIELD_INT, offsetof(struct store_stats, nodes) },
};
/* clang-format on */

static const struct record stats_record = { stats_fields, sizeof(stats_fields) / sizeof(stats_fields[0]) };

static void
answer_stats(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct store_stats stats = { 0 };
	struct err failure;

	err = op_failure(op, NULL, err, &failure);
	record_read(&stats_record, reply, &stats);
	op->fn.stats(op->arg, err == NULL ? &stats : NULL, err);
}

struct store_op *
store_stats(struct store *store, store_stats_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_stats, arg, "statistics");
	struct args args = { 0 };

	op->fn.stats = fn;
	op_send(op, &script_stats, &args, STORE_TIMEOUT_MS);
	return op;
}
