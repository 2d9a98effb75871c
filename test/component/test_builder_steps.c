/* What a job has beside its script, on a real engine: segments that run always, steps with other images, limits of its
 * own, and the time that a failed one is held. DAVIT_TEST_DOCKER is the engine's URL. Skipped without one. */
#include "test/component/builder_bench.h"
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/mem.h"

#define COMMANDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SAY_STATUS COMMANDS("echo \"<$DAVIT_JOB_STATUS> $(cat left)\"")
#define TARLESS "davit-test/tarless:latest"
#define OTHER "davit-test/service:latest"

static const char *url;
static struct bench shared;

static int
open_shared(void **state)
{
	(void)state;
	bench_open(&shared, url, NULL);
	bench_wait_up(&shared);
	return 0;
}

static int
close_shared(void **state)
{
	(void)state;
	bench_close(&shared);
	return 0;
}

/* --- what runs always --- */

static void
test_after_success_and_failure(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("echo behind >left"));
	bench_job_always(&j, "after_script", SAY_STATUS);
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_PASSED, "");
	bench_assert_has(&j.out, "<passed> behind\n");
	assert_string_equal(j.segments.data, "script begin\nscript 0\nafter_script begin\nafter_script 0\n");
	bench_job_fini(&j);

	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("echo behind >left", "exit 3"));
	bench_job_segment(&j, "more", COMMANDS("echo never-$((1 + 1))"));
	bench_job_always(&j, "after_script", SAY_STATUS);
	bench_job_always(&j, "last", COMMANDS("exit 5"));
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_FAILED, "exit code 3 in script");
	assert_int_equal(j.result.exit_code, 3);
	bench_assert_has(&j.out, "<failed> behind\n");
	bench_assert_has_not(&j.out, "never-2");
	assert_string_equal(
	    j.segments.data, "script begin\nscript 3\nafter_script begin\nafter_script 0\nlast begin\nlast 5\n");
	bench_job_fini(&j);
}

/* Nothing of the job's own lives on: not even what it put into a session of its own. */
static void
test_after_a_cancel(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE,
	    COMMANDS("echo behind >left", "setsid sh -c 'trap \"\" TERM HUP; sleep 1001' &", "echo sleeping now",
		"trap '' TERM; sleep 1000"));
	bench_job_always(&j, "after_script",
	    COMMANDS("echo \"<$DAVIT_JOB_STATUS> $(cat left)\"", "ps | grep -c '[s]leep 100' || true"));
	j.cancel_on = "\nsleeping now\n";
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_CANCELLED, "cancelled by the test");
	assert_int_equal(j.result.exit_code, -1);
	bench_assert_has(&j.out, "<cancelled> behind\n");
	bench_assert_has(&j.out, "\n0\n");
	assert_string_equal(j.segments.data, "script begin\nscript 137\nafter_script begin\nafter_script 0\n");
	bench_job_fini(&j);
}

static void
test_after_a_timeout(void **state)
{
	struct bench_job j;

	(void)state;
	bench_run_timed(&j, &shared, COMMANDS("echo behind >left", "echo slow", "sleep 1000"), SAY_STATUS, "\nslow\n");
	bench_assert_result(&j, BUILDER_TIMED_OUT, " s, in script");
	bench_assert_has(&j.out, "<timed_out> behind\n");
	bench_job_fini(&j);
}

/* Cancelled once more it ends; so it does by an end at once, which leaves it no word at all. */
static void
test_what_runs_always_can_be_ended(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("echo in-script", "sleep 1000"));
	bench_job_always(&j, "after_script", COMMANDS("echo in-after", "sleep 1000"));
	bench_job_start(&j);
	bench_job_wait_output(&j, "\nin-script\n");
	builder_cancel(j.run, "first");
	bench_job_wait_output(&j, "\nin-after\n");
	builder_cancel(j.run, "second");
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_CANCELLED, "first");
	bench_job_fini(&j);

	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("echo in-script", "sleep 1000"));
	bench_job_always(&j, "after_script", COMMANDS("echo in-after"));
	bench_job_start(&j);
	bench_job_wait_output(&j, "\nin-script\n");
	builder_end(j.run, "at once");
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_CANCELLED, "at once");
	bench_assert_has_not(&j.out, "in-after");
	bench_job_fini(&j);
}

