#include "test/unit/unit.h"

#include "server/scheduler/leases.h"
#include "server/scheduler/planning.h"
#include "test/unit/fake_asks.h"
#include "test/unit/fake_clock.h"

#define RETRY_MS 500

struct bench {
	struct store store;
	struct leases *leases;
	struct planning *planning;
};

static struct bench b;

static void
on_lease(void *arg, const char *id, enum store_lease_state state)
{
	(void)arg;
	(void)state;
	planning_drop(b.planning, id);
}

static const char *
no_labels(void *arg)
{
	(void)arg;
	return "";
}

static int
setup(void **state)
{
	(void)state;
	b = (struct bench){ 0 };
	fake_asks_init(&b.store);
	b.leases = leases_new(NULL, &b.store, 30000, no_labels, on_lease, NULL);
	b.planning = planning_new(NULL, &b.store, (struct planner *)&b.store, b.leases, 2);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	planning_free(&b.planning);
	leases_free(&b.leases);
	assert_int_equal(fake_asks_count(&b.store), 0);
	assert_int_equal(fake_clock_timers(), 0);
	return 0;
}

/* --- the states of one build, each with the question that it waits for --- */

static const enum ask_kind waits_for[] = { ASK_REPO, ASK_PLAN, ASK_PLAN_COMMIT, ASK_ENVIRONMENTS, ASK_PLANNED,
	ASK_PLAN_FAILED };

#define STATES (sizeof(waits_for) / sizeof(*waits_for))

/* Claims build 17 and brings it to where that question is asked. */
static void
bring_to(enum ask_kind question)
{
	planning_wake(b.planning);
	answer_plan_claim(&b.store, 17, "token");
	if (question == ASK_REPO)
		return;
	answer_repo(&b.store);
	if (question == ASK_PLAN_COMMIT)
		answer_plan_of(&b.store, "found", "", "");
	else if (question == ASK_ENVIRONMENTS)
		answer_plan_deploys(&b.store);
	else if (question == ASK_PLANNED)
		answer_plan(&b.store, BUILD_PLANNING, "");
	else if (question == ASK_PLAN_FAILED)
		answer_plan(&b.store, BUILD_FAILED, "daocloud.yml:3:5: unknown key");
	assert_non_null(asked(&b.store, question));
	assert_true(leases_has(b.leases, "17"));
}

/* It is over; there is a place for the next one. */
static void
assert_ended(void)
{
	assert_false(leases_has(b.leases, "17"));
	assert_int_equal(fake_asks_count(&b.store), 1);
	assert_non_null(asked(&b.store, ASK_PLAN_CLAIM));
}

static void
test_a_build_is_planned(void **state)
{
	(void)state;
	bring_to(ASK_PLANNED);
	assert_string_equal(asked(&b.store, ASK_PLANNED)->id, "17");
	assert_string_equal(asked(&b.store, ASK_PLANNED)->token, "token");
	answer_done(&b.store, ASK_PLANNED);
	assert_ended();
}

/* It took itself for the first build of an image; it is planned once more as another one. */
static void
test_another_was_first(void **state)
{
	(void)state;
	bring_to(ASK_PLANNED);
	answer_error(&b.store, ASK_PLANNED, ERR_INPUT);
	assert_true(leases_has(b.leases, "17"));
	answer_plan(&b.store, BUILD_PLANNING, "");
	answer_done(&b.store, ASK_PLANNED);
	assert_ended();
}

/* A build by hand: its commit is on record before its jobs are. */
static void
test_a_commit_is_found_out(void **state)
{
	(void)state;
	bring_to(ASK_PLAN_COMMIT);
	assert_string_equal(asked(&b.store, ASK_PLAN_COMMIT)->reason, "found  ");
	assert_string_equal(asked(&b.store, ASK_PLAN_COMMIT)->token, "token");
	answer_done(&b.store, ASK_PLAN_COMMIT);
	assert_non_null(asked(&b.store, ASK_PLANNED));
	answer_done(&b.store, ASK_PLANNED);
	assert_ended();
}

