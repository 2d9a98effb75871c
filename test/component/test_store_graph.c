/* The job graph: who runs, who is skipped, what becomes of the build; tried again; run again. */
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/mem.h"
#include "test/component/store_suite.h"

#define JOBS_MAX 12

/* A job of a hand-made plan: J("name", "1 3", ...), the latter what it needs. */
struct made {
	const char *name;
	const char *needs;
	enum run_on run_on;
	bool allow_failure;
	const char *skipped;
	struct retry_spec retry;
};

static void
fill_needs(struct job_spec *job, const char *text)
{
	struct str rest = str_of(text);

	job->needs = xcalloc(JOBS_MAX, sizeof(*job->needs));
	while (rest.len > 0) {
		struct str number = str_cut(&rest, ' ');

		job->needs[job->need_count++].job = (unsigned)strtoul(number.p, NULL, 10);
	}
}

static int64_t
build_of(const struct made *made, size_t count)
{
	static char image[] = "alpine:3";
	struct job_spec jobs[JOBS_MAX] = { { 0 } };
	struct plan plan = { .jobs = jobs, .job_count = count };
	int64_t build = submit(&f, "app", NULL, NULL);
	struct build *claimed;

	for (size_t i = 0; i < count; i++) {
		jobs[i] = (struct job_spec){ .name = (char *)made[i].name,
			.image = image,
			.run_on = made[i].run_on,
			.allow_failure = made[i].allow_failure,
			.skipped = (char *)made[i].skipped,
			.retry = made[i].retry };
		fill_needs(&jobs[i], made[i].needs);
	}
	assert_int_equal(plan_claim(&f), ERR_NONE);
	claimed = take_build(&f);
	assert_int_equal(planned_with(&f, build, claimed->token, &plan), ERR_NONE);
	assert_int_equal(
	    planned_with(&f, build, claimed->token, &plan), ERR_NONE); /* the second time changes nothing */
	build_free(&claimed);
	for (size_t i = 0; i < count; i++)
		free(jobs[i].needs);
	return build;
}

#define J(name_, needs_, ...)                                 \
	{                                                     \
		.name = name_, .needs = needs_, ##__VA_ARGS__ \
	}
#define BUILD_OF(...) \
	build_of(     \
	    (const struct made[]){ __VA_ARGS__ }, sizeof((const struct made[]){ __VA_ARGS__ }) / sizeof(struct made))

static void
run(const char *id, enum job_state state)
{
	struct job *job = claim(id);

	assert_int_equal(job_started(&f, id, job->token, "c"), ERR_NONE);
	assert_int_equal(job_finished(&f, id, job->token, state), ERR_NONE);
	job_free(&job);
}

static void
assert_reason(const char *job, const char *reason)
{
	assert_string_equal(redis_fixture_text(&server, "HGET davit:job:%s reason", job), reason);
}

static void
assert_waits_for(const char *job, const char *words)
{
	assert_int_equal(job_get(&f, job), ERR_NONE);
	assert_string_equal(f.got.job->waits_for, words);
}

/* --- one need, each of its ends, each condition --- */

static void
test_each_end_of_a_need_under_each_condition(void **state)
{
	/* clang-format off */
	static const struct {
		enum job_state end;
		bool allow_failure;
		const char *then[3]; /* the state of the job that runs on success, on failure, always */
	} rows[] = {
		{ JOB_PASSED,    false, { "queued",  "skipped", "queued" } },
		{ JOB_FAILED,    false, { "skipped", "queued",  "queued" } },
		{ JOB_TIMED_OUT, false, { "skipped", "queued",  "queued" } },
		{ JOB_ERROR,     false, { "skipped", "queued",  "queued" } },
		{ JOB_CANCELLED, false, { "skipped", "skipped", "queued" } },
		{ JOB_FAILED,    true,  { "queued",  "skipped", "queued" } },
		{ JOB_TIMED_OUT, true,  { "queued",  "skipped", "queued" } },
		{ JOB_ERROR,     true,  { "queued",  "skipped", "queued" } },
		{ JOB_CANCELLED, true,  { "skipped", "skipped", "queued" } },
	};
	/* clang-format on */
	char first[16], id[16];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t n = BUILD_OF(J("a", "", .allow_failure = rows[i].allow_failure), J("success", "1"),
		    J("failure", "1", .run_on = RUN_ON_FAILURE), J("always", "1", .run_on = RUN_ALWAYS));

		for (int k = 2; k <= 4; k++) {
			snprintf(id, sizeof(id), "%d.%d", (int)n, k);
			assert_job(id, "waiting");
			assert_waits_for(id, "a to end");
		}
		snprintf(first, sizeof(first), "%d.1", (int)n);
		run(first, rows[i].end);
		for (int k = 2; k <= 4; k++) {
			snprintf(id, sizeof(id), "%d.%d", (int)n, k);
			assert_job(id, rows[i].then[k - 2]);
		}
		assert_int_equal(build_cancel(&f, n), ERR_NONE);
	}
}

