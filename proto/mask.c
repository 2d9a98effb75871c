#include "proto/mask.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

enum {
	GRAM = 4,            /* bytes that the filters look at together */
	WINDOW_MAX = 16,     /* of the texts' beginnings that the filters know */
	BITS_MIN = 13,       /* of a filter: 1 KiB */
	BITS_MAX = 22,       /* 512 KiB */
	BITS_PER_GRAM = 32,  /* so that ordinary text passes a filter in one of 32 cases or less */
	BYTES_MAX = 1 << 27, /* of all texts */
};

#define STARS "***"

struct text {
	size_t at; /* in bytes */
	size_t len;
	size_t prefix; /* the longest other text that this one begins with, counted from 1; 0: none */
};

/* The texts are sorted. An occurrence is found in three steps: of every few bytes of the stream, four are looked up in
 * a filter of all that stands in the first bytes of a text; then, around a hit, those that a text may begin with; then
 * a search among the texts decides. */
struct mask {
	struct buf bytes;
	struct text *texts;
	size_t count, cap;
	size_t longest;
	size_t window; /* bytes of each text that the filters know: the shortest one's length */
	unsigned shift;
	uint64_t *inside;
	uint64_t *front;
	bool first[256];
};

/* --- making --- */

struct mask *
mask_new(void)
{
	struct mask *m = xcalloc(1, sizeof(*m));

	buf_init(&m->bytes, BYTES_MAX);
	m->window = WINDOW_MAX;
	return m;
}

void
mask_free(struct mask **mask)
{
	struct mask *m = *mask;

	if (m == NULL)
		return;
	*mask = NULL;
	explicit_bzero(m->bytes.data, m->bytes.len);
	buf_fini(&m->bytes);
	free(m->texts);
	free(m->inside);
	free(m->front);
	free(m);
}

static void
add_text(struct mask *m, struct str s)
{
	if (m->count == m->cap) {
		m->cap = m->cap == 0 ? 64 : m->cap * 2;
		m->texts = xrealloc(m->texts, m->cap * sizeof(*m->texts));
	}
	m->texts[m->count++] = (struct text){ .at = m->bytes.len, .len = s.len };
	buf_addstr(&m->bytes, s);
	m->window = s.len < m->window ? s.len : m->window;
	m->longest = s.len > m->longest ? s.len : m->longest;
}

/* A long one in pieces, the last of which overlaps the one before: together they hide all of it. */
static void
on_form(void *arg, struct str form)
{
	struct mask *m = arg;

	for (size_t at = 0; at < form.len; at += MASK_PIECE) {
		size_t len = form.len < MASK_PIECE ? form.len : MASK_PIECE;

		add_text(m, (struct str){ form.p + (at + len > form.len ? form.len - len : at), len });
	}
}

bool
mask_add(struct mask *mask, struct str value)
{
	assert(mask->inside == NULL);
	if (mask_core(value).len < MASK_MIN)
		return false;
	mask_forms(value, on_form, mask);
	return true;
}

static const char *
text_bytes(const struct mask *m, const struct text *text)
{
	return m->bytes.data + text->at;
}

/* memcmp, and a text is greater than its beginning. */
static int
compare(const struct mask *m, const struct text *text, struct str s)
{
	int order = memcmp(text_bytes(m, text), s.p, text->len < s.len ? text->len : s.len);

	return order != 0 ? order : text->len > s.len ? 1 : text->len < s.len ? -1 : 0;
}

static int
compare_texts(const void *a, const void *b, void *arg)
{
	const struct text *other = b;
	const struct mask *m = arg;

	return compare(m, a, (struct str){ text_bytes(m, other), other->len });
}

static void
sort(struct mask *m)
{
	size_t kept = 0;

	if (m->count > 0)
		qsort_r(m->texts, m->count, sizeof(*m->texts), compare_texts, m);
	for (size_t i = 0; i < m->count; i++)
		if (kept == 0 || compare_texts(&m->texts[kept - 1], &m->texts[i], m) != 0)
			m->texts[kept++] = m->texts[i];
	m->count = kept;
}

