/* The builder before an engine that answers late, wrongly, or not at all. Whatever happens: a job ends once and with a
 * reason, and what was made is asked to be removed. */
#include "test/component/builder_bench.h"
#include "test/component/fake_engine.h"
#include "test/unit/unit.h"

#include <stdio.h>

#define COMMANDS ((const char *const[]){ "true", NULL })

struct scene {
	struct bench bench;
	struct fake_engine fake;
	struct bench_job job;
};

/* The fake lives in the bench's loop, so the loop comes first. */
static void
scene_init(struct scene *s, const struct builder_conf *conf)
{
	bench_prepare(&s->bench, "unix:///nonexistent", conf);
	fake_engine_init(&s->fake, s->bench.loop);
	s->bench.engine.url = s->fake.url;
}

static void
scene_run(struct scene *s)
{
	bench_begin(&s->bench);
	bench_wait_up(&s->bench);
	bench_run(&s->job, &s->bench, "fake:1", COMMANDS);
}

static void
scene_fini(struct scene *s)
{
	bench_job_fini(&s->job);
	bench_stop(&s->bench);
	fake_engine_fini(&s->fake);
	bench_close_blind(&s->bench);
}

static void
check_end(enum fake_end end)
{
	struct scene s;

	scene_init(&s, NULL);
	s.fake.end = end;
	scene_run(&s);
	bench_assert_result(&s.job, BUILDER_PASSED, "");
	assert_string_equal(s.job.out.data, "output\n");
	assert_false(s.job.result.truncated);
	assert_int_equal(s.job.raw[BUILDER_STDOUT], strlen("davit:ready\noutput\n"));
	scene_fini(&s);
}

/* The engine says that the memory limit was hit when it has told the end already. */
static void
test_the_memory_limit_is_told_late(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, NULL);
	s.fake.exit_code = 137;
	s.fake.rules[0] = (struct fake_rule){ .method = "GET",
		.path = "7.1-1/json",
		.deed = FAKE_STATUS,
		.status = 200,
		.body = "{\"Id\":\"x\",\"State\":{\"Status\":\"exited\",\"OOMKilled\":true}}",
		.spared = 2 };
	scene_run(&s);
	bench_assert_result(&s.job, BUILDER_FAILED, "the memory limit of 128 MiB was hit");
	scene_fini(&s);
	scene_init(&s, NULL);
	s.fake.exit_code = 137;
	scene_run(&s);
	bench_assert_result(&s.job, BUILDER_FAILED, "exit code 137");
	scene_fini(&s);
}

static void
test_exit_and_end_of_output_in_both_orders(void **state)
{
	(void)state;
	check_end(FAKE_EXIT_THEN_EOF);
	check_end(FAKE_EOF_THEN_EXIT);
}

/* Each call that a job's way needs, and where there are two of a kind, which. */
static const struct {
	const char *method;
	const char *path;
} calls[] = {
	{ "GET", "/images/docker.io" },
	{ "POST", "/networks/create" },
	{ "POST", "/containers/create?name=davit-" },
	{ "POST", "-pause-2/attach" },
	{ "POST", "-pause-2/start" },
	{ "POST", "-7.1-1/attach" },
	{ "POST", "-7.1-1/wait" },
	{ "POST", "-7.1-1/start" },
};

static void
check_fault(const char *method, const char *path, struct fake_rule rule)
{
	struct scene s;

	scene_init(&s, NULL);
	rule.method = method;
	rule.path = path;
	if (strcmp(method, "GET") == 0)
		rule.path = "/images/docker.io%2Flibrary%2Ffake";
	s.fake.rules[0] = rule;
	scene_run(&s);
	if (s.job.result.state != BUILDER_ERROR || s.job.result.reason[0] == '\0' || s.job.out.len > 0)
		fail_msg("%s %s: state %d, \"%s\"", method, path, s.job.result.state, s.job.result.reason);
	s.fake.rules[0].method = NULL;
	bench_stop(&s.bench);
	if (fake_engine_containers(&s.fake) != 0 || s.fake.networks != 0)
		fail_msg("%s %s: %u containers, %u networks left", method, path, fake_engine_containers(&s.fake),
		    s.fake.networks);
	scene_fini(&s);
}