static void
test_reasons_of_skipped_jobs_and_their_consequences(void **state)
{
	(void)state;
	BUILD_OF(J("build", ""), J("test", "1"), J("deploy", "2"), J("mail", "2", .run_on = RUN_ON_FAILURE),
	    J("tidy", "3", .run_on = RUN_ALWAYS));
	run("1.1", JOB_FAILED);
	assert_job("1.2", "skipped");
	assert_reason("1.2", "build failed");
	assert_reason("1.3", "test was skipped");
	assert_job("1.4", "queued"); /* for want of what failed, which is a failure too */
	run("1.4", JOB_PASSED);
	assert_build(1, "running");
	run("1.5", JOB_PASSED);
	assert_build(1, "failed");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:build:1 reason"), "build: exit code 1");

	BUILD_OF(J("test", ""), J("mail", "1", .run_on = RUN_ON_FAILURE), J("deploy", "1 2"));
	run("2.1", JOB_PASSED);
	assert_reason("2.2", "nothing that it needs failed");
	run("2.3", JOB_PASSED); /* a failure that did not come holds nobody up */
	assert_build(2, "passed");

	BUILD_OF(J("test", ""), J("mail", "1", .run_on = RUN_ON_FAILURE), J("deploy", "2"));
	assert_int_equal(job_cancel(&f, "3.1"), ERR_NONE);
	assert_job("3.2", "skipped");
	assert_reason("3.3", "mail was skipped");
	assert_build(3, "cancelled");
}

static void
test_own_condition_leaves_a_job_out_and_harms_nobody(void **state)
{
	(void)state;
	BUILD_OF(J("lint", "", .skipped = "only on tags"), J("test", "1"), J("late", "2", .skipped = "not on main"));
	assert_job("1.1", "skipped");
	assert_reason("1.1", "only on tags");
	assert_job("1.3", "skipped");
	run("1.2", JOB_PASSED);
	assert_build(1, "passed");

	BUILD_OF(J("lint", "", .skipped = "only on tags"), J("test", "1", .skipped = "only on tags"));
	assert_build(2, "passed");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:build:2 reason"), "all jobs were skipped");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:repo:app open"), "0");
}

static void
test_a_diamond_waits_for_both_sides(void **state)
{
	(void)state;
	BUILD_OF(J("a", ""), J("b", "1"), J("c", "1"), J("d", "2 3"));
	assert_waits_for("1.4", "b, c to end");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:job:1.1 needed_by"), "2 3");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:job:1.4 needs"), "2 3");
	f.words[0] = '\0';
	run("1.1", JOB_PASSED);
	await_word(&f, "job 1.3 queued");
	run("1.2", JOB_PASSED);
	assert_job("1.4", "waiting");
	assert_waits_for("1.4", "c to end");
	run("1.3", JOB_PASSED);
	run("1.4", JOB_PASSED);
	assert_build(1, "passed");

	BUILD_OF(J("a", ""), J("b", ""), J("c", ""), J("d", ""), J("e", ""), J("f", "1 2 3 4 5"));
	assert_waits_for("2.6", "a, b, c and 2 more to end");
}

static void
test_verdict(void **state)
{
	/* clang-format off */
	static const struct {
		enum job_state ends[2];
		bool allow[2];
		const char *verdict;
	} rows[] = {
		{ { JOB_PASSED, JOB_PASSED },     { 0, 0 }, "passed" },
		{ { JOB_PASSED, JOB_FAILED },     { 0, 0 }, "failed" },
		{ { JOB_PASSED, JOB_FAILED },     { 0, 1 }, "passed" },
		{ { JOB_ERROR, JOB_FAILED },      { 1, 0 }, "failed" },
		{ { JOB_TIMED_OUT, JOB_FAILED },  { 0, 0 }, "timed_out" },
		{ { JOB_TIMED_OUT, JOB_ERROR },   { 0, 0 }, "error" },
		{ { JOB_CANCELLED, JOB_FAILED },  { 0, 0 }, "failed" },
		{ { JOB_CANCELLED, JOB_PASSED },  { 0, 0 }, "cancelled" },
		{ { JOB_CANCELLED, JOB_PASSED },  { 1, 0 }, "passed" },
		{ { JOB_FAILED, JOB_TIMED_OUT },  { 1, 1 }, "passed" },
	};
	/* clang-format on */
	char id[16];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t n = BUILD_OF(
		    J("a", "", .allow_failure = rows[i].allow[0]), J("b", "", .allow_failure = rows[i].allow[1]));

		for (int k = 0; k < 2; k++) {
			snprintf(id, sizeof(id), "%d.%d", (int)n, k + 1);
			run(id, rows[i].ends[k]);
		}
		assert_build(n, rows[i].verdict);
	}
}

static void
test_a_failed_job_lets_the_others_end(void **state)
{
	struct job *job;

	(void)state;
	BUILD_OF(J("a", ""), J("b", ""), J("c", ""), J("d", "1"));
	job = claim("1.1");
	run("1.2", JOB_FAILED);
	assert_job("1.1", "running");
	assert_job("1.3", "queued");
	assert_int_equal(job_finished(&f, "1.1", job->token, JOB_PASSED), ERR_NONE);
	assert_job("1.4", "queued");
	run("1.3", JOB_PASSED);
	run("1.4", JOB_PASSED);
	assert_build(1, "failed");
	job_free(&job);
}

