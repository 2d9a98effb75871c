#include "test/unit/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/core/loop.h"
#include "server/io/httpc.h"
#include "test/component/peer.h"

#define MB ((size_t)1024 * 1024)

enum place { NOWHERE, ON_HEAD, ON_BODY, ON_DRAIN, ON_DONE };

/* A client and all that happened to its request. */
struct client {
	struct loop *loop;
	struct httpc *httpc;
	struct httpc_op *op;
	struct httpc_request request;
	struct timer *guard;
	enum place cancel_in; /* and close the client there */
	enum place pause_in;

	int done, heads, drains, upgrades;
	unsigned status;
	struct err err;
	struct buf body; /* what on_body or on_done gave */
	struct stream *stream;
	struct buf stream_bytes;
	bool stream_closed;
	struct err stream_err;
	/* an upload */
	size_t to_send, sent, chunk, most_pending;
	struct peer *peer;
	struct deferred *turn;
	int again; /* more requests to make from on_done */
};

static void
on_guard(void *arg)
{
	(void)arg;
	fail_msg("the test hangs");
}

static void
client_init(struct client *c, const char *url, const struct httpc_conf *conf)
{
	struct err err = ERR_OK;

	*c = (struct client){ .loop = loop_new() };
	c->httpc = httpc_new(c->loop, url, conf, &err);
	if (c->httpc == NULL)
		fail_msg("%s", err.text);
	c->request = (struct httpc_request){ .method = "GET", .path = "/x", .total_ms = 20000 };
	buf_init(&c->body, 128 * MB);
	buf_init(&c->stream_bytes, 128 * MB);
	c->guard = timer_new(c->loop, on_guard, NULL);
	timer_start(c->guard, 30000);
}

static void
client_fini(struct client *c)
{
	assert_null(c->op);
	httpc_free(&c->httpc);
	timer_free(&c->guard);
	stream_close(&c->stream);
	loop_free(&c->loop);
	buf_fini(&c->body);
	buf_fini(&c->stream_bytes);
}

static bool
leaves(struct client *c, enum place place)
{
	if (c->cancel_in != place)
		return false;
	httpc_cancel(&c->op);
	httpc_free(&c->httpc);
	loop_stop(c->loop);
	return true;
}

static void
on_head(void *arg, const struct httpc_reply *reply)
{
	struct client *c = arg;

	c->heads++;
	c->status = reply->status;
	if (!leaves(c, ON_HEAD) && c->pause_in == ON_HEAD)
		httpc_pause(c->op);
}

static void
on_body(void *arg, struct str bytes)
{
	struct client *c = arg;

	assert_true(bytes.len > 0);
	buf_addstr(&c->body, bytes);
	if (!leaves(c, ON_BODY) && c->pause_in == ON_BODY)
		httpc_pause(c->op);
}

static void
on_drain(void *arg)
{
	static const char zeros[256 * 1024];
	struct client *c = arg;
	size_t len = c->to_send - c->sent < c->chunk ? c->to_send - c->sent : c->chunk;

	c->drains++;
	if (leaves(c, ON_DRAIN))
		return;
	httpc_send(c->op, (struct str){ zeros, len });
	c->sent += len;
	if (httpc_pending(c->op) > c->most_pending)
		c->most_pending = httpc_pending(c->op);
	if (c->sent == c->to_send)
		httpc_end(c->op);
}

static void start(struct client *c);

static void
on_done(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct client *c = arg;

	c->op = NULL;
	c->done++;
	c->err = err != NULL ? *err : ERR_OK;
	c->status = reply != NULL ? reply->status : 0;
	if (reply != NULL)
		buf_addstr(&c->body, reply->body);
	if (leaves(c, ON_DONE))
		return;
	if (c->again > 0) {
		c->again--;
		start(c);
	} else {
		loop_stop(c->loop);
	}
}

static void
on_stream_data(void *arg, struct str bytes)
{
	struct client *c = arg;

	buf_addstr(&c->stream_bytes, bytes);
}

