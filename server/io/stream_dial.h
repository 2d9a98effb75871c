/* Making a connected socket: names through evdns, all addresses in turn, one deadline over everything. A part of
 * stream; nobody else includes this. The async contract is that of server/core/loop.h. */
#ifndef DAVIT_IO_STREAM_DIAL_H
#define DAVIT_IO_STREAM_DIAL_H

#include <stdint.h>

#include "proto/err.h"
#include "server/io/stream.h"

struct dial;

/* fd is yours (non-blocking, closed on exec), or -1 with the cause. */
typedef void dial_fn(void *arg, int fd, const struct err *err);

/* Its path, name, host, port, public_only and timeout_ms count, and are needed during the call only. */
struct dial *dial_start(struct loop *loop, const struct stream_target *target, dial_fn *fn, void *arg);
void dial_cancel(struct dial **dial);

#endif
