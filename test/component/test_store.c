#include "test/unit/unit.h"

#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/loop.h"
#include "test/component/store_fixture.h"

#define BODY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BODY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct redis_fixture server;
static struct store_fixture f;

static int
group_setup(void **state)
{
	(void)state;
	redis_fixture_start(&server, NULL);
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	redis_fixture_stop(&server);
	return 0;
}

/* Each test begins with an empty Redis and the repository "app". */
static int
setup(void **state)
{
	(void)state;
	redis_fixture_ask(&server, "FLUSHALL");
	store_fixture_start(&f, &server, "n1");
	assert_int_equal(put_repo(&f, "app", 0, false), ERR_NONE);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	store_fixture_stop(&f);
	return 0;
}

/* The state of a build as any client sees it. */
static void
assert_build(int64_t build, const char *state)
{
	assert_string_equal(redis_fixture_text(&server, "HGET davit:build:%lld state", (long long)build), state);
}

static void
assert_job(const char *job, const char *state)
{
	assert_string_equal(redis_fixture_text(&server, "HGET davit:job:%s state", job), state);
}

/* Claims the next job, which must be this one. */
static struct job *
claim(const char *id)
{
	assert_int_equal(job_claim(&f), ERR_NONE);
	assert_non_null(f.got.job);
	assert_string_equal(f.got.job->id, id);
	return take_job(&f);
}

/* --- repositories --- */

static void
test_repo_secrets_are_sealed_in_redis_and_clear_here(void **state)
{
	(void)state;
	assert_int_equal(repo_get(&f, "app"), ERR_NONE);
	assert_string_equal(f.got.repo->secret, "webhook secret");
	assert_string_equal(f.got.repo->token, "forge token");
	assert_string_equal(f.got.repo->forge, "gitea");
	assert_string_equal(f.got.repo->emails, "");
	assert_true(f.got.repo->created_ms > 0);
	assert_null(strstr(redis_fixture_text(&server, "HGET davit:repo:app secret"), "webhook"));
	assert_int_equal(strncmp(redis_fixture_text(&server, "HGET davit:repo:app token"), "v1:", 3), 0);
}

static void
test_sealed_secret_of_another_repo_does_not_open(void **state)
{
	(void)state;
	assert_int_equal(put_repo(&f, "other", 0, false), ERR_NONE);
	redis_fixture_ask(
	    &server, "HSET davit:repo:other token %s", redis_fixture_text(&server, "HGET davit:repo:app token"));
	assert_int_equal(repo_get(&f, "other"), ERR_AUTH);
	assert_null(f.got.repo);
}

static void
test_repo_is_remembered_until_it_changes(void **state)
{
	struct store_fixture other;

	(void)state;
	await_word(&f, "repo app"); /* of the setup */
	assert_int_equal(repo_get(&f, "app"), ERR_NONE);
	redis_fixture_ask(&server, "HSET davit:repo:app name stale");
	assert_int_equal(repo_get(&f, "app"), ERR_NONE);
	assert_string_equal(f.got.repo->name, "acme/app"); /* Redis was not asked */

	store_fixture_start(&other, &server, "n2");
	f.words[0] = '\0';
	assert_int_equal(put_repo(&other, "app", 3, true), ERR_NONE);
	store_fixture_stop(&other);
	await_word(&f, "repo app");
	assert_int_equal(repo_get(&f, "app"), ERR_NONE);
	assert_true(f.got.repo->statuses);
	assert_int_equal(f.got.repo->max_running, 3);
}

static void
test_repo_list_is_sorted_and_has_no_secrets(void **state)
{
	(void)state;
	assert_int_equal(put_repo(&f, "abc", 0, false), ERR_NONE);
	assert_int_equal(repo_list(&f), ERR_NONE);
	assert_int_equal(f.got.repos.count, 2);
	assert_string_equal(f.got.repos.items[0].id, "abc");
	assert_string_equal(f.got.repos.items[1].id, "app");
	assert_string_equal(f.got.repos.items[1].secret, "");
	assert_string_equal(f.got.repos.items[1].token, "");
}

static void
test_repo_ids_are_checked(void **state)
{
	static const char *const bad[] = { "", "A", "-a", "a b", "a:b", "a*", "../x", "\xc3\xa4" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(put_repo(&f, bad[i], 0, false), ERR_INPUT);
		assert_int_equal(repo_get(&f, bad[i]), ERR_NOT_FOUND);
		assert_int_equal(repo_delete(&f, bad[i]), ERR_NOT_FOUND);
	}
	assert_int_equal(repo_get(&f, "missing"), ERR_NOT_FOUND);
	assert_int_equal(repo_delete(&f, "missing"), ERR_NOT_FOUND);
}

