/* Idle connections of one server, kept for the next request. A part of httpc; nobody else includes this. */
#ifndef DAVIT_IO_HTTPC_POOL_H
#define DAVIT_IO_HTTPC_POOL_H

#include <stdint.h>

#include "server/core/loop.h"
#include "server/io/stream.h"

struct httpc_pool;

/* Keeps at most max streams, each for at most ms. */
struct httpc_pool *httpc_pool_new(struct loop *loop, unsigned max, int64_t ms);
/* Closes what it keeps. */
void httpc_pool_free(struct httpc_pool **pool);
/* Takes the stream over; when the pool is full the oldest one is closed. A stream that ends, or says something
 * unasked, is dropped at once. */
void httpc_pool_put(struct httpc_pool *pool, struct stream *stream);
/* The one used last, whose handler the caller sets right away; NULL: none. */
struct stream *httpc_pool_take(struct httpc_pool *pool);

#endif
