/* Any stream, cut anywhere: output and events are those of the whole, and nothing but markers is gone. The first byte
 * chooses the length of the pieces; "@" in the input stands for the nonce, which no mutation would find. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/marker.h"

#define NONCE "0123456789abcdef0123456789abcdef"

struct seen {
	struct buf out;
	struct buf events;
};

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
on_marker(void *arg, const struct marker_event *event)
{
	struct seen *seen = arg;

	must(event->offset == seen->out.len && event->exit_code <= 255);
	must(event->name[0] != '\0' && strlen(event->name) <= MARKER_NAME_MAX);
	buf_addf(&seen->events, "%d %s %u %zu\n", event->kind, event->name, event->exit_code, (size_t)event->offset);
}

static struct seen
scan(struct str stream, size_t piece)
{
	struct seen seen = { 0 };
	struct marker m;

	buf_init(&seen.out, stream.len + 2 * MARKER_MAX);
	buf_init(&seen.events, 1 << 26);
	marker_init(&m, NONCE, on_marker, &seen);
	for (size_t at = 0; at < stream.len; at += piece) {
		size_t len = stream.len - at < piece ? stream.len - at : piece;

		marker_feed(&m, (struct str){ stream.p + at, len }, &seen.out);
	}
	marker_finish(&m, &seen.out);
	return seen;
}

static void
seen_fini(struct seen *seen)
{
	buf_fini(&seen->out);
	buf_fini(&seen->events);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, pieces;
	struct buf stream;

	if (size < 2)
		return 0;
	buf_init(&stream, size * MARKER_NONCE_LEN);
	for (size_t i = 1; i < size; i++) {
		if (data[i] == '@')
			buf_adds(&stream, NONCE);
		else
			buf_addc(&stream, (char)data[i]);
	}
	whole = scan(buf_str(&stream), stream.len);
	pieces = scan(buf_str(&stream), data[0] % 200 + 1);
	must(str_eq(buf_str(&whole.out), buf_str(&pieces.out)));
	must(str_eq(buf_str(&whole.events), buf_str(&pieces.events)));
	must((whole.events.len == 0) == (whole.out.len == stream.len));
	seen_fini(&whole);
	seen_fini(&pieces);
	buf_fini(&stream);
	return 0;
}
