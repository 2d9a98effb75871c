#include "server/store/idempotency.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/store/op.h"

bool
idempotency_key_is_valid(struct str key)
{
	for (size_t i = 0; i < key.len; i++)
		if (key.p[i] <= ' ' || key.p[i] > '~' || key.p[i] == '"' || key.p[i] == '\\')
			return false;
	return key.len > 0 && key.len <= STORE_IDEMPOTENCY_KEY_MAX;
}

/* Requests and answers have secrets in them. They are sealed for their claim, which only they are told with. */
static char *
place_of(const char *claim, const char *what)
{
	return xasprintf("davit:idempotency %s %s", claim, what);
}

static char *
seal(const struct store *store, const char *claim, const char *what, const char *clear)
{
	char *place = place_of(claim, what), *sealed = store_seal(store, place, clear);

	free(place);
	return sealed;
}

/* NULL when it does not open, or there is none. */
static char *
unseal(const struct store *store, const char *claim, const char *what, struct str sealed)
{
	char *place = place_of(claim, what), *text = str_dup(sealed);
	struct err ignored;

	if (text[0] == '\0' || !store_unseal(store, place, &text, NULL, &ignored)) {
		free(text);
		text = NULL;
	}
	free(place);
	return text;
}

static void
answer_held(const struct store_op *op, const struct redis_reply *reply)
{
	const char *claim = redis_reply_str(redis_reply_at(reply, 1)).p;
	char *request = unseal(op->store, claim, "request", redis_reply_str(redis_reply_at(reply, 2)));
	char *answer = unseal(op->store, claim, "answer", redis_reply_str(redis_reply_at(reply, 4)));
	struct idempotency_held held = { .claim = claim,
		.request = request,
		.status = (int)redis_reply_int(redis_reply_at(reply, 3), 0),
		.answer = answer,
		.may_be_under_way = redis_reply_int(redis_reply_at(reply, 5), 0) != 0 };

	op->fn.idempotency(op->arg, &held, NULL);
	crypto_wipe_free(&request);
	crypto_wipe_free(&answer);
}

static void
answer_claim(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct err failure;

	if ((err = op_failure(op, reply, err, &failure)) == NULL && str_is(reply_word(reply), "held"))
		answer_held(op, reply);
	else
		op->fn.idempotency(op->arg, NULL, err);
}

static struct store_op *
claim_op(
    struct store *store, store_answer_fn *answer, const struct idempotency_claim *claim, struct args *args, void *arg)
{
	*args = (struct args){ 0 };
	args_text(args, claim->who);
	args_text(args, claim->key);
	args_text(args, claim->claim);
	return op_new(store, answer, arg, "requests with a key of %.40s", claim->who);
}

struct store_op *
store_idempotency_claim(struct store *store, const struct idempotency_claim *claim, store_idempotency_fn *fn, void *arg)
{
	char *request = seal(store, claim->claim, "request", claim->request);
	struct args args;
	struct store_op *op = claim_op(store, answer_claim, claim, &args, arg);

	op->fn.idempotency = fn;
	args_text(&args, request);
	args_text(&args, store->conf.node);
	args_int(&args, STORE_IDEMPOTENCY_WORK_MS);
	args_int(&args, STORE_IDEMPOTENCY_MS);
	args_int(&args, STORE_IDEMPOTENCY_CALLER_MAX);
	op_send(op, &script_idempotency_claim, &args, STORE_TIMEOUT_MS);
	free(request);
	return op;
}

struct store_op *
store_idempotency_answer(struct store *store, const struct idempotency_claim *claim, int status, struct str answer,
    store_done_fn *fn, void *arg)
{
	bool is_kept = answer.len <= STORE_IDEMPOTENCY_ANSWER_MAX && memchr(answer.p, '\0', answer.len) == NULL;
	char *clear = str_dup(is_kept ? answer : STR("")), *sealed = seal(store, claim->claim, "answer", clear);
	struct args args;
	struct store_op *op = claim_op(store, answer_done, claim, &args, arg);

	op->fn.done = fn;
	args_int(&args, status);
	args_text(&args, sealed);
	args_int(&args, STORE_IDEMPOTENCY_MS);
	op_send(op, &script_idempotency_answer, &args, STORE_TIMEOUT_MS);
	free(sealed);
	crypto_wipe_free(&clear);
	return op;
}