static void
on_stream_close(void *arg, const struct err *err)
{
	struct client *c = arg;

	c->stream = NULL;
	c->stream_closed = true;
	c->stream_err = err != NULL ? *err : ERR_OK;
	loop_stop(c->loop);
}

static void
on_upgrade(void *arg, struct stream *stream, struct str first)
{
	static const struct stream_handler handler = { .on_data = on_stream_data, .on_close = on_stream_close };
	struct client *c = arg;

	c->op = NULL;
	c->upgrades++;
	c->stream = stream;
	buf_addstr(&c->stream_bytes, first);
	stream_set_handler(stream, &handler, c);
	stream_write(stream, "to the container", 16);
	stream_close_write(stream);
}

static const struct httpc_handler collecting = { .on_done = on_done };
static const struct httpc_handler streaming = {
	.on_head = on_head,
	.on_body = on_body,
	.on_drain = on_drain,
	.on_done = on_done,
};
static const struct httpc_handler upgrading = { .on_done = on_done, .on_upgrade = on_upgrade };

static void
start(struct client *c)
{
	c->op = httpc_request(c->httpc, &c->request, &collecting, c);
}

/* One request, to its end or the moment that stops the loop. */
static void
exchange(struct client *c, const struct httpc_handler *handler)
{
	c->op = httpc_request(c->httpc, &c->request, handler, c);
	loop_run(c->loop);
}

/* --- replies */

struct reply_case {
	const char *bytes;
	const char *method;
	enum err_code code;
	unsigned status;
	const char *body;
	bool by_byte;
};

static void
script_reply(struct peer *p)
{
	const struct reply_case *reply = p->arg;
	int fd = peer_accept(p);
	size_t step = reply->by_byte ? 1 : strlen(reply->bytes);

	peer_check(p, peer_read_head(p, fd));
	for (size_t at = 0; at < strlen(reply->bytes); at += step)
		peer_write(fd, reply->bytes + at, step); /* the client may have had enough */
	shutdown(fd, SHUT_WR);
	peer_drain_close(fd);
}

static void
check_reply(const struct reply_case *reply, const struct httpc_handler *handler)
{
	struct client c;
	struct peer p;

	peer_start(&p, PEER_UNIX, script_reply, (void *)reply);
	client_init(&c, p.url, NULL);
	c.request.method = reply->method != NULL ? reply->method : "GET";
	exchange(&c, handler);
	assert_int_equal(c.done, 1);
	if (c.err.code != reply->code)
		fail_msg("%s: %s (%s)", reply->bytes, err_name(c.err.code), c.err.text);
	assert_int_equal(c.status, reply->status);
	if (reply->body != NULL)
		assert_string_equal(c.body.data, reply->body);
	client_fini(&c);
	peer_stop(&p);
}

static void
test_replies(void **state)
{
	static const struct reply_case cases[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", .status = 200, .body = "hello" },
		{ "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", .status = 404, .body = "" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n",
		    .status = 200, .body = "hello!" },
		{ "HTTP/1.1 200 OK\r\n\r\nuntil the end", .status = 200, .body = "until the end" },
		{ "HTTP/1.0 200 OK\r\n\r\n", .status = 200, .body = "" },
		{ "HTTP/1.1 204 No Content\r\n\r\n", .status = 204, .body = "" },
		{ "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", .status = 304, .body = "" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", .method = "HEAD", .status = 200, .body = "" },
		{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 201 Created\r\n"
		  "Content-Length: 1\r\n\r\nx",
		    .status = 201, .body = "x" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reply_case reply = cases[i];

		check_reply(&reply, &collecting);
		check_reply(&reply, &streaming);
		reply.by_byte = true;
		check_reply(&reply, &collecting);
	}
}

static void
test_bad_replies(void **state)
{
	static const struct reply_case cases[] = {
		{ "", .code = ERR_IO },
		{ "HTTP/1.1 20", .code = ERR_IO },
		{ "HTTP/1.1 200 OK\r\nContent-Le", .code = ERR_IO },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", .code = ERR_IO, .status = 200 },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell", .code = ERR_IO, .status = 200 },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", .code = ERR_IO,
		    .status = 200 },
		{ "HTTP/1.1 100 Continue\r\n\r\n", .code = ERR_IO },
		{ "SSH-2.0-OpenSSH_9.2p1\r\n", .code = ERR_PROTO },
		{ "\x15\x03\x01\x00\x02\x02\x46", .code = ERR_PROTO },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 3\r\n\r\nhello", .code = ERR_PROTO },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
		    .code = ERR_PROTO },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n",
		    .code = ERR_PROTO, .status = 200 },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", .code = ERR_PROTO, .status = 200 },
		{ "HTTP/1.1 200 OK\nContent-Length: 0\n\n", .code = ERR_PROTO },
		{ "HTTP/1.1 101 Switching Protocols\r\n\r\n", .code = ERR_PROTO },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reply_case reply = cases[i];

		check_reply(&reply, &collecting);
		check_reply(&reply, &streaming);
		reply.by_byte = true;
		check_reply(&reply, &streaming);
	}
}

