/* The HTTP/1.1 client: for the engine, forges, chat and upstreams. One struct httpc per server (scheme, host, port); it
 * keeps a few idle connections. The async contract is that of server/core/loop.h.
 *
 * A request ends with exactly one call: on_done, or on_upgrade when the connection changed its protocol; the op is gone
 * by then. Redirects are not followed: the caller sees 3xx. A malformed reply is ERR_PROTO. Any whole reply is a
 * success, whatever its status.
 *
 * A request without a streamed body that went out on a kept connection which the server closed without a byte of
 * reply is sent once more on a new one (RFC 9112 section 9.3.1): such requests must bear being seen twice. One with a
 * streamed body always gets a new connection. */
#ifndef DAVIT_IO_HTTPC_H
#define DAVIT_IO_HTTPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/http1.h"
#include "proto/str.h"
#include "server/core/loop.h"
#include "server/io/stream.h"

struct httpc;
struct httpc_op;

/* All zero is the default. */
struct httpc_conf {
	struct stream_tls_conf tls;
	const struct stream_tls *shared_tls; /* in the place of tls, lent until httpc_free: reading the system's
					      * certificates takes some 20 ms. NULL: tls */
	bool public_only;                    /* as struct stream_target has it */
	int64_t connect_ms;                  /* name lookup, connecting and TLS together; 0: 10 s */
	unsigned idle_max;                   /* idle connections kept; 0: 4 */
	int64_t idle_ms;                     /* and for how long; 0: 30 s */
};

struct httpc_header {
	const char *name;
	const char *value;
};

/* Copied by httpc_request(). */
struct httpc_request {
	const char *method;
	const char *path; /* path and query, encoded, begins with '/'; appended to the base URL's path */
	const char *host; /* Host in the place of this server's own, which is a proxy then, or has several names; path
			   * may be a whole URL of that host. NULL: this server's */
	/* Host, User-Agent, Content-Length, Transfer-Encoding, Connection and Upgrade are ours. */
	const struct httpc_header *headers;
	size_t header_count;

	struct str body; /* the whole body; or: */
	bool streamed;   /* the body comes by httpc_send(), from the first on_drain on */
	int64_t length;  /* of a streamed body; -1: not known, so it is sent chunked */

	const char *upgrade; /* sends "Connection: Upgrade" and "Upgrade: " this ("tcp", "websocket"); a 101, or the
			      * engine's 200 with "application/vnd.docker.raw-stream", comes as on_upgrade */
	size_t reply_max;    /* bytes of a collected reply body, ERR_LIMIT above; 0: 1 MiB */
	int64_t total_ms;    /* from httpc_request() to the end; 0: no limit */
	int64_t idle_ms;     /* without a byte in either direction, once connected; 0: no limit. Rests while paused */
};

/* Good during the callback. */
struct httpc_reply {
	unsigned status;
	const struct http1_head *head; /* headers: http1_value(reply->head, "ETag") */
	struct str body;               /* in on_done, without an on_body; a NUL of ours stands behind it */
};

/* Unused callbacks may be NULL, but on_done. */
struct httpc_handler {
	/* The final head is there (after any 1xx). */
	void (*on_head)(void *arg, const struct httpc_reply *reply);
	/* Bytes of the body; without this callback the body is collected. */
	void (*on_body)(void *arg, struct str bytes);
	/* For a streamed body: the connection takes bytes. First when it is open, then each time that all sent has
	 * left. */
	void (*on_drain)(void *arg);
	/* The op is over and the stream is yours, with what came behind the head: call stream_set_handler() right here,
	 * or close it. NULL: an upgrade is ERR_PROTO. Before it comes an on_head, if there is one. */
	void (*on_upgrade)(void *arg, struct stream *stream, struct str first);
	/* The op is gone. err NULL: the reply is whole; otherwise reply is NULL when no head had come. The server may
	 * answer before a streamed body was sent whole: that is a success, too. */
	void (*on_done)(void *arg, const struct httpc_reply *reply, const struct err *err);
};

/* base: unix:///path/of/socket, tcp://host:port, http://host[:port][/prefix], https://... NULL with *err set when it is
 * malformed or a TLS file cannot be used. conf NULL: the defaults. tcp:// is TLS when conf->tls has a cert_file or
 * ca_file (as with the engine's port 2376). */
struct httpc *httpc_new(struct loop *loop, const char *base, const struct httpc_conf *conf, struct err *err);
/* Every op must have ended (asserted); accepts NULL. Upgraded streams live on. */
void httpc_free(struct httpc **httpc);

struct httpc_op *httpc_request(
    struct httpc *httpc, const struct httpc_request *request, const struct httpc_handler *handler, void *arg);
/* No callback from now on; accepts NULL. */
void httpc_cancel(struct httpc_op **op);

/* The next bytes of a streamed body, copied. After the first on_drain only. More than length is asserted. */
void httpc_send(struct httpc_op *op, struct str bytes);
/* The same from a file: see stream_write_file(). After false the op can only be cancelled. */
bool httpc_send_file(struct httpc_op *op, int fd, int64_t offset, size_t len, struct err *err);
/* The streamed body is whole; with a known length, all of it must have been sent (asserted). */
void httpc_end(struct httpc_op *op);
/* Bytes sent that have not left for the kernel. */
size_t httpc_pending(const struct httpc_op *op);

/* The reply's source has to wait. What was read already (at most 64 KiB) still comes. */
void httpc_pause(struct httpc_op *op);
void httpc_resume(struct httpc_op *op);

#endif
