/* A byte stream to a peer: TCP (by name or address), a unix socket, either of them with TLS from the start or later
 * (STARTTLS). libevent's bufferevents and OpenSSL are known here alone.
 *
 * A stream belongs to who started it, until on_close was called or stream_close() was. No callback runs before the
 * start function returns, none after stream_close(). Each callback may call stream_close(). */
#ifndef DAVIT_IO_STREAM_H
#define DAVIT_IO_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/str.h"
#include "server/core/loop.h"

struct stream;
struct stream_tls;

/* How we speak TLS as a client: TLS 1.2 or later, the peer's certificate is verified against its name. */
struct stream_tls_conf {
	const char *ca_file;   /* PEM; NULL: the system's */
	const char *cert_file; /* our own certificate (chain) and key, PEM; NULL: none */
	const char *key_file;
	bool insecure; /* nothing is verified */
};

/* NULL with *err set when a file cannot be used. Streams keep what they need of it: it may be freed before them. */
struct stream_tls *stream_tls_new(const struct stream_tls_conf *conf, struct err *err);
void stream_tls_free(struct stream_tls **tls);

/* Unused callbacks may be NULL, but on_close. */
struct stream_handler {
	/* Connected; with TLS, also verified. Again after stream_starttls(). Not for stream_adopt(). */
	void (*on_open)(void *arg);
	/* Bytes came (at least one). All of them count as taken. */
	void (*on_data)(void *arg, struct str bytes);
	/* All that was written has left for the kernel. */
	void (*on_drain)(void *arg);
	/* The last call; the stream is gone: clear your pointer. err NULL: the peer ended in order (with TLS: said so).
	 * What came before the end was given to on_data first. Output that had not left is lost. */
	void (*on_close)(void *arg, const struct err *err);
};

/* Copied by stream_connect(). */
struct stream_target {
	const char *path; /* of a unix socket; NULL: TCP */
	const char *host; /* a name, or an address without brackets; with TLS also what the certificate must say */
	unsigned port;
	const struct stream_tls *tls; /* NULL: without TLS (it may come later by stream_starttls) */
	bool public_only; /* no address of a private, loopback or otherwise special network is connected to: ERR_REFUSED
			   */
	int64_t timeout_ms; /* for all of name lookup, connecting and TLS; must be > 0. Addresses are tried in turn,
			     * each with an equal share of what is left */
};

struct stream *stream_connect(
    struct loop *loop, const struct stream_target *target, const struct stream_handler *handler, void *arg);
/* A connected socket or socketpair end becomes a stream, open at once; the stream closes it. name is for error texts.
 */
struct stream *stream_adopt(
    struct loop *loop, int fd, const char *name, const struct stream_handler *handler, void *arg);
/* At once, whatever is pending; accepts NULL. */
void stream_close(struct stream **stream);
/* From now on the stream calls these: how it changes hands. */
void stream_set_handler(struct stream *stream, const struct stream_handler *handler, void *arg);

/* The bytes are copied. There is no limit here: who writes watches stream_pending() and goes on in on_drain. */
void stream_write(struct stream *stream, const void *p, size_t len);
/* Sends len bytes (at most STREAM_FILE_SEGMENT) of the file from offset on: by sendfile, with TLS through memory. fd
 * must stay open until on_drain or the stream's end, and the file must not shrink. Call it again from on_drain. False
 * with *err set when the file cannot be read. */
#define STREAM_FILE_SEGMENT (256 * 1024)
bool stream_write_file(struct stream *stream, int fd, int64_t offset, size_t len, struct err *err);
/* Bytes written that have not left for the kernel. */
size_t stream_pending(const struct stream *stream);
/* Bytes that came and were not yet given to on_data, nor are being given just now. */
size_t stream_unread(const struct stream *stream);
/* Ends our side when what was written has left: shutdown(2), with TLS a close_notify. Reading goes on. */
void stream_close_write(struct stream *stream);

/* No on_data (and no orderly on_close) until stream_resume(); the kernel's buffer fills and the peer has to wait. Both
 * may be called twice. */
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);

/* TLS on an open stream whose output has drained (asserted); host is verified. on_open follows, or on_close. Bytes that
 * came before it in clear text and were not yet given to on_data end the stream with ERR_PROTO. */
void stream_starttls(struct stream *stream, const struct stream_tls *tls, const char *host, int64_t timeout_ms);

/* "unix:/run/x.sock", "host:port": for texts; as long as the stream lives. */
const char *stream_name(const struct stream *stream);

#endif
