/* The builder on a real engine: DAVIT_TEST_DOCKER is its URL. Skipped without one. Most tests share a builder without
 * a warm pool; when it is closed, nothing of any of them may be left on the engine. */
#include "test/component/builder_bench.h"
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"

#define COMMANDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

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

/* --- results --- */

static void
test_pass(void **state)
{
	struct bench_job j;

	(void)state;
	bench_run(&j, &shared, BENCH_IMAGE, COMMANDS("echo hello", "echo oops >&2"));
	bench_assert_result(&j, BUILDER_PASSED, "");
	assert_string_equal(j.result.reason, "");
	assert_int_equal(j.result.exit_code, 0);
	assert_int_equal(strncmp(j.result.image_digest, "sha256:", 7), 0);
	assert_false(j.result.warm);
	assert_false(j.result.truncated);
	bench_assert_has(&j.out, "\nhello\n");
	assert_string_equal(j.err.data, "oops\n");
	assert_string_equal(j.segments.data, "script begin\nscript 0\n");
	assert_true(j.is_started);
	bench_job_fini(&j);
}

static void
name_image(const char *image, const char *name)
{
	char command[600];

	snprintf(
	    command, sizeof(command), "docker -H %s tag davit-test/%s:latest davit-test/%s:latest", url, image, name);
	if (system(command) != 0)
		fail_msg("%s", command);
}

/* What is known of an image holds until the engine says that it changed, which it does a moment later. */
static void
test_an_image_of_another_content_is_noticed(void **state)
{
	char first[sizeof(((struct builder_result *)0)->image_digest)];
	struct bench_job j;
	bool same = true;

	(void)state;
	name_image("busybox", "renamed");
	bench_run(&j, &shared, "davit-test/renamed:latest", COMMANDS("true"));
	bench_assert_result(&j, BUILDER_PASSED, "");
	memcpy(first, j.result.image_digest, sizeof(first));
	bench_job_fini(&j);
	name_image("quitter", "renamed");
	for (int i = 0; i < 10 && same; i++) {
		bench_run(&j, &shared, "davit-test/renamed:latest", COMMANDS("true"));
		bench_assert_result(&j, BUILDER_PASSED, "");
		same = strcmp(j.result.image_digest, first) == 0;
		bench_job_fini(&j);
	}
	assert_false(same);
}

static void
test_exit_code(void **state)
{
	struct bench_job j;

	(void)state;
	bench_run(&j, &shared, BENCH_IMAGE, COMMANDS("echo one", "exit 3", "echo two"));
	bench_assert_result(&j, BUILDER_FAILED, "exit code 3 in script");
	assert_int_equal(j.result.exit_code, 3);
	assert_string_equal(j.segments.data, "script begin\nscript 3\n");
	bench_assert_has_not(&j.out, "\ntwo");
	bench_job_fini(&j);
}

static void
test_segments_end_at_the_first_failure(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("echo in-first; export A=1; cd /tmp; touch kept"));
	bench_job_segment(&j, "second", COMMANDS("echo \"A is <$A>\"", "pwd", "test -e /tmp/kept", "false"));
	bench_job_segment(&j, "third", COMMANDS("echo in-third"));
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_FAILED, "exit code 1 in second");
	assert_string_equal(j.segments.data, "script begin\nscript 0\nsecond begin\nsecond 1\n");
	bench_assert_has(&j.out, "A is <>\n");
	bench_assert_has(&j.out, "\n/workspace\n");
	bench_assert_has_not(&j.out, "in-third\n");
	bench_job_fini(&j);
}

static void
test_script_killed_from_within(void **state)
{
	struct bench_job j;

	(void)state;
	bench_run(&j, &shared, BENCH_IMAGE, COMMANDS("echo going", "kill -9 -1"));
	assert_int_equal(j.result.state, BUILDER_FAILED);
	assert_true(j.result.exit_code > 0);
	bench_assert_has(&j.out, "going\n");
	bench_job_fini(&j);
}

/* --- output --- */

