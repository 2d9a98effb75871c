#include "test/unit/unit.h"

#include <stdio.h>

#include "proto/address.h"
#include "proto/cache_control.h"
#include "proto/crc32.h"
#include "proto/http_cache.h"
#include "proto/http_condition.h"
#include "proto/http_date.h"
#include "proto/http_vary.h"
#include "proto/mem.h"
#include "proto/range.h"

#define NOW 1000000000 /* Sun, 09 Sep 2001 01:46:40 GMT */

/* The text must outlive the head. */
static void
request_of(const char *headers, char text[1024], struct http1_head *ret)
{
	struct http1_scan scan = { 0 };

	snprintf(text, 1024, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", headers);
	assert_int_equal(http1_parse_request(&scan, str_of(text), NULL, ret), HTTP1_DONE);
}

static void
reply_of(const char *headers, char text[1024], struct http1_head *ret)
{
	struct http1_scan scan = { 0 };
	const char *status = headers[0] >= '0' && headers[0] <= '9' ? "" : "200 OK\r\n";

	snprintf(text, 1024, "HTTP/1.1 %s%s\r\n", status, headers);
	assert_int_equal(http1_parse_reply(&scan, str_of(text), NULL, ret), HTTP1_DONE);
}

static void
test_dates(void **state)
{
	static const char *const good[] = { "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994", "sun, 06 nov 1994 08:49:37 gmt" };
	static const char *const bad[] = { "", "0", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37",
		"Sun 06 Nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT",
		"Sun, 06 Nov 1994 8:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 06-Nov-1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT " };
	int64_t at;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(http_date_parse(str_of(good[i]), NOW, &at));
		assert_int_equal(at, 784111777);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(http_date_parse(str_of(bad[i]), NOW, &at));
	assert_true(http_date_parse(STR("Thursday, 18-Aug-50 02:01:18 GMT"), NOW, &at));
	assert_int_equal(at, 2544400878); /* 2050: less than fifty years from 2001 */
	assert_true(http_date_parse(STR("Thursday, 18-Aug-52 02:01:18 GMT"), NOW, &at));
	assert_true(at < 0); /* 1952 */
}

/* What http1_date writes is read again, over four hundred years of leap days. */
static void
test_dates_written(void **state)
{
	(void)state;
	for (int64_t at = 0; at < 400ll * 366 * 86400; at += 86399 * 13) {
		char text[HTTP1_DATE_SIZE];
		int64_t read;

		http1_date((time_t)at, text);
		assert_true(http_date_parse(str_of(text), NOW, &read));
		assert_int_equal(read, at);
	}
}

static void
test_cache_control(void **state)
{
	char text[1024];
	struct http1_head head;
	struct cache_control cc;

	(void)state;
	reply_of("Cache-Control: Max-Age=60, extension=\"max-age=9, no-store\", s-maxage=\"30\"\r\n"
		 "cache-control: public,must-revalidate\r\n",
	    text, &head);
	cache_control_read(&head, &cc);
	assert_int_equal(cc.max_age, 60);
	assert_int_equal(cc.s_maxage, 30);
	assert_true(cc.is_public && cc.must_revalidate);
	assert_false(cc.no_store || cc.no_cache || cc.is_private);
	assert_int_equal(cc.stale_if_error, CACHE_CONTROL_NONE);
	reply_of("Cache-Control: max-age=99999999999, max-age=5, min-fresh=-1, max-stale\r\n", text, &head);
	cache_control_read(&head, &cc);
	assert_int_equal(cc.max_age, 5);
	assert_int_equal(cc.min_fresh, 0);
	assert_int_equal(cc.max_stale, CACHE_CONTROL_MAX);
	reply_of("Cache-Control: max-age='5', no-cache=\"a\", max-age = 7\r\n", text, &head);
	cache_control_read(&head, &cc);
	assert_int_equal(cc.max_age, 0);
	assert_true(cc.no_cache);
}

static void
test_may_store(void **state)
{
	static const struct {
		const char *request, *reply;
		bool may, may_post; /* as the reply to a GET, to a POST */
	} cases[] = {
		{ "", "Cache-Control: max-age=1\r\n", true, true },
		{ "", "", true, false },
		{ "", "Cache-Control: public\r\n", true, false },
		{ "", "Expires: Sun, 09 Sep 2001 01:46:51 GMT\r\n", true, true },
		{ "", "201 Made\r\nCache-Control: max-age=1\r\n", true, false },
		{ "", "206 Part\r\nCache-Control: max-age=1\r\n", false, false },
		{ "", "500 No\r\n", false, false },
		{ "", "500 No\r\nCache-Control: max-age=1\r\n", true, false },
		{ "", "599 New\r\nCache-Control: max-age=1, must-understand\r\n", false, false },
		{ "", "Cache-Control: no-store, must-understand, max-age=1\r\n", true, true },
		{ "", "Cache-Control: no-store, max-age=1\r\n", false, false },
		{ "", "Cache-Control: private, max-age=1\r\n", false, false },
		{ "", "Cache-Control: max-age=1\r\nVary: Accept, *\r\n", false, false },
		{ "Cache-Control: no-store\r\n", "Cache-Control: max-age=1\r\n", false, false },
		{ "Authorization: x\r\n", "Cache-Control: max-age=1\r\n", false, false },
		{ "Authorization: x\r\n", "Cache-Control: public, max-age=1\r\n", true, true },
		{ "", "Cache-Control: max-age=1\r\nVary: Accept, b: c\r\n", false, false },
		{ "Cookie: x\r\n", "Cache-Control: max-age=1\r\n", false, false },
		{ "", "Set-Cookie: a\r\n", false, false },
		{ "", "Set-Cookie: a\r\nCache-Control: max-age=1\r\n", true, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char request_text[1024], reply_text[1024];
		struct http1_head request, reply;

		request_of(cases[i].request, request_text, &request);
		reply_of(cases[i].reply, reply_text, &reply);
		if (http_cache_may_store(&request, &reply) != cases[i].may ||
		    http_cache_may_store_post(&request, &reply) != cases[i].may_post)
			fail_msg("%s%s", cases[i].request, cases[i].reply);
	}
}

static void
test_judge(void **state)
{
	/* asked for at NOW, judged ten seconds later */
	static const struct {
		const char *request, *reply;
		enum http_cache_verdict verdict;
		bool may_be_stale;
	} cases[] = {
		{ "", "Cache-Control: max-age=11\r\n", HTTP_CACHE_FRESH, true },
		{ "", "Cache-Control: max-age=10\r\n", HTTP_CACHE_REVALIDATE, true },
		{ "", "Cache-Control: max-age=11\r\nAge: 1\r\n", HTTP_CACHE_REVALIDATE, true },
		{ "", "Cache-Control: max-age=11\r\nAge: x\r\n", HTTP_CACHE_REVALIDATE, false },
		{ "", "Cache-Control: max-age=11, s-maxage=5\r\n", HTTP_CACHE_REVALIDATE, false },
		{ "", "Cache-Control: max-age=11, no-cache\r\n", HTTP_CACHE_REVALIDATE, false },
		{ "", "Cache-Control: max-age=5, stale-while-revalidate=6\r\n", HTTP_CACHE_BEHIND, true },
		{ "", "Cache-Control: max-age=5, stale-while-revalidate=6, must-revalidate\r\n", HTTP_CACHE_REVALIDATE,
		    false },
		{ "", "Cache-Control: max-age=5, stale-if-error=4\r\n", HTTP_CACHE_REVALIDATE, false },
		{ "", "Cache-Control: max-age=5, stale-if-error=5\r\n", HTTP_CACHE_REVALIDATE, true },
		{ "", "Expires: Sun, 09 Sep 2001 01:46:51 GMT\r\n", HTTP_CACHE_FRESH, true },
		{ "", "Expires: 0\r\nLast-Modified: Sun, 09 Sep 2000 01:46:51 GMT\r\n", HTTP_CACHE_REVALIDATE, true },
		{ "", "Last-Modified: Sun, 09 Sep 2001 00:46:40 GMT\r\n", HTTP_CACHE_FRESH, true }, /* 360 s */
		{ "", "Last-Modified: Sun, 09 Sep 2001 01:45:01 GMT\r\n", HTTP_CACHE_REVALIDATE, true },
		{ "Cache-Control: max-age=5\r\n", "Cache-Control: max-age=60\r\n", HTTP_CACHE_REVALIDATE, true },
		{ "Cache-Control: min-fresh=51\r\n", "Cache-Control: max-age=60\r\n", HTTP_CACHE_REVALIDATE, true },
		{ "Cache-Control: max-stale=5\r\n", "Cache-Control: max-age=5\r\n", HTTP_CACHE_FRESH, true },
		{ "Pragma: no-cache\r\n", "Cache-Control: max-age=60\r\n", HTTP_CACHE_REVALIDATE, true },
	};
	const struct http_cache_times times = { NOW, NOW };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char request_text[1024], reply_text[1024];
		struct http1_head request, reply;

		request_of(cases[i].request, request_text, &request);
		reply_of(cases[i].reply, reply_text, &reply);
		if (http_cache_judge(&request, &reply, &times, NOW + 10) != cases[i].verdict ||
		    http_cache_may_serve_stale(&reply, &times, NOW + 10, 86400) != cases[i].may_be_stale)
			fail_msg("%s%s", cases[i].request, cases[i].reply);
	}
}

static void
test_vary(void **state)
{
	char text[1024], other_text[1024];
	struct http1_head request, reply;
	struct buf b;

	(void)state;
	request_of("Accept: a, b\r\nfoo: 1\r\nFoo: 2\r\n", text, &request);
	reply_of("Vary: ACCEPT, Foo\r\nVary: Missing\r\n", other_text, &reply);
	buf_init(&b, 1024);
	assert_true(http_vary_print(&b, &request, &reply, "Accept"));
	assert_string_equal(b.data, "foo: 1,2\nmissing\n");
	buf_reset(&b);
	assert_true(http_vary_print(&b, &request, &reply, NULL));
	assert_string_equal(b.data, "accept: a,b\nfoo: 1,2\nmissing\n");
	assert_true(http_vary_matches(buf_str(&b), &request));
	request_of("Accept:  a ,b\r\nfoo: 1,2\r\nOther: x\r\n", other_text, &request);
	assert_true(http_vary_matches(buf_str(&b), &request));
	request_of("Accept: a, b\r\nfoo: 1\r\n", other_text, &request);
	assert_false(http_vary_matches(buf_str(&b), &request));
	request_of("Accept: a, b\r\nfoo: 1, 2\r\nMissing:\r\n", other_text, &request);
	assert_false(http_vary_matches(buf_str(&b), &request));
	assert_true(http_vary_matches(STR(""), &request));
	buf_reset(&b);
	reply_of("Vary: Accept-Language\r\n", other_text, &reply);
	request_of("Accept-Language: en, de;q=0.5\r\n", text, &request);
	assert_true(http_vary_print(&b, &request, &reply, NULL));
	assert_string_equal(b.data, "accept-language: de;q=0.5,en\n");
	request_of("Accept-Language: DE;q=0.5 ,  en\r\n", text, &request);
	assert_true(http_vary_matches(buf_str(&b), &request));
	request_of("Accept-Language: de;q=0.6,en\r\n", text, &request);
	assert_false(http_vary_matches(buf_str(&b), &request));
	buf_fini(&b);
}

/* Who wants most what the reply is in gets it, whatever else it would take. */
static void
test_languages(void **state)
{
	static const struct {
		const char *request;
		bool speaks;
	} cases[] = {
		{ "Accept-Language: fr;q=0.5, de;q=1.0\r\n", true },
		{ "Accept-Language: de\r\n", true },
		{ "Accept-Language: fr;q=0.3\r\nAccept-Language: DE ; q=0.305, en;q=0.\r\n", true },
		{ "Accept-Language: de, en\r\n", false },
		{ "Accept-Language: de;q=0.5, fr;q=0.7\r\n", false },
		{ "Accept-Language: de-AT\r\n", false },
		{ "Accept-Language: *\r\n", false },
		{ "Accept-Language: de;q=0\r\n", false },
		{ "Accept-Language: de;q=1.5\r\n", false },
		{ "Accept-Language: de;q=0,5\r\n", false },
		{ "Accept-Language: de;q=0.1234\r\n", false },
		{ "Accept-Language: de;q=\r\n", false },
		{ "Accept-Language: de;level=1\r\n", false },
		{ "Accept-Language: de, fr;q=x\r\n", false },
		{ "Accept-Language: de\r\nFoo: 1\r\n", false },
		{ "", false },
	};
	char text[1024];
	struct http1_head request;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		request_of(cases[i].request, text, &request);
		if (http_vary_speaks(STR("accept-language: de,en\nfoo\n"), &request, STR("de")) != cases[i].speaks)
			fail_msg("%s", cases[i].request);
	}
	request_of("Accept-Language: de\r\n", text, &request);
	assert_false(http_vary_speaks(STR("accept-language: de,en\n"), &request, STR("")));
	assert_false(http_vary_speaks(STR("accept-language: de,en\n"), &request, STR("de, en")));
}

