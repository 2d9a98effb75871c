#include "server/mirror/client.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proto/chunked.h"
#include "proto/mem.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/io/listening.h"

#define IDLE_MS 60000  /* between requests, and without progress in a reply */
#define HEAD_MS 10000  /* from a head's first byte to its last */
#define LINGER_MS 2000 /* for the client to see our end */
#define PAUSE_MS 100   /* of accepting, without descriptors */
#define SEGMENT (256 * 1024)
#define FIRST_SEGMENT (16 * 1024) /* of a body that arrives, so that all who wait for it have its first bytes soon */

enum {
	SEGMENTS = 4, /* in one callback */
	HEAD_ROOM = 32 * 1024,
	OUT_MAX = 128 * 1024,
	USER_SIZE = 65,
	STATUS_LEFT = 499, /* as nginx calls it */
	ACCEPTS = 64,      /* in one callback */
};

enum client_state {
	CLIENT_HEAD,   /* a request's head is awaited */
	CLIENT_BODY,   /* and its body */
	CLIENT_ANSWER, /* the handler has it */
	CLIENT_SEND,
	CLIENT_TAKEN,  /* the connection is another's */
	CLIENT_LINGER, /* all is sent; what still comes is thrown away */
};

struct client {
	LIST_ENTRY(client) link;
	struct clients *clients;
	uint64_t number;
	int fd;
	enum client_state state;
	struct event *readable;
	struct event *writable;
	struct timer *timer;
	bool is_last; /* the connection ends behind this reply */
	char peer[INET6_ADDRSTRLEN];

	unsigned status; /* of the reply, as what follows */
	const char *source;
	char user[USER_SIZE];

	char *in;
	size_t in_len;
	size_t in_cap;
	size_t used; /* of in, by the request at hand */
	struct http1_scan scan;
	struct client_request request;
	void *handle; /* the handler's */

	struct buf out;
	size_t out_at;
	struct draft *draft;
	struct draft_reader reader;
	uint64_t start;
	uint64_t at;  /* in the draft */
	uint64_t end; /* DRAFT_UNKNOWN: its own */
	uint64_t segment_end;
	bool has_begun; /* the first segment of the body is chosen */
	bool is_chunked;
	bool is_ended; /* nothing follows what is in out */
};

struct clients {
	struct clients_conf conf;
	struct listening socket;
	struct event *acceptable;
	struct timer *pause;
	bool accepts;
	bool leaves;
	uint64_t accepted;
	LIST_HEAD(, client) all;
	struct client_figures figures;
};

static void take_input(struct client *c);

/* --- end of a connection --- */

static void
drop_draft(struct client *c)
{
	if (c->draft == NULL)
		return;
	draft_unwatch(&c->reader);
	draft_unref(&c->draft);
}

static void
update_accepting(struct clients *cs)
{
	if (cs->acceptable == NULL)
		return;
	if (cs->accepts && cs->figures.connections < cs->conf.connections_max && !timer_is_running(cs->pause))
		event_add(cs->acceptable, NULL);
	else
		event_del(cs->acceptable);
}

static void
tell_sent(struct client *c)
{
	const struct clients_conf *conf = &c->clients->conf;
	const struct client_sent sent = { .peer = c->peer,
		.user = c->user,
		.source = c->source != NULL ? c->source : "",
		.request = &c->request,
		.status = c->status,
		.bytes = c->at - c->start };

	if (conf->handler->on_sent != NULL)
		conf->handler->on_sent(conf->arg, &sent);
}

/* What is known of a request before its reply. */
static void
forget_reply(struct client *c)
{
	c->status = STATUS_LEFT;
	c->source = NULL;
	c->user[0] = '\0';
	c->start = c->at = 0;
}

static void
client_free(struct client *c)
{
	struct clients *cs = c->clients;
	void *handle = c->handle;

	if (c->state == CLIENT_ANSWER || c->state == CLIENT_SEND)
		tell_sent(c);
	c->handle = NULL;
	if (handle != NULL)
		cs->conf.handler->on_gone(handle);
	drop_draft(c);
	event_free(c->readable);
	event_free(c->writable);
	timer_free(&c->timer);
	if (c->fd >= 0)
		close(c->fd);
	buf_fini(&c->out);
	free(c->in);
	LIST_REMOVE(c, link);
	free(c);
	cs->figures.connections--;
	update_accepting(cs);
}

