#include "test/unit/unit.h"

#include <stdio.h>

#include "server/scheduler/scheduler.h"
#include "test/unit/fake_asks.h"
#include "test/unit/fake_clock.h"

#define RETRY_MS 1000
#define LEASE_MS 30000

struct bench {
	struct store store;
	struct scheduler *scheduler;
	unsigned slots;
	char told[512];   /* what the scheduler asked of the application: "run 1.1, stop 1.1, lost 1.1, left 1.1, " */
	struct job *left; /* the last one */
	bool adopts;      /* those that are left */
	unsigned recovered;
};

static struct bench b;

static void
tell(const char *what, const char *job)
{
	strcat(strcat(strcat(strcat(b.told, what), " "), job), ", ");
}

static const char *
labels(void *arg)
{
	(void)arg;
	return "";
}

static size_t
offers(void *arg, const char **ret, size_t max)
{
	assert_ptr_equal(arg, &b);
	for (size_t i = 0; i < b.slots && i < max; i++)
		ret[i] = "gpu";
	return b.slots < max ? b.slots : max;
}

static void
on_claimed(void *arg, struct job *job, struct build *build)
{
	assert_ptr_equal(arg, &b);
	assert_int_equal(job->build, build->build);
	tell("run", job->id);
	b.slots--;
	job_free(&job);
	build_free(&build);
}

static void
on_stop(void *arg, const char *job, enum scheduler_stop why)
{
	assert_ptr_equal(arg, &b);
	tell(why == SCHEDULER_LOST ? "lost" : "stop", job);
}

static void
on_left(void *arg, struct job *job)
{
	assert_ptr_equal(arg, &b);
	tell("left", job->id);
	if (b.adopts) {
		scheduler_adopt(b.scheduler, &job);
		assert_null(job);
		return;
	}
	job_free(&b.left);
	b.left = job;
}

static void
on_adopted(void *arg, struct job *job, struct build *build)
{
	assert_ptr_equal(arg, &b);
	tell("adopted", job->id);
	job_free(&job);
	build_free(&build);
}

static void
on_recovered(void *arg)
{
	assert_ptr_equal(arg, &b);
	b.recovered++;
}

static int
setup(void **state)
{
	struct scheduler_deps deps = { .store = &b.store, .planner = (struct planner *)&b.store, .node_name = "n1" };

	(void)state;
	b = (struct bench){ .slots = 2 };
	fake_asks_init(&b.store);
	deps.lease_ms = LEASE_MS;
	deps.planning_max = 4;
	deps.labels = labels;
	deps.offers = offers;
	deps.on_claimed = on_claimed;
	deps.on_stop = on_stop;
	deps.on_left = on_left;
	deps.on_adopted = on_adopted;
	deps.on_recovered = on_recovered;
	deps.arg = &b;
	b.scheduler = scheduler_new(&deps);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	scheduler_free(&b.scheduler);
	job_free(&b.left);
	assert_int_equal(fake_asks_count(&b.store), 0);
	assert_int_equal(fake_clock_timers(), 0);
	return 0;
}

static void
assert_told(const char *what)
{
	assert_string_equal(b.told, what);
	b.told[0] = '\0';
}

static void
wake(const char *line)
{
	scheduler_wake(b.scheduler, line);
}

/* Registered, nothing left, nothing to do, and the first heartbeat is answered. */
static void
begin(void)
{
	wake("up");
	answer_registered(&b.store);
	answer_running(&b.store, "");
	answer_plan_claim(&b.store, 0, NULL);
	answer_claim(&b.store, NULL, NULL);
	answer_promoted(&b.store, "", -1);
	fake_clock_advance(0);
	answer_renew(&b.store, NULL, STORE_LEASE_OK);
	assert_int_equal(fake_asks_count(&b.store), 0);
}

/* Begun, and job 1.1 runs. */
static void
begin_with_job(void)
{
	begin();
	wake("queue");
	answer_claim(&b.store, "1.1", "token");
	answer_claim(&b.store, NULL, NULL);
	assert_told("run 1.1, ");
}

