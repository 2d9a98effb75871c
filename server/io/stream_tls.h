/* The TLS side of stream: what of OpenSSL it needs. Nobody else includes this; the public part is in stream.h. */
#ifndef DAVIT_IO_STREAM_TLS_H
#define DAVIT_IO_STREAM_TLS_H

#include "proto/err.h"
#include "server/io/stream.h"

struct bufferevent;
struct ssl_st;

/* A session towards host, which goes out as SNI and which the certificate must say. NULL with *err set when OpenSSL
 * refuses. */
struct ssl_st *stream_tls_session(const struct stream_tls *tls, const char *host, struct err *err);
void stream_tls_session_free(struct ssl_st **session);
/* Takes fd and session over: both end with the bufferevent. NULL when libevent refuses. */
struct bufferevent *stream_tls_bufferevent(struct loop *loop, int fd, struct ssl_st *session);
/* Why bev failed, after its error event. */
struct err stream_tls_err(struct bufferevent *bev);
/* Sends close_notify; bev's output must have drained. */
void stream_tls_close_write(struct bufferevent *bev);

#endif
