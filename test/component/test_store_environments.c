/* Environments and deployments: approval, the turn of an environment, its lock, history, rollback, promotion. */
#include "test/unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "test/component/store_suite.h"

static void
add_environment(const char *name, bool approve)
{
	static char repo[] = "app", kind[] = "command";
	struct environment e = { .repo = repo, .name = (char *)name, .kind = kind, .approve = approve };

	assert_int_equal(environment_put(&f, &e, true), ERR_NONE);
}

static struct job_spec
deploy_spec(struct deploy_spec *deploy, const char *name, bool approve)
{
	static char image[] = "alpine:3", app[] = "registry.example/app:1", group[] = "its own";

	*deploy = (struct deploy_spec){ .environment = (char *)name, .image = app, .approve = approve };
	return (struct job_spec){ .name = (char *)name,
		.kind = JOB_KIND_DEPLOY,
		.image = image,
		.deploy = deploy,
		.concurrency = { group, true } };
}

static int64_t
plan_jobs(struct job_spec *jobs, size_t count)
{
	const struct plan plan = { .jobs = jobs, .job_count = count };
	int64_t n = submit(&f, "app", NULL, NULL);
	struct build *build;

	assert_int_equal(plan_claim(&f), ERR_NONE);
	build = take_build(&f);
	assert_int_equal(planned_with(&f, n, build->token, &plan), ERR_NONE);
	build_free(&build);
	return n;
}

/* A build of one job that deploys there. */
static int64_t
deploy_build(const char *name, bool approve)
{
	struct deploy_spec deploy;
	struct job_spec job = deploy_spec(&deploy, name, approve);

	return plan_jobs(&job, 1);
}

