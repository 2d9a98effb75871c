/* The warm pool: boxes that were started before there is a job for them, for the images that jobs of this engine used
 * last. A box is used once; the pool then starts another. */
#ifndef DAVIT_BUILDER_POOL_H
#define DAVIT_BUILDER_POOL_H

#include <stdbool.h>

#include "server/builder/box.h"
#include "server/builder/host.h"
#include "server/builder/sandbox.h"

struct pool;

struct pool *pool_new(struct host *host, struct sandboxes *sandboxes);
/* Ends all its boxes, then calls done; the pool is gone by then. */
typedef void pool_done_fn(void *arg);
void pool_end(struct pool **pool, pool_done_fn *done, void *arg);

/* A box of that image (its id) that is ready or soon will be; NULL: none. The caller's from now on: box_set_handler. */
struct box *pool_take(struct pool *pool, const char *image);
/* A job of that image has said its first words, so it can be kept warm: from now on there are boxes for it, until
 * others were used more recently. title: its name, for texts. */
void pool_note(struct pool *pool, const char *image, const char *title);
/* How many boxes are ready. */
unsigned pool_ready(const struct pool *pool);

#endif
