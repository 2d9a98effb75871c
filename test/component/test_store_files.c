#include "test/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test/component/store_suite.h"

enum { HOUR_S = 3600, ROOM = 1000 };

#define TEXT(literal) ((char[]){ literal })

/* Build 1 of "app" with two jobs, the first one claimed. */
static struct job *
claimed_job(void)
{
	int64_t build = submit(&f, "app", NULL, NULL);
	struct build *claimed;

	assert_int_equal(plan_claim(&f), ERR_NONE);
	claimed = take_build(&f);
	assert_int_equal(planned(&f, build, claimed->token, 2), ERR_NONE);
	build_free(&claimed);
	assert_int_equal(job_claim(&f), ERR_NONE);
	return take_job(&f);
}

static enum err_code
put(const struct job *job, int64_t number, int64_t size, int64_t expire_s)
{
	const struct artifact artifact = { .name = TEXT("dist"),
		.number = number,
		.attempt = job->attempt,
		.size = size,
		.content = 3 * size,
		.files = 2,
		.sha256 = TEXT("abc") };

	return artifact_put(&f, job->id, job->token, &artifact, expire_s, ROOM);
}

static void
test_artifacts_are_listed_and_replaced(void **state)
{
	struct job *job = claimed_job();
	const struct artifact *a;

	(void)state;
	assert_int_equal(put(job, 0, 100, HOUR_S), ERR_NONE);
	assert_int_equal(put(job, 1, 200, HOUR_S), ERR_NONE);
	assert_int_equal(put(job, 1, 300, HOUR_S), ERR_NONE);
	assert_string_equal(redis_fixture_text(&server, "HGET davit:repo:app artifact_bytes"), "400");
	assert_int_equal(artifact_list(&f, 1, 0), ERR_NONE);
	assert_int_equal(f.got.artifacts.count, 2);
	a = &f.got.artifacts.items[1];
	assert_string_equal(a->id, "1.1.1");
	assert_string_equal(a->name, "dist");
	assert_string_equal(a->node, "n1");
	assert_int_equal(a->size, 300);
	assert_int_equal(a->content, 900);
	assert_int_equal(a->expires_ms - a->created_ms, HOUR_S * 1000);
	assert_int_equal(artifact_list(&f, 1, 2), ERR_NONE);
	assert_int_equal(f.got.artifacts.count, 0);
	assert_int_equal(artifact_list(&f, 99, 0), ERR_NONE);
	assert_int_equal(f.got.artifacts.count, 0);
	job_free(&job);
}

static void
test_a_repository_has_so_much_room(void **state)
{
	struct job *job = claimed_job();

	(void)state;
	assert_int_equal(put(job, 0, 600, HOUR_S), ERR_NONE);
	assert_int_equal(put(job, 1, 401, HOUR_S), ERR_LIMIT);
	assert_int_equal(put(job, 1, 400, HOUR_S), ERR_NONE);
	assert_int_equal(put(job, 0, 601, HOUR_S), ERR_LIMIT); /* and the older one is gone, as its file is */
	assert_int_equal(artifact_list(&f, 1, 1), ERR_NONE);
	assert_int_equal(f.got.artifacts.count, 1);
	job_free(&job);
}

static void
test_a_lost_job_adds_nothing(void **state)
{
	const struct test_report report = { .tests = 1, .failed = TEXT("[]") };
	struct job *job = claimed_job();

	(void)state;
	free(job->token);
	job->token = strdup("stale");
	assert_int_equal(put(job, 0, 100, HOUR_S), ERR_CONFLICT);
	assert_int_equal(report_put(&f, job->id, job->token, &report), ERR_CONFLICT);
	assert_int_equal(artifact_list(&f, 1, 0), ERR_NONE);
	assert_int_equal(f.got.artifacts.count, 0);
	job_free(&job);
}