/* --- floods */

static void
script_flood(struct peer *p)
{
	const char *unit = p->arg;
	int fd = peer_accept(p);

	peer_check(p, peer_read_head(p, fd));
	peer_puts(fd, "HTTP/1.1 ");
	while (peer_puts(fd, unit))
		continue;
	close(fd);
}

static void
check_flood(const char *unit, enum err_code code)
{
	struct client c;
	struct peer p;

	peer_start(&p, PEER_UNIX, script_flood, (void *)unit);
	client_init(&c, p.url, NULL);
	exchange(&c, &collecting);
	assert_int_equal(c.err.code, code);
	client_fini(&c);
	peer_stop(&p);
}

static void
test_endless_replies_are_cut(void **state)
{
	(void)state;
	check_flood("200 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ERR_PROTO);
	check_flood("200 OK\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA", ERR_PROTO);
	check_flood("103 Early Hints\r\n\r\nHTTP/1.1 ", ERR_LIMIT);
	check_flood("200 OK\r\n\r\nan endless body, an endless body, an endless body, an endless body", ERR_LIMIT);
}

static void
script_too_large(struct peer *p)
{
	int fd = peer_accept(p);

	peer_check(p, peer_read_head(p, fd));
	peer_puts(fd, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world");
	peer_drain_close(fd);
}

static void
test_collected_body_is_bounded(void **state)
{
	(void)state;
	for (size_t max = 10; max <= 11; max++) {
		struct client c;
		struct peer p;

		peer_start(&p, PEER_UNIX, script_too_large, NULL);
		client_init(&c, p.url, NULL);
		c.request.reply_max = max;
		exchange(&c, &collecting);
		assert_int_equal(c.err.code, max < 11 ? ERR_LIMIT : ERR_NONE);
		client_fini(&c);
		peer_stop(&p);
	}
}

/* --- connecting */

static void
test_nobody_listens(void **state)
{
	static const char *const urls[] = { "unix:///nonexistent/docker.sock", "http://127.0.0.1:1", "http://[::1]:1",
		"http://localhost:1" };

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct client c;

		client_init(&c, urls[i], NULL);
		exchange(&c, &collecting);
		assert_int_equal(c.done, 1);
		assert_int_equal(c.err.code, ERR_IO);
		assert_true(c.err.text[0] != '\0');
		client_fini(&c);
	}
}

static void
test_bad_base_urls(void **state)
{
	static const char *const urls[] = { "", "docker.sock", "ftp://a", "http://a/x?y", "http://u:p@a", "smtp://a",
		"tcp://a" };
	const struct httpc_conf conf = { .tls.ca_file = "/nonexistent/ca.pem" };
	struct loop *loop = loop_new();
	struct err err = ERR_OK;

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		err = ERR_OK;
		assert_null(httpc_new(loop, urls[i], NULL, &err));
		assert_int_equal(err.code, ERR_INPUT);
	}
	assert_null(httpc_new(loop, "https://a", &conf, &err));
	assert_non_null(strstr(err.text, "/nonexistent/ca.pem: No such file"));
	loop_free(&loop);
}

