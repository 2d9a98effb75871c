/* The engine's frames in pieces of any length give each stream the bytes of the whole. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "proto/buf.h"
#include "proto/docker_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

/* Each byte with its stream in front; false when the frames are bad. */
static bool
demux(struct str text, size_t length, struct buf *out)
{
	struct docker_frames f = { 0 };

	for (size_t at = 0; at < text.len; at += length) {
		struct str in = { text.p + at, text.len - at < length ? text.len - at : length };
		enum docker_frames_next next;
		enum docker_stream stream;
		struct str piece;

		while ((next = docker_frames_next(&f, &in, &stream, &piece)) == DOCKER_FRAMES_PIECE) {
			must(piece.len > 0);
			for (size_t i = 0; i < piece.len; i++)
				must(buf_addc(out, (char)stream) && buf_addc(out, piece.p[i]));
		}
		if (next == DOCKER_FRAMES_BAD)
			return false;
	}
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data + 1, size - 1 };
	struct buf whole, pieces;

	if (size < 1)
		return 0;
	buf_init(&whole, 2 * size + 1);
	buf_init(&pieces, 2 * size + 1);
	must(demux(text, size, &whole) == demux(text, (size_t)data[0] % 13 + 1, &pieces));
	must(str_eq(buf_str(&whole), buf_str(&pieces)));
	buf_fini(&whole);
	buf_fini(&pieces);
	return 0;
}
