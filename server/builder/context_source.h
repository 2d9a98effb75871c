/* The context of an image's build, read out of a job's workspace, and of what stands beside it (files of the jobs that
 * it needs), piece by piece in background threads: first its Dockerfile and .dockerignore are looked for, then the
 * members are given (proto/context.h). The workspace may be larger than memory.
 *
 * DOCKERFILE.dockerignore is that Dockerfile's own, and counts instead of the context's. */
#ifndef DAVIT_BUILDER_CONTEXT_SOURCE_H
#define DAVIT_BUILDER_CONTEXT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/dockerfile.h"
#include "proto/err.h"
#include "proto/str.h"

struct context_source;
struct disk;
struct docker_piece;

/* Copied; the descriptors of inputs are lent until the source is freed. */
struct context_source_conf {
	struct disk *disk;
	const char *tar;                   /* path of the workspace, members below "workspace/" */
	const struct docker_piece *inputs; /* tars without an end, of whose members those below "workspace/" count */
	size_t input_count;
	const char *folder; /* below the workspace's root, as is the next */
	const char *dockerfile;
};

struct context_source *context_source_new(const struct context_source_conf *conf);
/* No callback follows. Accepts NULL inside. */
void context_source_free(struct context_source **source);
/* The Dockerfile's name in the context, from the beginning on. */
const char *context_source_dockerfile(const struct context_source *source);

/* Once, before everything else. dockerfile is the source's; NULL with an error: ERR_INPUT and ERR_LIMIT for what the
 * repository's files say, ERR_IO. The async contract of core/loop.h holds, for both. */
typedef void context_looked_fn(void *arg, const struct dockerfile *dockerfile, const struct err *err);
void context_source_look(struct context_source *source, context_looked_fn *fn, void *arg);

/* piece is good for the callback; is_last: the context's members are all given, and no piece comes with it. err: as
 * above. */
typedef void context_piece_fn(void *arg, struct str piece, bool is_last, const struct err *err);
/* One at a time. */
void context_source_next(struct context_source *source, context_piece_fn *fn, void *arg);
/* None is being made, and there are some to come. */
bool context_source_has_more(const struct context_source *source);

#endif
