/* Requests that change something and carry a key, in the header Idempotency-Key (draft-ietf-httpapi-idempotency-key-
 * header): each is done once, however often it comes, and who sends it again has the answer of the first time.
 *
 * The key is claimed in Redis, for the caller, before the handler is called, and the answer goes there as it goes to
 * the client. While there is none, a repetition is told so (409 with Retry-After); where the process died over it, that
 * it may have been done (409). A key that came with another request is 422. The work is done to its end even when the
 * client leaves, since the next one may come for the answer. */
#ifndef DAVIT_CONTROLLER_IDEMPOTENCY_H
#define DAVIT_CONTROLLER_IDEMPOTENCY_H

#include <stdbool.h>

#include "server/controller/router.h"

struct idempotency;
struct store;

#define IDEMPOTENCY_REQUESTS_MAX 1024 /* at the same time; more is 503 */

struct idempotency *idempotency_new(struct store *store);
/* Ends what is under way, as if its clients had left. Their connections are gone already. */
void idempotency_free(struct idempotency **idempotency);
/* Whether the request carries a key that counts. */
bool idempotency_concerns(const struct http_request *request);
/* Calls the handler, now or later, or answers. */
void idempotency_begin(struct idempotency *idempotency, struct http_reply *reply, route_fn *handler, void *arg);

#endif
