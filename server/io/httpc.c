#include "server/io/httpc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/chunked.h"
#include "proto/mem.h"
#include "proto/url.h"
#include "server/io/httpc_pool.h"

#define CONNECT_MS 10000
#define IDLE_MAX 4
#define IDLE_MS 30000
#define REQUEST_HEAD_MAX (64 * 1024)
#define REPLY_BODY_MAX (1024 * 1024)
#define INTERIM_MAX 16 /* 1xx heads in front of a reply */

struct httpc {
	struct loop *loop;
	struct url base;
	char *prefix;    /* of all paths; "" or "/api/v1" */
	char *authority; /* for Host */
	struct stream_tls *own_tls;
	const struct stream_tls *tls;
	int64_t connect_ms;
	bool public_only;
	struct httpc_pool *pool;
	unsigned ops;
};

enum op_state {
	OP_CONNECTING,
	OP_HEAD, /* the request is on its way, the reply's head is awaited */
	OP_BODY,
	OP_ENDED, /* no callback any more */
};

struct httpc_op {
	struct httpc *httpc;
	enum op_state state;
	const struct httpc_handler *handler;
	void *arg;
	char *method;
	struct buf request; /* head, and the body when it is not streamed */
	bool is_streamed;
	bool is_chunked;      /* the streamed body */
	bool takes_upload;    /* of a streamed body, more may be sent */
	uint64_t upload_left; /* of a streamed body with a known length */
	bool wants_upgrade;

	struct stream *stream;
	bool is_reused; /* the stream has served a request before */
	bool paused;
	struct deferred *begin; /* a failure to report */
	struct timer *total;
	struct timer *idle;
	int64_t idle_ms;
	size_t pending; /* output when the idle timer was started */

	struct buf text; /* of the reply's head */
	struct http1_scan scan;
	struct http1_head head;
	unsigned interims;
	struct httpc_reply reply;
	enum http1_body body;
	uint64_t left; /* of a body with a length */
	struct chunked chunked;
	struct buf collected;
	unsigned depth; /* frames of ours below which a callback runs; the outermost frees an ended op */
};

static void connect_anew(struct httpc_op *op);

static void
release(struct httpc_op *op)
{
	if (op->depth > 0 || op->state != OP_ENDED)
		return;
	buf_fini(&op->request);
	buf_fini(&op->text);
	buf_fini(&op->collected);
	free(op->method);
	free(op);
}

/* From here on nothing calls into op. */
static void
stop(struct httpc_op *op)
{
	assert(op->state != OP_ENDED);
	op->state = OP_ENDED;
	op->httpc->ops--;
	stream_close(&op->stream);
	deferred_cancel(&op->begin);
	timer_free(&op->total);
	timer_free(&op->idle);
}

/* The only end but cancellation and upgrade. */
static void
finish(struct httpc_op *op, const struct err *err)
{
	bool has_head = op->state == OP_BODY;

	op->depth++;
	stop(op);
	op->reply.body = buf_str(&op->collected);
	op->handler->on_done(op->arg, has_head ? &op->reply : NULL, err);
	op->depth--;
	release(op);
}

static void
fail(struct httpc_op *op, struct err err)
{
	finish(op, &err);
}

void
httpc_cancel(struct httpc_op **op)
{
	struct httpc_op *o = *op;

	if (o == NULL)
		return;
	*op = NULL;
	stop(o);
	release(o);
}

static void
touch(struct httpc_op *op)
{
	if (op->idle_ms == 0 || op->paused || op->stream == NULL)
		return;
	op->pending = stream_pending(op->stream);
	timer_start(op->idle, op->idle_ms);
}

static void
on_total(void *arg)
{
	struct httpc_op *op = arg;

	fail(op, err_make(ERR_TIMEOUT, 0, "%s: no whole reply in time", op->httpc->authority));
}

/* Output is reported as drained only: bytes that leave a long queue slowly are no silence. */
static void
on_idle(void *arg)
{
	struct httpc_op *op = arg;

	if (stream_pending(op->stream) < op->pending)
		touch(op);
	else
		fail(op, err_make(ERR_TIMEOUT, 0, "%s: the server is silent", op->httpc->authority));
}

