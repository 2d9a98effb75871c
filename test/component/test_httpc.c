#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/component/http_client.h"

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

/* Of the reply whose head had come by then; 0: none. */
static unsigned
status_at_deadline(const char *bytes, int64_t total_ms, int64_t idle_ms)
{
	struct client c;
	struct peer p;

	peer_start(&p, PEER_UNIX, script_silent, (void *)bytes);
	client_init(&c, p.url, NULL);
	c.request.total_ms = total_ms;
	c.request.idle_ms = idle_ms;
	exchange(&c, &collecting);
	assert_int_equal(c.done, 1);
	assert_int_equal(c.err.code, ERR_TIMEOUT);
	client_fini(&c);
	peer_stop(&p);
	return c.status;
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
		unsigned status = 1;

		/* On a busy machine even what the peer sends may come later than that. */
		for (int64_t times = 1; status != cases[i].status && times <= 256; times *= 4)
			status =
			    status_at_deadline(cases[i].bytes, cases[i].total_ms * times, cases[i].idle_ms * times);
		assert_int_equal(status, cases[i].status);
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
		cmocka_unit_test(test_silence_ends_at_a_deadline),
		cmocka_unit_test(test_connecting_ends_at_a_deadline),
		cmocka_unit_test(test_client_goes_away_inside_a_callback),
		cmocka_unit_test(test_cancelled_before_anything_happened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