/* --- the start --- */

static void
test_nothing_before_redis_is_up(void **state)
{
	static const char *const lines[] = { "planning", "queue", "delayed", "cancel 1.1", "down", "repo app" };

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		wake(lines[i]);
	scheduler_slots_changed(b.scheduler);
	fake_clock_advance(100 * RETRY_MS);
	assert_int_equal(fake_asks_count(&b.store), 0);
	assert_told("");
}

static void
test_start(void **state)
{
	(void)state;
	wake("up");
	wake("up"); /* Redis went away and came back meanwhile: once is enough */
	assert_int_equal(fake_asks_count(&b.store), 1);
	answer_registered(&b.store);
	assert_string_equal(asked(&b.store, ASK_RUNNING)->id, "n1");
	assert_int_equal(fake_asks_count(&b.store), 1); /* no claim before what was left is known */
	answer_running(&b.store, "3.1 4.2");
	assert_told("left 3.1, left 4.2, ");
	assert_non_null(asked(&b.store, ASK_PLAN_CLAIM));
	assert_non_null(asked(&b.store, ASK_CLAIM));
	assert_non_null(asked(&b.store, ASK_PROMOTE));
	fake_clock_advance(0);
	assert_non_null(asked(&b.store, ASK_RENEW));
}

/* Each step of it x each failure: from the beginning, a second later or when Redis is up. */
static void
test_start_that_fails(void **state)
{
	static const enum err_code codes[] = { ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_REFUSED };

	(void)state;
	wake("up");
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		answer_error(&b.store, ASK_REGISTER, codes[i]);
		assert_int_equal(fake_asks_count(&b.store), 0);
		fake_clock_advance(RETRY_MS);
		answer_registered(&b.store);
		answer_error(&b.store, ASK_RUNNING, codes[i]);
		assert_int_equal(fake_asks_count(&b.store), 0);
		wake("up");
	}
	answer_registered(&b.store);
	answer_running(&b.store, "");
	assert_non_null(asked(&b.store, ASK_CLAIM));
}

static void
test_node_that_redis_does_not_know_registers_again(void **state)
{
	(void)state;
	begin_with_job();
	fake_clock_advance(LEASE_MS / 3);
	answer_error(&b.store, ASK_RENEW, ERR_NOT_FOUND);
	wake("queue"); /* nothing is claimed meanwhile */
	assert_int_equal(fake_asks_count(&b.store), 0);
	fake_clock_advance(RETRY_MS);
	begin();
	assert_told("");
	fake_clock_advance(LEASE_MS / 3);
	answer_renew(&b.store, "1.1", STORE_LEASE_LOST);
	assert_told("lost 1.1, ");
}

static void
test_freed_while_starting(void **state)
{
	(void)state;
	wake("up");
	scheduler_free(&b.scheduler);
	assert_int_equal(b.store.taken_back, 1);
	setup(state);
	wake("up");
	answer_registered(&b.store);
	scheduler_free(&b.scheduler);
	assert_int_equal(b.store.taken_back, 1);
	setup(state);
	wake("up");
	answer_registered(&b.store);
	answer_running(&b.store, "");
	fake_clock_advance(0);
	scheduler_free(&b.scheduler);
	assert_int_equal(b.store.taken_back, 4);
}

/* --- claims --- */

static void
test_one_claim_for_each_free_slot(void **state)
{
	(void)state;
	begin();
	wake("queue");
	answer_claim(&b.store, "1.1", "token");
	answer_claim(&b.store, "1.2", "token");
	assert_told("run 1.1, run 1.2, ");
	assert_null(asked(&b.store, ASK_CLAIM)); /* both are taken */
	wake("queue");
	assert_null(asked(&b.store, ASK_CLAIM));
	b.slots++;
	scheduler_release(b.scheduler, "1.1");
	assert_non_null(asked(&b.store, ASK_CLAIM));
	answer_claim(&b.store, NULL, NULL);
	fake_clock_advance(LEASE_MS / 3);
	assert_string_equal(asked(&b.store, ASK_RENEW)->leases, "1.2 ");
}