/* The reply is whole; rest is what came behind it. A connection whose state is in any doubt is not kept. */
static void
complete(struct httpc_op *op, struct str rest)
{
	struct stream *stream = op->stream;

	if (stream != NULL && http1_keeps_alive(&op->head) && op->body != HTTP1_BODY_UNTIL_CLOSE && !op->takes_upload &&
	    rest.len == 0 && stream_unread(stream) == 0 && stream_pending(stream) == 0) {
		op->stream = NULL;
		stream_resume(stream);
		httpc_pool_put(op->httpc->pool, stream);
	}
	finish(op, NULL);
}

/* False when op has ended. */
static bool
give_body(struct httpc_op *op, struct str bytes)
{
	if (bytes.len == 0)
		return true;
	if (op->handler->on_body != NULL)
		op->handler->on_body(op->arg, bytes);
	else if (!buf_addstr(&op->collected, bytes))
		fail(op, err_make(ERR_LIMIT, 0, "%s: the reply is larger than %zu bytes", op->httpc->authority,
			     op->collected.max));
	return op->state != OP_ENDED;
}

static void
take_length(struct httpc_op *op, struct str bytes)
{
	struct str piece = { bytes.p, bytes.len < op->left ? bytes.len : (size_t)op->left };

	op->left -= piece.len;
	if (give_body(op, piece) && op->left == 0)
		complete(op, (struct str){ bytes.p + piece.len, bytes.len - piece.len });
}

static void
take_chunked(struct httpc_op *op, struct str bytes)
{
	enum chunked_verdict verdict;
	struct str piece;

	while ((verdict = chunked_next(&op->chunked, &bytes, &piece)) == CHUNKED_DATA)
		if (!give_body(op, piece))
			return;
	if (verdict == CHUNKED_DONE)
		complete(op, bytes);
	else if (verdict == CHUNKED_REFUSED)
		fail(op, err_make(ERR_PROTO, 0, "%s: %s", op->httpc->authority, chunked_why(&op->chunked)));
}

static void
take_body(struct httpc_op *op, struct str bytes)
{
	switch (op->body) {
	case HTTP1_BODY_NONE:
		complete(op, bytes);
		break;
	case HTTP1_BODY_LENGTH:
		take_length(op, bytes);
		break;
	case HTTP1_BODY_CHUNKED:
		take_chunked(op, bytes);
		break;
	case HTTP1_BODY_UNTIL_CLOSE:
		give_body(op, bytes);
		break;
	}
}

static void
on_orphan_close(void *arg, const struct err *err)
{
	(void)arg;
	(void)err;
}

/* The other end of an op: the stream changes hands, and on_upgrade comes in the place of on_done. */
static void
upgrade(struct httpc_op *op, struct str first)
{
	static const struct stream_handler orphan = { .on_close = on_orphan_close };
	struct stream *stream = op->stream;

	if (op->handler->on_upgrade == NULL) {
		fail(op, err_make(ERR_PROTO, 0, "%s: the server changed the protocol", op->httpc->authority));
		return;
	}
	op->reply = (struct httpc_reply){ .status = op->head.status, .head = &op->head };
	op->state = OP_BODY;
	if (op->handler->on_head != NULL)
		op->handler->on_head(op->arg, &op->reply);
	if (op->state == OP_ENDED)
		return;
	op->stream = NULL;
	stream_resume(stream);
	stream_set_handler(stream, &orphan, NULL);
	stop(op);
	op->handler->on_upgrade(op->arg, stream, first);
}

/* The engine answers 200 with this type to a client of old, which did not ask for the upgrade by headers. */
static bool
is_upgrade(const struct httpc_op *op)
{
	if (op->head.status == 101)
		return true;
	return op->wants_upgrade && op->head.status == 200 &&
	       str_is_nocase(http1_value(&op->head, "Content-Type"), "application/vnd.docker.raw-stream");
}

static void
got_head(struct httpc_op *op, struct str rest)
{
	op->reply = (struct httpc_reply){ .status = op->head.status, .head = &op->head };
	op->body = http1_reply_body(&op->head, op->method);
	op->left = op->head.length;
	op->state = OP_BODY;
	if (op->handler->on_head != NULL)
		op->handler->on_head(op->arg, &op->reply);
	if (op->state == OP_ENDED)
		return;
	if (op->body == HTTP1_BODY_NONE || (op->body == HTTP1_BODY_LENGTH && op->left == 0))
		complete(op, rest);
	else if (rest.len > 0)
		take_body(op, rest);
}

