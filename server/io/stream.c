#include "server/io/stream.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/io/stream_dial.h"
#include "server/io/stream_tls.h"

enum {
	LIBEVENT_READ = 4096, /* what libevent 2.1 takes from a socket at a time */
	MORE_MAX = 64 * 1024  /* and what is taken behind it */
};

enum stream_state {
	STREAM_DIALING,   /* no bufferevent yet */
	STREAM_UPGRADING, /* stream_starttls was called; the clear bufferevent waits for its end */
	STREAM_SHAKING,   /* TLS handshake */
	STREAM_OPEN,
	STREAM_ENDED, /* the end is known, but bytes in front of it are not yet given away */
};

struct stream {
	struct loop *loop;
	enum stream_state state;
	const struct stream_handler *handler;
	void *arg;
	char *name;
	struct dial *dial;
	struct deferred *begin; /* a failure to report, or the start of TLS */
	struct timer *timer;    /* of the TLS handshake */
	int64_t deadline;       /* of opening; loop_mono_ms */
	struct ssl_st *session; /* until the handshake takes it */
	struct bufferevent *bev;
	bool is_tls;
	bool paused;
	bool ends_output; /* stream_close_write was called */
	struct err err;   /* the first cause; with STREAM_ENDED it goes to on_close */
	unsigned depth;   /* frames of ours below which a callback runs */
	bool closed;      /* freed by the outermost of them */
	size_t giving;    /* bytes of the input that on_data has in its hands */
};

static void
release(struct stream *s)
{
	if (s->depth == 0 && s->closed)
		free(s);
}

void
stream_close(struct stream **stream)
{
	struct stream *s = *stream;

	if (s == NULL)
		return;
	*stream = NULL;
	assert(!s->closed);
	s->closed = true;
	dial_cancel(&s->dial);
	deferred_cancel(&s->begin);
	timer_free(&s->timer);
	stream_tls_session_free(&s->session);
	if (s->bev != NULL)
		bufferevent_free(s->bev);
	s->bev = NULL;
	free(s->name);
	s->name = NULL;
	release(s);
}

/* The only end that the owner did not ask for. */
static void
finish(struct stream *s)
{
	const struct stream_handler *handler = s->handler;
	struct err err = s->err;
	void *arg = s->arg;

	if (err.code != ERR_NONE)
		err = err_prefix(err, "%s", s->name);
	stream_close(&s);
	handler->on_close(arg, err.code != ERR_NONE ? &err : NULL);
}

/* libevent reads 4 KiB a time. When so much has come, there is more, and it is read here in one go; an end or an error
 * is left to libevent. */
static void
deliver_more(struct stream *s)
{
	char bytes[MORE_MAX];
	ssize_t len = recv(bufferevent_getfd(s->bev), bytes, sizeof(bytes), MSG_DONTWAIT);

	if (len > 0 && s->handler->on_data != NULL)
		s->handler->on_data(s->arg, (struct str){ bytes, (size_t)len });
}

/* Gives what has come to the owner, and then the end, unless he pauses. */
static void
deliver(struct stream *s)
{
	struct bufferevent *bev = s->bev;
	struct evbuffer *input = bufferevent_get_input(bev);
	struct evbuffer_iovec piece;
	size_t given = 0;

	s->depth++;
	while (!s->closed && !s->paused && (s->state == STREAM_OPEN || s->state == STREAM_ENDED)) {
		if (evbuffer_peek(input, -1, NULL, &piece, 1) <= 0 || piece.iov_len == 0)
			break;
		s->giving = piece.iov_len;
		if (s->handler->on_data != NULL)
			s->handler->on_data(s->arg, (struct str){ piece.iov_base, piece.iov_len });
		s->giving = 0;
		given += piece.iov_len;
		evbuffer_drain(input, piece.iov_len); /* libevent holds bev until its callback returns */
	}
	if (given >= LIBEVENT_READ && !s->closed && !s->paused && s->state == STREAM_OPEN && !s->is_tls)
		deliver_more(s);
	s->depth--;
	if (!s->closed && !s->paused && s->state == STREAM_ENDED)
		finish(s);
	else
		release(s);
}

static void
end_output(struct stream *s)
{
	if (s->is_tls)
		stream_tls_close_write(s->bev);
	else
		shutdown(bufferevent_getfd(s->bev), SHUT_WR);
}

static void
on_readable(struct bufferevent *bev, void *arg)
{
	struct stream *s = arg;
	struct loop *loop = s->loop;

	(void)bev;
	loop_enter(loop, "data from", s->name);
	deliver(s);
	loop_leave(loop);
}

static void
drained(struct stream *s)
{
	if (s->state != STREAM_OPEN || stream_pending(s) > 0)
		return;
	if (s->ends_output)
		end_output(s);
	else if (s->handler->on_drain != NULL)
		s->handler->on_drain(s->arg);
}