/* The client must not take what it has for whole. */
static void
client_reset(struct client *c)
{
	const struct linger hard = { 1, 0 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	client_free(c);
}

static void
tell_if_empty(struct clients *cs)
{
	if (cs->leaves && LIST_EMPTY(&cs->all))
		cs->conf.handler->on_empty(cs->conf.arg);
}

/* What a client still sends would make the kernel throw away our answer, if we closed at once. */
static void
client_linger(struct client *c)
{
	c->state = CLIENT_LINGER;
	event_del(c->writable);
	shutdown(c->fd, SHUT_WR);
	timer_start(c->timer, LINGER_MS);
	event_add(c->readable, NULL);
}

static void
on_timer(void *arg)
{
	struct client *c = arg;
	struct clients *cs = c->clients;

	client_free(c);
	tell_if_empty(cs);
}

/* --- sending --- */

enum progress { PROGRESS_MORE, PROGRESS_WAIT, PROGRESS_DONE, PROGRESS_BROKEN };

/* A head waits for its body in the kernel, but not for one that is not there yet. */
static bool
has_more(const struct client *c)
{
	return c->draft != NULL && draft_size(c->draft) > c->at;
}

/* False: the socket is full, or broken (*ret). */
static bool
flush_out(struct client *c, enum progress *ret)
{
	while (c->out_at < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at,
		    MSG_NOSIGNAL | (has_more(c) ? MSG_MORE : 0));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			*ret = errno == EAGAIN ? PROGRESS_MORE : PROGRESS_BROKEN;
			return false;
		}
		c->out_at += (size_t)n;
		timer_start(c->timer, IDLE_MS);
	}
	buf_reset(&c->out);
	c->out_at = 0;
	return true;
}

static bool
send_segment(struct client *c, enum progress *ret)
{
	off_t at = (off_t)c->at;
	uint64_t end = c->segment_end;
	int fd = draft_fd_at(c->draft, c->at, &end);
	ssize_t n = sendfile(c->fd, fd, &at, (size_t)(end - c->at));

	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0) {
		*ret = n < 0 && errno == EAGAIN ? PROGRESS_MORE : PROGRESS_BROKEN; /* 0: somebody cut the file */
		return false;
	}
	c->at += (uint64_t)n;
	c->clients->figures.bytes += (uint64_t)n;
	draft_advance(&c->reader, c->at);
	timer_start(c->timer, IDLE_MS);
	if (c->is_chunked && c->at == c->segment_end)
		buf_adds(&c->out, "\r\n");
	return true;
}

/* The next run of bytes that is there. */
static enum progress
next_segment(struct client *c)
{
	uint64_t size = draft_size(c->draft), end = c->end < size ? c->end : size;
	uint64_t most = c->has_begun || draft_is_whole(c->draft) ? SEGMENT : FIRST_SEGMENT;
	char line[CHUNKED_SIZE_LINE];

	if (c->at < end) {
		c->has_begun = true;
		c->segment_end = end - c->at > most ? c->at + most : end;
		if (c->is_chunked)
			buf_add(&c->out, line, chunked_print_size(line, (size_t)(c->segment_end - c->at)));
		return PROGRESS_MORE;
	}
	if (c->at == c->end || draft_is_whole(c->draft)) {
		drop_draft(c);
		if (c->is_chunked)
			buf_adds(&c->out, CHUNKED_END);
		return PROGRESS_MORE;
	}
	return draft_has_failed(c->draft) ? PROGRESS_BROKEN : PROGRESS_WAIT;
}

/* Head and body in one call, which costs less than sendfile. */
static enum progress
send_small(struct client *c)
{
	size_t head = c->out.len - c->out_at, body = (size_t)(c->end - c->at);
	struct iovec parts[] = { { c->out.data + c->out_at, head }, { (char *)draft_text(c->draft) + c->at, body } };
	const struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
	size_t sent = n > 0 ? (size_t)n : 0;

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? PROGRESS_MORE : PROGRESS_BROKEN;
	timer_start(c->timer, IDLE_MS);
	if (sent < head) {
		c->out_at += sent;
		return PROGRESS_MORE;
	}
	buf_reset(&c->out);
	c->out_at = 0;
	c->at += sent - head;
	c->clients->figures.bytes += sent - head;
	if (c->at < c->end)
		return PROGRESS_MORE;
	drop_draft(c);
	return PROGRESS_DONE;
}