/* A whole head. Interim ones are passed over: what they announce is of no use here. */
static void
sort_head(struct httpc_op *op, struct str rest)
{
	if (is_upgrade(op) && op->wants_upgrade) {
		upgrade(op, rest);
	} else if (op->head.status == 101) {
		fail(op, err_make(ERR_PROTO, 0, "%s: the server changed the protocol unasked", op->httpc->authority));
	} else if (op->head.status >= 200) {
		got_head(op, rest);
	} else if (++op->interims > INTERIM_MAX) {
		fail(op, err_make(ERR_LIMIT, 0, "%s: too many interim replies", op->httpc->authority));
	} else {
		buf_reset(&op->text);
		op->scan = (struct http1_scan){ 0 };
	}
}

/* Moves bytes to the head's text until it is whole, and goes on behind it. */
static void
take_head(struct httpc_op *op, struct str bytes)
{
	while (op->state == OP_HEAD && bytes.len > 0) {
		size_t room = op->text.max - op->text.len;
		size_t len = bytes.len < room ? bytes.len : room;
		enum http1_verdict verdict;
		size_t beyond;

		buf_add(&op->text, bytes.p, len);
		verdict = http1_parse_reply(&op->scan, buf_str(&op->text), NULL, &op->head);
		if (verdict == HTTP1_REFUSED) {
			fail(op, err_make(ERR_PROTO, 0, "%s: malformed reply: %s", op->httpc->authority, op->head.why));
			return;
		}
		beyond = verdict == HTTP1_DONE ? op->text.len - op->head.used : 0;
		bytes = (struct str){ bytes.p + (len - beyond), bytes.len - (len - beyond) };
		if (verdict == HTTP1_DONE) {
			sort_head(op, bytes);
			if (op->state != OP_HEAD)
				return;
		}
	}
}

static void
on_data(void *arg, struct str bytes)
{
	struct httpc_op *op = arg;

	op->depth++;
	touch(op);
	if (op->state == OP_HEAD)
		take_head(op, bytes);
	else
		take_body(op, bytes);
	op->depth--;
	release(op);
}

static void
upload_more(struct httpc_op *op)
{
	if (op->takes_upload && op->handler->on_drain != NULL)
		op->handler->on_drain(op->arg);
}

static void
on_drain(void *arg)
{
	struct httpc_op *op = arg;

	touch(op);
	upload_more(op);
}

static void
send_request(struct httpc_op *op)
{
	op->state = OP_HEAD;
	if (op->paused)
		stream_pause(op->stream);
	stream_write(op->stream, op->request.data, op->request.len);
	touch(op);
}

static void
on_open(void *arg)
{
	struct httpc_op *op = arg;

	send_request(op);
	upload_more(op);
}

/* The server closed a kept connection just when we used it. */
static bool
is_stale(const struct httpc_op *op)
{
	return op->is_reused && op->state == OP_HEAD && op->text.len == 0 && op->interims == 0;
}

static void
on_close(void *arg, const struct err *err)
{
	struct httpc_op *op = arg;

	op->stream = NULL;
	if (is_stale(op))
		connect_anew(op);
	else if (err != NULL)
		fail(op, *err);
	else if (op->state == OP_BODY && op->body == HTTP1_BODY_UNTIL_CLOSE)
		complete(op, STR(""));
	else
		fail(op, err_make(ERR_IO, 0, "%s: the server closed the connection before its reply was whole",
			     op->httpc->authority));
}

static const struct stream_handler stream_handler = {
	.on_open = on_open,
	.on_data = on_data,
	.on_drain = on_drain,
	.on_close = on_close,
};

static void
connect_anew(struct httpc_op *op)
{
	const struct httpc *h = op->httpc;
	const struct stream_target target = {
		.path = h->base.scheme == URL_UNIX ? h->base.path : NULL,
		.host = h->base.host,
		.port = h->base.port,
		.tls = h->tls,
		.public_only = h->public_only,
		.timeout_ms = h->connect_ms,
	};

	op->state = OP_CONNECTING;
	op->is_reused = false;
	if (op->idle != NULL)
		timer_stop(op->idle);
	op->stream = stream_connect(h->loop, &target, &stream_handler, op);
}

