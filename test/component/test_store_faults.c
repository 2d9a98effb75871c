#include "test/unit/unit.h"

#include <signal.h>
#include <stdio.h>

#include "server/core/loop.h"
#include "test/component/store_suite.h"

/* --- what befalls Redis --- */

enum { BURST = 2000, IN_FLIGHT = 64 }; /* few enough at a time that none waits for longer than its deadline */

struct burst {
	unsigned sent, awaited;
	int64_t accepted[BURST];
	size_t count, failed;
	pid_t victim; /* is killed when a hundred answers are there */
};

static struct burst burst;

static void send_one(void);

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
	if (burst.sent < BURST)
		send_one();
	if (--burst.awaited == 0)
		loop_stop(f.loop);
}

static void
send_one(void)
{
	const struct change change = { .ref = (char[]){ "refs/heads/main" },
		.branch = (char[]){ "main" },
		.commit = (char[]){ "1f3c9a0b7d5e2468ace013579bdf02468ace1357" } };
	char delivery[32];

	snprintf(delivery, sizeof(delivery), "burst-%u", burst.sent++);
	store_submit(f.store, "app", &change, str_of(delivery), NULL, on_burst, NULL);
}

static void
test_what_was_accepted_survives_kill_9_of_redis(void **state)
{
	(void)state;
	burst = (struct burst){ .awaited = BURST, .victim = server.pid };
	while (burst.sent < IN_FLIGHT)
		send_one();
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SUITE_TEST(test_what_was_accepted_survives_kill_9_of_redis),
		SUITE_TEST(test_scripts_are_loaded_again_after_a_restart),
		SUITE_TEST(test_frozen_redis_is_an_error_within_a_second),
		SUITE_TEST(test_cancelled_operation_never_calls_back),
	};

	return cmocka_run_group_tests(tests, suite_start, suite_stop);
}