/* So nobody is asked to approve it. */
static void
test_what_its_environment_does_not_take(void **state)
{
	for (int takes = 0; takes < 2; takes++) {
		bring_to(ASK_ENVIRONMENTS);
		assert_string_equal(asked(&b.store, ASK_ENVIRONMENTS)->id, "app");
		answer_environments(&b.store, takes);
		assert_string_equal(asked(&b.store, ASK_PLANNED)->reason, takes ? "" : "live takes tags");
		teardown(state);
		setup(state);
	}
}

/* A bad file in a merge: its record says what was merged. */
static void
test_a_merge_is_recorded(void **state)
{
	(void)state;
	planning_wake(b.planning);
	answer_plan_claim(&b.store, 17, "token");
	answer_repo(&b.store);
	answer_plan_of(&b.store, "commit", "merge", "daocloud.yml:3:5: unknown key");
	assert_string_equal(asked(&b.store, ASK_PLAN_COMMIT)->reason, "commit base merge");
	answer_done(&b.store, ASK_PLAN_COMMIT);
	assert_non_null(asked(&b.store, ASK_PLAN_FAILED));
}

static void
test_a_file_that_is_wrong(void **state)
{
	struct store_op *failed;

	(void)state;
	bring_to(ASK_PLAN_FAILED);
	failed = asked(&b.store, ASK_PLAN_FAILED);
	assert_string_equal(failed->id, "17");
	assert_string_equal(failed->token, "token");
	assert_string_equal(failed->reason, "daocloud.yml:3:5: unknown key");
	assert_int_equal(failed->number, BUILD_FAILED);
	answer_done(&b.store, ASK_PLAN_FAILED);
	assert_ended();
}

static void
test_the_repository_is_gone(void **state)
{
	(void)state;
	bring_to(ASK_REPO);
	answer_error(&b.store, ASK_REPO, ERR_NOT_FOUND);
	assert_string_equal(asked(&b.store, ASK_PLAN_FAILED)->reason, "the repository was removed");
	assert_int_equal(asked(&b.store, ASK_PLAN_FAILED)->number, BUILD_ERROR);
}

/* Whatever Redis says but "not yours": the same again, until the lease is lost. */
static void
test_every_question_is_repeated(void **state)
{
	static const enum err_code codes[] = { ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_REFUSED, ERR_PROTO };

	for (size_t i = 0; i < STATES; i++) {
		if (waits_for[i] == ASK_PLAN)
			continue; /* the planner has attempts of its own */
		bring_to(waits_for[i]);
		for (size_t k = 0; k < sizeof(codes) / sizeof(*codes); k++) {
			answer_error(&b.store, waits_for[i], codes[k]);
			assert_null(asked(&b.store, waits_for[i]));
			assert_true(leases_has(b.leases, "17"));
			fake_clock_advance(RETRY_MS);
			assert_non_null(asked(&b.store, waits_for[i]));
		}
		teardown(state);
		setup(state);
	}
}

static void
test_its_plan_is_not_wanted_any_more(void **state)
{
	static const enum ask_kind records[] = { ASK_PLANNED, ASK_PLAN_FAILED, ASK_PLAN_COMMIT };
	static const enum err_code codes[] = { ERR_CONFLICT, ERR_NOT_FOUND };

	for (size_t i = 0; i < 6; i++) {
		bring_to(records[i % 3]);
		answer_error(&b.store, records[i % 3], codes[i / 3]);
		assert_ended();
		teardown(state);
		setup(state);
	}
}

/* The lease is lost or somebody cancelled it. */
static void
test_dropped_in_every_state(void **state)
{
	for (size_t i = 0; i < STATES; i++) {
		bring_to(waits_for[i]);
		planning_drop(b.planning, "17");
		assert_int_equal(b.store.taken_back, 1);
		assert_ended();
		planning_drop(b.planning, "17"); /* no error */
		teardown(state);
		setup(state);
	}
}

/* The same between two attempts. */
static void
test_dropped_while_it_waits(void **state)
{
	(void)state;
	bring_to(ASK_PLANNED);
	answer_error(&b.store, ASK_PLANNED, ERR_UNAVAILABLE);
	planning_drop(b.planning, "17");
	assert_ended();
	fake_clock_advance(10 * RETRY_MS);
	assert_ended();
}