static enum progress
send_more(struct client *c)
{
	enum progress progress = PROGRESS_MORE;
	bool begins = c->draft != NULL && !c->has_begun && !draft_is_whole(c->draft);

	if (c->draft != NULL && draft_text(c->draft) != NULL)
		return send_small(c);
	for (int i = 0; i < (begins ? 1 : SEGMENTS); i++) {
		if (!flush_out(c, &progress))
			return progress;
		if (c->draft == NULL)
			return PROGRESS_DONE;
		if (c->at == c->segment_end)
			progress = next_segment(c);
		if (progress != PROGRESS_MORE || (c->out.len == 0 && c->draft != NULL && !send_segment(c, &progress)))
			return progress;
	}
	return PROGRESS_MORE;
}

static void
end_reply(struct client *c)
{
	event_del(c->writable);
	tell_sent(c);
	if (c->is_last || c->clients->leaves) {
		client_linger(c);
		return;
	}
	memmove(c->in, c->in + c->used, c->in_len - c->used);
	c->in_len -= c->used;
	c->used = 0;
	c->scan = (struct http1_scan){ 0 };
	c->state = CLIENT_HEAD;
	timer_start(c->timer, c->in_len > 0 ? HEAD_MS : IDLE_MS);
	event_add(c->readable, NULL);
	take_input(c);
}

static void
pump(struct client *c)
{
	struct clients *cs = c->clients;

	switch (send_more(c)) {
	case PROGRESS_MORE:
		event_add(c->writable, NULL);
		break;
	case PROGRESS_WAIT:
		timer_stop(c->timer); /* the transfer has limits of its own */
		event_del(c->writable);
		break;
	case PROGRESS_DONE:
		end_reply(c);
		break;
	case PROGRESS_BROKEN:
		client_reset(c);
		break;
	}
	tell_if_empty(cs);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	struct loop *loop = c->clients->conf.loop;

	(void)fd;
	(void)what;
	loop_enter(loop, "mirror: reply", NULL);
	pump(c);
	loop_leave(loop);
}

static void
on_growth(void *arg)
{
	struct client *c = arg;

	if (!event_pending(c->writable, EV_WRITE, NULL)) /* else it waits for room */
		event_active(c->writable, EV_WRITE, 0);
}

static void
print_framing(struct client *c, const struct client_reply *reply)
{
	bool is_head = c->request.head.method == HTTP1_HEAD;

	c->is_chunked = reply->framing == CLIENT_BODY_STREAM && c->request.head.minor > 0 && !is_head;
	if (reply->framing == CLIENT_BODY_LENGTH)
		http1_print_header_int(&c->out, "Content-Length", reply->length);
	else if (c->is_chunked)
		http1_print_header(&c->out, "Transfer-Encoding", STR("chunked"));
	else if (reply->framing == CLIENT_BODY_STREAM && !is_head)
		c->is_last = true;
	if (c->is_last)
		http1_print_header(&c->out, "Connection", STR("close"));
	else if (c->request.head.minor == 0)
		http1_print_header(&c->out, "Connection", STR("keep-alive"));
	http1_print_end(&c->out);
}

/* "HTTP/1.1 200 OK" */
static unsigned
status_of(const struct buf *head)
{
	struct str rest = buf_str(head), digits;
	uint64_t status = 0;

	str_cut(&rest, ' ');
	digits = str_cut(&rest, ' ');
	return str_to_u64(digits, 999, &status) ? (unsigned)status : 0;
}

uint64_t
client_connection(const struct client *c)
{
	return c->number;
}

int
client_take(struct client *c, struct str *early)
{
	int fd = c->fd;

	assert(c->state == CLIENT_ANSWER);
	*early = (struct str){ c->in + c->used, c->in_len - c->used };
	c->status = 200;
	tell_sent(c);
	c->state = CLIENT_TAKEN;
	event_del(c->readable);
	event_del(c->writable);
	c->fd = -1;
	timer_start(c->timer, 0); /* whoever called us still has it */
	return fd;
}

