/* What is remembered of requests that carry a key (the header Idempotency-Key), so that each is done once: who has it,
 * and what it was answered. The claim is on disk before the work begins, so a daemon that dies leaves word of it. */
#ifndef DAVIT_STORE_IDEMPOTENCY_H
#define DAVIT_STORE_IDEMPOTENCY_H

#include "proto/crypto.h"
#include "server/store/store.h"

#define STORE_IDEMPOTENCY_KEY_MAX 128
#define STORE_IDEMPOTENCY_MS (10 * 60 * 1000)  /* how long a claim is remembered, and from its answer on once more */
#define STORE_IDEMPOTENCY_WORK_MS (120 * 1000) /* then a claim of another daemon is not taken for under way any more \
						*/
#define STORE_IDEMPOTENCY_ANSWER_MAX (64 * 1024)
#define STORE_IDEMPOTENCY_CALLER_MAX 10000 /* keys of one caller */

/* Visible ASCII without " and \, and not too long. */
bool idempotency_key_is_valid(struct str key);

struct idempotency_claim {
	const char *who;               /* the caller's name */
	const char *key;               /* a valid one */
	const char *claim;             /* unique to this request: begins with store_process() and a dot */
	char request[SHA256_HEX_SIZE]; /* a digest of all that it asks for */
};

/* What stands there already. Good during the callback. */
struct idempotency_held {
	const char *claim;
	const char *request; /* its digest; NULL: the seal key was changed since */
	int status;          /* of the answer; 0: there is none */
	const char *answer;  /* NULL: it is not kept */
	bool may_be_under_way;
};

/* held NULL: the key is the claim's from now on. ERR_LIMIT: the caller has too many. */
typedef void store_idempotency_fn(void *arg, const struct idempotency_held *held, const struct err *err);
struct store_op *store_idempotency_claim(
    struct store *store, const struct idempotency_claim *claim, store_idempotency_fn *fn, void *arg);
/* The claim's request was answered so. Of an answer that is too long, or no text, the status alone is kept.
 * ERR_CONFLICT: the key is no longer the claim's. */
#define STORE_IDEMPOTENCY_UNANSWERED 0 /* as status: it has ended without an answer */
#define STORE_IDEMPOTENCY_REFUSED (-1) /* likewise: nothing was done, and who sends it again is the first */
struct store_op *store_idempotency_answer(struct store *store, const struct idempotency_claim *claim, int status,
    struct str answer, store_done_fn *fn, void *arg);

#endif