static void
test_repo_with_an_open_build_cannot_be_deleted(void **state)
{
	int64_t build = submit(&f, "app", NULL, NULL);

	(void)state;
	assert_int_equal(repo_delete(&f, "app"), ERR_CONFLICT);
	assert_int_equal(build_cancel(&f, build), ERR_NONE);
	assert_int_equal(repo_delete(&f, "app"), ERR_NONE);
	assert_int_equal(repo_get(&f, "app"), ERR_NOT_FOUND);
	submit(&f, "app", NULL, NULL);
	assert_int_equal(f.got.submitted.result, STORE_NO_REPO);
	assert_int_equal(build_get(&f, build), ERR_NONE); /* what was built can still be read */
	assert_int_equal(prune(&f, 1000), ERR_NONE);
	assert_int_equal(f.got.count, 1);
	assert_int_equal(build_get(&f, build), ERR_NOT_FOUND);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:repos:gone davit:repo:app:builds"), 0);
}

/* --- accept --- */

static void
test_submit_dedupes_by_delivery_and_by_body(void **state)
{
	int64_t first = submit(&f, "app", "d-1", BODY_A);

	(void)state;
	assert_int_equal(f.got.submitted.result, STORE_NEW);
	assert_true(submit(&f, "app", "d-1", BODY_A) == first);
	assert_int_equal(f.got.submitted.result, STORE_DUPLICATE);
	submit(&f, "app", "d-1", BODY_B);
	assert_int_equal(f.got.submitted.result, STORE_CONFLICT);
	assert_true(submit(&f, "app", "d-2", BODY_A) == first);
	assert_int_equal(f.got.submitted.result, STORE_DUPLICATE);
	submit(&f, "app", "d-2", BODY_B); /* d-2 is known by now */
	assert_int_equal(f.got.submitted.result, STORE_CONFLICT);
	assert_true(submit(&f, "app", "d-3", BODY_B) == first + 1);
	assert_int_equal(put_repo(&f, "other", 0, false), ERR_NONE);
	assert_true(submit(&f, "other", "d-1", BODY_A) == first + 2); /* ids are a repository's own */
	assert_true(redis_fixture_int(&server, "TTL davit:delivery:app:d-1") > 3 * 24 * 3600);
	assert_true(redis_fixture_int(&server, "TTL davit:body:app:" BODY_A) > 3 * 24 * 3600);
}

static void
test_submit_without_ids_is_never_a_duplicate(void **state)
{
	int64_t first = submit(&f, "app", NULL, NULL);

	(void)state;
	assert_true(submit(&f, "app", NULL, NULL) == first + 1);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:delivery:app: davit:body:app:"), 0);
	submit(&f, "app", "manual-1", NULL);
	assert_int_equal(f.got.submitted.result, STORE_NEW);
	submit(&f, "app", "manual-1", NULL);
	assert_int_equal(f.got.submitted.result, STORE_DUPLICATE);
}

static void
test_hostile_delivery_ids_do_not_form_keys(void **state)
{
	int64_t first = submit(&f, "app", "x y:*\r\n$(id)", BODY_A);
	const struct redisReply *keys;

	(void)state;
	assert_true(submit(&f, "app", "x y:*\r\n$(id)", BODY_A) == first);
	assert_int_equal(f.got.submitted.result, STORE_DUPLICATE);
	keys = redis_fixture_ask(&server, "KEYS davit:delivery:app:*");
	assert_int_equal(keys->elements, 1);
	assert_int_equal(strspn(keys->element[0]->str + strlen("davit:delivery:app:"), "0123456789abcdef"), 64);
}

static void
test_submit_stores_the_whole_change(void **state)
{
	int64_t build = submit(&f, "app", "d-1", BODY_A);
	const struct change *change;

	(void)state;
	assert_int_equal(build_get(&f, build), ERR_NONE);
	change = f.got.build->change;
	assert_int_equal(change->event, CHANGE_PUSH);
	assert_int_equal(change->trust, CHANGE_TRUSTED);
	assert_string_equal(change->ref, "refs/heads/main");
	assert_string_equal(change->message, "Fix the pump\n\nIt leaked \"oil\".\r\n\xc3\xa4");
	assert_string_equal(change->fetch_url, "https://forge.example/fork/app.git");
	assert_int_equal(change->pull_number, 7);
	assert_int_equal(f.got.build->state, BUILD_PLANNING);
	assert_string_equal(f.got.build->title, "Fix the pump");
	assert_string_equal(f.got.build->author, "Ada");
	assert_string_equal(f.got.build->event, "push");
	assert_true(f.got.build->change_id == build);
	assert_true(f.got.build->created_ms > 1700000000000);
	assert_int_equal(f.got.build->job_count, 0);
}

