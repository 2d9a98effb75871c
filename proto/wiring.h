/* How a job's tools come to ask the mirror, without a word in the pipeline: the shell text that a script begins with.
 * It sets a variable, or names a file that it writes, only where neither the image nor the job has said where that tool
 * downloads from; what it sets, the job's own env may set anew. http_proxy is left alone: services and tests speak
 * HTTP, too. */
#ifndef DAVIT_PROTO_WIRING_H
#define DAVIT_PROTO_WIRING_H

#include <stdbool.h>

#include "proto/buf.h"

/* Where a job reaches the mirror. */
#define WIRING_HOST "davit-mirror"
#define WIRING_PORT "3142"

/* Whether the mirror may ask that host. */
typedef bool wiring_allows_fn(const void *arg, const char *host);

/* Adds the text; nothing when the mirror may ask none of the hosts that tools ask. folder: absolute, where the script
 * may write; plain text, as host names are. */
void wiring_write(struct buf *ret, const char *folder, wiring_allows_fn *allows, const void *arg);

#endif
