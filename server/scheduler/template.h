/* A template of the server's: a text in the folder that the configuration names, which pipelines include by its name.
 * It is read in a disk thread each time, so that a changed file counts for the next build. */
#ifndef DAVIT_SCHEDULER_TEMPLATE_H
#define DAVIT_SCHEDULER_TEMPLATE_H

#include <stddef.h>

#include "proto/err.h"
#include "proto/str.h"

struct disk;
struct loop;
struct template_op;

/* ERR_NOT_FOUND: there is none of that name, or no folder. The text is lent for the call. */
typedef void template_fn(void *arg, struct str text, const struct err *err);

/* folder "": there is none. name: as proto/pipeline.h lets it through. max: bytes, ERR_LIMIT above. */
struct template_op *template_read(
    struct loop *loop, struct disk *disk, const char *folder, const char *name, size_t max, template_fn *fn, void *arg);
/* Accepts NULL inside. */
void template_cancel(struct template_op **op);

#endif
