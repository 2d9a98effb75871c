#include "test/unit/unit.h"

#include <hiredis/hiredis.h>
#include <signal.h>

#include "test/component/store_suite.h"

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

static enum err_code
planned_first(bool is_first)
{
	struct plan plan = { .is_first = is_first };
	enum err_code code;
	struct build *build;

	assert_int_equal(plan_claim(&f), ERR_NONE);
	build = take_build(&f);
	code = planned_with(&f, build->build, build->token, &plan);
	if (code == ERR_INPUT) { /* planned once more */
		plan.is_first = false;
		assert_int_equal(planned_with(&f, build->build, build->token, &plan), ERR_NONE);
	}
	build_free(&build);
	return code;
}

/* One change is the first of which an image was built, and so are its reruns. */
static void
test_first_image_of_a_repository(void **state)
{
	int64_t first, second;

	(void)state;
	submit(&f, "app", NULL, NULL);
	assert_int_equal(planned_first(false), ERR_NONE);
	assert_int_equal(repo_get(&f, "app"), ERR_NONE);
	assert_int_equal(f.got.repo->first_image, 0);
	first = submit(&f, "app", NULL, NULL);
	assert_int_equal(planned_first(true), ERR_NONE);
	second = submit(&f, "app", NULL, NULL);
	assert_int_equal(planned_first(true), ERR_INPUT);
	assert_int_equal(build_rerun(&f, first), ERR_NONE);
	assert_int_equal(planned_first(true), ERR_NONE);
	assert_int_equal(build_rerun(&f, second), ERR_NONE);
	assert_int_equal(planned_first(true), ERR_INPUT);
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

/* Also with a token that is good: whoever was frozen may hold one that its successor goes on with. */
static void
test_nothing_of_a_replaced_process_is_written(void **state)
{
	struct store_fixture again;
	struct job *job;

	(void)state;
	queued_build(&f, "app", 1);
	submit(&f, "app", NULL, NULL);
	job = claim("1.1");
	store_fixture_start(&again, &server, "n1");
	assert_int_equal(job_started(&f, "1.1", job->token, "c"), ERR_CONFLICT);
	assert_int_equal(job_finished(&f, "1.1", job->token, JOB_PASSED), ERR_CONFLICT);
	assert_int_equal(job_requeue(&f, "1.1", job->token, 0), ERR_CONFLICT);
	assert_int_equal(plan_claim(&f), ERR_CONFLICT);
	assert_int_equal(promote(&f), ERR_CONFLICT);
	assert_int_equal(outbox_claim(&f), ERR_CONFLICT);
	assert_int_equal(build_cancel(&f, 2), ERR_CONFLICT);
	assert_int_equal(put_repo(&f, "app", 1, false), ERR_CONFLICT);
	assert_non_null(strstr(f.words, "fenced\n"));
	assert_null(strstr(strstr(f.words, "fenced\n") + 1, "fenced\n"));
	assert_int_equal(job_started(&again, "1.1", job->token, "c"), ERR_NONE);
	assert_int_equal(job_finished(&again, "1.1", job->token, JOB_PASSED), ERR_NONE);
	assert_build(1, "passed");
	job_free(&job);
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
	assert_string_equal(first->engine, "");
	assert_string_equal(first->node, "n1");
	assert_non_null(strstr(first->spec, "alpine:3"));
	assert_build(n, "queued");
	assert_int_equal(job_started(&f, "1.1", "not the token", "c1"), ERR_CONFLICT);
	assert_int_equal(job_started(&f, "1.1", first->token, "c1"), ERR_NONE);
	assert_int_equal(job_started(&f, "1.1", first->token, "c1"), ERR_NONE);
	assert_int_equal(redis_fixture_int(&server, "HSTRLEN davit:job:1.1 engine"), strlen("local"));
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
test_renew_of_a_node_without_a_record(void **state)
{
	(void)state;
	assert_int_equal(renew(&f, NULL, 0), ERR_NONE);
	redis_fixture_ask(&server, "DEL davit:node:n1");
	assert_int_equal(renew(&f, NULL, 0), ERR_NOT_FOUND);
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
	op = store_job_claim(f.store, &(const char *){ "" }, 1, NULL, NULL);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SUITE_TEST(test_repo_secrets_are_sealed_in_redis_and_clear_here),
		SUITE_TEST(test_sealed_secret_of_another_repo_does_not_open),
		SUITE_TEST(test_repo_is_remembered_until_it_changes),
		SUITE_TEST(test_repo_list_is_sorted_and_has_no_secrets),
		SUITE_TEST(test_repo_ids_are_checked),
		SUITE_TEST(test_repo_with_an_open_build_cannot_be_deleted),
		SUITE_TEST(test_submit_dedupes_by_delivery_and_by_body),
		SUITE_TEST(test_submit_without_ids_is_never_a_duplicate),
		SUITE_TEST(test_hostile_delivery_ids_do_not_form_keys),
		SUITE_TEST(test_submit_stores_the_whole_change),
		SUITE_TEST(test_too_many_builds_to_plan_are_refused),
		SUITE_TEST(test_plan_claim_gives_the_oldest_with_its_change),
		SUITE_TEST(test_planned_queues_the_jobs_once),
		SUITE_TEST(test_first_image_of_a_repository),
		SUITE_TEST(test_plan_without_jobs_passes),
		SUITE_TEST(test_plan_failed_ends_the_build_once),
		SUITE_TEST(test_lost_planning_is_done_again_three_times),
		SUITE_TEST(test_new_epoch_takes_plannings_back_and_shuts_the_old_one_out),
		SUITE_TEST(test_nothing_of_a_replaced_process_is_written),
		SUITE_TEST(test_job_runs_to_its_end_and_the_build_with_it),
		SUITE_TEST(test_claim_gives_job_build_and_change),
		SUITE_TEST(test_build_ends_in_the_worst_state_of_its_jobs),
		SUITE_TEST(test_requeue_runs_the_job_again_as_the_next_attempt),
		SUITE_TEST(test_delayed_job_waits_until_it_is_promoted),
		SUITE_TEST(test_expired_lease_is_given_to_one_caller),
		SUITE_TEST(test_renew_of_a_node_without_a_record),
		SUITE_TEST(test_renew_tells_what_is_lost_and_what_is_to_end),
		SUITE_TEST(test_lost_claim_is_answered_again),
		SUITE_TEST(test_lost_claim_of_a_build_is_answered_again),
		SUITE_TEST(test_claim_of_a_frozen_redis_is_answered_again),
		SUITE_TEST(test_ids_that_are_none_are_not_found),
	};

	return cmocka_run_group_tests(tests, suite_start, suite_stop);
}
