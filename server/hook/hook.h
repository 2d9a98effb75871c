/* The Hook: a webhook's request becomes a build. It finds the repository, checks the signature, decodes the payload
 * (proto/hook.h) and submits the change; the 202 goes out when the build is on Redis's disk. Nothing else stands before
 * it: no forge is asked, no git runs. Nothing is written for a request whose signature is not right.
 *
 *   202 {"build": 17}                            200 {"build": 17, "duplicate": true}: it was sent before
 *   200 {"ignored": "a branch was deleted"}      200 {"ping": "pong"}
 *   401 signature   404 repository   409 the delivery's id came with another body   413, 415, 422 body
 *   503 within a second, with Retry-After, when Redis is away or too much waits: the forge records a failure
 * Errors are {"error": {"code": "auth", "message": "..."}}. */
#ifndef DAVIT_HOOK_H
#define DAVIT_HOOK_H

#include <stdint.h>

#include "proto/hook.h"
#include "proto/str.h"

struct disk;
struct hook;
struct hook_op;
struct loop;
struct store;

/* All three must outlive the hook. A large body is checked and parsed in one of the disk's threads. */
struct hook *hook_new(struct loop *loop, struct disk *disk, struct store *store);
/* Drops what is in flight; who still waits is not called back. Accepts NULL inside. */
void hook_free(struct hook **hook);

struct hook_answer {
	unsigned status;
	unsigned retry_after_s; /* of a 503; otherwise 0 */
	const char *json;       /* for the callback's duration */
};

typedef void hook_answer_fn(void *arg, const struct hook_answer *answer);

/* A request to /hook/REPO. headers are borrowed until the callback runs or hook_cancel is called; body is the hook's
 * from now on: free(). */
struct hook_op *hook_receive(struct hook *hook, const char *repo, const struct hook_headers *headers, char *body,
    size_t body_len, hook_answer_fn *fn, void *arg);
/* The client is gone: no callback. A change that is being submitted already is submitted. Accepts NULL inside. */
void hook_cancel(struct hook_op **op);

/* Since the start, for /metrics. */
struct hook_counts {
	uint64_t builds;
	uint64_t duplicates;
	uint64_t ignored; /* pings included */
	uint64_t refused; /* 4xx */
	uint64_t unavailable;
};

struct hook_counts hook_counts(const struct hook *hook);

#endif
