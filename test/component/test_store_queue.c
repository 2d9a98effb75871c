#include "test/unit/unit.h"

#include <stdio.h>

#include "server/core/loop.h"
#include "test/component/store_suite.h"

/* --- the queue --- */

static void
test_two_repositories_share_the_slots(void **state)
{
	(void)state;
	assert_int_equal(put_repo(&f, "small", 0, false), ERR_NONE);
	queued_build(&f, "app", 5);
	queued_build(&f, "small", 2);
	assert_string_equal(claim_order(7), "1.1 2.1 1.2 2.2 1.3 1.4 1.5 ");
}

static void
test_newcomer_does_not_wait_behind_a_long_queue(void **state)
{
	(void)state;
	assert_int_equal(put_repo(&f, "late", 0, false), ERR_NONE);
	queued_build(&f, "app", 6);
	assert_string_equal(claim_order(3), "1.1 1.2 1.3 ");
	queued_build(&f, "late", 2);
	assert_string_equal(claim_order(5), "1.4 2.1 1.5 2.2 1.6 ");
}

static void
test_idle_repository_saves_nothing_up(void **state)
{
	(void)state;
	assert_int_equal(put_repo(&f, "idle", 0, false), ERR_NONE);
	queued_build(&f, "app", 4);
	claim_order(4);
	queued_build(&f, "idle", 3);
	queued_build(&f, "app", 3);
	assert_string_equal(claim_order(6), "2.1 3.1 2.2 3.2 2.3 3.3 ");
}

static void
test_weight_is_a_share(void **state)
{
	(void)state;
	assert_int_equal(put_repo(&f, "heavy", 0, false), ERR_NONE);
	redis_fixture_ask(&server, "HSET davit:repo:heavy weight 2");
	queued_build(&f, "app", 3);
	queued_build(&f, "heavy", 6);
	assert_string_equal(claim_order(9), "2.1 1.1 2.2 2.3 1.2 2.4 2.5 1.3 2.6 ");
}

static void
test_cancelled_jobs_cost_nothing(void **state)
{
	(void)state;
	assert_int_equal(put_repo(&f, "other", 0, false), ERR_NONE);
	queued_build(&f, "app", 20);
	assert_int_equal(build_cancel(&f, 1), ERR_NONE);
	queued_build(&f, "other", 2);
	queued_build(&f, "app", 2);
	assert_string_equal(claim_order(4), "2.1 3.1 2.2 3.2 ");
}

static void
test_repository_at_its_limit_is_held_and_released(void **state)
{
	struct job *job;

	(void)state;
	assert_int_equal(put_repo(&f, "app", 2, false), ERR_NONE);
	assert_int_equal(put_repo(&f, "other", 0, false), ERR_NONE);
	queued_build(&f, "app", 4);
	queued_build(&f, "other", 1);
	job = claim("1.1");
	assert_string_equal(claim_order(3), "2.1 1.2 "); /* 1.3 and 1.4 are held */
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:held:app"), 2);
	assert_int_equal(queue(&f), ERR_NONE);
	assert_int_equal(f.got.jobs.count, 2);
	assert_string_equal(f.got.jobs.items[0].id, "1.3");
	assert_string_equal(f.got.jobs.items[0].waits_for, "one of its repository's 2 running jobs to end");

	f.words[0] = '\0';
	assert_int_equal(job_finished(&f, "1.1", job->token, JOB_PASSED), ERR_NONE);
	job_free(&job);
	await_word(&f, "queue");
	assert_string_equal(claim_order(2), "1.3 ");
	assert_int_equal(put_repo(&f, "app", 0, false), ERR_NONE); /* no limit any more */
	assert_string_equal(claim_order(2), "1.4 ");
}

static void
test_many_held_jobs_do_not_block_the_others(void **state)
{
	(void)state;
	assert_int_equal(put_repo(&f, "app", 1, false), ERR_NONE);
	assert_int_equal(put_repo(&f, "other", 0, false), ERR_NONE);
	for (int i = 0; i < 3; i++)
		queued_build(&f, "app", 30);
	redis_fixture_ask(&server, "HSET davit:repo:other vt 200000");
	queued_build(&f, "other", 1);
	assert_string_equal(claim_order(1), "1.1 ");
	f.words[0] = '\0';
	assert_string_equal(claim_order(1), ""); /* a bounded look */
	await_word(&f, "queue");                 /* and a call to look again */
	assert_string_equal(claim_order(1), "4.1 ");
}