static void
test_20_megabytes_arrive_unchanged(void **state)
{
	const size_t size = 20 << 20;
	char digest[SHA256_HEX_SIZE];
	struct bench_job j;

	(void)state;
	bench_run(&j, &shared, BENCH_IMAGE,
	    COMMANDS(
		"dd if=/dev/urandom of=/data bs=1048576 count=20 2>/dev/null", "sha256sum /data >&2", "cat /data"));
	bench_assert_result(&j, BUILDER_PASSED, "");
	assert_true(j.out.len > size);
	sha256_hex((struct str){ j.out.data + j.out.len - size, size }, digest);
	bench_assert_has(&j.err, digest);
	assert_true(j.raw[BUILDER_STDOUT] > j.out.len); /* markers and the first words */
	assert_int_equal(j.raw[BUILDER_STDERR], j.err.len);
	bench_job_fini(&j);
}

static void
test_output_without_a_newline_and_false_markers(void **state)
{
	struct bench_job j;

	(void)state;
	bench_run(
	    &j, &shared, BENCH_IMAGE, COMMANDS("printf '\\036\\0360123 end script 0\\n\\036'", "printf 'no newline'"));
	bench_assert_result(&j, BUILDER_PASSED, "");
	bench_assert_has(&j.out, "\x1e\x1e"
				 "0123 end script 0\n\x1e");
	assert_int_equal(strcmp(j.out.data + j.out.len - 10, "no newline"), 0);
	assert_string_equal(j.segments.data, "script begin\nscript 0\n");
	bench_job_fini(&j);
}

static void
test_a_flood_of_output_is_cut(void **state)
{
	struct bench_job j;

	(void)state;
	bench_run(&j, &shared, BENCH_IMAGE, COMMANDS("yes 'and on and on and on and on and on'"));
	bench_assert_result(&j, BUILDER_FAILED, "more than 33554432 bytes of output");
	assert_true(j.result.truncated);
	assert_true(j.out.len <= 32 << 20);
	assert_true(j.out.len > 31 << 20);
	bench_job_fini(&j);
}

/* --- ends --- */

static void
test_cancel_while_it_runs(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("echo sleeping now", "sleep 1000"));
	j.cancel_on = "\nsleeping now\n";
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_CANCELLED, "cancelled by the test");
	assert_int_equal(j.result.exit_code, -1);
	bench_job_fini(&j);
}

static void
test_cancel_at_once(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("echo hello"));
	bench_job_start(&j);
	builder_cancel(j.run, "never mind");
	builder_cancel(j.run, "twice");
	assert_false(j.is_done);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_CANCELLED, "never mind");
	assert_false(j.is_started);
	bench_job_fini(&j);
}

/* At any moment of its way: after so many turns of the loop. */
static void
test_cancel_at_every_turn(void **state)
{
	unsigned turns = 1;
	bool was_started = false;

	(void)state;
	while (!was_started) {
		struct bench_job j;

		bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("sleep 1000"));
		bench_job_start(&j);
		bench_turns(&shared, turns);
		was_started = j.is_started;
		builder_cancel(j.run, "now");
		bench_job_wait(&j);
		bench_assert_result(&j, BUILDER_CANCELLED, "now");
		bench_job_fini(&j);
		turns += turns / 4 + 1;
	}
	assert_int_equal(bench_job_containers(&shared), 0);
}

static void
test_nothing_runs_before_the_word(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("echo hello"));
	j.holds = true;
	bench_job_start(&j);
	bench_job_wait_started(&j);
	bench_turns(&shared, 20);
	assert_int_equal(j.out.len, 0);
	builder_cancel(j.run, "it is not ours any more");
	builder_go(j.run);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_CANCELLED, "not ours any more");
	assert_int_equal(j.out.len, 0);
	bench_job_fini(&j);
}

static void
test_timeout(void **state)
{
	struct bench_job j;

	(void)state;
	bench_run_timed(
	    &j, &shared, COMMANDS("trap '' TERM", "echo deaf", "while :; do sleep 1; done"), NULL, "\ndeaf\n");
	bench_assert_result(&j, BUILDER_TIMED_OUT, " s, in script");
	assert_true(j.has_verdict);
	bench_job_fini(&j);
}