/* --- steps with other images --- */

static void
test_steps_share_the_workspace_and_nothing_else(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(
	    &j, &shared, BENCH_IMAGE, COMMANDS("echo one >left; export A=a; touch /mine", "hostname -i >address"));
	bench_job_step(&j, "same", NULL, COMMANDS("test -e /mine", "echo \"same <$A> $(cat left)\""));
	bench_job_step(&j, "tarless", TARLESS,
	    COMMANDS("[ ! -e /mine ]", "read x <left", "echo \"tarless <$A> $x\"", "echo two >left"));
	bench_job_step(&j, "other", OTHER,
	    COMMANDS("[ ! -e /mine ]", "echo \"other <$A> $(cat left) $E\"", "pwd",
		"[ \"$(hostname -i)\" = \"$(cat address)\" ] && echo the same address"));
	env_add(&j.spec.segments[3].env, "E", "$B-e");
	env_add(&j.spec.env, "B", "b");
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_PASSED, "");
	bench_assert_has(&j.out, "same <> one\n");
	bench_assert_has(&j.out, "tarless <> one\n");
	bench_assert_has(&j.out, "other <> two b-e\n");
	bench_assert_has(&j.out, "\n/workspace\n");
	bench_assert_has(&j.out, "\nthe same address\n");
	assert_string_equal(j.segments.data, "script begin\nscript 0\nsame begin\nsame 0\ntarless begin\ntarless 0\n"
					     "other begin\nother 0\n");
	bench_job_fini(&j);
}

static void
test_services_stay_for_all_steps(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("wget -qO- http://web:8000/"));
	bench_job_service(&j, "web", OTHER, 8000, 30);
	bench_job_step(&j, "again", OTHER, COMMANDS("wget -qO- http://web:8000/", "echo \"$WEB_PORT_8000_TCP_PORT\""));
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_PASSED, "");
	bench_assert_has(strstr(j.out.data, "8000/\033[0m\nit is up\n") != NULL ? &j.out : &j.err, "it is up\n");
	bench_assert_has(&j.out, "\n8000\n");
	bench_job_fini(&j);
}

static void
test_a_failed_step_ends_the_job_but_for_what_runs_always(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("echo behind >left"));
	bench_job_step(&j, "other", OTHER, COMMANDS("exit 6"));
	bench_job_step(&j, "tarless", TARLESS, COMMANDS("echo never-$((1 + 1))"));
	bench_job_always(&j, "after_script", SAY_STATUS);
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_FAILED, "exit code 6 in other");
	bench_assert_has(&j.out, "<failed> behind\n");
	bench_assert_has_not(&j.out, "never-2");
	assert_string_equal(
	    j.segments.data, "script begin\nscript 0\nother begin\nother 6\nafter_script begin\nafter_script 0\n");
	bench_job_fini(&j);
}

static void
test_a_cancelled_step_and_what_runs_always_elsewhere(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("echo behind >left"));
	bench_job_step(&j, "other", OTHER, COMMANDS("echo sleeping now", "sleep 1000"));
	bench_job_always(&j, "after_script", SAY_STATUS);
	j.cancel_on = "\nsleeping now\n";
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_CANCELLED, "cancelled by the test");
	bench_assert_has(&j.out, "<cancelled> behind\n");
	bench_job_fini(&j);
}

/* Whose image that was is told, though another part came after it. */
static void
test_a_broken_workspace_and_what_runs_always_elsewhere(void **state)
{
	char path[] = "/tmp/davit-test-workspace.XXXXXX", text[4096];
	int fd = mkstemp(path);
	struct bench_job j;

	(void)state;
	assert_true(fd >= 0);
	memset(text, 'x', sizeof(text)); /* which is no tar */
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	close(fd);
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("true"));
	bench_job_step(&j, "other", OTHER, SAY_STATUS);
	j.spec.segments[j.spec.segment_count - 1].always = true;
	j.job.workspace_tar = path;
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_ERROR, "the workspace could not be unpacked in image " BENCH_IMAGE);
	bench_assert_has(&j.out, "<failed>");
	unlink(path);
	bench_job_fini(&j);
}

