#include "test/unit/unit.h"

#include "test/component/store_suite.h"

/* --- outbox --- */

static void
claim_notice(const char *target, const char *notice_state)
{
	assert_int_equal(outbox_claim(&f), ERR_NONE);
	assert_non_null(f.got.notice);
	assert_string_equal(f.got.notice->target, target);
	assert_string_equal(f.got.notice->state, notice_state);
}

static void
test_events_are_written_for_those_who_want_them(void **state)
{
	struct job *job;
	int64_t n;

	(void)state;
	n = submit(&f, "app", NULL, NULL);
	assert_int_equal(build_cancel(&f, n), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:outbox"), 0); /* neither statuses nor mail */

	queued_build(&f, "app", 1); /* its pipeline asks for mail */
	job = claim("2.1");
	assert_int_equal(job_started(&f, "2.1", job->token, "c"), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:outbox"), 0);
	assert_int_equal(job_finished(&f, "2.1", job->token, JOB_PASSED), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "LLEN davit:outbox:build:2"), 1);
	job_free(&job);

	assert_int_equal(put_repo(&f, "app", 0, true), ERR_NONE);
	queued_build(&f, "app", 1);
	job = claim("3.1");
	assert_int_equal(job_started(&f, "3.1", job->token, "c"), ERR_NONE);
	assert_int_equal(job_finished(&f, "3.1", job->token, JOB_PASSED), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "LLEN davit:outbox:build:3"), 3); /* planning, running, passed */
	job_free(&job);
}

/* The lease would keep the target's order waiting, and nobody holds it any more. */
static void
test_what_a_dead_process_was_sending_is_due_at_once(void **state)
{
	struct store_fixture other, again;
	struct notice *notice;
	int64_t n;

	(void)state;
	assert_int_equal(put_repo(&f, "app", 0, true), ERR_NONE);
	n = submit(&f, "app", NULL, NULL);
	assert_int_equal(build_cancel(&f, n), ERR_NONE);
	claim_notice("build:1", "planning");
	store_fixture_start(&other, &server, "n2");
	assert_int_equal(outbox_claim(&other), ERR_NONE);
	assert_null(other.got.notice); /* another node's start is no end of this one */
	store_fixture_start(&again, &server, "n1");
	assert_int_equal(outbox_claim(&other), ERR_NONE);
	notice = take_notice(&other);
	assert_int_equal(outbox_ack(&other, notice), ERR_NONE);
	notice_free(&notice);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:sending"), 0);
	store_fixture_stop(&again);
	store_fixture_stop(&other);
}

static void
test_outbox_keeps_order_and_the_lease(void **state)
{
	struct notice *notice;
	int64_t n;

	(void)state;
	assert_int_equal(put_repo(&f, "app", 0, true), ERR_NONE);
	n = submit(&f, "app", NULL, NULL);
	assert_int_equal(build_cancel(&f, n), ERR_NONE);
	claim_notice("build:1", "planning");
	notice = take_notice(&f);
	assert_string_equal(notice->kind, "build");
	assert_int_equal(notice->build, 1);
	assert_int_equal(outbox_claim(&f), ERR_NONE);
	assert_null(f.got.notice); /* the target is ours for the lease */
	assert_true(f.got.number > 25000 && f.got.number <= 30000);
	assert_int_equal(outbox_ack(&f, notice), ERR_NONE);
	assert_int_equal(outbox_ack(&f, notice), ERR_NONE); /* takes nothing else away */
	notice_free(&notice);
	claim_notice("build:1", "cancelled");
	notice = take_notice(&f);
	assert_int_equal(outbox_ack(&f, notice), ERR_NONE);
	notice_free(&notice);
	assert_int_equal(outbox_claim(&f), ERR_NONE);
	assert_null(f.got.notice);
	assert_true(f.got.number == -1);
	assert_int_equal(
	    redis_fixture_int(&server, "EXISTS davit:outbox davit:outbox:build:1 davit:notice:1 davit:notice:2"), 0);
}

static void
test_outbox_retry_waits_and_counts(void **state)
{
	struct notice *notice;

	(void)state;
	assert_int_equal(put_repo(&f, "app", 0, true), ERR_NONE);
	submit(&f, "app", NULL, NULL);
	claim_notice("build:1", "planning");
	notice = take_notice(&f);
	assert_int_equal(outbox_retry(&f, notice, 5000), ERR_NONE);
	assert_int_equal(outbox_retry(&f, notice, 5000), ERR_NONE); /* the same one: counted once */
	notice_free(&notice);
	assert_int_equal(outbox_claim(&f), ERR_NONE);
	assert_null(f.got.notice);
	assert_true(f.got.number > 3000 && f.got.number <= 5000);
	redis_fixture_ask(&server, "ZADD davit:outbox XX 1 build:1");
	claim_notice("build:1", "planning");
	assert_int_equal(f.got.notice->attempts, 1);
	assert_string_equal(f.got.notice->last_error, "503");
}