static void
check_faults(struct fake_rule rule)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		check_fault(calls[i].method, calls[i].path, rule);
}

static void
test_internal_errors(void **state)
{
	(void)state;
	check_faults(
	    (struct fake_rule){ .deed = FAKE_STATUS, .status = 500, .body = "{\"message\":\"disk is on fire\"}" });
}

static void
test_connections_lost(void **state)
{
	(void)state;
	check_faults((struct fake_rule){ .deed = FAKE_CLOSE });
}

static void
test_half_answers(void **state)
{
	(void)state;
	check_faults((struct fake_rule){ .deed = FAKE_HALF });
}

static void
test_nonsense(void **state)
{
	static const char *const paths[] = { "/images/docker.io", "/networks/create", "/containers/create" };
	static const char *const bodies[] = { "", "[]", "null", "{}", "{\"Id\":\"../../etc\"}", "{\"Id\":", "<html>" };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < sizeof(bodies) / sizeof(bodies[0]); k++)
			check_fault(i == 0 ? "GET" : "POST", paths[i],
			    (struct fake_rule){ .deed = FAKE_STATUS, .status = 200, .body = bodies[k] });
}

static void
test_a_holder_that_cannot_be_started(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, NULL);
	s.fake.rules[0] = (struct fake_rule){ "POST", "-pause-2/start", FAKE_EOF_FIRST, 500,
		"{\"message\":\"no room for an address\"}", 0, 0 };
	scene_run(&s);
	assert_non_null(strstr(s.job.result.reason, "no room for an address"));
	s.fake.rules[0].method = NULL;
	bench_stop(&s.bench);
	scene_fini(&s);
}

/* The reason is the engine's own, not the echo of what failed after it. */
static void
test_the_first_cause_is_told(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, NULL);
	s.fake.rules[0] = (struct fake_rule){ .method = "POST",
		.path = "-7.1-1/start",
		.deed = FAKE_STATUS,
		.status = 500,
		.body = "{\"message\":\"no more cgroups\"}" };
	s.fake.rules[1] = (struct fake_rule){ .method = "DELETE",
		.path = "-7.1-1",
		.deed = FAKE_STATUS,
		.status = 500,
		.body = "{\"message\":\"cannot remove\"}" };
	scene_run(&s);
	bench_assert_result(&s.job, BUILDER_ERROR, "no more cgroups");
	scene_fini(&s);
}

/* A result stands even if the engine cannot clean up after it. */
static void
test_what_cannot_be_removed_is_no_failure(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, NULL);
	s.fake.rules[0] = (struct fake_rule){ .method = "DELETE", .path = "/containers/", .deed = FAKE_CLOSE };
	s.fake.rules[1] = (struct fake_rule){ .method = "DELETE",
		.path = "/networks/",
		.deed = FAKE_STATUS,
		.status = 403,
		.body = "{\"message\":\"in use\"}" };
	scene_run(&s);
	bench_assert_result(&s.job, BUILDER_PASSED, "");
	scene_fini(&s);
}

static void
test_exit_code_without_reason(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, NULL);
	s.fake.exit_code = 9;
	s.fake.rules[0] = (struct fake_rule){ .method = "GET",
		.path = "-7.1-1/json",
		.deed = FAKE_STATUS,
		.status = 500,
		.body = "{\"message\":\"no\"}" };
	scene_run(&s);
	bench_assert_result(&s.job, BUILDER_FAILED, "exit code 9");
	scene_fini(&s);
}

static void
test_a_creation_sent_twice_is_one(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, NULL);
	s.fake.rules[0] = (struct fake_rule){ .method = "POST", .path = "name=davit-", .deed = FAKE_DO_409 };
	scene_run(&s);
	bench_assert_result(&s.job, BUILDER_PASSED, "");
	bench_stop(&s.bench);
	assert_int_equal(fake_engine_containers(&s.fake), 0);
	scene_fini(&s);
}

