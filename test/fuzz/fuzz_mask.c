/* A stream with secrets in it, cut anywhere: the output is that of the whole, and both are what a slow search for every
 * form at every place gives. The input's lines: first the secrets, separated by blanks, the rest is the stream, in
 * which a digit stands for one of the forms of one of them, which no mutation would find. The first byte chooses the
 * length of the pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/mask.h"
#include "proto/mask_forms.h"
#include "proto/mem.h"

enum { SECRETS_MAX = 4, SECRET_MAX = 40, FORMS_MAX = 512, STREAM_MAX = 65536 };

struct forms {
	struct str items[FORMS_MAX]; /* owned bytes */
	size_t count;
};

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
on_form(void *arg, struct str form)
{
	struct forms *forms = arg;

	must(form.len <= MASK_PIECE); /* of so short a secret */
	if (forms->count == FORMS_MAX)
		return;
	forms->items[forms->count] = (struct str){ xcalloc(1, form.len), form.len };
	memcpy((char *)forms->items[forms->count++].p, form.p, form.len);
}

static void
scan(const struct mask *mask, struct str stream, size_t piece, struct buf *out)
{
	struct mask_stream s;

	mask_stream_init(&s, mask);
	for (size_t at = 0; at < stream.len; at += piece) {
		size_t len = stream.len - at < piece ? stream.len - at : piece;

		mask_feed(&s, (struct str){ stream.p + at, len }, out);
		must(mask_held(&s) <= at + len);
	}
	mask_finish(&s, out);
	must(mask_held(&s) == 0);
}

/* How long the longest form is that stands at the beginning of s, or that all of s is the beginning of. */
static size_t
longest(const struct forms *forms, struct str s)
{
	size_t found = 0;

	for (size_t i = 0; i < forms->count; i++) {
		struct str form = forms->items[i];

		if (form.len > s.len && s.len >= MASK_MIN)
			form.len = s.len;
		if (form.len <= s.len && form.len > found && memcmp(form.p, s.p, form.len) == 0)
			found = form.len;
	}
	return found;
}

static void
scan_slowly(const struct forms *forms, struct str stream, struct buf *out)
{
	size_t hidden = 0;
	bool starred = false;

	for (size_t at = 0; at < stream.len; at++) {
		size_t end = at + longest(forms, (struct str){ stream.p + at, stream.len - at });

		hidden = end > hidden ? end : hidden;
		if (at >= hidden)
			buf_addc(out, stream.p[at]);
		else if (!starred)
			buf_adds(out, "***");
		starred = at < hidden;
	}
}

static void
write_stream(const struct forms *forms, struct str text, struct buf *ret)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] >= '0' && text.p[i] <= '9' && i + 1 < text.len && forms->count > 0)
			buf_addstr(ret, forms->items[((size_t)(text.p[i] - '0') * 53 + (unsigned char)text.p[i + 1]) %
						     forms->count]);
		else
			buf_addc(ret, text.p[i]);
	}
}

static struct mask *
make(struct str line, struct forms *forms)
{
	struct mask *mask = mask_new();

	for (int i = 0; i < SECRETS_MAX && line.len > 0; i++) {
		struct str value = str_cut(&line, ' ');

		value.len = value.len < SECRET_MAX ? value.len : SECRET_MAX;
		if (mask_add(mask, value))
			mask_forms(value, on_form, forms);
	}
	mask_close(mask);
	return mask;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct forms forms = { .count = 0 };
	struct buf stream, whole, pieces, slow;
	struct mask *mask;
	struct str text;

	if (size < 2)
		return 0;
	text = (struct str){ (const char *)data + 1, size - 1 };
	mask = make(str_cut(&text, '\n'), &forms);
	buf_init(&stream, STREAM_MAX);
	buf_init(&whole, 2 * STREAM_MAX);
	buf_init(&pieces, 2 * STREAM_MAX);
	buf_init(&slow, 2 * STREAM_MAX);
	write_stream(&forms, text, &stream);
	scan(mask, buf_str(&stream), stream.len, &whole);
	scan(mask, buf_str(&stream), data[0] % 64 + 1, &pieces);
	must(str_eq(buf_str(&whole), buf_str(&pieces)));
	if (forms.count < FORMS_MAX && stream.len < 4096) {
		scan_slowly(&forms, buf_str(&stream), &slow);
		must(str_eq(buf_str(&whole), buf_str(&slow)));
	}
	for (size_t i = 0; i < forms.count; i++)
		free((char *)forms.items[i].p);
	mask_free(&mask);
	buf_fini(&stream);
	buf_fini(&whole);
	buf_fini(&pieces);
	buf_fini(&slow);
	return 0;
}