static void
test_freed_in_every_state(void **state)
{
	for (size_t i = 0; i < STATES; i++) {
		bring_to(waits_for[i]);
		planning_free(&b.planning);
		assert_int_equal(b.store.taken_back, 2); /* its question, and the next claim */
		assert_false(leases_has(b.leases, "17"));
		teardown(state);
		setup(state);
	}
}

/* --- claims --- */

static void
test_no_more_than_its_places(void **state)
{
	(void)state;
	planning_wake(b.planning);
	answer_plan_claim(&b.store, 17, "token");
	answer_plan_claim(&b.store, 18, "token");
	assert_null(asked(&b.store, ASK_PLAN_CLAIM));
	planning_wake(b.planning);
	assert_null(asked(&b.store, ASK_PLAN_CLAIM));
	planning_drop(b.planning, "18");
	assert_non_null(asked(&b.store, ASK_PLAN_CLAIM));
	assert_true(leases_has(b.leases, "17"));
}

/* A build that came while the answer "none" was on its way is not forgotten. */
static void
test_woken_while_claiming(void **state)
{
	(void)state;
	planning_wake(b.planning);
	planning_wake(b.planning);
	planning_wake(b.planning);
	answer_plan_claim(&b.store, 0, NULL);
	assert_non_null(asked(&b.store, ASK_PLAN_CLAIM));
	answer_plan_claim(&b.store, 0, NULL);
	assert_null(asked(&b.store, ASK_PLAN_CLAIM));
}

static void
test_a_claim_that_fails(void **state)
{
	(void)state;
	planning_wake(b.planning);
	answer_error(&b.store, ASK_PLAN_CLAIM, ERR_TIMEOUT);
	assert_int_equal(fake_asks_count(&b.store), 0);
	fake_clock_advance(RETRY_MS);
	answer_error(&b.store, ASK_PLAN_CLAIM, ERR_UNAVAILABLE);
	planning_wake(b.planning); /* Redis is up */
	answer_plan_claim(&b.store, 17, "token");
	assert_non_null(asked(&b.store, ASK_REPO));
}

/* Redis was away longer than a lease, and the build comes back to the process that plans it still. */
static void
test_claimed_anew_while_it_is_planned(void **state)
{
	(void)state;
	bring_to(ASK_PLAN);
	answer_plan_claim(&b.store, 17, "newer token");
	assert_null(asked(&b.store, ASK_PLAN)); /* the older planning has lost */
	answer_repo(&b.store);
	answer_plan(&b.store, BUILD_PLANNING, "");
	assert_string_equal(asked(&b.store, ASK_PLANNED)->token, "newer token");
	answer_done(&b.store, ASK_PLANNED);
	assert_ended();
}

static void
test_drained(void **state)
{
	(void)state;
	bring_to(ASK_PLAN);
	answer_plan_claim(&b.store, 0, NULL);
	planning_drain(b.planning);
	planning_wake(b.planning);
	answer_plan(&b.store, BUILD_PLANNING, "");
	answer_done(&b.store, ASK_PLANNED); /* what was claimed goes on */
	assert_int_equal(fake_asks_count(&b.store), 0);
	assert_false(leases_has(b.leases, "17"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_build_is_planned),
		TEST(test_another_was_first),
		TEST(test_a_commit_is_found_out),
		TEST(test_what_its_environment_does_not_take),
		TEST(test_a_merge_is_recorded),
		TEST(test_a_file_that_is_wrong),
		TEST(test_the_repository_is_gone),
		TEST(test_every_question_is_repeated),
		TEST(test_its_plan_is_not_wanted_any_more),
		TEST(test_dropped_in_every_state),
		TEST(test_dropped_while_it_waits),
		TEST(test_freed_in_every_state),
		TEST(test_no_more_than_its_places),
		TEST(test_woken_while_claiming),
		TEST(test_a_claim_that_fails),
		TEST(test_claimed_anew_while_it_is_planned),
		TEST(test_drained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
