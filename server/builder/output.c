#include "server/builder/output.h"

#include <string.h>

enum {
	TEXT_MAX = 4 * 1024 * 1024, /* of one piece: stream.h reads far less at a time */
	MORE_MAX = 1024 * 1024,     /* for what begins when the output was full */
};

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

	if (!o->is_cut)
		o->handler->on_text(o->arg, BUILDER_STDOUT, buf_str(&o->text), raw);
	buf_reset(&o->text);
}

/* A segment begins, or a part of the job. */
static void
go_on(struct output *o)
{
	if (!o->is_cut)
		return;
	o->is_cut = false;
	o->max = o->total + MORE_MAX;
}

static void
on_marker(void *arg, const struct marker_event *event)
{
	struct output *o = arg;

	o->marker_bytes += event->length;
	if (!o->is_open)
		return;
	give(o);
	if (event->kind == MARKER_BEGIN)
		go_on(o);
	o->handler->on_marker(o->arg, event);
}

void
output_begin(struct output *o, const char *nonce)
{
	marker_init(&o->marker, nonce, on_marker, o);
	o->marker_bytes = 0;
	memcpy(o->before, o->raw, sizeof(o->before));
	go_on(o);
}

void
output_resume(struct output *o, uint64_t out, uint64_t err)
{
	o->raw[BUILDER_STDOUT] = out;
	o->raw[BUILDER_STDERR] = err;
	o->total = out + err;
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

/* The markers in what is too much are for who has heard that it is. */
static void
count(struct output *o, size_t len)
{
	o->total += len;
	if (o->total <= o->max || o->is_cut)
		return;
	o->is_cut = true;
	o->handler->on_full(o->arg);
}

void
output_take(struct output *o, enum builder_stream stream, struct str bytes, uint64_t raw)
{
	raw += o->before[stream];
	o->raw[stream] = raw;
	if (o->is_open)
		count(o, bytes.len);
	if (!o->is_open)
		return;
	if (stream == BUILDER_STDOUT)
		scan(o, bytes, raw);
	else if (!o->is_cut)
		o->handler->on_text(o->arg, stream, bytes, raw);
}

void
output_end(struct output *o)
{
	marker_finish(&o->marker, &o->text);
	if (o->text.len > 0)
		give(o);
}
