#include "server/controller/gate.h"

#include <arpa/inet.h>
#include <assert.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <evhtp/evhtp.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/http1.h"
#include "proto/mem.h"
#include "server/controller/reply.h"
#include "server/core/log.h"
#include "server/core/loop.h"

/* libevhtp's parser closes without a word at 8 KiB of a name or a value. */
#define HEADER_MAX 8000
/* What a client may send in advance of its answer. */
#define HELD_MAX (64 * 1024)

enum gate_state {
	GATE_IDLE,    /* no byte of the next message is there */
	GATE_HEAD,    /* some are */
	GATE_BODY,    /* libevhtp has the head and gets the body */
	GATE_HANDLER, /* the message is complete; somebody has the token */
	GATE_SEND,    /* the answer goes out */
	GATE_LINGER,  /* the last answer is out, or on its way; wait for the client to close */
};

struct gate {
	LIST_ENTRY(gate) link;
	struct gate_shared *shared;
	enum gate_state state;
	struct evhtp_connection *connection; /* libevhtp's; NULL once we answer without it */
	bufferevent_data_cb evhtp_read, evhtp_write;
	struct bufferevent *bev;
	struct evbuffer *held; /* came, and is not handed over yet */
	struct timer *timer;   /* NULL for a live stream */
	struct http1_scan scan;
	struct http_request *request; /* while its body comes */
	size_t body_left;
	bool is_complete;            /* libevhtp says so of the message */
	struct http_reply *reply;    /* in GATE_HANDLER */
	struct reply_stream *stream; /* in GATE_SEND, while there is more to come */
	bool keeps;                  /* the connection, behind the answer that goes out */
	bool client_done;            /* it sends no more, but may still read */
	size_t moved;                /* bytes of the body or the answer in this window */
};

static void on_deadline(void *arg);
static void timeout_idle(struct gate *g);
static void timeout_head(struct gate *g);
static void timeout_window(struct gate *g);
static void timeout_handler(struct gate *g);

/* clang-format off */
static const struct {
	const char *name;
	size_t ms; /* where its deadline stands in struct gate_conf */
	void (*timeout)(struct gate *);
} states[] = {
	[GATE_IDLE]    = { "idle",    offsetof(struct gate_conf, idle_ms),    timeout_idle },
	[GATE_HEAD]    = { "head",    offsetof(struct gate_conf, head_ms),    timeout_head },
	[GATE_BODY]    = { "body",    offsetof(struct gate_conf, window_ms),  timeout_window },
	[GATE_HANDLER] = { "handler", offsetof(struct gate_conf, handler_ms), timeout_handler },
	[GATE_SEND]    = { "send",    offsetof(struct gate_conf, window_ms),  timeout_window },
	[GATE_LINGER]  = { "linger",  offsetof(struct gate_conf, linger_ms),  timeout_idle },
};
/* clang-format on */

static int64_t
state_ms(const struct gate *g)
{
	return *(const int64_t *)((const char *)&g->shared->conf + states[g->state].ms);
}

/* The only place where the state changes. */
static void
gate_step(struct gate *g, enum gate_state next)
{
	g->state = next;
	g->moved = 0;
	timer_start(g->timer, state_ms(g));
}

static size_t
output_len(const struct gate *g)
{
	return evbuffer_get_length(bufferevent_get_output(g->bev));
}

/* --- the end --- */

static void
forget_request(struct gate *g)
{
	if (g->request == NULL)
		return;
	g->shared->bodies -= g->request->body_len;
	request_free(&g->request);
}

/* libevhtp frees its side and leaves us the bufferevent. */
static void
detach(struct gate *g)
{
	if (g->connection != NULL)
		evhtp_connection_free(g->connection); /* calls on_fini */
	assert(g->connection == NULL);
}

static void
gate_end(struct gate **gate)
{
	struct gate *g = *gate;
	struct http_reply *reply = g->reply;
	struct reply_stream *stream = g->stream;

	*gate = NULL;
	detach(g);
	forget_request(g);
	timer_free(&g->timer);
	evbuffer_free(g->held);
	bufferevent_free(g->bev);
	LIST_REMOVE(g, link);
	g->shared->count--;
	g->shared->on_end(g->shared->arg);
	free(g);
	if (reply != NULL)
		reply_abandon(reply);
	if (stream != NULL)
		reply_stream_abandon(stream);
}

/* The answer is the connection's last one. The client reads it before it sees the end: a close with unread bytes would
 * be a reset, which can overtake the answer. */
