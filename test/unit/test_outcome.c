/* proto/outcome: which jobs run when those that they need have ended, and what is said of the others. */
#include "test/unit/unit.h"

#include <string.h>

#include "proto/outcome.h"

static const struct job_end PASSED = { OUTCOME_OK, "passed" }, ALLOWED = { OUTCOME_OK, "failed" },
			    SKIPPED = { OUTCOME_OK, "was skipped" }, CANCELLED = { OUTCOME_NONE, "was cancelled" },
			    LATE = { OUTCOME_FAILED, "timed out" }, BROKEN = { OUTCOME_FAILED, "ended in an error" };

/* A job that needs two others, which ended so. reason NULL: it runs. */
static void
check(enum run_on run_on, struct job_end one, struct job_end other, enum outcome own, const char *reason)
{
	char first[] = "one", second[] = "other", why[OUTCOME_REASON_SIZE] = "";
	struct need_spec needs[] = { { .job = 1, .name = first }, { .job = 2, .name = second } };
	struct job_spec job = { .needs = needs, .need_count = 2, .run_on = run_on };
	const struct job_end ends[] = { one, other };
	enum outcome got;

	assert_int_equal(outcome_lets_run(&job, ends, &got, why), reason == NULL);
	if (reason == NULL)
		return;
	assert_string_equal(why, reason);
	assert_int_equal(got, own);
}

static void
test_on_success(void **state)
{
	(void)state;
	check(RUN_ON_SUCCESS, PASSED, ALLOWED, OUTCOME_OK, NULL);
	check(RUN_ON_SUCCESS, PASSED, SKIPPED, OUTCOME_OK, NULL);
	check(RUN_ON_SUCCESS, PASSED, LATE, OUTCOME_FAILED, "other timed out");
	check(RUN_ON_SUCCESS, BROKEN, LATE, OUTCOME_FAILED, "one ended in an error");
	check(RUN_ON_SUCCESS, PASSED, CANCELLED, OUTCOME_NONE, "other was cancelled");
	check(RUN_ON_SUCCESS, CANCELLED, LATE, OUTCOME_FAILED, "other timed out"); /* the worst counts */
}

static void
test_on_failure_and_always(void **state)
{
	(void)state;
	check(RUN_ON_FAILURE, PASSED, LATE, OUTCOME_OK, NULL);
	check(RUN_ON_FAILURE, PASSED, ALLOWED, OUTCOME_OK, "nothing that it needs failed");
	check(RUN_ON_FAILURE, PASSED, CANCELLED, OUTCOME_NONE, "nothing that it needs failed");
	check(RUN_ALWAYS, CANCELLED, LATE, OUTCOME_OK, NULL);
}

static void
test_left_out_by_its_own_condition(void **state)
{
	char reason[OUTCOME_REASON_SIZE], skipped[] = "when: branch is dev, wants main";
	struct job_spec job = { .skipped = skipped, .run_on = RUN_ALWAYS };
	enum outcome own;

	(void)state;
	assert_false(outcome_lets_run(&job, NULL, &own, reason));
	assert_string_equal(reason, skipped);
	assert_int_equal(own, OUTCOME_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_on_success),
		cmocka_unit_test(test_on_failure_and_always),
		cmocka_unit_test(test_left_out_by_its_own_condition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
