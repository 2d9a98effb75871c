/* What a job writes: cut at every byte, through two parts, over its budget, and closed by its own marker. */
#include "test/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "server/builder/output.h"

#define NONCE "0123456789abcdef0123456789abcdef"
#define BEGIN "\x1e" NONCE " begin script\n"
#define END "\x1e" NONCE " end script 0\n"
#define HOLD "\x1e" NONCE " begin .hold\n"

struct heard {
	struct output output;
	struct buf told; /* texts, and [names] of markers */
	uint64_t raw;    /* of the last text */
	bool closes;     /* when it is full */
};

static void
on_text(void *arg, enum builder_stream stream, struct str text, uint64_t raw)
{
	struct heard *h = arg;

	if (stream == BUILDER_STDERR)
		buf_adds(&h->told, "!");
	buf_addstr(&h->told, text);
	h->raw = raw;
}

static void
on_marker(void *arg, const struct marker_event *event)
{
	struct heard *h = arg;

	buf_addf(&h->told, "[%s]", event->name);
	if (event->name[0] == '.')
		h->output.is_open = false;
}

static void
on_full(void *arg)
{
	struct heard *h = arg;

	buf_adds(&h->told, "<full>");
	h->output.is_open = !h->closes;
}

static void
heard_init(struct heard *h, uint64_t max)
{
	static const struct output_handler handler = { .on_text = on_text, .on_marker = on_marker, .on_full = on_full };

	*h = (struct heard){ .raw = 0 };
	buf_init(&h->told, 4096);
	output_init(&h->output, max, &handler, h);
	output_begin(&h->output, NONCE);
	h->output.is_open = true;
}

static void
heard_fini(struct heard *h)
{
	output_fini(&h->output);
	buf_fini(&h->told);
}

static void
check(struct heard *h, const char *told, uint64_t raw)
{
	assert_string_equal(h->told.data != NULL ? h->told.data : "", told);
	assert_int_equal(h->raw, raw);
	buf_reset(&h->told);
}

/* In pieces of that size. */
static void
take(struct heard *h, struct str bytes, size_t piece)
{
	for (size_t at = 0; at < bytes.len; at += piece) {
		struct str now = { bytes.p + at, bytes.len - at < piece ? bytes.len - at : piece };

		output_take(&h->output, BUILDER_STDOUT, now, at + now.len);
	}
}

static void
test_markers_are_told_in_their_place(void **state)
{
	const struct str all = STR("a" BEGIN "b\x1e\n" END "c");

	(void)state;
	for (size_t piece = 1; piece <= all.len; piece++) {
		struct heard h;

		heard_init(&h, 1000);
		take(&h, all, piece);
		output_end(&h.output);
		check(&h, "a[script]b\x1e\n[script]c", all.len);
		heard_fini(&h);
	}
}

static void
test_what_is_held_back_is_not_counted_as_given(void **state)
{
	struct heard h;

	(void)state;
	heard_init(&h, 1000);
	take(&h,
	    STR("abc\x1e"
		"0123"),
	    100);
	check(&h, "abc", 3);
	output_end(&h.output);
	check(&h,
	    "\x1e"
	    "0123",
	    8);
	heard_fini(&h);
}

static void
test_counts_go_on_in_the_next_part(void **state)
{
	struct heard h;

	(void)state;
	heard_init(&h, 1000);
	take(&h, STR(BEGIN "abc"), 100);
	output_end(&h.output);
	check(&h, "[script]abc", sizeof(BEGIN) - 1 + 3);
	h.output.is_open = false;
	output_begin(&h.output, NONCE);
	output_take(&h.output, BUILDER_STDOUT, STR("xy"), 2); /* nobody's, but it is counted */
	h.output.is_open = true;
	output_take(&h.output, BUILDER_STDOUT, STR("de"), 4);
	check(&h, "de", sizeof(BEGIN) - 1 + 3 + 4);
	output_take(&h.output, BUILDER_STDERR, STR("oh"), 2);
	check(&h, "!oh", 2);
	heard_fini(&h);
}

static void
test_there_is_an_end_to_it(void **state)
{
	struct heard h;

	(void)state;
	heard_init(&h, 5);
	output_take(&h.output, BUILDER_STDERR, STR("abc"), 3);
	output_take(&h.output, BUILDER_STDOUT, STR("de"), 2);
	check(&h, "!abcde", 2);
	output_take(&h.output, BUILDER_STDOUT, STR("f"), 3);
	output_take(&h.output, BUILDER_STDERR, STR("g"), 4);
	check(&h, "<full>", 2);
	output_end(&h.output);
	check(&h, "", 2);
	heard_fini(&h);
}

static void
check_end(const struct heard *h, const char *told)
{
	const char *end = strstr(h->told.data, "<full>");

	assert_non_null(end);
	assert_string_equal(end, told);
}

/* A marker may begin in what is given and end in what is not. */
static void
test_a_segment_that_begins_then_may_write(void **state)
{
	const struct str all = STR("abcdefg" END "hij" BEGIN "later\n");

	(void)state;
	for (size_t piece = 1; piece <= all.len; piece++) {
		struct heard h;

		heard_init(&h, 8);
		take(&h, all, piece);
		output_take(&h.output, BUILDER_STDERR, STR("oh"), 2);
		check_end(&h, "<full>[script][script]later\n!oh");
		heard_fini(&h);
	}
}

static void
test_what_is_full_twice_is_told_twice(void **state)
{
	static const char more[1024 * 1024];
	struct heard h;

	(void)state;
	heard_init(&h, 1);
	take(&h, STR("ab"), 2);
	output_begin(&h.output, NONCE);
	output_take(&h.output, BUILDER_STDOUT, STR("c"), 1);
	check(&h, "<full>c", 3);
	output_take(&h.output, BUILDER_STDERR, (struct str){ more, sizeof(more) }, sizeof(more));
	check(&h, "<full>", 3);
	heard_fini(&h);
}

static void
test_who_hears_that_it_is_full_may_close_it(void **state)
{
	struct heard h;

	(void)state;
	heard_init(&h, 1);
	h.closes = true;
	take(&h, STR("abc" BEGIN "d"), 100);
	check(&h, "<full>", 0);
	heard_fini(&h);
}

static void
test_nothing_is_given_behind_the_last_marker(void **state)
{
	struct heard h;

	(void)state;
	heard_init(&h, 1000);
	take(&h,
	    STR("abc" HOLD "def\x1e"
		"01"),
	    1000);
	check(&h, "abc[.hold]", 3 + sizeof(HOLD) - 1);
	output_end(&h.output);
	check(&h, "", 3 + sizeof(HOLD) - 1);
	heard_fini(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_markers_are_told_in_their_place),
		cmocka_unit_test(test_what_is_held_back_is_not_counted_as_given),
		cmocka_unit_test(test_counts_go_on_in_the_next_part),
		cmocka_unit_test(test_there_is_an_end_to_it),
		cmocka_unit_test(test_a_segment_that_begins_then_may_write),
		cmocka_unit_test(test_what_is_full_twice_is_told_twice),
		cmocka_unit_test(test_who_hears_that_it_is_full_may_close_it),
		cmocka_unit_test(test_nothing_is_given_behind_the_last_marker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