static void
test_a_rerun_has_the_artifacts_and_reports_of_what_it_took_over(void **state)
{
	const struct test_report report = { .tests = 3, .failed = TEXT("[]") };
	struct job *job;

	(void)state;
	queued_build(&f, "app", 2);
	job = claim("1.1");
	assert_int_equal(put(job, 0, 100, HOUR_S), ERR_NONE);
	assert_int_equal(report_put(&f, job->id, job->token, &report), ERR_NONE);
	assert_int_equal(job_finished(&f, job->id, job->token, JOB_PASSED), ERR_NONE);
	job_free(&job);
	job = claim("1.2");
	assert_int_equal(job_finished(&f, job->id, job->token, JOB_FAILED), ERR_NONE);
	job_free(&job);
	assert_int_equal(build_rerun_jobs(&f, 1, "failed"), ERR_NONE);
	assert_int_equal(artifact_list(&f, 2, 1), ERR_NONE);
	assert_int_equal(f.got.artifacts.count, 1);
	assert_string_equal(f.got.artifacts.items[0].job, "1.1");
	assert_int_equal(report_list(&f, 2), ERR_NONE);
	assert_int_equal(f.got.reports.count, 1);
}

static void
test_an_earlier_attempts_artifacts_are_not_listed(void **state)
{
	struct job *job = claimed_job();

	(void)state;
	assert_int_equal(put(job, 0, 100, HOUR_S), ERR_NONE);
	assert_int_equal(job_requeue(&f, job->id, job->token, 0), ERR_NONE);
	assert_int_equal(artifact_list(&f, 1, 0), ERR_NONE);
	assert_int_equal(f.got.artifacts.count, 0);
	job_free(&job);
}

static void
test_artifacts_expire(void **state)
{
	struct job *job = claimed_job();

	(void)state;
	assert_int_equal(put(job, 0, 100, 0), ERR_NONE);
	assert_int_equal(put(job, 1, 100, HOUR_S), ERR_NONE);
	assert_int_equal(artifact_expire(&f), ERR_NONE);
	assert_int_equal(f.got.artifacts.count, 1);
	assert_string_equal(f.got.artifacts.items[0].id, "1.1.0");
	assert_int_equal(artifact_list(&f, 1, 0), ERR_NONE);
	assert_int_equal(f.got.artifacts.count, 1);
	assert_string_equal(redis_fixture_text(&server, "HGET davit:repo:app artifact_bytes"), "100");
	assert_int_equal(artifact_expire(&f), ERR_NONE);
	assert_int_equal(f.got.artifacts.count, 0);
	job_free(&job);
}

static void
test_everything_goes_with_the_build(void **state)
{
	const struct test_report report = { .tests = 1, .failed = TEXT("[]") };
	struct job *job = claimed_job();

	(void)state;
	assert_int_equal(put(job, 0, 100, HOUR_S), ERR_NONE);
	assert_int_equal(report_put(&f, job->id, job->token, &report), ERR_NONE);
	assert_int_equal(build_cancel(&f, 1), ERR_NONE);
	assert_int_equal(job_finished(&f, job->id, job->token, JOB_CANCELLED), ERR_NONE);
	assert_int_equal(prune(&f, 0), ERR_NONE);
	assert_int_equal(f.got.count, 1);
	assert_string_equal(redis_fixture_text(&server, "HGET davit:artifact:1.1.0 name"), "");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:report:1.1 job"), "");
	assert_string_equal(redis_fixture_text(&server, "ZSCORE davit:artifacts:n1 1.1.0"), "");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:repo:app artifact_bytes"), "0");
	job_free(&job);
}

static void
end_build(int64_t build, const struct job *job)
{
	assert_int_equal(job_finished(&f, job->id, job->token, JOB_PASSED), ERR_NONE);
	assert_int_equal(build_cancel(&f, build), ERR_NONE);
}

static void
test_a_builds_figures_are_its_jobs(void **state)
{
	struct test_report report = {
		.tests = 10, .failures = 2, .errors = 1, .skipped = 1, .time_ms = 1500, .lines = 100, .covered = 80
	};
	struct job *first = claimed_job(), *second;

	(void)state;
	report.failed = TEXT("[{}]");
	assert_int_equal(report_put(&f, first->id, first->token, &report), ERR_NONE);
	assert_int_equal(report_put(&f, first->id, first->token, &report), ERR_NONE);
	assert_int_equal(job_claim(&f), ERR_NONE);
	second = take_job(&f);
	report.lines = 300;
	report.covered = 300;
	assert_int_equal(report_put(&f, second->id, second->token, &report), ERR_NONE);
	assert_int_equal(build_get(&f, 1), ERR_NONE);
	assert_int_equal(f.got.build->tests, 20);
	assert_int_equal(f.got.build->tests_failed, 6);
	assert_string_equal(f.got.build->coverage, "9500");
	assert_string_equal(f.got.build->coverage_before, "");
	assert_int_equal(report_list(&f, 1), ERR_NONE);
	assert_int_equal(f.got.reports.count, 2);
	assert_string_equal(f.got.reports.items[1].job, "1.2");
	assert_string_equal(f.got.reports.items[1].failed, "[{}]");
	assert_int_equal(f.got.reports.items[1].time_ms, 1500);
	end_build(1, second);
	job_free(&first);
	job_free(&second);
}