static void
test_an_engine_came_up(void **state)
{
	(void)state;
	b.slots = 0;
	wake("up");
	answer_registered(&b.store);
	answer_running(&b.store, "");
	assert_null(asked(&b.store, ASK_CLAIM));
	b.slots = 1;
	scheduler_slots_changed(b.scheduler);
	assert_non_null(asked(&b.store, ASK_CLAIM));
}

/* A job that came while the answer "none" was on its way is not forgotten. */
static void
test_woken_while_claiming(void **state)
{
	(void)state;
	begin();
	wake("queue");
	wake("queue");
	answer_claim(&b.store, NULL, NULL);
	assert_non_null(asked(&b.store, ASK_CLAIM));
	answer_claim(&b.store, NULL, NULL);
	assert_null(asked(&b.store, ASK_CLAIM));
}

static void
test_a_claim_that_fails(void **state)
{
	static const enum err_code codes[] = { ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_REFUSED, ERR_CONFLICT };

	(void)state;
	begin();
	wake("queue");
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		answer_error(&b.store, ASK_CLAIM, codes[i]);
		assert_int_equal(fake_asks_count(&b.store), 0);
		fake_clock_advance(RETRY_MS);
		assert_non_null(asked(&b.store, ASK_CLAIM));
		answer_plan_claim(&b.store, 0, NULL); /* the tick tries everything */
		answer_promoted(&b.store, "", -1);
	}
	assert_told("");
}

/* However far away the next thing is that is due. */
static void
test_a_claim_that_fails_before_a_promotion(void **state)
{
	(void)state;
	begin();
	wake("up");
	answer_error(&b.store, ASK_CLAIM, ERR_TIMEOUT);
	answer_error(&b.store, ASK_PLAN_CLAIM, ERR_TIMEOUT);
	answer_promoted(&b.store, "", -1);
	fake_clock_advance(RETRY_MS);
	assert_non_null(asked(&b.store, ASK_CLAIM));
	assert_non_null(asked(&b.store, ASK_PLAN_CLAIM));
}

/* Our older attempt lost its lease while Redis was away; its container has to go first. */
static void
test_a_job_that_still_runs_here_is_given_back(void **state)
{
	struct store_op *requeue;

	(void)state;
	begin_with_job();
	wake("queue");
	answer_claim(&b.store, "1.1", "newer token");
	assert_told("lost 1.1, ");
	requeue = asked(&b.store, ASK_REQUEUE);
	assert_string_equal(requeue->id, "1.1");
	assert_string_equal(requeue->token, "newer token");
	assert_string_equal(requeue->reason, "its lease was lost");
	assert_true(requeue->number > 0);
	assert_non_null(asked(&b.store, ASK_CLAIM)); /* others may go on */
}

static void
test_drained(void **state)
{
	(void)state;
	begin_with_job();
	scheduler_drain(b.scheduler);
	wake("queue");
	wake("planning");
	scheduler_release(b.scheduler, "1.1");
	assert_int_equal(fake_asks_count(&b.store), 0);
}

static void
test_held(void **state)
{
	(void)state;
	begin_with_job();
	scheduler_hold(b.scheduler, true);
	wake("queue");
	wake("planning");
	scheduler_slots_changed(b.scheduler);
	assert_int_equal(fake_asks_count(&b.store), 0);
	scheduler_hold(b.scheduler, false);
	assert_non_null(asked(&b.store, ASK_CLAIM));
	assert_non_null(asked(&b.store, ASK_PLAN_CLAIM));
}

/* --- stops --- */

