#include "test/component/wire.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/loop.h"

#define PATIENCE_MS 10000
#define GOT_MAX (64u << 20)

struct wire {
	struct loop *loop;
	int fd;
	struct event *event;
	struct buf got;
	bool is_ended;
};

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct wire *w = arg;
	char piece[65536];
	ssize_t n = recv(fd, piece, sizeof(piece), 0);

	(void)what;
	if (n > 0) {
		buf_add(&w->got, piece, (size_t)n);
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	w->is_ended = true;
	event_del(w->event);
}

static struct wire *
wire_connect(struct loop *loop, const struct sockaddr *address, socklen_t len)
{
	struct wire *w = xcalloc(1, sizeof(*w));
	int on = 1;

	w->loop = loop;
	w->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(w->fd >= 0);
	if (connect(w->fd, address, len) != 0) {
		perror("wire: connect");
		abort();
	}
	evutil_make_socket_nonblocking(w->fd);
	if (address->sa_family == AF_INET)
		setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	buf_init(&w->got, GOT_MAX);
	w->event = event_new(loop_base(loop), w->fd, EV_READ | EV_PERSIST, on_readable, w);
	event_add(w->event, NULL);
	return w;
}

struct wire *
wire_tcp(struct loop *loop, unsigned port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return wire_connect(loop, (struct sockaddr *)&address, sizeof(address));
}

struct wire *
wire_unix(struct loop *loop, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return wire_connect(loop, (struct sockaddr *)&address, sizeof(address));
}

void
wire_free(struct wire **wire)
{
	struct wire *w = *wire;

	if (w == NULL)
		return;
	*wire = NULL;
	event_free(w->event);
	close(w->fd);
	buf_fini(&w->got);
	free(w);
}

int
wire_fd(const struct wire *wire)
{
	return wire->fd;
}

void
wire_settle(struct loop *loop)
{
	for (int i = 0; i < 8; i++)
		event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
}

/* One turn that waits, but not for ever. */
static void
turn(struct loop *loop)
{
	struct timeval tv = { .tv_usec = 20000 };

	event_base_loopexit(loop_base(loop), &tv);
	event_base_loop(loop_base(loop), EVLOOP_ONCE);
}

bool
wire_send(struct wire *wire, const char *bytes, size_t len)
{
	int64_t end = loop_mono_ms() + PATIENCE_MS;

	while (len > 0 && loop_mono_ms() < end) {
		ssize_t n = send(wire->fd, bytes, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return false;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
		wire_settle(wire->loop);
	}
	return len == 0;
}

bool
wire_puts(struct wire *wire, const char *text)
{
	return wire_send(wire, text, strlen(text));
}

void
wire_half_close(struct wire *wire)
{
	shutdown(wire->fd, SHUT_WR);
}

void
wire_stop_reading(struct wire *wire)
{
	event_del(wire->event);
}

void
wire_read_again(struct wire *wire)
{
	event_add(wire->event, NULL);
}

bool
wire_expect(struct wire *wire, const char *text)
{
	int64_t end = loop_mono_ms() + PATIENCE_MS;

	while (memmem(wire->got.data, wire->got.len, text, strlen(text)) == NULL) {
		if (wire->is_ended || loop_mono_ms() > end)
			return false;
		turn(wire->loop);
	}
	return true;
}

bool
wire_expect_end(struct wire *wire)
{
	int64_t end = loop_mono_ms() + PATIENCE_MS;

	while (!wire->is_ended && loop_mono_ms() < end)
		turn(wire->loop);
	return wire->is_ended;
}

struct buf *
wire_got(struct wire *wire)
{
	return &wire->got;
}

bool
wire_is_ended(const struct wire *wire)
{
	return wire->is_ended;
}

bool
wire_turn_until(struct loop *loop, const bool *flag)
{
	int64_t end = loop_mono_ms() + PATIENCE_MS;

	while (!*flag && loop_mono_ms() < end)
		turn(loop);
	return *flag;
}