static void
test_leftovers_of_setsid_end_with_the_job(void **state)
{
	struct bench_job j;

	(void)state;
	bench_run(&j, &shared, BENCH_IMAGE,
	    COMMANDS(
		"setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' &", "(setsid sleep 1000 &) ; echo left"));
	bench_assert_result(&j, BUILDER_PASSED, "");
	assert_int_equal(bench_job_containers(&shared), 0);
	bench_job_fini(&j);
}

/* --- limits --- */

static void
test_memory_limit(void **state)
{
	struct bench_job j;

	(void)state;
	bench_run(&j, &shared, BENCH_IMAGE, COMMANDS("tail /dev/zero"));
	bench_assert_result(&j, BUILDER_FAILED, "the memory limit of 128 MiB was hit");
	assert_true(j.result.oom);
	assert_true(j.result.exit_code > 0);
	bench_job_fini(&j);
}

static void
test_fork_bomb_is_contained(void **state)
{
	struct bench_job j;

	(void)state;
	bench_run_timed(&j, &shared, COMMANDS("f() { f | f & }; f; f; sleep 1; echo still here; sleep 1000"), NULL,
	    "\nstill here\n");
	assert_true(j.result.state == BUILDER_TIMED_OUT || j.result.state == BUILDER_FAILED);
	bench_assert_has(&j.err, "can't fork");
	bench_job_fini(&j);
}

static void
test_isolation_as_seen_from_inside(void **state)
{
	struct bench_job j;

	(void)state;
	bench_run(&j, &shared, BENCH_IMAGE,
	    COMMANDS("grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status", "ulimit -n; ulimit -c",
		"stat -c '%a %u' /davit /tmp", "ls -l /davit", "mount | grep ' /tmp '", "id -u",
		"cat /proc/1/oom_score_adj", "mount -t tmpfs x /mnt || echo no mount",
		"ls /var/run/docker.sock || echo no socket"));
	bench_assert_result(&j, BUILDER_PASSED, "");
	/* CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID are bits 0, 1, 3, 4, 5, 6, 7 */
	bench_assert_has(&j.out, "CapEff:\t00000000000000fb\n");
	bench_assert_has(&j.out, "CapBnd:\t00000000000000fb\n");
	bench_assert_has(&j.out, "NoNewPrivs:\t1\n");
	bench_assert_has(&j.out, "Seccomp:\t2\n");
	bench_assert_has(&j.out, "\n4096\n0\n");
	bench_assert_has(&j.out, "700 0\n1777 0\n");
	bench_assert_has(&j.out, "nosuid,nodev");
	bench_assert_has(&j.out, "no mount\n");
	bench_assert_has(&j.out, "no socket\n");
	bench_assert_has(&j.out, "\n500\n");
	bench_job_fini(&j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pass),
		cmocka_unit_test(test_an_image_of_another_content_is_noticed),
		cmocka_unit_test(test_exit_code),
		cmocka_unit_test(test_segments_end_at_the_first_failure),
		cmocka_unit_test(test_script_killed_from_within),
		cmocka_unit_test(test_20_megabytes_arrive_unchanged),
		cmocka_unit_test(test_output_without_a_newline_and_false_markers),
		cmocka_unit_test(test_a_flood_of_output_is_cut),
		cmocka_unit_test(test_cancel_while_it_runs),
		cmocka_unit_test(test_cancel_at_once),
		cmocka_unit_test(test_cancel_at_every_turn),
		cmocka_unit_test(test_nothing_runs_before_the_word),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_leftovers_of_setsid_end_with_the_job),
		cmocka_unit_test(test_memory_limit),
		cmocka_unit_test(test_fork_bomb_is_contained),
		cmocka_unit_test(test_isolation_as_seen_from_inside),
	};

	url = bench_engine();
	if (url == NULL)
		return 77;
	return cmocka_run_group_tests(tests, open_shared, close_shared);
}