static void
test_conditions(void **state)
{
	static const char reply_headers[] = "ETag: \"a,b\"\r\nLast-Modified: Sun, 09 Sep 2001 01:46:40 GMT\r\n";
	static const struct {
		const char *request;
		enum http_condition condition;
	} cases[] = {
		{ "", HTTP_CONDITION_SERVE },
		{ "If-None-Match: \"x\", W/\"a,b\"\r\n", HTTP_CONDITION_NOT_MODIFIED },
		{ "If-None-Match: *\r\n", HTTP_CONDITION_NOT_MODIFIED },
		{ "If-None-Match: \"a\"\r\nIf-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n",
		    HTTP_CONDITION_SERVE },
		{ "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n", HTTP_CONDITION_NOT_MODIFIED },
		{ "If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT\r\n", HTTP_CONDITION_SERVE },
		{ "If-Match: \"a,b\"\r\n", HTTP_CONDITION_SERVE },
		{ "If-Match: W/\"a,b\"\r\n", HTTP_CONDITION_FAILED },
		{ "If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT\r\n", HTTP_CONDITION_FAILED },
	};
	char text[1024], reply_text[1024];
	struct http1_head request, reply;

	(void)state;
	reply_of(reply_headers, reply_text, &reply);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		request_of(cases[i].request, text, &request);
		if (http_condition_judge(&request, &reply, NOW) != cases[i].condition)
			fail_msg("%s", cases[i].request);
	}
	request_of("If-Range: \"a,b\"\r\n", text, &request);
	assert_true(http_condition_ranges(&request, &reply));
	request_of("If-Range: W/\"a,b\"\r\n", text, &request);
	assert_false(http_condition_ranges(&request, &reply));
	request_of("If-Range: Sun, 09 Sep 2001 01:46:40 GMT\r\n", text, &request);
	assert_true(http_condition_ranges(&request, &reply));
	request_of("If-Range: Sun, 09 Sep 2001 01:46:41 GMT\r\n", text, &request);
	assert_false(http_condition_ranges(&request, &reply));
	assert_true(str_is(http_condition_strong(&reply), "\"a,b\""));
	assert_true(str_is(http_condition_date(&reply), "Sun, 09 Sep 2001 01:46:40 GMT"));
	reply_of("Last-Modified: Sun, 09 Sep 2001 01:46:40 GMT\r\nDate: Sun, 09 Sep 2001 01:46:42 GMT\r\n", reply_text,
	    &reply);
	assert_int_equal(http_condition_date(&reply).len, 29);
	reply_of("Last-Modified: Sun, 09 Sep 2001 01:46:40 GMT\r\nDate: Sun, 09 Sep 2001 01:46:41 GMT\r\n", reply_text,
	    &reply);
	assert_int_equal(http_condition_date(&reply).len, 0);
	reply_of("Date: Sun, 09 Sep 2001 01:46:41 GMT\r\n", reply_text, &reply);
	request_of("If-Modified-Since: Sun, 09 Sep 2001 01:46:41 GMT\r\n", text, &request);
	assert_int_equal(http_condition_judge(&request, &reply, NOW), HTTP_CONDITION_SERVE);
	request_of("If-Modified-Since: Sun, 09 Sep 2001 01:46:42 GMT\r\n", text, &request);
	assert_int_equal(http_condition_judge(&request, &reply, NOW), HTTP_CONDITION_NOT_MODIFIED);
}

