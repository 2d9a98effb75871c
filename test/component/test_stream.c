#include "test/unit/unit.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/buf.h"
#include "server/core/loop.h"
#include "server/io/stream.h"
#include "test/component/tls_peer.h"

static struct tls_files files;

enum place { NOWHERE, ON_OPEN, ON_DATA, ON_DRAIN };

struct user {
	struct loop *loop;
	struct stream *stream;
	struct stream_tls *tls;
	struct timer *guard, *later;
	int opens, drains, closes;
	struct buf data;
	struct err err;
	enum place close_in;
	const char *greeting; /* written in the first on_open */
	bool starttls;
	bool pauses;     /* in on_open */
	bool half_close; /* after the greeting */
	int file;
	size_t file_size, file_sent;
};

static void
on_guard(void *arg)
{
	(void)arg;
	fail_msg("the test hangs");
}

static void
user_init(struct user *u)
{
	const struct stream_tls_conf conf = { .ca_file = files.ca };
	struct err err;

	*u = (struct user){ .loop = loop_new(), .file = -1 };
	u->tls = stream_tls_new(&conf, &err);
	assert_non_null(u->tls);
	buf_init(&u->data, 1000000);
	u->guard = timer_new(u->loop, on_guard, NULL);
	timer_start(u->guard, 30000);
}

static void
user_fini(struct user *u)
{
	stream_close(&u->stream);
	stream_tls_free(&u->tls);
	timer_free(&u->guard);
	timer_free(&u->later);
	loop_free(&u->loop);
	buf_fini(&u->data);
	if (u->file >= 0)
		close(u->file);
}

static bool
leaves(struct user *u, enum place place)
{
	if (u->close_in != place)
		return false;
	stream_close(&u->stream);
	loop_stop(u->loop);
	return true;
}

static void
send_segment(struct user *u)
{
	size_t len = u->file_size - u->file_sent;
	struct err err;

	if (len > STREAM_FILE_SEGMENT)
		len = STREAM_FILE_SEGMENT;
	if (len == 0)
		return;
	if (!stream_write_file(u->stream, u->file, (int64_t)u->file_sent, len, &err)) {
		u->err = err;
		stream_close(&u->stream);
		loop_stop(u->loop);
		return;
	}
	u->file_sent += len;
	if (u->file_sent == u->file_size)
		stream_close_write(u->stream);
}

static void
on_open(void *arg)
{
	struct user *u = arg;

	u->opens++;
	if (leaves(u, ON_OPEN))
		return;
	if (u->pauses)
		stream_pause(u->stream);
	if (u->opens == 1 && u->greeting != NULL)
		stream_write(u->stream, u->greeting, strlen(u->greeting));
	if (u->opens == 2)
		stream_write(u->stream, "EHLO me\r\n\r\n", 11);
	if (u->half_close)
		stream_close_write(u->stream);
	if (u->file >= 0)
		send_segment(u);
}

static void
on_data(void *arg, struct str bytes)
{
	struct user *u = arg;

	buf_addstr(&u->data, bytes);
	if (leaves(u, ON_DATA))
		return;
	if (u->starttls && u->opens == 1)
		stream_starttls(u->stream, u->tls, "localhost", 5000);
}

static void
on_drain(void *arg)
{
	struct user *u = arg;

	u->drains++;
	if (!leaves(u, ON_DRAIN) && u->file >= 0)
		send_segment(u);
}

static void
on_close(void *arg, const struct err *err)
{
	struct user *u = arg;

	u->stream = NULL;
	u->closes++;
	u->err = err != NULL ? *err : ERR_OK;
	loop_stop(u->loop);
}

static const struct stream_handler handler = {
	.on_open = on_open,
	.on_data = on_data,
	.on_drain = on_drain,
	.on_close = on_close,
};

static void
connect_and_run(struct user *u, const struct stream_target *target)
{
	u->stream = stream_connect(u->loop, target, &handler, u);
	loop_run(u->loop);
}

/* --- STARTTLS */

static void
script_starttls(struct peer *p)
{
	int fd = peer_accept(p);
	SSL *ssl;

	peer_check(p, peer_read_head(p, fd) && strcmp(p->head, "STARTTLS\r\n\r\n") == 0);
	peer_puts(fd, "220 go\r\n");
	ssl = tls_accept(&files, fd, false);
	peer_check(p, ssl != NULL);
	if (ssl == NULL)
		return;
	peer_check(p, tls_read_head(p, ssl) && strcmp(p->head, "EHLO me\r\n\r\n") == 0);
	tls_puts(ssl, "250 secret\r\n");
	tls_close(ssl, true);
}