static void
gate_linger(struct gate *g)
{
	detach(g);
	if (g->timer == NULL)
		g->timer = timer_new(g->shared->loop, on_deadline, g);
	evbuffer_drain(g->held, evbuffer_get_length(g->held));
	if (!g->client_done)
		bufferevent_enable(g->bev, EV_READ);
	gate_step(g, GATE_LINGER);
	if (output_len(g) == 0)
		bufferevent_trigger(g->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS | BEV_TRIG_IGNORE_WATERMARKS);
}

/* Our own answer to what libevhtp and the handlers never see. */
static void
gate_refuse(struct gate *g, unsigned status, const char *why)
{
	struct buf b;

	log_debug("%s: refused in state %s: %u, %s", g->request != NULL ? g->request->peer : "connection",
	    states[g->state].name, status, why);
	buf_init(&b, 1024);
	http1_print_status(&b, status);
	http1_print_date(&b, "Date", (time_t)(loop_wall_ms() / 1000));
	http1_print_header(&b, "Content-Type", STR("text/plain; charset=utf-8"));
	http1_print_header_int(&b, "Content-Length", strlen(why) + 1);
	if (status == 503)
		http1_print_header(&b, "Retry-After", STR("5"));
	http1_print_header(&b, "Connection", STR("close"));
	http1_print_end(&b);
	buf_addf(&b, "%s\n", why);
	assert(!buf_failed(&b));
	bufferevent_write(g->bev, b.data, b.len);
	buf_fini(&b);
	g->shared->answers[status / 100]++;
	forget_request(g);
	gate_linger(g);
}

/* --- messages --- */

/* libevhtp gets each head anew from what was understood, without the query: nothing but our reading of it counts. */
static void
print_head(struct evbuffer *out, const struct http1_head *head)
{
	struct str rest = head->path, path = str_cut(&rest, '?');

	if (str_is(path, "*"))
		path = STR("/");
	evbuffer_add(out, head->method_name.p, head->method_name.len);
	evbuffer_add(out, " ", 1);
	evbuffer_add(out, path.p, path.len);
	evbuffer_add(out, head->minor == 0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n", 11);
	for (size_t i = 0; i < head->header_count; i++) {
		evbuffer_add(out, head->headers[i].name.p, head->headers[i].name.len);
		evbuffer_add(out, ": ", 2);
		evbuffer_add(out, head->headers[i].value.p, head->headers[i].value.len);
		evbuffer_add(out, "\r\n", 2);
	}
	evbuffer_add(out, "\r\n", 2);
}

/* As if the bytes had just come; the input is frozen at its end, hence from its front. */
static void
hand_over(struct gate *g, struct evbuffer *bytes)
{
	struct evbuffer *input = bufferevent_get_input(g->bev);

	assert(evbuffer_get_length(input) == 0);
	evbuffer_prepend_buffer(input, bytes);
	g->evhtp_read(g->bev, g->connection);
	evbuffer_drain(input, evbuffer_get_length(input));
}

void
gate_on_message(struct evhtp_connection *connection)
{
	struct gate *g = connection->hooks->on_connection_fini_arg;

	g->is_complete = true;
}

/* libevhtp has a piece of the body; none of it is left there, as it would become a query on its stack. */
static evhtp_res
on_body(evhtp_request_t *message, struct evbuffer *piece, void *arg)
{
	struct gate *g = arg;
	struct http_request *r = g->request;
	size_t len = evbuffer_get_length(piece);

	(void)message;
	evbuffer_remove(piece, r->body + r->body_len, len);
	r->body_len += len;
	g->shared->bodies += len;
	return EVHTP_RES_OK;
}

/* libevhtp gives its connection up, be it that we ask for it or that its parser does not like what ours does. */
static evhtp_res
on_fini(evhtp_connection_t *connection, void *arg)
{
	struct gate *g = arg;

	evhtp_connection_set_bev(connection, NULL);
	g->connection = NULL;
	return EVHTP_RES_OK;
}

/* The message is whole: it leaves libevhtp's stack frames first, so that handlers may do as they like. */
static void
dispatch(struct gate *g)
{
	struct http_request *request = g->request;

	g->is_complete = false;
	g->request = NULL;
	g->shared->bodies -= request->body_len;
	g->reply = reply_new(g, request);
	gate_step(g, GATE_HANDLER);
	g->shared->conf.on_request(g->shared->conf.arg, g->reply);
}

/* After each handing over: whether the gate may go on with what is held. */
static bool
go_on(struct gate *g)
{
	if (g->connection == NULL) {
		gate_refuse(g, 400, "the request is malformed");
		return false;
	}
	if (g->shared->bodies > g->shared->conf.bodies_max) {
		gate_refuse(g, 503, "too many large requests at once, try again");
		return false;
	}
	if (g->is_complete)
		dispatch(g);
	return g->state == GATE_BODY;
}

static bool
is_listed(const char *peer, const char *const *list)
{
	for (; list != NULL && *list != NULL; list++)
		if (strcmp(peer, *list) == 0)
			return true;
	return false;
}

/* The address alone, in the form that people write; true when it is a proxy of ours. */
static bool
peer_name(const struct gate *g, char *ret, size_t size)
{
	const struct sockaddr *sa = g->connection->saddr;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)sa;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)sa;

	snprintf(ret, size, "unix");
	if (sa->sa_family == AF_INET)
		inet_ntop(AF_INET, &v4->sin_addr, ret, (socklen_t)size);
	else if (sa->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], ret, (socklen_t)size);
	else if (sa->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &v6->sin6_addr, ret, (socklen_t)size);
	else
		return true;
	return is_listed(ret, g->shared->conf.trusted_proxies);
}