static void
test_bad_requests_fail_later(void **state)
{
	static const struct httpc_header split = { "Authorization", "Bearer x\r\nHost: other" };
	struct client c;

	(void)state;
	client_init(&c, "unix:///nonexistent", NULL);
	c.request.headers = &split;
	c.request.header_count = 1;
	c.op = httpc_request(c.httpc, &c.request, &collecting, &c);
	assert_int_equal(c.done, 0);
	loop_run(c.loop);
	assert_int_equal(c.done, 1);
	assert_int_equal(c.err.code, ERR_INPUT);
	assert_null(strstr(c.err.text, "Bearer"));
	c.request.header_count = 0;
	c.request.path = "/a b";
	exchange(&c, &collecting);
	assert_int_equal(c.err.code, ERR_INPUT);
	client_fini(&c);
}

/* --- what goes out */

static void
script_show_request(struct peer *p)
{
	char body[5];
	int fd = peer_accept(p);

	peer_check(p, peer_read_head(p, fd));
	peer_check(p, peer_read(fd, body, 5) && memcmp(body, "hello", 5) == 0);
	peer_check(p, strstr(p->head, "POST /api/v1/a?b=c HTTP/1.1\r\nHost: 127.0.0.1:") == p->head);
	peer_check(p, strstr(p->head, "\r\nContent-Length: 5\r\n") != NULL);
	peer_check(p, strstr(p->head, "\r\nX-A: b\r\n") != NULL);
	peer_check(p, strstr(p->head, "\r\nUser-Agent: davit/") != NULL);
	peer_check(p, strstr(p->head, "Connection") == NULL);
	peer_puts(fd, "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok");
	peer_drain_close(fd);
}

static void
test_request_as_sent(void **state)
{
	static const struct httpc_header header = { "X-A", "b" };
	char base[200];
	struct client c;
	struct peer p;

	(void)state;
	peer_start(&p, PEER_TCP, script_show_request, NULL);
	snprintf(base, sizeof(base), "%s/api/v1/", p.url);
	client_init(&c, base, NULL);
	c.request = (struct httpc_request){
		.method = "POST",
		.path = "/a?b=c",
		.headers = &header,
		.header_count = 1,
		.body = STR("hello"),
		.total_ms = 10000,
	};
	exchange(&c, &collecting);
	assert_int_equal(c.status, 202);
	assert_string_equal(c.body.data, "ok");
	client_fini(&c);
	peer_stop(&p);
}

/* --- kept connections */