static void
on_drained(struct bufferevent *bev, void *arg)
{
	struct stream *s = arg;
	struct loop *loop = s->loop;

	(void)bev;
	loop_enter(loop, "data to", s->name);
	drained(s);
	loop_leave(loop);
}

static void
opened(struct stream *s)
{
	s->state = STREAM_OPEN;
	timer_free(&s->timer);
	if (s->paused)
		bufferevent_disable(s->bev, EV_READ);
	if (s->handler->on_open != NULL)
		s->handler->on_open(s->arg);
}

static void
ended(struct stream *s, struct err err)
{
	bool was_open = s->state == STREAM_OPEN || s->state == STREAM_ENDED;

	if (s->err.code == ERR_NONE)
		s->err = err;
	s->state = STREAM_ENDED;
	if (was_open)
		deliver(s);
	else
		finish(s);
}

/* A peer that no longer takes our bytes may have answered before it went: a server that refuses a large upload does.
 * So without TLS, which cannot go on after an error, reading goes on to its own end. */
static void
output_broke(struct stream *s)
{
	if (s->err.code == ERR_NONE)
		s->err = err_errno("cannot write");
}

static void
take_event(struct stream *s, short what)
{
	bool writing = (what & BEV_EVENT_WRITING) && !(what & BEV_EVENT_READING); /* deferred, both come as one */

	if (what & BEV_EVENT_CONNECTED)
		opened(s);
	else if ((what & BEV_EVENT_ERROR) && s->is_tls)
		ended(s, stream_tls_err(s->bev));
	else if (writing && (what & BEV_EVENT_EOF))
		ended(s, err_make(ERR_IO, 0, "the file that is sent became shorter"));
	else if (writing)
		output_broke(s);
	else if (what & BEV_EVENT_ERROR)
		ended(s, err_errno("the connection broke"));
	else if (s->state == STREAM_SHAKING)
		ended(s, err_make(ERR_IO, 0, "the peer closed the connection during the TLS handshake"));
	else
		ended(s, ERR_OK);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct stream *s = arg;
	struct loop *loop = s->loop;

	(void)bev;
	loop_enter(loop, "change of", s->name);
	take_event(s, what);
	loop_leave(loop);
}

static void
attach(struct stream *s, struct bufferevent *bev)
{
	assert(bev != NULL); /* libevent refuses for want of memory only */
	s->bev = bev;
	bufferevent_setcb(bev, on_readable, on_drained, on_event, s);
	bufferevent_set_max_single_write(bev, STREAM_FILE_SEGMENT);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void
attach_clear(struct stream *s, int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* fails on unix sockets, as it may */
	attach(s, bufferevent_socket_new(loop_base(s->loop), fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS));
}

static void
on_handshake_timeout(void *arg)
{
	struct stream *s = arg;

	s->err = err_make(ERR_TIMEOUT, 0, "the TLS handshake takes too long");
	finish(s);
}

static void
start_handshake(struct stream *s, int fd)
{
	int64_t left = s->deadline - loop_mono_ms();
	struct ssl_st *session = s->session;

	s->state = STREAM_SHAKING;
	s->is_tls = true;
	s->session = NULL;
	attach(s, stream_tls_bufferevent(s->loop, fd, session));
	s->timer = timer_new(s->loop, on_handshake_timeout, s);
	timer_start(s->timer, left > 0 ? left : 0);
}

static void
on_dialed(void *arg, int fd, const struct err *err)
{
	struct stream *s = arg;
	int on = 1;

	s->dial = NULL;
	if (err != NULL) {
		s->err = *err;
		finish(s);
	} else if (s->session != NULL) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		start_handshake(s, fd);
	} else {
		attach_clear(s, fd);
		opened(s);
	}
}

static void
on_failed(void *arg)
{
	struct stream *s = arg;

	s->begin = NULL;
	finish(s);
}

static struct stream *
stream_new(struct loop *loop, char *name, const struct stream_handler *handler, void *arg)
{
	struct stream *s = xcalloc(1, sizeof(*s));

	assert(handler->on_close != NULL);
	*s = (struct stream){ .loop = loop, .name = name, .handler = handler, .arg = arg };
	return s;
}

struct stream *
stream_connect(struct loop *loop, const struct stream_target *target, const struct stream_handler *handler, void *arg)
{
	const char *host = target->host != NULL ? target->host : "localhost";
	struct stream *s = stream_new(loop,
	    target->path != NULL ? xasprintf("unix:%s", target->path) : xasprintf("%s:%u", host, target->port), handler,
	    arg);

	s->deadline = loop_mono_ms() + target->timeout_ms;
	if (target->tls != NULL)
		s->session = stream_tls_session(target->tls, host, &s->err);
	if (s->err.code != ERR_NONE)
		s->begin = deferred_call(loop, on_failed, s);
	else
		s->dial = dial_start(loop, target, on_dialed, s);
	return s;
}

