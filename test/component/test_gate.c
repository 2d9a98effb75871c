/* The gate and the listener against hostile clients: what is refused, what is served, and what nobody may lose. */
#include "test/unit/unit.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/controller/listener.h"
#include "server/controller/reply.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "test/component/wire.h"

/* What the tested server does with requests: /echo says what it understood, /late keeps the token, /big and /slow are
 * written piece by piece, /live is a stream without end. */
struct server {
	struct loop *loop;
	struct listener *listener;
	struct http_reply *late;
	bool is_late;
	bool is_gone;
	unsigned requests;
	struct reply_stream *stream;
	size_t stream_left;
	size_t most_pending;
	bool stream_is_gone;
	size_t body_max;
};

static void
answer_echo(struct http_reply **reply)
{
	const struct http_request *r = reply_request(*reply);
	char *text = xasprintf("%s %s query=%.*s body=%zu host=%.*s peer=%s%s\n", http1_method_name(r->method), r->path,
	    (int)r->query.len, r->query.p, r->body_len, (int)request_header(r, "Host").len, request_header(r, "Host").p,
	    r->peer, r->is_https ? " https" : "");

	reply_send_owned(reply, 200, "text/plain", text, strlen(text));
}

static void
on_late_gone(void *arg)
{
	struct server *s = arg;

	s->is_gone = true;
}

static void
on_stream_ready(void *arg)
{
	static const char piece[10000] = { 'x' };
	struct server *s = arg;
	size_t len = s->stream_left < sizeof(piece) ? s->stream_left : sizeof(piece);

	while (len > 0 && reply_stream_pending(s->stream) < 200000) {
		reply_stream_write(s->stream, piece, len);
		s->stream_left -= len;
		len = s->stream_left < sizeof(piece) ? s->stream_left : sizeof(piece);
	}
	if (reply_stream_pending(s->stream) > s->most_pending)
		s->most_pending = reply_stream_pending(s->stream);
	if (s->stream_left == 0)
		reply_stream_end(&s->stream);
}

static void
on_live_ready(void *arg)
{
	(void)arg;
}

static void
on_stream_gone(void *arg)
{
	struct server *s = arg;

	s->stream = NULL;
	s->stream_is_gone = true;
}

static void
on_request(void *arg, struct http_reply *reply)
{
	struct server *s = arg;
	const char *path = reply_request(reply)->path;

	s->requests++;
	if (strcmp(path, "/late") == 0) {
		s->late = reply;
		s->is_late = true;
		reply_on_gone(reply, on_late_gone, s);
	} else if (strcmp(path, "/big") == 0) {
		s->stream_left = 8000000;
		s->stream = reply_open(&reply, 200, "text/plain", 8000000, on_stream_ready, on_stream_gone, s);
	} else if (strcmp(path, "/live") == 0) {
		s->stream =
		    reply_open(&reply, 200, "text/event-stream", REPLY_UNTIL_CLOSE, on_live_ready, on_stream_gone, s);
	} else if (strcmp(path, "/empty") == 0) {
		reply_send(&reply, 204, NULL, "ignored", 7);
	} else if (strcmp(path, "/split") == 0) {
		reply_header(reply, "Location", "/x\r\nSet-Cookie: evil=1");
		reply_send(&reply, 303, NULL, "", 0);
	} else if (strcmp(path, "/drop") == 0) {
		reply_drop(&reply);
	} else {
		answer_echo(&reply);
	}
}

static size_t
body_limit(void *arg, const struct http_request *request)
{
	struct server *s = arg;

	return strcmp(request->path, "/small") == 0 ? 10 : s->body_max;
}

static void
server_init(struct server *s, const struct listener_conf *conf)
{
	struct listener_conf c = *conf;
	struct err err;

	*s = (struct server){ .loop = loop_new(), .body_max = 30u << 20 };
	c.gate.body_limit = body_limit;
	c.gate.on_request = on_request;
	c.gate.arg = s;
	s->listener = listener_new(s->loop, &c, &err);
	if (s->listener == NULL)
		fail_msg("%s", err.text);
}

static void
server_start(struct server *s)
{
	server_init(s, &(struct listener_conf){ .address = "127.0.0.1:0" });
}

static void
server_stop(struct server *s)
{
	listener_free(&s->listener);
	if (s->late != NULL)
		reply_drop(&s->late);
	loop_free(&s->loop);
}

static struct wire *
dial(struct server *s)
{
	return wire_tcp(s->loop, listener_port(s->listener));
}

static unsigned
count(struct wire *w, const char *needle)
{
	unsigned n = 0;

	for (const char *p = wire_got(w)->data; (p = strstr(p, needle)) != NULL; p++)
		n++;
	return n;
}

/* --- what is refused --- */

struct bad {
	const char *name;
	const char *bytes;
	size_t len; /* 0: strlen */
	unsigned status;
};