static void
test_too_many_builds_to_plan_are_refused(void **state)
{
	struct store_conf conf = { .node = "n1", .max_planning = 2 };

	(void)state;
	store_free(&f.store);
	f.store = store_new(f.loop, f.redis, &conf);
	f.words[0] = '\0';
	submit(&f, "app", NULL, NULL);
	submit(&f, "app", NULL, NULL);
	assert_int_equal(f.got.submitted.result, STORE_NEW);
	submit(&f, "app", "d-1", BODY_A);
	assert_int_equal(f.got.submitted.result, STORE_FULL);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:delivery:app:d-1"), 0); /* it may come again */
}

/* --- planning --- */

static void
test_plan_claim_gives_the_oldest_with_its_change(void **state)
{
	int64_t first = submit(&f, "app", NULL, NULL);
	struct build *build;

	(void)state;
	submit(&f, "app", NULL, NULL);
	assert_int_equal(plan_claim(&f), ERR_NONE);
	build = take_build(&f);
	assert_true(build->build == first);
	assert_string_equal(build->node, "n1");
	assert_int_equal(strlen(build->token), 32);
	assert_int_equal(build->attempt, 1);
	assert_string_equal(build->change->commit, "0123456789012345678901234567890123456789");
	build_free(&build);
	assert_int_equal(plan_claim(&f), ERR_NONE);
	assert_true(f.got.build->build == first + 1);
	assert_int_equal(plan_claim(&f), ERR_NONE);
	assert_null(f.got.build);
}

