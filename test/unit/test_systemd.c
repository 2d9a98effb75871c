#include "test/unit/unit.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/core/systemd.h"

/* A supervisor at a name, which begins with @ when it is no file. */
static int
listen_at(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	strcpy(address.sun_path, name); /* a short one of ours */
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(
	    bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
	    0);
	return fd;
}

static void
expect_word(const char *name)
{
	int fd = listen_at(name);
	char text[64] = "";

	setenv("NOTIFY_SOCKET", name, 1);
	systemd_notify("MAINPID=%d", 7);
	assert_int_equal(recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT), 9);
	assert_string_equal(text, "MAINPID=7");
	close(fd);
}

static void
test_words(void **state)
{
	char path[] = "/tmp/davit-systemd-XXXXXX", name[64];

	(void)state;
	close(mkstemp(path));
	unlink(path);
	expect_word(path);
	unlink(path);
	snprintf(name, sizeof(name), "@%s", path);
	expect_word(name);
}

static void
test_nobody_listens(void **state)
{
	char path[300];

	(void)state;
	setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
	systemd_notify("READY=1");
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	setenv("NOTIFY_SOCKET", path, 1); /* longer than an address may be */
	systemd_notify("READY=1");
	unsetenv("NOTIFY_SOCKET");
	systemd_notify("READY=1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_nobody_listens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