void
client_reply(struct client *c, const struct client_reply *reply)
{
	bool has_body = reply->framing != CLIENT_BODY_NONE && c->request.head.method != HTTP1_HEAD;

	assert(c->state == CLIENT_ANSWER);
	c->handle = NULL;
	c->state = CLIENT_SEND;
	c->status = status_of(reply->head);
	c->source = reply->source;
	if (reply->user != NULL && reply->user[0] != '\0')
		snprintf(c->user, sizeof(c->user), "%s", reply->user);
	c->is_last = c->is_last || c->clients->leaves;
	buf_addstr(&c->out, buf_str(reply->head));
	print_framing(c, reply);
	if (has_body && reply->draft != NULL) {
		c->draft = draft_ref(reply->draft);
		c->reader = (struct draft_reader){ .at = reply->start, .fn = on_growth, .arg = c };
		draft_watch(c->draft, &c->reader);
		c->start = c->at = c->segment_end = reply->start;
		c->has_begun = false;
		c->end = reply->framing == CLIENT_BODY_LENGTH ? reply->start + reply->length : DRAFT_UNKNOWN;
	} else if (has_body) {
		buf_addstr(&c->out, reply->text);
		c->at = reply->text.len;
	}
	if (buf_failed(&c->out)) /* a head within its limits does not come here */
		c->is_last = true;
	timer_start(c->timer, IDLE_MS);
	event_active(c->writable, EV_WRITE, 0); /* it seldom has to wait for room */
}

/* --- receiving --- */

static void
refuse(struct client *c, unsigned status, const char *why)
{
	struct client_reply reply = { .framing = CLIENT_BODY_LENGTH, .length = strlen(why), .text = str_of(why) };
	struct buf head;

	buf_init(&head, 1024);
	http1_print_status(&head, status);
	http1_print_date(&head, "Date", (time_t)(loop_wall_ms() / 1000));
	http1_print_header(&head, "Content-Type", STR("text/plain"));
	reply.head = &head;
	c->is_last = true;
	c->state = CLIENT_ANSWER;
	forget_reply(c);
	c->request.text = (struct str){ c->in, c->in_len }; /* of which nothing is certain */
	c->request.head.header_count = 0;
	client_reply(c, &reply);
	buf_fini(&head);
}

static void
hand_over(struct client *c)
{
	struct http1_scan scan = { 0 };
	size_t head_len = c->used - (size_t)c->request.head.length;
	void *handle;

	c->request.text = (struct str){ c->in, head_len };
	if (c->request.head.length > 0) /* in may have moved */
		http1_parse_request(&scan, c->request.text, &http1_proxy_limits, &c->request.head);
	c->request.body = (struct str){ c->in + head_len, c->used - head_len };
	c->is_last = !http1_keeps_alive(&c->request.head);
	c->state = CLIENT_ANSWER;
	forget_reply(c);
	c->clients->figures.requests++;
	timer_stop(c->timer);
	handle = c->clients->conf.handler->on_request(c->clients->conf.arg, c, &c->request);
	if (c->state == CLIENT_ANSWER)
		c->handle = handle;
}

static void
take_body(struct client *c)
{
	if (c->in_len >= c->used)
		hand_over(c);
}

static void
take_head(struct client *c)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	switch (
	    http1_parse_request(&c->scan, (struct str){ c->in, c->in_len }, &http1_proxy_limits, &c->request.head)) {
	case HTTP1_NEED_MORE:
		break;
	case HTTP1_REFUSED:
		refuse(c, c->request.head.refusal, c->request.head.why);
		break;
	case HTTP1_DONE:
		if (c->request.head.length > CLIENT_BODY_MAX) {
			refuse(c, 413, "the mirror takes no request body of that size");
			break;
		}
		c->used = c->request.head.used + (size_t)c->request.head.length;
		c->state = CLIENT_BODY;
		if (c->request.head.expects_continue && c->in_len < c->used &&
		    send(c->fd, go_on, sizeof(go_on) - 1, MSG_NOSIGNAL) < 0)
			log_debug("mirror: a client is not told to go on"); /* it will by itself, or leave */
		timer_start(c->timer, IDLE_MS);
		take_body(c);
		break;
	}
}

static void
take_input(struct client *c)
{
	if (c->state == CLIENT_HEAD && c->in_len > 0)
		take_head(c);
	else if (c->state == CLIENT_BODY)
		take_body(c);
}

static void
make_room(struct client *c)
{
	size_t wanted = c->state == CLIENT_BODY ? c->used : HEAD_ROOM;

	if (c->in_cap >= wanted && c->in_len < c->in_cap)
		return;
	c->in_cap = wanted > c->in_len ? wanted : c->in_len + HEAD_ROOM;
	c->in = xrealloc(c->in, c->in_cap);
}