static void
on_begin_failed(void *arg)
{
	struct httpc_op *op = arg;

	op->begin = NULL;
	fail(op, err_make(ERR_INPUT, 0, "%s: the request has a malformed method, path or header, or is too large",
		     op->httpc->authority));
}

static bool
has_body_by_nature(const char *method)
{
	return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
}

static void
print_framing(struct buf *b, const struct httpc_request *request)
{
	if (request->streamed && request->length < 0)
		http1_print_header(b, "Transfer-Encoding", STR("chunked"));
	else if (request->streamed)
		http1_print_header_int(b, "Content-Length", (uint64_t)request->length);
	else if (request->body.len > 0 || has_body_by_nature(request->method))
		http1_print_header_int(b, "Content-Length", request->body.len);
	if (request->upgrade == NULL)
		return;
	http1_print_header(b, "Connection", STR("Upgrade"));
	http1_print_header(b, "Upgrade", str_of(request->upgrade));
}

static bool
print_request(struct httpc_op *op, const struct httpc_request *request)
{
	char *target = xasprintf("%s%s", request->path[0] == '/' ? op->httpc->prefix : "", request->path);

	http1_print_request(&op->request, request->method, str_of(target));
	free(target);
	http1_print_header(&op->request, "Host", str_of(request->host != NULL ? request->host : op->httpc->authority));
	http1_print_header(&op->request, "User-Agent", STR("davit/" PACKAGE_VERSION));
	for (size_t i = 0; i < request->header_count; i++)
		http1_print_header(&op->request, request->headers[i].name, str_of(request->headers[i].value));
	print_framing(&op->request, request);
	http1_print_end(&op->request);
	buf_addstr(&op->request, request->body);
	return !buf_failed(&op->request);
}

static struct httpc_op *
op_new(struct httpc *httpc, const struct httpc_request *request, const struct httpc_handler *handler, void *arg)
{
	struct httpc_op *op = xcalloc(1, sizeof(*op));

	assert(handler->on_done != NULL && (request->path[0] == '/' || request->host != NULL));
	assert(!request->streamed || (request->body.len == 0 && handler->on_drain != NULL));
	*op = (struct httpc_op){
		.httpc = httpc,
		.handler = handler,
		.arg = arg,
		.method = xstrdup(request->method),
		.is_streamed = request->streamed,
		.is_chunked = request->streamed && request->length < 0,
		.takes_upload = request->streamed,
		.upload_left = request->streamed && request->length > 0 ? (uint64_t)request->length : 0,
		.wants_upgrade = request->upgrade != NULL,
		.idle_ms = request->idle_ms,
	};
	buf_init(&op->request, REQUEST_HEAD_MAX + request->body.len);
	buf_init(&op->text, http1_reply_limits.head + 1);
	buf_init(&op->collected, request->reply_max > 0 ? request->reply_max : REPLY_BODY_MAX);
	httpc->ops++;
	return op;
}

struct httpc_op *
httpc_request(struct httpc *httpc, const struct httpc_request *request, const struct httpc_handler *handler, void *arg)
{
	struct httpc_op *op = op_new(httpc, request, handler, arg);

	if (request->total_ms > 0) {
		op->total = timer_new(httpc->loop, on_total, op);
		timer_start(op->total, request->total_ms);
	}
	if (request->idle_ms > 0)
		op->idle = timer_new(httpc->loop, on_idle, op);
	if (!print_request(op, request)) {
		op->begin = deferred_call(httpc->loop, on_begin_failed, op);
		return op;
	}
	if (!op->is_streamed)
		op->stream = httpc_pool_take(httpc->pool);
	if (op->stream == NULL) {
		connect_anew(op);
		return op;
	}
	op->is_reused = true;
	stream_set_handler(op->stream, &stream_handler, op);
	send_request(op);
	return op;
}

void
httpc_send(struct httpc_op *op, struct str bytes)
{
	char line[CHUNKED_SIZE_LINE];

	assert(op->takes_upload && op->stream != NULL && op->state != OP_CONNECTING);
	if (bytes.len == 0)
		return;
	if (op->is_chunked) {
		stream_write(op->stream, line, chunked_print_size(line, bytes.len));
		stream_write(op->stream, bytes.p, bytes.len);
		stream_write(op->stream, "\r\n", 2);
		return;
	}
	assert(bytes.len <= op->upload_left);
	op->upload_left -= bytes.len;
	stream_write(op->stream, bytes.p, bytes.len);
}

