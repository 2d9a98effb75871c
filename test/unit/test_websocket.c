#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/mem.h"
#include "proto/websocket.h"

#define FROM_CLIENT true
#define FROM_SERVER false

/* What was read, in words: "text Hel+lo." for a message in two pieces. */
static void
read_all(struct websocket_reader *r, struct str in, struct buf *words)
{
	static const char *const names[] = { [1] = "text", "binary", [8] = "close", "ping", "pong" };
	struct websocket_event event;
	enum websocket_next next;

	while ((next = websocket_next(r, &in, &event)) == WEBSOCKET_EVENT) {
		buf_addf(words, "%s ", names[event.kind]);
		if (event.kind == WEBSOCKET_CLOSE)
			buf_addf(words, "%u ", event.code);
		buf_addstr(words, event.bytes);
		buf_adds(words, event.is_last ? "." : "+");
	}
	if (next == WEBSOCKET_BAD)
		buf_addf(words, "bad: %s", r->why);
	else
		assert_int_equal(in.len, 0);
}

static void
expect(bool from_client, struct str in, const char *words)
{
	struct websocket_reader r;
	struct buf b;

	buf_init(&b, 1 << 20);
	websocket_reader_init(&r, from_client);
	read_all(&r, in, &b);
	assert_string_equal(b.data, words);
	buf_fini(&b);
}

static void
test_handshake(void **state)
{
	static const char *const bad[] = { "", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25j",
		"dGhl IHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZWU=" };
	char accept[WEBSOCKET_ACCEPT_SIZE];

	(void)state;
	assert_true(websocket_accept(STR("dGhlIHNhbXBsZSBub25jZQ=="), accept));
	assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(websocket_accept(str_of(bad[i]), accept));
}

/* Those of RFC 6455 section 5.7. */
static void
test_the_examples_of_the_rfc(void **state)
{
	(void)state;
	expect(FROM_SERVER, STR("\x81\x05Hello"), "text Hello.");
	expect(FROM_CLIENT, STR("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "text Hello.");
	expect(FROM_SERVER, STR("\x01\x03Hel\x80\x02lo"), "text Hel+text lo.");
	expect(FROM_SERVER, STR("\x89\x05Hello\x8a\x00"), "ping Hello.pong .");
	expect(FROM_CLIENT, STR("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "pong Hello.");
	expect(FROM_SERVER, STR("\x01\x03Hel\x89\x01!\x00\x00\x80\x00"), "text Hel+ping !.text .");
	expect(FROM_SERVER, STR("\x82\x00\x88\x00"), "binary .close 1005 .");
	expect(FROM_SERVER,
	    STR("\x88\x05\x03\xe8"
		"bye"),
	    "close 1000 bye.");
}

static void
test_what_is_forbidden(void **state)
{
	(void)state;
	expect(FROM_SERVER, STR("\xc1\x00"), "bad: a reserved bit is set");
	expect(FROM_SERVER, STR("\x91\x00"), "bad: a reserved bit is set");
	expect(FROM_SERVER, STR("\x83\x00"), "bad: an opcode is reserved");
	expect(FROM_SERVER, STR("\x8b\x00"), "bad: an opcode is reserved");
	expect(FROM_SERVER,
	    STR("\x81\x80"
		"abcd"),
	    "bad: a frame is masked");
	expect(FROM_CLIENT, STR("\x81\x00"), "bad: a frame is not masked");
	expect(FROM_SERVER, STR("\x09\x00"), "bad: a control frame is in fragments, or too long");
	expect(FROM_SERVER, STR("\x89\x7e\x00\x80"), "bad: a control frame is in fragments, or too long");
	expect(FROM_SERVER, STR("\x80\x00"), "bad: a fragment continues nothing");
	expect(FROM_SERVER, STR("\x01\x01x\x81\x00"), "text x+bad: a message is cut by another");
	expect(FROM_SERVER, STR("\x81\x7e\x00\x7d"), "bad: a length is not in its shortest form");
	expect(
	    FROM_SERVER, STR("\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff"), "bad: a length is not in its shortest form");
	expect(
	    FROM_SERVER, STR("\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), "bad: a length is not in its shortest form");
	expect(FROM_SERVER, STR("\x88\x01\x03"), "bad: a close has half a code");
	expect(FROM_SERVER, STR("\x88\x02\x03\xed"), "bad: a close has a code that is none");
	expect(FROM_SERVER, STR("\x88\x02\x00\x00"), "bad: a close has a code that is none");
	expect(FROM_SERVER, STR("\x88\x03\x03\xe8\xff"), "bad: a close has a reason that is not UTF-8");
}

/* Nothing is read behind what was bad. */
static void
test_bad_stays_bad(void **state)
{
	struct websocket_reader r;
	struct websocket_event event;
	struct str in = STR("\xc1\x00"), good = STR("\x81\x00");

	(void)state;
	websocket_reader_init(&r, FROM_SERVER);
	assert_int_equal(websocket_next(&r, &in, &event), WEBSOCKET_BAD);
	assert_int_equal(websocket_next(&r, &good, &event), WEBSOCKET_BAD);
}

/* Lengths around the edges of their forms, both directions, cut at each byte of the head and some of the rest. */
static void
check_length(size_t len, const unsigned char *mask)
{
	struct buf out, got;
	char *bytes = xcalloc(1, len + 1);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(i * 7);
	buf_init(&out, len + WEBSOCKET_HEAD_MAX);
	buf_init(&got, len + 1);
	websocket_print(&out, WEBSOCKET_BINARY, mask, (struct str){ bytes, len });
	for (size_t cut = 0; cut <= out.len; cut += cut < 20 ? 1 : 1000) {
		struct str parts[2] = { { out.data, cut }, { out.data + cut, out.len - cut } };
		struct websocket_event event = { .is_last = false };
		struct websocket_reader r;

		websocket_reader_init(&r, mask != NULL);
		buf_reset(&got);
		for (size_t i = 0; i < 2; i++)
			while (websocket_next(&r, &parts[i], &event) == WEBSOCKET_EVENT)
				buf_addstr(&got, event.bytes);
		assert_true(event.is_last);
		assert_int_equal(got.len, len);
		assert_memory_equal(got.data, bytes, len);
	}
	buf_fini(&out);
	buf_fini(&got);
	free(bytes);
}

static void
test_lengths(void **state)
{
	static const size_t lengths[] = { 0, 1, 125, 126, 127, 4096, 4097, 65535, 65536, 70000 };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		check_length(lengths[i], NULL);
		check_length(lengths[i], (const unsigned char *)"\x12\x00\xff\x80");
	}
}

static void
test_a_close_is_read_as_printed(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 200);
	websocket_print_close(&b, WEBSOCKET_GOING_AWAY, NULL, STR("the server stops"));
	expect(FROM_SERVER, buf_str(&b), "close 1001 the server stops.");
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshake),
		cmocka_unit_test(test_the_examples_of_the_rfc),
		cmocka_unit_test(test_what_is_forbidden),
		cmocka_unit_test(test_bad_stays_bad),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_a_close_is_read_as_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
