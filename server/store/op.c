#include "server/store/op.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/core/loop.h"

struct store_op *
op_new(struct store *store, store_answer_fn *answer, void *arg, const char *what, ...)
{
	struct store_op *op = xcalloc(1, sizeof(*op));
	va_list ap;

	op->store = store;
	op->answer = answer;
	op->arg = arg;
	va_start(ap, what);
	vsnprintf(op->what, sizeof(op->what), what, ap);
	va_end(ap);
	store->ops++;
	return op;
}

static void
nonce_lost(struct store_op *op)
{
	if (op->lost != NULL && op->lost->count < STORE_NONCES)
		strcpy(op->lost->text[op->lost->count++], op->nonce);
}

static void
op_free(struct store_op *op)
{
	redis_cancel(&op->redis);
	deferred_cancel(&op->deferred);
	op->store->ops--;
	free(op);
}

static void
op_end(struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct store_op copy = *op;

	if (err != NULL && (err->code == ERR_UNAVAILABLE || err->code == ERR_TIMEOUT))
		nonce_lost(op);
	op_free(op);
	copy.answer(&copy, reply, err);
}

static void
on_reply(void *arg, const struct redis_reply *reply, const struct err *err)
{
	struct store_op *op = arg;

	op->redis = NULL;
	if (err != NULL && err->code == ERR_CONFLICT)
		store_fenced(op->store);
	op_end(op, reply, err);
}

static void
on_known(void *arg)
{
	struct store_op *op = arg;
	struct err err = op->err;

	op->deferred = NULL;
	op_end(op, NULL, err.code != ERR_NONE ? &err : NULL);
}

struct store_op *
op_send(struct store_op *op, const struct redis_script *script, struct args *args, int64_t timeout_ms)
{
	const struct str key = str_of(op->store->node_key);
	struct redis_args all;

	if (op->deferred == NULL) {
		args_text(args, op->store->epoch);
		all = (struct redis_args){ &key, 1, args->items, args->count };
		op->redis = redis_script(op->store->redis, script, &all, timeout_ms, on_reply, op);
	}
	args_fini(args);
	return op;
}

void
op_answer_later(struct store_op *op, struct err err)
{
	op->err = err;
	op->deferred = deferred_call(op->store->loop, on_known, op);
}

void
store_cancel(struct store_op **op)
{
	struct store_op *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	nonce_lost(o);
	repo_free(&o->repo);
	op_free(o);
}

struct str
reply_word(const struct redis_reply *reply)
{
	return redis_reply_str(redis_reply_at(reply, 0));
}

const struct err *
op_failure(const struct store_op *op, const struct redis_reply *reply, const struct err *err, struct err *ret)
{
	static const struct {
		const char *word;
		enum err_code code;
		const char *text;
	} words[] = {
		{ "none", ERR_NOT_FOUND, "there is no such thing" },
		{ "stale", ERR_CONFLICT, "it is no longer ours: the claim's token is stale" },
		{ "final", ERR_CONFLICT, "it has ended already" },
		{ "open", ERR_CONFLICT, "a build is not finished" },
		{ "many", ERR_LIMIT, "there are too many of them already" },
		{ "exists", ERR_CONFLICT, "there is one of that name already" },
		{ "deploying", ERR_CONFLICT, "something is being deployed there" },
		{ "second", ERR_INPUT, "another build of an image was the repository's first" },
		{ "first", ERR_CONFLICT, "nothing else was deployed there before" },
		{ "no_deploy", ERR_NOT_FOUND, "no job of it deploys there" },
		{ "lacks", ERR_CONFLICT,
		    "what deploys there wants a variable that the event of this build does not have" },
		{ "begun", ERR_CONFLICT, "it does not wait for an approval" },
		{ "nothing", ERR_CONFLICT, "nothing of it has failed" },
		{ "full", ERR_LIMIT, "too many builds wait to be planned" },
	};
	struct str word = reply_word(reply);

	if (err != NULL) {
		*ret = err_prefix(*err, "%s", op->what);
		return ret;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_is(word, words[i].word)) {
			*ret = err_make(words[i].code, 0, "%s: %s", op->what, words[i].text);
			return ret;
		}
	return NULL;
}

void
answer_done(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct err failure;

	op->fn.done(op->arg, op_failure(op, reply, err, &failure));
}

void
answer_number(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct err failure;

	if ((err = op_failure(op, reply, err, &failure)) != NULL)
		op->fn.number(op->arg, 0, err);
	else
		op->fn.number(op->arg, redis_reply_int(redis_reply_at(reply, 1), 0), NULL);
}

void
op_claim_args(struct store_op *op, struct nonces *lost, struct args *args)
{
	struct store *store = op->store;

	op->lost = lost;
	if (lost->count > 0)
		strcpy(op->nonce, lost->text[--lost->count]);
	else
		random_hex(op->nonce, (NONCE_HEX_SIZE - 1) / 2);
	args_text(args, store->conf.node);
	args_text(args, op->nonce);
	args_int(args, store->conf.lease_ms);
}
