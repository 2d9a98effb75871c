/* Brings one image from its registry to the engine: by way of the mirror where the engine has one, and straight where
 * the mirror does not give it, for whatever reason. What comes by the mirror comes under its name there, gets its own,
 * and loses that one. */
#ifndef DAVIT_BUILDER_PULLER_H
#define DAVIT_BUILDER_PULLER_H

#include "proto/err.h"
#include "server/builder/host.h"

struct puller;

typedef void puller_fn(void *arg, const struct err *err);
/* name: whole (image_print). The puller is gone when fn is called. */
struct puller *puller_start(struct host *host, const char *name, puller_fn *fn, void *arg);
/* By the mirror or not at all, of a platform (NULL: the engine's own): for an engine that gets it by itself otherwise.
 */
struct puller *puller_start_mirrored(
    struct host *host, const char *name, const char *platform, puller_fn *fn, void *arg);
/* Whether the mirror can be asked for an image of that name. */
bool puller_can_mirror(const struct host *host, const char *name);
/* Accepts NULL inside. */
void puller_cancel(struct puller **puller);

#endif