static void
test_a_step_without_its_image(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("echo never-$((1 + 1))"));
	bench_job_step(&j, "other", "127.0.0.1:1/nonexistent:1", COMMANDS("true"));
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_ERROR, "127.0.0.1:1/nonexistent:1");
	assert_int_equal(j.out.len, 0);
	bench_job_fini(&j);
}

/* At any moment of the way of a job of several parts. */
static void
test_steps_cancelled_at_every_turn(void **state)
{
	unsigned turns = 1;
	bool was_last = false;

	(void)state;
	while (!was_last) {
		struct bench_job j;

		bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("true"));
		bench_job_step(&j, "other", OTHER, COMMANDS("echo \"in the last\"", "sleep 1000"));
		bench_job_start(&j);
		bench_turns(&shared, turns);
		was_last = strstr(j.out.data, "\nin the last\n") != NULL;
		builder_cancel(j.run, "now");
		bench_job_wait(&j);
		bench_assert_result(&j, BUILDER_CANCELLED, "now");
		bench_job_fini(&j);
		turns += turns / 3 + 1;
	}
	assert_int_equal(bench_job_containers(&shared), 0);
}

/* --- limits of its own --- */

static void
test_more_than_there_is(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("true"));
	j.spec.resources.memory = 129 << 20;
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_FAILED,
	    "resources: 129 MiB of memory are more than the 128 MiB that a job gets here (builder.memory)");
	bench_job_fini(&j);

	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("true"));
	j.spec.resources.nano_cpus = 1000500000000;
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_FAILED, "resources: 1000.5 CPUs are more than the");
	bench_job_fini(&j);
}

static void
check_limits(struct bench *b, bool is_warm)
{
	struct bench_job j;
	char *text;

	bench_job_init(&j, b, BENCH_IMAGE, COMMANDS("echo it-runs", "tail /dev/zero"));
	j.spec.resources = (struct resources_spec){ .memory = 32 << 20, .nano_cpus = 250000000 };
	j.holds = true;
	bench_job_start(&j);
	bench_job_wait_started(&j);
	builder_go(j.run);
	bench_job_wait_output(&j, "\nit-runs\n");
	text = bench_inspect(b, j.container);
	assert_non_null(strstr(text, "\"Memory\":33554432,"));
	assert_non_null(strstr(text, "\"MemorySwap\":33554432,"));
	assert_non_null(strstr(text, "\"NanoCpus\":250000000,"));
	free(text);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_FAILED, "the memory limit of 32 MiB was hit");
	assert_int_equal(j.result.warm, is_warm);
	bench_job_fini(&j);
}

static void
test_less_than_there_is(void **state)
{
	struct builder_conf conf = { .warm_images = 1, .warm_per_image = 1 };
	struct bench_job j;
	struct bench b;

	(void)state;
	check_limits(&shared, false);
	bench_open(&b, url, &conf);
	bench_wait_up(&b);
	bench_run(&j, &b, BENCH_IMAGE, COMMANDS("true"));
	bench_job_fini(&j);
	bench_wait_warm(&b, 1);
	check_limits(&b, true);
	bench_close(&b);
}

/* --- held --- */