static bool
begins_with(struct str s, const struct mask *m, const struct text *text)
{
	return s.len >= text->len && memcmp(s.p, text_bytes(m, text), text->len) == 0;
}

/* Among sorted texts it is the one before, or one that this begins with, and so on. */
static void
find_prefixes(struct mask *m)
{
	for (size_t i = 0; i < m->count; i++) {
		struct str s = { text_bytes(m, &m->texts[i]), m->texts[i].len };
		size_t other = i;

		while (other != 0 && !begins_with(s, m, &m->texts[other - 1]))
			other = m->texts[other - 1].prefix;
		m->texts[i].prefix = other;
	}
}

static uint32_t
gram_bit(const struct mask *m, const char *p)
{
	uint32_t gram;

	memcpy(&gram, p, GRAM);
	return (gram * 2654435761u) >> m->shift;
}

static bool
has(const uint64_t *filter, uint32_t bit)
{
	return (filter[bit / 64] >> bit % 64 & 1) != 0;
}

static void
set(uint64_t *filter, uint32_t bit)
{
	filter[bit / 64] |= (uint64_t)1 << bit % 64;
}

static void
make_filters(struct mask *m)
{
	size_t grams = m->count * (m->window - GRAM + 1);
	unsigned bits = BITS_MIN;

	while (bits < BITS_MAX && (size_t)1 << bits < grams * BITS_PER_GRAM)
		bits++;
	m->shift = 32 - bits;
	m->inside = xcalloc(((size_t)1 << bits) / 64, sizeof(uint64_t));
	m->front = xcalloc(((size_t)1 << bits) / 64, sizeof(uint64_t));
	for (size_t i = 0; i < m->count; i++) {
		const char *p = text_bytes(m, &m->texts[i]);

		m->first[(unsigned char)*p] = true;
		set(m->front, gram_bit(m, p));
		for (size_t at = 0; at + GRAM <= m->window; at++)
			set(m->inside, gram_bit(m, p + at));
	}
}

void
mask_close(struct mask *mask)
{
	assert(mask->inside == NULL && !buf_failed(&mask->bytes));
	sort(mask);
	find_prefixes(mask);
	make_filters(mask);
}

bool
mask_is_empty(const struct mask *mask)
{
	return mask->count == 0;
}

/* --- finding --- */

/* A hit in the filter of all grams, at s: the first place from `from` to s where a text may begin; s + 1: none. */
static size_t
look_around(const struct mask *m, const char *p, size_t from, size_t s)
{
	while (from <= s && !has(m->front, gram_bit(m, p + from)))
		from++;
	return from;
}

/* The first place from `at` on where a text may begin, be it cut by the end of s; s.len: none. A whole text's window
 * holds exactly one of the places that are looked at, and so does a part that is long enough. */
static size_t
next_place(const struct mask *m, struct str s, size_t at)
{
	size_t step = m->window - GRAM;

	for (size_t i = at + step; i + GRAM <= s.len; i += step + 1)
		if (has(m->inside, gram_bit(m, s.p + i))) {
			size_t place = look_around(m, s.p, i - step, i);

			if (place <= i)
				return place;
		}
	if (s.len >= m->window && at < s.len - m->window + 1)
		at = s.len - m->window + 1;
	while (at < s.len && !m->first[(unsigned char)s.p[at]])
		at++;
	return at;
}

/* How long the longest text is that s begins with; 0: none. *is_open: all of s is the beginning of a longer one. */
static size_t
match(const struct mask *m, struct str s, bool *is_open)
{
	size_t low = 0, high = m->count;

	if (s.len > m->longest)
		s.len = m->longest;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(m, &m->texts[middle], s) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	*is_open =
	    low < m->count && m->texts[low].len > s.len && memcmp(text_bytes(m, &m->texts[low]), s.p, s.len) == 0;
	while (low != 0 && !begins_with(s, m, &m->texts[low - 1]))
		low = m->texts[low - 1].prefix;
	return low != 0 ? m->texts[low - 1].len : 0;
}

