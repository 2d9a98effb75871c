/* Requests with a key, on a real Redis: done once, whoever asks again, and of whichever daemon. The gate is a fake, and
 * so is the work. */
#include "test/unit/unit.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/controller/idempotency.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/store/idempotency.h"
#include "test/component/store_suite.h"
#include "test/unit/fake_gate.h"

#define HELD "davit:idempotency:ann:k1"
#define BODY "{\"secret\":\"hunter2\"}"
#define FAILURE "Redis did not answer in time"

/* What the work is told to do, and what has become of it. */
static struct work {
	unsigned status; /* 0: it waits in reply */
	size_t len;      /* of an answer that is so long */
	bool drops;      /* no answer */
	unsigned times;
	bool is_gone;
	struct http_reply *reply;
} work;

/* A daemon: its store, and what it has of requests. */
static struct idempotency *first;

static void
on_gone(void *arg)
{
	(void)arg;
	work.is_gone = true;
	reply_drop(&work.reply);
}

static void
answer(unsigned status)
{
	char *text = xcalloc(1, work.len + 1);

	memset(text, 'x', work.len);
	reply_header(work.reply, "Cache-Control", "no-store");
	if (work.drops)
		reply_drop(&work.reply);
	else if (work.len > 0)
		reply_send(&work.reply, status, "text/plain", text, work.len);
	else if (status >= 500)
		reply_error(&work.reply, status, "timeout", FAILURE);
	else
		reply_send(&work.reply, status, "application/json", BODY, strlen(BODY));
	free(text);
}

static void
handler(void *arg, struct http_reply *reply)
{
	assert_ptr_equal(arg, &work);
	work.times++;
	work.reply = reply;
	reply_on_gone(reply, on_gone, NULL);
	if (work.status != 0)
		answer(work.status);
}

/* --- what asks --- */

struct asked {
	struct gate gate;
	struct http_reply *reply;
};

static void
ask_as(struct idempotency *daemon, struct asked *asked, const char *who, const char *target, const char *key,
    const char *body)
{
	char *head = xasprintf("POST %s HTTP/1.1\r\nHost: a\r\nIdempotency-Key: %s\r\n\r\n", target, key);
	struct http_request *request = fake_request(head);

	free(request->body);
	request->body = xstrdup(body);
	request->body_len = strlen(body);
	request->who = xstrdup(who);
	free(head);
	fake_gate_init(&asked->gate);
	asked->reply = reply_new(&asked->gate, request);
	assert_true(idempotency_concerns(request));
	idempotency_begin(daemon, asked->reply, handler, &work);
}

static void
ask(struct asked *asked)
{
	ask_as(first, asked, "ann", "/api/v1/builds/1/rerun?jobs=failed", "\"k1\"", "{}");
}

static void
turn(struct loop *loop)
{
	struct timeval tv = { .tv_usec = 20000 };

	event_base_loopexit(loop_base(loop), &tv);
	event_base_loop(loop_base(loop), EVLOOP_ONCE);
}

static void
await_status(struct asked *asked, unsigned status, const char *words)
{
	while (asked->gate.status == 0)
		turn(f.loop);
	if (asked->gate.status != status || strstr(fake_gate_text(&asked->gate), words) == NULL)
		fail_msg("expected %u with %s, got %s", status, words, fake_gate_text(&asked->gate));
	fake_gate_fini(&asked->gate);
}

static void
await_work(unsigned times)
{
	while (work.times < times)
		turn(f.loop);
}

/* The answer has its record. */
static void
await_record(const char *status)
{
	while (strcmp(redis_fixture_text(&server, "HGET " HELD " status"), status) != 0)
		turn(f.loop);
}

static void
expect_as(struct idempotency *daemon, const char *who, const char *target, const char *key, const char *body,
    unsigned status, const char *words)
{
	struct asked asked;

	ask_as(daemon, &asked, who, target, key, body);
	await_status(&asked, status, words);
}

static void
expect(unsigned status, const char *words)
{
	struct asked asked;

	ask(&asked);
	await_status(&asked, status, words);
}

static int
setup(void **state)
{
	suite_setup(state);
	work = (struct work){ .status = 201 };
	first = idempotency_new(f.store);
	return 0;
}

static int
teardown(void **state)
{
	idempotency_free(&first);
	return suite_teardown(state);
}

/* --- the tests --- */

static void
test_who_asks_again_has_the_answer(void **state)
{
	(void)state;
	expect(201, BODY);
	await_record("201");
	work.status = 500;
	expect(201, "HTTP/1.1 201 Created\r\n");
	expect(201, "\r\nIdempotent-Replayed: true\r\n");
	expect(201, "\r\nContent-Type: application/json\r\n");
	expect(201, "\r\nCache-Control: no-store\r\n");
	expect(201, "\r\nContent-Length: 20\r\n");
	expect(201, "\r\n\r\n" BODY);
	expect_as(first, "ann", "/api/v1/builds/1/rerun?jobs=failed", "k1", "{}", 201, BODY); /* without quotes, too */
	assert_int_equal(work.times, 1);
}

