#include "proto/mask_forms.h"

#include <ctype.h>
#include <string.h>

#include "proto/base64.h"
#include "proto/buf.h"
#include "proto/url.h"
#include "proto/utf8.h"

enum {
	GROWTH_MAX = 16, /* no form has more bytes than that many times its value */
	TWICE_MAX = 1024 /* of base64 in base64, as there are many of them */
};

/* Who gets the forms, and the place where they are written. */
struct forms {
	struct str value;
	mask_form_fn *fn;
	void *arg;
	struct buf text;
};

static void
give(struct forms *f, struct str form)
{
	if (form.len >= MASK_FORM_MIN)
		f->fn(f->arg, form);
}

/* What was written into text, unless that is the value itself; and it is empty again. */
static void
give_text(struct forms *f)
{
	if (!str_eq(buf_str(&f->text), f->value))
		give(f, buf_str(&f->text));
	buf_reset(&f->text);
}

/* The last piece of it: what stands before is in another form. */
static void
give_end(struct forms *f, struct str form)
{
	size_t skip = form.len > MASK_PIECE ? form.len - MASK_PIECE : 0;

	give(f, (struct str){ form.p + skip, form.len - skip });
}

static void
wipe(struct buf *b)
{
	explicit_bzero(b->data, b->cap);
	buf_fini(b);
}

/* Its lines, when a tool wraps it at that width; and the last two together, as the very last may be too short to be
 * known by itself. */
static void
give_wrapped(struct forms *f, struct str form, size_t width, bool end_only)
{
	size_t last = form.len > width ? (form.len - 1) / width * width : 0;
	struct buf two;

	for (size_t at = 0; at < last && !end_only; at += width)
		give(f, (struct str){ form.p + at, width });
	if (last == 0)
		return;
	give(f, (struct str){ form.p + last, form.len - last });
	buf_init(&two, 2 * width + 2);
	buf_add(&two, form.p + last - width, width);
	buf_addc(&two, '\n');
	buf_add(&two, form.p + last, form.len - last);
	give(f, buf_str(&two));
	wipe(&two);
}

/* --- lines --- */

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str
mask_core(struct str s)
{
	while (s.len > 0 && is_blank(s.p[0])) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && is_blank(s.p[s.len - 1]))
		s.len--;
	return s;
}

static void
lines(struct forms *f, struct str value)
{
	while (value.len > 0)
		give(f, mask_core(str_cut(&value, '\n')));
}

/* --- base64 --- */

/* Into the alphabet for URLs; false when that changes nothing. */
static bool
to_url_alphabet(struct buf *text)
{
	bool changed = false;

	for (size_t i = 0; i < text->len; i++)
		if (text->data[i] == '+' || text->data[i] == '/') {
			text->data[i] = text->data[i] == '+' ? '-' : '_';
			changed = true;
		}
	return changed;
}

/* The characters in which the value stands and nothing else does, when skip bytes of something stand before it; then
 * with the last one too, as it is when `behind` ends the text; then with the padding. */
static void
base64_at(struct forms *f, struct str value, size_t skip, const char *behind)
{
	static const char before[2];
	struct buf clear, *text = &f->text;
	size_t first = skip == 0 ? 0 : skip + 1, full, digits;
	bool is_bare = *behind == '\0';

	buf_init(&clear, value.len + 4);
	buf_add(&clear, before, skip);
	buf_addstr(&clear, value);
	full = clear.len * 8 / 6;
	buf_adds(&clear, behind);
	digits = (clear.len * 8 + 5) / 6;
	base64_encode(buf_str(&clear), BASE64_STANDARD, text);
	for (size_t width = 64; skip == 0 && value.p == f->value.p && width <= 76; width += 76 - 64)
		give_wrapped(f, buf_str(text), width, !is_bare);
	do {
		if (is_bare)
			give(f, (struct str){ text->data + first, full - first });
		give_end(f, (struct str){ text->data + first, digits - first });
		give_end(f, (struct str){ text->data + first, text->len - first });
	} while (to_url_alphabet(text));
	buf_reset(text);
	wipe(&clear);
}

static void
base64(struct forms *f, struct str value)
{
	for (size_t skip = 0; skip < 3; skip++) {
		base64_at(f, value, skip, "");
		base64_at(f, value, skip, "\n");
	}
}

/* What shows up when somebody wants to get round a mask of base64. */
static void
base64_twice(struct forms *f, const char *behind)
{
	struct buf once;

	buf_init(&once, 2 * f->value.len + 16);
	buf_addstr(&f->text, f->value);
	buf_adds(&f->text, behind);
	base64_encode(buf_str(&f->text), BASE64_STANDARD, &once);
	buf_reset(&f->text);
	base64(f, buf_str(&once));
	wipe(&once);
}

/* --- hexadecimal --- */

static void
hex(struct forms *f, const char *digits)
{
	for (size_t i = 0; i < f->value.len; i++) {
		unsigned char byte = (unsigned char)f->value.p[i];
		const char pair[] = { digits[byte >> 4], digits[byte & 15] };

		buf_add(&f->text, pair, 2);
	}
	give_wrapped(f, buf_str(&f->text), 60, false);
	give_text(f);
}

/* --- percent-encoding --- */

