#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/store/op.h"

struct store_op *
store_access_token_put(struct store *store, const struct access_token *token, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "token %.*s", REPO_ID_MAX, token->name);
	struct args args = { 0 };

	op->fn.done = fn;
	if (!access_token_name_is_valid(token->name)) {
		op_answer_later(
		    op, err_make(ERR_INPUT, 0,
			    "a token's name is 1 to %d of a-z 0-9 . _ -, and not " ACCESS_TOKEN_ADMIN, REPO_ID_MAX));
		return op;
	}
	args_text(&args, token->name);
	args_int(&args, STORE_ACCESS_TOKENS_MAX);
	args_record(&args, &access_token_settings_record, token, true);
	return op_send(op, &script_access_token_put, &args, STORE_TIMEOUT_MS);
}

struct store_op *
store_access_token_delete(struct store *store, const char *name, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "token %.*s", REPO_ID_MAX, name);
	struct args args = { 0 };

	op->fn.done = fn;
	if (!access_token_name_is_valid(name)) {
		op_answer_later(op, err_make(ERR_NOT_FOUND, 0, "there is no such token"));
		return op;
	}
	args_text(&args, name);
	return op_send(op, &script_access_token_delete, &args, STORE_TIMEOUT_MS);
}

static void
answer_tokens(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct access_token_list list = { 0 };
	struct err failure;

	if ((err = op_failure(op, NULL, err, &failure)) == NULL) {
		list.items = xcalloc(redis_reply_count(reply) + 1, sizeof(*list.items));
		for (size_t i = 0; i < redis_reply_count(reply); i++) {
			struct access_token *token = &list.items[list.count++];

			record_read(&access_token_record, redis_reply_at(reply, i), token);
			record_no_nulls(&access_token_record, token);
		}
	}
	op->fn.access_tokens(op->arg, list, err);
}

struct store_op *
store_access_tokens(struct store *store, store_access_tokens_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_tokens, arg, "tokens");
	struct args args = { 0 };

	op->fn.access_tokens = fn;
	return op_send(op, &script_access_tokens, &args, STORE_TIMEOUT_MS);
}
