/* What a shared cache may do with a reply (RFC 9111): store it, for how long it is fresh, how old it is. Pure: the
 * clock is an argument, in seconds since 1970. */
#ifndef DAVIT_PROTO_HTTP_CACHE_H
#define DAVIT_PROTO_HTTP_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/cache_control.h"
#include "proto/http1.h"

/* When a stored reply was asked for, and when its head came. */
struct http_cache_times {
	int64_t requested;
	int64_t received;
};

/* Section 3, for a reply to a GET. */
bool http_cache_may_store(const struct http1_head *request, const struct http1_head *reply);
/* RFC 9110 section 9.3.3, for a reply to a POST whose Content-Location says that it is what a GET would get: that
 * counts when it says for how long, too. */
bool http_cache_may_store_post(const struct http1_head *request, const struct http1_head *reply);
/* Section 4.2.1 and, without an explicit lifetime, a tenth of the time since Last-Modified, at most a day. */
int64_t http_cache_lifetime(const struct http1_head *reply, int64_t received);
/* Section 4.2.3; CACHE_CONTROL_MAX when an Age cannot be read, so that the reply counts as stale. */
int64_t http_cache_age(const struct http1_head *reply, const struct http_cache_times *times, int64_t now);

enum http_cache_verdict {
	HTTP_CACHE_FRESH,      /* serve it */
	HTTP_CACHE_REVALIDATE, /* ask the upstream first */
	HTTP_CACHE_BEHIND,     /* serve it, and ask the upstream meanwhile (stale-while-revalidate) */
};

/* Section 4: may the stored reply answer the request? */
enum http_cache_verdict http_cache_judge(const struct http1_head *request, const struct http1_head *reply,
    const struct http_cache_times *times, int64_t now);
/* Section 4.2.4: may it be served though the upstream cannot be asked? For stale-if-error seconds where the reply says
 * so, else for grace seconds beyond its lifetime. */
bool http_cache_may_serve_stale(
    const struct http1_head *reply, const struct http_cache_times *times, int64_t now, int64_t grace);

/* A header that is of one connection, not of the message (RFC 9110 section 7.6.1). */
bool http_cache_is_hop_header(const struct http1_head *head, struct str name);
/* A header that a 304 does not replace in what is stored (RFC 9111 section 3.2). */
bool http_cache_is_kept(struct str name);

#endif