/* The text is what people see; the container is there, and so are its services. */
static void
test_a_failed_job_is_held(void **state)
{
	struct bench_job j;
	char *text;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("exit 4"));
	bench_job_always(&j, "after_script", COMMANDS("echo \"<$DAVIT_JOB_STATUS>\""));
	bench_job_service(&j, "web", OTHER, 8000, 30);
	j.spec.hold_s = 1000;
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_FAILED, "exit code 4 in script; held for debugging until ");
	assert_non_null(strstr(j.result.reason, " UTC"));
	assert_int_equal(j.result.exit_code, 4);
	bench_assert_has(&j.out, "<failed>\n");
	assert_int_equal(bench_job_containers(&shared), 1);
	assert_int_equal(builder_free_slots(shared.builder), 1);
	text = bench_inspect(&shared, j.container);
	assert_non_null(strstr(text, "\"Status\":\"running\""));
	free(text);
	assert_false(builder_release(shared.builder, "7.99"));
	assert_false(builder_release(shared.builder, "70"));
	assert_true(builder_release(shared.builder, j.id));
	assert_false(builder_release(shared.builder, "7")); /* it is going already */
	bench_job_fini(&j);                                 /* nothing of it is used any more */
	bench_wait_slots(&shared, 2);
	assert_int_equal(bench_job_containers(&shared), 0);
	assert_false(builder_release(shared.builder, "7.1"));
}

static void
test_a_held_job_ends_in_time(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("exit 4"));
	j.spec.hold_s = 1;
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_FAILED, "; held for debugging until ");
	bench_job_fini(&j);
	bench_wait_slots(&shared, 2);
	assert_int_equal(bench_job_containers(&shared), 0);
}

static void
test_only_what_failed_is_held(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("true"));
	j.spec.hold_s = 1000;
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_PASSED, "");
	bench_job_fini(&j);

	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("echo sleeping now", "sleep 1000"));
	bench_job_always(&j, "after_script", COMMANDS("echo \"<$DAVIT_JOB_STATUS>\""));
	j.spec.hold_s = 1000;
	j.cancel_on = "\nsleeping now\n";
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_CANCELLED, "cancelled by the test");
	bench_assert_has(&j.out, "<cancelled>\n");
	bench_job_fini(&j);
	assert_int_equal(builder_free_slots(shared.builder), 2);
}

/* A job of several parts is held in the last that ran; the builder's stop ends what is held. */
static void
test_a_stop_ends_what_is_held(void **state)
{
	struct bench_job j;
	struct bench b;

	(void)state;
	bench_open(&b, url, NULL);
	bench_wait_up(&b);
	bench_job_init(&j, &b, BENCH_IMAGE, COMMANDS("true"));
	bench_job_step(&j, "other", OTHER, COMMANDS("false"));
	bench_job_step(&j, "more", BENCH_IMAGE, COMMANDS("true"));
	j.spec.hold_s = 1000;
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_FAILED, "exit code 1 in other; held for debugging until ");
	bench_job_fini(&j);
	while (bench_job_containers(&b) > 1) /* the first part's is on its way out */
		bench_turns(&b, 1);
	assert_int_equal(bench_job_containers(&b), 1);
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_after_success_and_failure),
		cmocka_unit_test(test_after_a_cancel),
		cmocka_unit_test(test_after_a_timeout),
		cmocka_unit_test(test_what_runs_always_can_be_ended),
		cmocka_unit_test(test_steps_share_the_workspace_and_nothing_else),
		cmocka_unit_test(test_services_stay_for_all_steps),
		cmocka_unit_test(test_a_failed_step_ends_the_job_but_for_what_runs_always),
		cmocka_unit_test(test_a_cancelled_step_and_what_runs_always_elsewhere),
		cmocka_unit_test(test_a_broken_workspace_and_what_runs_always_elsewhere),
		cmocka_unit_test(test_a_step_without_its_image),
		cmocka_unit_test(test_steps_cancelled_at_every_turn),
		cmocka_unit_test(test_more_than_there_is),
		cmocka_unit_test(test_less_than_there_is),
		cmocka_unit_test(test_a_failed_job_is_held),
		cmocka_unit_test(test_a_held_job_ends_in_time),
		cmocka_unit_test(test_only_what_failed_is_held),
		cmocka_unit_test(test_a_stop_ends_what_is_held),
	};

	url = bench_engine();
	if (url == NULL)
		return 77;
	return cmocka_run_group_tests(tests, open_shared, close_shared);
}