static void
run_job(const char *id, enum job_state state)
{
	struct job *job = claim(id);

	assert_int_equal(job_started(&f, job->id, job->token, "c1"), ERR_NONE);
	assert_int_equal(job_finished(&f, job->id, job->token, state), ERR_NONE);
	job_free(&job);
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

/* The newest deployment's state. */
static const struct deployment *
newest(const char *name)
{
	assert_int_equal(deployments(&f, "app", name), ERR_NONE);
	assert_true(f.got.deployments.count > 0);
	return &f.got.deployments.items[0];
}

/* --- the record --- */

static void
test_an_environment_is_added_changed_and_removed(void **state)
{
	static char repo[] = "app", name[] = "live", bad[] = "a b", image[] = "debian:12", no[] = "none";
	struct environment e = { .repo = repo, .name = name, .image = image, .approve = true };

	(void)state;
	assert_int_equal(environment_put(&f, &e, false), ERR_NOT_FOUND);
	assert_int_equal(environment_put(&f, &e, true), ERR_NONE);
	assert_int_equal(environment_put(&f, &e, true), ERR_CONFLICT);
	e.approve = false;
	assert_int_equal(environment_put(&f, &e, false), ERR_NONE);
	assert_int_equal(environment_get(&f, "app", "live"), ERR_NONE);
	assert_string_equal(f.got.environment->image, "debian:12");
	assert_false(f.got.environment->approve);
	assert_true(f.got.environment->created_ms > 0);
	assert_int_equal(environments(&f, "app"), ERR_NONE);
	assert_int_equal(f.got.environments.count, 1);
	assert_int_equal(f.got.deployments.items[0].number, 0);
	e.name = bad;
	assert_int_equal(environment_put(&f, &e, true), ERR_INPUT);
	e.name = name;
	e.repo = no;
	assert_int_equal(environment_put(&f, &e, true), ERR_NOT_FOUND);
	assert_int_equal(environment_delete(&f, "app", "live"), ERR_NONE);
	assert_int_equal(environment_delete(&f, "app", "live"), ERR_NOT_FOUND);
	assert_int_equal(environment_get(&f, "app", "live"), ERR_NOT_FOUND);
	assert_int_equal(environments(&f, "app"), ERR_NONE);
	assert_int_equal(f.got.environments.count, 0);
}

static void
test_what_is_not_there_cannot_be_deployed_to(void **state)
{
	(void)state;
	deploy_build("live", false);
	assert_job("1.1", "failed");
	assert_reason("1.1", "the repository has no environment live");
	assert_build(1, "failed");
}

/* --- history --- */

static void
test_a_deployment_goes_through_its_jobs_states(void **state)
{
	struct job *job;

	struct deploy_spec deploy;
	struct job_spec spec = deploy_spec(&deploy, "live", false);

	(void)state;
	spec.retry = (struct retry_spec){ 1, RETRY_INFRASTRUCTURE };
	add_environment("live", false);
	plan_jobs(&spec, 1);
	assert_int_equal(newest("live")->state, JOB_QUEUED);
	assert_int_equal(environment_delete(&f, "app", "live"), ERR_CONFLICT);
	job = claim("1.1");
	assert_int_equal(newest("live")->state, JOB_RUNNING);
	assert_int_equal(job_started(&f, job->id, job->token, "c1"), ERR_NONE);
	assert_int_equal(job_requeue(&f, job->id, job->token, 0), ERR_NONE); /* its node was killed */
	job_free(&job);
	assert_int_equal(newest("live")->state, JOB_QUEUED);
	assert_int_equal(newest("live")->attempt, 2);
	assert_true(newest("live")->history[0] != '\0');
	run_job("1.1", JOB_PASSED);
	assert_int_equal(newest("live")->state, JOB_PASSED);
	assert_string_equal(newest("live")->image, "registry.example/app:1");
	assert_string_equal(newest("live")->job, "1.1");
	assert_true(newest("live")->finished_ms >= newest("live")->started_ms);
	assert_int_equal(environments(&f, "app"), ERR_NONE);
	assert_int_equal(f.got.deployments.items[0].number, 1);
	deploy_build("live", false);
	run_job("2.1", JOB_FAILED);
	assert_int_equal(newest("live")->state, JOB_FAILED);
	assert_int_equal(environment_get(&f, "app", "live"), ERR_NONE);
	assert_int_equal(f.got.environment->deployed, 1);
	assert_int_equal(f.got.environment->open, 0);
	assert_int_equal(environment_delete(&f, "app", "live"), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:deployment:1 davit:deployment:2"), 0);
}

static void
test_an_interrupted_deployment_is_not_made_again(void **state)
{
	struct job *job;

	(void)state;
	add_environment("live", false);
	deploy_build("live", false);
	job = claim("1.1");
	assert_int_equal(job_requeue(&f, job->id, job->token, 0), ERR_NONE); /* it had not begun */
	job_free(&job);
	job = claim("1.1");
	assert_int_equal(job_started(&f, job->id, job->token, "c1"), ERR_NONE);
	assert_int_equal(job_requeue(&f, job->id, job->token, 0), ERR_NONE);
	job_free(&job);
	assert_job("1.1", "error");
	assert_build(1, "error");
	assert_int_equal(newest("live")->state, JOB_ERROR);
	assert_non_null(strstr(newest("live")->reason, "interrupted, so what it did is not known: "));
}

/* --- approval --- */

static void
test_an_approval_comes_before_the_turn(void **state)
{
	(void)state;
	add_environment("live", true);
	deploy_build("live", false);
	deploy_build("live", false);
	assert_waits_for("1.1", "an approval");
	assert_string_equal(claim_order(1), "");
	assert_int_equal(job_approve(&f, "2.1"), ERR_NONE); /* it does not wait for the first */
	assert_int_equal(job_approve(&f, "2.1"), ERR_NONE);
	run_job("2.1", JOB_PASSED);
	assert_string_equal(newest("live")->approved_by, "admin");
	assert_int_equal(job_reject(&f, "1.1"), ERR_NONE);
	assert_int_equal(job_reject(&f, "1.1"), ERR_NONE);
	assert_job("1.1", "cancelled");
	assert_reason("1.1", "rejected by admin");
	assert_int_equal(job_approve(&f, "1.1"), ERR_CONFLICT);
	assert_int_equal(job_reject(&f, "2.1"), ERR_CONFLICT);
	assert_int_equal(job_approve(&f, "9.1"), ERR_NOT_FOUND);
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:approvals"), 0);
}

static void
test_a_job_may_ask_for_an_approval_and_nobody_gives_it(void **state)
{
	(void)state;
	add_environment("live", false);
	deploy_build("live", true);
	deploy_build("live", true);
	assert_int_equal(build_cancel(&f, 2), ERR_NONE);
	assert_job("2.1", "cancelled");
	redis_fixture_ask(&server, "ZADD davit:approvals XX 1 1.1");
	assert_int_equal(promote(&f), ERR_NONE);
	assert_reason("1.1", "rejected: nobody approved it within 7 days");
	assert_build(1, "cancelled");
	assert_int_equal(newest("live")->state, JOB_CANCELLED);
	assert_int_equal(environment_delete(&f, "app", "live"), ERR_NONE);
}

/* --- one at a time, and the lock --- */

static void
test_one_deployment_at_a_time_of_each_environment(void **state)
{
	struct job *job;

	(void)state;
	add_environment("live", false);
	add_environment("staging", false);
	deploy_build("live", false);
	deploy_build("live", false);
	deploy_build("staging", false);
	assert_waits_for("2.1", "group environment:live: job 1.1 is before it");
	job = claim("1.1");
	assert_string_equal(claim_order(2), "3.1 ");
	assert_int_equal(job_finished(&f, job->id, job->token, JOB_FAILED), ERR_NONE);
	job_free(&job);
	run_job("2.1", JOB_PASSED);
}

static void
test_a_locked_environment_waits(void **state)
{
	struct job *job;

	(void)state;
	add_environment("live", false);
	assert_int_equal(environment_lock(&f, "app", "gone", "admin"), ERR_NOT_FOUND);
	deploy_build("live", false);
	assert_int_equal(environment_lock(&f, "app", "live", "admin"), ERR_NONE);
	deploy_build("live", false);
	deploy_build("live", false);
	job = claim("1.1"); /* had its turn before */
	assert_int_equal(job_finished(&f, job->id, job->token, JOB_PASSED), ERR_NONE);
	job_free(&job);
	assert_waits_for("2.1", "environment live: locked by admin: a freeze");
	assert_int_equal(job_cancel(&f, "2.1"), ERR_NONE);
	assert_string_equal(claim_order(1), "");
	assert_int_equal(environment_lock(&f, "app", "live", ""), ERR_NONE);
	assert_int_equal(environment_lock(&f, "app", "live", ""), ERR_NONE);
	run_job("3.1", JOB_PASSED);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:group:app:environment:live"), 0);
}

/* --- again --- */

static void
set_commit(int64_t deployment, const char *commit)
{
	redis_fixture_ask(&server, "HSET davit:deployment:%lld commit %s", (long long)deployment, commit);
}

static int64_t
target(void)
{
	return rollback_find(&f, "app", "live") == ERR_NONE ? f.got.deployments.items[0].number : 0;
}

static void
test_a_rollback_goes_back_and_further_back(void **state)
{
	static const char *const commits[] = { "aa", "bb", "cc" };

	(void)state;
	add_environment("live", true);
	assert_int_equal(rollback_find(&f, "app", "gone"), ERR_NOT_FOUND);
	assert_int_equal(rollback_find(&f, "app", "live"), ERR_CONFLICT);
	for (int i = 0; i < 3; i++) {
		char id[JOB_ID_MAX];

		snprintf(id, sizeof(id), "%d.1", i + 1);
		deploy_build("live", false);
		set_commit(i + 1, commits[i]);
		assert_int_equal(job_approve(&f, id), ERR_NONE);
		run_job(id, JOB_PASSED);
	}
	assert_int_equal(target(), 2);
	assert_int_equal(build_deploy(&f, 2, "live", 2), ERR_NONE);
	assert_int_equal(f.got.number, 4);
	run_job("4.1", JOB_PASSED); /* who asks for it has approved it */
	set_commit(4, "bb");
	assert_string_equal(newest("live")->approved_by, "admin");
	assert_string_equal(newest("live")->event, "deploy");
	assert_int_equal(newest("live")->redeploys, 2);
	assert_int_equal(target(), 1);
	deploy_build("live", false);
	assert_int_equal(job_approve(&f, "5.1"), ERR_NONE);
	run_job("5.1", JOB_FAILED); /* left who knows what behind */
	assert_int_equal(target(), 4);
	assert_int_equal(prune(&f, 0), ERR_NONE); /* what can be gone back to is kept */
	assert_int_equal(
	    redis_fixture_int(&server, "EXISTS davit:build:1 davit:build:2 davit:build:3 davit:build:4"), 4);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:build:5"), 0);
	assert_int_equal(environment_delete(&f, "app", "live"), ERR_NONE);
	prune(&f, 0);
	prune(&f, 0);
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:builds"), 0);
}

/* test -> staging -> live, of which live was left out by its conditions. */
static void
test_the_very_same_goes_to_the_next_environment(void **state)
{
	static char test[] = "test", image[] = "alpine:3", skipped[] = "when: event is push, wants deploy";
	struct deploy_spec deploys[2];
	struct need_spec needs[] = { { .job = 1 }, { .job = 2 } };
	struct job_spec jobs[3] = { { .name = test, .image = image } };

	(void)state;
	add_environment("staging", false);
	add_environment("live", true);
	jobs[1] = deploy_spec(&deploys[0], "staging", false);
	jobs[1].needs = &needs[0];
	jobs[1].need_count = 1;
	jobs[2] = deploy_spec(&deploys[1], "live", false);
	jobs[2].needs = &needs[1];
	jobs[2].need_count = 1;
	jobs[2].skipped = skipped;
	plan_jobs(jobs, 3);
	assert_int_equal(build_deploy(&f, 1, "live", 0), ERR_CONFLICT); /* not finished */
	run_job("1.1", JOB_PASSED);
	run_job("1.2", JOB_PASSED);
	assert_build(1, "passed");
	assert_int_equal(build_deploy(&f, 1, "moon", 0), ERR_NOT_FOUND);
	assert_int_equal(build_deploy(&f, 1, "live", 0), ERR_NONE);
	assert_int_equal(build_deploy(&f, 1, "live", 0), ERR_NONE); /* the same one */
	assert_int_equal(f.got.number, 2);
	assert_string_equal(redis_fixture_text(&server, "HGET davit:job:2.1 reused_from"), "1.1");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:job:2.2 reused_from"), "1.2");
	assert_int_equal(build_deploy(&f, 1, "staging", 0), ERR_NONE); /* does not bring live along */
	assert_int_equal(f.got.number, 3);
	assert_string_equal(claim_order(3), "2.3 3.2 ");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:build:2 event"), "deploy");
	assert_int_equal(build_rerun_jobs(&f, 1, "2"), ERR_NONE); /* neither is in the way of a rerun */
	assert_int_equal(f.got.number, 4);
}

/* Its pipeline wrote ${tag}, and it was no tag. */
static void
test_what_lacks_something_is_not_deployed_by_hand(void **state)
{
	static char tag[] = "tag", skipped[] = "when: tag is none";
	struct deploy_spec deploy;
	struct job_spec job = deploy_spec(&deploy, "live", false);

	(void)state;
	add_environment("live", false);
	deploy.lacks = tag;
	job.skipped = skipped;
	plan_jobs(&job, 1);
	assert_build(1, "passed");
	assert_int_equal(build_deploy(&f, 1, "live", 0), ERR_CONFLICT);
	assert_int_equal(build_rerun_jobs(&f, 1, "1"), ERR_NONE);
	assert_job("2.1", "skipped");
}

/* A rerun of what somebody asked for is asked for by nobody. */
static void
test_a_rerun_of_a_deployment_waits_for_an_approval(void **state)
{
	(void)state;
	add_environment("live", true);
	deploy_build("live", false);
	assert_int_equal(job_reject(&f, "1.1"), ERR_NONE);
	assert_int_equal(build_deploy(&f, 1, "live", 0), ERR_NONE);
	run_job("2.1", JOB_FAILED);
	assert_int_equal(build_rerun_jobs(&f, 2, "failed"), ERR_NONE);
	assert_waits_for("3.1", "an approval");
	assert_int_equal(build_cancel(&f, 3), ERR_NONE);
	assert_int_equal(build_rerun_jobs(&f, 3, ""), ERR_NONE);
	assert_string_equal(redis_fixture_text(&server, "HGET davit:build:4 event"), "push");
}

/* --- what is counted --- */

static const struct insights_sum *
counted(size_t part)
{
	assert_int_equal(insights(&f, "app", 10), ERR_NONE);
	assert_true(f.got.insights.count > part);
	return &f.got.insights.items[part].sum;
}

/* Builds and the times of their jobs, of the repository and of each environment; once for each. */
static void
test_what_ends_is_counted_once(void **state)
{
	struct job *job;

	(void)state;
	add_environment("live", false);
	deploy_build("live", false);
	job = claim("1.1");
	assert_int_equal(job_started(&f, "1.1", job->token, "c1"), ERR_NONE);
	redis_fixture_ask(&server, "HSET davit:job:1.1 queued_ms 1000 claimed_ms 3000 started_ms 3500");
	assert_int_equal(job_finished(&f, "1.1", job->token, JOB_PASSED), ERR_NONE);
	assert_int_equal(job_finished(&f, "1.1", job->token, JOB_PASSED), ERR_NONE);
	job_free(&job);
	deploy_build("live", false);
	assert_int_equal(build_cancel(&f, 2), ERR_NONE);
	for (size_t part = 0; part < 2; part++) {
		const struct insights_sum *sum = counted(part);

		assert_int_equal(sum->ends[INSIGHTS_PASSED], 1);
		assert_int_equal(sum->ends[INSIGHTS_CANCELLED], 1);
		assert_int_equal(sum->times[INSIGHTS_QUEUE].total, 1);
		assert_int_equal(sum->times[INSIGHTS_QUEUE].sum_ms, 2000);
		assert_int_equal(sum->times[INSIGHTS_PREPARE].sum_ms, 500);
		assert_true(fabs(histogram_quantile(&sum->times[INSIGHTS_QUEUE], 0.5) - 2000) < 200);
		assert_int_equal(sum->times[INSIGHTS_RUN].total, 1);
	}
	assert_int_equal(counted(0)->times[INSIGHTS_BUILD].total, 1);
	assert_string_equal(f.got.insights.items[0].environment, "");
	assert_string_equal(f.got.insights.items[1].environment, "live");
	assert_int_equal(f.got.insights.items[1].day_count, 1);
	assert_int_equal(insights(&f, NULL, 1), ERR_NONE);
	assert_int_equal(f.got.insights.count, 1);
	assert_int_equal(insights(&f, "none", 10), ERR_NOT_FOUND);
	assert_int_equal(environment_delete(&f, "app", "live"), ERR_NONE);
	add_environment("live", false);
	assert_int_equal(counted(1)->ends[INSIGHTS_PASSED], 0); /* of one that is gone nothing is left */
}

/* The common part's text, with a call of one of its functions behind. */
static char *
with_stats(const char *call)
{
	const char *srcdir = getenv("srcdir");
	char *path = xasprintf("%s/scripts/redis/common/stats.lua", srcdir != NULL ? srcdir : ".");
	char text[16384];
	FILE *file = fopen(path, "r");
	size_t len;

	assert_non_null(file);
	len = fread(text, 1, sizeof(text), file);
	assert_true(len < sizeof(text));
	fclose(file);
	free(path);
	return xasprintf("%.*s\nreturn %s", (int)len, text, call);
}

static void
test_days_are_named(void **state)
{
	static const struct {
		long long ms;
		const char *day;
	} cases[] = { { 0, "1970-01-01" }, { 951782400000 - 1, "2000-02-28" }, { 951782400000, "2000-02-29" },
		{ 951868800000, "2000-03-01" }, { 1798761599999, "2026-12-31" }, { 4107542400000, "2100-03-01" } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *call = xasprintf("stats_date(%lld)", cases[i].ms / 86400000), *text = with_stats(call);

		assert_string_equal(redis_fixture_text(&server, "EVAL %s 0", text), cases[i].day);
		free(text);
		free(call);
	}
}

static void
deploy_and_end(const char *id, enum job_state end)
{
	deploy_build("live", false);
	run_job(id, end);
}

static void
test_changes_that_fail_and_the_time_to_restore(void **state)
{
	(void)state;
	add_environment("live", false);
	deploy_and_end("1.1", JOB_PASSED);
	deploy_and_end("2.1", JOB_FAILED);
	deploy_and_end("3.1", JOB_ERROR);
	assert_int_equal(counted(1)->changes, 3);
	assert_int_equal(counted(1)->changes_failed, 2);
	assert_int_equal(counted(1)->times[INSIGHTS_RESTORE].total, 0);
	redis_fixture_ask(&server, "HINCRBY davit:environment:app:live broken_ms -60000");
	deploy_and_end("4.1", JOB_PASSED);
	assert_int_equal(counted(1)->changes, 4);
	assert_int_equal(counted(1)->times[INSIGHTS_RESTORE].total, 1);
	assert_true(counted(1)->times[INSIGHTS_RESTORE].sum_ms >= 60000);
	assert_int_equal(build_deploy(&f, 1, "live", 1), ERR_NONE); /* build 4's change is taken back */
	run_job("5.1", JOB_PASSED);
	assert_int_equal(counted(1)->changes, 4);
	assert_int_equal(counted(1)->changes_failed, 3);
	assert_int_equal(counted(1)->times[INSIGHTS_RESTORE].total, 2);
	assert_int_equal(counted(1)->ends[INSIGHTS_PASSED], 3);
}

/* Of each commit that comes to an environment once. */
static void
test_the_lead_of_a_commit(void **state)
{
	(void)state;
	add_environment("live", false);
	for (int i = 1; i <= 3; i++) {
		char id[JOB_ID_MAX];

		snprintf(id, sizeof(id), "%d.1", i);
		deploy_build("live", false);
		set_commit(i, i < 3 ? "aa" : "bb");
		redis_fixture_ask(&server, "HSET davit:build:%d commit_ms 1000", i);
		run_job(id, JOB_PASSED);
	}
	assert_int_equal(counted(1)->times[INSIGHTS_LEAD].total, 2);
}

/* --- following a tag --- */

static struct environment
following(const char *image)
{
	static char repo[] = "app", name[] = "live", kind[] = "command";

	return (struct environment){ .repo = repo, .name = name, .kind = kind, .watch = (char *)image };
}

static size_t
due(void)
{
	size_t count;

	assert_int_equal(watches_due(&f, 10), ERR_NONE);
	count = f.got.environments.count;
	environment_list_fini(&f.got.environments);
	deployment_list_fini(&f.got.deployments);
	return count;
}

static void
test_a_followed_tag_is_due_once_in_a_while(void **state)
{
	struct environment e = following("boat:stable");

	(void)state;
	add_environment("staging", false);
	assert_int_equal(due(), 0);
	assert_int_equal(f.got.number, -1);
	assert_int_equal(environment_put(&f, &e, true), ERR_NONE);
	assert_int_equal(watches_due(&f, 10), ERR_NONE);
	assert_int_equal(f.got.environments.count, 1);
	assert_string_equal(f.got.environments.items[0].watch, "boat:stable");
	assert_int_equal(f.got.deployments.items[0].number, 0);
	assert_in_range(f.got.number, 1, 60000);
	environment_list_fini(&f.got.environments);
	deployment_list_fini(&f.got.deployments);
	assert_int_equal(due(), 0); /* somebody else */
	assert_int_equal(environment_put(&f, &e, false), ERR_NONE);
	assert_int_equal(due(), 1);
	e.watch = NULL;
	assert_int_equal(environment_put(&f, &e, false), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:watch"), 0);
}

/* How many are due when that was pushed; asked_ms: when it was asked about last. */
static size_t
due_when_told(const char *asked_ms, const char *name)
{
	redis_fixture_ask(&server, "ZADD davit:watch 99999999999999 %s", "app live");
	redis_fixture_ask(&server, "HSET davit:environment:app:live watch_ms %s", asked_ms);
	assert_int_equal(watch_told(&f, name), ERR_NONE);
	return due();
}

static void
test_a_registry_tells_of_a_push(void **state)
{
	static const char *const others[] = { "team/boat:next", "team/boats:stable", "boat:latest", "eam/boat:stable" };
	struct environment e = following("registry.example:5000/team/boat:stable"), latest = following("team/boat");

	(void)state;
	assert_int_equal(environment_put(&f, &e, true), ERR_NONE);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_int_equal(due_when_told("1", others[i]), 0);
	assert_int_equal(due_when_told("1", "team/boat:stable"), 1);
	assert_int_equal(redis_fixture_int(&server, "HGET davit:environment:app:live watch_ms") > 1, 1);
	assert_int_equal(due_when_told("99999999990000", "team/boat:stable"), 0); /* a second after that */
	assert_string_equal(redis_fixture_text(&server, "ZSCORE davit:watch %s", "app live"), "99999999991000");
	assert_int_equal(environment_put(&f, &latest, false), ERR_NONE);
	assert_int_equal(due_when_told("1", "boat:latest"), 1);
}

static void
test_what_was_seen_is_of_the_image_that_was_asked_about(void **state)
{
	struct environment e = following("boat:stable"), other = following("boat:next");

	(void)state;
	assert_int_equal(environment_put(&f, &e, true), ERR_NONE);
	assert_int_equal(watch_seen(&f, &e, "sha256:aa", ""), ERR_NONE);
	assert_int_equal(watch_seen(&f, &e, "", "no route"), ERR_NONE);
	assert_string_equal(redis_fixture_text(&server, "HGET davit:environment:app:live watch_digest"), "sha256:aa");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:environment:app:live watch_error"), "no route");
	assert_int_equal(environment_put(&f, &other, false), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "HEXISTS davit:environment:app:live watch_digest"), 0);
	assert_int_equal(watch_seen(&f, &e, "sha256:bb", ""), ERR_NOT_FOUND);
	assert_int_equal(environment_delete(&f, "app", "live"), ERR_NONE);
	assert_int_equal(watch_seen(&f, &other, "sha256:bb", ""), ERR_NOT_FOUND);
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:watch"), 0);
}

static void
test_what_nobody_asked_for_waits_for_an_approval(void **state)
{
	(void)state;
	add_environment("live", true);
	deploy_build("live", false);
	assert_int_equal(job_approve(&f, "1.1"), ERR_NONE);
	run_job("1.1", JOB_PASSED);
	assert_int_equal(build_follow(&f, 1, "live", "boat:stable"), ERR_NONE);
	assert_string_equal(redis_fixture_text(&server, "HGET davit:deployment:2 person"), "boat:stable");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:deployment:2 state"), "waiting");
	assert_int_equal(job_approve(&f, "2.1"), ERR_NONE);
	run_job("2.1", JOB_PASSED);
}

/* The same commit, and another image of the same name. */
static void
test_a_rollback_to_another_image_of_a_commit(void **state)
{
	(void)state;
	add_environment("live", false);
	deploy_and_end("1.1", JOB_PASSED);
	assert_int_equal(build_follow(&f, 1, "live", "boat:stable"), ERR_NONE);
	run_job("2.1", JOB_PASSED);
	assert_int_equal(rollback_find(&f, "app", "live"), ERR_CONFLICT);
	redis_fixture_ask(&server, "HSET davit:deployment:2 images other");
	assert_int_equal(rollback_find(&f, "app", "live"), ERR_NONE);
	assert_int_equal(f.got.deployments.items[0].number, 1);
	deployment_list_fini(&f.got.deployments);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SUITE_TEST(test_what_ends_is_counted_once),
		SUITE_TEST(test_changes_that_fail_and_the_time_to_restore),
		SUITE_TEST(test_the_lead_of_a_commit),
		SUITE_TEST(test_days_are_named),
		SUITE_TEST(test_a_followed_tag_is_due_once_in_a_while),
		SUITE_TEST(test_a_registry_tells_of_a_push),
		SUITE_TEST(test_what_was_seen_is_of_the_image_that_was_asked_about),
		SUITE_TEST(test_what_nobody_asked_for_waits_for_an_approval),
		SUITE_TEST(test_a_rollback_to_another_image_of_a_commit),
		SUITE_TEST(test_an_environment_is_added_changed_and_removed),
		SUITE_TEST(test_what_is_not_there_cannot_be_deployed_to),
		SUITE_TEST(test_a_deployment_goes_through_its_jobs_states),
		SUITE_TEST(test_an_interrupted_deployment_is_not_made_again),
		SUITE_TEST(test_an_approval_comes_before_the_turn),
		SUITE_TEST(test_a_job_may_ask_for_an_approval_and_nobody_gives_it),
		SUITE_TEST(test_one_deployment_at_a_time_of_each_environment),
		SUITE_TEST(test_a_locked_environment_waits),
		SUITE_TEST(test_a_rollback_goes_back_and_further_back),
		SUITE_TEST(test_the_very_same_goes_to_the_next_environment),
		SUITE_TEST(test_what_lacks_something_is_not_deployed_by_hand),
		SUITE_TEST(test_a_rerun_of_a_deployment_waits_for_an_approval),
	};

	return cmocka_run_group_tests(tests, suite_start, suite_stop);
}
