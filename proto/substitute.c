#include "proto/substitute.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

#define HELD_MAX (64 * 1024 + 4096) /* a piece and the longest beginning */

void
substitute_init(struct substitute *s)
{
	*s = (struct substitute){ 0 };
	buf_init(&s->held, HELD_MAX);
}

void
substitute_fini(struct substitute *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		free(s->from[i]);
		free(s->to[i]);
	}
	buf_fini(&s->held);
}

void
substitute_add(struct substitute *s, const char *from, const char *to)
{
	assert(s->count < SUBSTITUTE_PAIRS_MAX && from[0] != '\0' && strlen(from) <= 4096);
	s->from[s->count] = xstrdup(from);
	s->to[s->count++] = xstrdup(to);
}

enum match { MATCH_NONE, MATCH_PART, MATCH_WHOLE };

static enum match
match_at(const struct substitute *s, struct str text, unsigned *which)
{
	enum match best = MATCH_NONE;

	for (unsigned i = 0; i < s->count; i++) {
		size_t len = strlen(s->from[i]);

		if (memcmp(text.p, s->from[i], text.len < len ? text.len : len) != 0)
			continue;
		*which = i;
		if (text.len >= len)
			return MATCH_WHOLE;
		best = MATCH_PART;
	}
	return best;
}

/* Up to what may be the beginning of one; at the end nothing may be. */
static void
take(struct substitute *s, bool is_end, struct buf *out)
{
	size_t at = 0, sure = 0;

	while (at < s->held.len) {
		unsigned which = 0;
		enum match match = match_at(s, (struct str){ s->held.data + at, s->held.len - at }, &which);

		if (match == MATCH_PART && !is_end)
			break;
		if (match != MATCH_WHOLE) {
			at++;
			continue;
		}
		buf_add(out, s->held.data + sure, at - sure);
		buf_adds(out, s->to[which]);
		at += strlen(s->from[which]);
		sure = at;
	}
	buf_add(out, s->held.data + sure, at - sure);
	buf_shift(&s->held, at);
}

void
substitute_feed(struct substitute *s, struct str bytes, struct buf *out)
{
	while (bytes.len > 0) {
		struct str piece = { bytes.p, bytes.len < 64 * 1024 ? bytes.len : 64 * 1024 };

		buf_addstr(&s->held, piece);
		take(s, false, out);
		bytes = (struct str){ bytes.p + piece.len, bytes.len - piece.len };
	}
}

void
substitute_end(struct substitute *s, struct buf *out)
{
	take(s, true, out);
}