static void
test_a_name_that_is_taken(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, NULL);
	s.fake.rules[0] = (struct fake_rule){ .method = "POST",
		.path = "-7.1-1",
		.deed = FAKE_STATUS,
		.status = 409,
		.body = "{\"message\":\"Conflict\"}" };
	s.fake.rules[1] = (struct fake_rule){ .method = "GET",
		.path = "-7.1-1/json",
		.deed = FAKE_STATUS,
		.status = 200,
		.body = "{\"Id\":\"x\",\"State\":{\"Status\":\"running\"},\"Config\":{\"Labels\":{}}}" };
	scene_run(&s);
	bench_assert_result(&s.job, BUILDER_ERROR, "-7.1-1 is taken");
	scene_fini(&s);
}

static void
test_bad_frames(void **state)
{
	static const struct str outputs[] = { STR("\1\0\0\0\0\0\0\3abc\7\7\7\7\7\7\7\7"),
		STR("HTTP/1.1 500 Oops\r\n") };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct scene s;

		scene_init(&s, NULL);
		s.fake.output = outputs[i].p;
		s.fake.output_len = outputs[i].len;
		scene_run(&s);
		assert_true(s.job.result.truncated);
		scene_fini(&s);
	}
}

/* What came of a frame that was cut off is kept, and the result says that something is missing. */
static void
test_a_cut_frame(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, NULL);
	s.fake.output = "\1\0\0\0\0\0\0\x64half";
	s.fake.output_len = 12;
	scene_run(&s);
	bench_assert_result(&s.job, BUILDER_PASSED, "");
	assert_string_equal(s.job.out.data, "half");
	assert_true(s.job.result.truncated);
	scene_fini(&s);
}

static void
test_the_engine_reports_a_broken_stream(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, NULL);
	s.fake.output = "\3\0\0\0\0\0\0\4gone";
	s.fake.output_len = 12;
	scene_run(&s);
	bench_assert_result(&s.job, BUILDER_ERROR, "the engine ended the output: gone");
	scene_fini(&s);
}

static void
test_the_wait_is_lost(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, NULL);
	s.fake.end = FAKE_LOST;
	scene_run(&s);
	bench_assert_result(&s.job, BUILDER_ERROR, "the engine went away");
	assert_true(s.job.result.truncated);
	scene_fini(&s);
}

static void
test_half_an_end(void **state)
{
	struct scene one, two;

	(void)state;
	scene_init(&one, NULL);
	one.fake.end = FAKE_EXIT_ONLY;
	scene_run(&one);
	bench_assert_result(&one.job, BUILDER_PASSED, "");
	assert_true(one.job.result.truncated);
	scene_fini(&one);
	scene_init(&two, NULL);
	two.fake.end = FAKE_EOF_ONLY;
	scene_run(&two);
	bench_assert_result(&two.job, BUILDER_ERROR, "does not say how the container ended");
	scene_fini(&two);
}

/* --- cancelled while the engine is silent --- */

static void
test_cancel_while_the_engine_hangs(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct scene s;

		if (strstr(calls[i].path, "create") != NULL)
			continue; /* that is waited for, as long as a creation may take */
		scene_init(&s, NULL);
		s.fake.rules[0] =
		    (struct fake_rule){ .method = calls[i].method, .path = calls[i].path, .deed = FAKE_HANG };
		bench_begin(&s.bench);
		bench_wait_up(&s.bench);
		bench_job_init(&s.job, &s.bench, "fake:1", COMMANDS);
		bench_job_start(&s.job);
		bench_turns(&s.bench, 60);
		builder_cancel(s.job.run, "enough");
		bench_job_wait(&s.job);
		bench_assert_result(&s.job, BUILDER_CANCELLED, "enough");
		scene_fini(&s);
	}
}

/* --- images --- */

static void
test_pull(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, NULL);
	s.fake.has_image = false;
	scene_run(&s);
	bench_assert_result(&s.job, BUILDER_PASSED, "");
	assert_string_equal(s.job.notices.data, "pulling image fake:1\n");
	assert_int_equal(s.fake.pulls, 1);
	scene_fini(&s);
}