static void
receive(struct client *c)
{
	char waste[4096];
	bool lingers = c->state == CLIENT_LINGER;
	ssize_t n;

	if (c->state == CLIENT_ANSWER || c->state == CLIENT_SEND) { /* the next request waits in the kernel */
		event_del(c->readable);
		return;
	}
	if (!lingers)
		make_room(c);
	n = lingers ? recv(c->fd, waste, sizeof(waste), 0) : recv(c->fd, c->in + c->in_len, c->in_cap - c->in_len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_free(c);
		return;
	}
	if (lingers)
		return;
	if (c->state == CLIENT_HEAD && c->in_len == 0)
		timer_start(c->timer, HEAD_MS);
	c->in_len += (size_t)n;
	take_input(c);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	struct clients *cs = c->clients;

	(void)fd;
	(void)what;
	loop_enter(cs->conf.loop, "mirror: request", NULL);
	receive(c);
	tell_if_empty(cs);
	loop_leave(cs->conf.loop);
}

/* --- accepting --- */

static void
read_peer(int fd, char ret[INET6_ADDRSTRLEN])
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address = { 0 };
	socklen_t len = sizeof(address);

	if (getpeername(fd, &address.any, &len) != 0)
		return;
	if (address.any.sa_family == AF_INET)
		inet_ntop(AF_INET, &address.v4.sin_addr, ret, INET6_ADDRSTRLEN);
	else if (address.any.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &address.v6.sin6_addr, ret, INET6_ADDRSTRLEN);
}

static void
client_new(struct clients *cs, int fd)
{
	struct client *c = xcalloc(1, sizeof(*c));
	struct event_base *base = loop_base(cs->conf.loop);
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* fails on unix sockets, as it may */
	*c = (struct client){ .clients = cs, .fd = fd };
	if (cs->conf.handler->on_sent != NULL)
		read_peer(fd, c->peer);
	c->number = (uint64_t)cs->conf.door << 48 | ++cs->accepted;
	buf_init(&c->out, OUT_MAX);
	c->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
	assert(c->readable != NULL && c->writable != NULL);
	c->timer = timer_new(cs->conf.loop, on_timer, c);
	timer_start(c->timer, IDLE_MS);
	event_add(c->readable, NULL);
	LIST_INSERT_HEAD(&cs->all, c, link);
	cs->figures.connections++;
}

static void
on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct clients *cs = arg;

	(void)what;
	for (int i = 0; i < ACCEPTS && cs->figures.connections < cs->conf.connections_max; i++) {
		int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client >= 0) {
			client_new(cs, client);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			timer_start(cs->pause, PAUSE_MS);
		break;
	}
	update_accepting(cs);
}

static void
on_pause_over(void *arg)
{
	update_accepting(arg);
}

struct clients *
clients_new(const struct clients_conf *conf, struct err *err)
{
	struct clients *cs;
	struct listening socket;

	if (!listening_open(&socket, conf->address, conf->inherited, err))
		return NULL;
	cs = xcalloc(1, sizeof(*cs));
	*cs = (struct clients){ .conf = *conf, .socket = socket };
	LIST_INIT(&cs->all);
	cs->pause = timer_new(conf->loop, on_pause_over, cs);
	cs->acceptable = event_new(loop_base(conf->loop), socket.fd, EV_READ | EV_PERSIST, on_acceptable, cs);
	assert(cs->acceptable != NULL);
	return cs;
}

void
clients_accept(struct clients *cs)
{
	cs->accepts = true;
	update_accepting(cs);
}

static void
stop_accepting(struct clients *cs)
{
	cs->accepts = false;
	if (cs->acceptable != NULL)
		event_free(cs->acceptable);
	cs->acceptable = NULL;
}

void
clients_leave(struct clients *cs)
{
	struct client *c, *next;

	stop_accepting(cs);
	listening_leave(&cs->socket);
	cs->leaves = true;
	for (c = LIST_FIRST(&cs->all); c != NULL; c = next) {
		next = LIST_NEXT(c, link);
		if (c->state == CLIENT_HEAD && c->in_len == 0)
			client_free(c);
	}
}

bool
clients_are_gone(const struct clients *cs)
{
	return LIST_EMPTY(&cs->all);
}

void
clients_free(struct clients **clients)
{
	struct clients *cs = *clients;

	if (cs == NULL)
		return;
	*clients = NULL;
	stop_accepting(cs);
	while (!LIST_EMPTY(&cs->all))
		client_reset(LIST_FIRST(&cs->all));
	timer_free(&cs->pause);
	listening_close(&cs->socket);
	free(cs);
}

const struct listening *
clients_socket(const struct clients *cs)
{
	return &cs->socket;
}

struct client_figures
clients_figures(const struct clients *cs)
{
	return cs->figures;
}
