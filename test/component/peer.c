#include "test/component/peer.h"

#include "test/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64];

static void
remove_folder(void)
{
	rmdir(folder);
}

const char *
peer_folder(void)
{
	if (folder[0] == '\0') {
		strcpy(folder, "/tmp/davit-test-XXXXXX");
		assert_non_null(mkdtemp(folder));
		atexit(remove_folder);
	}
	return folder;
}

static void
listen_unix(struct peer *p)
{
	static int number;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(p->path, sizeof(p->path), "%s/%d.sock", peer_folder(), number++);
	snprintf(p->url, sizeof(p->url), "unix://%s", p->path);
	memcpy(sa.sun_path, p->path, strlen(p->path) + 1);
	p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
}

static void
listen_tcp(struct peer *p)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);

	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(p->listener, (struct sockaddr *)&sa, &len), 0);
	p->port = ntohs(sa.sin_port);
	snprintf(p->url, sizeof(p->url), "http://127.0.0.1:%u", p->port);
}

static void *
run(void *arg)
{
	struct peer *p = arg;

	p->script(p);
	close(p->listener); /* who still wants to connect is refused */
	return NULL;
}

void
peer_start(struct peer *p, enum peer_kind kind, peer_fn *script, void *arg)
{
	pthread_t thread;

	memset(p, 0, sizeof(*p));
	p->script = script;
	p->arg = arg;
	if (kind == PEER_UNIX)
		listen_unix(p);
	else
		listen_tcp(p);
	assert_int_equal(listen(p->listener, 16), 0);
	assert_int_equal(pipe(p->gate), 0);
	assert_int_equal(pthread_create(&thread, NULL, run, p), 0);
	p->thread = thread;
}

void
peer_stop(struct peer *p)
{
	pthread_join(p->thread, NULL);
	close(p->gate[0]);
	close(p->gate[1]);
	if (p->path[0] != '\0')
		unlink(p->path);
	if (p->failure[0] != '\0')
		fail_msg("the peer says: %s", p->failure);
}

void
peer_go(struct peer *p)
{
	assert_int_equal(write(p->gate[1], "", 1), 1);
}

void
peer_wait(struct peer *p)
{
	char byte;

	peer_check(p, read(p->gate[0], &byte, 1) == 1);
}

void
peer_fail(struct peer *p, const char *what, int line)
{
	if (p->failure[0] == '\0')
		snprintf(p->failure, sizeof(p->failure), "line %d: not %s (errno %d)", line, what, errno);
}

int
peer_accept(struct peer *p)
{
	int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);

	peer_check(p, fd >= 0);
	atomic_fetch_add(&p->connections, 1);
	return fd;
}

bool
peer_read_head(struct peer *p, int fd)
{
	size_t len = 0;

	memset(p->head, 0, sizeof(p->head));
	while (len < sizeof(p->head) - 1) {
		if (read(fd, p->head + len, 1) != 1)
			return false;
		len++;
		if (len >= 4 && memcmp(p->head + len - 4, "\r\n\r\n", 4) == 0)
			return true;
	}
	peer_fail(p, "a head of reasonable size", __LINE__);
	return false;
}

bool
peer_read(int fd, void *p, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read(fd, (char *)p + done, len - done);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

bool
peer_write(int fd, const void *p, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = send(fd, (const char *)p + done, len - done, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

bool
peer_puts(int fd, const char *text)
{
	return peer_write(fd, text, strlen(text));
}

void
peer_drain_close(int fd)
{
	char bytes[4096];

	while (read(fd, bytes, sizeof(bytes)) > 0)
		continue;
	close(fd);
}