static void
test_cancel_of_a_build_ends_what_waits(void **state)
{
	struct job *job;

	(void)state;
	BUILD_OF(J("a", ""), J("b", "1"), J("tidy", "1 2", .run_on = RUN_ALWAYS), J("c", ""));
	job = claim("1.1");
	assert_int_equal(build_cancel(&f, 1), ERR_NONE);
	assert_job("1.1", "running");
	assert_job("1.2", "cancelled");
	assert_job("1.3", "cancelled");
	assert_job("1.4", "cancelled");
	assert_int_equal(job_finished(&f, "1.1", job->token, JOB_CANCELLED), ERR_NONE);
	assert_build(1, "cancelled");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:build:1 jobs_left"), "0");
	job_free(&job);

	BUILD_OF(J("a", "", .allow_failure = true), J("b", "1", .allow_failure = true));
	assert_int_equal(build_cancel(&f, 2), ERR_NONE);
	assert_build(2, "cancelled"); /* not passed, though each of them might fail */
}

static void
test_cancel_of_a_waiting_job(void **state)
{
	(void)state;
	BUILD_OF(J("a", ""), J("b", "1"), J("c", "2"), J("tidy", "2", .run_on = RUN_ALWAYS));
	assert_int_equal(job_cancel(&f, "1.2"), ERR_NONE);
	assert_int_equal(job_cancel(&f, "1.2"), ERR_NONE);
	assert_reason("1.3", "b was cancelled");
	assert_job("1.4", "queued");
	assert_string_equal(claim_order(2), "1.1 1.4 ");
}

/* --- each state, each event --- */

/* Build 1 has a job in each state. Returns the running one's token, to be freed. */
static char *
build_in_all_states(void)
{
	static const enum job_state ends[] = { JOB_PASSED, JOB_FAILED, JOB_CANCELLED, JOB_TIMED_OUT, JOB_ERROR };
	struct job *job;
	char *token;
	char id[16];

	BUILD_OF(J("delayed", ""), J("running", ""), J("passed", ""), J("failed", ""), J("cancelled", ""),
	    J("timed_out", ""), J("error", ""), J("queued", ""), J("waiting", "1"), J("skipped", "", .skipped = "no"));
	job = claim("1.1");
	assert_int_equal(job_requeue(&f, "1.1", job->token, 3600000), ERR_NONE);
	job_free(&job);
	job = claim("1.2");
	token = xstrdup(job->token);
	job_free(&job);
	for (int i = 0; i < 5; i++) {
		snprintf(id, sizeof(id), "1.%d", i + 3);
		run(id, ends[i]);
	}
	return token;
}

static void
test_each_event_in_each_state(void **state)
{
	/* clang-format off */
	static const struct {
		const char *job, *state;
		enum err_code cancel;  /* what a cancel answers */
		const char *cancelled; /* and the state after it */
	} rows[] = {
		{ "1.1",  "queued",    ERR_NONE,     "cancelled" },
		{ "1.2",  "running",   ERR_NONE,     "running" },
		{ "1.3",  "passed",    ERR_CONFLICT, "passed" },
		{ "1.4",  "failed",    ERR_CONFLICT, "failed" },
		{ "1.5",  "cancelled", ERR_NONE,     "cancelled" },
		{ "1.6",  "timed_out", ERR_CONFLICT, "timed_out" },
		{ "1.7",  "error",     ERR_CONFLICT, "error" },
		{ "1.8",  "queued",    ERR_NONE,     "cancelled" },
		{ "1.9",  "waiting",   ERR_NONE,     "cancelled" },
		{ "1.10", "skipped",   ERR_CONFLICT, "skipped" },
	};
	/* clang-format on */
	char *token = build_in_all_states();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_job(rows[i].job, rows[i].state); /* nothing moves it without its token */
		assert_int_equal(job_started(&f, rows[i].job, "stale", "c2"), ERR_CONFLICT);
		assert_int_equal(job_finished(&f, rows[i].job, "stale", JOB_PASSED), ERR_CONFLICT);
		assert_int_equal(job_requeue(&f, rows[i].job, "stale", 0), ERR_CONFLICT);
		assert_job(rows[i].job, rows[i].state);
	}
	assert_int_equal(promote(&f), ERR_NONE);
	for (size_t i = sizeof(rows) / sizeof(rows[0]); i-- > 0;) { /* the waiting one before the one that it needs */
		assert_int_equal(job_cancel(&f, rows[i].job), rows[i].cancel);
		assert_job(rows[i].job, rows[i].cancelled);
	}
	assert_build(1, "running");
	assert_int_equal(job_finished(&f, "1.2", token, JOB_CANCELLED), ERR_NONE);
	assert_int_equal(job_finished(&f, "1.2", token, JOB_PASSED), ERR_NONE); /* once */
	assert_job("1.2", "cancelled");
	assert_build(1, "error");
	free(token);
}

/* --- ended by force --- */

/* Whoever loses its container, here or on another node, tells the same; its pipeline may want another attempt all the
 * same. */
