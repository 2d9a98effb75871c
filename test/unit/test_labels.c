#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/labels.h"

static void
assert_text(const char *given, const char *expected)
{
	struct strings labels = { 0 };
	struct str rest = str_of(given);
	char *text;

	while (rest.len > 0)
		strings_add(&labels, str_cut(&rest, ' '));
	text = labels_text(&labels);
	assert_string_equal(text, expected);
	free(text);
	strings_fini(&labels);
}

static void
test_text_is_sorted_and_has_each_once(void **state)
{
	(void)state;
	assert_text("", "");
	assert_text("gpu", "gpu");
	assert_text("gpu arch=arm64 gpu big", "arch=arm64,big,gpu");
	assert_text("a,b a", "a,a-b");
}

static void
test_what_fits(void **state)
{
	static const struct {
		const char *wanted, *offered;
		bool fits;
	} rows[] = {
		{ "", "", true },
		{ "", "gpu", true },
		{ "gpu", "", false },
		{ "gpu", "gpu", true },
		{ "gpu", "arch=arm64,gpu", true },
		{ "arch=arm64,gpu", "gpu", false },
		{ "arch=arm64,gpu", "arch=arm64,big,gpu", true },
		{ "arch=arm", "arch=arm64", false },
		{ "arch=arm64", "arch=arm", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(labels_fit(rows[i].wanted, rows[i].offered), rows[i].fits);
}

static void
test_count(void **state)
{
	(void)state;
	assert_int_equal(labels_count(""), 0);
	assert_int_equal(labels_count("gpu"), 1);
	assert_int_equal(labels_count("arch=arm64,big,gpu"), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_is_sorted_and_has_each_once),
		cmocka_unit_test(test_what_fits),
		cmocka_unit_test(test_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
