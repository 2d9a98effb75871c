#include "server/controller/idempotency.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/crypto.h"
#include "proto/json.h"
#include "proto/mem.h"
#include "server/core/log.h"
#include "server/store/idempotency.h"

#define HEADER "Idempotency-Key"

struct idempotency {
	struct store *store;
	uint64_t claims;
	LIST_HEAD(, keyed) requests;
	unsigned count;
};

/* A request with a key: claimed, worked on, recorded. op and reply say which: the claim has both, the work has the
 * reply, the record has the op. */
struct keyed {
	LIST_ENTRY(keyed) link;
	struct idempotency *owner;
	struct idempotency_claim claim; /* its texts are owned */
	struct http_reply *reply;
	struct store_op *op;
	route_fn *handler;
	void *arg;
};

struct idempotency *
idempotency_new(struct store *store)
{
	struct idempotency *idempotency = xcalloc(1, sizeof(*idempotency));

	idempotency->store = store;
	return idempotency;
}

static void
keyed_free(struct keyed **keyed)
{
	struct keyed *k = *keyed;

	*keyed = NULL;
	assert(k->op == NULL && k->reply == NULL);
	LIST_REMOVE(k, link);
	k->owner->count--;
	free((char *)k->claim.who);
	free((char *)k->claim.key);
	free((char *)k->claim.claim);
	free(k);
}

/* The handler hears now that its client is gone; it drops the reply. */
static void
give_up(struct keyed **keyed)
{
	struct keyed *k = *keyed;
	struct http_reply *reply = k->reply;
	bool works = k->op == NULL;

	store_cancel(&k->op);
	k->reply = NULL;
	keyed_free(keyed);
	if (reply == NULL)
		return;
	reply_on_answered(reply, NULL, NULL);
	if (works)
		reply_abandon(reply);
	else
		reply_drop(&reply);
}

void
idempotency_free(struct idempotency **idempotency)
{
	struct idempotency *i = *idempotency;
	struct keyed *k;

	if (i == NULL)
		return;
	*idempotency = NULL;
	while ((k = LIST_FIRST(&i->requests)) != NULL)
		give_up(&k);
	free(i);
}

/* --- the request --- */

bool
idempotency_concerns(const struct http_request *request)
{
	return request->method != HTTP1_GET && request->method != HTTP1_HEAD && request->method != HTTP1_OPTIONS &&
	       request_header(request, HEADER).len > 0;
}

/* A string of RFC 8941, in quotes; many leave these out. */
static struct str
read_key(const struct http_request *request)
{
	struct str key = request_header(request, HEADER);

	if (key.len >= 2 && key.p[0] == '"' && key.p[key.len - 1] == '"')
		return (struct str){ key.p + 1, key.len - 2 };
	return key;
}

/* A NUL is in none of the parts but the body, which is the last. */
static void
digest_request(const struct http_request *request, char ret[SHA256_HEX_SIZE])
{
	const struct str parts[] = { str_of(http1_method_name(request->method)), str_of(request->path),
		request->query };
	struct digest *digest = digest_new(DIGEST_SHA256);

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		digest_add(digest, parts[i]);
		digest_add(digest, (struct str){ "", 1 });
	}
	digest_add(digest, (struct str){ request->body, request->body_len });
	digest_finish(&digest, ret);
}

static struct keyed *
keyed_new(struct idempotency *owner, struct http_reply *reply, struct str key)
{
	const struct http_request *request = reply_request(reply);
	struct keyed *k = xcalloc(1, sizeof(*k));

	k->owner = owner;
	k->reply = reply;
	k->claim.who = xstrdup(request->who);
	k->claim.key = str_dup(key);
	k->claim.claim = xasprintf("%s.%" PRIu64, store_process(owner->store), ++owner->claims);
	digest_request(request, k->claim.request);
	LIST_INSERT_HEAD(&owner->requests, k, link);
	owner->count++;
	return k;
}

/* --- the first time --- */

static void
on_recorded(void *arg, const struct err *err)
{
	struct keyed *k = arg;

	k->op = NULL;
	if (err != NULL)
		log_warn("the answer to a request of %s is not kept for its repetition: %s", k->claim.who, err->text);
	keyed_free(&k);
}

/* As the record has it. Who was asked to come again with 429 is not told so for ever; what failed here (5xx) may have
 * been done or not. */
