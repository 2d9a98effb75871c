/* Who waits for whom beyond the graph: concurrency groups, labels and their queues, priorities. */
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "test/component/store_suite.h"

#define SUPERSEDED "a newer build of the group took its place"

/* One job of a plan: its group, or its labels. */
static struct job_spec
job_spec(const char *group, bool cancel, const char *label)
{
	static char name[] = "deploy", image[] = "alpine:3";
	struct job_spec job = { .name = name, .image = image };

	job.concurrency = (struct concurrency_spec){ .group = (char *)group, .cancel = cancel };
	if (label != NULL)
		strings_add(&job.labels, str_of(label));
	return job;
}

static struct build *
planning_build(const char *repo)
{
	assert_true(submit(&f, repo, NULL, NULL) > 0);
	assert_int_equal(plan_claim(&f), ERR_NONE);
	return take_build(&f);
}

/* Frees the jobs' labels. */
static void
plan_build(struct build *build, struct job_spec *jobs, size_t count)
{
	const struct plan plan = { .jobs = jobs, .job_count = count };

	assert_int_equal(planned_with(&f, build->build, build->token, &plan), ERR_NONE);
	build_free(&build);
	for (size_t i = 0; i < count; i++)
		strings_fini(&jobs[i].labels);
}

static void
group_build(const char *repo, const char *group, bool cancel)
{
	struct job_spec job = job_spec(group, cancel, NULL);

	plan_build(planning_build(repo), &job, 1);
}

static void
label_build(const char *repo, const char *label, size_t count)
{
	struct job_spec jobs[JOB_ID_MAX];

	for (size_t i = 0; i < count; i++)
		jobs[i] = job_spec(NULL, false, label);
	plan_build(planning_build(repo), jobs, count);
}

static void
finish(struct job **job, enum job_state state)
{
	assert_int_equal(job_finished(&f, (*job)->id, (*job)->token, state), ERR_NONE);
	job_free(job);
}

static void
assert_waits_for(const char *job, const char *words)
{
	assert_int_equal(job_get(&f, job), ERR_NONE);
	assert_string_equal(f.got.job->waits_for, words);
}

static void
assert_reason(const char *job, const char *reason)
{
	assert_string_equal(redis_fixture_text(&server, "HGET davit:job:%s reason", job), reason);
}

static void
assert_no_group(void)
{
	assert_int_equal(redis_fixture_int(&server, "EVAL %s 0",
			     "return #redis.call('KEYS', 'davit:group:*') + #redis.call('KEYS', 'davit:members:*')"),
	    0);
}

/* --- groups --- */

static void
test_one_of_a_group_at_a_time_in_the_order_of_builds(void **state)
{
	struct job *job;

	(void)state;
	assert_int_equal(put_repo(&f, "other", 0, false), ERR_NONE);
	for (int i = 0; i < 3; i++)
		group_build("app", "deploy", false);
	group_build("app", "docs", false);
	group_build("other", "deploy", false); /* a group belongs to its repository */
	assert_waits_for("2.1", "group deploy: job 1.1 is before it");
	job = claim("1.1");
	assert_waits_for("2.1", "group deploy: job 1.1 runs");
	assert_string_equal(claim_order(3), "5.1 4.1 ");
	finish(&job, JOB_FAILED);
	assert_waits_for("3.1", "group deploy: job 2.1 is before it");
	job = claim("2.1");
	finish(&job, JOB_PASSED);
	job = claim("3.1");
	finish(&job, JOB_PASSED);
	assert_build(3, "passed");
}

static void
test_a_group_is_freed_by_every_end(void **state)
{
	struct job *job;

	(void)state;
	for (int i = 0; i < 6; i++)
		group_build("app", "deploy", false);
	assert_int_equal(job_cancel(&f, "3.1"), ERR_NONE); /* waits for the group */
	assert_int_equal(job_cancel(&f, "1.1"), ERR_NONE); /* has the group, waits for a slot */
	assert_job("1.1", "cancelled");
	job = claim("2.1"); /* runs on a node that dies */
	expire("2.1");
	assert_int_equal(promote(&f), ERR_NONE);
	assert_int_equal(job_requeue(&f, "2.1", job->token, 60000), ERR_NONE);
	job_free(&job);
	assert_string_equal(claim_order(1), ""); /* and keeps the group until its next attempt */
	assert_waits_for("4.1", "group deploy: job 2.1 is before it");
	assert_int_equal(build_cancel(&f, 2), ERR_NONE);
	job = claim("4.1");
	assert_int_equal(build_cancel(&f, 4), ERR_NONE);
	assert_int_equal(job_requeue(&f, "4.1", job->token, 0), ERR_NONE); /* is to end: it does */
	job_free(&job);
	job = claim("5.1");
	finish(&job, JOB_ERROR);
	job = claim("6.1");
	finish(&job, JOB_TIMED_OUT);
	assert_no_group();
}

