#include "test/unit/unit.h"

#include <openssl/err.h>
#include <stdio.h>
#include <unistd.h>

#include "server/core/loop.h"
#include "server/io/httpc.h"
#include "test/component/tls_peer.h"

static struct tls_files files;

struct client {
	struct loop *loop;
	struct httpc *httpc;
	struct httpc_op *op;
	struct timer *guard;
	int done;
	unsigned status;
	struct err err;
	struct buf body;
};

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
	loop_stop(c->loop);
}

static void
on_guard(void *arg)
{
	(void)arg;
	fail_msg("the test hangs");
}

static void
client_init(struct client *c, const char *host, unsigned port, const struct stream_tls_conf *tls)
{
	const struct httpc_conf conf = { .tls = *tls };
	struct err err = ERR_OK;
	char url[100];

	*c = (struct client){ .loop = loop_new() };
	snprintf(url, sizeof(url), "https://%s:%u", host, port);
	c->httpc = httpc_new(c->loop, url, &conf, &err);
	if (c->httpc == NULL)
		fail_msg("%s", err.text);
	buf_init(&c->body, 1000);
	c->guard = timer_new(c->loop, on_guard, NULL);
	timer_start(c->guard, 30000);
}

static void
client_fini(struct client *c)
{
	httpc_free(&c->httpc);
	timer_free(&c->guard);
	loop_free(&c->loop);
	buf_fini(&c->body);
}

static void
exchange(struct client *c)
{
	static const struct httpc_handler handler = { .on_done = on_done };
	const struct httpc_request request = { .method = "GET", .path = "/", .total_ms = 10000 };

	c->op = httpc_request(c->httpc, &request, &handler, c);
	loop_run(c->loop);
}

/* What the server does, and what the client must make of it. */
struct tls_case {
	const char *host;
	struct stream_tls_conf tls;
	const char *reply;
	bool ends_in_order;
	bool needs_client;
	enum err_code code;
	unsigned status;
	const char *text; /* in the error's */
};

static void
script(struct peer *p)
{
	const struct tls_case *what = p->arg;
	int fd = peer_accept(p);
	SSL *ssl = tls_accept(&files, fd, what->needs_client);

	if (ssl == NULL)
		return;
	if (tls_read_head(p, ssl))
		tls_puts(ssl, what->reply);
	tls_close(ssl, what->ends_in_order);
}

static void
check(const struct tls_case *what)
{
	struct client c;
	struct peer p;

	peer_start(&p, PEER_TCP, script, (void *)what);
	client_init(&c, what->host, p.port, &what->tls);
	exchange(&c);
	assert_int_equal(c.done, 1);
	if (c.err.code != what->code || (what->text != NULL && strstr(c.err.text, what->text) == NULL))
		fail_msg("%s: %s, not %s", err_name(c.err.code), c.err.text, err_name(what->code));
	assert_int_equal(c.status, what->status);
	if (c.err.code == ERR_NONE)
		assert_string_equal(c.body.data, "hello");
	client_fini(&c);
	peer_stop(&p);
}

#define WITH_LENGTH "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define UNTIL_CLOSE "HTTP/1.1 200 OK\r\n\r\nhello"
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

static void
test_who_is_trusted(void **state)
{
	const struct stream_tls_conf trusting = { .ca_file = files.ca };
	const struct tls_case cases[] = {
		{ "localhost", trusting, WITH_LENGTH, .ends_in_order = true, .status = 200 },
		{ "LocalHost", trusting, WITH_LENGTH, .ends_in_order = true, .status = 200 },
		{ "127.0.0.1", trusting, WITH_LENGTH, .code = ERR_AUTH, .text = "IP address mismatch" },
		{ "localhost", { .ca_file = files.other_ca }, WITH_LENGTH, .code = ERR_AUTH, .text = "certificate" },
		{ "localhost", { 0 }, WITH_LENGTH, .code = ERR_AUTH, .text = "certificate" },
		{ "127.0.0.1", { .insecure = true }, WITH_LENGTH, .ends_in_order = true, .status = 200 },
		{ "localhost", { .ca_file = files.ca, .cert_file = files.client, .key_file = files.client },
		    WITH_LENGTH, .ends_in_order = true, .needs_client = true, .status = 200 },
		{ "localhost", trusting, WITH_LENGTH, .needs_client = true, .code = ERR_IO },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(&cases[i]);
}

/* An end without close_notify may be an attacker's: it must not pass for the end of a body that has no other. */
static void
test_truncation(void **state)
{
	const struct stream_tls_conf trusting = { .ca_file = files.ca };
	const struct tls_case cases[] = {
		{ "localhost", trusting, UNTIL_CLOSE, .ends_in_order = true, .status = 200 },
		{ "localhost", trusting, UNTIL_CLOSE, .ends_in_order = false, .code = ERR_IO, .status = 200,
		    .text = "close_notify" },
		{ "localhost", trusting, WITH_LENGTH, .ends_in_order = false, .status = 200 },
		{ "localhost", trusting, CHUNKED, .ends_in_order = false, .status = 200 },
		{ "localhost", trusting, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", .ends_in_order = true,
		    .code = ERR_IO, .status = 200 },
		{ "localhost", trusting, "HTTP/1.1 200 OK\r\nCont", .ends_in_order = false, .code = ERR_IO },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(&cases[i]);
}

static void
script_no_tls(struct peer *p)
{
	int fd = peer_accept(p);

	if (p->arg == NULL) {
		close(fd);
		return;
	}
	peer_puts(fd, p->arg);
	peer_drain_close(fd);
}

static void
test_server_without_tls(void **state)
{
	static const char *const words[] = { NULL, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct stream_tls_conf conf = { .ca_file = files.ca };
		struct client c;
		struct peer p;

		peer_start(&p, PEER_TCP, script_no_tls, (void *)words[i]);
		client_init(&c, "localhost", p.port, &conf);
		exchange(&c);
		assert_int_equal(c.done, 1);
		assert_int_equal(c.err.code, ERR_IO);
		client_fini(&c);
		peer_stop(&p);
	}
}

static void
script_keep_alive(struct peer *p)
{
	int fd = peer_accept(p);
	SSL *ssl = tls_accept(&files, fd, false);

	for (int i = 0; i < 3; i++) {
		peer_check(p, ssl != NULL && tls_read_head(p, ssl));
		tls_puts(ssl, WITH_LENGTH);
	}
	tls_close(ssl, true);
}

static void
test_connection_is_kept(void **state)
{
	const struct stream_tls_conf conf = { .ca_file = files.ca };
	struct client c;
	struct peer p;

	(void)state;
	peer_start(&p, PEER_TCP, script_keep_alive, NULL);
	client_init(&c, "localhost", p.port, &conf);
	for (int i = 1; i <= 3; i++) {
		exchange(&c);
		assert_int_equal(c.err.code, ERR_NONE);
		assert_int_equal(c.body.len, i * 5);
	}
	client_fini(&c);
	peer_stop(&p);
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
		cmocka_unit_test(test_who_is_trusted),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_server_without_tls),
		cmocka_unit_test(test_connection_is_kept),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