static void
percent(struct forms *f)
{
	static const char *const kept[] = { "", "/", "!'()*", "!'()*;/?:@&=+$,#" };
	struct str value = f->value;
	struct buf *text = &f->text;

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		url_encode(text, value, kept[i]);
		give_text(f);
	}
	url_encode(text, value, "");
	for (size_t i = 0; i < text->len; i++)
		if (text->data[i] == '%')
			for (size_t k = 1; k <= 2; k++)
				text->data[i + k] = (char)tolower((unsigned char)text->data[i + k]);
	give_text(f);
	for (size_t i = 0; i < value.len; i++) {
		if (value.p[i] == ' ')
			buf_addc(text, '+');
		else
			url_encode(text, (struct str){ value.p + i, 1 }, "");
	}
	give_text(f);
}

/* --- JSON --- */

enum { JSON_SLASH = 1, JSON_HTML = 2, JSON_ASCII = 4, JSON_WAYS = 8 };

static void
json_escape(struct buf *b, uint32_t c)
{
	if (c > 0xffff) {
		buf_addf(b, "\\u%04x", (unsigned)(0xd800 + ((c - 0x10000) >> 10)));
		c = 0xdc00 + ((c - 0x10000) & 0x3ff);
	}
	buf_addf(b, "\\u%04x", (unsigned)c);
}

static void
json_ascii(struct buf *b, char c, unsigned way)
{
	static const char escaped[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
	const char *at = c != '\0' ? strchr(escaped, c) : NULL;

	if (at != NULL)
		buf_addf(b, "\\%c", letters[at - escaped]);
	else if (c == '/' && (way & JSON_SLASH) != 0)
		buf_adds(b, "\\/");
	else if ((unsigned char)c < 0x20 || ((way & JSON_HTML) != 0 && strchr("<>&", c) != NULL))
		json_escape(b, (unsigned char)c);
	else
		buf_addc(b, c);
}

/* Those of the ways that make a difference. */
static unsigned
json_ways(struct str value)
{
	unsigned ways = 0;

	for (size_t i = 0; i < value.len; i++)
		ways |= (value.p[i] == '/' ? JSON_SLASH : 0) | (strchr("<>&", value.p[i]) != NULL ? JSON_HTML : 0) |
			((value.p[i] & 0x80) != 0 ? JSON_ASCII : 0);
	return ways;
}

static void
json(struct forms *f)
{
	unsigned ways = json_ways(f->value);

	for (unsigned way = 0; way < JSON_WAYS; way++) {
		struct str rest = f->value;

		if ((way & ~ways) != 0)
			continue;

		while (rest.len > 0) {
			size_t len;
			uint32_t c = utf8_decode(rest, &len);

			if (len == 1 && (unsigned char)rest.p[0] < 0x80)
				json_ascii(&f->text, rest.p[0], way);
			else if ((way & JSON_ASCII) != 0 && c != UTF8_BAD)
				json_escape(&f->text, c);
			else
				buf_add(&f->text, rest.p, len);
			rest.p += len;
			rest.len -= len;
		}
		give_text(f);
	}
}

/* --- shell --- */

/* What stands for the character in each way of quoting; NULL: itself. buf has room for it. */
static const char *
in_single(char c, char buf[8])
{
	(void)buf;
	return c == '\'' ? "'\\''" : NULL;
}

static const char *
in_single_and_double(char c, char buf[8])
{
	(void)buf;
	return c == '\'' ? "'\"'\"'" : NULL;
}

static const char *
backslashed(char c, char buf[8], bool escaped)
{
	if (!escaped)
		return NULL;
	buf[0] = '\\';
	buf[1] = c;
	buf[2] = '\0';
	return buf;
}

static const char *
in_double(char c, char buf[8])
{
	return backslashed(c, buf, c != '\0' && strchr("\"$`\\", c) != NULL);
}

static const char *
in_backslashes(char c, char buf[8])
{
	return backslashed(
	    c, buf, (unsigned char)c < 0x80 && !isalnum((unsigned char)c) && strchr("_@%+=:,./-", c) == NULL);
}

static const char *
in_dollar(char c, char buf[8])
{
	static const char escaped[] = "\a\b\f\n\r\t\v\033", letters[] = "abfnrtvE";
	const char *at = c != '\0' ? strchr(escaped, c) : NULL;

	return backslashed(at != NULL ? letters[at - escaped] : c, buf, at != NULL || c == '\\' || c == '\'');
}

static void
shell(struct forms *f)
{
	static const char *(*const ways[])(
	    char c, char buf[8]) = { in_single, in_single_and_double, in_double, in_backslashes, in_dollar };

	struct str value = f->value;

	for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
		for (size_t i = 0; i < value.len; i++) {
			char buf[8];
			const char *quoted = ways[way](value.p[i], buf);

			if (quoted != NULL)
				buf_adds(&f->text, quoted);
			else
				buf_addc(&f->text, value.p[i]);
		}
		give_text(f);
	}
}

void
mask_forms(struct str value, mask_form_fn *fn, void *arg)
{
	struct forms f = { .value = mask_core(value), .fn = fn, .arg = arg };

	buf_init(&f.text, GROWTH_MAX * value.len + 64);
	fn(arg, f.value);
	lines(&f, f.value);
	base64(&f, f.value);
	if (f.value.len <= TWICE_MAX) {
		base64_twice(&f, "");
		base64_twice(&f, "\n");
	}
	hex(&f, "0123456789abcdef");
	hex(&f, "0123456789ABCDEF");
	percent(&f);
	json(&f);
	shell(&f);
	wipe(&f.text);
}