static void
test_outbox_drop_lets_the_next_one_pass(void **state)
{
	struct notice *notice;

	(void)state;
	assert_int_equal(put_repo(&f, "app", 0, true), ERR_NONE);
	submit(&f, "app", NULL, NULL);
	assert_int_equal(build_cancel(&f, 1), ERR_NONE);
	claim_notice("build:1", "planning");
	notice = take_notice(&f);
	assert_int_equal(outbox_drop(&f, notice), ERR_NONE);
	assert_int_equal(outbox_drop(&f, notice), ERR_NONE);
	claim_notice("build:1", "cancelled");
	assert_string_equal(redis_fixture_text(&server, "LINDEX davit:outbox:dead 0"), notice->notice);
	assert_int_equal(redis_fixture_int(&server, "LLEN davit:outbox:dead"), 1);
	assert_string_equal(redis_fixture_text(&server, "HGET davit:notice:%s last_error", notice->notice), "404");
	notice_free(&notice);
}

static void
test_dead_notices_are_bounded(void **state)
{
	struct notice *notice;

	(void)state;
	assert_int_equal(put_repo(&f, "app", 0, true), ERR_NONE);
	redis_fixture_ask(&server, "EVAL %s 0",
	    "for i=1,1000 do redis.call('RPUSH','davit:outbox:dead','d'..i) "
	    "redis.call('HSET','davit:notice:d'..i,'notice','d'..i) end");
	submit(&f, "app", NULL, NULL);
	claim_notice("build:1", "planning");
	notice = take_notice(&f);
	assert_int_equal(outbox_drop(&f, notice), ERR_NONE);
	notice_free(&notice);
	assert_int_equal(redis_fixture_int(&server, "LLEN davit:outbox:dead"), 1000);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:notice:d1000"), 0);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:notice:d999"), 1);
}

static void
test_fanout_replaces_the_event_once(void **state)
{
	static const struct store_fanout to[] = {
		{ "status:app", "status", "pending" },
		{ "mail:ada@example.org", "mail", "{}" },
	};
	struct notice *event;

	(void)state;
	assert_int_equal(put_repo(&f, "app", 0, true), ERR_NONE);
	submit(&f, "app", NULL, NULL);
	claim_notice("build:1", "planning");
	event = take_notice(&f);
	assert_int_equal(outbox_fanout(&f, event, to, 2), ERR_NONE);
	assert_int_equal(outbox_fanout(&f, event, to, 2), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "LLEN davit:outbox:status:app"), 1);
	assert_string_equal(redis_fixture_text(&server, "LINDEX davit:outbox:mail:ada@example.org 0"), "1.2");
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:outbox:build:1 davit:notice:1"), 0);
	notice_free(&event);
	claim_notice("mail:ada@example.org", "planning");
	assert_string_equal(f.got.notice->kind, "mail");
	assert_string_equal(f.got.notice->payload, "{}");
	assert_int_equal(f.got.notice->build, 1);
}

static void
test_finished_build_knows_the_one_before_it(void **state)
{
	static const enum build_state ends[] = { BUILD_FAILED, BUILD_CANCELLED, BUILD_PASSED };
	static const char *const previous[] = { "", "failed", "failed" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		int64_t n = submit(&f, "app", NULL, NULL);
		struct build *build;

		plan_claim(&f);
		build = take_build(&f);
		assert_int_equal(plan_failed(&f, n, build->token, ends[i]), ERR_NONE);
		assert_int_equal(build_get(&f, n), ERR_NONE);
		assert_string_equal(f.got.build->previous, previous[i]);
		build_free(&build);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SUITE_TEST(test_events_are_written_for_those_who_want_them),
		SUITE_TEST(test_what_a_dead_process_was_sending_is_due_at_once),
		SUITE_TEST(test_outbox_keeps_order_and_the_lease),
		SUITE_TEST(test_outbox_retry_waits_and_counts),
		SUITE_TEST(test_outbox_drop_lets_the_next_one_pass),
		SUITE_TEST(test_dead_notices_are_bounded),
		SUITE_TEST(test_fanout_replaces_the_event_once),
		SUITE_TEST(test_finished_build_knows_the_one_before_it),
	};

	return cmocka_run_group_tests(tests, suite_start, suite_stop);
}
