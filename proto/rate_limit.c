#include "proto/rate_limit.h"

/* -1: there is no such header, or it is no number. */
static int64_t
number_of(const struct http1_head *reply, const char *name)
{
	struct str rest = http1_value(reply, name), first = str_cut(&rest, ';');
	uint64_t n;

	return str_to_u64(str_trim(first), INT64_MAX, &n) ? (int64_t)n : -1;
}

bool
rate_limit_read(const struct http1_head *reply, struct rate_limit *ret)
{
	*ret = (struct rate_limit){ number_of(reply, "RateLimit-Limit"), number_of(reply, "RateLimit-Remaining"), 0 };
	if (reply->status == 429) {
		int64_t wait = number_of(reply, "Retry-After");

		ret->remaining = 0;
		ret->wait_s = wait > 0 ? wait : RATE_LIMIT_WAIT_S;
	}
	return ret->remaining >= 0;
}

bool
rate_limit_is_short(const struct rate_limit *limit)
{
	return limit->remaining == 0 || (limit->limit > 0 && limit->remaining <= limit->limit / 10);
}
