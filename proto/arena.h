/* Memory of one parsed document: taken piece by piece, given back all at once. Pieces are zeroed and aligned for any
 * type. The document's own limits bound it. */
#ifndef DAVIT_PROTO_ARENA_H
#define DAVIT_PROTO_ARENA_H

#include <stddef.h>

#include "proto/str.h"

struct arena_block;

struct arena {
	struct arena_block *blocks; /* the newest first */
};

/* An arena of zeroes is an empty one. */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((returns_nonnull));
/* A NUL-terminated copy. */
char *arena_str(struct arena *arena, struct str s) __attribute__((returns_nonnull));
void arena_fini(struct arena *arena);

#endif
