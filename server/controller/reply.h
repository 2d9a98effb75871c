/* A reply token: a handler's right and duty to answer one request. It may keep the token and answer later; exactly one
 * of the ending functions (those that take struct http_reply **) is called for each token, whether the client is still
 * there or not. The token owns the request. Nothing here calls back before it returns, and nothing fails: what cannot
 * be sent is dropped with the token. */
#ifndef DAVIT_CONTROLLER_REPLY_H
#define DAVIT_CONTROLLER_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/controller/request.h"

struct evbuffer;
struct gate;
struct http_reply;
struct json_writer;
struct reply_stream;

const struct http_request *reply_request(const struct http_reply *reply);

/* The client went away before it was answered: a hint to drop the work. The token is still to be ended, in fn or later.
 * fn NULL takes the hook back. */
typedef void reply_gone_fn(void *arg);
void reply_on_gone(struct http_reply *reply, reply_gone_fn *fn, void *arg);

/* A whole answer; good during the call. */
struct reply_answer {
	unsigned status;
	struct str head; /* "HTTP/1.1 201 Created" and the header lines of the handler's, down to the empty line */
	struct str body;
};

/* From now on the work is done to its end whether the client is there or not: the hook of reply_on_gone stays, and is
 * not called. fn is called once, when the token is ended: with the answer, or with NULL where there is none, or one
 * that cannot be kept (a stream). fn NULL takes it back. */
typedef void reply_answered_fn(void *arg, const struct reply_answer *answer);
void reply_on_answered(struct http_reply *reply, reply_answered_fn *fn, void *arg);
/* Answers as the text says, which a struct reply_answer had: its head and, right behind that, its body. */
void reply_send_again(struct http_reply **reply, unsigned status, struct str text);

/* Adds a header of the reply. A value that would break the message turns the reply into a 500. */
void reply_header(struct http_reply *reply, const char *name, const char *value);

/* The ending functions. HEAD, 204 and 304 go out without the body; Date, Content-Length, Connection and
 * X-Content-Type-Options are added. type NULL: no Content-Type. */
void reply_send(struct http_reply **reply, unsigned status, const char *type, const void *body, size_t len);
/* The same, and frees the body when it has been sent. */
void reply_send_owned(struct http_reply **reply, unsigned status, const char *type, char *body, size_t len);
/* The same with bytes that live for ever. */
void reply_send_static(struct http_reply **reply, unsigned status, const char *type, const void *body, size_t len);
/* Finishes the writer; 500 when it had passed its maximum. */
void reply_json(struct http_reply **reply, unsigned status, struct json_writer **writer);
/* {"error": {"code": code, "message": "..."}}: what, where, what to do. */
void reply_error(struct http_reply **reply, unsigned status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* reply_error with the status and code that belong to err->code. */
void reply_err(struct http_reply **reply, const struct err *err);
/* 303 to a path of ours. */
void reply_redirect(struct http_reply **reply, const char *location);
/* No answer: the connection is closed. For a client that is gone, and for the end of the daemon. */
void reply_drop(struct http_reply **reply);

/* A body written piece by piece. length: its size, or REPLY_UNTIL_CLOSE for a live stream, which ends with the
 * connection and holds no memory of the request any more.
 * ready: less than REPLY_LOW_WATER bytes wait to be sent (first called on a later turn, then whenever the output has
 * drained); write the next piece, or nothing. gone: the client left; the stream is gone already when it is called.
 * NULL, and the request is answered, when it has no body to write (HEAD): then neither is ever called. */
#define REPLY_UNTIL_CLOSE (-1)
#define REPLY_LOW_WATER (32 * 1024)
typedef void reply_stream_ready_fn(void *arg);
typedef void reply_stream_gone_fn(void *arg);
struct reply_stream *reply_open(struct http_reply **reply, unsigned status, const char *type, int64_t length,
    reply_stream_ready_fn *ready, reply_stream_gone_fn *gone, void *arg);
/* 101: the connection belongs to another protocol from now on. input: what the client sends, all of it taken. */
typedef void reply_stream_input_fn(void *arg, struct str bytes);
struct reply_stream *reply_upgrade(struct http_reply **reply, const char *protocol, reply_stream_input_fn *input,
    reply_stream_ready_fn *ready, reply_stream_gone_fn *gone, void *arg);
/* The client has to wait with what it sends; gone does not come meanwhile either. Both may be called twice. */
void reply_stream_pause_input(struct reply_stream *stream);
void reply_stream_resume_input(struct reply_stream *stream);
void reply_stream_write(struct reply_stream *stream, const void *bytes, size_t len);
/* The stream's output, to which libevent may add by reference. */
struct evbuffer *reply_stream_output(struct reply_stream *stream);
/* Bytes that wait to be sent. Hold back above a high-water mark of the caller's own. */
size_t reply_stream_pending(const struct reply_stream *stream);
/* The body is complete. Less than the length that was promised closes the connection, so that the client sees it. */
void reply_stream_end(struct reply_stream **stream);

/* For the router, which adds what its pattern captured. */
struct http_request *reply_own_request(struct http_reply *reply);

/* For the gate alone. */
struct http_reply *reply_new(struct gate *gate, struct http_request *request);
void reply_abandon(struct http_reply *reply); /* the gate is gone */
void reply_stream_on_ready(struct reply_stream *stream);
void reply_stream_abandon(struct reply_stream *stream); /* the gate is gone: frees the stream and tells its owner */
bool reply_stream_is_live(const struct reply_stream *stream);
bool reply_stream_takes_input(const struct reply_stream *stream);
void reply_stream_on_input(struct reply_stream *stream, struct str bytes);

#endif