static void
check_pull(unsigned status, const char *body, enum builder_state state, const char *reason)
{
	struct scene s;

	scene_init(&s, NULL);
	s.fake.has_image = false;
	s.fake.rules[0] = (struct fake_rule){
		.method = "POST", .path = "/images/create", .deed = FAKE_STATUS, .status = status, .body = body
	};
	scene_run(&s);
	bench_assert_result(&s.job, state, reason);
	scene_fini(&s);
}

static void
test_pull_fails(void **state)
{
	(void)state;
	check_pull(404, "{\"message\":\"pull access denied for fake, repository does not exist\"}", BUILDER_FAILED,
	    "image fake:1 not found: pull image: pull access denied");
	check_pull(200,
	    "{\"status\":\"a\"}\r\n{\"errorDetail\":{\"message\":\"manifest unknown\"},\"error\":\"x\"}\r\n",
	    BUILDER_FAILED, "image fake:1 not found: pull image: manifest unknown");
	check_pull(
	    200, "{\"error\":\"toomanyrequests\"}\r\n", BUILDER_ERROR, "image fake:1: pull image: toomanyrequests");
	check_pull(200, "nonsense\r\n", BUILDER_ERROR, "image fake:1");
	/* All went well, it says, but the image is not there. */
	check_pull(200, "{\"status\":\"Done\"}\r\n", BUILDER_FAILED, "image fake:1 not found");
}

static void
check_firewall(unsigned times, enum builder_state state, const char *reason)
{
	struct scene s;

	scene_init(&s, NULL);
	s.fake.rules[0] = (struct fake_rule){ .method = "POST",
		.path = "/networks/create",
		.deed = FAKE_STATUS,
		.status = 500,
		.body = "{\"message\":\"iptables failed: No chain/target/match by that name\"}",
		.times = times };
	scene_run(&s);
	bench_assert_result(&s.job, state, reason);
	scene_fini(&s);
}

static void
test_the_firewall_is_busy(void **state)
{
	(void)state;
	check_firewall(2, BUILDER_PASSED, "");
	check_firewall(0, BUILDER_ERROR, "iptables failed");
}

static void
check_mirror(struct fake_rule rule, unsigned pulls)
{
	struct scene s;

	scene_init(&s, NULL);
	s.bench.engine.mirror = "127.0.0.1:9";
	s.fake.has_image = false;
	s.fake.rules[0] = rule;
	scene_run(&s);
	bench_assert_result(&s.job, BUILDER_PASSED, "");
	assert_int_equal(s.fake.pulls, pulls);
	scene_fini(&s);
}

/* The first pull is by way of the mirror; what goes wrong there is made good by another. */
static void
test_the_mirror_need_not_work(void **state)
{
	(void)state;
	check_mirror((struct fake_rule){ 0 }, 1);
	check_mirror((struct fake_rule){ .method = "POST",
			 .path = "fromImage=127.0.0.1%3A9%2Fdocker.io%2Flibrary%2Ffake%3A1",
			 .deed = FAKE_STATUS,
			 .status = 200,
			 .body = "{\"error\":\"manifest unknown\"}\r\n" },
	    1);
	check_mirror(
	    (struct fake_rule){ .method = "POST", .path = "fromImage=127.0.0.1%3A9%2F", .deed = FAKE_CLOSE }, 1);
	check_mirror((struct fake_rule){ .method = "POST",
			 .path = "/tag?repo=docker.io%2Flibrary%2Ffake&tag=1",
			 .deed = FAKE_STATUS,
			 .status = 500,
			 .body = "{\"message\":\"no\"}" },
	    2);
	check_mirror((struct fake_rule){ .method = "DELETE",
			 .path = "/images/127.0.0.1%3A9%2Fdocker.io%2Flibrary%2Ffake%3A1",
			 .deed = FAKE_STATUS,
			 .status = 500,
			 .body = "{\"message\":\"no\"}" },
	    1);
}

