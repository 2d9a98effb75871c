#include "test/unit/unit.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/core/inherited.h"
#include "server/io/listening.h"

#define FIRST_FD 3

static void
set_words(long pid, const char *count)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", pid);
	setenv("LISTEN_PID", text, 1);
	setenv("LISTEN_FDS", count, 1);
	setenv("LISTEN_FDNAMES", "davit.socket:davit.socket", 1);
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* As systemd would: a blocking socket, at a number of its choice. Returns the port. */
static unsigned
place_tcp(int at)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	if (fd != at) {
		assert_int_equal(dup2(fd, at), at);
		close(fd);
	}
	return ntohs(address.sin_port);
}

static void
place_unix(int at, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, path); /* a short one of ours */
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	if (fd != at) {
		assert_int_equal(dup2(fd, at), at);
		close(fd);
	}
}

static void
test_activated(void **state)
{
	struct inherited *in;
	struct listening l;
	struct err err;
	char address[32];
	unsigned port;

	(void)state;
	place_tcp(FIRST_FD);
	port = place_tcp(FIRST_FD + 1);
	set_words(getpid(), "2");
	in = inherited_new();
	assert_null(getenv("LISTEN_PID")); /* no child may take them for its own */
	assert_null(getenv("LISTEN_FDS"));
	assert_null(getenv("LISTEN_FDNAMES"));
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	assert_true(listening_open(&l, address, in, &err)); /* told by its address, not by its place */
	assert_int_equal(l.fd, FIRST_FD + 1);
	assert_int_equal(l.port, port);
	assert_string_equal(l.address, address);
	assert_true(fcntl(l.fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(l.fd, F_GETFD) & FD_CLOEXEC);
	inherited_free(&in);
	assert_false(is_open(FIRST_FD)); /* nobody has asked for it */
	assert_true(is_open(l.fd));
	listening_close(&l);
	assert_false(is_open(FIRST_FD + 1));
}

static void
test_other_address_is_bound(void **state)
{
	struct inherited *in;
	struct listening l;
	struct err err;

	(void)state;
	place_tcp(FIRST_FD);
	set_words(getpid(), "1");
	in = inherited_new();
	assert_true(listening_open(&l, "[::1]:0", in, &err));
	assert_int_not_equal(l.fd, FIRST_FD);
	assert_false(l.is_activated);
	listening_close(&l);
	assert_true(listening_open(&l, "127.0.0.1:0", in, &err)); /* any port: the one that is there */
	assert_int_equal(l.fd, FIRST_FD);
	listening_close(&l);
	inherited_free(&in);
}

static void
test_activated_path_stays(void **state)
{
	char path[] = "/tmp/davit-listening-XXXXXX", address[64];
	struct inherited *in;
	struct listening l;
	struct stat st;
	struct err err;

	(void)state;
	close(mkstemp(path));
	unlink(path);
	snprintf(address, sizeof(address), "unix:%s", path);
	place_unix(FIRST_FD, path);
	set_words(getpid(), "1");
	in = inherited_new();
	assert_true(listening_open(&l, address, in, &err));
	assert_int_equal(l.fd, FIRST_FD);
	listening_close(&l);
	assert_int_equal(stat(path, &st), 0); /* systemd's own, who listens on */
	inherited_free(&in);
	unlink(path);
}

static void
test_words_for_others(void **state)
{
	static const char *const counts[] = { "", "x", "-1", "65", "99999999999999999999" };
	struct inherited *in;

	(void)state;
	place_tcp(FIRST_FD);
	set_words(getpid() + 1, "1");
	in = inherited_new();
	assert_int_equal(inherited_take(in, INHERITED_ACTIVATED, NULL, NULL), -1);
	inherited_free(&in);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		set_words(getpid(), counts[i]);
		in = inherited_new();
		assert_int_equal(inherited_take(in, INHERITED_ACTIVATED, NULL, NULL), -1);
		inherited_free(&in);
	}
	assert_true(is_open(FIRST_FD)); /* not ours to close */
	close(FIRST_FD);
}

/* The environment says two, one is there. */
static void
test_closed_descriptor(void **state)
{
	struct inherited *in;

	(void)state;
	place_tcp(FIRST_FD);
	close(FIRST_FD + 1);
	set_words(getpid(), "2");
	in = inherited_new();
	assert_int_equal(inherited_take(in, INHERITED_ACTIVATED, NULL, NULL), FIRST_FD);
	assert_int_equal(inherited_take(in, INHERITED_ACTIVATED, NULL, NULL), -1);
	inherited_free(&in);
	close(FIRST_FD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_activated),
		cmocka_unit_test(test_other_address_is_bound),
		cmocka_unit_test(test_activated_path_stays),
		cmocka_unit_test(test_words_for_others),
		cmocka_unit_test(test_closed_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