static void
test_an_answer_without_type_and_body(void **state)
{
	struct asked asked;

	(void)state;
	work.status = 0;
	ask(&asked);
	await_work(1);
	reply_send(&work.reply, 204, NULL, "", 0);
	await_status(&asked, 204, "");
	await_record("204");
	expect(204, "Idempotent-Replayed");
	assert_int_equal(work.times, 1);
}

static void
test_two_at_once(void **state)
{
	struct asked one;

	(void)state;
	work.status = 0;
	ask(&one);
	expect(409, "\r\nRetry-After: 1\r\n");
	expect(409, "still being done");
	answer(202);
	await_status(&one, 202, BODY);
	await_record("202");
	expect(202, "Idempotent-Replayed");
	assert_int_equal(work.times, 1);
}

static void
test_another_request_is_refused(void **state)
{
	(void)state;
	expect(201, BODY);
	expect_as(first, "ann", "/api/v1/builds/1/rerun?jobs=failed", "k1", "{\"a\":1}", 422, "another request");
	expect_as(first, "ann", "/api/v1/builds/1/rerun", "k1", "{}", 422, "another request");
	expect_as(first, "ann", "/api/v1/builds/2/rerun?jobs=failed", "k1", "{}", 422, "another request");
	assert_int_equal(work.times, 1);
}

static void
test_another_caller_has_keys_of_its_own(void **state)
{
	(void)state;
	expect(201, BODY);
	expect_as(first, "bob", "/api/v1/builds/1/rerun?jobs=failed", "k1", "{}", 201, BODY);
	assert_int_equal(work.times, 2);
}

static void
test_a_key_ends(void **state)
{
	(void)state;
	expect(201, BODY);
	await_record("201");
	assert_in_range(redis_fixture_int(&server, "PTTL " HELD), STORE_IDEMPOTENCY_MS - 60000, STORE_IDEMPOTENCY_MS);
	assert_in_range(redis_fixture_int(&server, "PTTL davit:idempotency:ann"), STORE_IDEMPOTENCY_MS - 60000,
	    STORE_IDEMPOTENCY_MS);
	redis_fixture_ask(&server, "PEXPIRE " HELD " 0");
	expect(201, BODY);
	assert_int_equal(work.times, 2);
}

static void
test_another_daemon_knows_it(void **state)
{
	struct store_fixture other = { 0 };
	struct idempotency *second;
	struct asked one;

	(void)state;
	work.status = 0;
	ask(&one);
	await_work(1);
	store_fixture_join(&other, f.loop, &server, "n2");
	second = idempotency_new(other.store);
	expect_as(second, "ann", "/api/v1/builds/1/rerun?jobs=failed", "k1", "{}", 409, "still being done");
	answer(201);
	await_status(&one, 201, BODY);
	await_record("201");
	expect_as(second, "ann", "/api/v1/builds/1/rerun?jobs=failed", "k1", "{}", 201, BODY);
	assert_int_equal(work.times, 1);
	idempotency_free(&second);
	store_fixture_stop(&other);
}

/* Its process ended between the work and the record. */
static void
test_what_a_dead_daemon_left_is_not_done_again(void **state)
{
	struct store_fixture other = { 0 };
	struct asked one;

	(void)state;
	store_fixture_join(&other, f.loop, &server, "n2");
	redis_fixture_ask(
	    &server, "HSET " HELD " claim dead.1 request x node n2 until_ms 9999999999999 created_ms 9999999999998");
	expect(409, "still being done"); /* by one that is about to be registered */
	redis_fixture_ask(&server, "HSET " HELD " created_ms 1");
	expect(409, "may have been done"); /* another one was, since */
	redis_fixture_ask(
	    &server, "HSET " HELD " claim %s.1", redis_fixture_text(&server, "HGET davit:node:n2 process"));
	expect(409, "still being done");                        /* that one itself */
	redis_fixture_ask(&server, "HSET " HELD " until_ms 1"); /* and nobody has come after it */
	expect(409, "may have been done");
	assert_int_equal(work.times, 0);
	redis_fixture_ask(&server, "DEL " HELD);
	work.status = 0;
	ask(&one);
	await_work(1);
	work.drops = true;
	answer(0);
	assert_true(one.gate.is_dropped);
	fake_gate_fini(&one.gate);
	while (redis_fixture_int(&server, "HGET " HELD " until_ms") != 0)
		turn(f.loop);
	expect(409, "may have been done");
	store_fixture_stop(&other);
}

static void
test_the_work_goes_on_without_the_client(void **state)
{
	struct asked one;

	(void)state;
	work.status = 0;
	ask(&one);
	reply_abandon(one.reply); /* before the claim is known */
	await_work(1);
	reply_abandon(one.reply);
	assert_false(work.is_gone);
	answer(201);
	await_record("201");
	assert_int_equal(one.gate.status, 0);
	fake_gate_fini(&one.gate);
	expect(201, BODY);
	assert_int_equal(work.times, 1);
}

