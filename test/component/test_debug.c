/* A terminal through the controller: the WebSocket as it is on the wire, on a shell that is none. */
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/mem.h"
#include "proto/websocket.h"
#include "server/controller/controller.h"
#include "server/core/loop.h"
#include "test/component/fake_store.h"
#include "test/component/fake_terminal.h"
#include "test/component/wire.h"

#define TOKEN "admin-token-0123456789"
#define HANDSHAKE                                                                                                  \
	" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define PATH "GET /api/v1/jobs/1.1/debug"

struct server {
	struct loop *loop;
	struct store store;
	struct controller *controller;
	unsigned port;
};

static void
server_start(struct server *s)
{
	static const char *const listen[] = { "127.0.0.1:0" };
	struct controller_deps deps = { .listen = listen,
		.listen_count = 1,
		.url = "",
		.admin_token = TOKEN,
		.version = "0.1",
		.hook_body_max = 1000 };
	struct err err;

	*s = (struct server){ .loop = loop_new() };
	fake_store_init(&s->store, s->loop);
	fake_terminal_reset(s->loop);
	deps.loop = s->loop;
	deps.store = &s->store;
	s->controller = controller_new(&deps, &err);
	if (s->controller == NULL)
		fail_msg("%s", err.text);
	s->port = (unsigned)atoi(strrchr(controller_address(s->controller, 0), ':') + 1);
}

static void
server_stop(struct server *s)
{
	controller_free(&s->controller);
	fake_store_fini(&s->store);
	loop_free(&s->loop);
	assert_int_equal(fake_terminal.count, 0);
	buf_fini(&fake_terminal.typed);
}

