/* What makes builds, besides a push: forks that wait for an approval, schedules, and commits that are known late. */
#include "test/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/core/loop.h"
#include "test/component/store_suite.h"

#define PULL "refs/pull/7/head"
#define LATER 4000000000000

static const char *
field(int64_t build, const char *name)
{
	return redis_fixture_text(&server, "HGET davit:build:%lld %s", (long long)build, name);
}

/* --- forks --- */

static void
test_a_fork_waits_and_is_approved_once(void **state)
{
	int64_t n = submit_pull(&f, "app", PULL, true);

	(void)state;
	assert_build(n, "waiting");
	assert_int_equal(plan_claim(&f), ERR_NONE);
	assert_null(f.got.build); /* nothing is planned before */
	assert_int_equal(build_approve(&f, n), ERR_NONE);
	assert_build(n, "planning");
	assert_string_equal(field(n, "approved_by"), "admin");
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:waiting davit:waiting:app:refs/pull/7/head"), 0);
	assert_int_equal(build_approve(&f, n), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:planning"), 1);
	assert_int_equal(build_reject(&f, n), ERR_CONFLICT);
	assert_int_equal(plan_claim(&f), ERR_NONE);
	assert_int_equal(f.got.build->build, n);
	assert_int_equal(f.got.build->change->trust, CHANGE_FORK); /* an approval makes nobody trusted */
	assert_string_equal(f.got.build->reason, "");
}

static void
test_a_fork_is_rejected(void **state)
{
	int64_t n = submit_pull(&f, "app", PULL, true);

	(void)state;
	assert_int_equal(build_reject(&f, n), ERR_NONE);
	assert_build(n, "cancelled");
	assert_string_equal(field(n, "reason"), "rejected by admin");
	assert_int_equal(build_reject(&f, n), ERR_NONE);
	assert_int_equal(build_approve(&f, n), ERR_CONFLICT);
	assert_int_equal(build_approve(&f, 99), ERR_NOT_FOUND);
	assert_int_equal(build_reject(&f, 99), ERR_NOT_FOUND);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:waiting davit:waiting:app:refs/pull/7/head"), 0);
	assert_int_equal(redis_fixture_int(&server, "HGET davit:repo:app open"), 0);
}

static void
test_a_waiting_build_can_be_cancelled(void **state)
{
	int64_t n = submit_pull(&f, "app", PULL, true);

	(void)state;
	assert_int_equal(build_cancel(&f, n), ERR_NONE);
	assert_build(n, "cancelled");
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:waiting"), 0);
}

/* A rerun is asked for by somebody who may: that is an approval. */
static void
test_a_rejected_build_can_be_run_again(void **state)
{
	int64_t n = submit_pull(&f, "app", PULL, true);

	(void)state;
	assert_int_equal(build_rerun(&f, n), ERR_CONFLICT);
	assert_int_equal(build_reject(&f, n), ERR_NONE);
	assert_int_equal(build_rerun(&f, n), ERR_NONE);
	assert_build(f.got.number, "planning");
	assert_int_equal(plan_claim(&f), ERR_NONE);
	assert_int_equal(f.got.build->change->trust, CHANGE_FORK);
}

static void
test_a_newer_push_supersedes(void **state)
{
	int64_t first = submit_pull(&f, "app", PULL, true);
	int64_t other = submit_pull(&f, "app", "refs/pull/8/head", true);
	int64_t second = submit_pull(&f, "app", PULL, true);

	(void)state;
	assert_build(first, "cancelled");
	assert_string_equal(field(first, "reason"), "superseded by build 3");
	assert_build(other, "waiting");
	assert_build(second, "waiting");
	assert_int_equal(build_approve(&f, second), ERR_NONE);
	assert_true(submit_pull(&f, "app", PULL, true) > 0);
	assert_build(second, "planning"); /* approved is approved */
}

static void
test_a_closed_pull_request_waits_no_longer(void **state)
{
	int64_t n = submit_pull(&f, "app", PULL, true), other = submit_pull(&f, "app", "refs/pull/8/head", true);

	(void)state;
	assert_int_equal(pull_close(&f, "app", PULL), ERR_NONE);
	assert_int_equal(f.got.number, 1);
	assert_build(n, "cancelled");
	assert_string_equal(field(n, "reason"), "its pull request was closed");
	assert_build(other, "waiting");
	assert_int_equal(pull_close(&f, "app", PULL), ERR_NONE);
	assert_int_equal(f.got.number, 0);
	n = submit_pull(&f, "app", PULL, true); /* it was opened again */
	assert_build(n, "waiting");
}

static void
test_nobody_approves_in_time(void **state)
{
	int64_t n = submit_pull(&f, "app", PULL, true);
	int64_t left = redis_fixture_int(&server, "ZSCORE davit:waiting %lld", (long long)n) - loop_wall_ms();

	(void)state;
	assert_in_range(left, 7 * 86400000 - 60000, 7 * 86400000 + 60000);
	assert_int_equal(promote(&f), ERR_NONE);
	assert_build(n, "waiting");
	assert_in_range(f.got.number, 7 * 86400000 - 60000, 7 * 86400000);
	redis_fixture_ask(&server, "ZADD davit:waiting 1 %lld", (long long)n);
	assert_int_equal(promote(&f), ERR_NONE);
	assert_build(n, "cancelled");
	assert_memory_equal(field(n, "reason"), "rejected: nobody approved it within ", 36);
	assert_int_equal(f.got.number, -1);
}

static void
test_the_repository_says_how_long_and_whether(void **state)
{
	int64_t n;

	(void)state;
	redis_fixture_ask(&server, "HSET davit:repo:app approval_s 60");
	n = submit_pull(&f, "app", PULL, true);
	assert_in_range(
	    redis_fixture_int(&server, "ZSCORE davit:waiting %lld", (long long)n) - loop_wall_ms(), 1, 61000);
	redis_fixture_ask(&server, "HSET davit:repo:app forks allow");
	assert_build(submit_pull(&f, "app", "refs/pull/8/head", true), "planning");
	redis_fixture_ask(&server, "HSET davit:repo:app forks approve");
	assert_build(submit_pull(&f, "app", "refs/pull/9/head", false), "planning");
	assert_build(submit_pull(&f, "app", "refs/pull/10/head", true), "waiting");
}

static void
test_waiting_is_told(void **state)
{
	int64_t n;

	(void)state;
	assert_int_equal(put_repo(&f, "told", 0, true), ERR_NONE);
	n = submit_pull(&f, "told", PULL, true);
	assert_int_equal(outbox_claim(&f), ERR_NONE);
	assert_string_equal(f.got.notice->state, "waiting");
	assert_string_equal(field(n, "reason"), "it is a pull request of a fork");
	f.words[0] = '\0';
	assert_int_equal(build_approve(&f, n), ERR_NONE);
	await_word(&f, "build 1 planning");
}

/* --- commits that are known when the build is planned --- */

static void
test_a_commit_is_found_out(void **state)
{
	static const struct store_commit found = { "refs/heads/next/2", "9999999999999999999999999999999999999999", "",
		"" };
	struct schedule_list due;
	struct build *build;

	(void)state;
	assert_int_equal(put_repo(&f, "told", 0, true), ERR_NONE);
	assert_int_equal(schedule_put(&f, "told", 1), ERR_NONE);
	assert_int_equal(schedules_due(&f), ERR_NONE);
	due = f.got.schedules;
	f.got.schedules = (struct schedule_list){ 0 };
	assert_int_equal(schedule_fire(&f, &due.items[0], LATER), ERR_NONE);
	schedule_list_fini(&due);
	assert_int_equal(outbox_claim(&f), ERR_NONE);
	assert_null(f.got.notice); /* there is no commit that could have a status */
	assert_int_equal(plan_claim(&f), ERR_NONE);
	build = take_build(&f);
	assert_string_equal(build->commit, "");
	assert_null(build->change->commit);
	assert_int_equal(plan_commit(&f, build->build, "stale", &found), ERR_CONFLICT);
	assert_int_equal(plan_commit(&f, build->build, build->token, &found), ERR_NONE);
	assert_int_equal(plan_failed(&f, build->build, build->token, BUILD_FAILED), ERR_NONE);
	build_free(&build);
	assert_int_equal(build_rerun(&f, 1), ERR_NONE); /* the same commit again, not the newest one */
	assert_int_equal(plan_claim(&f), ERR_NONE);
	assert_string_equal(f.got.build->commit, found.commit);
	assert_string_equal(f.got.build->change->commit, found.commit);
	assert_string_equal(f.got.build->ref, found.ref);
	assert_string_equal(f.got.build->branch, "next/2");
	assert_string_equal(f.got.build->change->ref, found.ref);
	assert_int_equal(f.got.build->change->event, CHANGE_CRON);
}

/* --- what builds by hand may choose --- */

static void
plan_next(void)
{
	struct build *build;

	assert_int_equal(plan_claim(&f), ERR_NONE);
	build = take_build(&f);
	assert_int_equal(planned(&f, build->build, build->token, 1), ERR_NONE);
	build_free(&build);
}

static void
test_the_last_plan_says_what_may_be_chosen(void **state)
{
	static const char parameters[] =
	    "[{\"name\":\"level\",\"default\":\"quick\",\"description\":null,\"required\":true,"
	    "\"options\":[]}]";

	(void)state;
	assert_int_equal(build_approve(&f, submit_pull(&f, "app", PULL, true)), ERR_NONE);
	plan_next();
	assert_int_equal(repo_get(&f, "app"), ERR_NONE);
	assert_string_equal(f.got.repo->parameters, ""); /* a fork has no say */
	submit_pull(&f, "app", "refs/pull/8/head", false);
	f.words[0] = '\0';
	plan_next();
	await_word(&f, "repo app");
	assert_int_equal(repo_get(&f, "app"), ERR_NONE);
	assert_string_equal(f.got.repo->parameters, parameters);
	assert_int_equal(put_repo(&f, "app", 0, false), ERR_NONE); /* settings do not touch it */
	assert_int_equal(repo_get(&f, "app"), ERR_NONE);
	assert_string_equal(f.got.repo->parameters, parameters);
}

/* --- schedules --- */

static void
test_schedules_are_kept(void **state)
{
	(void)state;
	assert_int_equal(schedule_put(&f, "nowhere", LATER), ERR_NOT_FOUND);
	assert_int_equal(schedule_put(&f, "app", LATER), ERR_NONE);
	assert_int_equal(schedule_put(&f, "app", LATER + 1), ERR_NONE);
	assert_int_equal(schedules(&f, "app"), ERR_NONE);
	assert_int_equal(f.got.schedules.count, 1);
	assert_string_equal(f.got.schedules.items[0].rule, "0 3 * * *");
	assert_string_equal(f.got.schedules.items[0].params, "{\"A\":\"1\"}");
	assert_int_equal(f.got.schedules.items[0].next_ms, LATER + 1);
	assert_int_equal(f.got.schedules.items[0].last_build, 0);
	assert_int_equal(schedules_due(&f), ERR_NONE);
	assert_int_equal(f.got.schedules.count, 0);
	assert_true(f.got.number > 0);
	assert_int_equal(schedule_delete(&f, "app"), ERR_NONE);
	assert_int_equal(schedule_delete(&f, "app"), ERR_NOT_FOUND);
	assert_int_equal(
	    redis_fixture_int(&server, "EXISTS davit:cron davit:cron:app:nightly davit:repo:app:crons"), 0);
}

static void
test_a_deleted_repository_has_no_schedules(void **state)
{
	(void)state;
	assert_int_equal(schedule_put(&f, "app", LATER), ERR_NONE);
	assert_int_equal(repo_delete(&f, "app"), ERR_NONE);
	assert_int_equal(
	    redis_fixture_int(&server, "EXISTS davit:cron davit:cron:app:nightly davit:repo:app:crons"), 0);
}

static void
test_too_many_schedules(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		redis_fixture_ask(&server, "SADD davit:repo:app:crons c%d", i);
	assert_int_equal(schedule_put(&f, "app", LATER), ERR_LIMIT);
}

/* Two daemons see that it is due; one of them makes the build. */
static void
test_a_schedule_fires_once(void **state)
{
	struct store_fixture other;
	struct schedule_list due;

	(void)state;
	store_fixture_join(&other, f.loop, &server, "n2");
	assert_int_equal(schedule_put(&f, "app", 1000), ERR_NONE);
	assert_int_equal(schedules_due(&f), ERR_NONE);
	assert_int_equal(schedules_due(&other), ERR_NONE);
	assert_int_equal(other.got.schedules.count, 1);
	due = f.got.schedules;
	f.got.schedules = (struct schedule_list){ 0 };
	assert_int_equal(due.items[0].next_ms, 1000);
	assert_int_equal(schedule_fire(&f, &due.items[0], LATER), ERR_NONE);
	assert_int_equal(f.got.number, 1);
	assert_int_equal(schedule_fire(&other, &due.items[0], LATER), ERR_CONFLICT);
	assert_int_equal(schedule_fire(&f, &due.items[0], LATER), ERR_CONFLICT); /* a lost answer, asked again */
	schedule_list_fini(&due);
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:builds"), 1);
	assert_int_equal(schedules(&f, "app"), ERR_NONE);
	assert_int_equal(f.got.schedules.items[0].last_build, 1);
	assert_int_equal(f.got.schedules.items[0].next_ms, LATER);
	assert_int_equal(plan_claim(&f), ERR_NONE);
	assert_string_equal(f.got.build->event, "cron");
	assert_string_equal(f.got.build->change->params, "{\"A\":\"1\"}");
	store_fixture_stop(&other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SUITE_TEST(test_a_fork_waits_and_is_approved_once),
		SUITE_TEST(test_a_fork_is_rejected),
		SUITE_TEST(test_a_waiting_build_can_be_cancelled),
		SUITE_TEST(test_a_rejected_build_can_be_run_again),
		SUITE_TEST(test_a_newer_push_supersedes),
		SUITE_TEST(test_a_closed_pull_request_waits_no_longer),
		SUITE_TEST(test_nobody_approves_in_time),
		SUITE_TEST(test_the_repository_says_how_long_and_whether),
		SUITE_TEST(test_waiting_is_told),
		SUITE_TEST(test_a_commit_is_found_out),
		SUITE_TEST(test_the_last_plan_says_what_may_be_chosen),
		SUITE_TEST(test_schedules_are_kept),
		SUITE_TEST(test_a_deleted_repository_has_no_schedules),
		SUITE_TEST(test_too_many_schedules),
		SUITE_TEST(test_a_schedule_fires_once),
	};

	return cmocka_run_group_tests(tests, suite_start, suite_stop);
}
