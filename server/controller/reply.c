#include "server/controller/reply.h"

#include <assert.h>
#include <event2/buffer.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json.h"
#include "proto/mem.h"
#include "server/controller/gate.h"
#include "server/core/log.h"
#include "server/core/loop.h"

#define HEAD_MAX_BYTES 16384
#define JSON_TYPE "application/json"

struct http_reply {
	struct gate *gate; /* NULL: the client is gone */
	struct http_request *request;
	struct buf headers; /* those of the handler, printed */
	reply_gone_fn *gone;
	void *gone_arg;
	reply_answered_fn *answered; /* NULL: nobody keeps the answer */
	void *answered_arg;
};

struct reply_stream {
	struct gate *gate;
	reply_stream_ready_fn *ready;
	reply_stream_input_fn *input; /* NULL: it takes none */
	reply_stream_gone_fn *gone;
	void *arg;
	int64_t left; /* of the length that was promised, or REPLY_UNTIL_CLOSE */
	bool keeps;
};

enum body_owner { BODY_BORROWED, BODY_OWNED, BODY_STATIC };

struct http_reply *
reply_new(struct gate *gate, struct http_request *request)
{
	struct http_reply *reply = xcalloc(1, sizeof(*reply));

	reply->gate = gate;
	reply->request = request;
	buf_init(&reply->headers, HEAD_MAX_BYTES);
	return reply;
}

static void
reply_free(struct http_reply **reply)
{
	struct http_reply *r = *reply;

	*reply = NULL;
	buf_fini(&r->headers);
	request_free(&r->request);
	free(r);
}

void
reply_abandon(struct http_reply *reply)
{
	reply_gone_fn *gone = reply->gone;

	reply->gate = NULL;
	if (reply->answered != NULL)
		return;
	reply->gone = NULL;
	if (gone != NULL)
		gone(reply->gone_arg);
}

const struct http_request *
reply_request(const struct http_reply *reply)
{
	return reply->request;
}

struct http_request *
reply_own_request(struct http_reply *reply)
{
	return reply->request;
}

void
reply_on_gone(struct http_reply *reply, reply_gone_fn *fn, void *arg)
{
	reply->gone = fn;
	reply->gone_arg = arg;
}

void
reply_on_answered(struct http_reply *reply, reply_answered_fn *fn, void *arg)
{
	reply->answered = fn;
	reply->answered_arg = arg;
}

void
reply_header(struct http_reply *reply, const char *name, const char *value)
{
	http1_print_header(&reply->headers, name, str_of(value));
}

static bool
has_body(unsigned status)
{
	return status >= 200 && status != 204 && status != 304;
}

/* False when the handler's headers would have broken the message. */
static bool
print_head(struct buf *b, const struct http_reply *reply, unsigned status, const char *type, int64_t len, bool keeps)
{
	http1_print_status(b, status);
	http1_print_date(b, "Date", (time_t)(loop_wall_ms() / 1000));
	if (type != NULL)
		http1_print_header(b, "Content-Type", str_of(type));
	if (has_body(status) && len >= 0)
		http1_print_header_int(b, "Content-Length", (uint64_t)len);
	http1_print_header(b, "X-Content-Type-Options", STR("nosniff"));
	if (!keeps)
		http1_print_header(b, "Connection", STR("close"));
	else if (reply->request->minor == 0)
		http1_print_header(b, "Connection", STR("keep-alive"));
	buf_addstr(b, buf_str(&reply->headers));
	http1_print_end(b);
	return !buf_failed(b) && !buf_failed(&reply->headers);
}

static void
on_body_sent(const void *body, size_t len, void *arg)
{
	(void)body;
	(void)len;
	free(arg);
}

static void
add_body(struct evbuffer *out, const void *body, size_t len, enum body_owner owner)
{
	if (owner == BODY_BORROWED)
		evbuffer_add(out, body, len);
	else if (owner == BODY_STATIC)
		evbuffer_add_reference(out, body, len, NULL, NULL);
	else
		evbuffer_add_reference(out, body, len, on_body_sent, (void *)body);
}

/* answer NULL: there is none. */
static void
tell_answer(struct http_reply *reply, const struct reply_answer *answer)
{
	reply_answered_fn *fn = reply->answered;

	reply->answered = NULL;
	if (fn != NULL)
		fn(reply->answered_arg, answer);
}

static void
tell_whole(struct http_reply *reply, unsigned status, const char *type, const void *body, size_t len)
{
	struct buf head;

	if (reply->answered == NULL)
		return;
	buf_init(&head, HEAD_MAX_BYTES);
	http1_print_status(&head, status);
	if (type != NULL)
		http1_print_header(&head, "Content-Type", str_of(type));
	buf_addstr(&head, buf_str(&reply->headers));
	http1_print_end(&head);
	tell_answer(reply, &(struct reply_answer){ status, buf_str(&head), { body, len } });
	buf_fini(&head);
}