static void
test_content_range(void **state)
{
	static const char *const bad[] = { "", "bytes", "bytes 0-4/*", "bytes */10", "bytes 5-4/10", "bytes 0-10/10",
		"lines 0-4/10", "bytes 0-4", "bytes -4/10", "bytes 0-4/99999999999999999999" };
	uint64_t start, end, size;

	(void)state;
	assert_true(range_parse_content(STR("bytes 5-9/10"), &start, &end, &size));
	assert_int_equal(start, 5);
	assert_int_equal(end, 10);
	assert_int_equal(size, 10);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(range_parse_content(str_of(bad[i]), &start, &end, &size));
}

static void
test_addresses(void **state)
{
	static const unsigned char special[][4] = { { 10, 1, 2, 3 }, { 127, 0, 0, 1 }, { 169, 254, 169, 254 },
		{ 172, 31, 255, 255 }, { 192, 168, 0, 1 }, { 100, 64, 0, 1 }, { 0, 0, 0, 0 }, { 224, 0, 0, 1 },
		{ 255, 255, 255, 255 }, { 198, 19, 0, 1 } };
	static const unsigned char open[][4] = { { 1, 1, 1, 1 }, { 172, 32, 0, 1 }, { 100, 128, 0, 1 },
		{ 223, 255, 255, 1 }, { 192, 169, 0, 1 } };
	static const unsigned char special6[][16] = { { [15] = 1 }, { 0xfe, 0x80, [15] = 1 }, { 0xfd, [15] = 1 },
		{ [10] = 0xff, 0xff, 127, 0, 0, 1 }, { [10] = 0xff, 0xff, 1, 1, 1, 1 },
		{ 0, 0x64, 0xff, 0x9b, [12] = 127, 0, 0, 1 }, { 0x20, 0x02, 127, 0, 0, 1 }, { 0x20, 0x01, 0, 0, 1 },
		{ 0x20, 0x01, 0x0d, 0xb8 }, { 0xff, 2, [15] = 1 } };
	static const unsigned char open6[16] = { 0x2a, 0x04, 0x4e, 0x42, [15] = 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		assert_false(address_v4_is_public(special[i]));
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		assert_true(address_v4_is_public(open[i]));
	for (size_t i = 0; i < sizeof(special6) / sizeof(special6[0]); i++)
		assert_false(address_v6_is_public(special6[i]));
	assert_true(address_v6_is_public(open6));
}

static void
test_crc(void **state)
{
	char text[32];

	(void)state;
	assert_int_equal(crc32c(STR("123456789")), 0xe3069283u); /* the usual check value */
	assert_int_equal(crc32c(STR("")), 0);
	memset(text, 0, sizeof(text));
	assert_int_equal(crc32c((struct str){ text, sizeof(text) }), 0x8a9136aau); /* these are RFC 3720's */
	memset(text, 0xff, sizeof(text));
	assert_int_equal(crc32c((struct str){ text, sizeof(text) }), 0x62a8ab43u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_dates_written),
		cmocka_unit_test(test_cache_control),
		cmocka_unit_test(test_may_store),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_vary),
		cmocka_unit_test(test_languages),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_content_range),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_crc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
