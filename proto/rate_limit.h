/* What a server says of its limits on requests: "RateLimit-Limit: 100;w=21600" and "RateLimit-Remaining: 76;w=21600",
 * as Docker Hub has them (draft-polli-ratelimit-headers-02), and Retry-After in seconds (RFC 9110 section 10.2.3). */
#ifndef DAVIT_PROTO_RATE_LIMIT_H
#define DAVIT_PROTO_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/http1.h"

#define RATE_LIMIT_WAIT_S 60 /* where a 429 does not say */

struct rate_limit {
	int64_t limit;     /* of requests in a window; -1: not told */
	int64_t remaining; /* of them; 0 when the reply is 429 */
	int64_t wait_s;    /* what a 429 asks for; 0: it is none */
};

/* False: the reply says nothing of limits. */
bool rate_limit_read(const struct http1_head *reply, struct rate_limit *ret);
/* Whether what remains, a tenth or less, had better be kept for what cannot wait. */
bool rate_limit_is_short(const struct rate_limit *limit);

#endif