static bool
wants_body(const struct http_reply *reply, unsigned status)
{
	return has_body(status) && reply->request->method != HTTP1_HEAD;
}

static void
log_answer(const struct http_reply *reply, unsigned status)
{
	log_debug("%s %s %s: %u", reply->request->peer, http1_method_name(reply->request->method), reply->request->path,
	    status);
}

static void
send_whole(
    struct http_reply **reply, unsigned status, const char *type, const void *body, size_t len, enum body_owner owner)
{
	struct http_reply *r = *reply;
	struct gate *gate = r->gate;
	bool keeps = gate != NULL && r->request->keeps_alive && gate_may_keep(gate);
	struct buf head;

	buf_init(&head, HEAD_MAX_BYTES);
	log_answer(r, status);
	if (!print_head(&head, r, status, type, (int64_t)len, keeps)) {
		if (owner == BODY_OWNED)
			free((void *)body);
		buf_fini(&head);
		buf_reset(&r->headers);
		reply_error(reply, 500, "internal", "the answer's headers could not be written");
		return;
	}
	tell_whole(r, status, type, body, len);
	if (gate == NULL) {
		if (owner == BODY_OWNED)
			free((void *)body);
	} else {
		evbuffer_add(gate_output(gate), head.data, head.len);
		if (wants_body(r, status) && len > 0)
			add_body(gate_output(gate), body, len, owner);
		else if (owner == BODY_OWNED)
			free((void *)body);
		gate_begin_send(gate, status, NULL);
		gate_end_send(gate, keeps);
	}
	buf_fini(&head);
	reply_free(reply);
}

void
reply_send(struct http_reply **reply, unsigned status, const char *type, const void *body, size_t len)
{
	send_whole(reply, status, type, body, len, BODY_BORROWED);
}

void
reply_send_owned(struct http_reply **reply, unsigned status, const char *type, char *body, size_t len)
{
	send_whole(reply, status, type, body, len, BODY_OWNED);
}

void
reply_send_static(struct http_reply **reply, unsigned status, const char *type, const void *body, size_t len)
{
	send_whole(reply, status, type, body, len, BODY_STATIC);
}

void
reply_json(struct http_reply **reply, unsigned status, struct json_writer **writer)
{
	size_t len;
	char *text = json_writer_finish(writer, &len);

	if (text != NULL)
		reply_send_owned(reply, status, JSON_TYPE, text, len);
	else
		reply_error(reply, 500, "too_large", "the answer is too large, ask for less of it");
}

