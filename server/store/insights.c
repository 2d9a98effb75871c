/* The figures by day, of which proto/insights.h makes sense. */
#include <stdlib.h>

#include "proto/mem.h"
#include "server/io/redis.h"
#include "server/store/op.h"

static void
read_day(struct insights *insights, const struct redis_reply *row)
{
	size_t count = redis_reply_count(row) - 1;
	struct str *counts = xcalloc(count + 1, sizeof(*counts));

	for (size_t i = 0; i < count; i++)
		counts[i] = redis_reply_str(redis_reply_at(row, 1 + i));
	insights_add_day(insights, redis_reply_str(redis_reply_at(row, 0)), counts, count);
	free(counts);
}

static void
read_insights(const struct redis_reply *row, struct insights *ret)
{
	ret->repo = str_dup(redis_reply_str(redis_reply_at(row, 0)));
	ret->environment = str_dup(redis_reply_str(redis_reply_at(row, 1)));
	for (size_t i = 2; i < redis_reply_count(row); i++)
		read_day(ret, redis_reply_at(row, i));
}

static void
answer_insights(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct insights_list list = { 0 };
	struct err failure;

	if ((err = op_failure(op, reply, err, &failure)) == NULL) {
		list.count = redis_reply_count(reply) - 1;
		list.items = xcalloc(list.count + 1, sizeof(*list.items));
		for (size_t i = 0; i < list.count; i++)
			read_insights(redis_reply_at(reply, 1 + i), &list.items[i]);
	}
	op->fn.insights(op->arg, list, err);
}

struct store_op *
store_insights(struct store *store, const char *repo, unsigned days, unsigned most, store_insights_fn *fn, void *arg)
{
	struct store_op *op =
	    op_new(store, answer_insights, arg, "repository %.*s", REPO_ID_MAX, repo != NULL ? repo : "");
	struct args args = { 0 };

	op->fn.insights = fn;
	if (repo != NULL && !repo_id_is_valid(repo))
		op_answer_later(op, err_make(ERR_NOT_FOUND, 0, "there is no such thing"));
	args_text(&args, repo);
	args_int(&args, days < INSIGHTS_DAYS_MAX ? days : INSIGHTS_DAYS_MAX);
	args_int(&args, most);
	return op_send(op, &script_insights, &args, STORE_TIMEOUT_MS);
}