static void
test_one_pull_for_all(void **state)
{
	struct bench_job other;
	struct scene s;

	(void)state;
	scene_init(&s, NULL);
	s.fake.has_image = false;
	bench_begin(&s.bench);
	bench_wait_up(&s.bench);
	bench_job_init(&s.job, &s.bench, "fake:1", COMMANDS);
	bench_job_init(&other, &s.bench, "docker.io/library/fake:1", COMMANDS);
	bench_job_start(&s.job);
	bench_job_start(&other);
	bench_job_wait(&s.job);
	bench_job_wait(&other);
	bench_assert_result(&s.job, BUILDER_PASSED, "");
	bench_assert_result(&other, BUILDER_PASSED, "");
	assert_int_equal(s.fake.pulls, 1);
	bench_job_fini(&other);
	scene_fini(&s);
}

static void
test_alias(void **state)
{
	const struct builder_alias alias = { "ci-fake:*", "fake:*" };
	const struct builder_conf conf = { .aliases = &alias, .alias_count = 1 };
	struct bench_job other;
	struct scene s;

	(void)state;
	scene_init(&s, &conf);
	s.fake.has_image = false;
	bench_begin(&s.bench);
	bench_wait_up(&s.bench);
	bench_run(&s.job, &s.bench, "ci-fake:7", COMMANDS);
	bench_assert_result(&s.job, BUILDER_PASSED, "");
	assert_string_equal(s.job.notices.data, "pulling image fake:7 (instead of ci-fake:7)\n");
	bench_run(&other, &s.bench, "ci-fake:7", COMMANDS);
	bench_assert_result(&other, BUILDER_PASSED, "");
	assert_string_equal(other.notices.data, "image fake:7 (instead of ci-fake:7)\n");
	bench_job_fini(&other);
	scene_fini(&s);
}

/* --- up and down --- */

static void
assert_down(const struct bench *b, const char *reason)
{
	struct builder_engine_status status;

	assert_true(builder_engine_status(b->builder, 0, &status));
	assert_false(status.up);
	if (strstr(status.reason, reason) == NULL)
		fail_msg("reason \"%s\"", status.reason);
	assert_int_equal(builder_free_slots(b->builder), 0);
}

static void
check_down(struct fake_rule rule, const char *reason)
{
	struct scene s;

	scene_init(&s, NULL);
	s.fake.rules[0] = rule;
	bench_begin(&s.bench);
	bench_turns(&s.bench, 40);
	assert_down(&s.bench, reason);
	s.fake.rules[0].method = NULL;
	bench_wait_up(&s.bench); /* it is tried again */
	bench_job_init(&s.job, &s.bench, "fake:1", COMMANDS);
	scene_fini(&s);
}

static void
test_reasons_for_being_down(void **state)
{
	(void)state;
	check_down((struct fake_rule){ .method = "GET",
		       .path = "/version",
		       .deed = FAKE_STATUS,
		       .status = 500,
		       .body = "{\"message\":\"starting up\"}" },
	    "starting up");
	check_down(
	    (struct fake_rule){ .method = "GET", .path = "/version", .deed = FAKE_STATUS, .status = 200, .body = "{}" },
	    "does not say which API");
	check_down((struct fake_rule){ .method = "GET",
		       .path = "/version",
		       .deed = FAKE_STATUS,
		       .status = 200,
		       .body = "{\"ApiVersion\":\"1.24\"}" },
	    "speaks API 1.24; 1.40 or later is needed");
	check_down(
	    (struct fake_rule){ .method = "GET", .path = "/containers/json", .deed = FAKE_HALF }, "list containers");
	check_down((struct fake_rule){ .method = "GET", .path = "/events", .deed = FAKE_CLOSE }, "events");
}

static void
test_no_engine_at_all(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, NULL);
	fake_engine_die(&s.fake);
	bench_begin(&s.bench);
	bench_turns(&s.bench, 10);
	assert_down(&s.bench, s.fake.path);
	fake_engine_listen(&s.fake);
	bench_wait_up(&s.bench);
	bench_job_init(&s.job, &s.bench, "fake:1", COMMANDS);
	scene_fini(&s);
}

