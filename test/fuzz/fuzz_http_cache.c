/* Two heads, a request's and behind it a reply's, as a cache meets them: a selection that was printed matches the
 * request that it was printed of; ages and lifetimes stay within their bounds; what may be served fresh is younger than
 * its lifetime, unless the request takes old ones; a date that is read is written as the same again. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "proto/http_cache.h"
#include "proto/http_condition.h"
#include "proto/http_date.h"
#include "proto/http_vary.h"
#include "proto/range.h"

#define NOW 1700000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
check_vary(const struct http1_head *request, const struct http1_head *reply)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	if (http_vary_print(&b, request, reply, NULL))
		must(http_vary_matches(buf_str(&b), request));
	if (!buf_failed(&b) && http_vary_speaks(buf_str(&b), request, http1_value(reply, "Content-Language")))
		must(http1_find(request, "Accept-Language") != NULL);
	buf_fini(&b);
}

static void
check_date(struct str text)
{
	char again[HTTP1_DATE_SIZE];
	int64_t at, read;

	if (!http_date_parse(text, NOW, &at))
		return;
	http1_date((time_t)at, again);
	must(http_date_parse(str_of(again), NOW, &read) && read == at);
}

static void
check_fresh(const struct http1_head *request, const struct http1_head *reply)
{
	const struct http_cache_times times = { NOW - 1, NOW };
	int64_t age = http_cache_age(reply, &times, NOW + 5), lifetime = http_cache_lifetime(reply, NOW);
	struct cache_control asked, cc;

	must(age >= 0 && age <= CACHE_CONTROL_MAX && lifetime >= 0 && lifetime <= CACHE_CONTROL_MAX);
	cache_control_read(request, &asked);
	cache_control_read(reply, &cc);
	if (http_cache_judge(request, reply, &times, NOW + 5) != HTTP_CACHE_FRESH)
		return;
	must(age < lifetime || asked.max_stale != CACHE_CONTROL_NONE);
	must(!cc.no_cache && !asked.no_cache);
}

static void
check_range(struct str text)
{
	uint64_t start, end, size;

	if (range_parse(text, 1000, &start, &end) > 0)
		must(start < end && end <= 1000);
	if (range_parse_content(text, &start, &end, &size))
		must(start < end && end <= size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	struct http1_scan scan = { 0 }, reply_scan = { 0 };
	struct http1_head request, reply;

	if (http1_parse_request(&scan, text, NULL, &request) != HTTP1_DONE)
		return 0;
	text = (struct str){ text.p + request.used, text.len - request.used };
	if (http1_parse_reply(&reply_scan, text, NULL, &reply) != HTTP1_DONE)
		return 0;
	check_vary(&request, &reply);
	check_fresh(&request, &reply);
	for (size_t i = 0; i < reply.header_count; i++) {
		check_date(reply.headers[i].value);
		check_range(reply.headers[i].value);
	}
	http_condition_judge(&request, &reply, NOW);
	if (http_cache_may_store(&request, &reply))
		must(reply.status >= 200 && reply.status != 206);
	return 0;
}