void
reply_error(struct http_reply **reply, unsigned status, const char *code, const char *fmt, ...)
{
	struct json_writer *w = json_writer_new(HEAD_MAX_BYTES);
	char message[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	json_write_object_open(w);
	json_write_key(w, "error");
	json_write_object_open(w);
	json_member_string(w, "code", code);
	json_member_string(w, "message", message);
	json_write_object_close(w);
	json_write_object_close(w);
	if (status == 503 || status == 429)
		reply_header(*reply, "Retry-After", "5");
	reply_json(reply, status, &w);
}

void
reply_err(struct http_reply **reply, const struct err *err)
{
	static const unsigned status[] = {
		[ERR_NONE] = 500,
		[ERR_CANCELLED] = 503,
		[ERR_TIMEOUT] = 503,
		[ERR_IO] = 503,
		[ERR_PROTO] = 502,
		[ERR_REFUSED] = 502,
		[ERR_AUTH] = 401,
		[ERR_NOT_FOUND] = 404,
		[ERR_CONFLICT] = 409,
		[ERR_LIMIT] = 429,
		[ERR_INPUT] = 422,
		[ERR_UNAVAILABLE] = 503,
	};

	reply_error(reply, status[err->code], err_name(err->code), "%s", err->text);
}

void
reply_send_again(struct http_reply **reply, unsigned status, struct str text)
{
	const char *lines = memmem(text.p, text.len, "\r\n", 2), *end = memmem(text.p, text.len, "\r\n\r\n", 4);

	assert(lines != NULL && end != NULL);
	lines += 2;
	end += 2;
	buf_add(&(*reply)->headers, lines, (size_t)(end - lines));
	end += 2;
	reply_send(reply, status, NULL, end, (size_t)(text.p + text.len - end));
}

void
reply_redirect(struct http_reply **reply, const char *location)
{
	reply_header(*reply, "Location", location);
	reply_send(reply, 303, NULL, "", 0);
}

void
reply_drop(struct http_reply **reply)
{
	tell_answer(*reply, NULL);
	if ((*reply)->gate != NULL)
		gate_no_answer((*reply)->gate);
	reply_free(reply);
}

/* --- streams --- */

static struct reply_stream *
reply_stream_new(struct gate *gate, int64_t length, bool keeps)
{
	struct reply_stream *stream = xcalloc(1, sizeof(*stream));

	*stream = (struct reply_stream){ .gate = gate, .left = length, .keeps = keeps };
	return stream;
}

struct reply_stream *
reply_open(struct http_reply **reply, unsigned status, const char *type, int64_t length, reply_stream_ready_fn *ready,
    reply_stream_gone_fn *gone, void *arg)
{
	struct http_reply *r = *reply;
	struct gate *gate = r->gate;
	bool keeps = gate != NULL && length >= 0 && r->request->keeps_alive && gate_may_keep(gate);
	struct reply_stream *stream = NULL;
	struct buf head;

	buf_init(&head, HEAD_MAX_BYTES);
	log_answer(r, status);
	if (gate != NULL && !print_head(&head, r, status, type, length, keeps)) {
		buf_reset(&r->headers);
		reply_error(reply, 500, "internal", "the answer's headers could not be written");
	} else if (gate != NULL) {
		evbuffer_add(gate_output(gate), head.data, head.len);
		if (wants_body(r, status)) {
			stream = reply_stream_new(gate, length, keeps);
			stream->ready = ready;
			stream->gone = gone;
			stream->arg = arg;
		}
		gate_begin_send(gate, status, stream);
		if (stream == NULL)
			gate_end_send(gate, keeps);
	}
	buf_fini(&head);
	if (*reply != NULL) {
		tell_answer(r, NULL);
		reply_free(reply);
	}
	return stream;
}

static bool
print_upgrade(struct buf *b, const struct http_reply *reply, const char *protocol)
{
	http1_print_status(b, 101);
	http1_print_date(b, "Date", (time_t)(loop_wall_ms() / 1000));
	http1_print_header(b, "Connection", STR("Upgrade"));
	http1_print_header(b, "Upgrade", str_of(protocol));
	buf_addstr(b, buf_str(&reply->headers));
	http1_print_end(b);
	return !buf_failed(b) && !buf_failed(&reply->headers);
}

struct reply_stream *
reply_upgrade(struct http_reply **reply, const char *protocol, reply_stream_input_fn *input,
    reply_stream_ready_fn *ready, reply_stream_gone_fn *gone, void *arg)
{
	struct reply_stream *stream = NULL;
	struct http_reply *r = *reply;
	struct buf head;

	buf_init(&head, HEAD_MAX_BYTES);
	log_answer(r, 101);
	if (r->gate != NULL && print_upgrade(&head, r, protocol)) {
		stream = reply_stream_new(r->gate, REPLY_UNTIL_CLOSE, false);
		stream->input = input;
		stream->ready = ready;
		stream->gone = gone;
		stream->arg = arg;
		evbuffer_add(gate_output(r->gate), head.data, head.len);
		gate_begin_send(r->gate, 101, stream);
		tell_answer(r, NULL);
		reply_free(reply);
	} else {
		reply_drop(reply);
	}
	buf_fini(&head);
	return stream;
}

void
reply_stream_pause_input(struct reply_stream *stream)
{
	gate_pause_input(stream->gate, true);
}

void
reply_stream_resume_input(struct reply_stream *stream)
{
	gate_pause_input(stream->gate, false);
}

bool
reply_stream_takes_input(const struct reply_stream *stream)
{
	return stream->input != NULL;
}

void
reply_stream_on_input(struct reply_stream *stream, struct str bytes)
{
	stream->input(stream->arg, bytes);
}

void
reply_stream_write(struct reply_stream *stream, const void *bytes, size_t len)
{
	if (stream->left >= 0) {
		assert((int64_t)len <= stream->left);
		stream->left -= (int64_t)len;
	}
	evbuffer_add(gate_output(stream->gate), bytes, len);
}

struct evbuffer *
reply_stream_output(struct reply_stream *stream)
{
	assert(reply_stream_is_live(stream));
	return gate_output(stream->gate);
}

size_t
reply_stream_pending(const struct reply_stream *stream)
{
	return evbuffer_get_length(gate_output(stream->gate));
}

void
reply_stream_end(struct reply_stream **stream)
{
	struct reply_stream *s = *stream;

	*stream = NULL;
	gate_end_send(s->gate, s->keeps && s->left == 0);
	free(s);
}

void
reply_stream_on_ready(struct reply_stream *stream)
{
	stream->ready(stream->arg);
}

void
reply_stream_abandon(struct reply_stream *stream)
{
	reply_stream_gone_fn *gone = stream->gone;
	void *arg = stream->arg;

	free(stream);
	gone(arg);
}

bool
reply_stream_is_live(const struct reply_stream *stream)
{
	return stream->left == REPLY_UNTIL_CLOSE;
}