static void
test_a_verdict_outlives_the_container(void **state)
{
	struct job *job;

	(void)state;
	BUILD_OF(J("a", "", .retry = { 1, RETRY_TIMEOUT }), J("b", "1"));
	job = claim("1.1");
	assert_int_equal(job_verdict(&f, "1.1", "stale", JOB_TIMED_OUT), ERR_CONFLICT);
	assert_int_equal(job_verdict(&f, "1.1", job->token, JOB_TIMED_OUT), ERR_NONE);
	assert_job("1.1", "running");
	assert_int_equal(job_requeue(&f, "1.1", job->token, 0), ERR_NONE);
	job_free(&job);
	assert_waits_for("1.1", "attempt 2 in 5 s");
	assert_string_equal(f.got.job->history, "attempt 1 timed_out: exit code 1");
	assert_int_equal(f.got.job->verdict, JOB_WAITING);

	redis_fixture_ask(&server, "ZADD davit:delayed 1 1.1");
	assert_int_equal(promote(&f), ERR_NONE);
	job = claim("1.1");
	assert_int_equal(job_verdict(&f, "1.1", job->token, JOB_TIMED_OUT), ERR_NONE);
	assert_int_equal(job_get(&f, "1.1"), ERR_NONE);
	assert_int_equal(f.got.job->verdict, JOB_TIMED_OUT);
	assert_string_equal(f.got.job->verdict_reason, "exit code 1");
	assert_int_equal(job_requeue(&f, "1.1", job->token, 0), ERR_NONE);
	job_free(&job);
	assert_job("1.1", "timed_out");
	assert_job("1.2", "skipped");
	assert_build(1, "timed_out");
	assert_int_equal(job_get(&f, "1.1"), ERR_NONE);
	assert_int_equal(f.got.job->attempt, 2);
	assert_string_equal(f.got.job->reason, "exit code 1");
	assert_int_equal(redis_fixture_int(&server, "HEXISTS davit:job:1.1 verdict"), 0);
}

/* --- tried again --- */

static void
test_retry_makes_further_attempts(void **state)
{
	struct job *job;

	(void)state;
	BUILD_OF(J("a", "", .retry = { 2, RETRY_FAILURE | RETRY_TIMEOUT }), J("b", "1"));
	job = claim("1.1");
	assert_int_equal(job_finished(&f, "1.1", job->token, JOB_FAILED), ERR_NONE);
	assert_int_equal(job_finished(&f, "1.1", job->token, JOB_FAILED), ERR_CONFLICT);
	job_free(&job);
	assert_job("1.1", "queued");
	assert_job("1.2", "waiting");
	assert_int_equal(redis_fixture_int(&server, "HGET davit:repo:app running"), 0);
	assert_waits_for("1.1", "attempt 2 in 5 s");
	assert_int_equal(f.got.job->attempt, 2);
	assert_string_equal(f.got.job->history, "attempt 1 failed: exit code 1");

	redis_fixture_ask(&server, "ZADD davit:delayed 1 1.1");
	assert_int_equal(promote(&f), ERR_NONE);
	run("1.1", JOB_TIMED_OUT);
	assert_waits_for("1.1", "attempt 3 in 10 s");
	redis_fixture_ask(&server, "ZADD davit:delayed 1 1.1");
	assert_int_equal(promote(&f), ERR_NONE);
	run("1.1", JOB_FAILED); /* the last one */
	assert_job("1.1", "failed");
	assert_job("1.2", "skipped");
	assert_build(1, "failed");
	assert_int_equal(job_get(&f, "1.1"), ERR_NONE);
	assert_string_equal(f.got.job->history, "attempt 1 failed: exit code 1\nattempt 2 timed_out: exit code 1");
}

static void
test_retry_is_for_what_it_names_only(void **state)
{
	static const struct {
		enum job_state end;
		unsigned on;
	} rows[] = {
		{ JOB_FAILED, RETRY_FAILURE },
		{ JOB_TIMED_OUT, RETRY_TIMEOUT },
		{ JOB_ERROR, RETRY_INFRASTRUCTURE },
	};
	char id[16];

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < 3; k++) {
			int64_t n = BUILD_OF(J("a", "", .retry = { 1, rows[k].on }));

			snprintf(id, sizeof(id), "%d.1", (int)n);
			run(id, rows[i].end);
			assert_job(id, i == k ? "queued" : job_state_name(rows[i].end));
			if (i == k)
				assert_int_equal(build_cancel(&f, n), ERR_NONE);
		}
}

static void
test_no_retry_of_what_was_cancelled_and_a_bounded_delay(void **state)
{
	struct job *job;

	(void)state;
	BUILD_OF(J("a", "", .retry = { 100, RETRY_FAILURE }));
	job = claim("1.1");
	assert_int_equal(job_cancel(&f, "1.1"), ERR_NONE);
	assert_int_equal(job_finished(&f, "1.1", job->token, JOB_FAILED), ERR_NONE);
	assert_job("1.1", "failed");
	job_free(&job);

	BUILD_OF(J("a", "", .retry = { 100, RETRY_FAILURE }));
	redis_fixture_ask(&server, "HSET davit:job:2.1 retries 90");
	run("2.1", JOB_FAILED);
	assert_waits_for("2.1", "attempt 2 in 300 s");
}

