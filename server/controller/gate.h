/* One connection of a client, and the gate before libevhtp on it.
 *
 * libevhtp's parser takes what must be refused (two lengths, chunked with a length, NULs, wrapped chunk sizes) and
 * reads past a segment's end when a head is cut by it. So the bytes meet proto/http1 first: a head is held back until
 * it is whole and clean, then exactly one message at a time is handed over, with what the client sent in advance held
 * back. What is refused (400, 408, 411, 413, 414, 417, 431, 501, 503, 505) is answered here, with a lingering close, so
 * that the answer is not lost to a reset. Request bodies are taken from libevhtp as they come: it never keeps one.
 *
 * States: idle -> head -> body -> handler -> send -> idle ... -> linger. Each has its deadline. */
#ifndef DAVIT_CONTROLLER_GATE_H
#define DAVIT_CONTROLLER_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "server/controller/request.h"

struct evbuffer;
struct evhtp_connection;
struct gate;
struct http_reply;
struct loop;
struct reply_stream;

/* Milliseconds; all zero fields of a struct gate_conf mean these defaults. */
#define GATE_IDLE_MS 60000   /* between two requests */
#define GATE_HEAD_MS 10000   /* from a head's first byte to its last */
#define GATE_WINDOW_MS 60000 /* of a body or reply: at least GATE_WINDOW_BYTES move in each, or it is over */
#define GATE_WINDOW_BYTES (60 * 1024)
#define GATE_HANDLER_MS 60000 /* then 504 */
#define GATE_LINGER_MS 2000
#define GATE_BODIES_MAX (256u << 20) /* bytes of all bodies being received; more is 503 */

struct gate_conf {
	int64_t idle_ms;
	int64_t head_ms;
	int64_t window_ms;
	int64_t handler_ms;
	int64_t linger_ms;
	size_t bodies_max;
	const char *const
	    *trusted_proxies; /* addresses; NULL-terminated or NULL. A unix socket's peer is always trusted */

	/* How much of a body this request may have; more is 413. */
	size_t (*body_limit)(void *arg, const struct http_request *request);
	/* A whole request. The handler ends the token, now or later. */
	void (*on_request)(void *arg, struct http_reply *reply);
	void *arg;
};

/* What the gates of one listener share. All zero but loop, conf, on_end and scratch at first. */
struct gate_shared {
	struct loop *loop;
	struct gate_conf conf;     /* without zeros */
	void (*on_end)(void *arg); /* a gate is gone */
	void *arg;
	struct evbuffer *scratch; /* empty between two uses */
	LIST_HEAD(, gate) gates;
	unsigned count;
	bool stopping;       /* answers say that the connection is not kept */
	bool hurries;        /* nor is one of which it was said */
	size_t bodies;       /* bytes of the bodies that are being received */
	uint64_t answers[6]; /* by the status' first digit */
};

/* Takes over an accepted connection, in libevhtp's post-accept hook. The gate ends itself. */
void gate_new(struct gate_shared *shared, struct evhtp_connection *connection);
/* Ends every connection, whatever it is doing. */
void gate_end_all(struct gate_shared *shared);
/* Ends the idle ones when they have been so for idle_ms (0: now), and the others when they are answered; live streams
 * stay. */
void gate_drain_all(struct gate_shared *shared, int64_t idle_ms);

/* For libevhtp's generic callback: the message that was handed over is complete. */
void gate_on_message(struct evhtp_connection *connection);

/* For reply.c. */
struct evbuffer *gate_output(struct gate *gate);
bool gate_may_keep(const struct gate *gate);
/* The head of an answer goes out; the token is gone, stream (or NULL) writes the body. */
void gate_begin_send(struct gate *gate, unsigned status, struct reply_stream *stream);
/* Of a live stream. */
void gate_pause_input(struct gate *gate, bool is_paused);
/* The body is in the output; closes the connection behind it unless keep. */
void gate_end_send(struct gate *gate, bool keep);
/* The handler has no answer. */
void gate_no_answer(struct gate *gate);

#endif
