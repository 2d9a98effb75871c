/* The context of an image's build, read out of a job's workspace piece by piece in background threads: first its
 * .dockerignore is looked for, then the members are given (proto/context.h). The workspace may be larger than memory.
 */
#ifndef DAVIT_BUILDER_CONTEXT_SOURCE_H
#define DAVIT_BUILDER_CONTEXT_SOURCE_H

#include <stdbool.h>

#include "proto/err.h"
#include "proto/str.h"

struct context_source;
struct disk;

/* tar: path of the workspace, members below "workspace/". folder and dockerfile: below its root. Copied. */
struct context_source *context_source_new(
    struct disk *disk, const char *tar, const char *folder, const char *dockerfile);
/* No callback follows. Accepts NULL inside. */
void context_source_free(struct context_source **source);
/* The Dockerfile's name in the context, from the beginning on. */
const char *context_source_dockerfile(const struct context_source *source);

/* piece is good for the callback; is_last: the context's members are all given, and no piece comes with it. err:
 * ERR_INPUT and ERR_LIMIT for what the repository's files say, ERR_IO. */
typedef void context_piece_fn(void *arg, struct str piece, bool is_last, const struct err *err);
/* One at a time. The async contract of core/loop.h holds. */
void context_source_next(struct context_source *source, context_piece_fn *fn, void *arg);
/* A piece is being made. */
bool context_source_is_busy(const struct context_source *source);

#endif