static void
script_keep_alive(struct peer *p)
{
	int fd = peer_accept(p);

	for (int i = 0; i < 3; i++) {
		peer_check(p, peer_read_head(p, fd));
		peer_puts(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
	}
	peer_drain_close(fd);
}

static void
test_connection_is_kept(void **state)
{
	struct client c;
	struct peer p;

	(void)state;
	peer_start(&p, PEER_UNIX, script_keep_alive, NULL);
	client_init(&c, p.url, NULL);
	c.again = 2; /* the next request is made in on_done */
	exchange(&c, &collecting);
	assert_int_equal(c.done, 3);
	assert_string_equal(c.body.data, "xxx");
	client_fini(&c);
	peer_stop(&p);
	assert_int_equal(atomic_load(&p.connections), 1);
}

/* Serves once, takes another request and goes away; the third request comes on a new connection. */
static void
script_stale(struct peer *p)
{
	int fd = peer_accept(p);

	peer_check(p, peer_read_head(p, fd));
	peer_puts(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
	peer_check(p, peer_read_head(p, fd));
	close(fd);
	fd = peer_accept(p);
	if (peer_read_head(p, fd) && p->arg != NULL)
		peer_puts(fd, p->arg);
	close(fd);
}

static void
test_stale_connection_is_retried_once(void **state)
{
	struct client c;
	struct peer p;

	(void)state;
	peer_start(&p, PEER_UNIX, script_stale, (void *)"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
	client_init(&c, p.url, NULL);
	c.again = 1;
	exchange(&c, &collecting);
	assert_int_equal(c.done, 2);
	assert_string_equal(c.body.data, "12");
	client_fini(&c);
	peer_stop(&p);
	assert_int_equal(atomic_load(&p.connections), 2);
}

static void
test_new_connection_is_not_retried(void **state)
{
	struct client c;
	struct peer p;

	(void)state;
	peer_start(&p, PEER_UNIX, script_stale, NULL);
	client_init(&c, p.url, NULL);
	c.again = 1;
	exchange(&c, &collecting);
	assert_int_equal(c.done, 2);
	assert_int_equal(c.err.code, ERR_IO);
	client_fini(&c);
	peer_stop(&p);
}

/* More than was asked for: the connection must not be used again. */
static void
script_chatty(struct peer *p)
{
	for (int i = 0; i < 2; i++) {
		int fd = peer_accept(p);

		peer_check(p, peer_read_head(p, fd));
		peer_puts(fd,
		    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
		peer_drain_close(fd);
	}
}

static void
test_excess_bytes_are_no_reply(void **state)
{
	struct client c;
	struct peer p;

	(void)state;
	peer_start(&p, PEER_UNIX, script_chatty, NULL);
	client_init(&c, p.url, NULL);
	c.again = 1;
	exchange(&c, &collecting);
	assert_int_equal(c.done, 2);
	assert_string_equal(c.body.data, "xx");
	client_fini(&c);
	peer_stop(&p);
}

static void
script_close_header(struct peer *p)
{
	for (int i = 0; i < 2; i++) {
		int fd = peer_accept(p);

		peer_check(p, peer_read_head(p, fd));
		peer_puts(fd, "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 1\r\n\r\nx");
		peer_drain_close(fd);
	}
}

static void
test_connection_close_is_obeyed(void **state)
{
	struct client c;
	struct peer p;

	(void)state;
	peer_start(&p, PEER_UNIX, script_close_header, NULL);
	client_init(&c, p.url, NULL);
	c.again = 1;
	exchange(&c, &collecting);
	assert_int_equal(c.done, 2);
	assert_int_equal(c.err.code, ERR_NONE);
	client_fini(&c);
	peer_stop(&p);
}

/* --- deadlines */

static void
script_silent(struct peer *p)
{
	int fd = peer_accept(p);

	peer_check(p, peer_read_head(p, fd));
	if (p->arg != NULL)
		peer_puts(fd, p->arg);
	peer_drain_close(fd);
}

static void
test_silence_ends_at_a_deadline(void **state)
{
	static const struct {
		const char *bytes;
		int64_t total_ms, idle_ms;
		unsigned status;
	} cases[] = {
		{ NULL, 50, 0, 0 },
		{ NULL, 0, 50, 0 },
		{ "HTTP/1.1 200 OK\r\nContent-", 50, 0, 0 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhe", 50, 0, 200 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhe", 0, 50, 200 },
		{ "HTTP/1.1 200 OK\r\n\r\nhe", 0, 50, 200 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client c;
		struct peer p;

		peer_start(&p, PEER_UNIX, script_silent, (void *)cases[i].bytes);
		client_init(&c, p.url, NULL);
		c.request.total_ms = cases[i].total_ms;
		c.request.idle_ms = cases[i].idle_ms;
		exchange(&c, &collecting);
		assert_int_equal(c.done, 1);
		assert_int_equal(c.err.code, ERR_TIMEOUT);
		assert_int_equal(c.status, cases[i].status);
		client_fini(&c);
		peer_stop(&p);
	}
}

static void
test_connecting_ends_at_a_deadline(void **state)
{
	const struct httpc_conf conf = { .connect_ms = 50 };
	struct client c;

	(void)state;
	client_init(&c, "http://192.0.2.1:9", &conf); /* TEST-NET-1: nobody answers, or the network refuses */
	exchange(&c, &collecting);
	assert_int_equal(c.done, 1);
	assert_true(c.err.code == ERR_TIMEOUT || c.err.code == ERR_IO);
	client_fini(&c);
}

/* --- cancellation and closing inside callbacks */

static void
script_any(struct peer *p)
{
	int fd = peer_accept(p);

	if (peer_read_head(p, fd))
		peer_puts(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
	peer_drain_close(fd);
}

static void
test_client_goes_away_inside_a_callback(void **state)
{
	(void)state;
	for (enum place place = ON_HEAD; place <= ON_DONE; place++) {
		struct client c;
		struct peer p;

		peer_start(&p, PEER_UNIX, script_any, NULL);
		client_init(&c, p.url, NULL);
		c.cancel_in = place;
		if (place == ON_DRAIN)
			c.request =
			    (struct httpc_request){ .method = "PUT", .path = "/", .streamed = true, .length = 1 };
		exchange(&c, &streaming);
		assert_int_equal(c.done, place == ON_DONE ? 1 : 0);
		assert_null(c.httpc);
		client_fini(&c);
		peer_stop(&p);
	}
}

static void
on_later(void *arg)
{
	struct client *c = arg;

	c->turn = NULL;
	loop_stop(c->loop);
}

static void
test_cancelled_before_anything_happened(void **state)
{
	static const char *const urls[] = { "unix:///nonexistent", "http://localhost:1", "http://davit-test.invalid" };

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		for (int turns = 0; turns < 3; turns++) {
			struct client c;

			client_init(&c, urls[i], NULL);
			c.op = httpc_request(c.httpc, &c.request, &collecting, &c);
			for (int turn = 0; turn < turns && c.op != NULL; turn++) {
				c.turn = deferred_call(c.loop, on_later, &c);
				loop_run(c.loop);
				deferred_cancel(&c.turn);
			}
			httpc_cancel(&c.op);
			assert_null(c.op);
			client_fini(&c);
			assert_true(c.done <= 1);
		}
}

/* --- hijacked connections */

static void
script_hijack(struct peer *p)
{
	char bytes[64] = "";
	size_t len = 0;
	ssize_t n;
	int fd = peer_accept(p);

	peer_check(p, peer_read_head(p, fd));
	peer_check(p, strstr(p->head, "\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n") != NULL);
	peer_puts(fd, p->arg);
	while (len < sizeof(bytes) && (n = read(fd, bytes + len, sizeof(bytes) - len)) > 0)
		len += (size_t)n;
	peer_check(p, len == 16 && memcmp(bytes, "to the container", 16) == 0); /* and its end was seen */
	peer_puts(fd, " and last words");
	close(fd);
}

static void
check_hijack(const char *reply)
{
	struct client c;
	struct peer p;

	peer_start(&p, PEER_UNIX, script_hijack, (void *)reply);
	client_init(&c, p.url, NULL);
	c.request = (struct httpc_request){ .method = "POST", .path = "/attach", .upgrade = true, .total_ms = 20000 };
	exchange(&c, &upgrading);
	assert_int_equal(c.upgrades, 1);
	assert_int_equal(c.done, 0);
	assert_true(c.stream_closed);
	assert_int_equal(c.stream_err.code, ERR_NONE);
	assert_string_equal(c.stream_bytes.data, "first words and last words");
	client_fini(&c);
	peer_stop(&p);
}

static void
test_hijack_with_half_close(void **state)
{
	(void)state;
	check_hijack("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst words");
	check_hijack("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nfirst words");
}

static void
test_upgrade_refused_by_the_server(void **state)
{
	struct client c;
	struct peer p;

	(void)state;
	peer_start(&p, PEER_UNIX, script_any, NULL);
	client_init(&c, p.url, NULL);
	c.request.upgrade = true;
	exchange(&c, &upgrading);
	assert_int_equal(c.done, 1);
	assert_int_equal(c.status, 200);
	assert_string_equal(c.body.data, "ab");
	client_fini(&c);
	peer_stop(&p);
}

/* --- back-pressure */

static void
script_slow_reader(struct peer *p)
{
	struct client *c = p->arg;
	char bytes[65536], line[32];
	size_t left = c->to_send;
	int fd = peer_accept(p);

	peer_check(p, peer_read_head(p, fd));
	peer_wait(p);
	while (left > 0) {
		size_t len = left < sizeof(bytes) ? left : sizeof(bytes);

		if (strstr(p->head, "chunked") != NULL) {
			size_t at = 0;

			do
				peer_check(p, peer_read(fd, line + at, 1));
			while (line[at++] != '\n' && at < sizeof(line) - 1);
			line[at] = '\0';
			len = strtoul(line, NULL, 16);
			peer_check(p, len > 0 && len <= sizeof(bytes));
			peer_check(
			    p, peer_read(fd, bytes, len) && peer_read(fd, line, 2) && memcmp(line, "\r\n", 2) == 0);
		} else {
			peer_check(p, peer_read(fd, bytes, len));
		}
		left -= len;
		atomic_fetch_add(&p->count, len);
	}
	if (strstr(p->head, "chunked") != NULL)
		peer_check(p, peer_read(fd, line, 5) && memcmp(line, "0\r\n\r\n", 5) == 0);
	peer_puts(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	peer_drain_close(fd);
}

static void
on_gate_opens(void *arg)
{
	struct client *c = arg;

	/* What can be under way: the piece at hand, and what the sockets hold. Without back-pressure, all would be. */
	assert_true(c->sent > 0 && c->sent < 4 * MB);
	peer_go(c->peer);
}

static void
check_upload(int64_t length)
{
	struct client c;
	struct timer *gate;
	struct peer p;

	memset(&c, 0, sizeof(c));
	c.to_send = 64 * MB; /* the script reads it before client_init() */
	peer_start(&p, PEER_UNIX, script_slow_reader, &c);
	client_init(&c, p.url, NULL);
	c.to_send = 64 * MB;
	c.chunk = 65536;
	c.peer = &p;
	c.request = (struct httpc_request){
		.method = "PUT", .path = "/archive", .streamed = true, .length = length, .total_ms = 20000
	};
	gate = timer_new(c.loop, on_gate_opens, &c);
	timer_start(gate, 100);
	exchange(&c, &streaming);
	timer_free(&gate);
	assert_int_equal(c.err.code, ERR_NONE);
	assert_int_equal(c.status, 200);
	assert_string_equal(c.body.data, "ok");
	assert_int_equal(atomic_load(&p.count), 64 * MB);
	assert_true(c.most_pending <= c.chunk + 1024); /* the head and the chunk's frame beside the piece */
	client_fini(&c);
	peer_stop(&p);
}

static void
test_upload_waits_for_a_slow_reader(void **state)
{
	(void)state;
	check_upload(64 * MB);
	check_upload(-1);
}

/* A server that has seen enough answers and goes, while we still write. */
static void
script_refuse_upload(struct peer *p)
{
	char bytes[1000];
	int fd = peer_accept(p);

	peer_check(p, peer_read_head(p, fd));
	peer_check(p, peer_read(fd, bytes, sizeof(bytes)));
	peer_puts(fd, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!");
	close(fd);
}

static void
test_early_answer_to_an_upload(void **state)
{
	(void)state;
	for (int kind = PEER_UNIX; kind <= PEER_TCP; kind++) {
		struct client c;
		struct peer p;

		peer_start(&p, (enum peer_kind)kind, script_refuse_upload, NULL);
		client_init(&c, p.url, NULL);
		c.to_send = 64 * MB;
		c.chunk = 65536;
		c.request = (struct httpc_request){
			.method = "PUT", .path = "/", .streamed = true, .length = 64 * MB, .total_ms = 20000
		};
		exchange(&c, &streaming);
		assert_int_equal(c.done, 1);
		if (c.err.code != ERR_NONE)
			fail_msg("%s", c.err.text);
		assert_int_equal(c.status, 413);
		assert_string_equal(c.body.data, "no!");
		client_fini(&c);
		peer_stop(&p);
	}
}

/* Writes until the reader stands still, and tells how far it came. */
static void
script_fire_hose(struct peer *p)
{
	static const char zeros[65536];
	struct pollfd pollfd = { .events = POLLOUT };
	size_t total = 32 * MB, done = 0;
	char head[64];
	int fd = peer_accept(p);

	peer_check(p, peer_read_head(p, fd));
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", total);
	peer_puts(fd, head);
	pollfd.fd = fd;
	while (done < total) {
		ssize_t n = send(fd, zeros, sizeof(zeros), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			done += (size_t)n;
		else if (poll(&pollfd, 1, 200) == 0)
			break;
	}
	atomic_store(&p->count, done);
	peer_check(p, write(*(int *)p->arg, "", 1) == 1);
	while (done < total) {
		size_t len = total - done < sizeof(zeros) ? total - done : sizeof(zeros);

		if (!peer_write(fd, zeros, len))
			break;
		done += len;
	}
	peer_drain_close(fd);
}

static void
on_stalled(void *arg, struct str bytes)
{
	struct client *c = arg;

	(void)bytes;
	assert_true(atomic_load(&c->peer->count) > 0 && atomic_load(&c->peer->count) < 4 * MB);
	assert_true(c->body.len <= 65536);
	assert_int_equal(c->done, 0);
	c->pause_in = NOWHERE;
	httpc_resume(c->op);
}

static void
on_signal_close(void *arg, const struct err *err)
{
	(void)arg;
	(void)err;
}

static void
test_paused_reply_holds_the_server(void **state)
{
	static const struct stream_handler handler = { .on_data = on_stalled, .on_close = on_signal_close };

	(void)state;
	for (enum place place = ON_HEAD; place <= ON_BODY; place++) {
		struct stream *signal;
		struct client c;
		struct peer p;
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		peer_start(&p, PEER_UNIX, script_fire_hose, &pair[1]);
		client_init(&c, p.url, NULL);
		c.peer = &p;
		c.pause_in = place;
		c.request.idle_ms = 150; /* rests meanwhile */
		signal = stream_adopt(c.loop, pair[0], "signal", &handler, &c);
		exchange(&c, &streaming);
		assert_int_equal(c.err.code, ERR_NONE);
		assert_int_equal(c.body.len, 32 * MB);
		stream_close(&signal);
		client_fini(&c);
		peer_stop(&p);
		close(pair[1]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_bad_replies),
		cmocka_unit_test(test_endless_replies_are_cut),
		cmocka_unit_test(test_collected_body_is_bounded),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_bad_base_urls),
		cmocka_unit_test(test_bad_requests_fail_later),
		cmocka_unit_test(test_request_as_sent),
		cmocka_unit_test(test_connection_is_kept),
		cmocka_unit_test(test_stale_connection_is_retried_once),
		cmocka_unit_test(test_new_connection_is_not_retried),
		cmocka_unit_test(test_excess_bytes_are_no_reply),
		cmocka_unit_test(test_connection_close_is_obeyed),
		cmocka_unit_test(test_silence_ends_at_a_deadline),
		cmocka_unit_test(test_connecting_ends_at_a_deadline),
		cmocka_unit_test(test_client_goes_away_inside_a_callback),
		cmocka_unit_test(test_cancelled_before_anything_happened),
		cmocka_unit_test(test_hijack_with_half_close),
		cmocka_unit_test(test_upgrade_refused_by_the_server),
		cmocka_unit_test(test_upload_waits_for_a_slow_reader),
		cmocka_unit_test(test_early_answer_to_an_upload),
		cmocka_unit_test(test_paused_reply_holds_the_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
