/* What keeps requests from an upstream: the breaker, the pace, and what it says of its own limits. */
#include "test/unit/unit.h"

#include <stdio.h>

#include "proto/rate_limit.h"
#include "server/mirror/breaker.h"
#include "server/mirror/pace.h"

static void
fail_times(struct breaker *b, unsigned times, int64_t now)
{
	for (unsigned i = 0; i < times; i++)
		breaker_fail(b, now);
}

static void
test_breaker(void **state)
{
	struct breaker b = { 0 };

	(void)state;
	fail_times(&b, BREAKER_FAILURES - 1, 1000);
	assert_int_equal(breaker_ask(&b, 1000), BREAKER_GO);
	breaker_succeed(&b); /* in a row, that is */
	fail_times(&b, BREAKER_FAILURES - 1, 1000);
	assert_false(breaker_is_open(&b));
	breaker_fail(&b, 1000);
	assert_true(breaker_is_open(&b));
	fail_times(&b, 3, 1001); /* these were out already */
	assert_int_equal(breaker_ask(&b, 1000 + BREAKER_WAIT_MS - 1), BREAKER_REFUSE);
	assert_int_equal(breaker_ask(&b, 1000 + BREAKER_WAIT_MS), BREAKER_TRY);
	assert_int_equal(breaker_ask(&b, 1000 + BREAKER_WAIT_MS), BREAKER_REFUSE);
	breaker_give_up(&b);
	assert_int_equal(breaker_ask(&b, 1000 + BREAKER_WAIT_MS), BREAKER_TRY);
	breaker_fail(&b, 10000);
	assert_int_equal(breaker_ask(&b, 10000 + 2 * BREAKER_WAIT_MS - 1), BREAKER_REFUSE);
	assert_int_equal(breaker_ask(&b, 10000 + 2 * BREAKER_WAIT_MS), BREAKER_TRY);
	breaker_succeed(&b);
	assert_int_equal(breaker_ask(&b, 0), BREAKER_GO);
}

static void
test_breaker_waits_no_longer_than_that(void **state)
{
	struct breaker b = { 0 };
	int64_t now = 1;

	(void)state;
	fail_times(&b, BREAKER_FAILURES, now);
	for (int i = 0; i < 10; i++) {
		now += BREAKER_WAIT_MAX_MS;
		assert_int_equal(breaker_ask(&b, now), BREAKER_TRY);
		breaker_fail(&b, now);
	}
	assert_int_equal(b.until - now, BREAKER_WAIT_MAX_MS);
}

static void
test_pace(void **state)
{
	struct pace any = { 0 }, four = { .rate = 4 };
	int64_t now = 5000;
	unsigned gone = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(pace_take(&any, now), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pace_take(&four, now), 0);
	assert_int_equal(pace_take(&four, now), 250);
	assert_int_equal(pace_take(&four, now + 249), 1);
	assert_int_equal(pace_take(&four, now + 250), 0);
	for (now += 10000; now < 25000; now++) /* four at once, then evenly: 10 s */
		gone += pace_take(&four, now) == 0;
	assert_in_range(gone, 40, 44);
}

static struct rate_limit
limit_of(const char *status, const char *headers, bool tells)
{
	struct http1_scan scan = { 0 };
	struct http1_head reply;
	struct rate_limit limit;
	char text[512];

	snprintf(text, sizeof(text), "HTTP/1.1 %s\r\n%s\r\n", status, headers);
	assert_int_equal(http1_parse_reply(&scan, str_of(text), NULL, &reply), HTTP1_DONE);
	assert_int_equal(rate_limit_read(&reply, &limit), tells);
	return limit;
}

static void
test_rate_limit(void **state)
{
	struct rate_limit limit =
	    limit_of("200 OK", "ratelimit-limit: 100;w=21600\r\nratelimit-remaining: 76;w=21600\r\n", true);

	(void)state;
	assert_int_equal(limit.limit, 100);
	assert_int_equal(limit.remaining, 76);
	assert_int_equal(limit.wait_s, 0);
	assert_false(rate_limit_is_short(&limit));
	limit.remaining = 10;
	assert_true(rate_limit_is_short(&limit));
	limit = limit_of("200 OK", "RateLimit-Remaining: 3\r\n", true);
	assert_false(rate_limit_is_short(&limit)); /* of how many is not known */
	limit = limit_of("429 Slow Down", "Retry-After: 17\r\n", true);
	assert_int_equal(limit.wait_s, 17);
	assert_true(rate_limit_is_short(&limit));
	limit = limit_of("429 Slow Down", "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", true);
	assert_int_equal(limit.wait_s, RATE_LIMIT_WAIT_S);
	limit_of("200 OK", "RateLimit-Remaining: many\r\n", false);
	limit_of("503 Away", "Retry-After: 17\r\n", false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_breaker),
		cmocka_unit_test(test_breaker_waits_no_longer_than_that),
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_rate_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