/* --- a stream --- */

void
mask_stream_init(struct mask_stream *stream, const struct mask *mask)
{
	*stream = (struct mask_stream){ .mask = mask };
}

static void
add(struct buf *out, const char *p, size_t len)
{
	bool fits = buf_add(out, p, len);

	assert(fits);
}

/* The bytes before `to` that are not hidden are given out, with what stands for the run before them. */
static void
give(struct mask_stream *s, const char *p, size_t to, struct buf *out)
{
	if (s->run > 0) {
		if (!s->is_starred)
			add(out, STARS, strlen(STARS));
		s->is_starred = true;
		s->run = 0;
	}
	if (to > s->end) {
		add(out, p + s->end, to - s->end);
		s->is_starred = false;
		s->end = to;
	}
}

static void
hide(struct mask_stream *s, const char *p, size_t from, size_t to, struct buf *out)
{
	if (from > s->end)
		give(s, p, from, out);
	if (to > s->end) {
		s->run += to - s->end;
		s->end = to;
	}
}

/* Looks at all places before limit, of bytes of which nothing is given out yet, up to the first one that the end of the
 * bytes leaves open. Gives the number of bytes that are decided. */
static size_t
scan(struct mask_stream *s, struct str bytes, size_t limit, bool is_last, struct buf *out)
{
	size_t at = 0, len;
	bool is_open;

	while ((at = next_place(s->mask, bytes, at)) < limit) {
		struct str rest = { bytes.p + at, bytes.len - at };

		len = match(s->mask, rest, &is_open);
		if (is_open && !is_last)
			break;
		if (is_open && rest.len >= MASK_MIN)
			len = rest.len;
		if (len > 0)
			hide(s, bytes.p, at, at + len, out);
		at++;
	}
	at = at < limit ? at : limit;
	if (s->end <= at)
		give(s, bytes.p, at, out);
	s->end -= at;
	return at;
}

static void
hold(struct mask_stream *s, struct str bytes, size_t from)
{
	s->held_len = bytes.len - from;
	assert(s->held_len <= sizeof(s->held));
	memcpy(s->held, bytes.p + from, s->held_len);
}

void
mask_feed(struct mask_stream *stream, struct str in, struct buf *out)
{
	char joint[2 * MASK_HELD_MAX];
	size_t held = stream->held_len, more = in.len < MASK_HELD_MAX ? in.len : MASK_HELD_MAX, decided;

	if (mask_is_empty(stream->mask)) {
		add(out, in.p, in.len);
		return;
	}
	if (held > 0) {
		memcpy(joint, stream->held, held);
		memcpy(joint + held, in.p, more);
		decided = scan(stream, (struct str){ joint, held + more }, held, false, out);
		if (decided < held) { /* then all that came is here */
			hold(stream, (struct str){ joint, held + more }, decided);
			return;
		}
	}
	hold(stream, in, scan(stream, in, in.len, false, out));
}

void
mask_finish(struct mask_stream *stream, struct buf *out)
{
	if (stream->held_len > 0 || stream->run > 0)
		scan(stream, (struct str){ stream->held, stream->held_len }, stream->held_len, true, out);
	assert(stream->run == 0 && stream->end == 0);
	stream->held_len = 0;
	stream->is_starred = false;
}

uint64_t
mask_held(const struct mask_stream *stream)
{
	return stream->held_len + (stream->run > 0 ? stream->run - stream->end : 0);
}

void
mask_text(const struct mask *mask, char *text)
{
	struct str s = str_of(text);
	struct mask_stream stream;
	struct buf out;

	buf_init(&out, s.len + MASK_HELD_MAX + 1);
	mask_stream_init(&stream, mask);
	mask_feed(&stream, s, &out);
	mask_finish(&stream, &out);
	assert(out.len <= s.len);
	memcpy(text, out.data, out.len + 1);
	buf_fini(&out);
}