static void
test_a_newer_build_cancels_what_runs_and_what_waits(void **state)
{
	struct job *job;

	(void)state;
	for (int i = 0; i < 2; i++)
		group_build("app", "ci-main", false);
	job = claim("1.1");
	group_build("app", "ci-main", true);
	assert_job("2.1", "cancelled");
	assert_reason("2.1", SUPERSEDED);
	await_word(&f, "cancel 1.1");
	assert_job("1.1", "running");
	assert_waits_for("3.1", "group ci-main: job 1.1 runs");
	assert_int_equal(job_finished(&f, "1.1", job->token, JOB_CANCELLED), ERR_NONE);
	job_free(&job);
	assert_build(1, "cancelled");
	assert_reason("1.1", SUPERSEDED);
	job = claim("3.1");
	finish(&job, JOB_PASSED);
	assert_no_group();
}

static void
test_an_older_build_that_comes_late_gives_way(void **state)
{
	struct build *late = planning_build("app");
	struct job_spec job = job_spec("ci-main", true, NULL);

	(void)state;
	group_build("app", "ci-main", true);
	plan_build(late, &job, 1);
	assert_job("1.1", "cancelled");
	assert_reason("1.1", SUPERSEDED);
	assert_string_equal(claim_order(2), "2.1 ");
}

static void
test_jobs_of_one_build_share_a_group(void **state)
{
	struct job_spec jobs[3];
	struct need_spec need = { .job = 1 };
	struct job *job;

	(void)state;
	for (int i = 0; i < 3; i++)
		jobs[i] = job_spec("one", true, NULL);
	jobs[1].needs = &need; /* is a member before it is ready */
	jobs[1].need_count = 1;
	plan_build(planning_build("app"), jobs, 3);
	job = claim("1.1");
	finish(&job, JOB_PASSED);
	job = claim("1.3");
	assert_waits_for("1.2", "group one: job 1.3 runs");
	finish(&job, JOB_PASSED);
	job = claim("1.2");
	group_build("app", "one", true); /* reaches a newer build's elder only */
	await_word(&f, "cancel 1.2");
	finish(&job, JOB_CANCELLED);
	job = claim("2.1");
	finish(&job, JOB_PASSED);
	assert_no_group();
}

static void
test_the_newer_build_reaches_jobs_that_wait_for_others(void **state)
{
	struct job_spec jobs[2] = { job_spec(NULL, false, NULL), job_spec("deploy", true, NULL) };
	struct need_spec need = { .job = 1 };
	struct job *job;

	(void)state;
	jobs[1].needs = &need;
	jobs[1].need_count = 1;
	plan_build(planning_build("app"), jobs, 2);
	group_build("app", "deploy", true);
	assert_job("1.2", "cancelled");
	assert_job("1.1", "queued");
	job = claim("1.1");
	finish(&job, JOB_PASSED);
	assert_build(1, "cancelled");
}

/* What is in no queue is listed as well, with what it waits for. */
static void
test_the_listing_has_who_waits_for_a_group_or_for_jobs(void **state)
{
	static const struct {
		const char *id, *waits_for;
	} listed[] = {
		{ "1.1", "a free slot" },
		{ "3.1", "a free slot" },
		{ "3.2", "first to end" },
		{ "2.1", "group deploy: job 1.1 is before it" },
	};
	struct job_spec jobs[2] = { job_spec(NULL, false, NULL), job_spec(NULL, false, NULL) };
	struct need_spec need = { .job = 1 };

	(void)state;
	group_build("app", "deploy", false);
	group_build("app", "deploy", false);
	jobs[0].name = (char[]){ "first" };
	jobs[1].needs = &need;
	jobs[1].need_count = 1;
	plan_build(planning_build("app"), jobs, 2);
	assert_int_equal(queue(&f), ERR_NONE);
	assert_int_equal(f.got.jobs.count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(f.got.jobs.items[i].id, listed[i].id);
		assert_string_equal(f.got.jobs.items[i].waits_for, listed[i].waits_for);
	}
}

