/* A client of httpc and all that happened to its request: what the test programs of httpc share. */
#ifndef DAVIT_TEST_HTTP_CLIENT_H
#define DAVIT_TEST_HTTP_CLIENT_H

#include "proto/buf.h"
#include "server/core/loop.h"
#include "server/io/httpc.h"
#include "test/component/peer.h"

#define MB ((size_t)1024 * 1024)

enum place { NOWHERE, ON_HEAD, ON_BODY, ON_DRAIN, ON_DONE };

struct client {
	struct loop *loop;
	struct httpc *httpc;
	struct httpc_op *op;
	struct httpc_request request;
	struct timer *guard;
	enum place cancel_in; /* and close the client there */
	enum place pause_in;

	int done, heads, drains, upgrades;
	unsigned status;
	struct err err;
	struct buf body; /* what on_body or on_done gave */
	struct stream *stream;
	struct buf stream_bytes;
	bool stream_closed;
	struct err stream_err;
	/* an upload */
	size_t to_send, sent, chunk, most_pending;
	size_t seen; /* of sent, when the gate looked */
	struct timer *gate;
	struct peer *peer;
	struct deferred *turn;
	int again; /* more requests to make from on_done */
};

/* Asks for GET /x unless the test changes its request. */
void client_init(struct client *c, const char *url, const struct httpc_conf *conf);
void client_fini(struct client *c);
/* One request, to its end or the moment that stops the loop. */
void exchange(struct client *c, const struct httpc_handler *handler);

extern const struct httpc_handler collecting;
extern const struct httpc_handler streaming;
extern const struct httpc_handler upgrading;

/* Of a peer: answers anything with two chunks, "a" and "b". */
void script_any(struct peer *p);

#endif
