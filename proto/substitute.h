/* Texts in a stream of bytes are replaced by others, wherever the stream is cut. */
#ifndef DAVIT_PROTO_SUBSTITUTE_H
#define DAVIT_PROTO_SUBSTITUTE_H

#include <stdbool.h>

#include "proto/buf.h"
#include "proto/str.h"

enum { SUBSTITUTE_PAIRS_MAX = 4 };

struct substitute {
	char *from[SUBSTITUTE_PAIRS_MAX]; /* owned; none begins with another */
	char *to[SUBSTITUTE_PAIRS_MAX];
	unsigned count;
	struct buf held; /* what may be the beginning of one */
};

void substitute_init(struct substitute *s);
void substitute_fini(struct substitute *s);
/* At most SUBSTITUTE_PAIRS_MAX times; from is at least a byte. Copied. */
void substitute_add(struct substitute *s, const char *from, const char *to);
/* Appends to out what is certain. */
void substitute_feed(struct substitute *s, struct str bytes, struct buf *out);
/* Appends the rest. */
void substitute_end(struct substitute *s, struct buf *out);

#endif