/* A pull request was closed: what has not begun ends where the pipeline says that newer builds may end it. */
static void
test_a_closed_pull_request_ends_what_has_not_begun(void **state)
{
	char ref[100];
	struct job *deploy, *again;

	(void)state;
	group_build("app", "ci-main", true);
	group_build("app", "deploy", false);
	snprintf(ref, sizeof(ref), "%s", redis_fixture_text(&server, "HGET davit:build:1 ref"));
	assert_int_equal(pull_close(&f, "app", "refs/heads/other"), ERR_NONE);
	assert_int_equal(f.got.number, 0);
	assert_int_equal(pull_close(&f, "app", ref), ERR_NONE);
	assert_int_equal(f.got.number, 1);
	assert_build(1, "cancelled");
	assert_reason("1.1", "its pull request was closed");
	assert_build(2, "queued");
	group_build("app", "ci-main", true);
	deploy = claim("2.1");
	again = claim("3.1");
	assert_int_equal(job_started(&f, "3.1", again->token, "c1"), ERR_NONE);
	assert_int_equal(pull_close(&f, "app", ref), ERR_NONE);
	assert_int_equal(f.got.number, 0);
	job_free(&deploy);
	job_free(&again);
}

/* --- random builds in few groups --- */

#define ROUNDS 40
#define BUILDS 12

static uint64_t seed = 20260102;

static unsigned
pick(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % below;
}

static void
random_build(void)
{
	static char groups[3][8] = { "a", "b", "c" };
	struct need_spec needs[4] = { { 0 } };
	struct job_spec jobs[4];
	size_t count = 1 + pick(4);

	for (size_t i = 0; i < count; i++) {
		jobs[i] = job_spec(pick(5) == 0 ? NULL : groups[pick(3)], pick(4) == 0, pick(4) == 0 ? "gpu" : NULL);
		jobs[i].run_on = pick(3) == 0 ? RUN_ALWAYS : RUN_ON_SUCCESS;
		jobs[i].retry = (struct retry_spec){ pick(2), RETRY_FAILURE };
		if (i > 0 && pick(2) == 0) {
			needs[i].job = 1 + pick((unsigned)i);
			jobs[i].needs = &needs[i];
			jobs[i].need_count = 1;
		}
	}
	plan_build(planning_build("app"), jobs, count);
}

/* Of the jobs at hand no two have the same group. */
static void
assert_alone(struct job *const *running, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < i; k++)
			if (running[i]->group[0] != '\0')
				assert_string_not_equal(running[i]->group, running[k]->group);
}

static bool
claim_one(struct job **running, size_t *count)
{
	assert_int_equal(job_claim_with(&f, "gpu"), ERR_NONE);
	if (f.got.job == NULL)
		return false;
	running[(*count)++] = take_job(&f);
	assert_alone(running, *count);
	return true;
}

static void
end_one(struct job **running, size_t *count)
{
	static const enum job_state ends[] = { JOB_PASSED, JOB_FAILED, JOB_CANCELLED, JOB_ERROR };
	size_t i = pick((unsigned)*count);
	struct job *job = running[i];

	running[i] = running[--*count];
	if (pick(4) == 0)
		assert_int_equal(job_requeue(&f, job->id, job->token, pick(2) * 1000), ERR_NONE);
	else
		assert_int_equal(job_finished(&f, job->id, job->token, ends[pick(4)]), ERR_NONE);
	job_free(&job);
}

static void
make_delayed_due(void)
{
	redis_fixture_ask(&server, "EVAL %s 0",
	    "for _, j in ipairs(redis.call('ZRANGE', 'davit:delayed', 0, -1)) do "
	    "redis.call('ZADD', 'davit:delayed', 1, j) end return 1");
	assert_int_equal(promote(&f), ERR_NONE);
}

static void
play_round(void)
{
	struct job *running[BUILDS * 4];
	size_t count = 0;
	int builds = 0;

	while (builds < BUILDS || count > 0 || redis_fixture_int(&server, "HGET davit:repo:app open") > 0) {
		unsigned what = pick(10);

		if (what < 2 && builds < BUILDS) {
			random_build();
			builds++;
		} else if (what == 2 && pick(3) == 0) {
			build_cancel(&f, redis_fixture_int(&server, "GET davit:seq:build") - pick(BUILDS));
		} else if (what < 6 && count > 0) {
			end_one(running, &count);
		} else if (!claim_one(running, &count)) {
			make_delayed_due();
		}
	}
}