static void
test_queue_lists_jobs_in_the_order_of_claims(void **state)
{
	(void)state;
	assert_int_equal(put_repo(&f, "other", 0, false), ERR_NONE);
	queued_build(&f, "app", 2);
	queued_build(&f, "other", 1);
	assert_int_equal(queue(&f), ERR_NONE);
	assert_int_equal(f.got.jobs.count, 3);
	assert_string_equal(f.got.jobs.items[0].id, "1.1");
	assert_string_equal(f.got.jobs.items[1].id, "2.1");
	assert_string_equal(f.got.jobs.items[2].id, "1.2");
	assert_string_equal(f.got.jobs.items[2].repo, "app");
}

static void
test_running_lists_a_nodes_jobs(void **state)
{
	struct store_fixture other;

	(void)state;
	store_fixture_start(&other, &server, "n2");
	queued_build(&f, "app", 3);
	claim_order(2);
	assert_int_equal(job_claim(&other), ERR_NONE);
	submit(&f, "app", NULL, NULL);
	plan_claim(&f);
	assert_int_equal(running(&f, "n1"), ERR_NONE);
	assert_int_equal(f.got.jobs.count, 2);
	assert_int_equal(strlen(f.got.jobs.items[0].token), 32);
	assert_int_equal(running(&f, "n2"), ERR_NONE);
	assert_int_equal(f.got.jobs.count, 1);
	assert_int_equal(running(&f, NULL), ERR_NONE);
	assert_int_equal(f.got.jobs.count, 3);
	store_fixture_stop(&other);
}

static void
test_a_job_of_an_earlier_process_goes_on(void **state)
{
	struct store_fixture other;
	char token[64];

	(void)state;
	queued_build(&f, "app", 2);
	assert_int_equal(job_claim(&f), ERR_NONE);
	snprintf(token, sizeof(token), "%s", f.got.job->token);
	assert_int_equal(job_adopt(&f, "1.1", "another"), ERR_CONFLICT);
	assert_int_equal(job_adopt(&f, "1.2", ""), ERR_CONFLICT); /* nobody's yet */
	store_fixture_start(&other, &server, "n2");
	assert_int_equal(job_adopt(&other, "1.1", token), ERR_CONFLICT);
	store_fixture_stop(&other);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(job_adopt(&f, "1.1", token), ERR_NONE);
		assert_string_equal(f.got.job->id, "1.1");
		assert_string_equal(f.got.job->token, token);
		assert_true(f.got.job->spec[0] != '\0');
		assert_int_equal(f.got.build->build, 1);
		assert_non_null(f.got.build->change);
	}
	assert_int_equal(job_finished(&f, "1.1", token, JOB_PASSED), ERR_NONE);
	assert_int_equal(job_adopt(&f, "1.1", token), ERR_CONFLICT);
}

/* --- cancel and rerun --- */

static void
test_cancel_in_every_state_of_a_build(void **state)
{
	struct build *build;
	struct job *job;
	int64_t n;

	(void)state;
	n = submit(&f, "app", NULL, NULL); /* waits to be planned */
	assert_int_equal(build_cancel(&f, n), ERR_NONE);
	assert_int_equal(build_cancel(&f, n), ERR_NONE);
	assert_build(n, "cancelled");
	assert_int_equal(plan_claim(&f), ERR_NONE);
	assert_null(f.got.build);

	n = submit(&f, "app", NULL, NULL); /* is being planned */
	plan_claim(&f);
	build = take_build(&f);
	assert_int_equal(build_cancel(&f, n), ERR_NONE);
	assert_build(n, "cancelled");
	assert_int_equal(planned(&f, n, build->token, 1), ERR_CONFLICT);
	build_free(&build);

	n = queued_build(&f, "app", 2); /* queued */
	assert_int_equal(build_cancel(&f, n), ERR_NONE);
	assert_build(n, "cancelled");
	assert_job("3.2", "cancelled");
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:queue"), 0);

	n = queued_build(&f, "app", 2); /* one runs, one waits */
	job = claim("4.1");
	assert_int_equal(build_cancel(&f, n), ERR_NONE);
	assert_int_equal(build_cancel(&f, n), ERR_NONE);
	await_word(&f, "cancel 4.1");
	assert_job("4.1", "running");
	assert_job("4.2", "cancelled");
	assert_int_equal(job_finished(&f, "4.1", job->token, JOB_CANCELLED), ERR_NONE);
	assert_build(n, "cancelled");
	job_free(&job);

	n = queued_build(&f, "app", 1); /* finished */
	job = claim("5.1");
	assert_int_equal(job_finished(&f, "5.1", job->token, JOB_PASSED), ERR_NONE);
	assert_int_equal(build_cancel(&f, n), ERR_CONFLICT);
	assert_int_equal(job_cancel(&f, "5.1"), ERR_CONFLICT);
	assert_build(n, "passed");
	job_free(&job);
	assert_string_equal(redis_fixture_text(&server, "HGET davit:repo:app open"), "0");
}

