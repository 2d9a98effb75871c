/* A chunked body in pieces of any length gives the bytes and the verdict of the whole. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "proto/buf.h"
#include "proto/chunked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static enum chunked_verdict
decode(struct str text, size_t piece, struct buf *out, size_t *used)
{
	struct chunked c = { 0 };
	enum chunked_verdict verdict = CHUNKED_NEED_MORE;
	size_t at = 0;

	while (at < text.len && (verdict == CHUNKED_NEED_MORE || verdict == CHUNKED_DATA)) {
		struct str in = { text.p + at, text.len - at < piece ? text.len - at : piece };
		struct str run;
		size_t len = in.len;

		while ((verdict = chunked_next(&c, &in, &run)) == CHUNKED_DATA)
			must(buf_addstr(out, run));
		at += len - in.len;
	}
	*used = at;
	return verdict;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data + 1, size - 1 };
	struct buf whole, pieces;
	size_t used, used_whole;
	enum chunked_verdict verdict;

	if (size < 1)
		return 0;
	buf_init(&whole, size + 1);
	buf_init(&pieces, size + 1);
	verdict = decode(text, SIZE_MAX, &whole, &used_whole);
	must(verdict == decode(text, (size_t)data[0] % 9 + 1, &pieces, &used));
	must(str_eq(buf_str(&whole), buf_str(&pieces)));
	must(used == used_whole);
	buf_fini(&whole);
	buf_fini(&pieces);
	return 0;
}