static void
test_random_builds_share_groups_and_all_end(void **state)
{
	(void)state;
	redis_fixture_ask(&server, "CONFIG SET appendfsync no");
	for (int i = 0; i < ROUNDS; i++) {
		play_round();
		assert_no_group();
		assert_int_equal(
		    redis_fixture_int(&server, "EXISTS davit:queue davit:queue:gpu davit:queues davit:delayed"), 0);
		assert_int_equal(redis_fixture_int(&server, "HGET davit:repo:app running"), 0);
	}
	redis_fixture_ask(&server, "CONFIG SET appendfsync always");
}

/* --- labels --- */

static void
test_a_job_goes_where_its_labels_are(void **state)
{
	(void)state;
	f.labels = "arch=amd64;arch=arm64,gpu";
	assert_int_equal(node_register(&f), ERR_NONE);
	label_build("app", "arch=arm64", 1);
	label_build("app", NULL, 1);
	label_build("app", "arch=riscv64", 1);
	assert_waits_for("1.1", "a free slot on an engine with arch=arm64");
	assert_waits_for("2.1", "a free slot");
	assert_waits_for("3.1", "no engine has arch=riscv64");
	label_build("app", "platform=linux/s390x", 1);
	assert_waits_for("4.1",
	    "no engine that was up yet has platform=linux/s390x: add one in davit.yml, or name the platform in "
	    "platforms: of one that can run it");
	assert_int_equal(job_cancel(&f, "4.1"), ERR_NONE);
	assert_string_equal(redis_fixture_text(&server, "HGET davit:queues arch=arm64"), "1");
	assert_int_equal(queue(&f), ERR_NONE);
	assert_int_equal(f.got.jobs.count, 3);
	assert_string_equal(f.got.jobs.items[0].id, "1.1");

	assert_int_equal(job_claim_with(&f, "arch=amd64"), ERR_NONE);
	assert_string_equal(f.got.job->id, "2.1");
	assert_int_equal(job_claim_with(&f, "arch=amd64"), ERR_NONE);
	assert_null(f.got.job);
	assert_int_equal(job_claim_with(&f, "arch=arm64,gpu"), ERR_NONE);
	assert_string_equal(f.got.job->id, "1.1");
	assert_string_equal(f.got.job->labels, "arch=arm64");
	assert_int_equal(redis_fixture_int(&server, "HLEN davit:queues"), 1);
	assert_int_equal(job_cancel(&f, "3.1"), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:queues"), 0);
}

static void
test_a_node_that_is_gone_has_no_engines(void **state)
{
	(void)state;
	f.labels = "gpu";
	assert_int_equal(node_register(&f), ERR_NONE);
	label_build("app", "gpu", 1);
	assert_waits_for("1.1", "a free slot on an engine with gpu");
	f.labels = ""; /* it is told with each renewal */
	assert_int_equal(renew(&f, NULL, 0), ERR_NONE);
	assert_waits_for("1.1", "no engine has gpu");
	f.labels = "gpu,platform=linux/arm64";
	assert_int_equal(renew(&f, NULL, 0), ERR_NONE);
	assert_waits_for("1.1", "a free slot on an engine with gpu");
	redis_fixture_ask(&server, "ZADD davit:nodes 1 n1");
	assert_waits_for("1.1", "no engine has gpu");
}

static void
test_several_labels_are_all_wanted(void **state)
{
	struct job_spec job = job_spec(NULL, false, "gpu");

	(void)state;
	strings_add(&job.labels, STR("arch=arm64"));
	plan_build(planning_build("app"), &job, 1);
	assert_waits_for("1.1", "no engine has arch=arm64 and gpu");
	assert_int_equal(job_claim_with(&f, "gpu"), ERR_NONE);
	assert_null(f.got.job);
	assert_int_equal(job_claim_with(&f, "arch=arm64,arch=arm64v8,gpu"), ERR_NONE);
	assert_non_null(f.got.job);
}

static void
test_repositories_share_the_slots_across_queues(void **state)
{
	char order[64] = "";

	(void)state;
	assert_int_equal(put_repo(&f, "other", 0, false), ERR_NONE);
	label_build("app", "gpu", 3);
	label_build("other", NULL, 3);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(job_claim_with(&f, "gpu"), ERR_NONE);
		strcat(strcat(order, f.got.job->id), " ");
	}
	assert_string_equal(order, "1.1 2.1 1.2 2.2 1.3 2.3 ");
}