static void
test_cancel_reaches_held_and_delayed_jobs(void **state)
{
	struct job *job;

	(void)state;
	assert_int_equal(put_repo(&f, "app", 1, false), ERR_NONE);
	queued_build(&f, "app", 3);
	job = claim("1.1");
	assert_string_equal(claim_order(1), "");
	assert_int_equal(job_cancel(&f, "1.2"), ERR_NONE); /* held */
	assert_int_equal(job_cancel(&f, "1.2"), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:held:app"), 1);
	assert_int_equal(job_requeue(&f, "1.1", job->token, 60000), ERR_NONE);
	assert_int_equal(job_cancel(&f, "1.1"), ERR_NONE); /* delayed */
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:delayed"), 0);
	assert_int_equal(job_cancel(&f, "1.3"), ERR_NONE); /* in line */
	assert_build(1, "cancelled");
	job_free(&job);
}

static void
test_requeue_of_a_job_to_be_cancelled_ends_it(void **state)
{
	struct job *job;

	(void)state;
	queued_build(&f, "app", 1);
	job = claim("1.1");
	assert_int_equal(job_cancel(&f, "1.1"), ERR_NONE);
	assert_int_equal(job_requeue(&f, "1.1", job->token, 0), ERR_NONE);
	assert_job("1.1", "cancelled");
	assert_build(1, "cancelled");
	assert_int_equal(redis_fixture_int(&server, "HGET davit:repo:app running"), 0);
	job_free(&job);
}

static void
test_rerun_builds_the_same_change(void **state)
{
	struct build *build;
	int64_t n = submit(&f, "app", "d-1", BODY_A);

	(void)state;
	assert_int_equal(build_rerun(&f, n), ERR_CONFLICT);
	assert_int_equal(build_cancel(&f, n), ERR_NONE);
	assert_int_equal(build_rerun(&f, n), ERR_NONE);
	assert_true(f.got.number == n + 1);
	assert_int_equal(build_rerun(&f, n), ERR_NONE);
	assert_true(f.got.number == n + 1);
	assert_int_equal(plan_claim(&f), ERR_NONE);
	build = take_build(&f);
	assert_true(build->build == n + 1);
	assert_true(build->rerun_of == n);
	assert_true(build->change_id == n);
	assert_string_equal(build->title, "Fix the pump");
	assert_string_equal(build->change->message, "Fix the pump\n\nIt leaked \"oil\".\r\n\xc3\xa4");
	assert_int_equal(plan_failed(&f, build->build, build->token, BUILD_FAILED), ERR_NONE);
	build_free(&build);

	assert_int_equal(build_rerun(&f, n), ERR_NONE); /* that one has ended: another one */
	assert_true(f.got.number == n + 2);
	assert_int_equal(build_cancel(&f, n + 2), ERR_NONE);
	assert_int_equal(prune(&f, 1), ERR_NONE); /* the change stays as long as a build of it */
	assert_int_equal(f.got.count, 2);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:change:1"), 1);
	assert_int_equal(prune(&f, 0), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:change:1"), 0);
}

/* --- lists and retention --- */

static void
test_builds_are_listed_from_the_newest(void **state)
{
	(void)state;
	assert_int_equal(put_repo(&f, "other", 0, false), ERR_NONE);
	for (int i = 0; i < 3; i++) {
		submit(&f, "app", NULL, NULL);
		submit(&f, "other", NULL, NULL);
	}
	assert_int_equal(builds(&f, NULL, 0, 4), ERR_NONE);
	assert_int_equal(f.got.builds.count, 4);
	assert_int_equal(f.got.builds.items[0].build, 6);
	assert_int_equal(f.got.builds.items[3].build, 3);
	assert_int_equal(builds(&f, NULL, 3, 50), ERR_NONE);
	assert_int_equal(f.got.builds.count, 2);
	assert_int_equal(builds(&f, "app", 0, 50), ERR_NONE);
	assert_int_equal(f.got.builds.count, 3);
	assert_int_equal(f.got.builds.items[0].build, 5);
	assert_string_equal(f.got.builds.items[0].repo, "app");
	assert_int_equal(builds(&f, "missing", 0, 50), ERR_NONE);
	assert_int_equal(f.got.builds.count, 0);
	assert_int_equal(builds(&f, "*", 0, 50), ERR_NOT_FOUND);
}

/* Logs of what another daemon has forgotten, or one that was killed before it had removed them. */
static void
test_forgotten_builds_are_told_apart(void **state)
{
	const int64_t builds[] = { 1, 2, 3 };

	(void)state;
	for (int64_t n = 1; n <= 2; n++)
		assert_int_equal(build_cancel(&f, submit(&f, "app", NULL, NULL)), ERR_NONE);
	assert_int_equal(prune(&f, 1), ERR_NONE);
	assert_int_equal(build_unknown(&f, builds, 3), ERR_NONE);
	assert_int_equal(f.got.count, 1); /* there never was a build 3 here */
	assert_int_equal(f.got.forgotten[0], 1);
	assert_int_equal(build_unknown(&f, builds, 0), ERR_NONE);
	assert_int_equal(f.got.count, 0);
}

static void
test_prune_keeps_the_newest_and_the_unfinished(void **state)
{
	struct job *job;

	(void)state;
	queued_build(&f, "app", 2); /* 1: stays, as it is not finished */
	for (int i = 0; i < 4; i++)
		queued_build(&f, "app", 2);
	for (int64_t n = 2; n <= 5; n++)
		assert_int_equal(build_cancel(&f, n), ERR_NONE);
	assert_int_equal(prune(&f, 2), ERR_NONE);
	assert_int_equal(f.got.count, 2);
	assert_int_equal(f.got.forgotten[0], 2);
	assert_int_equal(f.got.forgotten[1], 3);
	assert_int_equal(
	    redis_fixture_int(&server, "EXISTS davit:build:2 davit:change:2 davit:job:2.1 davit:job:2.2"), 0);
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:builds"), 3);
	assert_int_equal(prune(&f, 2), ERR_NONE);
	assert_int_equal(f.got.count, 0);
	job = claim("1.1");
	job_free(&job);
}

/* --- figures, words, two daemons --- */

static void
test_stats_count(void **state)
{
	(void)state;
	assert_int_equal(put_repo(&f, "app", 1, true), ERR_NONE);
	queued_build(&f, "app", 3);
	claim_order(2);
	queued_build(&f, "app", 0);
	submit(&f, "app", NULL, NULL);
	assert_int_equal(stats(&f), ERR_NONE);
	assert_int_equal(f.got.stats.repos, 1);
	assert_int_equal(f.got.stats.builds, 3);
	assert_int_equal(f.got.stats.planning, 1);
	assert_int_equal(f.got.stats.queued, 0);
	assert_int_equal(f.got.stats.held, 2);
	assert_int_equal(f.got.stats.delayed, 0);
	assert_int_equal(f.got.stats.running, 1);
	assert_int_equal(f.got.stats.outbox, 3);
	assert_int_equal(f.got.stats.dead, 0);
	assert_int_equal(f.got.stats.nodes, 1);
}

static void
test_words_tell_the_story(void **state)
{
	struct job *job;

	(void)state;
	await_word(&f, "queue"); /* the last of the setup */
	f.words[0] = '\0';
	queued_build(&f, "app", 1);
	job = claim("1.1");
	assert_int_equal(job_started(&f, "1.1", job->token, "c"), ERR_NONE);
	assert_int_equal(job_finished(&f, "1.1", job->token, JOB_PASSED), ERR_NONE);
	job_free(&job);
	await_word(&f, "outbox");
	/* what a command of ours brings about is told when it is sent, and again by Redis; the repository learns what
	 * its pipeline lets people choose */
	assert_string_equal(f.words,
	    "planning\nbuild 1 planning\nplanning\nqueue\nrepo app\nbuild 1 queued\nqueue\njob 1.1 running\n"
	    "build 1 running\nqueue\njob 1.1 passed\nbuild 1 passed\noutbox\n");
}

/* One of two daemons in one loop: keeps some claims in flight until there is nothing left. */
struct claimer {
	struct store_fixture *f;
	unsigned *in_flight; /* of both */
	unsigned *claimed;   /* by job, of both */
	unsigned own;
};

static void on_race(void *arg, struct job *job, struct build *build, const struct err *err);

static void
race(struct claimer *c)
{
	++*c->in_flight;
	store_job_claim(c->f->store, &(const char *){ "" }, 1, on_race, c);
}

static void
on_race(void *arg, struct job *job, struct build *build, const struct err *err)
{
	struct claimer *c = arg;
	int64_t n, k;

	assert_null(err);
	--*c->in_flight;
	if (job != NULL) {
		assert_true(job_id_parse(job->id, &n, &k));
		c->claimed[(n - 1) * 50 + k - 1]++;
		c->own++;
		race(c);
	} else if (*c->in_flight == 0) {
		loop_stop(c->f->loop);
	}
	job_free(&job);
	build_free(&build);
}

static void
test_two_daemons_never_claim_the_same_job(void **state)
{
	struct store_fixture other;
	unsigned in_flight = 0, claimed[200] = { 0 };
	struct claimer a = { &f, &in_flight, claimed, 0 };
	struct claimer b = { &other, &in_flight, claimed, 0 };

	(void)state;
	store_fixture_join(&other, f.loop, &server, "n2");
	for (int i = 0; i < 4; i++)
		queued_build(&f, "app", 50);
	for (int i = 0; i < 4; i++) {
		race(&a);
		race(&b);
	}
	loop_run(f.loop);
	for (int i = 0; i < 200; i++)
		assert_int_equal(claimed[i], 1);
	assert_true(a.own > 0 && b.own > 0);
	assert_int_equal(redis_fixture_int(&server, "HGET davit:repo:app running"), 200);
	store_fixture_stop(&other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SUITE_TEST(test_two_repositories_share_the_slots),
		SUITE_TEST(test_newcomer_does_not_wait_behind_a_long_queue),
		SUITE_TEST(test_idle_repository_saves_nothing_up),
		SUITE_TEST(test_weight_is_a_share),
		SUITE_TEST(test_cancelled_jobs_cost_nothing),
		SUITE_TEST(test_repository_at_its_limit_is_held_and_released),
		SUITE_TEST(test_many_held_jobs_do_not_block_the_others),
		SUITE_TEST(test_queue_lists_jobs_in_the_order_of_claims),
		SUITE_TEST(test_running_lists_a_nodes_jobs),
		SUITE_TEST(test_a_job_of_an_earlier_process_goes_on),
		SUITE_TEST(test_cancel_in_every_state_of_a_build),
		SUITE_TEST(test_cancel_reaches_held_and_delayed_jobs),
		SUITE_TEST(test_requeue_of_a_job_to_be_cancelled_ends_it),
		SUITE_TEST(test_rerun_builds_the_same_change),
		SUITE_TEST(test_builds_are_listed_from_the_newest),
		SUITE_TEST(test_forgotten_builds_are_told_apart),
		SUITE_TEST(test_prune_keeps_the_newest_and_the_unfinished),
		SUITE_TEST(test_stats_count),
		SUITE_TEST(test_words_tell_the_story),
		SUITE_TEST(test_two_daemons_never_claim_the_same_job),
	};

	return cmocka_run_group_tests(tests, suite_start, suite_stop);
}
