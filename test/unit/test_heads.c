#include "test/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "proto/heads.h"
#include "proto/mem.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct heads
parse(const char *text)
{
	struct heads heads;
	struct err err;

	if (!heads_parse(str_of(text), &heads, &err))
		fail_msg("%s", err.text);
	return heads;
}

static void
assert_head(const struct head *head, const char *ref, const char *commit, const char *object)
{
	assert_string_equal(head->ref, ref);
	assert_string_equal(head->commit, commit);
	assert_string_equal(head->object, object);
}

static void
test_branches_and_tags(void **state)
{
	struct heads heads =
	    parse(A "\trefs/heads/main\n" A "\trefs/tags/light\n" B "\trefs/tags/v1\n" A "\trefs/tags/v1^{}\n");

	(void)state;
	assert_int_equal(heads.count, 3);
	assert_head(&heads.items[0], "refs/heads/main", A, "");
	assert_head(&heads.items[1], "refs/tags/light", A, "");
	assert_head(&heads.items[2], "refs/tags/v1", A, B);
	heads_fini(&heads);
	heads = parse("");
	assert_int_equal(heads.count, 0);
	heads_fini(&heads);
}

static void
test_what_is_not_built_is_left_out(void **state)
{
	struct heads heads = parse(A "\tHEAD\n" A "\trefs/pull/7/head\n" A "\trefs/heads/-x\n" B "\trefs/tags/-v\n" A
				     "\trefs/tags/-v^{}\n" A "\trefs/heads/x\n");

	(void)state;
	assert_int_equal(heads.count, 1);
	assert_head(&heads.items[0], "refs/heads/x", A, "");
	heads_fini(&heads);
}

static void
test_no_list(void **state)
{
	static const char *const texts[] = { "hello\n", A "\n", A " refs/heads/x\n", "abc\trefs/heads/x\n", A "\t\n",
		"\n" };
	struct heads heads;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_false(heads_parse(str_of(texts[i]), &heads, &err));
		assert_int_equal(err.code, ERR_PROTO);
	}
}

static void
test_too_many(void **state)
{
	static const char line[] = A "\trefs/heads/x\n";
	char *text = xcalloc(HEADS_MAX + 2, sizeof(line));
	size_t len = 0;
	struct heads heads;
	struct err err;

	(void)state;
	for (int i = 0; i < HEADS_MAX; i++, len += sizeof(line) - 1)
		memcpy(text + len, line, sizeof(line) - 1);
	heads = parse(text);
	assert_int_equal(heads.count, HEADS_MAX);
	heads_fini(&heads);
	memcpy(text + len, line, sizeof(line) - 1);
	assert_false(heads_parse(str_of(text), &heads, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_branches_and_tags),
		cmocka_unit_test(test_what_is_not_built_is_left_out),
		cmocka_unit_test(test_no_list),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
