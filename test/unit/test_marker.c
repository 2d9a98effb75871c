#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/buf.h"
#include "proto/marker.h"

#define NONCE "0123456789abcdef0123456789abcdef"
#define RS "\x1e"

/* What one pass over a stream gave, in one text: "out|begin a@0|end a 3@7|". */
struct seen {
	struct buf out;
	struct buf events;
};

static void
on_marker(void *arg, const struct marker_event *event)
{
	struct seen *seen = arg;

	assert_int_equal(event->offset, seen->out.len);
	if (event->kind == MARKER_BEGIN)
		buf_addf(&seen->events, "begin %s@%u|", event->name, (unsigned)event->offset);
	else
		buf_addf(&seen->events, "end %s %u@%u|", event->name, event->exit_code, (unsigned)event->offset);
}

/* Feeds the stream in pieces of that size. */
static struct seen
scan(struct str stream, size_t piece)
{
	struct marker m;
	struct seen seen;

	buf_init(&seen.out, 65536);
	buf_init(&seen.events, 65536);
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

/* The stream gives that output and those events, however it is cut. */
static void
expect(struct str stream, struct str out, const char *events)
{
	for (size_t piece = 1; piece <= stream.len; piece++) {
		struct seen seen = scan(stream, piece);

		assert_int_equal(seen.out.len, out.len);
		assert_memory_equal(seen.out.data, out.p, out.len);
		assert_string_equal(seen.events.data, events);
		seen_fini(&seen);
	}
}

static void
test_markers_are_taken_out(void **state)
{
	(void)state;
	expect(STR(RS NONCE " begin script\nhello\n" RS NONCE " end script 0\n"), STR("hello\n"),
	    "begin script@0|end script 0@6|");
	expect(STR("no newline" RS NONCE " end a-b_c.9 255\n" RS NONCE " begin z\nx"), STR("no newlinex"),
	    "end a-b_c.9 255@10|begin z@10|");
	expect(STR("bytes \0\xff" RS NONCE " end s 1\n\0"), STR("bytes \0\xff\0"), "end s 1@8|");
}

static void
test_what_only_looks_like_one_passes(void **state)
{
	static const struct str streams[] = {
		STR(RS),
		STR(RS RS RS),
		STR(RS NONCE),
		STR(RS NONCE " "),
		STR(RS NONCE " begin"),
		STR(RS NONCE " begin \n"),
		STR(RS NONCE " begin a b\n"),
		STR(RS NONCE " begin a/b\n"),
		STR(RS NONCE " begin a\r\n"),
		STR(RS NONCE " end a\n"),
		STR(RS NONCE " end a \n"),
		STR(RS NONCE " end a -1\n"),
		STR(RS NONCE " end a 256\n"),
		STR(RS NONCE " end a 0000\n"),
		STR(RS NONCE " end a 1 \n"),
		STR(RS NONCE " end a 1"),
		STR(RS NONCE " bend a 1\n"),
		STR(RS NONCE "\tend a 1\n"),
		STR(RS "0123456789abcdef0123456789abcdee begin a\n"),
		STR(RS "0123456789ABCDEF0123456789ABCDEF begin a\n"),
		STR(NONCE " begin a\n"),
		STR(RS NONCE " begin a\0\n"),
		STR(RS NONCE " begin aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++)
		expect(streams[i], streams[i], "");
}

static void
test_a_marker_behind_half_a_marker(void **state)
{
	(void)state;
	expect(STR(RS NONCE " be" RS NONCE " begin a\n" RS RS NONCE " end a 7\n"), STR(RS NONCE " be" RS),
	    "begin a@36|end a 7@37|");
	expect(STR(RS NONCE " begin aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"), STR(""),
	    "begin aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@0|");
	expect(STR(RS NONCE " end aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 255\n"), STR(""),
	    "end aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 255@0|");
}

/* Streams put together at random from a marker's parts: whole and byte by byte must agree. */
static void
test_any_stream_whole_as_byte_by_byte(void **state)
{
	static const char *const parts[] = { RS, NONCE, " ", "begin", "end", "a", "\n", "0", "255", "x",
		RS NONCE " begin s\n", RS NONCE " end s 9\n" };
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		struct seen whole, bytes;
		struct buf stream;

		buf_init(&stream, 4096);
		for (int i = 0; i < 20; i++) {
			seed = seed * 1664525 + 1013904223;
			buf_adds(&stream, parts[(seed >> 16) % (sizeof(parts) / sizeof(parts[0]))]);
		}
		whole = scan(buf_str(&stream), stream.len);
		bytes = scan(buf_str(&stream), 1);
		assert_int_equal(whole.out.len, bytes.out.len);
		assert_memory_equal(whole.out.data, bytes.out.data, whole.out.len);
		assert_string_equal(whole.events.data, bytes.events.data);
		seen_fini(&whole);
		seen_fini(&bytes);
		buf_fini(&stream);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_markers_are_taken_out),
		cmocka_unit_test(test_what_only_looks_like_one_passes),
		cmocka_unit_test(test_a_marker_behind_half_a_marker),
		cmocka_unit_test(test_any_stream_whole_as_byte_by_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
