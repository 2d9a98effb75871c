#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/progress.h"

static void
test_the_first_part_has_nothing_to_say(void **state)
{
	const struct progress first = { .exit_code = -1, .segment_exit = -1 };
	struct progress read;
	struct err err;
	char *json = progress_to_json(&first);

	(void)state;
	assert_string_equal(json, "");
	assert_true(progress_from_json(str_of(json), &read, &err));
	assert_int_equal(read.part, 0);
	assert_int_equal(read.exit_code, -1);
	assert_int_equal(read.segment_exit, -1);
	free(json);
}

static void
test_all_is_read_as_it_was_written(void **state)
{
	const struct progress third = { .part = 2,
		.log = 14,
		.out = 1ULL << 40,
		.err = 7,
		.exit_code = 3,
		.oom = true,
		.segment = "a \"step\"",
		.segment_exit = 3 };
	struct progress read;
	struct err err;
	char *json = progress_to_json(&third);

	(void)state;
	assert_string_equal(json, "{\"part\":2,\"log\":14,\"out\":1099511627776,\"err\":7,\"exit\":3,\"oom\":true,"
				  "\"segment\":\"a \\\"step\\\"\",\"segment_exit\":3}");
	assert_true(progress_from_json(str_of(json), &read, &err));
	assert_int_equal(read.part, 2);
	assert_int_equal(read.log, 14);
	assert_true(read.out == 1ULL << 40);
	assert_int_equal(read.err, 7);
	assert_int_equal(read.exit_code, 3);
	assert_true(read.oom);
	assert_string_equal(read.segment, third.segment);
	assert_int_equal(read.segment_exit, 3);
	free(json);
}

static void
test_what_is_no_progress_is_refused(void **state)
{
	static const char *const bad[] = { "{", "[]", "{\"part\":-1,\"log\":0,\"out\":0,\"err\":0}",
		"{\"part\":1,\"out\":0,\"err\":0}", "{\"part\":4294967296,\"log\":0,\"out\":0,\"err\":0}" };
	struct progress read;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(progress_from_json(str_of(bad[i]), &read, &err));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_part_has_nothing_to_say),
		cmocka_unit_test(test_all_is_read_as_it_was_written),
		cmocka_unit_test(test_what_is_no_progress_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
