/* Drops what is stored of some URLs, a slice of the shelf at a time, so that neither the loop nor the disk's queue is
 * held. */
#ifndef DAVIT_MIRROR_PURGE_H
#define DAVIT_MIRROR_PURGE_H

#include <stdint.h>

struct loop;
struct purge;
struct shelf;

typedef void purge_fn(void *arg, uint64_t dropped);
/* prefix: the beginning of the upstream's URL, "https://registry.npmjs.org/boat"; copied. What is stored meanwhile may
 * stay. */
struct purge *purge_start(struct loop *loop, struct shelf *shelf, const char *prefix, purge_fn *fn, void *arg);
/* What was dropped by then is gone. Accepts NULL inside. */
void purge_cancel(struct purge **purge);

#endif