bool
httpc_send_file(struct httpc_op *op, int fd, int64_t offset, size_t len, struct err *err)
{
	char line[CHUNKED_SIZE_LINE];

	assert(op->takes_upload && op->stream != NULL && op->state != OP_CONNECTING);
	assert(op->is_chunked || len <= op->upload_left);
	if (op->is_chunked)
		stream_write(op->stream, line, chunked_print_size(line, len));
	if (!stream_write_file(op->stream, fd, offset, len, err))
		return false;
	if (op->is_chunked)
		stream_write(op->stream, "\r\n", 2);
	else
		op->upload_left -= len;
	return true;
}

void
httpc_end(struct httpc_op *op)
{
	assert(op->takes_upload && op->stream != NULL && op->upload_left == 0);
	op->takes_upload = false;
	if (op->is_chunked)
		stream_write(op->stream, CHUNKED_END, strlen(CHUNKED_END));
}

size_t
httpc_pending(const struct httpc_op *op)
{
	return op->stream != NULL ? stream_pending(op->stream) : 0;
}

void
httpc_pause(struct httpc_op *op)
{
	op->paused = true;
	if (op->idle != NULL)
		timer_stop(op->idle);
	if (op->stream != NULL)
		stream_pause(op->stream);
}

void
httpc_resume(struct httpc_op *op)
{
	op->paused = false;
	if (op->stream == NULL)
		return;
	stream_resume(op->stream);
	if (op->state != OP_CONNECTING)
		touch(op);
}

static bool
set_base(struct httpc *h, const char *base, struct err *err)
{
	struct buf authority;
	size_t len;

	if (!url_parse(str_of(base), URL_NO_USERINFO, &h->base, err))
		return false;
	if (h->base.scheme == URL_SMTP || h->base.scheme == URL_SMTPS)
		return err_set(err, ERR_INPUT, 0, "%s:// is not HTTP", url_scheme_name(h->base.scheme));
	h->prefix = xstrdup(h->base.scheme == URL_UNIX ? "" : h->base.path);
	if (strchr(h->prefix, '?') != NULL)
		return err_set(err, ERR_INPUT, 0, "the server's base URL has a query");
	len = strlen(h->prefix);
	while (len > 0 && h->prefix[len - 1] == '/')
		h->prefix[--len] = '\0';
	buf_init(&authority, URL_MAX);
	url_print_host(&authority, &h->base);
	h->authority = buf_take(&authority, NULL);
	buf_fini(&authority);
	return true;
}

static bool
set_tls(struct httpc *h, const struct httpc_conf *conf, struct err *err)
{
	bool tcp_tls = h->base.scheme == URL_TCP && (conf->tls.ca_file != NULL || conf->tls.cert_file != NULL);

	if (h->base.scheme != URL_HTTPS && !tcp_tls)
		return true;
	if (conf->shared_tls == NULL)
		h->own_tls = stream_tls_new(&conf->tls, err);
	h->tls = conf->shared_tls != NULL ? conf->shared_tls : h->own_tls;
	return h->tls != NULL;
}

struct httpc *
httpc_new(struct loop *loop, const char *base, const struct httpc_conf *conf, struct err *err)
{
	static const struct httpc_conf defaults;
	struct httpc *h = xcalloc(1, sizeof(*h));

	if (conf == NULL)
		conf = &defaults;
	h->loop = loop;
	h->public_only = conf->public_only;
	h->connect_ms = conf->connect_ms > 0 ? conf->connect_ms : CONNECT_MS;
	h->pool = httpc_pool_new(
	    loop, conf->idle_max > 0 ? conf->idle_max : IDLE_MAX, conf->idle_ms > 0 ? conf->idle_ms : IDLE_MS);
	if (!set_base(h, base, err) || !set_tls(h, conf, err))
		httpc_free(&h);
	return h;
}

void
httpc_free(struct httpc **httpc)
{
	struct httpc *h = *httpc;

	if (h == NULL)
		return;
	*httpc = NULL;
	assert(h->ops == 0);
	httpc_pool_free(&h->pool);
	stream_tls_free(&h->own_tls);
	url_fini(&h->base);
	free(h->prefix);
	free(h->authority);
	free(h);
}