static void
test_starttls(void **state)
{
	struct user u;
	struct peer p;

	(void)state;
	peer_start(&p, PEER_TCP, script_starttls, NULL);
	user_init(&u);
	u.starttls = true;
	u.greeting = "STARTTLS\r\n\r\n";
	connect_and_run(&u, &(struct stream_target){ .host = "127.0.0.1", .port = p.port, .timeout_ms = 5000 });
	assert_int_equal(u.opens, 2);
	assert_string_equal(u.data.data, "220 go\r\n250 secret\r\n");
	assert_int_equal(u.err.code, ERR_NONE);
	user_fini(&u);
	peer_stop(&p);
}

/* Words in clear behind the go-ahead must not be taken for words said under TLS. */
static void
script_injection(struct peer *p)
{
	char flood[20000];
	int fd = peer_accept(p);

	memset(flood, 'x', sizeof(flood));
	peer_check(p, peer_read_head(p, fd));
	peer_write(fd, flood, sizeof(flood));
	peer_drain_close(fd);
}

static void
test_words_before_tls_end_the_stream(void **state)
{
	struct user u;
	struct peer p;

	(void)state;
	peer_start(&p, PEER_UNIX, script_injection, NULL);
	user_init(&u);
	u.starttls = true;
	u.greeting = "STARTTLS\r\n\r\n";
	connect_and_run(&u, &(struct stream_target){ .path = p.path, .timeout_ms = 5000 });
	assert_int_equal(u.opens, 1);
	assert_int_equal(u.closes, 1);
	assert_true(u.err.code == ERR_PROTO || u.err.code == ERR_IO);
	user_fini(&u);
	peer_stop(&p);
}

static void
script_silent(struct peer *p)
{
	peer_drain_close(peer_accept(p));
}

static void
test_handshake_has_a_deadline(void **state)
{
	struct user u;
	struct peer p;

	(void)state;
	peer_start(&p, PEER_TCP, script_silent, NULL);
	user_init(&u);
	connect_and_run(
	    &u, &(struct stream_target){ .host = "localhost", .port = p.port, .tls = u.tls, .timeout_ms = 50 });
	assert_int_equal(u.closes, 1);
	assert_int_equal(u.err.code, ERR_TIMEOUT);
	user_fini(&u);
	peer_stop(&p);
}

/* --- half close */

static void
script_tls_half_close(struct peer *p)
{
	int fd = peer_accept(p);
	SSL *ssl = tls_accept(&files, fd, false);
	char bytes[100];

	peer_check(p, ssl != NULL);
	if (ssl == NULL)
		return;
	peer_check(p, SSL_read(ssl, bytes, sizeof(bytes)) == 5);
	peer_check(p, SSL_read(ssl, bytes, sizeof(bytes)) == 0);
	peer_check(p, SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN);
	tls_puts(ssl, "last words");
	tls_close(ssl, true);
}

static void
test_half_close_with_tls(void **state)
{
	struct user u;
	struct peer p;

	(void)state;
	peer_start(&p, PEER_TCP, script_tls_half_close, NULL);
	user_init(&u);
	u.greeting = "hello";
	u.half_close = true;
	connect_and_run(
	    &u, &(struct stream_target){ .host = "localhost", .port = p.port, .tls = u.tls, .timeout_ms = 5000 });
	assert_string_equal(u.data.data, "last words");
	assert_int_equal(u.err.code, ERR_NONE);
	user_fini(&u);
	peer_stop(&p);
}

/* --- pause */

static void
script_say_and_go(struct peer *p)
{
	int fd = peer_accept(p);

	peer_puts(fd, "all that I had to say");
	close(fd);
}

static void
on_later(void *arg)
{
	struct user *u = arg;

	assert_int_equal(u->data.len, 0);
	assert_int_equal(u->closes, 0);
	stream_resume(u->stream);
}