static void
test_planned_queues_the_jobs_once(void **state)
{
	struct build *build;

	(void)state;
	submit(&f, "app", NULL, NULL);
	plan_claim(&f);
	build = take_build(&f);
	assert_int_equal(planned(&f, build->build, "not the token", 2), ERR_CONFLICT);
	assert_int_equal(planned(&f, build->build, build->token, 2), ERR_NONE);
	assert_int_equal(planned(&f, build->build, build->token, 2), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:queue"), 2);
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:running"), 0);
	assert_int_equal(build_get(&f, build->build), ERR_NONE);
	assert_int_equal(f.got.build->state, BUILD_QUEUED);
	assert_int_equal(f.got.build->job_total, 2);
	assert_int_equal(f.got.build->jobs_left, 2);
	assert_int_equal(f.got.build->job_count, 2);
	assert_string_equal(f.got.build->jobs[1].id, "1.2");
	assert_string_equal(f.got.build->jobs[1].waits_for, "a free slot");
	assert_string_equal(f.got.build->jobs[1].spec, "");
	assert_string_equal(f.got.build->warnings, "daocloud.yml:3:1: odd\ndaocloud.yml:4:1: too");
	assert_non_null(strstr(f.got.build->notify, "dev@example.org"));
	assert_int_equal(job_get(&f, "1.2"), ERR_NONE);
	assert_non_null(strstr(f.got.job->spec, "alpine:3"));
	assert_int_equal(f.got.job->exit_code, -1);
	build_free(&build);
}

static void
test_plan_without_jobs_passes(void **state)
{
	struct build *build;

	(void)state;
	submit(&f, "app", NULL, NULL);
	plan_claim(&f);
	build = take_build(&f);
	assert_int_equal(planned(&f, build->build, build->token, 0), ERR_NONE);
	assert_build(build->build, "passed");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:repo:app open"), "0");
	build_free(&build);
}

static void
test_plan_failed_ends_the_build_once(void **state)
{
	struct build *build;

	(void)state;
	submit(&f, "app", NULL, NULL);
	plan_claim(&f);
	build = take_build(&f);
	assert_int_equal(plan_failed(&f, build->build, "not the token", BUILD_FAILED), ERR_CONFLICT);
	assert_int_equal(plan_failed(&f, build->build, build->token, BUILD_FAILED), ERR_NONE);
	assert_int_equal(plan_failed(&f, build->build, build->token, BUILD_ERROR), ERR_NONE);
	assert_int_equal(build_get(&f, build->build), ERR_NONE);
	assert_int_equal(f.got.build->state, BUILD_FAILED);
	assert_string_equal(f.got.build->reason, "daocloud.yml:1:1: not YAML");
	assert_true(f.got.build->finished_ms >= f.got.build->created_ms);
	assert_string_equal(redis_fixture_text(&server, "HGET davit:repo:app open"), "0");
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:running"), 0);
	build_free(&build);
}

static void
expire(const char *id)
{
	redis_fixture_ask(&server, "ZADD davit:running XX 1 %s", id);
}

static void
test_lost_planning_is_done_again_three_times(void **state)
{
	struct build *build;
	int64_t n = submit(&f, "app", NULL, NULL);

	(void)state;
	for (int attempt = 1; attempt <= 3; attempt++) {
		assert_int_equal(plan_claim(&f), ERR_NONE);
		build = take_build(&f);
		assert_int_equal(build->attempt, attempt);
		expire("1");
		assert_int_equal(promote(&f), ERR_NONE);
		assert_int_equal(f.got.jobs.count, 0);
		assert_int_equal(planned(&f, n, build->token, 1), ERR_CONFLICT);
		build_free(&build);
	}
	assert_build(n, "error");
	assert_int_equal(plan_claim(&f), ERR_NONE);
	assert_null(f.got.build);
}

static void
test_new_epoch_takes_plannings_back_and_shuts_the_old_one_out(void **state)
{
	struct store_fixture again;
	int64_t n = submit(&f, "app", NULL, NULL);

	(void)state;
	assert_int_equal(plan_claim(&f), ERR_NONE);
	store_fixture_start(&again, &server, "n1");
	assert_int_equal(plan_claim(&f), ERR_CONFLICT);
	assert_int_equal(job_claim(&f), ERR_CONFLICT);
	assert_int_equal(renew(&f, NULL, 0), ERR_CONFLICT);
	assert_int_equal(plan_claim(&again), ERR_NONE);
	assert_true(again.got.build->build == n);
	assert_int_equal(again.got.build->attempt, 2);
	store_fixture_stop(&again);
}

/* --- jobs --- */

static void
test_job_runs_to_its_end_and_the_build_with_it(void **state)
{
	int64_t n = queued_build(&f, "app", 2);
	struct job *first, *second;

	(void)state;
	first = claim("1.1");
	assert_int_equal(first->state, JOB_RUNNING);
	assert_string_equal(first->engine, "local");
	assert_string_equal(first->node, "n1");
	assert_non_null(strstr(first->spec, "alpine:3"));
	assert_build(n, "queued");
	assert_int_equal(job_started(&f, "1.1", "not the token", "c1"), ERR_CONFLICT);
	assert_int_equal(job_started(&f, "1.1", first->token, "c1"), ERR_NONE);
	assert_int_equal(job_started(&f, "1.1", first->token, "c1"), ERR_NONE);
	assert_build(n, "running");
	second = claim("1.2");
	assert_int_equal(redis_fixture_int(&server, "HGET davit:repo:app running"), 2);

	assert_int_equal(job_finished(&f, "1.2", first->token, JOB_FAILED), ERR_CONFLICT);
	assert_int_equal(job_finished(&f, "1.2", second->token, JOB_FAILED), ERR_NONE);
	assert_int_equal(job_finished(&f, "1.2", second->token, JOB_PASSED), ERR_NONE);
	assert_job("1.2", "failed");
	assert_build(n, "running");
	assert_int_equal(job_finished(&f, "1.1", first->token, JOB_PASSED), ERR_NONE);
	assert_int_equal(build_get(&f, n), ERR_NONE);
	assert_int_equal(f.got.build->state, BUILD_FAILED);
	assert_string_equal(f.got.build->reason, "test: exit code 1");
	assert_int_equal(f.got.build->jobs_left, 0);
	assert_true(f.got.build->started_ms > 0);
	assert_int_equal(f.got.build->jobs[0].log_bytes, 42);
	assert_int_equal(f.got.build->jobs[0].exit_code, 0);
	assert_int_equal(f.got.build->jobs[1].exit_code, 1);
	assert_string_equal(f.got.build->jobs[0].container, "c1");
	assert_int_equal(redis_fixture_int(&server, "HGET davit:repo:app running"), 0);
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:running"), 0);
	job_free(&first);
	job_free(&second);
}

static void
test_claim_gives_job_build_and_change(void **state)
{
	int64_t n = queued_build(&f, "app", 1);

	(void)state;
	assert_int_equal(job_claim(&f), ERR_NONE);
	assert_true(f.got.build->build == n);
	assert_string_equal(f.got.build->change->ref, "refs/heads/main");
	assert_int_equal(job_claim(&f), ERR_NONE);
	assert_null(f.got.job);
	assert_null(f.got.build);
}

static void
test_build_ends_in_the_worst_state_of_its_jobs(void **state)
{
	static const struct {
		enum job_state jobs[3];
		const char *build;
	} rows[] = {
		{ { JOB_PASSED, JOB_PASSED, JOB_PASSED }, "passed" },
		{ { JOB_PASSED, JOB_CANCELLED, JOB_PASSED }, "cancelled" },
		{ { JOB_FAILED, JOB_CANCELLED, JOB_PASSED }, "failed" },
		{ { JOB_FAILED, JOB_TIMED_OUT, JOB_PASSED }, "timed_out" },
		{ { JOB_ERROR, JOB_TIMED_OUT, JOB_FAILED }, "error" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t n = queued_build(&f, "app", 3);

		for (size_t k = 0; k < 3; k++) {
			struct job *job;

			assert_int_equal(job_claim(&f), ERR_NONE);
			job = take_job(&f);
			assert_int_equal(job_finished(&f, job->id, job->token, rows[i].jobs[k]), ERR_NONE);
			job_free(&job);
		}
		assert_build(n, rows[i].build);
	}
}

static void
test_requeue_runs_the_job_again_as_the_next_attempt(void **state)
{
	struct job *job;

	(void)state;
	queued_build(&f, "app", 1);
	job = claim("1.1");
	assert_int_equal(job_requeue(&f, "1.1", "not the token", 0), ERR_CONFLICT);
	assert_int_equal(job_requeue(&f, "1.1", job->token, 0), ERR_NONE);
	assert_int_equal(job_requeue(&f, "1.1", job->token, 0), ERR_CONFLICT);
	assert_int_equal(job_finished(&f, "1.1", job->token, JOB_PASSED), ERR_CONFLICT);
	assert_int_equal(redis_fixture_int(&server, "HGET davit:repo:app running"), 0);
	job_free(&job);
	job = claim("1.1");
	assert_int_equal(job->attempt, 2);
	assert_string_equal(job->reason, "the node went away");
	assert_string_equal(job->container, "");
	assert_int_equal(job_finished(&f, "1.1", job->token, JOB_PASSED), ERR_NONE);
	job_free(&job);
}

static void
test_delayed_job_waits_until_it_is_promoted(void **state)
{
	struct job *job;

	(void)state;
	queued_build(&f, "app", 1);
	job = claim("1.1");
	assert_int_equal(job_requeue(&f, "1.1", job->token, 60000), ERR_NONE);
	job_free(&job);
	assert_int_equal(promote(&f), ERR_NONE);
	assert_true(f.got.number > 50000 && f.got.number <= 60000);
	assert_int_equal(job_claim(&f), ERR_NONE);
	assert_null(f.got.job);
	assert_int_equal(job_get(&f, "1.1"), ERR_NONE);
	assert_string_equal(f.got.job->waits_for, "attempt 2 in 60 s");

	redis_fixture_ask(&server, "ZADD davit:delayed XX 1 1.1");
	f.words[0] = '\0';
	assert_int_equal(promote(&f), ERR_NONE);
	assert_true(f.got.number == -1);
	await_word(&f, "queue");
	job = claim("1.1");
	job_free(&job);
}

static void
test_expired_lease_is_given_to_one_caller(void **state)
{
	struct job *job;
	struct store_lease lease;

	(void)state;
	queued_build(&f, "app", 1);
	job = claim("1.1");
	assert_int_equal(job_started(&f, "1.1", job->token, "c1"), ERR_NONE);
	assert_int_equal(promote(&f), ERR_NONE);
	assert_int_equal(f.got.jobs.count, 0);
	assert_true(f.got.number > 25000 && f.got.number <= 30000);
	expire("1.1");
	assert_int_equal(promote(&f), ERR_NONE);
	assert_int_equal(f.got.jobs.count, 1);
	assert_string_equal(f.got.jobs.items[0].id, "1.1");
	assert_string_equal(f.got.jobs.items[0].token, job->token);
	assert_string_equal(f.got.jobs.items[0].container, "c1");
	assert_int_equal(promote(&f), ERR_NONE);
	assert_int_equal(f.got.jobs.count, 0);
	lease = (struct store_lease){ "1.1", job->token };
	assert_int_equal(renew(&f, &lease, 1), ERR_NONE); /* its node lives after all */
	assert_int_equal(f.got.states[0], STORE_LEASE_OK);
	job_free(&job);
}

static void
test_renew_tells_what_is_lost_and_what_is_to_end(void **state)
{
	struct build *build;
	struct job *job;
	struct store_lease leases[4];

	(void)state;
	queued_build(&f, "app", 1);
	submit(&f, "app", NULL, NULL);
	plan_claim(&f);
	build = take_build(&f);
	job = claim("1.1");
	leases[0] = (struct store_lease){ "1.1", job->token };
	leases[1] = (struct store_lease){ "2", build->token };
	leases[2] = (struct store_lease){ "1.1", "not the token" };
	leases[3] = (struct store_lease){ "7.7", job->token };
	expire("1.1");
	assert_int_equal(renew(&f, leases, 4), ERR_NONE);
	assert_int_equal(f.got.count, 4);
	assert_int_equal(f.got.states[0], STORE_LEASE_OK);
	assert_int_equal(f.got.states[1], STORE_LEASE_OK);
	assert_int_equal(f.got.states[2], STORE_LEASE_LOST);
	assert_int_equal(f.got.states[3], STORE_LEASE_LOST);
	assert_true(redis_fixture_int(&server, "ZSCORE davit:running 1.1") > 1700000000000);
	assert_int_equal(build_cancel(&f, 1), ERR_NONE);
	assert_int_equal(build_cancel(&f, 2), ERR_NONE);
	assert_int_equal(renew(&f, leases, 2), ERR_NONE);
	assert_int_equal(f.got.states[0], STORE_LEASE_CANCEL);
	assert_int_equal(f.got.states[1], STORE_LEASE_LOST);
	job_free(&job);
	build_free(&build);
}

/* A claim whose answer did not arrive: the next one gets the same job. */
static void
test_lost_claim_is_answered_again(void **state)
{
	struct job *first, *second;
	struct store_op *op;

	(void)state;
	queued_build(&f, "app", 2);
	op = store_job_claim(f.store, "local", NULL, NULL);
	store_cancel(&op); /* it is on its way to Redis nevertheless */
	first = claim("1.1");
	second = claim("1.2");
	assert_int_equal(redis_fixture_int(&server, "HGET davit:repo:app running"), 2);
	job_free(&first);
	job_free(&second);
}

static void
test_lost_claim_of_a_build_is_answered_again(void **state)
{
	struct store_op *op;

	(void)state;
	submit(&f, "app", NULL, NULL);
	submit(&f, "app", NULL, NULL);
	op = store_plan_claim(f.store, NULL, NULL);
	store_cancel(&op);
	assert_int_equal(plan_claim(&f), ERR_NONE);
	assert_int_equal(f.got.build->build, 1);
	assert_int_equal(f.got.build->attempt, 1);
	assert_int_equal(plan_claim(&f), ERR_NONE);
	assert_int_equal(f.got.build->build, 2);
}

/* What Redis did not answer in time is asked again with the same nonce. */
static void
test_claim_of_a_frozen_redis_is_answered_again(void **state)
{
	struct job *job;

	(void)state;
	queued_build(&f, "app", 1);
	kill(server.pid, SIGSTOP);
	f.words[0] = '\0';
	assert_int_equal(job_claim(&f), ERR_TIMEOUT);
	kill(server.pid, SIGCONT);
	await_word(&f, "up");
	job = claim("1.1");
	assert_int_equal(job_finished(&f, "1.1", job->token, JOB_PASSED), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "HGET davit:repo:app running"), 0);
	job_free(&job);
}

static void
test_ids_that_are_none_are_not_found(void **state)
{
	static const char *const bad[] = { "", "1", "1.", ".1", "1.0", "01.1", "1.1.1", "x.1", "1.1 ", "99.1" };

	(void)state;
	queued_build(&f, "app", 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(job_get(&f, bad[i]), ERR_NOT_FOUND);
		assert_int_equal(job_cancel(&f, bad[i]), ERR_NOT_FOUND);
		assert_int_not_equal(job_finished(&f, bad[i], "t", JOB_PASSED), ERR_NONE);
	}
	assert_int_equal(build_get(&f, 99), ERR_NOT_FOUND);
	assert_int_equal(build_cancel(&f, 99), ERR_NOT_FOUND);
	assert_int_equal(build_rerun(&f, 99), ERR_NOT_FOUND);
}

/* --- the queue --- */

/* The claims of the next count jobs, as "1.1 2.1 ". */
static const char *
claim_order(size_t count)
{
	static char order[512];

	order[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(job_claim(&f), ERR_NONE);
		if (f.got.job != NULL)
			strcat(strcat(order, f.got.job->id), " ");
	}
	return order;
}

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
	assert_int_equal(f.got.pruned[0].build, 2);
	assert_int_equal(f.got.pruned[0].jobs, 2);
	assert_int_equal(f.got.pruned[1].build, 3);
	assert_int_equal(
	    redis_fixture_int(&server, "EXISTS davit:build:2 davit:change:2 davit:job:2.1 davit:job:2.2"), 0);
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:builds"), 3);
	assert_int_equal(prune(&f, 2), ERR_NONE);
	assert_int_equal(f.got.count, 0);
	job = claim("1.1");
	job_free(&job);
}

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
	assert_string_equal(f.words, "planning\nbuild 1 planning\nbuild 1 queued\nqueue\njob 1.1 running\n"
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
	store_job_claim(c->f->store, "local", on_race, c);
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

/* --- what befalls Redis --- */

struct burst {
	unsigned awaited;
	int64_t accepted[2000];
	size_t count, failed;
	pid_t victim; /* is killed when half of the answers are there */
};

static struct burst burst;

static void
on_burst(void *arg, const struct store_submitted *submitted, const struct err *err)
{
	(void)arg;
	if (err == NULL) {
		assert_int_equal(submitted->result, STORE_NEW);
		burst.accepted[burst.count++] = submitted->build;
	} else {
		assert_true(err->code == ERR_UNAVAILABLE || err->code == ERR_TIMEOUT);
		burst.failed++;
	}
	if (burst.count == 100 && burst.victim > 0) {
		kill(burst.victim, SIGKILL);
		burst.victim = 0;
	}
	if (--burst.awaited == 0)
		loop_stop(f.loop);
}

static void
test_what_was_accepted_survives_kill_9_of_redis(void **state)
{
	const struct change change = { .ref = (char[]){ "refs/heads/main" }, .branch = (char[]){ "main" } };
	char delivery[32];

	(void)state;
	burst = (struct burst){ .awaited = 2000, .victim = server.pid };
	for (int i = 0; i < 2000; i++) {
		snprintf(delivery, sizeof(delivery), "burst-%d", i);
		store_submit(f.store, "app", &change, str_of(delivery), NULL, on_burst, NULL);
	}
	f.words[0] = '\0';
	loop_run(f.loop);
	assert_true(burst.count >= 100);
	assert_true(burst.failed > 0);
	redis_fixture_kill(&server); /* reaps it */
	redis_fixture_restart(&server);
	await_word(&f, "up");
	for (size_t i = 0; i < burst.count; i++)
		assert_int_equal(
		    redis_fixture_int(&server, "EXISTS davit:build:%lld", (long long)burst.accepted[i]), 1);
	/* What was not answered may be there, but then whole and once: it is given again, as a forge would. */
	if (submit(&f, "app", "burst-1999", NULL) <= 0)
		fail_msg("%s", f.got.err.text);
	assert_int_equal(
	    redis_fixture_int(&server, "ZCARD davit:builds"), redis_fixture_int(&server, "GET davit:seq:build"));
	assert_int_equal(
	    redis_fixture_int(&server, "ZCARD davit:planning"), redis_fixture_int(&server, "GET davit:seq:build"));
}

static void
test_scripts_are_loaded_again_after_a_restart(void **state)
{
	(void)state;
	redis_fixture_ask(&server, "SCRIPT FLUSH");
	assert_true(submit(&f, "app", NULL, NULL) > 0);
	redis_fixture_kill(&server);
	f.words[0] = '\0';
	await_word(&f, "down");
	assert_int_equal(submit(&f, "app", NULL, NULL), 0);
	assert_int_equal(f.got.err.code, ERR_UNAVAILABLE);
	redis_fixture_restart(&server);
	await_word(&f, "up");
	assert_true(submit(&f, "app", NULL, NULL) > 0);
}

static void
test_frozen_redis_is_an_error_within_a_second(void **state)
{
	int64_t before, took;

	(void)state;
	kill(server.pid, SIGSTOP);
	before = loop_mono_ms();
	submit(&f, "app", "d-1", BODY_A);
	took = loop_mono_ms() - before;
	assert_int_equal(f.got.err.code, ERR_TIMEOUT);
	assert_true(took >= 900 && took < 3000);
	before = loop_mono_ms();
	submit(&f, "app", "d-2", BODY_B);
	assert_int_equal(f.got.err.code, ERR_UNAVAILABLE);
	assert_true(loop_mono_ms() - before < 900);
	f.words[0] = '\0';
	kill(server.pid, SIGCONT);
	await_word(&f, "up");
	assert_true(submit(&f, "app", "d-1", BODY_A) > 0); /* whether or not the first one went through */
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:builds"), 1);
}

static void
test_cancelled_operation_never_calls_back(void **state)
{
	struct store_op *op = store_stats(f.store, NULL, NULL);
	struct store_op *known;

	(void)state;
	store_cancel(&op);
	assert_null(op);
	assert_int_equal(repo_get(&f, "app"), ERR_NONE);
	known = store_repo_get(f.store, "app", NULL, NULL); /* from memory */
	store_cancel(&known);
	known = store_repo_get(f.store, "*", NULL, NULL);
	store_cancel(&known);
	store_cancel(&known);
	assert_int_equal(stats(&f), ERR_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_repo_secrets_are_sealed_in_redis_and_clear_here),
		TEST(test_sealed_secret_of_another_repo_does_not_open),
		TEST(test_repo_is_remembered_until_it_changes),
		TEST(test_repo_list_is_sorted_and_has_no_secrets),
		TEST(test_repo_ids_are_checked),
		TEST(test_repo_with_an_open_build_cannot_be_deleted),
		TEST(test_submit_dedupes_by_delivery_and_by_body),
		TEST(test_submit_without_ids_is_never_a_duplicate),
		TEST(test_hostile_delivery_ids_do_not_form_keys),
		TEST(test_submit_stores_the_whole_change),
		TEST(test_too_many_builds_to_plan_are_refused),
		TEST(test_plan_claim_gives_the_oldest_with_its_change),
		TEST(test_planned_queues_the_jobs_once),
		TEST(test_plan_without_jobs_passes),
		TEST(test_plan_failed_ends_the_build_once),
		TEST(test_lost_planning_is_done_again_three_times),
		TEST(test_new_epoch_takes_plannings_back_and_shuts_the_old_one_out),
		TEST(test_job_runs_to_its_end_and_the_build_with_it),
		TEST(test_claim_gives_job_build_and_change),
		TEST(test_build_ends_in_the_worst_state_of_its_jobs),
		TEST(test_requeue_runs_the_job_again_as_the_next_attempt),
		TEST(test_delayed_job_waits_until_it_is_promoted),
		TEST(test_expired_lease_is_given_to_one_caller),
		TEST(test_renew_tells_what_is_lost_and_what_is_to_end),
		TEST(test_lost_claim_is_answered_again),
		TEST(test_lost_claim_of_a_build_is_answered_again),
		TEST(test_claim_of_a_frozen_redis_is_answered_again),
		TEST(test_ids_that_are_none_are_not_found),
		TEST(test_two_repositories_share_the_slots),
		TEST(test_newcomer_does_not_wait_behind_a_long_queue),
		TEST(test_idle_repository_saves_nothing_up),
		TEST(test_weight_is_a_share),
		TEST(test_cancelled_jobs_cost_nothing),
		TEST(test_repository_at_its_limit_is_held_and_released),
		TEST(test_many_held_jobs_do_not_block_the_others),
		TEST(test_queue_lists_jobs_in_the_order_of_claims),
		TEST(test_running_lists_a_nodes_jobs),
		TEST(test_cancel_in_every_state_of_a_build),
		TEST(test_cancel_reaches_held_and_delayed_jobs),
		TEST(test_requeue_of_a_job_to_be_cancelled_ends_it),
		TEST(test_rerun_builds_the_same_change),
		TEST(test_builds_are_listed_from_the_newest),
		TEST(test_prune_keeps_the_newest_and_the_unfinished),
		TEST(test_events_are_written_for_those_who_want_them),
		TEST(test_outbox_keeps_order_and_the_lease),
		TEST(test_outbox_retry_waits_and_counts),
		TEST(test_outbox_drop_lets_the_next_one_pass),
		TEST(test_dead_notices_are_bounded),
		TEST(test_fanout_replaces_the_event_once),
		TEST(test_finished_build_knows_the_one_before_it),
		TEST(test_stats_count),
		TEST(test_words_tell_the_story),
		TEST(test_two_daemons_never_claim_the_same_job),
		TEST(test_what_was_accepted_survives_kill_9_of_redis),
		TEST(test_scripts_are_loaded_again_after_a_restart),
		TEST(test_frozen_redis_is_an_error_within_a_second),
		TEST(test_cancelled_operation_never_calls_back),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