static void
test_coverage_is_compared_with_the_branchs_last(void **state)
{
	const struct test_report without = { .tests = 1, .failed = TEXT("[]") };
	const struct test_report with = { .lines = 3, .covered = 2, .failed = TEXT("[]") };
	struct job *job;

	(void)state;
	job = claimed_job();
	assert_int_equal(report_put(&f, job->id, job->token, &with), ERR_NONE);
	end_build(1, job);
	job_free(&job);
	job = claimed_job();
	assert_int_equal(report_put(&f, job->id, job->token, &without), ERR_NONE);
	assert_int_equal(build_get(&f, 2), ERR_NONE);
	assert_string_equal(f.got.build->coverage, "");
	end_build(2, job);
	job_free(&job);
	job = claimed_job();
	assert_int_equal(report_put(&f, job->id, job->token, &with), ERR_NONE);
	assert_int_equal(build_get(&f, 3), ERR_NONE);
	assert_string_equal(f.got.build->coverage, "6666");
	assert_string_equal(f.got.build->coverage_before, "6666");
	job_free(&job);
}

static enum err_code
save(const char *id, const char *trust, const char *key, int64_t size)
{
	const struct cache cache = {
		.id = (char *)id, .repo = TEXT("app"), .trust = (char *)trust, .key = (char *)key, .size = size
	};

	return cache_put(&f, &cache);
}

/* The id of what is found; "" for none. */
static const char *
find(const char *trust, const char *key, const char *beginning)
{
	const char *const beginnings[] = { beginning };
	const struct cache_query query = { .repo = "app",
		.trust = trust,
		.key = key,
		.beginnings = beginnings,
		.beginning_count = beginning != NULL };

	assert_int_equal(cache_find(&f, &query), ERR_NONE);
	return f.got.cache != NULL ? f.got.cache->id : "";
}

/* Times are Redis' milliseconds: two caches of one are not told apart. */
static void
made_at(const char *id, const char *ms)
{
	redis_fixture_ask(&server, "HSET davit:cache:%s created_ms %s", id, ms);
}

static void
test_caches_are_found_by_key_and_by_beginning(void **state)
{
	(void)state;
	assert_string_equal(find("trusted", "npm-1", "npm-"), "");
	assert_int_equal(save("a1", "trusted", "npm-1", 10), ERR_NONE);
	assert_int_equal(save("a2", "trusted", "npm-2", 10), ERR_NONE);
	assert_int_equal(save("a3", "trusted", "pip-1", 10), ERR_NONE);
	made_at("a1", "2000");
	made_at("a2", "1000");
	assert_string_equal(find("trusted", "npm-2", NULL), "a2");
	assert_string_equal(find("trusted", "npm-3", NULL), "");
	assert_string_equal(find("trusted", "npm-3", "npm-"), "a1");
	assert_string_equal(find("trusted", "x", "[np]%a*-"), "");
}

static void
test_the_first_cache_of_a_key_stays(void **state)
{
	(void)state;
	assert_int_equal(save("a1", "trusted", "k", 10), ERR_NONE);
	assert_int_equal(save("a1", "trusted", "k", 10), ERR_NONE); /* the same call again */
	assert_int_equal(save("a2", "trusted", "k", 10), ERR_CONFLICT);
	assert_string_equal(find("trusted", "k", NULL), "a1");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:node:n1 cache_bytes"), "10");
}

static void
test_a_fork_reads_trusted_caches_and_writes_its_own(void **state)
{
	(void)state;
	assert_int_equal(save("a1", "trusted", "k", 10), ERR_NONE);
	assert_string_equal(find("fork-7", "k", NULL), "a1");
	assert_int_equal(save("b1", "fork-7", "k", 10), ERR_NONE);
	assert_string_equal(find("fork-7", "k", NULL), "b1");
	assert_string_equal(find("trusted", "k", NULL), "a1");
	assert_string_equal(find("fork-8", "k", NULL), "a1");
	assert_int_equal(save("b2", "fork-7", "only", 10), ERR_NONE);
	assert_string_equal(find("trusted", "only", "on"), "");
	assert_string_equal(find("fork-8", "only", "on"), "");
}