static void
test_somebody_cancels_a_job(void **state)
{
	(void)state;
	begin_with_job();
	wake("cancel 1.1");
	assert_told("stop 1.1, ");
	fake_clock_advance(LEASE_MS / 3); /* the line may be missed: the lease says it, too */
	answer_renew(&b.store, "1.1", STORE_LEASE_CANCEL);
	assert_told("stop 1.1, ");
}

static void
test_a_lease_is_lost(void **state)
{
	(void)state;
	begin_with_job();
	fake_clock_advance(LEASE_MS / 3);
	answer_renew(&b.store, "1.1", STORE_LEASE_LOST);
	assert_told("lost 1.1, ");
	scheduler_release(b.scheduler, "1.1");
	fake_clock_advance(LEASE_MS / 3);
	assert_string_equal(asked(&b.store, ASK_RENEW)->leases, "");
}

static void
test_a_plannings_lease_is_lost(void **state)
{
	(void)state;
	begin();
	wake("planning");
	answer_plan_claim(&b.store, 17, "token");
	answer_plan_claim(&b.store, 0, NULL);
	assert_non_null(asked(&b.store, ASK_REPO));
	fake_clock_advance(LEASE_MS / 3);
	answer_renew(&b.store, "17", STORE_LEASE_LOST);
	assert_null(asked(&b.store, ASK_REPO));
	assert_told(""); /* no job */
}

/* --- what is due --- */

static void
test_what_is_due_sets_the_clock(void **state)
{
	(void)state;
	begin();
	wake("delayed");
	answer_promoted(&b.store, "", 5000);
	assert_int_equal(fake_clock_next(), 5001);
	fake_clock_advance(5001);
	assert_non_null(asked(&b.store, ASK_PROMOTE));
	answer_promoted(&b.store, "", 3600000); /* a look once a minute, whatever is said */
	answer_plan_claim(&b.store, 0, NULL);
	answer_claim(&b.store, NULL, NULL);
	fake_clock_advance(LEASE_MS / 3);
	answer_renew(&b.store, NULL, STORE_LEASE_OK);
	fake_clock_advance(60001 - 2 * (LEASE_MS / 3));
	assert_null(asked(&b.store, ASK_PROMOTE));
	fake_clock_advance(LEASE_MS);
	assert_non_null(asked(&b.store, ASK_PROMOTE));
}

static void
test_woken_while_promoting(void **state)
{
	(void)state;
	begin();
	wake("delayed");
	wake("delayed");
	answer_promoted(&b.store, "", -1);
	assert_non_null(asked(&b.store, ASK_PROMOTE));
	answer_promoted(&b.store, "", -1);
	assert_null(asked(&b.store, ASK_PROMOTE));
}

static void
test_a_promotion_that_fails(void **state)
{
	static const enum err_code codes[] = { ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_REFUSED };

	(void)state;
	begin();
	wake("delayed");
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		answer_error(&b.store, ASK_PROMOTE, codes[i]);
		assert_null(asked(&b.store, ASK_PROMOTE));
		fake_clock_advance(RETRY_MS);
		assert_non_null(asked(&b.store, ASK_PROMOTE));
	}
}

/* --- left jobs --- */

static void
test_left_jobs_of_a_dead_node(void **state)
{
	struct store_op *requeue;

	(void)state;
	begin();
	wake("delayed");
	answer_promoted(&b.store, "7.1 8.1", -1);
	assert_told("left 7.1, left 8.1, ");
	scheduler_requeue(b.scheduler, &b.left, "the node went away");
	assert_null(b.left);
	requeue = asked(&b.store, ASK_REQUEUE);
	assert_string_equal(requeue->id, "8.1");
	assert_string_equal(requeue->token, "token of 8.1");
	assert_string_equal(requeue->reason, "the node went away");
	assert_int_equal(requeue->number, 0);
	answer_done(&b.store, ASK_REQUEUE);
	assert_int_equal(fake_asks_count(&b.store), 0);
}

/* What was left is known when each of those that go on has had its answer, and not before; of these the second is run
 * again. */