static void
test_a_url_that_is_none(void **state)
{
	struct bench b;

	(void)state;
	bench_prepare(&b, "unix:///nonexistent", NULL);
	b.engine.url = "gopher://x";
	bench_begin(&b);
	bench_turns(&b, 5);
	assert_down(&b, "");
	bench_stop(&b);
	bench_close_blind(&b);
}

/* In the middle of a job, with idle networks and containers waiting. */
static void
test_the_engine_dies_and_comes_back(void **state)
{
	const struct builder_conf conf = { .warm_images = 1, .warm_per_image = 1 };
	struct bench_job second;
	struct scene s;

	(void)state;
	scene_init(&s, &conf);
	scene_run(&s);
	bench_assert_result(&s.job, BUILDER_PASSED, "");
	bench_wait_warm(&s.bench, 1);
	bench_job_init(&second, &s.bench, "fake:1", COMMANDS);
	second.holds = true;
	bench_job_start(&second);
	bench_job_wait_started(&second);
	fake_engine_die(&s.fake);
	bench_job_wait(&second);
	assert_int_equal(second.result.state, BUILDER_ERROR);
	assert_down(&s.bench, "");
	bench_job_fini(&second);
	fake_engine_listen(&s.fake);
	bench_wait_up(&s.bench);
	bench_job_fini(&s.job);
	bench_run(&s.job, &s.bench, "fake:1", COMMANDS);
	bench_assert_result(&s.job, BUILDER_PASSED, "");
	scene_fini(&s);
}

/* --- steps with other images, limits of its own --- */

/* rule is put up for the job alone. */
static void
check_steps(struct fake_rule rule, enum builder_state state, const char *reason)
{
	struct scene s;

	scene_init(&s, NULL);
	bench_begin(&s.bench);
	bench_wait_up(&s.bench);
	bench_job_init(&s.job, &s.bench, "fake:1", COMMANDS);
	bench_job_step(&s.job, "other", "fake:2", COMMANDS);
	s.fake.rules[0] = rule;
	bench_job_start(&s.job);
	bench_job_wait(&s.job);
	bench_assert_result(&s.job, state, reason);
	if (state == BUILDER_PASSED)
		assert_string_equal(s.job.out.data, "output\noutput\n");
	s.fake.rules[0].method = NULL;
	bench_stop(&s.bench);
	assert_int_equal(fake_engine_containers(&s.fake), 0);
	assert_int_equal(s.fake.networks, 0);
	scene_fini(&s);
}

static void
test_steps_and_an_engine_that_fails(void **state)
{
	static const char *const paths[] = { "/volumes/create", "-7.1-1-3/attach", "-7.1-1-3/wait",
		"-7.1-1-3/start" }; /* of the second part */
	struct fake_rule rule = {
		.method = "POST", .deed = FAKE_STATUS, .status = 500, .body = "{\"message\":\"no\"}"
	};

	(void)state;
	check_steps((struct fake_rule){ .method = NULL }, BUILDER_PASSED, "");
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		rule.path = paths[i];
		check_steps(rule, BUILDER_ERROR, "no");
		rule.deed = FAKE_CLOSE;
		check_steps(rule, BUILDER_ERROR, "");
		rule.deed = FAKE_STATUS;
	}
	check_steps(
	    (struct fake_rule){ .method = "DELETE", .path = "/volumes/", .deed = FAKE_CLOSE }, BUILDER_PASSED, "");
}

/* The volume that is being made has to be waited for to be removed. */
static void
test_cancel_while_the_volume_is_made(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, NULL);
	bench_begin(&s.bench);
	bench_wait_up(&s.bench);
	bench_job_init(&s.job, &s.bench, "fake:1", COMMANDS);
	bench_job_step(&s.job, "other", "fake:2", COMMANDS);
	bench_job_start(&s.job);
	while (s.fake.volumes == 0)
		bench_turns(&s.bench, 1);
	builder_cancel(s.job.run, "in its midst");
	bench_job_wait(&s.job);
	bench_assert_result(&s.job, BUILDER_CANCELLED, "in its midst");
	assert_int_equal(s.fake.volumes, 0);
	scene_fini(&s);
}

