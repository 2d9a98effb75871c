#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/buf.h"
#include "proto/chunked.h"
#include "proto/mem.h"

/* The last verdict; the body goes to ret, and *used is what of text was taken. Pieces of at most step bytes are given,
 * each in a block of just that size. */
static enum chunked_verdict
decode(struct str text, size_t step, struct buf *ret, size_t *used)
{
	enum chunked_verdict verdict = CHUNKED_NEED_MORE;
	struct chunked c = { 0 };
	size_t at = 0;

	buf_reset(ret);
	while (at < text.len && verdict == CHUNKED_NEED_MORE) {
		size_t len = text.len - at < step ? text.len - at : step;
		char *copy = xcalloc(1, len);
		struct str in = { copy, len }, piece;

		memcpy(copy, text.p + at, len);
		while ((verdict = chunked_next(&c, &in, &piece)) == CHUNKED_DATA)
			assert_true(buf_addstr(ret, piece));
		at += len - in.len;
		free(copy);
	}
	*used = at;
	if (verdict == CHUNKED_REFUSED)
		assert_true(chunked_why(&c)[0] != '\0');
	return verdict;
}

static enum chunked_verdict
decode_every_way(struct str text, struct buf *ret, size_t *used)
{
	enum chunked_verdict verdict;
	struct buf other;
	size_t other_used;

	buf_init(&other, ret->max);
	verdict = decode(text, text.len, ret, used);
	for (size_t step = 1; step < text.len; step++) {
		assert_int_equal(decode(text, step, &other, &other_used), verdict);
		assert_true(str_eq(buf_str(&other), buf_str(ret)));
		assert_int_equal(other_used, *used);
	}
	buf_fini(&other);
	return verdict;
}

static void
test_bodies(void **state)
{
	static const struct {
		struct str text;
		const char *body;
	} cases[] = {
		{ STR("0\r\n\r\n"), "" },
		{ STR("5\r\nhello\r\n0\r\n\r\n"), "hello" },
		{ STR("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\nGET /"), "hello!" },
		{ STR("00000000000000a\r\n0123456789\r\n000\r\n\r\n"), "0123456789" },
		{ STR("A\r\n0123456789\r\n0\r\n\r\n"), "0123456789" },
		{ STR("1;a=b;c=\"d e\"\r\nx\r\n0;last\r\n\r\n"), "x" },
		{ STR("1;a=\"\\\";b\"\r\nx\r\n0\r\n\r\n"), "x" },
		{ STR("1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n"), "x" },
		{ STR("4\r\n\r\n\r\n\r\n0\r\n\r\n"), "\r\n\r\n" },
	};
	struct buf body;
	size_t used;

	(void)state;
	buf_init(&body, 1000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(decode_every_way(cases[i].text, &body, &used), CHUNKED_DONE);
		assert_string_equal(body.data, cases[i].body);
		assert_int_equal(used, cases[i].text.len - (i == 2 ? strlen("GET /") : 0));
	}
	buf_fini(&body);
}

static void
test_refused(void **state)
{
	static const struct str cases[] = {
		STR("\r\n"),
		STR("x\r\n"),
		STR(" 5\r\nhello\r\n"),
		STR("5 \r\nhello\r\n"),
		STR("0x5\r\nhello\r\n"),
		STR("+5\r\nhello\r\n"),
		STR("-1\r\n"),
		STR("5\nhello\r\n0\r\n\r\n"),
		STR("5\r\nhello\n0\r\n\r\n"),
		STR("5\r\nhello!\r\n0\r\n\r\n"),
		STR("5\rXhello"),
		STR("5;a\n\r\nhello"),
		STR("5;a=\"b\r\nhello\r\n0\r\n\r\n"),
		STR("5;a=\"b\\\"\r\nhello\r\n0\r\n\r\n"),
		STR("5;a\0b\r\nhello"),
		STR("\xff\r\n"),
		STR("10000000000000003\r\nabc\r\n"),
		STR("8000000000000000\r\n"),
		STR("ffffffffffffffff\r\n"),
		STR("00000000000000001\r\nx\r\n"),
		STR("0\r\nGET / HTTP/1.1\r\n\r\n"),
		STR("0\r\n a: b\r\n\r\n"),
		STR("0\r\n: b\r\n\r\n"),
		STR("0\r\na?b: c\r\n\r\n"),
		STR("0\r\na: b\n\r\n"),
		STR("0\r\na: b\0\r\n\r\n"),
		STR("0\r\n\rX"),
		STR("0\r\n\n"),
		STR("1\r\nx\r\n\r\n"),
	};
	struct buf body;
	size_t used;

	(void)state;
	buf_init(&body, 1000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (decode_every_way(cases[i], &body, &used) != CHUNKED_REFUSED)
			fail_msg("case %zu is not refused", i);
	buf_fini(&body);
}

static void
test_unfinished_at_every_cut(void **state)
{
	static const struct str text = STR("5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n");
	struct buf body;
	size_t used;

	(void)state;
	buf_init(&body, 1000);
	for (size_t len = 1; len < text.len; len++) {
		assert_int_equal(decode((struct str){ text.p, len }, len, &body, &used), CHUNKED_NEED_MORE);
		assert_int_equal(used, len);
	}
	buf_fini(&body);
}

/* The verdict on head, then unit again and again. */
static enum chunked_verdict
flood(const char *head, const char *unit, unsigned times)
{
	struct buf text, body;
	enum chunked_verdict verdict;
	size_t used;

	buf_init(&text, 1000000);
	buf_init(&body, 1000000);
	buf_adds(&text, head);
	for (unsigned i = 0; i < times; i++)
		buf_adds(&text, unit);
	assert_false(buf_failed(&text));
	verdict = decode(buf_str(&text), text.len, &body, &used);
	buf_fini(&text);
	buf_fini(&body);
	return verdict;
}

static void
test_extensions_and_trailers_are_bounded(void **state)
{
	(void)state;
	assert_int_equal(flood("1;", "x", CHUNKED_EXTENSIONS_MAX), CHUNKED_NEED_MORE);
	assert_int_equal(flood("1;", "x", CHUNKED_EXTENSIONS_MAX + 1), CHUNKED_REFUSED);
	assert_int_equal(flood("", "1;a\r\nx\r\n", CHUNKED_EXTENSIONS_MAX), CHUNKED_NEED_MORE);
	assert_int_equal(flood("", "1;a\r\nx\r\n", CHUNKED_EXTENSIONS_MAX + 1), CHUNKED_REFUSED);
	assert_int_equal(flood("0\r\n", "A: b\r\n", 1000), CHUNKED_NEED_MORE);
	assert_int_equal(flood("0\r\n", "A: b\r\n", 10000), CHUNKED_REFUSED);
	assert_int_equal(flood("0\r\nA:", "b", 10000), CHUNKED_REFUSED);
}

static void
test_print_size(void **state)
{
	char line[CHUNKED_SIZE_LINE];

	(void)state;
	assert_int_equal(chunked_print_size(line, 255), 4);
	assert_string_equal(line, "ff\r\n");
	assert_int_equal(chunked_print_size(line, SIZE_MAX), 18);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_unfinished_at_every_cut),
		cmocka_unit_test(test_extensions_and_trailers_are_bounded),
		cmocka_unit_test(test_print_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
