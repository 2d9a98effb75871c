#include "server/builder/output.h"

#include <string.h>

enum { TEXT_MAX = 4 * 1024 * 1024 }; /* of one piece: stream.h reads far less at a time */

void
output_init(struct output *o, uint64_t max, const struct output_handler *handler, void *arg)
{
	*o = (struct output){ .handler = handler, .arg = arg, .max = max };
	buf_init(&o->text, TEXT_MAX);
}

void
output_fini(struct output *o)
{
	buf_fini(&o->text);
}

/* With the count of raw bytes up to its end: not those that the scanner holds back. */
static void
give(struct output *o)
{
	uint64_t raw = o->start + o->marker.offset + o->marker_bytes;

	o->handler->on_text(o->arg, BUILDER_STDOUT, buf_str(&o->text), raw);
	buf_reset(&o->text);
}

static void
on_marker(void *arg, const struct marker_event *event)
{
	struct output *o = arg;

	o->marker_bytes += event->length;
	if (!o->is_open)
		return;
	give(o);
	o->handler->on_marker(o->arg, event);
}

void
output_begin(struct output *o, const char *nonce)
{
	marker_init(&o->marker, nonce, on_marker, o);
	o->marker_bytes = 0;
	memcpy(o->before, o->raw, sizeof(o->before));
}

static void
scan(struct output *o, struct str bytes, uint64_t raw)
{
	o->start = raw - bytes.len - o->marker.held_len - o->marker_bytes - o->marker.offset;
	marker_feed(&o->marker, bytes, &o->text);
	if (!o->is_open) { /* closed by what it was told: the rest is nobody's */
		marker_finish(&o->marker, &o->text);
		buf_reset(&o->text);
	} else if (o->text.len > 0) {
		give(o);
	}
}

bool
output_take(struct output *o, enum builder_stream stream, struct str bytes, uint64_t raw)
{
	raw += o->before[stream];
	o->raw[stream] = raw;
	if (!o->is_open)
		return true;
	o->total += bytes.len;
	if (o->total > o->max)
		return false;
	if (stream == BUILDER_STDERR)
		o->handler->on_text(o->arg, stream, bytes, raw);
	else
		scan(o, bytes, raw);
	return true;
}

void
output_end(struct output *o)
{
	marker_finish(&o->marker, &o->text);
	if (o->text.len > 0)
		give(o);
}
