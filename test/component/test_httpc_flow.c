#include "test/unit/unit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/io/stream.h"
#include "test/component/http_client.h"

#define IDLE_MS 2000 /* far more than a busy machine lets a peer wait */

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
	c.request = (struct httpc_request){ .method = "POST", .path = "/attach", .upgrade = "tcp", .total_ms = 100000 };
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
	c.request.upgrade = "tcp";
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
	char bytes[65536], line[32];
	size_t left = 64 * MB; /* of check_upload */
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

/* When it stands still: the piece at hand is under way, and what the sockets hold. Without back-pressure, all would be.
 */
static void
on_gate_opens(void *arg)
{
	struct client *c = arg;

	if (c->sent == 0 || c->sent != c->seen) {
		c->seen = c->sent;
		timer_start(c->gate, 100);
		return;
	}
	assert_true(c->sent < 4 * MB);
	peer_go(c->peer);
}

static void
check_upload(int64_t length)
{
	struct client c;
	struct peer p;

	peer_start(&p, PEER_UNIX, script_slow_reader, NULL);
	client_init(&c, p.url, NULL);
	c.to_send = 64 * MB;
	c.chunk = 65536;
	c.peer = &p;
	c.request = (struct httpc_request){
		.method = "PUT", .path = "/archive", .streamed = true, .length = length, .total_ms = 100000
	};
	c.gate = timer_new(c.loop, on_gate_opens, &c);
	timer_start(c.gate, 100);
	exchange(&c, &streaming);
	timer_free(&c.gate);
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
			.method = "PUT", .path = "/", .streamed = true, .length = 64 * MB, .total_ms = 100000
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
on_rested(void *arg)
{
	struct client *c = arg;

	assert_int_equal(c->done, 0);
	httpc_resume(c->op);
}

/* Longer than what ends a connection that does not rest. */
static void
on_stalled(void *arg, struct str bytes)
{
	struct client *c = arg;

	(void)bytes;
	assert_true(atomic_load(&c->peer->count) > 0 && atomic_load(&c->peer->count) < 4 * MB);
	assert_true(c->body.len <= 65536);
	c->pause_in = NOWHERE;
	timer_start(c->gate, IDLE_MS + IDLE_MS / 4);
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
		c.request.idle_ms = IDLE_MS; /* rests meanwhile */
		c.gate = timer_new(c.loop, on_rested, &c);
		signal = stream_adopt(c.loop, pair[0], "signal", &handler, &c);
		exchange(&c, &streaming);
		assert_int_equal(c.err.code, ERR_NONE);
		assert_int_equal(c.body.len, 32 * MB);
		stream_close(&signal);
		timer_free(&c.gate);
		client_fini(&c);
		peer_stop(&p);
		close(pair[1]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hijack_with_half_close),
		cmocka_unit_test(test_upgrade_refused_by_the_server),
		cmocka_unit_test(test_upload_waits_for_a_slow_reader),
		cmocka_unit_test(test_early_answer_to_an_upload),
		cmocka_unit_test(test_paused_reply_holds_the_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
