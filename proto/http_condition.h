/* Preconditions of requests (RFC 9110 section 13) against the validators of what would be served. */
#ifndef DAVIT_PROTO_HTTP_CONDITION_H
#define DAVIT_PROTO_HTTP_CONDITION_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/http1.h"

enum http_condition {
	HTTP_CONDITION_SERVE,
	HTTP_CONDITION_NOT_MODIFIED, /* 304 */
	HTTP_CONDITION_FAILED,       /* 412 */
};

/* Of a GET or HEAD, in the order of section 13.2.2. now: seconds since 1970. */
enum http_condition http_condition_judge(const struct http1_head *request, const struct http1_head *reply, int64_t now);
/* Whether Range counts: there is no If-Range, or it names this reply by a strong ETag or by its very Last-Modified. */
bool http_condition_ranges(const struct http1_head *request, const struct http1_head *reply);
/* The reply's ETag when it is a strong one, else its Last-Modified, else empty: what If-Range can say of it. */
struct str http_condition_strong(const struct http1_head *reply);
/* The reply's Last-Modified, when If-Modified-Since with it can tell a later version from this one; else empty: what
 * was changed in the second of the reply, or the one before it, may be changed again in that second. */
struct str http_condition_date(const struct http1_head *reply);

#endif