static void
test_pause_holds_bytes_and_end(void **state)
{
	struct user u;
	struct peer p;

	(void)state;
	peer_start(&p, PEER_UNIX, script_say_and_go, NULL);
	user_init(&u);
	u.pauses = true;
	u.later = timer_new(u.loop, on_later, &u);
	timer_start(u.later, 50);
	connect_and_run(&u, &(struct stream_target){ .path = p.path, .timeout_ms = 5000 });
	assert_string_equal(u.data.data, "all that I had to say");
	assert_int_equal(u.closes, 1);
	assert_int_equal(u.err.code, ERR_NONE);
	user_fini(&u);
	peer_stop(&p);
}

/* --- files */

static void
script_receive(struct peer *p)
{
	int fd = peer_accept(p);
	SSL *ssl = p->arg != NULL ? tls_accept(&files, fd, false) : NULL;
	unsigned char bytes[4096];
	ssize_t n;
	size_t at = 0;

	while ((n = ssl != NULL ? SSL_read(ssl, bytes, sizeof(bytes)) : read(fd, bytes, sizeof(bytes))) > 0)
		for (ssize_t i = 0; i < n; i++, at++)
			if (bytes[i] != (unsigned char)(at * 7 >> 3)) {
				peer_fail(p, "the file's bytes", __LINE__);
				at = SIZE_MAX / 2;
			}
	atomic_store(&p->count, at);
	if (ssl != NULL)
		tls_close(ssl, true);
	else
		close(fd);
}

static int
make_file(size_t size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/file", peer_folder());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	unlink(path);
	for (size_t at = 0; at < size;) {
		unsigned char bytes[4096];
		size_t len = size - at < sizeof(bytes) ? size - at : sizeof(bytes);

		for (size_t i = 0; i < len; i++)
			bytes[i] = (unsigned char)((at + i) * 7 >> 3);
		assert_int_equal(write(fd, bytes, len), len);
		at += len;
	}
	return fd;
}

static void
check_file(bool with_tls, size_t size, size_t real_size)
{
	struct user u;
	struct peer p;

	peer_start(&p, PEER_TCP, script_receive, with_tls ? &p : NULL);
	user_init(&u);
	u.file_size = size;
	u.file = make_file(real_size);
	connect_and_run(
	    &u, &(struct stream_target){
		    .host = "localhost", .port = p.port, .tls = with_tls ? u.tls : NULL, .timeout_ms = 5000 });
	assert_int_equal(u.err.code, size == real_size ? ERR_NONE : ERR_IO);
	if (size == real_size)
		assert_true(u.drains >= (int)(size / STREAM_FILE_SEGMENT));
	user_fini(&u);
	peer_stop(&p);
	if (size == real_size)
		assert_int_equal(atomic_load(&p.count), size);
}

static void
test_files_by_segments(void **state)
{
	(void)state;
	check_file(false, 5 * STREAM_FILE_SEGMENT + 77, 5 * STREAM_FILE_SEGMENT + 77);
	check_file(true, 5 * STREAM_FILE_SEGMENT + 77, 5 * STREAM_FILE_SEGMENT + 77);
}

static void
test_file_shorter_than_said(void **state)
{
	(void)state;
	check_file(false, 3 * STREAM_FILE_SEGMENT, 3 * STREAM_FILE_SEGMENT - 1);
	check_file(true, 3 * STREAM_FILE_SEGMENT, 3 * STREAM_FILE_SEGMENT - 1);
}

/* --- closing inside callbacks */

static void
test_close_inside_a_callback(void **state)
{
	(void)state;
	for (enum place place = ON_OPEN; place <= ON_DRAIN; place++) {
		struct user u;
		struct peer p;

		peer_start(&p, PEER_UNIX, place == ON_DRAIN ? script_silent : script_say_and_go, NULL);
		user_init(&u);
		u.close_in = place;
		u.greeting = place == ON_DRAIN ? "hello" : NULL;
		connect_and_run(&u, &(struct stream_target){ .path = p.path, .timeout_ms = 5000 });
		assert_null(u.stream);
		assert_int_equal(u.closes, 0);
		user_fini(&u);
		peer_stop(&p);
	}
}

static void
test_path_too_long(void **state)
{
	char path[300];
	struct user u;

	(void)state;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	user_init(&u);
	connect_and_run(&u, &(struct stream_target){ .path = path, .timeout_ms = 5000 });
	assert_int_equal(u.err.code, ERR_INPUT);
	user_fini(&u);
}

/* --- names */