static void
test_history_is_bounded(void **state)
{
	struct job *job;

	(void)state;
	BUILD_OF(J("a", ""));
	for (int i = 0; i < 80; i++) {
		job = claim("1.1");
		assert_int_equal(job_requeue(&f, "1.1", job->token, 0), ERR_NONE);
		job_free(&job);
	}
	assert_int_equal(job_get(&f, "1.1"), ERR_NONE);
	assert_int_equal(f.got.job->attempt, 81);
	assert_true(strlen(f.got.job->history) < 2100);
	assert_true(strncmp(f.got.job->history, "attempt ", 8) == 0);
	assert_non_null(strstr(f.got.job->history, "attempt 80: the node went away"));
}

/* --- run again --- */

static void
test_rerun_of_failed_jobs_takes_the_others_over(void **state)
{
	struct build *build;

	(void)state;
	BUILD_OF(J("build", ""), J("lint", ""), J("test", "1"), J("deploy", "3"), J("doc", "1"));
	assert_int_equal(build_rerun_jobs(&f, 1, "failed"), ERR_CONFLICT); /* not finished */
	run("1.1", JOB_PASSED);
	run("1.2", JOB_PASSED);
	run("1.3", JOB_FAILED);
	run("1.5", JOB_PASSED);
	assert_build(1, "failed");

	assert_int_equal(build_rerun_jobs(&f, 1, "failed"), ERR_NONE);
	assert_int_equal(f.got.number, 2);
	assert_int_equal(build_rerun_jobs(&f, 1, "failed"), ERR_NONE);
	assert_int_equal(f.got.number, 2);
	assert_int_equal(build_rerun_jobs(&f, 1, ""), ERR_CONFLICT);
	assert_int_equal(build_rerun_jobs(&f, 1, "3"), ERR_CONFLICT);
	assert_build(2, "queued");
	assert_int_equal(build_get(&f, 2), ERR_NONE);
	build = take_build(&f);
	assert_int_equal(build->rerun_of, 1);
	assert_string_equal(build->rerun_jobs, "failed");
	assert_string_equal(build->title, "Fix the pump");
	assert_int_equal(build->job_count, 5);
	assert_string_equal(build->jobs[0].reused_from, "1.1");
	assert_int_equal(build->jobs[0].state, JOB_PASSED);
	assert_int_equal(build->jobs[0].log_bytes, 42);
	assert_string_equal(build->jobs[2].reused_from, "");
	assert_int_equal(build->jobs[2].state, JOB_QUEUED);
	assert_int_equal(build->jobs[3].state, JOB_WAITING);
	assert_string_equal(build->jobs[4].reused_from, "1.5");
	build_free(&build);
	run("2.3", JOB_PASSED);
	run("2.4", JOB_FAILED);
	assert_build(2, "failed");

	assert_int_equal(build_rerun_jobs(&f, 2, "failed"), ERR_NONE); /* a rerun of a rerun */
	run("3.4", JOB_PASSED);
	assert_build(3, "passed");
	assert_int_equal(job_get(&f, "3.1"), ERR_NONE);
	assert_string_equal(f.got.job->reused_from, "1.1");
	assert_int_equal(job_get(&f, "3.3"), ERR_NONE);
	assert_string_equal(f.got.job->reused_from, "2.3");
	assert_int_equal(build_rerun_jobs(&f, 3, "failed"), ERR_CONFLICT); /* nothing has */
	assert_string_equal(redis_fixture_text(&server, "HGET davit:repo:app open"), "0");
}

static void
test_rerun_of_one_job_and_what_needs_it(void **state)
{
	(void)state;
	BUILD_OF(J("a", ""), J("b", "1"), J("c", ""));
	run("1.1", JOB_PASSED);
	run("1.3", JOB_FAILED);
	run("1.2", JOB_PASSED);
	assert_int_equal(build_rerun_jobs(&f, 1, "4"), ERR_NOT_FOUND);
	assert_int_equal(build_rerun_jobs(&f, 1, "x"), ERR_NOT_FOUND);
	assert_int_equal(build_rerun_jobs(&f, 1, "1"), ERR_NONE);
	assert_job("2.1", "queued");
	assert_job("2.2", "waiting");
	assert_job("2.3", "failed");
	run("2.1", JOB_PASSED);
	run("2.2", JOB_PASSED);
	assert_build(2, "failed"); /* c's result was taken over */
	assert_int_equal(build_rerun_jobs(&f, 2, "3"), ERR_NONE);
	run("3.3", JOB_PASSED);
	assert_build(3, "passed");
}

static void
test_rerun_of_one_job_hears_what_was_taken_over(void **state)
{
	(void)state;
	BUILD_OF(J("a", ""), J("b", "1"), J("mail", "1", .run_on = RUN_ON_FAILURE));
	run("1.1", JOB_FAILED);
	run("1.3", JOB_PASSED);
	assert_int_equal(build_rerun_jobs(&f, 1, "3"), ERR_NONE);
	assert_job("2.3", "queued");
	run("2.3", JOB_PASSED);
	assert_build(2, "failed");
	assert_int_equal(build_rerun_jobs(&f, 2, "2"), ERR_NONE);
	assert_job("3.2", "skipped");
	assert_reason("3.2", "a failed");
	assert_build(3, "failed");
}