static void
test_what_failed_is_not_told_again(void **state)
{
	(void)state;
	work.status = 503;
	expect(503, FAILURE);
	await_record("503");
	expect(409, "failed with 503 before (" FAILURE ") and may have been done");
	assert_int_equal(work.times, 1);
	redis_fixture_ask(&server, "DEL " HELD);
	work.status = 429; /* come again */
	expect(429, BODY);
	while (redis_fixture_int(&server, "EXISTS " HELD) != 0)
		turn(f.loop);
	work.status = 201;
	expect(201, BODY);
	assert_int_equal(work.times, 3);
}

static void
test_long_answers_are_not_kept(void **state)
{
	(void)state;
	work.len = STORE_IDEMPOTENCY_ANSWER_MAX;
	expect(201, "xxxx");
	await_record("201");
	expect(409, "was answered 201; what else the answer said is not kept");
	assert_int_equal(redis_fixture_int(&server, "HSTRLEN " HELD " answer"), 0);
	redis_fixture_ask(&server, "DEL " HELD);
	work.len -= 200;
	expect(201, "xxxx");
	await_record("201");
	expect(201, "Idempotent-Replayed");
	assert_int_equal(work.times, 2);
}

static void
test_what_was_said_is_sealed(void **state)
{
	unsigned char key[SEAL_KEY_SIZE] = { 7 };

	(void)state;
	expect_as(first, "ann", "/api/v1/repos", "k1", BODY, 201, BODY);
	await_record("201");
	assert_null(strstr(redis_fixture_text(&server, "HGET " HELD " request"), "hunter2"));
	assert_int_equal(strncmp(redis_fixture_text(&server, "HGET " HELD " request"), "v1:", 3), 0);
	assert_int_equal(strncmp(redis_fixture_text(&server, "HGET " HELD " answer"), "v1:", 3), 0);
	store_set_seal_keys(f.store, key, NULL);
	expect_as(first, "ann", "/api/v1/repos", "k1", BODY, 409, "not kept");
	assert_int_equal(work.times, 1);
}

static void
test_keys_that_are_none(void **state)
{
	char *longest = xcalloc(1, STORE_IDEMPOTENCY_KEY_MAX + 2);
	const char *bad[] = { "\"\"", "\"", "a b", "a\\b", "\"a\"b\"", "\"\xc3\xa9\"", longest };

	(void)state;
	memset(longest, 'k', STORE_IDEMPOTENCY_KEY_MAX + 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_as(first, "ann", "/x", bad[i], "", 400, "visible characters");
	assert_int_equal(work.times, 0);
	longest[STORE_IDEMPOTENCY_KEY_MAX] = '\0';
	expect_as(first, "ann", "/x", longest, "", 201, BODY);
	free(longest);
}

static void
test_a_caller_has_so_many(void **state)
{
	(void)state;
	redis_fixture_ask(&server, "EVAL %s 0 %d",
	    "for i = 1, ARGV[1] do redis.call('ZADD', 'davit:idempotency:ann', 9e15, i) end",
	    STORE_IDEMPOTENCY_CALLER_MAX);
	expect(429, "too many");
	expect_as(first, "bob", "/x", "k1", "", 201, BODY);
	redis_fixture_ask(&server, "ZADD davit:idempotency:ann XX 1 7"); /* one is over */
	expect(201, BODY);
	assert_int_equal(work.times, 2);
}

static void
test_nothing_is_done_without_redis(void **state)
{
	(void)state;
	redis_fixture_kill(&server);
	expect(503, "Redis");
	assert_int_equal(work.times, 0);
	redis_fixture_restart(&server);
}

/* One waits for its claim, one is worked on, of one the answer is being recorded. */
static void
test_the_end_of_the_daemon(void **state)
{
	struct asked one, two, three;

	(void)state;
	work.status = 0;
	ask(&one);
	await_work(1);
	answer(201);
	assert_int_equal(one.gate.status, 201);
	ask_as(first, &two, "bob", "/x", "k2", "");
	await_work(2);
	ask_as(first, &three, "bob", "/x", "k3", "");
	reply_abandon(two.reply);
	idempotency_free(&first);
	assert_true(work.is_gone);
	assert_true(three.gate.is_dropped);
	fake_gate_fini(&one.gate);
	fake_gate_fini(&two.gate);
	fake_gate_fini(&three.gate);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_who_asks_again_has_the_answer),
		TEST(test_an_answer_without_type_and_body),
		TEST(test_two_at_once),
		TEST(test_another_request_is_refused),
		TEST(test_another_caller_has_keys_of_its_own),
		TEST(test_a_key_ends),
		TEST(test_another_daemon_knows_it),
		TEST(test_what_a_dead_daemon_left_is_not_done_again),
		TEST(test_the_work_goes_on_without_the_client),
		TEST(test_what_failed_is_not_told_again),
		TEST(test_long_answers_are_not_kept),
		TEST(test_what_was_said_is_sealed),
		TEST(test_keys_that_are_none),
		TEST(test_a_caller_has_so_many),
		TEST(test_nothing_is_done_without_redis),
		TEST(test_the_end_of_the_daemon),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, suite_start, suite_stop);
}
