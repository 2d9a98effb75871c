/* The forges' APIs: posts commit statuses, with one HTTP client for each server, kept while it is used. proto/status.h
 * has the requests and what the answers mean; the async contract is that of server/core/loop.h. */
#ifndef DAVIT_NOTIFY_FORGES_H
#define DAVIT_NOTIFY_FORGES_H

#include "proto/status.h"
#include "server/core/loop.h"
#include "server/store/records.h"

struct forges;
struct forges_op;

#define FORGES_OPS_MAX 32 /* at a time (asserted) */

/* ca_file: PEM, of the authorities that may sign the servers'; NULL: the system's. NULL with *err set when it cannot be
 * used. timeout_ms is each post's. */
struct forges *forges_new(struct loop *loop, const char *ca_file, int64_t timeout_ms, struct err *err);
/* Every op must have ended (asserted); accepts NULL. */
void forges_free(struct forges **forges);

/* Whether there is somebody to tell: a kind with an API, and a token. */
bool forges_takes(const struct repo *repo);

/* repo and status are read before the function returns; judgement is good for the callback's duration. */
typedef void forges_fn(void *arg, const struct status_judgement *judgement);
struct forges_op *forges_post(
    struct forges *forges, const struct repo *repo, const struct status *status, forges_fn *fn, void *arg);
/* No callback from now on; accepts NULL inside. */
void forges_cancel(struct forges_op **op);

#endif