static bool
has_long_header(const struct http1_head *head)
{
	for (size_t i = 0; i < head->header_count; i++)
		if (head->headers[i].name.len > HEADER_MAX || head->headers[i].value.len > HEADER_MAX)
			return true;
	return false;
}

/* The request of a clean head, with room for its body; NULL when it is refused. */
static struct http_request *
admit(struct gate *g, const struct http1_head *head, struct str text)
{
	char peer[INET6_ADDRSTRLEN];
	bool is_trusted = peer_name(g, peer, sizeof(peer));
	struct err err;

	if (has_long_header(head)) {
		gate_refuse(g, 431, "a header is too long");
		return NULL;
	}
	g->request = request_new(head, text, peer, is_trusted, &err);
	if (g->request == NULL) {
		gate_refuse(g, 400, err.text);
		return NULL;
	}
	if (head->length > g->shared->conf.body_limit(g->shared->conf.arg, g->request)) {
		gate_refuse(g, 413, "the body is larger than this address takes");
		return NULL;
	}
	if (head->length > 0) {
		free(g->request->body);
		g->request->body = xcalloc(1, head->length + 1); /* pages that do not come are never touched */
	}
	g->body_left = head->length;
	return g->request;
}

static bool
pass_head(struct gate *g, const struct http1_head *head, struct str text)
{
	if (admit(g, head, text) == NULL)
		return false;
	print_head(g->shared->scratch, head);
	evbuffer_drain(g->held, head->used);
	g->scan = (struct http1_scan){ 0 };
	if (g->body_left > 0) {
		gate_step(g, GATE_BODY);
		if (head->expects_continue && evbuffer_get_length(g->held) == 0)
			bufferevent_write(g->bev, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	}
	hand_over(g, g->shared->scratch);
	return go_on(g);
}

static bool
take_head(struct gate *g)
{
	size_t len = evbuffer_get_length(g->held), most = http1_request_limits.head + 4;
	struct http1_head head;
	struct str text;

	if (len == 0)
		return false;
	text.len = len < most ? len : most;
	text.p = (const char *)evbuffer_pullup(g->held, (ev_ssize_t)text.len);
	switch (http1_parse_request(&g->scan, text, NULL, &head)) {
	case HTTP1_NEED_MORE:
		if (g->state == GATE_IDLE)
			gate_step(g, GATE_HEAD);
		return false;
	case HTTP1_REFUSED:
		gate_refuse(g, head.refusal, head.why);
		return false;
	case HTTP1_DONE:
		return pass_head(g, &head, text);
	}
	return false;
}

static bool
take_body(struct gate *g)
{
	size_t len = evbuffer_get_length(g->held);

	if (len == 0)
		return false;
	if (len > g->body_left)
		len = g->body_left;
	g->body_left -= len;
	g->moved += len;
	evbuffer_remove_buffer(g->held, g->shared->scratch, len);
	hand_over(g, g->shared->scratch);
	return go_on(g);
}

/* As far as what is held allows. */
static void
gate_run(struct gate *g)
{
	bool more = true;

	while (more)
		switch (g->state) {
		case GATE_IDLE:
		case GATE_HEAD:
			more = take_head(g);
			break;
		case GATE_BODY:
			more = take_body(g);
			break;
		case GATE_HANDLER:
		case GATE_SEND:
			if (evbuffer_get_length(g->held) > HELD_MAX)
				bufferevent_disable(g->bev, EV_READ);
			more = false;
			break;
		case GATE_LINGER:
			more = false;
			break;
		}
}

/* The answer is out, the connection stays: libevhtp frees its request and gets ready for the next one. */
static void
gate_next(struct gate *g)
{
	evhtp_request_enable_flag(g->connection->request, EVHTP_REQ_FLAG_KEEPALIVE | EVHTP_REQ_FLAG_FINISHED);
	g->evhtp_write(g->bev, g->connection);
	assert(g->connection != NULL && g->connection->request == NULL);
	gate_step(g, GATE_IDLE);
	if (!g->client_done)
		bufferevent_enable(g->bev, EV_READ);
	gate_run(g);
	if (g->client_done && (g->state == GATE_IDLE || g->state == GATE_HEAD))
		gate_end(&g); /* nothing more can come */
}

/* --- events --- */

static bool
is_live(const struct gate *g)
{
	return g->stream != NULL && reply_stream_is_live(g->stream);
}

/* All of it, in one piece: what one read brought. */
static void
give_input(struct gate *g, struct evbuffer *input)
{
	struct str bytes = { .len = evbuffer_get_length(input) };
	struct evbuffer *own = evbuffer_new();

	assert(own != NULL);
	evbuffer_add_buffer(own, input);
	bytes.p = (const char *)evbuffer_pullup(own, -1);
	if (bytes.len > 0)
		reply_stream_on_input(g->stream, bytes); /* the stream may be gone */
	evbuffer_free(own);
}

static void
take_input(struct gate *g)
{
	struct evbuffer *input = bufferevent_get_input(g->bev);

	if (is_live(g) && reply_stream_takes_input(g->stream)) {
		give_input(g, input);
		return;
	}
	if (g->state == GATE_LINGER || is_live(g)) {
		evbuffer_drain(input, evbuffer_get_length(input));
		return;
	}
	evbuffer_add_buffer(g->held, input);
	gate_run(g);
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct gate *g = arg;
	struct loop *loop = g->shared->loop;

	(void)bev;
	loop_enter(loop, "http request", NULL);
	take_input(g);
	loop_leave(loop);
}

static void
go_on_writing(struct gate *g)
{
	if (g->state == GATE_SEND && g->stream != NULL)
		reply_stream_on_ready(g->stream);
	else if (output_len(g) > 0)
		return;
	else if (g->state == GATE_SEND && g->keeps && !g->shared->hurries)
		gate_next(g);
	else if (g->state == GATE_SEND)
		gate_linger(g);
	else if (g->state == GATE_LINGER && g->client_done)
		gate_end(&g);
	else if (g->state == GATE_LINGER)
		shutdown(bufferevent_getfd(g->bev), SHUT_WR);
}

static void
on_write(struct bufferevent *bev, void *arg)
{
	struct gate *g = arg;
	struct loop *loop = g->shared->loop;

	(void)bev;
	loop_enter(loop, "http answer", NULL);
	go_on_writing(g);
	loop_leave(loop);
}

/* A client that has said all it will may still wait for its answer; a live stream would not be missed. */
static void
take_event(struct gate *g, short what)
{
	bool is_eof = what == (BEV_EVENT_EOF | BEV_EVENT_READING);

	if (is_eof && (g->state == GATE_HANDLER || g->state == GATE_SEND) && !is_live(g))
		g->client_done = true;
	else if (is_eof && g->state == GATE_LINGER && output_len(g) > 0)
		g->client_done = true;
	else
		gate_end(&g);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct gate *g = arg;
	struct loop *loop = g->shared->loop;

	(void)bev;
	loop_enter(loop, "http connection", NULL);
	take_event(g, what);
	loop_leave(loop);
}

static void
on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
	struct gate *g = arg;

	(void)output;
	g->moved += info->n_deleted;
}