#define BYTES(s) s, sizeof(s) - 1
#define H "Host: a\r\n"

/* clang-format off */
static const struct bad corpus[] = {
	{ "two lengths", BYTES("POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 3\r\n\r\nhello"), 400 },
	{ "two equal lengths", BYTES("POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), 400 },
	{ "list of lengths", BYTES("POST /echo HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\nhello"), 400 },
	{ "length and chunked", BYTES("POST /echo HTTP/1.1\r\n" H "Content-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smug HTTP/1.1\r\nX: "), 400 },
	{ "chunked", BYTES("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), 411 },
	{ "CHUNKED", BYTES("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n"), 411 },
	{ "chunked with blank", BYTES("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked \r\n\r\n0\r\n\r\n"), 411 },
	{ "chunked with tab", BYTES("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n"), 411 },
	{ "gzip, chunked", BYTES("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 411 },
	{ "xchunked", BYTES("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n"), 411 },
	{ "blank before colon", BYTES("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), 400 },
	{ "negative length", BYTES("POST /echo HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n"), 400 },
	{ "plus length", BYTES("POST /echo HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\nhello"), 400 },
	{ "hex length", BYTES("POST /echo HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\nhello"), 400 },
	{ "empty length", BYTES("POST /echo HTTP/1.1\r\n" H "Content-Length:\r\n\r\n"), 400 },
	{ "huge length", BYTES("POST /echo HTTP/1.1\r\n" H "Content-Length: 30000000000000000000\r\n\r\n"), 400 },
	{ "folded tab", BYTES("POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\t6\r\n\r\nhello"), 400 },
	{ "folded blank", BYTES("GET /echo HTTP/1.1\r\n" H "A: a\r\n b\r\n\r\n"), 400 },
	{ "NUL in a value", BYTES("GET /echo HTTP/1.1\r\n" H "A: a\0b\r\n\r\n"), 400 },
	{ "NUL in the path", BYTES("GET /zz\0/abc HTTP/1.1\r\n" H "\r\n"), 400 },
	{ "control byte in the path", BYTES("GET /a\x01 HTTP/1.1\r\n" H "\r\n"), 400 },
	{ "0xff in the path", BYTES("GET /a\xff HTTP/1.1\r\n" H "\r\n"), 400 },
	{ "bare LF", BYTES("GET /echo HTTP/1.1\nHost: a\n\n"), 400 },
	{ "bare LF in a header", BYTES("GET /echo HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"), 400 },
	{ "bare CR", BYTES("GET /echo HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"), 400 },
	{ "no colon", BYTES("GET /echo HTTP/1.1\r\n" H "garbage\r\n\r\n"), 400 },
	{ "empty name", BYTES("GET /echo HTTP/1.1\r\n" H ": x\r\n\r\n"), 400 },
	{ "no host", BYTES("GET /echo HTTP/1.1\r\n\r\n"), 400 },
	{ "two hosts", BYTES("GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400 },
	{ "HTTP/0.9", BYTES("GET /echo\r\n\r\n"), 400 },
	{ "HTTP/2.0", BYTES("GET /echo HTTP/2.0\r\n" H "\r\n"), 505 },
	{ "HTTP/9.9", BYTES("GET /echo HTTP/9.9\r\n" H "\r\n"), 505 },
	{ "http/1.1", BYTES("GET /echo http/1.1\r\n" H "\r\n"), 400 },
	{ "two blanks", BYTES("GET  /echo HTTP/1.1\r\n" H "\r\n"), 400 },
	{ "CONNECT", BYTES("CONNECT host:443 HTTP/1.1\r\nHost: host:443\r\n\r\n"), 501 },
	{ "TRACE", BYTES("TRACE /echo HTTP/1.1\r\n" H "\r\n"), 501 },
	{ "unknown method", BYTES("BREW /echo HTTP/1.1\r\n" H "\r\n"), 501 },
	{ "small method", BYTES("get /echo HTTP/1.1\r\n" H "\r\n"), 501 },
	{ "expectation", BYTES("POST /echo HTTP/1.1\r\n" H "Expect: 200-maybe\r\nContent-Length: 1\r\n\r\n"), 417 },
	{ "body above the cap", BYTES("POST /small HTTP/1.1\r\n" H "Content-Length: 11\r\n\r\n"), 413 },
	{ "dots", BYTES("GET /a/../b HTTP/1.1\r\n" H "\r\n"), 400 },
	{ "encoded dots", BYTES("GET /a/%2e%2E/b HTTP/1.1\r\n" H "\r\n"), 400 },
	{ "encoded slash", BYTES("GET /a%2f..%2fb HTTP/1.1\r\n" H "\r\n"), 400 },
	{ "encoded NUL", BYTES("GET /a%00 HTTP/1.1\r\n" H "\r\n"), 400 },
	{ "bad escape", BYTES("GET /a%zz HTTP/1.1\r\n" H "\r\n"), 400 },
	{ "two slashes", BYTES("GET //echo HTTP/1.1\r\n" H "\r\n"), 400 },
	{ "userinfo", BYTES("GET http://u:p@a/echo HTTP/1.1\r\n" H "\r\n"), 400 },
	{ "TLS hello", BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 \r\n\r\n"), 400 },
};
/* clang-format on */

static void
expect_refusal(struct server *s, const struct bad *bad, bool bytewise)
{
	struct wire *w = dial(s);
	char status[32];
	unsigned before = s->requests;

	snprintf(status, sizeof(status), "HTTP/1.1 %u ", bad->status);
	for (size_t i = 0; bytewise && i < bad->len; i++)
		if (!wire_send(w, bad->bytes + i, 1))
			break;
	if (!bytewise)
		wire_send(w, bad->bytes, bad->len);
	if (!wire_expect(w, "\r\n\r\n") || strncmp(wire_got(w)->data, status, 13) != 0)
		fail_msg("%s: expected %u, got \"%.80s\"", bad->name, bad->status, wire_got(w)->data);
	if (count(w, "\r\nDate: ") != 1 || count(w, "Connection: close\r\n") != 1 || s->requests != before)
		fail_msg("%s: not refused once and for all: \"%s\"", bad->name, wire_got(w)->data);
	wire_half_close(w);
	if (!wire_expect_end(w))
		fail_msg("%s: the connection stays open", bad->name);
	wire_free(&w);
}

static void
test_ambiguous_requests_are_refused(void **state)
{
	struct server s;

	(void)state;
	server_start(&s);
	for (size_t i = 0; i < sizeof(corpus) / sizeof(corpus[0]); i++) {
		expect_refusal(&s, &corpus[i], false);
		expect_refusal(&s, &corpus[i], true);
	}
	assert_int_equal(s.requests, 0);
	server_stop(&s);
}

static void
test_giant_heads(void **state)
{
	struct server s;
	struct wire *w;
	char *big = xcalloc(1, 20001);

	(void)state;
	server_start(&s);
	memset(big, 'a', 20000);

	w = dial(&s);
	wire_puts(w, "GET /");
	wire_send(w, big, 9000);
	wire_puts(w, " HTTP/1.1\r\n" H "\r\n");
	assert_true(wire_expect(w, "HTTP/1.1 414 "));
	wire_free(&w);

	w = dial(&s);
	wire_puts(w, "GET /echo HTTP/1.1\r\n" H "A: ");
	wire_send(w, big, 20000);
	assert_true(wire_expect(w, "HTTP/1.1 431 "));
	wire_free(&w);

	w = dial(&s);
	wire_puts(w, "GET /echo HTTP/1.1\r\n" H "A: ");
	wire_send(w, big, 8100);
	wire_puts(w, "\r\n\r\n");
	assert_true(wire_expect(w, "HTTP/1.1 431 "));
	wire_free(&w);

	w = dial(&s);
	wire_puts(w, "GET /echo HTTP/1.1\r\n" H);
	for (int i = 0; i < 101; i++)
		wire_puts(w, "A: b\r\n");
	assert_true(wire_expect(w, "HTTP/1.1 431 "));
	wire_free(&w);

	/* The largest that is allowed goes through libevhtp, too. */
	w = dial(&s);
	wire_puts(w, "GET /echo?");
	wire_send(w, big, 7000);
	wire_puts(w, " HTTP/1.1\r\n" H "A: ");
	wire_send(w, big, 7900);
	wire_puts(w, "\r\n\r\n");
	assert_true(wire_expect(w, "GET /echo query=aaaa"));
	wire_free(&w);
	free(big);
	server_stop(&s);
}

/* --- what is served --- */

static void
test_every_split(void **state)
{
	static const char message[] = "POST /echo/h%65llo?a=b HTTP/1.1\r\n" H "Content-Length: 5\r\nX-Y: z\r\n\r\nhello"
				      "GET /echo/next HTTP/1.1\r\n" H "\r\n";
	struct server s;

	(void)state;
	server_start(&s);
	for (size_t cut = 0; cut < sizeof(message) - 1; cut++) {
		struct wire *w = dial(&s);

		wire_send(w, message, cut);
		wire_settle(s.loop);
		wire_send(w, message + cut, sizeof(message) - 1 - cut);
		if (!wire_expect(w, "GET /echo/next query= body=0") ||
		    count(w, "POST /echo/hello query=a=b body=5 host=a") != 1 || count(w, "HTTP/1.1 200 OK\r\n") != 2)
			fail_msg("cut at %zu: %s", cut, wire_got(w)->data);
		wire_free(&w);
	}
	server_stop(&s);
}

static void
test_bytewise_and_pipelined(void **state)
{
	static const char many[] =
	    "GET /echo/1 HTTP/1.1\r\n" H "\r\nPOST /echo/2 HTTP/1.1\r\n" H
	    "Content-Length: 3\r\n\r\nabcGET /echo/3 HTTP/1.1\r\n" H "\r\nGET /echo/4 HTTP/1.1\r\n" H
	    "Connection: close\r\n\r\nGET /echo/5 HTTP/1.1\r\n" H "\r\n";
	struct server s;

	(void)state;
	server_start(&s);
	for (int bytewise = 0; bytewise < 2; bytewise++) {
		struct wire *w = dial(&s);

		for (size_t i = 0; bytewise && i < sizeof(many) - 1; i++)
			wire_send(w, many + i, 1);
		if (!bytewise)
			wire_send(w, many, sizeof(many) - 1);
		assert_true(wire_expect_end(w));
		assert_int_equal(count(w, "HTTP/1.1 200 OK\r\n"), 4);
		assert_int_equal(count(w, "/echo/5"), 0); /* behind the request that said close */
		assert_true(strstr(wire_got(w)->data, "/echo/1") < strstr(wire_got(w)->data, "/echo/2"));
		assert_true(strstr(wire_got(w)->data, "/echo/3") < strstr(wire_got(w)->data, "/echo/4"));
		wire_free(&w);
	}
	server_stop(&s);
}

static void
test_answers_wait_for_their_turn(void **state)
{
	struct server s;
	struct wire *w;

	(void)state;
	server_start(&s);
	w = dial(&s);
	wire_puts(w, "GET /late HTTP/1.1\r\n" H "\r\nGET /echo/second HTTP/1.1\r\n" H "\r\n");
	assert_true(wire_turn_until(s.loop, &s.is_late));
	wire_settle(s.loop);
	assert_int_equal(s.requests, 1);
	assert_int_equal(wire_got(w)->len, 0);
	reply_send(&s.late, 200, "text/plain", "first\n", 6);
	assert_null(s.late);
	assert_true(wire_expect(w, "/echo/second"));
	assert_true(strstr(wire_got(w)->data, "first") < strstr(wire_got(w)->data, "/echo/second"));
	wire_free(&w);
	server_stop(&s);
}

static void
test_half_close_loses_nothing(void **state)
{
	struct server s;
	struct wire *w;

	(void)state;
	server_start(&s);
	w = dial(&s);
	wire_puts(w, "GET /late HTTP/1.1\r\n" H "\r\n");
	wire_half_close(w);
	assert_true(wire_turn_until(s.loop, &s.is_late));
	wire_settle(s.loop);
	assert_false(s.is_gone);
	reply_send(&s.late, 200, "text/plain", "late\n", 5);
	assert_true(wire_expect_end(w));
	assert_int_equal(count(w, "late\n"), 1);
	wire_free(&w);

	w = dial(&s);
	wire_puts(w, "GET /big HTTP/1.1\r\n" H "\r\n");
	wire_half_close(w);
	assert_true(wire_expect_end(w));
	assert_true(wire_got(w)->len > 8000000);
	assert_true(s.most_pending < 250000);
	wire_free(&w);
	server_stop(&s);
}

static void
reset(struct wire **w)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(wire_fd(*w), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	wire_free(w);
}

static void
test_a_client_that_leaves_is_noticed(void **state)
{
	struct server s;
	struct wire *w;

	(void)state;
	server_start(&s);
	w = dial(&s);
	wire_puts(w, "GET /late HTTP/1.1\r\n" H "\r\n");
	assert_true(wire_turn_until(s.loop, &s.is_late));
	reset(&w);
	assert_true(wire_turn_until(s.loop, &s.is_gone));
	assert_non_null(s.late); /* and is still to be ended */
	reply_send(&s.late, 200, "text/plain", "nobody", 6);

	w = dial(&s);
	wire_puts(w, "GET /live HTTP/1.1\r\n" H "\r\n");
	assert_true(wire_expect(w, "text/event-stream"));
	reply_stream_write(s.stream, "data: 1\n\n", 9);
	assert_true(wire_expect(w, "data: 1\n\n"));
	wire_free(&w);
	assert_true(wire_turn_until(s.loop, &s.stream_is_gone));
	assert_int_equal(listener_figures(s.listener).connections, 0);
	server_stop(&s);
}

static void
test_live_stream_ends_with_its_connection(void **state)
{
	struct server s;
	struct wire *w;

	(void)state;
	server_start(&s);
	w = dial(&s);
	wire_puts(w, "GET /live HTTP/1.1\r\n" H "\r\n");
	assert_true(wire_expect(w, "\r\n\r\n"));
	assert_int_equal(count(w, "Connection: close"), 1);
	assert_int_equal(count(w, "Content-Length"), 0);
	reply_stream_write(s.stream, "data: last\n\n", 12);
	reply_stream_end(&s.stream);
	assert_true(wire_expect_end(w));
	assert_int_equal(count(w, "data: last\n\n"), 1);
	wire_free(&w);
	server_stop(&s);
}

static void
test_answers_without_body(void **state)
{
	struct server s;
	struct wire *w;

	(void)state;
	server_start(&s);
	w = dial(&s);
	wire_puts(w, "HEAD /echo HTTP/1.1\r\n" H "\r\nGET /empty HTTP/1.1\r\n" H "\r\nHEAD /big HTTP/1.1\r\n" H
		     "\r\nGET /echo/last HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	assert_true(wire_expect_end(w));
	assert_int_equal(count(w, "HEAD /echo"), 0);
	assert_int_equal(count(w, "ignored"), 0);
	assert_int_equal(count(w, "HTTP/1.1 204 No Content\r\n"), 1);
	assert_int_equal(count(w, "Content-Length: 8000000\r\n"), 1);
	assert_int_equal(count(w, "Content-Length: "), 3); /* none for 204 */
	assert_int_equal(count(w, "GET /echo/last"), 1);
	wire_free(&w);
	server_stop(&s);
}

static void
test_http10(void **state)
{
	struct server s;
	struct wire *w;

	(void)state;
	server_start(&s);
	w = dial(&s);
	wire_puts(w, "GET /echo HTTP/1.0\r\n\r\n");
	assert_true(wire_expect_end(w));
	assert_int_equal(count(w, "Connection: close\r\n"), 1);
	assert_int_equal(count(w, "chunked"), 0);
	wire_free(&w);
	w = dial(&s);
	wire_puts(w, "GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	assert_true(wire_expect(w, "GET /echo"));
	assert_int_equal(count(w, "Connection: keep-alive\r\n"), 1);
	wire_puts(w, "GET /echo/2 HTTP/1.0\r\n\r\n");
	assert_true(wire_expect(w, "GET /echo/2"));
	wire_free(&w);
	server_stop(&s);
}

static void
test_absolute_form_and_options(void **state)
{
	struct server s;
	struct wire *w;

	(void)state;
	server_start(&s);
	w = dial(&s);
	wire_puts(w, "GET http://a/echo?x=1 HTTP/1.1\r\n" H "\r\nOPTIONS * HTTP/1.1\r\n" H "\r\n");
	assert_true(wire_expect(w, "OPTIONS * "));
	assert_int_equal(count(w, "GET /echo query=x=1"), 1);
	wire_free(&w);
	server_stop(&s);
}

static void
test_expect_continue(void **state)
{
	struct server s;
	struct wire *w;

	(void)state;
	server_start(&s);
	w = dial(&s);
	wire_puts(w, "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	assert_true(wire_expect(w, "HTTP/1.1 100 Continue\r\n\r\n"));
	wire_puts(w, "hello");
	assert_true(wire_expect(w, "body=5"));
	wire_free(&w);

	/* Refused by its size: no invitation. */
	w = dial(&s);
	wire_puts(w, "POST /small HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 50\r\n\r\n");
	assert_true(wire_expect(w, "HTTP/1.1 413 "));
	assert_int_equal(count(w, "100 Continue"), 0);
	wire_free(&w);
	server_stop(&s);
}

/* It kills libevhtp when the body is left to it. */
static void
test_large_form(void **state)
{
	struct server s;
	struct wire *w;
	size_t len = 20000000;
	char *body = malloc(len);

	(void)state;
	assert_non_null(body);
	memset(body, '=', len);
	server_start(&s);
	w = dial(&s);
	wire_puts(w, "POST /echo HTTP/1.1\r\n" H
		     "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 20000000\r\n\r\n");
	assert_true(wire_send(w, body, len));
	assert_true(wire_expect(w, "body=20000000"));
	wire_free(&w);
	free(body);
	server_stop(&s);
}

static void
test_too_many_bodies_at_once(void **state)
{
	struct server s;
	struct wire *a, *b;
	static char half[60000];

	(void)state;
	server_init(&s, &(struct listener_conf){ .address = "127.0.0.1:0", .gate = { .bodies_max = 100000 } });
	a = dial(&s);
	b = dial(&s);
	wire_puts(a, "POST /echo HTTP/1.1\r\n" H "Content-Length: 70000\r\n\r\n");
	wire_puts(b, "POST /echo HTTP/1.1\r\n" H "Content-Length: 70000\r\n\r\n");
	wire_send(a, half, sizeof(half));
	wire_send(b, half, sizeof(half));
	assert_true(wire_expect(b, "HTTP/1.1 503 "));
	assert_int_equal(count(b, "Retry-After: "), 1);
	wire_send(a, half, 10000);
	assert_true(wire_expect(a, "body=70000"));
	wire_free(&a);
	wire_free(&b);
	server_stop(&s);
}

static void
test_header_injection_becomes_500(void **state)
{
	struct server s;
	struct wire *w;

	(void)state;
	server_start(&s);
	w = dial(&s);
	wire_puts(w, "GET /split HTTP/1.1\r\n" H "\r\n");
	assert_true(wire_expect(w, "HTTP/1.1 500 "));
	assert_int_equal(count(w, "evil"), 0);
	wire_free(&w);
	server_stop(&s);
}

static void
test_dropped_requests_close(void **state)
{
	struct server s;
	struct wire *w;

	(void)state;
	server_start(&s);
	w = dial(&s);
	wire_puts(w, "GET /drop HTTP/1.1\r\n" H "\r\n");
	assert_true(wire_expect_end(w));
	assert_int_equal(wire_got(w)->len, 0);
	wire_free(&w);
	server_stop(&s);
}

/* --- deadlines --- */

static void
test_deadlines(void **state)
{
	struct listener_conf conf = { .address = "127.0.0.1:0",
		.gate = { .idle_ms = 300, .head_ms = 100, .window_ms = 100, .handler_ms = 100, .linger_ms = 50 } };
	struct server s;
	struct wire *w;
	int64_t start;

	(void)state;
	server_init(&s, &conf);
	w = dial(&s); /* a head that never ends, though a byte comes now and then */
	start = loop_mono_ms();
	wire_puts(w, "GET /echo HTTP/1.1\r\nA: ");
	for (int i = 0; i < 8000 && !wire_is_ended(w); i++) /* fewer than a head may have */
		if (!wire_puts(w, "a") || strstr(wire_got(w)->data, "408") != NULL)
			break;
	assert_true(wire_expect(w, "HTTP/1.1 408 "));
	assert_true(loop_mono_ms() - start >= 80);
	assert_true(wire_expect_end(w)); /* also though this client does not close */
	wire_free(&w);

	w = dial(&s);
	wire_puts(w, "POST /echo HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nabc");
	assert_true(wire_expect(w, "HTTP/1.1 408 "));
	wire_free(&w);

	w = dial(&s);
	wire_puts(w, "GET /late HTTP/1.1\r\n" H "\r\n");
	assert_true(wire_expect(w, "HTTP/1.1 504 "));
	assert_true(s.is_gone);
	reply_send(&s.late, 200, NULL, "", 0);
	wire_free(&w);

	w = dial(&s); /* says nothing at all */
	assert_true(wire_expect_end(w));
	assert_int_equal(wire_got(w)->len, 0);
	wire_free(&w);

	w = dial(&s); /* does not read */
	wire_stop_reading(w);
	wire_puts(w, "GET /big HTTP/1.1\r\n" H "\r\n");
	assert_true(wire_turn_until(s.loop, &s.stream_is_gone));
	wire_free(&w);
	server_stop(&s);
}

/* --- the listener --- */

static void
test_unix_socket_and_proxy_headers(void **state)
{
	static const char forwarded[] =
	    "GET /echo HTTP/1.1\r\n" H "X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\r\n";
	static const char *const proxies[] = { "127.0.0.1", NULL };
	char path[] = "/tmp/davit-gate-XXXXXX";
	char address[64];
	struct server s;
	struct wire *w;
	struct stat st;
	struct err err;

	(void)state;
	close(mkstemp(path));
	unlink(path);
	snprintf(address, sizeof(address), "unix:%s", path);
	server_init(&s, &(struct listener_conf){ .address = address });
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	w = wire_unix(s.loop, path);
	wire_puts(w, forwarded);
	assert_true(wire_expect(w, "peer=192.0.2.7 https"));
	wire_free(&w);
	/* Another process may not take it over; a left-over file is no obstacle. */
	assert_null(listener_new(s.loop,
	    &(struct listener_conf){
		.address = address, .gate = { .body_limit = body_limit, .on_request = on_request, .arg = &s } },
	    &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	server_stop(&s);
	assert_int_equal(access(path, F_OK), -1);

	server_init(&s, &(struct listener_conf){ .address = "127.0.0.1:0" });
	w = dial(&s);
	wire_puts(w, forwarded);
	assert_true(wire_expect(w, "peer=127.0.0.1\n"));
	wire_free(&w);
	server_stop(&s);

	server_init(&s, &(struct listener_conf){ .address = "*:0", .gate = { .trusted_proxies = proxies } });
	w = dial(&s);
	wire_puts(w, forwarded);
	assert_true(wire_expect(w, "peer=192.0.2.7 https"));
	wire_free(&w);
	server_stop(&s);
}

static void
test_stale_socket_is_replaced(void **state)
{
	char path[] = "/tmp/davit-gate-XXXXXX";
	char address[64];
	struct server s;
	struct loop *loop = loop_new();
	struct listener_conf conf = { .gate = { .body_limit = body_limit, .on_request = on_request } };
	struct listener *l;
	struct err err;
	char moved[64];

	(void)state;
	close(mkstemp(path));
	snprintf(address, sizeof(address), "unix:%s", path);
	conf.address = address;
	assert_null(listener_new(loop, &conf, &err)); /* a plain file is never removed */
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
	l = listener_new(loop, &conf, &err);
	assert_non_null(l);
	snprintf(moved, sizeof(moved), "%s.moved", path);
	assert_int_equal(rename(path, moved), 0);
	listener_free(&l); /* finds nothing to remove */
	assert_int_equal(rename(moved, path), 0);
	server_init(&s, &conf);
	server_stop(&s);
	loop_free(&loop);
}

static void
test_bad_addresses(void **state)
{
	static const char *const bad[] = { "", "8080", "localhost:80", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x",
		"[::1]", "unix:relative", "1.2.3:80" };
	struct loop *loop = loop_new();
	struct listener_conf conf = { .gate = { .body_limit = body_limit, .on_request = on_request } };
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		conf.address = bad[i];
		assert_null(listener_new(loop, &conf, &err));
		assert_int_equal(err.code, ERR_INPUT);
	}
	loop_free(&loop);
}

static void
test_connection_cap(void **state)
{
	struct server s;
	struct wire *a, *b, *c;

	(void)state;
	server_init(&s, &(struct listener_conf){ .address = "127.0.0.1:0", .connections_max = 2 });
	a = dial(&s);
	b = dial(&s);
	c = dial(&s);
	wire_puts(a, "GET /echo HTTP/1.1\r\n" H "\r\n");
	wire_puts(b, "GET /echo HTTP/1.1\r\n" H "\r\n");
	wire_puts(c, "GET /echo/c HTTP/1.1\r\n" H "\r\n");
	assert_true(wire_expect(a, "/echo"));
	assert_true(wire_expect(b, "/echo"));
	wire_settle(s.loop);
	assert_int_equal(wire_got(c)->len, 0);
	assert_int_equal(listener_figures(s.listener).connections, 2);
	wire_free(&a);
	assert_true(wire_expect(c, "/echo/c"));
	wire_free(&b);
	wire_free(&c);
	server_stop(&s);
}

static double
cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Without descriptors it neither spins nor crashes, and serves again when there are some. */
static void
test_out_of_descriptors(void **state)
{
	enum { CLIENTS = 20 };
	struct wire *w[CLIENTS];
	struct rlimit old, low;
	struct server s;
	double cpu;
	int64_t end;
	int top;

	(void)state;
	server_start(&s);
	for (int i = 0; i < CLIENTS; i++)
		w[i] = dial(&s);
	top = dup(0);
	close(top);
	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = (rlim_t)top + 2; /* two can be accepted, the others find no room */
	setrlimit(RLIMIT_NOFILE, &low);
	cpu = cpu_seconds();
	end = loop_mono_ms() + 600;
	while (loop_mono_ms() < end)
		event_base_loop(loop_base(s.loop), EVLOOP_ONCE);
	cpu = cpu_seconds() - cpu;
	assert_true(cpu < 0.3);
	assert_true(listener_figures(s.listener).accept_pauses >= 2);
	assert_true(listener_figures(s.listener).accept_pauses <= 10);
	setrlimit(RLIMIT_NOFILE, &old);
	wire_puts(w[CLIENTS - 1], "GET /echo HTTP/1.1\r\n" H "\r\n");
	assert_true(wire_expect(w[CLIENTS - 1], "GET /echo"));
	for (int i = 0; i < CLIENTS; i++)
		wire_free(&w[i]);
	server_stop(&s);
}

static void
test_drain(void **state)
{
	struct server s;
	struct wire *idle, *busy;

	(void)state;
	server_start(&s);
	idle = dial(&s);
	busy = dial(&s);
	wire_puts(busy, "GET /late HTTP/1.1\r\n" H "\r\n");
	assert_true(wire_turn_until(s.loop, &s.is_late));
	listener_drain(s.listener);
	assert_true(wire_expect_end(idle));
	reply_send(&s.late, 200, "text/plain", "last\n", 5);
	assert_true(wire_expect_end(busy));
	assert_int_equal(count(busy, "last\n"), 1);
	assert_int_equal(count(busy, "Connection: close\r\n"), 1);
	wire_free(&idle);
	wire_free(&busy);
	server_stop(&s);
}

static void
on_empty(void *arg)
{
	bool *is_empty = arg;

	*is_empty = true;
}

/* The place is another process's: who has been told that the connection is kept may ask once more. */
static void
test_leave(void **state)
{
	struct server s;
	struct wire *idle, *reading, *busy;
	bool is_empty = false;

	(void)state;
	server_start(&s);
	idle = dial(&s);
	reading = dial(&s);
	wire_stop_reading(reading);
	wire_puts(reading, "GET /big HTTP/1.1\r\n" H "\r\n");
	busy = dial(&s);
	wire_puts(busy, "GET /late HTTP/1.1\r\n" H "\r\n");
	assert_true(wire_turn_until(s.loop, &s.is_late));
	assert_non_null(s.stream);
	listener_leave(s.listener, on_empty, &is_empty);
	wire_puts(idle, "GET /idle HTTP/1.1\r\n" H "\r\n");
	assert_true(wire_expect_end(idle));
	assert_int_equal(count(idle, "GET /idle"), 1);
	assert_int_equal(count(idle, "Connection: close\r\n"), 1);
	reply_send(&s.late, 200, "text/plain", "last\n", 5);
	assert_true(wire_expect_end(busy));
	assert_int_equal(count(busy, "Connection: close\r\n"), 1);
	assert_false(is_empty);
	wire_puts(reading, "GET /more HTTP/1.1\r\n" H "\r\n");
	wire_read_again(reading);
	assert_true(wire_expect_end(reading));
	assert_int_equal(s.requests, 4);
	assert_true(wire_got(reading)->len > 8000000);
	assert_true(wire_turn_until(s.loop, &is_empty));
	wire_free(&idle);
	wire_free(&reading);
	wire_free(&busy);
	server_stop(&s);
}

static void
test_leave_ends_who_does_not_ask(void **state)
{
	struct server s;
	struct wire *idle;
	bool is_empty = false;

	(void)state;
	server_start(&s);
	idle = dial(&s);
	wire_puts(idle, "GET /first HTTP/1.1\r\n" H "\r\n");
	assert_true(wire_expect(idle, "GET /first"));
	listener_leave(s.listener, on_empty, &is_empty);
	assert_true(wire_expect_end(idle));
	assert_true(wire_turn_until(s.loop, &is_empty));
	wire_free(&idle);
	server_stop(&s);
}

static void
test_clients_wait_for_the_word(void **state)
{
	struct server s;
	struct wire *w;

	(void)state;
	server_init(&s, &(struct listener_conf){ .address = "127.0.0.1:0", .waits = true });
	w = dial(&s);
	wire_puts(w, "GET /early HTTP/1.1\r\n" H "\r\n");
	wire_settle(s.loop);
	assert_int_equal(listener_figures(s.listener).accepted, 0);
	listener_accept(s.listener);
	assert_true(wire_expect(w, "GET /early"));
	wire_free(&w);
	server_stop(&s);
}

/* Descriptors that a child would inherit; those that this program inherited itself are among them. */
static unsigned
inheritable(void)
{
	unsigned found = 0;

	for (int fd = 3; fd < 64; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags >= 0 && (flags & FD_CLOEXEC) == 0)
			found++;
	}
	return found;
}

static void
test_accepted_sockets_are_closed_on_exec(void **state)
{
	unsigned before = inheritable();
	struct server s;
	struct wire *w;

	(void)state;
	server_start(&s);
	w = dial(&s);
	wire_puts(w, "GET /echo HTTP/1.1\r\n" H "\r\n");
	assert_true(wire_expect(w, "GET /echo"));
	assert_int_equal(inheritable(), before);
	wire_free(&w);
	server_stop(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ambiguous_requests_are_refused),
		cmocka_unit_test(test_giant_heads),
		cmocka_unit_test(test_every_split),
		cmocka_unit_test(test_bytewise_and_pipelined),
		cmocka_unit_test(test_answers_wait_for_their_turn),
		cmocka_unit_test(test_half_close_loses_nothing),
		cmocka_unit_test(test_a_client_that_leaves_is_noticed),
		cmocka_unit_test(test_live_stream_ends_with_its_connection),
		cmocka_unit_test(test_answers_without_body),
		cmocka_unit_test(test_http10),
		cmocka_unit_test(test_absolute_form_and_options),
		cmocka_unit_test(test_expect_continue),
		cmocka_unit_test(test_large_form),
		cmocka_unit_test(test_too_many_bodies_at_once),
		cmocka_unit_test(test_header_injection_becomes_500),
		cmocka_unit_test(test_dropped_requests_close),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_unix_socket_and_proxy_headers),
		cmocka_unit_test(test_stale_socket_is_replaced),
		cmocka_unit_test(test_bad_addresses),
		cmocka_unit_test(test_connection_cap),
		cmocka_unit_test(test_out_of_descriptors),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_leave),
		cmocka_unit_test(test_leave_ends_who_does_not_ask),
		cmocka_unit_test(test_clients_wait_for_the_word),
		cmocka_unit_test(test_accepted_sockets_are_closed_on_exec),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