struct stream *
stream_adopt(struct loop *loop, int fd, const char *name, const struct stream_handler *handler, void *arg)
{
	struct stream *s = stream_new(loop, xstrdup(name), handler, arg);

	evutil_make_socket_nonblocking(fd);
	evutil_make_socket_closeonexec(fd);
	attach_clear(s, fd);
	s->state = STREAM_OPEN;
	return s;
}

/* The clear bufferevent goes, its socket stays. */
static void
on_starttls(void *arg)
{
	struct stream *s = arg;
	struct bufferevent *bev = s->bev;
	int fd = bufferevent_getfd(bev);

	s->begin = NULL;
	if (s->session != NULL && evbuffer_get_length(bufferevent_get_input(bev)) > 0)
		s->err = err_make(ERR_PROTO, 0, "the peer sent bytes in clear text where TLS had to begin");
	if (s->err.code != ERR_NONE) {
		finish(s);
		return;
	}
	s->bev = NULL;
	bufferevent_disable(bev, EV_READ | EV_WRITE);
	bufferevent_setfd(bev, -1);
	bufferevent_free(bev);
	start_handshake(s, fd);
}

void
stream_starttls(struct stream *s, const struct stream_tls *tls, const char *host, int64_t timeout_ms)
{
	assert(s->state == STREAM_ENDED || (s->state == STREAM_OPEN && !s->is_tls && stream_pending(s) == 0));
	if (s->state == STREAM_ENDED)
		return; /* on_close is on its way */
	s->state = STREAM_UPGRADING;
	s->deadline = loop_mono_ms() + timeout_ms;
	s->session = stream_tls_session(tls, host, &s->err);
	s->begin = deferred_call(s->loop, on_starttls, s);
}

void
stream_set_handler(struct stream *s, const struct stream_handler *handler, void *arg)
{
	assert(handler->on_close != NULL);
	s->handler = handler;
	s->arg = arg;
}

void
stream_write(struct stream *s, const void *p, size_t len)
{
	assert(!s->ends_output && (s->state == STREAM_OPEN || s->state == STREAM_ENDED));
	evbuffer_add(bufferevent_get_output(s->bev), p, len);
}

static bool
write_by_sendfile(struct stream *s, int fd, int64_t offset, size_t len)
{
	struct evbuffer_file_segment *segment = evbuffer_file_segment_new(fd, offset, (ev_off_t)len, 0);
	int result;

	if (segment == NULL)
		return false;
	result = evbuffer_add_file_segment(bufferevent_get_output(s->bev), segment, 0, (ev_off_t)len);
	evbuffer_file_segment_free(segment);
	return result == 0;
}

static bool
write_by_copy(struct stream *s, int fd, int64_t offset, size_t len)
{
	struct evbuffer *output = bufferevent_get_output(s->bev);
	struct evbuffer_iovec room;
	size_t done = 0;

	if (evbuffer_reserve_space(output, (ev_ssize_t)len, &room, 1) != 1)
		return false;
	while (done < len) {
		ssize_t n = pread(fd, (char *)room.iov_base + done, len - done, offset + (off_t)done);

		if (n <= 0) {
			if (n == 0)
				errno = ENODATA;
			return false;
		}
		done += (size_t)n;
	}
	room.iov_len = len;
	return evbuffer_commit_space(output, &room, 1) == 0;
}

bool
stream_write_file(struct stream *s, int fd, int64_t offset, size_t len, struct err *err)
{
	assert(!s->ends_output && (s->state == STREAM_OPEN || s->state == STREAM_ENDED));
	assert(len > 0 && len <= STREAM_FILE_SEGMENT);
	if (s->is_tls ? write_by_copy(s, fd, offset, len) : write_by_sendfile(s, fd, offset, len))
		return true;
	*err = err_errno("%s: cannot read the file to send", s->name);
	return false;
}

size_t
stream_pending(const struct stream *s)
{
	return s->bev != NULL ? evbuffer_get_length(bufferevent_get_output(s->bev)) : 0;
}

size_t
stream_unread(const struct stream *s)
{
	return s->bev != NULL ? evbuffer_get_length(bufferevent_get_input(s->bev)) - s->giving : 0;
}

void
stream_close_write(struct stream *s)
{
	assert(s->state == STREAM_OPEN || s->state == STREAM_ENDED);
	if (s->ends_output || s->state == STREAM_ENDED)
		return;
	s->ends_output = true;
	if (stream_pending(s) == 0)
		end_output(s);
}

void
stream_pause(struct stream *s)
{
	s->paused = true;
	if (s->state == STREAM_OPEN)
		bufferevent_disable(s->bev, EV_READ);
}

void
stream_resume(struct stream *s)
{
	if (!s->paused)
		return;
	s->paused = false;
	if (s->state == STREAM_OPEN)
		bufferevent_enable(s->bev, EV_READ);
	/* what lies in our buffer already, and the end behind it, make no event of their own */
	if (s->state == STREAM_OPEN || s->state == STREAM_ENDED)
		bufferevent_trigger(s->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

const char *
stream_name(const struct stream *s)
{
	return s->name;
}