struct name_server {
	struct evdns_server_port *port;
	int fd;
	int questions;
	bool is_silent;
};

/* "two.test" has an address where nobody listens in front of loopback's; other names do not exist. evdns asks in
 * mixed case, so that answers are harder to forge. */
static void
on_question(struct evdns_server_request *request, void *arg)
{
	const struct evdns_server_question *question = request->questions[0];
	struct name_server *ns = arg;
	struct in_addr addresses[2];

	ns->questions++;
	if (ns->is_silent) {
		evdns_server_request_drop(request);
		return;
	}
	inet_pton(AF_INET, "127.0.0.9", &addresses[0]);
	inet_pton(AF_INET, "127.0.0.1", &addresses[1]);
	if (strcasecmp(question->name, "two.test") != 0) {
		evdns_server_request_respond(request, 3);
		return;
	}
	if (question->type == EVDNS_TYPE_A)
		evdns_server_request_add_a_reply(request, question->name, 2, addresses, 60);
	evdns_server_request_respond(request, 0);
}

static void
name_server_start(struct name_server *ns, struct loop *loop)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	char address[32];

	*ns = (struct name_server){ .fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0) };
	assert_int_equal(bind(ns->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(ns->fd, (struct sockaddr *)&sa, &len), 0);
	ns->port = evdns_add_server_port_with_base(loop_base(loop), ns->fd, 0, on_question, ns);
	snprintf(address, sizeof(address), "127.0.0.1:%u", ntohs(sa.sin_port));
	evdns_base_clear_nameservers_and_suspend(loop_dns(loop));
	evdns_base_search_clear(loop_dns(loop));
	assert_int_equal(evdns_base_nameserver_ip_add(loop_dns(loop), address), 0);
	evdns_base_resume(loop_dns(loop));
}

static void
name_server_stop(struct name_server *ns)
{
	evdns_close_server_port(ns->port);
	close(ns->fd);
}

static void
test_all_addresses_of_a_name_are_tried(void **state)
{
	struct name_server ns;
	struct user u;
	struct peer p;

	(void)state;
	peer_start(&p, PEER_TCP, script_say_and_go, NULL);
	user_init(&u);
	name_server_start(&ns, u.loop);
	connect_and_run(&u, &(struct stream_target){ .host = "two.test", .port = p.port, .timeout_ms = 5000 });
	assert_true(ns.questions > 0);
	assert_int_equal(u.err.code, ERR_NONE);
	assert_string_equal(u.data.data, "all that I had to say");
	name_server_stop(&ns);
	user_fini(&u);
	peer_stop(&p);
}

static void
test_no_such_name(void **state)
{
	struct name_server ns;
	struct user u;

	(void)state;
	user_init(&u);
	name_server_start(&ns, u.loop);
	connect_and_run(&u, &(struct stream_target){ .host = "none.test", .port = 1, .timeout_ms = 5000 });
	assert_int_equal(u.closes, 1);
	assert_int_equal(u.err.code, ERR_IO);
	assert_non_null(strstr(u.err.text, "none.test:1: cannot find the host's address"));
	name_server_stop(&ns);
	user_fini(&u);
}

static void
test_silent_name_server(void **state)
{
	struct name_server ns;
	struct user u;

	(void)state;
	user_init(&u);
	name_server_start(&ns, u.loop);
	ns.is_silent = true;
	connect_and_run(&u, &(struct stream_target){ .host = "slow.test", .port = 1, .timeout_ms = 50 });
	assert_int_equal(u.closes, 1);
	assert_int_equal(u.err.code, ERR_TIMEOUT);
	name_server_stop(&ns);
	user_fini(&u);
}

static int
setup(void **state)
{
	(void)state;
	tls_make_files(&files);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	tls_remove_files(&files);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_words_before_tls_end_the_stream),
		cmocka_unit_test(test_handshake_has_a_deadline),
		cmocka_unit_test(test_half_close_with_tls),
		cmocka_unit_test(test_pause_holds_bytes_and_end),
		cmocka_unit_test(test_files_by_segments),
		cmocka_unit_test(test_file_shorter_than_said),
		cmocka_unit_test(test_close_inside_a_callback),
		cmocka_unit_test(test_path_too_long),
		cmocka_unit_test(test_all_addresses_of_a_name_are_tried),
		cmocka_unit_test(test_no_such_name),
		cmocka_unit_test(test_silent_name_server),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
