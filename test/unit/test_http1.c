#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/http1.h"
#include "proto/mem.h"

#define H "Host: ci.example\r\n"

typedef enum http1_verdict parse_fn(struct http1_scan *, struct str, const struct http1_limits *, struct http1_head *);

/* The verdict on text given byte by byte, each time in a fresh block of just that size, so that a read past its end is
 * seen; it must be that on the whole. Whoever looks at ret's strings needs the text itself. */
static enum http1_verdict
parse_both_ways(parse_fn *parse, struct str text, const struct http1_limits *limits, struct http1_head *ret)
{
	struct http1_scan scan = { 0 }, piecemeal = { 0 };
	enum http1_verdict verdict = parse(&scan, text, limits, ret);
	struct http1_head head;

	for (size_t len = 0; len <= text.len; len++) {
		char *copy = xcalloc(1, len);
		enum http1_verdict now;

		memcpy(copy, text.p, len);
		now = parse(&piecemeal, (struct str){ copy, len }, limits, &head);
		free(copy);
		if (now == HTTP1_NEED_MORE && len < text.len)
			continue;
		assert_int_equal(now, verdict);
		assert_int_equal(head.refusal, ret->refusal);
		assert_true(head.why == ret->why);
		if (now == HTTP1_DONE)
			assert_int_equal(len, ret->used);
		break;
	}
	return verdict;
}

static const struct http1_limits chunked_limits = { .head = 16384, .target = 8192, .headers = 64, .chunked = true };