#define MADE "docker.io/library/app:1 docker.io/library/app@sha256:1\n"
#define NEARER "docker.io/library/web:1 docker.io/library/web@sha256:2\n"

static void
makes(const char *id, const char *images)
{
	struct job *job = claim(id);

	assert_int_equal(job_built(&f, id, job->token, "sha256:1"), ERR_NONE);
	assert_int_equal(job_built(&f, id, "stale", "sha256:2"), ERR_CONFLICT);
	assert_int_equal(job_finished_with(&f, id, job->token, images), ERR_NONE);
	job_free(&job);
}

static void
assert_needed_images(const char *id, const char *images)
{
	struct job *job = claim(id);

	assert_string_equal(job->needed_images, images);
	assert_int_equal(job_finished(&f, id, job->token, JOB_PASSED), ERR_NONE);
	job_free(&job);
}

/* Whoever needs them hears of them, the nearest first; also when the results were taken over. */
static void
test_images_of_needs(void **state)
{
	(void)state;
	BUILD_OF(J("a", ""), J("b", "1"), J("c", "2"), J("apart", ""));
	makes("1.1", MADE);
	assert_needed_images("1.4", "");
	makes("1.2", NEARER);
	assert_needed_images("1.3", NEARER MADE);
	assert_int_equal(build_rerun_jobs(&f, 1, "3"), ERR_NONE);
	assert_needed_images("2.3", NEARER MADE);
}

/* It is known to the next attempt. */
static void
test_image_of_an_attempt(void **state)
{
	struct job *job;

	(void)state;
	BUILD_OF(J("a", ""));
	job = claim("1.1");
	assert_int_equal(job_built(&f, "1.1", job->token, "sha256:1"), ERR_NONE);
	assert_int_equal(job_requeue(&f, "1.1", job->token, 0), ERR_NONE);
	job_free(&job);
	job = claim("1.1");
	assert_string_equal(job->built, "sha256:1");
	assert_string_equal(job->built_on, "local");
	job_free(&job);
}

static void
assert_built(const char *id, const char *image, enum job_state state)
{
	struct job *job = claim(id);

	assert_string_equal(job->built, image);
	if (image[0] == '\0' && state == JOB_FAILED)
		assert_int_equal(job_built(&f, id, job->token, "sha256:1"), ERR_NONE);
	assert_int_equal(job_finished(&f, id, job->token, state), ERR_NONE);
	job_free(&job);
}

/* And to a rerun of what has failed, as long as nothing that it needs is made anew. */
static void
test_image_of_a_job_that_failed(void **state)
{
	(void)state;
	BUILD_OF(J("a", ""), J("b", "1"));
	run("1.1", JOB_PASSED);
	assert_built("1.2", "", JOB_FAILED);
	assert_int_equal(build_rerun_jobs(&f, 1, "failed"), ERR_NONE);
	assert_built("2.2", "sha256:1", JOB_FAILED);
	assert_int_equal(build_rerun_jobs(&f, 2, "1"), ERR_NONE);
	run("3.1", JOB_PASSED);
	assert_built("3.2", "", JOB_FAILED);
	assert_int_equal(build_rerun_jobs(&f, 3, "2"), ERR_NONE);
	assert_built("4.2", "sha256:1", JOB_PASSED);
	assert_int_equal(build_rerun_jobs(&f, 4, "2"), ERR_NONE);
	assert_built("5.2", "", JOB_PASSED);
}

static void
test_rerun_of_failed_jobs_without_jobs_plans_anew(void **state)
{
	int64_t n = submit(&f, "app", NULL, NULL);

	(void)state;
	assert_int_equal(build_cancel(&f, n), ERR_NONE);
	assert_int_equal(build_rerun_jobs(&f, n, "1"), ERR_NOT_FOUND);
	assert_int_equal(build_rerun_jobs(&f, n, "failed"), ERR_NONE);
	assert_int_equal(build_rerun_jobs(&f, n, "failed"), ERR_NONE);
	assert_int_equal(f.got.number, n + 1);
	assert_build(n + 1, "planning");
	assert_int_equal(plan_claim(&f), ERR_NONE);
	assert_int_equal(f.got.build->build, n + 1);
}

static void
test_prune_keeps_the_sources_of_results(void **state)
{
	(void)state;
	BUILD_OF(J("a", ""), J("b", ""));
	run("1.1", JOB_PASSED);
	run("1.2", JOB_FAILED);
	assert_int_equal(build_rerun_jobs(&f, 1, "failed"), ERR_NONE);
	run("2.2", JOB_PASSED);
	assert_int_equal(prune(&f, 1), ERR_NONE);
	assert_int_equal(f.got.count, 0);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:job:1.1"), 1);
	assert_int_equal(prune(&f, 0), ERR_NONE);
	assert_int_equal(f.got.count, 1); /* the newer one, which lets go of the older */
	assert_int_equal(prune(&f, 0), ERR_NONE);
	assert_int_equal(f.got.count, 1);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:build:1 davit:build:2 davit:change:1"), 0);
}