static int
recorded_status(const struct reply_answer *answer)
{
	if (answer == NULL)
		return STORE_IDEMPOTENCY_UNANSWERED;
	return answer->status == 429 ? STORE_IDEMPOTENCY_REFUSED : (int)answer->status;
}

/* The answer does not wait for its record: who asks again before that is told to wait. */
static void
on_answered(void *arg, const struct reply_answer *answer)
{
	struct keyed *k = arg;
	int status = recorded_status(answer);
	struct buf text;

	k->reply = NULL;
	buf_init(&text, STORE_IDEMPOTENCY_ANSWER_MAX);
	if (answer != NULL) {
		buf_addstr(&text, answer->head);
		buf_addstr(&text, answer->body);
	}
	if (buf_failed(&text))
		buf_reset(&text);
	k->op = store_idempotency_answer(k->owner->store, &k->claim, status, buf_str(&text), on_recorded, k);
	buf_fini(&text);
}

/* --- the next times --- */

/* Of this process it is known for sure. */
static bool
is_under_way(const struct idempotency *idempotency, const struct idempotency_held *held)
{
	const char *process = store_process(idempotency->store);
	const struct keyed *k;

	if (strncmp(held->claim, process, strlen(process)) != 0)
		return held->may_be_under_way;
	LIST_FOREACH(k, &idempotency->requests, link)
	if (strcmp(k->claim.claim, held->claim) == 0)
		return true;
	return false;
}

/* What failed is not told again as it was: who gets a 503 is to come again, and would for ever. */
static void
answer_failure(struct http_reply **reply, const struct idempotency_held *held)
{
	const char *body = held->answer != NULL ? strstr(held->answer, "\r\n\r\n") : NULL, *why = "";
	struct json *doc = NULL;

	if (body != NULL && json_parse(str_of(body + 4), NULL, &doc, NULL))
		why = json_string(json_path(json_root(doc), "error.message"), "");
	reply_error(reply, 409, "answer_lost",
	    "this request failed with %d before (%s) and may have been done: look, and send it with another " HEADER
	    " if it was not",
	    held->status, why);
	json_free(&doc);
}

static void
answer_again(struct keyed *k, const struct idempotency_held *held)
{
	struct http_reply **reply = &k->reply;

	if (held->request != NULL && strcmp(held->request, k->claim.request) != 0) {
		reply_error(
		    reply, 422, "key_reused", "this " HEADER " came with another request before: send one of your own");
	} else if (held->status >= 500) {
		answer_failure(reply, held);
	} else if (held->answer != NULL) {
		reply_header(*reply, "Idempotent-Replayed", "true");
		reply_send_again(reply, (unsigned)held->status, str_of(held->answer));
	} else if (held->status != 0) {
		reply_error(reply, 409, "answer_not_kept",
		    "this request came before and was answered %d; what else the answer said is not kept",
		    held->status);
	} else if (is_under_way(k->owner, held)) {
		reply_header(*reply, "Retry-After", "1");
		reply_error(reply, 409, "under_way",
		    "this request came before and is still being done: ask again for its answer");
	} else {
		reply_error(reply, 409, "answer_lost",
		    "this request came before and may have been done, but its answer was lost: look, and send it with "
		    "another " HEADER " if it was not");
	}
}

static void
on_claimed(void *arg, const struct idempotency_held *held, const struct err *err)
{
	struct keyed *k = arg;

	k->op = NULL;
	if (err == NULL && held == NULL) {
		reply_on_answered(k->reply, on_answered, k);
		k->handler(k->arg, k->reply); /* last: k may be gone */
		return;
	}
	if (err != NULL)
		reply_err(&k->reply, err);
	else
		answer_again(k, held);
	keyed_free(&k);
}

void
idempotency_begin(struct idempotency *idempotency, struct http_reply *reply, route_fn *handler, void *arg)
{
	struct str key = read_key(reply_request(reply));
	struct keyed *k;

	if (!idempotency_key_is_valid(key)) {
		reply_error(&reply, 400, "input", HEADER " is 1 to %d visible characters of ASCII, without \" and \\",
		    STORE_IDEMPOTENCY_KEY_MAX);
	} else if (idempotency->count >= IDEMPOTENCY_REQUESTS_MAX) {
		reply_error(&reply, 503, "unavailable", "too many requests with an " HEADER " are under way");
	} else {
		k = keyed_new(idempotency, reply, key);
		k->handler = handler;
		k->arg = arg;
		k->op = store_idempotency_claim(idempotency->store, &k->claim, on_claimed, k);
	}
}
