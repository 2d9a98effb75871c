/* A growing byte buffer with a mandatory maximum. Overflow is sticky: what is added after it is dropped and
 * buf_failed() says so, hence a builder checks once at its end. The bytes are always followed by a NUL of ours. */
#ifndef DAVIT_PROTO_BUF_H
#define DAVIT_PROTO_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/str.h"

struct buf {
	char *data; /* never NULL between init and fini */
	size_t len;
	size_t cap;
	size_t max;
	bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
/* Empty again, the memory kept, the failure forgotten. */
void buf_reset(struct buf *b);
bool buf_add(struct buf *b, const void *p, size_t len);
bool buf_adds(struct buf *b, const char *s);
bool buf_addstr(struct buf *b, struct str s);
bool buf_addc(struct buf *b, char c);
bool buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first len bytes. */
void buf_shift(struct buf *b, size_t len);
bool buf_failed(const struct buf *b);
struct str buf_str(const struct buf *b);
/* Gives the bytes away (free() them) and leaves b as after buf_init. */
char *buf_take(struct buf *b, size_t *len);

#endif