static void
test_a_warm_container_that_cannot_be_limited(void **state)
{
	struct builder_conf conf = { .warm_images = 1, .warm_per_image = 1 };
	struct scene s;

	(void)state;
	scene_init(&s, &conf);
	scene_run(&s);
	bench_job_fini(&s.job);
	bench_wait_warm(&s.bench, 1);
	s.fake.rules[0] = (struct fake_rule){ .method = "POST",
		.path = "/update",
		.deed = FAKE_STATUS,
		.status = 500,
		.body = "{\"message\":\"no cgroup\"}" };
	bench_job_init(&s.job, &s.bench, "fake:1", COMMANDS);
	s.job.spec.resources.memory = 64 << 20;
	bench_job_start(&s.job);
	bench_job_wait(&s.job);
	bench_assert_result(&s.job, BUILDER_ERROR, "limit container: no cgroup");
	assert_int_equal(s.job.out.len, 0);
	scene_fini(&s);
}

/* What may begin only when its start is on record is fed before that, but not to its end. */
static void
test_the_word_is_the_last_thing_sent(void **state)
{
	struct scene s;

	(void)state;
	for (unsigned is_good = 0; is_good < 2; is_good++) {
		scene_init(&s, NULL);
		bench_begin(&s.bench);
		bench_wait_up(&s.bench);
		bench_job_init(&s.job, &s.bench, "fake:1", COMMANDS);
		s.job.holds = true;
		bench_job_start(&s.job);
		while (!s.fake.got_script)
			bench_turns(&s.bench, 1);
		bench_turns(&s.bench, 20);
		assert_true(s.job.is_started);
		assert_false(s.fake.got_whole);
		if (is_good)
			builder_go(s.job.run);
		else
			builder_cancel(s.job.run, "it is not ours any more");
		bench_job_wait(&s.job);
		bench_assert_result(
		    &s.job, is_good ? BUILDER_PASSED : BUILDER_CANCELLED, is_good ? "" : "not ours any more");
		assert_int_equal(s.fake.got_whole, is_good);
		scene_fini(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_memory_limit_is_told_late),
		cmocka_unit_test(test_exit_and_end_of_output_in_both_orders),
		cmocka_unit_test(test_internal_errors),
		cmocka_unit_test(test_connections_lost),
		cmocka_unit_test(test_half_answers),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_a_holder_that_cannot_be_started),
		cmocka_unit_test(test_the_first_cause_is_told),
		cmocka_unit_test(test_what_cannot_be_removed_is_no_failure),
		cmocka_unit_test(test_exit_code_without_reason),
		cmocka_unit_test(test_a_creation_sent_twice_is_one),
		cmocka_unit_test(test_a_name_that_is_taken),
		cmocka_unit_test(test_bad_frames),
		cmocka_unit_test(test_a_cut_frame),
		cmocka_unit_test(test_the_engine_reports_a_broken_stream),
		cmocka_unit_test(test_the_wait_is_lost),
		cmocka_unit_test(test_half_an_end),
		cmocka_unit_test(test_cancel_while_the_engine_hangs),
		cmocka_unit_test(test_pull),
		cmocka_unit_test(test_pull_fails),
		cmocka_unit_test(test_the_firewall_is_busy),
		cmocka_unit_test(test_the_mirror_need_not_work),
		cmocka_unit_test(test_one_pull_for_all),
		cmocka_unit_test(test_alias),
		cmocka_unit_test(test_reasons_for_being_down),
		cmocka_unit_test(test_no_engine_at_all),
		cmocka_unit_test(test_a_url_that_is_none),
		cmocka_unit_test(test_the_engine_dies_and_comes_back),
		cmocka_unit_test(test_steps_and_an_engine_that_fails),
		cmocka_unit_test(test_cancel_while_the_volume_is_made),
		cmocka_unit_test(test_a_warm_container_that_cannot_be_limited),
		cmocka_unit_test(test_the_word_is_the_last_thing_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
