/* The writer. It keeps, per open array or object, what may come next, and asserts it. */
#include "proto/json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "proto/utf8.h"

#define MAX_DEPTH 32

/* What stands before the next token. */
enum place {
	PLACE_VALUE,        /* the whole text's value */
	PLACE_END,          /* nothing more */
	PLACE_FIRST_ITEM,   /* behind '[' */
	PLACE_ITEM,         /* behind an item */
	PLACE_FIRST_KEY,    /* behind '{' */
	PLACE_KEY,          /* behind a member */
	PLACE_MEMBER_VALUE, /* behind a key */
};

struct json_writer {
	struct buf out;
	unsigned depth;
	enum place places[MAX_DEPTH]; /* [depth] is where we are */
};

struct json_writer *
json_writer_new(size_t max)
{
	struct json_writer *w = xcalloc(1, sizeof(*w));

	buf_init(&w->out, max);
	return w;
}

void
json_writer_free(struct json_writer **w)
{
	if (*w == NULL)
		return;
	buf_fini(&(*w)->out);
	free(*w);
	*w = NULL;
}

/* Before a value: the comma, and where we are behind it. */
static void
begin_value(struct json_writer *w)
{
	enum place *place = &w->places[w->depth];

	assert(*place != PLACE_END && *place != PLACE_FIRST_KEY && *place != PLACE_KEY);
	if (*place == PLACE_ITEM)
		buf_addc(&w->out, ',');
	if (*place == PLACE_VALUE)
		*place = PLACE_END;
	else
		*place = *place == PLACE_MEMBER_VALUE ? PLACE_KEY : PLACE_ITEM;
}

static void
open_value(struct json_writer *w, char bracket, enum place inside)
{
	begin_value(w);
	assert(w->depth + 1 < MAX_DEPTH);
	w->places[++w->depth] = inside;
	buf_addc(&w->out, bracket);
}

static void
close_value(struct json_writer *w, char bracket, enum place first, enum place later)
{
	assert(w->depth > 0 && (w->places[w->depth] == first || w->places[w->depth] == later));
	w->depth--;
	buf_addc(&w->out, bracket);
}

void
json_write_object_open(struct json_writer *w)
{
	open_value(w, '{', PLACE_FIRST_KEY);
}

void
json_write_object_close(struct json_writer *w)
{
	close_value(w, '}', PLACE_FIRST_KEY, PLACE_KEY);
}

void
json_write_array_open(struct json_writer *w)
{
	open_value(w, '[', PLACE_FIRST_ITEM);
}

void
json_write_array_close(struct json_writer *w)
{
	close_value(w, ']', PLACE_FIRST_ITEM, PLACE_ITEM);
}

static void
add_escape(struct buf *out, unsigned char c)
{
	switch (c) {
	case '\n':
		buf_adds(out, "\\n");
		break;
	case '\r':
		buf_adds(out, "\\r");
		break;
	case '\t':
		buf_adds(out, "\\t");
		break;
	case '"':
	case '\\':
		buf_addc(out, '\\');
		buf_addc(out, (char)c);
		break;
	default:
		buf_addf(out, "\\u%04x", c);
	}
}

/* How many of the first bytes go out as they are. */
static size_t
plain_length(struct str s)
{
	size_t at = 0;

	while (at < s.len) {
		unsigned char c = (unsigned char)s.p[at];
		size_t len = 1;

		if (c < 0x20 || c == '"' || c == '\\')
			break;
		if (c >= 0x80 && utf8_decode((struct str){ s.p + at, s.len - at }, &len) == UTF8_BAD)
			break;
		at += len;
	}
	return at;
}

static void
add_string(struct buf *out, struct str s)
{
	buf_addc(out, '"');
	while (s.len > 0) {
		size_t len = plain_length(s);

		buf_add(out, s.p, len);
		if (len < s.len) {
			unsigned char c = (unsigned char)s.p[len++];

			if (c < 0x80)
				add_escape(out, c);
			else
				buf_adds(out, "\xef\xbf\xbd");
		}
		s.p += len;
		s.len -= len;
	}
	buf_addc(out, '"');
}

void
json_write_key(struct json_writer *w, const char *key)
{
	enum place *place = &w->places[w->depth];

	assert(*place == PLACE_FIRST_KEY || *place == PLACE_KEY);
	if (*place == PLACE_KEY)
		buf_addc(&w->out, ',');
	*place = PLACE_MEMBER_VALUE;
	add_string(&w->out, str_of(key));
	buf_addc(&w->out, ':');
}

void
json_write_string(struct json_writer *w, const char *s)
{
	if (s == NULL)
		json_write_null(w);
	else
		json_write_str(w, str_of(s));
}

void
json_write_str(struct json_writer *w, struct str s)
{
	begin_value(w);
	add_string(&w->out, s);
}

void
json_write_int(struct json_writer *w, int64_t n)
{
	begin_value(w);
	buf_addf(&w->out, "%" PRId64, n);
}

/* The shorter of the two forms that reads back as the same number; JSON has no infinities, hence null. */
void
json_write_double(struct json_writer *w, double n)
{
	char text[32];

	if (!isfinite(n)) {
		json_write_null(w);
		return;
	}
	snprintf(text, sizeof(text), "%.15g", n);
	if (strtod(text, NULL) != n)
		snprintf(text, sizeof(text), "%.17g", n);
	begin_value(w);
	buf_adds(&w->out, text);
}

void
json_write_bool(struct json_writer *w, bool b)
{
	begin_value(w);
	buf_adds(&w->out, b ? "true" : "false");
}

void
json_write_null(struct json_writer *w)
{
	begin_value(w);
	buf_adds(&w->out, "null");
}

void
json_write_raw(struct json_writer *w, struct str json)
{
	begin_value(w);
	buf_addstr(&w->out, json);
}

void
json_member_string(struct json_writer *w, const char *key, const char *s)
{
	json_write_key(w, key);
	json_write_string(w, s);
}

void
json_member_int(struct json_writer *w, const char *key, int64_t n)
{
	json_write_key(w, key);
	json_write_int(w, n);
}

void
json_member_bool(struct json_writer *w, const char *key, bool b)
{
	json_write_key(w, key);
	json_write_bool(w, b);
}

void
json_member_list(struct json_writer *w, const char *key, const char *list)
{
	struct str rest = str_of(list);

	json_write_key(w, key);
	json_write_array_open(w);
	while (rest.len > 0)
		json_write_str(w, str_cut(&rest, ','));
	json_write_array_close(w);
}

char *
json_writer_finish(struct json_writer **w, size_t *len)
{
	char *text = NULL;

	assert((*w)->depth == 0 && (*w)->places[0] == PLACE_END);
	if (!buf_failed(&(*w)->out))
		text = buf_take(&(*w)->out, len);
	json_writer_free(w);
	return text;
}