static void
timeout_idle(struct gate *g)
{
	gate_end(&g);
}

static void
timeout_head(struct gate *g)
{
	gate_refuse(g, 408, "the head came too slowly");
}

static void
timeout_window(struct gate *g)
{
	if (g->moved >= GATE_WINDOW_BYTES)
		gate_step(g, g->state);
	else if (g->state == GATE_BODY)
		gate_refuse(g, 408, "the body came too slowly");
	else
		gate_end(&g);
}

static void
timeout_handler(struct gate *g)
{
	struct http_reply *reply = g->reply;

	g->reply = NULL;
	gate_refuse(g, 504, "the answer took too long to make");
	reply_abandon(reply);
}

static void
on_deadline(void *arg)
{
	struct gate *g = arg;

	states[g->state].timeout(g);
}

/* --- for the listener --- */

static void
prepare_socket(int fd, int family)
{
	int on = 1;

	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void
gate_new(struct gate_shared *shared, struct evhtp_connection *connection)
{
	struct gate *g = xcalloc(1, sizeof(*g));
	bufferevent_event_cb evhtp_event;
	void *evhtp_arg;

	*g = (struct gate){ .shared = shared, .connection = connection, .bev = connection->bev };
	prepare_socket(connection->sock, connection->saddr->sa_family);
	g->held = evbuffer_new();
	assert(g->held != NULL);
	g->timer = timer_new(shared->loop, on_deadline, g);
	evhtp_connection_set_hook(connection, evhtp_hook_on_read, (evhtp_hook)on_body, g);
	evhtp_connection_set_hook(connection, evhtp_hook_on_connection_fini, (evhtp_hook)on_fini, g);
	bufferevent_getcb(g->bev, &g->evhtp_read, &g->evhtp_write, &evhtp_event, &evhtp_arg);
	assert(evhtp_arg == connection);
	bufferevent_setcb(g->bev, on_read, on_write, on_event, g);
	bufferevent_setwatermark(g->bev, EV_WRITE, REPLY_LOW_WATER, 0);
	bufferevent_set_max_single_write(g->bev, 256 * 1024);
	evbuffer_add_cb(bufferevent_get_output(g->bev), on_output, g);
	LIST_INSERT_HEAD(&shared->gates, g, link);
	shared->count++;
	gate_step(g, GATE_IDLE);
}

void
gate_end_all(struct gate_shared *shared)
{
	struct gate *g;

	while ((g = LIST_FIRST(&shared->gates)) != NULL)
		gate_end(&g);
}

void
gate_drain_all(struct gate_shared *shared, int64_t idle_ms)
{
	struct gate *g = LIST_FIRST(&shared->gates), *next;

	shared->stopping = true;
	shared->hurries = idle_ms == 0;
	if (idle_ms > 0)
		shared->conf.idle_ms = idle_ms;
	for (; g != NULL; g = next) {
		next = LIST_NEXT(g, link);
		if (g->state == GATE_IDLE && shared->hurries)
			gate_end(&g);
		else if (g->state == GATE_IDLE)
			gate_step(g, GATE_IDLE);
	}
}

/* --- for the reply --- */

struct evbuffer *
gate_output(struct gate *gate)
{
	return bufferevent_get_output(gate->bev);
}

bool
gate_may_keep(const struct gate *gate)
{
	return !gate->shared->stopping;
}

void
gate_begin_send(struct gate *gate, unsigned status, struct reply_stream *stream)
{
	assert(gate->state == GATE_HANDLER);
	gate->reply = NULL;
	gate->stream = stream;
	gate->shared->answers[status / 100]++;
	gate_step(gate, GATE_SEND);
	if (!is_live(gate))
		return;
	detach(gate);
	timer_free(&gate->timer); /* its owner looks after clients that do not read */
	if (reply_stream_takes_input(stream) && evbuffer_get_length(gate->held) > 0) {
		evbuffer_prepend_buffer(bufferevent_get_input(gate->bev), gate->held);
		bufferevent_trigger(gate->bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS | BEV_TRIG_IGNORE_WATERMARKS);
	}
	evbuffer_drain(gate->held, evbuffer_get_length(gate->held));
	if (!gate->client_done)
		bufferevent_enable(gate->bev, EV_READ); /* to see it leave */
}

void
gate_pause_input(struct gate *gate, bool is_paused)
{
	if (is_paused)
		bufferevent_disable(gate->bev, EV_READ);
	else if (!gate->client_done)
		bufferevent_enable(gate->bev, EV_READ);
}

void
gate_end_send(struct gate *gate, bool keep)
{
	assert(gate->state == GATE_SEND);
	gate->stream = NULL;
	gate->keeps = keep;
	if (output_len(gate) == 0)
		bufferevent_trigger(gate->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS | BEV_TRIG_IGNORE_WATERMARKS);
}

void
gate_no_answer(struct gate *gate)
{
	gate->reply = NULL;
	gate_linger(gate);
}
