/* Masking: takes secrets out of a stream of bytes. Every byte that belongs to an occurrence of a known text (a secret
 * in one of the forms of proto/mask_forms.h) is hidden, also where occurrences overlap; "***" stands for each run of
 * hidden bytes. The result does not depend on how the stream is cut.
 *
 * What is held back is only what may still become an occurrence: at most MASK_HELD_MAX bytes, and mostly none. A mask
 * is made once and then shared by any number of streams, which it must outlive. */
#ifndef DAVIT_PROTO_MASK_H
#define DAVIT_PROTO_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/mask_forms.h"
#include "proto/str.h"

/* A shorter value would hide ordinary words, and is refused. */
enum { MASK_MIN = 4, MASK_HELD_MAX = MASK_PIECE - 1 };

struct mask;

struct mask *mask_new(void);
/* Wipes it. Accepts NULL inside. */
void mask_free(struct mask **mask);
/* false, and nothing is added, when the value without blanks at its ends is shorter than MASK_MIN. */
bool mask_add(struct mask *mask, struct str value);
/* After the last mask_add, before the first stream. */
void mask_close(struct mask *mask);
/* Nothing was added: whatever is fed comes out as it is. */
bool mask_is_empty(const struct mask *mask);

struct mask_stream {
	const struct mask *mask;
	size_t held_len;
	size_t end;      /* while run is not 0: how many of the held bytes it has */
	uint64_t run;    /* bytes of a run of hidden ones that no "***" stands for yet */
	bool is_starred; /* the last thing given out is "***" */
	char held[MASK_HELD_MAX];
};

void mask_stream_init(struct mask_stream *stream, const struct mask *mask);
/* Appends what is decided to out, which needs room for in.len + MASK_HELD_MAX bytes more. */
void mask_feed(struct mask_stream *stream, struct str in, struct buf *out);
/* Appends what was held back; at least MASK_MIN bytes that a known text begins with are hidden, too. The stream may go
 * on afterwards, as a new one. */
void mask_finish(struct mask_stream *stream, struct buf *out);
/* How many of the bytes that were fed have not come to out in any form: a stream that begins behind those that have
 * gives the same from there on. */
uint64_t mask_held(const struct mask_stream *stream);
/* The whole text at once, in place: it never grows. */
void mask_text(const struct mask *mask, char *text);

#endif
