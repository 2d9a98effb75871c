#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/buf.h"

static void
test_grows_to_its_maximum_and_no_further(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	for (int i = 0; i < 10; i++)
		assert_true(buf_addf(&b, "%09d,", i));
	assert_int_equal(b.len, 100);
	assert_false(buf_addc(&b, 'x'));
	assert_true(buf_failed(&b));
	assert_int_equal(b.len, 100);
	buf_reset(&b);
	assert_true(buf_adds(&b, "again"));
	assert_string_equal(b.data, "again");
	buf_fini(&b);
}

static void
test_overflow_is_sticky(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4);
	assert_false(buf_adds(&b, "12345"));
	assert_false(buf_adds(&b, "1"));
	assert_string_equal(b.data, "");
	buf_fini(&b);
}

static void
test_shift_and_take(void **state)
{
	struct buf b;
	size_t len;
	char *data;

	(void)state;
	buf_init(&b, 64);
	buf_adds(&b, "head body");
	buf_shift(&b, 5);
	data = buf_take(&b, &len);
	assert_int_equal(len, 4);
	assert_string_equal(data, "body");
	assert_string_equal(b.data, "");
	free(data);
	buf_fini(&b);
}

static void
test_str_cut_and_numbers(void **state)
{
	struct str rest = STR("a,,b");
	uint64_t n;

	(void)state;
	assert_true(str_is(str_cut(&rest, ','), "a"));
	assert_true(str_is(str_cut(&rest, ','), ""));
	assert_true(str_is(str_cut(&rest, ','), "b"));
	assert_int_equal(rest.len, 0);
	assert_true(str_to_u64(STR("18446744073709551615"), UINT64_MAX, &n) && n == UINT64_MAX);
	assert_false(str_to_u64(STR("18446744073709551616"), UINT64_MAX, &n));
	assert_false(str_to_u64(STR("256"), 255, &n));
	assert_true(str_to_u64(STR("255"), 255, &n) && n == 255);
	assert_false(str_to_u64(STR("9"), 5, &n));
	assert_false(str_to_u64(STR("+1"), 5, &n));
	assert_false(str_to_u64(STR(""), 5, &n));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_to_its_maximum_and_no_further),
		cmocka_unit_test(test_overflow_is_sticky),
		cmocka_unit_test(test_shift_and_take),
		cmocka_unit_test(test_str_cut_and_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
