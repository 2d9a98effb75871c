/* Frames: what is read does not depend on how the bytes were cut, keeps the rules of messages, and printed again it is
 * read again. The first byte says who the peer is, the second where the rest is cut. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/websocket.h"

enum { MOST = 1 << 20 };

/* All that was read, whatever the pieces: for each message its kind, its bytes, and an end mark. */
struct reading {
	struct buf text;
	enum websocket_kind open; /* a message that is not whole */
	bool is_bad;
};

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
take(struct reading *reading, const struct websocket_event *event)
{
	bool is_control = event->kind >= WEBSOCKET_CLOSE;

	must(
	    event->bytes.len <= 4096 && (!is_control || (event->is_last && event->bytes.len <= WEBSOCKET_CONTROL_MAX)));
	must(is_control || reading->open == 0 || reading->open == event->kind);
	if (is_control || reading->open == 0)
		buf_addf(&reading->text, "<%d>", event->kind);
	buf_addstr(&reading->text, event->bytes);
	if (event->kind == WEBSOCKET_CLOSE)
		buf_addf(&reading->text, "<%u>", event->code);
	if (event->is_last)
		buf_adds(&reading->text, "</>");
	if (!is_control)
		reading->open = event->is_last ? 0 : event->kind;
}

static void
feed(struct websocket_reader *r, struct str in, struct reading *reading)
{
	struct websocket_event event;
	enum websocket_next next;

	while ((next = websocket_next(r, &in, &event)) == WEBSOCKET_EVENT)
		take(reading, &event);
	reading->is_bad = next == WEBSOCKET_BAD;
	must(reading->is_bad == (r->why != NULL) && (reading->is_bad || in.len == 0));
}

/* What was read of control messages in a message's midst moves with the pieces, hence apart: only without any. */
static void
check_again(struct str in, bool from_client)
{
	static const unsigned char mask[4] = { 1, 2, 0, 255 };
	struct websocket_reader r, again;
	struct websocket_event event, copy;
	struct buf b;

	websocket_reader_init(&r, from_client);
	buf_init(&b, 8192);
	while (websocket_next(&r, &in, &event) == WEBSOCKET_EVENT) {
		struct str printed;

		if (event.kind == WEBSOCKET_CLOSE)
			continue;
		buf_reset(&b);
		websocket_print(&b, event.kind, from_client ? mask : NULL, event.bytes);
		websocket_reader_init(&again, from_client);
		printed = buf_str(&b);
		must(websocket_next(&again, &printed, &copy) == WEBSOCKET_EVENT);
		must(copy.kind == event.kind && copy.is_last && str_eq(copy.bytes, event.bytes));
		must(printed.len == 0);
	}
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reading whole = { .open = 0 }, cut = { .open = 0 };
	struct websocket_reader r;
	struct str in;
	bool from_client;
	size_t at, step;

	if (size < 2)
		return 0;
	from_client = data[0] % 2 == 1;
	step = data[1] % 16 + 1;
	in = (struct str){ (const char *)data + 2, size - 2 };
	buf_init(&whole.text, MOST);
	buf_init(&cut.text, MOST);
	websocket_reader_init(&r, from_client);
	feed(&r, in, &whole);
	websocket_reader_init(&r, from_client);
	for (at = 0; at < in.len && !cut.is_bad; at += step)
		feed(&r, (struct str){ in.p + at, in.len - at < step ? in.len - at : step }, &cut);
	must(whole.is_bad == cut.is_bad && whole.text.len == cut.text.len);
	must(memcmp(whole.text.data, cut.text.data, whole.text.len) == 0);
	check_again(in, from_client);
	buf_fini(&whole.text);
	buf_fini(&cut.text);
	return 0;
}