static void
test_refused_requests(void **state)
{
	static const struct {
		unsigned status;
		struct str text;
	} cases[] = {
		/* two readings of the body's length */
		{ 400, STR("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n") },
		{ 400, STR("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 3\r\n\r\n") },
		{ 400, STR("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n") },
		{ 400, STR("POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n") },
		{ 400, STR("POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n") },
		{ 400, STR("POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n") },
		{ 400, STR("POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n") },
		{ 400, STR("POST / HTTP/1.1\r\n" H "Content-Length: 5 5\r\n\r\n") },
		{ 400, STR("POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n") },
		{ 400, STR("POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n") },
		{ 400, STR("POST / HTTP/1.1\r\n" H "Content-Length: 30000000000000000000\r\n\r\n") },
		{ 400, STR("POST / HTTP/1.1\r\n" H "Content-Length : 5\r\n\r\n") },
		{ 400, STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n") },
		{ 400, STR("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n") },
		{ 400,
		    STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n") },
		{ 411, STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n") },
		{ 411, STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n") },
		/* lines */
		{ 400, STR("GET / HTTP/1.1\n" H "\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\nHost: a\n\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\n" H "\n") },
		{ 400, STR("GET / HTTP/1.1\r\n" H "A: b\rC: d\r\n\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\n" H "A: b\r\r\n\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n") },
		{ 400, STR("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\t6\r\n\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\n Host: a\r\n\r\n") },
		{ 400, STR("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n") },
		{ 400, STR("\nGET / HTTP/1.1\r\n" H "\r\n") },
		{ 400, STR(" GET / HTTP/1.1\r\n" H "\r\n") },
		/* bytes */
		{ 400, STR("GET / HTTP/1.1\r\n" H "A: b\0c\r\n\r\n") },
		{ 400, STR("GET /a\0b HTTP/1.1\r\n" H "\r\n") },
		{ 400, STR("GET /a\x7f HTTP/1.1\r\n" H "\r\n") },
		{ 400, STR("GET /a\xff HTTP/1.1\r\n" H "\r\n") },
		{ 400, STR("GET /a\x01 HTTP/1.1\r\n" H "\r\n") },
		{ 400, STR("GET /a\tb HTTP/1.1\r\n" H "\r\n") },
		{ 400, STR("GET /a#b HTTP/1.1\r\n" H "\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\n" H "A: \x1b[2J\r\n\r\n") },
		/* names */
		{ 400, STR("GET / HTTP/1.1\r\n" H ": b\r\n\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\n" H "no colon\r\n\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\n" H "nocolon\r\n\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\n" H "a b: c\r\n\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\n" H "a\xc3\xa4: c\r\n\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\n" H "(a): c\r\n\r\n") },
		/* Host */
		{ 400, STR("GET / HTTP/1.1\r\n\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\n" H "Host: other\r\n\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\n" H H "\r\n") },
		{ 400, STR("GET / HTTP/1.0\r\n" H H "\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\nHost:\r\n\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\nHost: a b\r\n\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\nHost: user@a\r\n\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n") },
		{ 400, STR("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n") },
		{ 400, STR("GET http://other/ HTTP/1.1\r\n" H "\r\n") },
		/* the request line */
		{ 400, STR("GET /\r\n\r\n") },
		{ 400, STR("GET\r\n\r\n") },
		{ 400, STR("GET  / HTTP/1.1\r\n" H "\r\n") },
		{ 400, STR("GET /  HTTP/1.1\r\n" H "\r\n") },
		{ 400, STR("GET / HTTP/1.1 \r\n" H "\r\n") },
		{ 400, STR("GET / http/1.1\r\n" H "\r\n") },
		{ 400, STR("GET / HTTP/1.10\r\n" H "\r\n") },
		{ 400, STR("GET / HTTP/1\r\n" H "\r\n") },
		{ 400, STR("G@T / HTTP/1.1\r\n" H "\r\n") },
		{ 400, STR("GET a HTTP/1.1\r\n" H "\r\n") },
		{ 400, STR("GET * HTTP/1.1\r\n" H "\r\n") },
		{ 400, STR("GET ci.example:80 HTTP/1.1\r\n" H "\r\n") },
		{ 400, STR("GET ftp://ci.example/ HTTP/1.1\r\n" H "\r\n") },
		{ 400, STR("GET http:///x HTTP/1.1\r\n" H "\r\n") },
		{ 400, STR("GET http://u@ci.example/ HTTP/1.1\r\n" H "\r\n") },
		{ 400, STR("GET http://ci.example?x HTTP/1.1\r\n" H "\r\n") },
		{ 505, STR("GET / HTTP/2.0\r\n" H "\r\n") },
		{ 505, STR("GET / HTTP/9.9\r\n" H "\r\n") },
		{ 505, STR("GET / HTTP/1.2\r\n" H "\r\n") },
		{ 505, STR("GET / HTTP/0.9\r\n" H "\r\n") },
		{ 501, STR("CONNECT ci.example:443 HTTP/1.1\r\n" H "\r\n") },
		{ 501, STR("TRACE / HTTP/1.1\r\n" H "\r\n") },
		{ 501, STR("BREW / HTTP/1.1\r\n" H "\r\n") },
		{ 501, STR("get / HTTP/1.1\r\n" H "\r\n") },
		{ 417, STR("GET / HTTP/1.1\r\n" H "Expect: a miracle\r\n\r\n") },
		/* another protocol altogether */
		{ 505, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") },
		{ 400, STR("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") },
		{ 400, STR("*3\r\n$3\r\nSET\r\n") },
	};
	struct http1_head head;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (parse_both_ways(http1_parse_request, cases[i].text, NULL, &head) != HTTP1_REFUSED ||
		    head.refusal != cases[i].status)
			fail_msg("case %zu: %.*s: refusal %u, not %u", i, (int)cases[i].text.len, cases[i].text.p,
			    head.refusal, cases[i].status);
		assert_non_null(head.why);
	}
}

static void
test_chunked_requests_only_where_wanted(void **state)
{
	static const struct {
		unsigned status;
		struct str text;
	} cases[] = {
		{ 0, STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n") },
		{ 0, STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \tchunked \r\n\r\n") },
		{ 501, STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: CHUNKED\r\n\r\n") },
		{ 501, STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n") },
		{ 501, STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;q=1\r\n\r\n") },
		{ 501, STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n") },
		{ 501, STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n") },
	};
	struct http1_head head;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		parse_both_ways(http1_parse_request, cases[i].text, &chunked_limits, &head);
		assert_int_equal(head.refusal, cases[i].status);
		if (cases[i].status == 0)
			assert_int_equal(head.body, HTTP1_BODY_CHUNKED);
	}
}

static void
test_request(void **state)
{
	static const char text[] = "POST /hook/7?x=%2F HTTP/1.1\r\nhOST: ci.example:8090\r\nContent-Length: 0042\r\n"
				   "X-Empty:\r\nX-Blank: \t \r\nX-Text: \xc3\xa4 \t b \r\n"
				   "Connection: foo , Close\r\nExpect: 100-Continue\r\n\r\nBODY";
	struct http1_head head;

	(void)state;
	assert_int_equal(parse_both_ways(http1_parse_request, STR(text), NULL, &head), HTTP1_DONE);
	assert_int_equal(head.used, strlen(text) - 4);
	assert_int_equal(head.method, HTTP1_POST);
	assert_true(str_is(head.target, "/hook/7?x=%2F"));
	assert_true(str_is(head.path, "/hook/7?x=%2F"));
	assert_true(str_is(head.host, "ci.example:8090"));
	assert_int_equal(head.minor, 1);
	assert_int_equal(head.body, HTTP1_BODY_LENGTH);
	assert_int_equal(head.length, 42);
	assert_true(head.expects_continue);
	assert_int_equal(head.header_count, 7);
	assert_true(str_is(http1_value(&head, "x-text"), "\xc3\xa4 \t b"));
	assert_non_null(http1_find(&head, "X-EMPTY"));
	assert_int_equal(http1_value(&head, "x-empty").len, 0);
	assert_int_equal(http1_value(&head, "x-blank").len, 0);
	assert_null(http1_find(&head, "x-none"));
	assert_false(http1_keeps_alive(&head));
	assert_true(http1_has_token(&head, "connection", "FOO"));
	assert_false(http1_has_token(&head, "connection", "fo"));
}

static void
test_target_forms(void **state)
{
	static const struct {
		struct str text;
		const char *host;
		const char *path;
	} cases[] = {
		{ STR("GET http://ci.example/a?b HTTP/1.1\r\n" H "\r\n"), "ci.example", "/a?b" },
		{ STR("GET HTTPS://CI.example HTTP/1.1\r\n" H "\r\n"), "CI.example", "/" },
		{ STR("OPTIONS http://ci.example HTTP/1.1\r\n" H "\r\n"), "ci.example", "*" },
		{ STR("OPTIONS * HTTP/1.1\r\n" H "\r\n"), "ci.example", "*" },
		{ STR("GET //x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), "[::1]:80", "//x" },
		{ STR("GET / HTTP/1.0\r\n\r\n"), "", "/" },
		{ STR("\r\nGET /{a|b} HTTP/1.1\r\n" H "\r\n"), "ci.example", "/{a|b}" },
	};
	struct http1_head head;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse_both_ways(http1_parse_request, cases[i].text, NULL, &head), HTTP1_DONE);
		assert_int_equal(head.used, cases[i].text.len);
		assert_true(str_is(head.host, cases[i].host));
		assert_true(str_is(head.path, cases[i].path));
		assert_int_equal(head.body, HTTP1_BODY_NONE);
	}
}

/* A request whose target, or whose header of the given name, is size letters long. */
static void
print_large(struct buf *b, size_t target, size_t value, unsigned headers)
{
	buf_reset(b);
	buf_adds(b, "GET /");
	for (size_t i = 1; i < target; i++)
		buf_addc(b, 'a');
	buf_adds(b, " HTTP/1.1\r\n" H);
	for (unsigned i = 1; i < headers; i++)
		buf_adds(b, "A: b\r\n");
	if (value > 0) {
		buf_adds(b, "V: ");
		for (size_t i = 0; i < value; i++)
			buf_addc(b, 'v');
		buf_adds(b, "\r\n");
	}
	buf_adds(b, "\r\n");
}

static unsigned
refusal_of(const struct buf *b)
{
	struct http1_scan scan = { 0 };
	struct http1_head head;

	return http1_parse_request(&scan, buf_str(b), NULL, &head) == HTTP1_DONE ? 0 : head.refusal;
}

static void
test_limits(void **state)
{
	struct http1_scan scan = { 0 };
	struct http1_head head;
	struct buf b;
	size_t frame;

	(void)state;
	buf_init(&b, 100000);
	print_large(&b, 8192, 0, 1);
	assert_int_equal(refusal_of(&b), 0);
	print_large(&b, 8193, 0, 1);
	assert_int_equal(refusal_of(&b), 414);
	print_large(&b, 60000, 0, 1);
	assert_int_equal(refusal_of(&b), 414);
	print_large(&b, 1, 0, 64);
	assert_int_equal(refusal_of(&b), 0);
	print_large(&b, 1, 0, 65);
	assert_int_equal(refusal_of(&b), 431);
	print_large(&b, 1, 1, 1);
	frame = b.len - 1;
	print_large(&b, 1, 16384 - frame, 1);
	assert_int_equal(b.len, 16384);
	assert_int_equal(refusal_of(&b), 0);
	print_large(&b, 1, 16384 - frame + 1, 1);
	assert_int_equal(refusal_of(&b), 431);
	/* an endless line is refused before its end comes */
	print_large(&b, 90000, 0, 1);
	assert_int_equal(http1_parse_request(&scan, (struct str){ b.data, 8192 + 100 }, NULL, &head), HTTP1_REFUSED);
	assert_int_equal(head.refusal, 414);
	buf_fini(&b);
}

static void
test_replies(void **state)
{
	static const struct {
		struct str text;
		unsigned status; /* 0: refused */
		const char *method;
		enum http1_body body;
		uint64_t length;
		bool keeps_alive;
	} cases[] = {
		{ STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), 200, "GET", HTTP1_BODY_LENGTH, 5, true },
		{ STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), 200, "HEAD", HTTP1_BODY_NONE, 5, true },
		{ STR("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), 200, "GET", HTTP1_BODY_LENGTH, 0, true },
		{ STR("HTTP/1.1 200 \r\n\r\n"), 200, "GET", HTTP1_BODY_UNTIL_CLOSE, 0, true },
		{ STR("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n"), 200, "GET", HTTP1_BODY_CHUNKED, 0,
		    true },
		{ STR("HTTP/1.1 204 No Content\r\n\r\n"), 204, "DELETE", HTTP1_BODY_NONE, 0, true },
		{ STR("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"), 304, "GET", HTTP1_BODY_NONE, 9, true },
		{ STR("HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n"), 101, "POST", HTTP1_BODY_NONE, 0, true },
		{ STR("HTTP/1.1 100 Continue\r\nA: b\r\n\r\n"), 100, "POST", HTTP1_BODY_NONE, 0, true },
		{ STR("HTTP/1.0 200 OK\r\n\r\n"), 200, "GET", HTTP1_BODY_UNTIL_CLOSE, 0, false },
		{ STR("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\n"), 200, "GET",
		    HTTP1_BODY_LENGTH, 1, true },
		{ STR("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n"), 200, "GET",
		    HTTP1_BODY_LENGTH, 1, false },
		{ .text = STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 3\r\n\r\n") },
		{ .text = STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n") },
		{ .text = STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n") },
		{ .text = STR("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") },
		{ .text = STR("HTTP/1.1 20 OK\r\n\r\n") },
		{ .text = STR("HTTP/1.1 2000 OK\r\n\r\n") },
		{ .text = STR("HTTP/1.1 099 OK\r\n\r\n") },
		{ .text = STR("HTTP/1.1  200 OK\r\n\r\n") },
		{ .text = STR("HTTP/2 200\r\n\r\n") },
		{ .text = STR("HTTP/1.1 200 OK\n\n") },
		{ .text = STR("\r\nHTTP/1.1 200 OK\r\n\r\n") },
		{ .text = STR("HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n") },
		{ .text = STR("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n") },
		{ .text = STR("SSH-2.0-OpenSSH_9.2\r\n") },
		{ .text = STR("220 mail.example ESMTP\r\n") },
	};
	struct http1_head head;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum http1_verdict verdict = parse_both_ways(http1_parse_reply, cases[i].text, NULL, &head);

		if (cases[i].status == 0) {
			assert_int_equal(verdict, HTTP1_REFUSED);
			assert_int_equal(head.refusal, 502);
			continue;
		}
		assert_int_equal(verdict, HTTP1_DONE);
		assert_int_equal(head.status, cases[i].status);
		assert_int_equal(http1_reply_body(&head, cases[i].method), cases[i].body);
		assert_int_equal(head.length, cases[i].length);
		assert_int_equal(http1_keeps_alive(&head), cases[i].keeps_alive);
	}
}

static void
test_printer(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	assert_true(http1_print_request(&b, "POST", STR("/a?b=c")));
	assert_true(http1_print_header(&b, "X-A", STR("\xc3\xa4\tb")));
	assert_true(http1_print_header_int(&b, "Content-Length", UINT64_MAX));
	assert_true(http1_print_end(&b));
	assert_string_equal(
	    b.data, "POST /a?b=c HTTP/1.1\r\nX-A: \xc3\xa4\tb\r\nContent-Length: 18446744073709551615\r\n\r\n");
	buf_reset(&b);
	assert_true(http1_print_status(&b, 413));
	assert_true(http1_print_date(&b, "Date", 784111777));
	assert_string_equal(b.data, "HTTP/1.1 413 Content Too Large\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
	buf_fini(&b);
}

static void
test_printer_refuses_what_splits_the_message(void **state)
{
	static const struct {
		const char *name;
		struct str value;
	} headers[] = {
		{ "Location", STR("/a\r\nSet-Cookie: x") },
		{ "ETag", STR("a\nb") },
		{ "ETag", STR("a\rb") },
		{ "ETag", STR("a\0b") },
		{ "ETag", STR("a\x7f") },
		{ "E Tag", STR("a") },
		{ "E:Tag", STR("a") },
		{ "", STR("a") },
		{ "A\r\nB", STR("a") },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		buf_reset(&b);
		assert_false(http1_print_header(&b, headers[i].name, headers[i].value));
		assert_false(http1_print_end(&b)); /* sticky */
		assert_true(buf_failed(&b));
		assert_int_equal(b.len, 0);
	}
	buf_reset(&b);
	assert_false(http1_print_request(&b, "GET", STR("/a b")));
	buf_reset(&b);
	assert_false(http1_print_request(&b, "GET", STR("/a\r\nHost: b")));
	buf_reset(&b);
	assert_false(http1_print_request(&b, "G T", STR("/")));
	buf_reset(&b);
	assert_false(http1_print_request(&b, "GET", STR("")));
	buf_fini(&b);
}

/* Its target is where it goes, and nothing else. */
static void
test_connect(void **state)
{
	static const struct {
		const char *target;
		bool is_good;
	} cases[] = { { "a.example:443", true }, { "[::1]:443", true }, { "a.example", false }, { "/a", false },
		{ "http://a:443/", false }, { "a:443/", false } };
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http1_scan scan = { 0 };
		struct http1_head head;
		const char *host = cases[i].is_good ? cases[i].target : "a:443";

		snprintf(text, sizeof(text), "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", cases[i].target, host);
		assert_int_equal(http1_parse_request(&scan, str_of(text), &http1_proxy_limits, &head),
		    cases[i].is_good ? HTTP1_DONE : HTTP1_REFUSED);
		if (!cases[i].is_good)
			continue;
		assert_int_equal(head.method, HTTP1_CONNECT);
		assert_true(str_is(head.host, cases[i].target));
		assert_int_equal(head.path.len, 0);
	}
}

/* Who passes requests on need not know their methods; tunnels and mirrors of requests are another matter. */
static void
test_any_method(void **state)
{
	static const char *const methods[] = { "M-SEARCH", "PURGE", "get", "TRACE" };
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		struct http1_scan scan = { 0 };
		struct http1_head head;
		enum http1_verdict verdict;

		snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a\r\n\r\n", methods[i]);
		verdict = http1_parse_request(&scan, str_of(text), &http1_proxy_limits, &head);
		assert_int_equal(verdict, i < 3 ? HTTP1_DONE : HTTP1_REFUSED);
		assert_int_equal(head.method, HTTP1_OTHER);
		assert_true(str_is(head.method_name, methods[i]));
		scan = (struct http1_scan){ 0 };
		assert_int_equal(http1_parse_request(&scan, str_of(text), NULL, &head), HTTP1_REFUSED);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_requests),
		cmocka_unit_test(test_chunked_requests_only_where_wanted),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_target_forms),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_printer),
		cmocka_unit_test(test_printer_refuses_what_splits_the_message),
		cmocka_unit_test(test_any_method),
		cmocka_unit_test(test_connect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