static void
used_at(const char *id, const char *ms)
{
	redis_fixture_ask(&server, "ZADD davit:caches:n1 %s %s", ms, id);
}

static void
test_the_longest_unused_caches_go(void **state)
{
	(void)state;
	assert_int_equal(save("a1", "trusted", "1", 10), ERR_NONE);
	assert_int_equal(save("a2", "trusted", "2", 10), ERR_NONE);
	assert_int_equal(save("a3", "trusted", "3", 10), ERR_NONE);
	used_at("a1", "3000");
	used_at("a2", "1000");
	used_at("a3", "2000");
	assert_int_equal(cache_prune(&f, 30, INT64_MAX / 2), ERR_NONE);
	assert_int_equal(f.got.ids.count, 0);
	assert_int_equal(cache_prune(&f, 29, INT64_MAX / 2), ERR_NONE);
	assert_int_equal(f.got.ids.count, 1);
	assert_string_equal(f.got.ids.items[0], "a2");
	assert_string_equal(find("trusted", "2", NULL), "");
	assert_string_equal(find("trusted", "3", NULL), "a3"); /* used now */
	assert_int_equal(cache_prune(&f, 1000, 60000), ERR_NONE);
	assert_int_equal(f.got.ids.count, 1);
	assert_string_equal(f.got.ids.items[0], "a1");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:node:n1 cache_bytes"), "10");
}

static void
test_files_that_are_no_caches_are_told(void **state)
{
	const char *const ids[] = { "a1", "a2", "../x" };

	(void)state;
	assert_int_equal(save("a1", "trusted", "1", 10), ERR_NONE);
	assert_int_equal(cache_unknown(&f, ids, 3), ERR_NONE);
	assert_int_equal(f.got.ids.count, 2);
	assert_string_equal(f.got.ids.items[0], "a2");
	assert_int_equal(cache_forget(&f, "a1"), ERR_NONE);
	assert_int_equal(cache_forget(&f, "a1"), ERR_NONE);
	assert_string_equal(find("trusted", "1", NULL), "");
	assert_int_equal(cache_unknown(&f, ids, 1), ERR_NONE);
	assert_int_equal(f.got.ids.count, 1);
}

static void
test_caches_go_with_their_repository(void **state)
{
	(void)state;
	assert_int_equal(save("a1", "trusted", "1", 10), ERR_NONE);
	assert_int_equal(save("a2", "fork-1", "1", 10), ERR_NONE);
	assert_int_equal(repo_delete(&f, "app"), ERR_NONE);
	assert_int_equal(put_repo(&f, "app", 0, false), ERR_NONE);
	assert_string_equal(find("fork-1", "1", NULL), "");
	assert_int_equal(cache_prune(&f, 1000, 60000), ERR_NONE);
	assert_int_equal(f.got.ids.count, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SUITE_TEST(test_artifacts_are_listed_and_replaced),
		SUITE_TEST(test_a_repository_has_so_much_room),
		SUITE_TEST(test_a_lost_job_adds_nothing),
		SUITE_TEST(test_a_rerun_has_the_artifacts_and_reports_of_what_it_took_over),
		SUITE_TEST(test_an_earlier_attempts_artifacts_are_not_listed),
		SUITE_TEST(test_artifacts_expire),
		SUITE_TEST(test_everything_goes_with_the_build),
		SUITE_TEST(test_a_builds_figures_are_its_jobs),
		SUITE_TEST(test_coverage_is_compared_with_the_branchs_last),
		SUITE_TEST(test_caches_are_found_by_key_and_by_beginning),
		SUITE_TEST(test_the_first_cache_of_a_key_stays),
		SUITE_TEST(test_a_fork_reads_trusted_caches_and_writes_its_own),
		SUITE_TEST(test_the_longest_unused_caches_go),
		SUITE_TEST(test_files_that_are_no_caches_are_told),
		SUITE_TEST(test_caches_go_with_their_repository),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, suite_start, suite_stop);
}