/* --- random graphs against a model --- */

#define GRAPHS 2000 /* or as many as DAVIT_TEST_GRAPHS says */

struct random_job {
	unsigned needs; /* bits */
	enum run_on run_on;
	bool allow_failure, skipped, cancelled; /* by its condition; by somebody, before anything ran */
	unsigned retries;
	enum job_state end;
};

enum said { SAID_OK, SAID_FAILED, SAID_NONE };

static uint64_t seed;

static unsigned
pick(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % below;
}

static void
random_graph(struct random_job *jobs, size_t count)
{
	static const enum job_state ends[] = { JOB_PASSED, JOB_PASSED, JOB_PASSED, JOB_FAILED, JOB_ERROR, JOB_TIMED_OUT,
		JOB_CANCELLED };
	unsigned density = 1 + pick(4);

	for (size_t i = 0; i < count; i++) {
		jobs[i] = (struct random_job){ .run_on = pick(3) == 0 ? (enum run_on)pick(3) : RUN_ON_SUCCESS,
			.allow_failure = pick(5) == 0,
			.skipped = pick(10) == 0,
			.cancelled = pick(15) == 0,
			.end = ends[pick(7)],
			.retries = pick(6) == 0 ? 1 : 0 };
		for (size_t k = 0; k < i; k++)
			jobs[i].needs |= (unsigned)(pick(4) < density && pick(2) == 0) << k;
	}
}

static enum said
what_end_says(const struct random_job *job, enum job_state end)
{
	if (end == JOB_PASSED)
		return SAID_OK;
	if (end == JOB_CANCELLED)
		return SAID_NONE;
	return job->allow_failure ? SAID_OK : SAID_FAILED;
}

/* The rules once more, as a sentence each. */
static void
model(const struct random_job *jobs, size_t count, enum job_state *ret)
{
	enum said said[JOBS_MAX];

	for (size_t i = 0; i < count; i++) {
		const struct random_job *job = &jobs[i];
		bool failed = false, all_ok = true;

		for (size_t k = 0; k < i; k++)
			if (job->needs >> k & 1) {
				failed |= said[k] == SAID_FAILED;
				all_ok &= said[k] == SAID_OK;
			}
		if (job->skipped) {
			ret[i] = JOB_SKIPPED;
			said[i] = SAID_OK;
		} else if (job->run_on == RUN_ALWAYS || (job->run_on == RUN_ON_SUCCESS ? all_ok : failed) ||
			   job->cancelled) {
			ret[i] = job->cancelled ? JOB_CANCELLED : job->end;
			said[i] = what_end_says(job, ret[i]);
		} else {
			ret[i] = JOB_SKIPPED;
			said[i] = failed ? SAID_FAILED : all_ok ? SAID_OK : SAID_NONE;
		}
	}
}

static enum build_state
model_verdict(const struct random_job *jobs, size_t count, const enum job_state *ends)
{
	static const enum job_state worst_first[] = { JOB_ERROR, JOB_TIMED_OUT, JOB_FAILED, JOB_CANCELLED };
	static const enum build_state verdicts[] = { BUILD_ERROR, BUILD_TIMED_OUT, BUILD_FAILED, BUILD_CANCELLED };

	for (size_t v = 0; v < 4; v++)
		for (size_t i = 0; i < count; i++)
			if (ends[i] == worst_first[v] && !jobs[i].allow_failure)
				return verdicts[v];
	return BUILD_PASSED;
}

static int64_t
plan_graph(const struct random_job *jobs, size_t count)
{
	struct made made[JOBS_MAX] = { { 0 } };
	char needs[JOBS_MAX][64];

	for (size_t i = 0; i < count; i++) {
		needs[i][0] = '\0';
		for (size_t k = 0; k < i; k++)
			if (jobs[i].needs >> k & 1)
				snprintf(needs[i] + strlen(needs[i]), sizeof(needs[i]) - strlen(needs[i]), "%s%zu",
				    needs[i][0] != '\0' ? " " : "", k + 1);
		made[i] = (struct made){ .name = "j",
			.needs = needs[i],
			.run_on = jobs[i].run_on,
			.allow_failure = jobs[i].allow_failure,
			.skipped = jobs[i].skipped ? "its condition" : NULL,
			.retry = { jobs[i].retries, RETRY_FAILURE | RETRY_INFRASTRUCTURE | RETRY_TIMEOUT } };
	}
	return build_of(made, count);
}

/* Claims all there is, in whatever order, until nothing more comes; each claimed job comes to its end. */
static void
play(const struct random_job *jobs)
{
	for (;;) {
		struct job *job;
		int64_t n, k;

		assert_int_equal(job_claim(&f), ERR_NONE);
		job = take_job(&f);
		if (job == NULL && redis_fixture_int(&server, "ZCARD davit:delayed") == 0)
			return;
		if (job == NULL) {
			redis_fixture_ask(&server, "EVAL %s 0",
			    "for _, j in ipairs(redis.call('ZRANGE', 'davit:delayed', 0, -1)) do "
			    "redis.call('ZADD', 'davit:delayed', 1, j) end return 1");
			assert_int_equal(promote(&f), ERR_NONE);
			continue;
		}
		assert_true(job_id_parse(job->id, &n, &k));
		assert_int_equal(job_finished(&f, job->id, job->token, jobs[k - 1].end), ERR_NONE);
		job_free(&job);
	}
}

