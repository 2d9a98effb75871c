/* How a job comes out. */
#include "test/unit/unit.h"

#include "proto/script.h"
#include "server/builder/verdict.h"

enum { MEMORY = 256 << 20 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct builder_result
judged(int exit_code, const char *segment, int segment_exit, bool oom)
{
	struct verdict v;

	verdict_init(&v);
	if (segment != NULL)
		verdict_segment(&v, segment, segment_exit);
	v.exit_code = exit_code;
	v.result.oom = oom;
	verdict_judge(&v, "debian:12", MEMORY);
	return verdict_result(&v);
}

static void
check(struct builder_result result, enum builder_state state, int exit_code, const char *reason)
{
	assert_int_equal(result.state, state);
	assert_int_equal(result.exit_code, exit_code);
	assert_string_equal(result.reason, reason);
}

static void
test_the_exit_code_decides(void **state)
{
	(void)state;
	check(judged(0, "script", 0, false), BUILDER_PASSED, 0, "");
	check(judged(2, "script", 2, false), BUILDER_FAILED, 2, "exit code 2 in script");
	check(judged(3, "script", -1, false), BUILDER_FAILED, 3, "exit code 3 in script");
	check(judged(3, "script", 0, false), BUILDER_FAILED, 3, "exit code 3");
	check(judged(1, NULL, 0, false), BUILDER_FAILED, 1, "exit code 1");
	check(judged(137, "script", 137, true), BUILDER_FAILED, 137, "the memory limit of 256 MiB was hit");
	check(judged(0, "script", 0, true), BUILDER_PASSED, 0, "the memory limit of 256 MiB was hit");
	check(judged(SCRIPT_NO_WORKSPACE, NULL, 0, false), BUILDER_ERROR, SCRIPT_NO_WORKSPACE,
	    "the workspace could not be unpacked in image debian:12");
	check(judged(SCRIPT_NO_WORKSPACE, "script", SCRIPT_NO_WORKSPACE, false), BUILDER_FAILED, SCRIPT_NO_WORKSPACE,
	    "exit code 125 in script");
}

static void
test_the_first_segment_that_failed_stays(void **state)
{
	struct verdict v;

	(void)state;
	verdict_init(&v);
	verdict_segment(&v, "install", -1);
	verdict_segment(&v, "install", 0);
	verdict_segment(&v, "script", -1);
	assert_string_equal(v.segment, "script");
	verdict_segment(&v, "script", 4);
	verdict_segment(&v, "later", -1);
	verdict_segment(&v, "later", 5);
	assert_string_equal(v.segment, "script");
	assert_int_equal(v.segment_exit, 4);
}

static void
test_the_first_cause_of_an_end_stays(void **state)
{
	struct verdict v;

	(void)state;
	verdict_init(&v);
	assert_false(verdict_is_bad(&v));
	verdict_end(&v, BUILDER_TIMED_OUT, err_make(ERR_TIMEOUT, 0, "took longer than 5 s"));
	verdict_end(&v, BUILDER_CANCELLED, err_make(ERR_CANCELLED, 0, "as you wish"));
	assert_true(verdict_is_ended(&v) && verdict_is_bad(&v));
	check(verdict_result(&v), BUILDER_TIMED_OUT, -1, "took longer than 5 s");
}

static void
check_word(int exit_code, enum builder_state end, enum err_code code, const char *word)
{
	struct verdict v;

	verdict_init(&v);
	v.exit_code = exit_code;
	if (code != ERR_NONE)
		verdict_end(&v, end, err_make(code, 0, "why"));
	if (word != NULL)
		assert_string_equal(verdict_word(&v), word);
	else
		assert_null(verdict_word(&v));
	assert_int_equal(verdict_is_bad(&v), word != NULL);
}

static void
test_what_runs_always_is_told(void **state)
{
	(void)state;
	check_word(-1, BUILDER_PASSED, ERR_NONE, NULL);
	check_word(0, BUILDER_PASSED, ERR_NONE, NULL);
	check_word(1, BUILDER_PASSED, ERR_NONE, "failed");
	check_word(-1, BUILDER_CANCELLED, ERR_CANCELLED, "cancelled");
	check_word(-1, BUILDER_TIMED_OUT, ERR_TIMEOUT, "timed_out");
	check_word(-1, BUILDER_ERROR, ERR_IO, "failed");
}

static void
test_blame(void **state)
{
	static const enum err_code users[] = { ERR_NOT_FOUND, ERR_INPUT, ERR_AUTH };
	static const enum err_code ours[] = { ERR_IO, ERR_TIMEOUT, ERR_PROTO, ERR_REFUSED, ERR_UNAVAILABLE };

	(void)state;
	for (size_t i = 0; i < COUNT(users); i++)
		assert_int_equal(verdict_blame(&(struct err){ .code = users[i] }), BUILDER_FAILED);
	for (size_t i = 0; i < COUNT(ours); i++)
		assert_int_equal(verdict_blame(&(struct err){ .code = ours[i] }), BUILDER_ERROR);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_exit_code_decides),
		cmocka_unit_test(test_the_first_segment_that_failed_stays),
		cmocka_unit_test(test_the_first_cause_of_an_end_stays),
		cmocka_unit_test(test_what_runs_always_is_told),
		cmocka_unit_test(test_blame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