static void
test_held_jobs_of_other_labels_do_not_stand_in_the_way(void **state)
{
	struct job *job;

	(void)state;
	assert_int_equal(put_repo(&f, "app", 1, false), ERR_NONE);
	label_build("app", NULL, 1);
	label_build("app", "gpu", 2);
	label_build("app", NULL, 1);
	job = claim("1.1");
	assert_int_equal(job_claim_with(&f, "gpu"), ERR_NONE); /* all are held now */
	assert_null(f.got.job);
	assert_int_equal(stats(&f), ERR_NONE);
	assert_int_equal(f.got.stats.held, 3);
	assert_waits_for("2.2", "one of its repository's 1 running jobs to end");
	finish(&job, JOB_PASSED);
	job = claim("3.1"); /* though 2.1 is before it, no engine for that is free */
	finish(&job, JOB_PASSED);
	assert_int_equal(job_claim_with(&f, "gpu"), ERR_NONE);
	assert_string_equal(f.got.job->id, "2.1");
	assert_int_equal(put_repo(&f, "app", 0, false), ERR_NONE);
	assert_int_equal(job_claim_with(&f, "gpu"), ERR_NONE);
	assert_string_equal(f.got.job->id, "2.2");
}

static void
test_label_sets_are_bounded(void **state)
{
	(void)state;
	redis_fixture_ask(
	    &server, "EVAL %s 0", "for i = 1, 1000 do redis.call('HSET', 'davit:queues', 'l' .. i, 1) end return 1");
	label_build("app", "l7", 1);
	label_build("app", "one-more", 1);
	assert_job("1.1", "queued");
	assert_job("2.1", "error");
	assert_reason("2.1", "jobs with 1000 other sets of labels wait already");
	assert_build(2, "error");
}

/* --- priorities --- */

static void
test_priority_of_the_repository_and_of_what_started_it(void **state)
{
	struct build *build;

	(void)state;
	assert_int_equal(put_repo(&f, "urgent", 0, false), ERR_NONE);
	redis_fixture_ask(&server, "HSET davit:repo:urgent priority 1");
	queued_build(&f, "app", 1);
	queued_build(&f, "urgent", 1);
	submit(&f, "app", NULL, NULL);
	redis_fixture_ask(&server, "HSET davit:build:3 event cron");
	assert_int_equal(plan_claim(&f), ERR_NONE);
	build = take_build(&f);
	assert_int_equal(planned(&f, 3, build->token, 1), ERR_NONE);
	build_free(&build);
	assert_string_equal(redis_fixture_text(&server, "HGET davit:job:1.1 priority"), "3");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:job:3.1 priority"), "5");
	queued_build(&f, "app", 1);
	assert_string_equal(claim_order(5), "2.1 1.1 4.1 3.1 ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SUITE_TEST(test_one_of_a_group_at_a_time_in_the_order_of_builds),
		SUITE_TEST(test_a_group_is_freed_by_every_end),
		SUITE_TEST(test_a_newer_build_cancels_what_runs_and_what_waits),
		SUITE_TEST(test_an_older_build_that_comes_late_gives_way),
		SUITE_TEST(test_jobs_of_one_build_share_a_group),
		SUITE_TEST(test_the_newer_build_reaches_jobs_that_wait_for_others),
		SUITE_TEST(test_the_listing_has_who_waits_for_a_group_or_for_jobs),
		SUITE_TEST(test_a_closed_pull_request_ends_what_has_not_begun),
		SUITE_TEST(test_random_builds_share_groups_and_all_end),
		SUITE_TEST(test_a_job_goes_where_its_labels_are),
		SUITE_TEST(test_a_node_that_is_gone_has_no_engines),
		SUITE_TEST(test_several_labels_are_all_wanted),
		SUITE_TEST(test_repositories_share_the_slots_across_queues),
		SUITE_TEST(test_held_jobs_of_other_labels_do_not_stand_in_the_way),
		SUITE_TEST(test_label_sets_are_bounded),
		SUITE_TEST(test_priority_of_the_repository_and_of_what_started_it),
	};

	return cmocka_run_group_tests(tests, suite_start, suite_stop);
}