static struct wire *
open_terminal(struct server *s)
{
	struct wire *w = wire_tcp(s->loop, s->port);

	assert_true(wire_puts(w, PATH "?rows=31&columns=97&term=xterm-256color" HANDSHAKE));
	assert_true(wire_expect(w, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
	assert_int_equal(strncmp(wire_got(w)->data, "HTTP/1.1 101 ", 13), 0);
	buf_reset(wire_got(w));
	return w;
}

static void
send_frame(struct wire *w, enum websocket_kind kind, const char *bytes, size_t len)
{
	struct buf b;

	buf_init(&b, len + WEBSOCKET_HEAD_MAX);
	websocket_print(&b, kind, (const unsigned char *)"\x11\x22\x33\x44", (struct str){ bytes, len });
	assert_true(wire_send(w, b.data, b.len));
	buf_fini(&b);
}

static void
expect_close(struct server *s, const char *frame, size_t len, unsigned code, const char *reason)
{
	struct wire *w = open_terminal(s);
	struct buf b;

	buf_init(&b, 200);
	websocket_print_close(&b, code, NULL, str_of(reason));
	assert_true(wire_send(w, frame, len));
	assert_true(wire_expect_end(w));
	assert_int_equal(wire_got(w)->len, b.len);
	assert_memory_equal(wire_got(w)->data, b.data, b.len);
	buf_fini(&b);
	wire_free(&w);
	assert_int_equal(fake_terminal.count, 0);
}

static void
test_bytes_both_ways_and_the_end(void **state)
{
	struct server s;
	struct wire *w;

	(void)state;
	server_start(&s);
	w = open_terminal(&s);
	assert_string_equal(fake_terminal.type, "xterm-256color");
	assert_int_equal(fake_terminal.rows, 31);
	assert_int_equal(fake_terminal.columns, 97);
	fake_terminal_say("hello", 5);
	assert_true(wire_expect(w, "\x82\x05hello"));
	send_frame(w, WEBSOCKET_BINARY, "ls\r", 3);
	send_frame(w, WEBSOCKET_TEXT, "{\"rows\":20,\"columns\":60}", 24);
	send_frame(w, WEBSOCKET_PING, "p", 1);
	assert_true(wire_expect(w, "\x8a\x01p"));
	assert_string_equal(fake_terminal.typed.data, "ls\r");
	assert_int_equal(fake_terminal.rows, 20);
	assert_int_equal(fake_terminal.columns, 60);
	fake_terminal_end(7);
	assert_true(wire_expect_end(w));
	assert_non_null(strstr(wire_got(w)->data, "\x81\x0f{\"exit_code\":7}\x88\x15\x03\xe8the shell has ended"));
	wire_free(&w);
	server_stop(&s);
}

static void
test_what_ends_it(void **state)
{
	struct server s;
	char text[1100];
	struct buf b;

	(void)state;
	server_start(&s);
	expect_close(&s, "\x82\x00", 2, WEBSOCKET_PROTOCOL_ERROR, "a frame is not masked");
	expect_close(&s, "\xf2\x80", 2, WEBSOCKET_PROTOCOL_ERROR, "a reserved bit is set");
	expect_close(&s, "\x88\x80\0\0\0\0", 6, WEBSOCKET_NORMAL, "as you wish");
	expect_close(&s, "\x81\x82\0\0\0\0{}", 8, WEBSOCKET_POLICY,
	    "a text message tells a size: {\"rows\": 24, \"columns\": 80}");
	memset(text, ' ', sizeof(text));
	buf_init(&b, 2000);
	websocket_print(&b, WEBSOCKET_TEXT, (const unsigned char *)"\0\0\0\0", (struct str){ text, sizeof(text) });
	expect_close(&s, b.data, b.len, WEBSOCKET_TOO_LARGE, "a text message is too long");
	buf_fini(&b);
	server_stop(&s);
}

static void
test_who_leaves(void **state)
{
	struct wire *one, *two, *three;
	struct server s;

	(void)state;
	server_start(&s);
	one = open_terminal(&s);
	two = wire_tcp(s.loop, s.port);
	assert_true(wire_puts(two, PATH HANDSHAKE)); /* and leaves before the shell runs */
	wire_free(&two);
	wire_free(&one);
	wire_settle(s.loop);
	assert_int_equal(fake_terminal.count, 0);
	three = open_terminal(&s); /* when the server stops */
	controller_drain(s.controller);
	assert_true(wire_expect(three, "\x88\x12\x03\xe9the server stops"));
	wire_free(&three);
	server_stop(&s);
}

static unsigned
ask(struct server *s, const char *request)
{
	struct wire *w = wire_tcp(s->loop, s->port);
	unsigned status;

	assert_true(wire_puts(w, request));
	assert_true(wire_expect(w, "\r\n\r\n"));
	status = (unsigned)atoi(wire_got(w)->data + strlen("HTTP/1.1 "));
	wire_free(&w);
	return status;
}

static void
test_refusals(void **state)
{
	struct wire *w[8];
	struct server s;

	(void)state;
	server_start(&s);
	assert_int_equal(ask(&s, "GET /api/v1/jobs/2.1/debug" HANDSHAKE), 404);
	assert_int_equal(ask(&s, PATH "?rows=0x10" HANDSHAKE), 422);
	assert_int_equal(ask(&s, PATH " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN "\r\n\r\n"), 426);
	assert_int_equal(ask(&s, PATH " HTTP/1.1\r\nHost: x\r\n\r\n"), 401);
	fake_terminal.is_refused = true;
	assert_int_equal(ask(&s, PATH HANDSHAKE), 409);
	fake_terminal.is_refused = false;
	for (size_t i = 0; i < 8; i++)
		w[i] = open_terminal(&s);
	assert_int_equal(ask(&s, PATH HANDSHAKE), 429);
	for (size_t i = 0; i < 8; i++)
		wire_free(&w[i]);
	assert_int_equal(ask(&s, "POST /api/v1/jobs/1.1/release HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN
				 "\r\nContent-Length: 0\r\n\r\n"),
	    204);
	assert_string_equal(fake_terminal.released, "1.1");
	server_stop(&s);
}

/* Whoever reads slowly makes the other side wait, and nothing is lost. */
static void
test_both_directions_wait(void **state)
{
	char bytes[65536];
	struct server s;
	struct wire *w;
	unsigned said = 0;
	size_t before;

	(void)state;
	server_start(&s);
	w = open_terminal(&s);
	wire_stop_reading(w);
	memset(bytes, 'x', sizeof(bytes));
	while (!fake_terminal.is_paused && said < 1000) {
		fake_terminal_say(bytes, sizeof(bytes));
		said++;
		wire_settle(s.loop);
	}
	assert_true(said < 1000);
	wire_read_again(w);
	wire_settle(s.loop);
	assert_false(fake_terminal.is_paused);
	fake_terminal_say("done", 4);
	assert_true(wire_expect(w, "done"));
	assert_true(wire_got(w)->len > said * sizeof(bytes));

	fake_terminal.pending = 1 << 20;
	send_frame(w, WEBSOCKET_BINARY, "first", 5);
	wire_settle(s.loop);
	before = fake_terminal.typed.len;
	assert_int_equal(before, 5);
	send_frame(w, WEBSOCKET_BINARY, "second", 6);
	wire_settle(s.loop);
	assert_int_equal(fake_terminal.typed.len, before);
	fake_terminal_drain();
	wire_settle(s.loop);
	assert_string_equal(fake_terminal.typed.data, "firstsecond");
	wire_free(&w);
	server_stop(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_both_ways_and_the_end),
		cmocka_unit_test(test_what_ends_it),
		cmocka_unit_test(test_who_leaves),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_both_directions_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
