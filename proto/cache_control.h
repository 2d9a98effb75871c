/* The header Cache-Control of requests and replies (RFC 9111 section 5.2, RFC 5861). */
#ifndef DAVIT_PROTO_CACHE_CONTROL_H
#define DAVIT_PROTO_CACHE_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/http1.h"

#define CACHE_CONTROL_NONE (-1) /* the directive is not there */
#define CACHE_CONTROL_MAX INT32_MAX

/* Seconds, or CACHE_CONTROL_NONE. A malformed number is 0, which is the careful reading of each but max_stale; of two
 * that differ the smaller counts. */
struct cache_control {
	int64_t max_age;
	int64_t s_maxage;
	int64_t max_stale; /* CACHE_CONTROL_MAX without a value */
	int64_t min_fresh;
	int64_t stale_while_revalidate;
	int64_t stale_if_error;
	bool no_cache; /* also with a list of names, which is rarer than worth telling apart */
	bool no_store;
	bool only_if_cached;
	bool is_public;
	bool is_private;
	bool must_revalidate;
	bool proxy_revalidate;
	bool must_understand;
	bool immutable;
};

/* Of all headers of that name. */
void cache_control_read(const struct http1_head *head, struct cache_control *ret);

#endif
