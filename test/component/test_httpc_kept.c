#include "test/unit/unit.h"

#include <unistd.h>

#include "test/component/http_client.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connection_is_kept),
		cmocka_unit_test(test_stale_connection_is_retried_once),
		cmocka_unit_test(test_new_connection_is_not_retried),
		cmocka_unit_test(test_excess_bytes_are_no_reply),
		cmocka_unit_test(test_connection_close_is_obeyed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