/* How often the daemons were told that the job has ended. */
static unsigned
count_ends(int64_t n, size_t k)
{
	static const char *const finals[] = { "passed", "failed", "cancelled", "timed_out", "error", "skipped" };
	char line[64];
	unsigned count = 0;

	for (size_t i = 0; i < sizeof(finals) / sizeof(finals[0]); i++) {
		snprintf(line, sizeof(line), "\njob %d.%d %s\n", (int)n, (int)k, finals[i]);
		for (const char *p = strstr(f.words, line); p != NULL; p = strstr(p + 1, line))
			count++;
	}
	return count;
}

static void
play_graph(void)
{
	struct random_job jobs[JOBS_MAX];
	enum job_state ends[JOBS_MAX];
	size_t count = 1 + pick(JOBS_MAX);
	char word[64], id[16];
	int64_t n;

	random_graph(jobs, count);
	f.words[0] = '\0';
	n = plan_graph(jobs, count);
	for (size_t i = 0; i < count; i++)
		if (jobs[i].cancelled && !jobs[i].skipped) {
			snprintf(id, sizeof(id), "%d.%d", (int)n, (int)i + 1);
			job_cancel(&f, id); /* one that was skipped in consequence of another's has its end already */
			if (f.got.err.code == ERR_CONFLICT)
				jobs[i].cancelled = false;
		}
	model(jobs, count, ends);
	play(jobs);
	snprintf(word, sizeof(word), "build %d %s", (int)n, build_state_name(model_verdict(jobs, count, ends)));
	await_word(&f, word);
	assert_int_equal(build_get(&f, n), ERR_NONE);
	assert_int_equal(f.got.build->job_count, count);
	assert_int_equal(f.got.build->jobs_left, 0);
	for (size_t i = 0; i < count; i++) {
		if (f.got.build->jobs[i].state != ends[i])
			fail_msg("job %s is %s, not %s", f.got.build->jobs[i].id,
			    job_state_name(f.got.build->jobs[i].state), job_state_name(ends[i]));
		assert_int_equal(count_ends(n, i + 1), 1);
	}
}

static void
test_random_graphs_end_as_the_model_says(void **state)
{
	const char *wanted = getenv("DAVIT_TEST_GRAPHS");
	int graphs = wanted != NULL ? atoi(wanted) : GRAPHS;

	(void)state;
	alarm(1200);
	seed = 20260101;
	redis_fixture_ask(&server, "CONFIG SET appendfsync no");
	for (int i = 0; i < graphs; i++) {
		play_graph();
		if (i % 500 == 499) {
			assert_int_equal(prune(&f, 0), ERR_NONE);
			while (f.got.count == STORE_LIST_MAX)
				assert_int_equal(prune(&f, 0), ERR_NONE);
		}
	}
	redis_fixture_ask(&server, "CONFIG SET appendfsync always");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:repo:app open"), "0");
	assert_string_equal(redis_fixture_text(&server, "HGET davit:repo:app running"), "0");
	assert_int_equal(redis_fixture_int(&server, "ZCARD davit:running"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SUITE_TEST(test_each_end_of_a_need_under_each_condition),
		SUITE_TEST(test_reasons_of_skipped_jobs_and_their_consequences),
		SUITE_TEST(test_own_condition_leaves_a_job_out_and_harms_nobody),
		SUITE_TEST(test_a_diamond_waits_for_both_sides),
		SUITE_TEST(test_verdict),
		SUITE_TEST(test_a_failed_job_lets_the_others_end),
		SUITE_TEST(test_cancel_of_a_build_ends_what_waits),
		SUITE_TEST(test_cancel_of_a_waiting_job),
		SUITE_TEST(test_each_event_in_each_state),
		SUITE_TEST(test_a_verdict_outlives_the_container),
		SUITE_TEST(test_retry_makes_further_attempts),
		SUITE_TEST(test_retry_is_for_what_it_names_only),
		SUITE_TEST(test_no_retry_of_what_was_cancelled_and_a_bounded_delay),
		SUITE_TEST(test_history_is_bounded),
		SUITE_TEST(test_rerun_of_failed_jobs_takes_the_others_over),
		SUITE_TEST(test_rerun_of_one_job_and_what_needs_it),
		SUITE_TEST(test_rerun_of_one_job_hears_what_was_taken_over),
		SUITE_TEST(test_images_of_needs),
		SUITE_TEST(test_image_of_an_attempt),
		SUITE_TEST(test_image_of_a_job_that_failed),
		SUITE_TEST(test_rerun_of_failed_jobs_without_jobs_plans_anew),
		SUITE_TEST(test_prune_keeps_the_sources_of_results),
		SUITE_TEST(test_random_graphs_end_as_the_model_says),
	};

	return cmocka_run_group_tests(tests, suite_start, suite_stop);
}