static void
test_left_jobs_go_on(void **state)
{
	(void)state;
	b.adopts = true;
	wake("up");
	answer_registered(&b.store);
	answer_running(&b.store, "7.1 8.1 9.1");
	assert_told("left 7.1, left 8.1, left 9.1, ");
	assert_string_equal(asked(&b.store, ASK_ADOPT)->id, "7.1");
	assert_string_equal(asked(&b.store, ASK_ADOPT)->token, "token of 7.1");
	answer_adopt(&b.store);
	assert_told("adopted 7.1, ");
	answer_error(&b.store, ASK_ADOPT, ERR_UNAVAILABLE);
	assert_string_equal(asked(&b.store, ASK_REQUEUE)->id, "8.1");
	assert_string_equal(asked(&b.store, ASK_REQUEUE)->reason, "davitd was restarted");
	answer_done(&b.store, ASK_REQUEUE);
	assert_int_equal(b.recovered, 0);
	answer_error(&b.store, ASK_ADOPT, ERR_CONFLICT);
	assert_null(asked(&b.store, ASK_REQUEUE)); /* another one's */
	assert_told("");
	assert_int_equal(b.recovered, 1);
	fake_clock_advance(0);
	assert_string_equal(asked(&b.store, ASK_RENEW)->leases, "7.1 ");
}

/* Not repeated: its lease runs out once more, and it is left again. */
static void
test_a_requeue_that_fails(void **state)
{
	static const enum err_code codes[] = { ERR_CONFLICT, ERR_UNAVAILABLE, ERR_TIMEOUT };

	(void)state;
	begin();
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		wake("delayed");
		answer_promoted(&b.store, "7.1", -1);
		scheduler_requeue(b.scheduler, &b.left, "the node went away");
		answer_error(&b.store, ASK_REQUEUE, codes[i]);
		assert_int_equal(fake_asks_count(&b.store), 0);
	}
}

static void
test_freed_with_requeues_under_way(void **state)
{
	(void)state;
	begin();
	wake("delayed");
	answer_promoted(&b.store, "7.1", -1);
	scheduler_requeue(b.scheduler, &b.left, "the node went away");
	scheduler_free(&b.scheduler);
	assert_int_equal(b.store.taken_back, 1);
}

/* --- Redis away and back --- */

static void
test_redis_comes_back(void **state)
{
	(void)state;
	begin_with_job();
	wake("down");
	assert_int_equal(fake_asks_count(&b.store), 0);
	wake("up");                                 /* what was said meanwhile was missed */
	assert_null(asked(&b.store, ASK_REGISTER)); /* the epoch is still ours */
	assert_non_null(asked(&b.store, ASK_PLAN_CLAIM));
	assert_non_null(asked(&b.store, ASK_CLAIM));
	assert_non_null(asked(&b.store, ASK_PROMOTE));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_before_redis_is_up),
		TEST(test_start),
		TEST(test_start_that_fails),
		TEST(test_node_that_redis_does_not_know_registers_again),
		TEST(test_freed_while_starting),
		TEST(test_one_claim_for_each_free_slot),
		TEST(test_an_engine_came_up),
		TEST(test_woken_while_claiming),
		TEST(test_a_claim_that_fails),
		TEST(test_a_claim_that_fails_before_a_promotion),
		TEST(test_a_job_that_still_runs_here_is_given_back),
		TEST(test_drained),
		TEST(test_held),
		TEST(test_somebody_cancels_a_job),
		TEST(test_a_lease_is_lost),
		TEST(test_a_plannings_lease_is_lost),
		TEST(test_what_is_due_sets_the_clock),
		TEST(test_woken_while_promoting),
		TEST(test_a_promotion_that_fails),
		TEST(test_left_jobs_of_a_dead_node),
		TEST(test_left_jobs_go_on),
		TEST(test_a_requeue_that_fails),
		TEST(test_freed_with_requeues_under_way),
		TEST(test_redis_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
