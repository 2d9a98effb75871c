#include "test/unit/unit.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/json.h"
#include "proto/mem.h"
#include "server/notify/notify.h"
#include "test/component/smtp_peer.h"
#include "test/component/store_fixture.h"

#define COMMIT "0123456789012345678901234567890123456789"
#define POSTS_MAX 64

/* How the forge answers its n-th post; the last row also answers all later ones. */
struct answer {
	int code;
	const char *header; /* name, or NULL */
	const char *value;
	const char *body;
};

#define HANG 0 /* as a code: no answer at all */

struct post {
	char path[256];
	char token[64];
	char *body;
	int64_t at_ms;
};

/* A forge in the tested loop. */
struct forge {
	struct evhttp *http;
	unsigned port;
	const struct answer *answers;
	size_t answer_count;
	struct post posts[POSTS_MAX];
	size_t count;
	size_t awaited; /* the loop is stopped at so many posts; 0: never */
};

static struct redis_fixture redis;
static struct store_fixture f;
static struct forge forge;
static struct notify *notify;
static struct notify_conf conf;
static struct timer *guard;

static void
on_guard(void *arg)
{
	(void)arg;
	fail_msg("the test hangs");
}

/* --- the forge --- */

static void
keep_post(struct evhttp_request *request)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(request);
	struct post *post = &forge.posts[forge.count];
	const char *token = evhttp_find_header(evhttp_request_get_input_headers(request), "Authorization");

	assert_in_range(forge.count, 0, POSTS_MAX - 1);
	snprintf(post->path, sizeof(post->path), "%s", evhttp_request_get_uri(request));
	snprintf(post->token, sizeof(post->token), "%s", token != NULL ? token : "");
	post->body = xstrndup((const char *)evbuffer_pullup(body, -1), evbuffer_get_length(body));
	post->at_ms = loop_mono_ms();
	forge.count++;
}

static void
on_post(struct evhttp_request *request, void *arg)
{
	const struct answer *answer =
	    &forge.answers[forge.count < forge.answer_count ? forge.count : forge.answer_count - 1];

	(void)arg;
	keep_post(request);
	if (answer->header != NULL)
		evhttp_add_header(evhttp_request_get_output_headers(request), answer->header, answer->value);
	if (answer->code != HANG) {
		struct evbuffer *body = evbuffer_new();

		evbuffer_add_printf(body, "%s", answer->body != NULL ? answer->body : "{}");
		evhttp_send_reply(request, answer->code, NULL, body);
		evbuffer_free(body);
	}
	if (forge.count == forge.awaited)
		loop_stop(f.loop);
}

/* port 0: a free one, which is kept when the forge comes again. */
static void
forge_open(void)
{
	struct evhttp_bound_socket *bound;
	struct sockaddr_storage address;
	ev_socklen_t len = sizeof(address);

	forge.http = evhttp_new(loop_base(f.loop));
	bound = evhttp_bind_socket_with_handle(forge.http, "127.0.0.1", (ev_uint16_t)forge.port);
	assert_non_null(bound);
	assert_int_equal(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &len), 0);
	forge.port = ntohs(((struct sockaddr_in *)&address)->sin_port);
	evhttp_set_gencb(forge.http, on_post, NULL);
}

static void
forge_close(void)
{
	if (forge.http != NULL)
		evhttp_free(forge.http);
	forge.http = NULL;
}

#define FORGE_ANSWERS(...)                                           \
	do {                                                         \
		static const struct answer rows[] = { __VA_ARGS__ }; \
		forge.answers = rows;                                \
		forge.answer_count = sizeof(rows) / sizeof(rows[0]); \
	} while (0)

static void
await_posts(size_t count)
{
	forge.awaited = count;
	while (forge.count < count)
		loop_run(f.loop);
	forge.awaited = 0;
	assert_int_equal(forge.count, count);
}

/* --- the outbox, as redis-cli sees it --- */

static void
on_poll(void *arg)
{
	(void)arg;
	loop_stop(f.loop);
}

static void
turn_a_moment(void)
{
	struct timer *poll = timer_new(f.loop, on_poll, NULL);

	timer_start(poll, 5);
	loop_run(f.loop);
	timer_free(&poll);
}

/* Turns the loop until Redis's answer to the command is that. */
#define AWAIT_INT(value, ...)                                     \
	while (redis_fixture_int(&redis, __VA_ARGS__) != (value)) \
	turn_a_moment()

static void
await_empty_outbox(void)
{
	AWAIT_INT(0, "EXISTS davit:outbox");
}

/* --- the fixture --- */

static void
on_wake(void *arg, const char *line)
{
	(void)arg;
	if (notify != NULL)
		notify_wake(notify, line);
}

static void
on_put(void *arg, const struct err *err)
{
	(void)arg;
	assert_null(err);
	f.op = NULL;
	loop_stop(f.loop);
}

static void
put_repository(const char *id, const char *token, const char *emails)
{
	char *api = xasprintf("http://127.0.0.1:%u", forge.port);
	const struct repo repo = {
		.id = (char *)(uintptr_t)id,
		.name = (char[]){ "acme/boat" },
		.url = (char[]){ "https://forge.example/acme/boat.git" },
		.forge = (char[]){ "gitea" },
		.api = api,
		.web = (char[]){ "" },
		.secret = (char[]){ "s" },
		.token = (char *)(uintptr_t)token,
		.emails = (char *)(uintptr_t)emails,
		.statuses = true,
		.weight = 1,
	};

	f.op = store_repo_put(f.store, &repo, on_put, NULL);
	loop_run(f.loop);
	free(api);
}

static void
notify_begin(void)
{
	struct err err;

	notify = notify_new(f.loop, f.store, NULL, &conf, &err);
	if (notify == NULL)
		fail_msg("%s", err.text);
	notify_wake(notify, "up");
}

static int
setup(void **state)
{
	(void)state;
	redis_fixture_ask(&redis, "FLUSHALL");
	store_fixture_start(&f, &redis, "n1");
	store_on_wake(f.store, on_wake, NULL);
	guard = timer_new(f.loop, on_guard, NULL);
	timer_start(guard, 30000);
	forge = (struct forge){ .port = 0 };
	FORGE_ANSWERS({ .code = 201 });
	forge_open();
	put_repository("boat", "t0ken", "");
	conf = (struct notify_conf){
		.url = "https://ci.example.com",
		.timeout_ms = 5000,
		.delay_ms = 10,
		.delay_max_ms = 40,
	};
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	notify_free(&notify);
	forge_close();
	timer_free(&guard);
	store_fixture_stop(&f);
	for (size_t i = 0; i < forge.count; i++)
		free(forge.posts[i].body);
	return 0;
}

static int
group_setup(void **state)
{
	(void)state;
	redis_fixture_start(&redis, NULL);
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	redis_fixture_stop(&redis);
	return 0;
}

/* A build of one job that goes all the way: three events, planning, running and this state. */
static int64_t
finished_build(enum job_state state)
{
	int64_t build = queued_build(&f, "boat", 1);
	struct job *job;

	assert_int_equal(job_claim(&f), ERR_NONE);
	job = take_job(&f);
	assert_int_equal(job_started(&f, job->id, job->token, "c1"), ERR_NONE);
	assert_int_equal(job_finished(&f, job->id, job->token, state), ERR_NONE);
	job_free(&job);
	return build;
}

/* The member of the n-th post's body. */
static void
assert_post(size_t n, const char *member, const char *value)
{
	struct json *doc;
	struct err err;

	assert_true(json_parse(str_of(forge.posts[n].body), NULL, &doc, &err));
	assert_string_equal(json_string(json_get(json_root(doc), member), "(none)"), value);
	json_free(&doc);
}

static void
assert_states(const char *const *states, size_t count)
{
	assert_int_equal(forge.count, count);
	for (size_t i = 0; i < count; i++)
		assert_post(i, "state", states[i]);
}

/* --- statuses --- */

static void
test_statuses_come_in_order(void **state)
{
	static const char *const states[] = { "pending", "pending", "success" };

	(void)state;
	finished_build(JOB_PASSED);
	notify_begin();
	await_posts(3);
	await_empty_outbox();
	assert_states(states, 3);
	assert_post(0, "description", "planning");
	assert_post(1, "description", "running");
	assert_post(2, "description", "passed in 0 s");
	assert_post(2, "context", "davit");
	assert_post(2, "target_url", "https://ci.example.com/builds/1");
	assert_string_equal(forge.posts[0].path, "/api/v1/repos/acme/boat/statuses/" COMMIT);
	assert_string_equal(forge.posts[0].token, "token t0ken");
	assert_int_equal(redis_fixture_int(&redis, "LLEN davit:outbox:dead"), 0);
	assert_int_equal(redis_fixture_int(&redis, "EVAL return(#redis.call('KEYS','davit:notice:*')) 0"), 0);
}

/* The first is on its way when the next ones are made. */
static void
test_statuses_follow_as_they_happen(void **state)
{
	static const char *const states[] = { "pending", "pending", "failure" };

	(void)state;
	notify_begin();
	finished_build(JOB_FAILED);
	await_posts(3);
	assert_states(states, 3);
}

static void
test_outage_delays_and_keeps_the_order(void **state)
{
	static const char *const states[] = { "pending", "pending", "success" };

	(void)state;
	forge_close();
	notify_begin();
	finished_build(JOB_PASSED);
	AWAIT_INT(4, "HGET davit:notice:1.1 attempts");
	forge_open();
	await_posts(3);
	await_empty_outbox();
	assert_states(states, 3);
}

static void
test_server_errors_are_tried_again_before_the_next(void **state)
{
	static const char *const states[] = { "pending", "pending", "pending", "pending", "success" };

	(void)state;
	FORGE_ANSWERS({ .code = 500 }, { .code = 502, .body = "<html>" }, { .code = 201 });
	finished_build(JOB_PASSED);
	notify_begin();
	await_posts(5);
	await_empty_outbox();
	assert_states(states, 5);
	assert_post(2, "description", "planning");
	assert_post(3, "description", "running");
}

static void
test_forge_may_ask_for_time(void **state)
{
	(void)state;
	FORGE_ANSWERS({ .code = 429, .header = "Retry-After", .value = "1" }, { .code = 201 });
	finished_build(JOB_PASSED);
	notify_begin();
	await_posts(4);
	assert_in_range(forge.posts[1].at_ms - forge.posts[0].at_ms, 1000, 10000);
}

static void
test_forge_that_hangs_is_left(void **state)
{
	static const char *const states[] = { "pending", "pending", "pending", "success" };

	(void)state;
	conf.timeout_ms = 100;
	FORGE_ANSWERS({ .code = HANG }, { .code = 201 });
	finished_build(JOB_PASSED);
	notify_begin();
	await_posts(4);
	await_empty_outbox();
	assert_states(states, 4);
}

/* What the forge will never take is put among the dead with its words, and the next one has its chance. */
static void
test_refused_ones_are_dropped_and_shown(void **state)
{
	(void)state;
	FORGE_ANSWERS({ .code = 401, .body = "{\"message\":\"bad token\"}" }, { .code = 404 }, { .code = 201 });
	finished_build(JOB_PASSED);
	notify_begin();
	await_posts(3);
	await_empty_outbox();
	assert_post(2, "state", "success");
	assert_int_equal(redis_fixture_int(&redis, "LLEN davit:outbox:dead"), 2);
	assert_non_null(strstr(redis_fixture_text(&redis, "HGET davit:notice:1.1 last_error"), "bad token"));
}

static void
test_too_old_ones_are_dropped(void **state)
{
	(void)state;
	conf.age_max_ms = 1;
	FORGE_ANSWERS({ .code = 500 });
	finished_build(JOB_PASSED);
	notify_begin();
	AWAIT_INT(3, "LLEN davit:outbox:dead");
	await_empty_outbox();
	assert_int_equal(forge.count, 3);
	assert_non_null(strstr(redis_fixture_text(&redis, "HGET davit:notice:1.1 last_error"), "too old"));
}

/* The process dies between the forge's answer and the ack: the next one sends it again, still in order. */
static void
test_death_before_the_ack_sends_again(void **state)
{
	static const char *const states[] = { "pending", "pending", "pending", "success" };

	(void)state;
	finished_build(JOB_PASSED);
	notify_begin();
	await_posts(1);
	notify_free(&notify);
	assert_string_equal(redis_fixture_text(&redis, "LINDEX davit:outbox:status:boat:" COMMIT " 0"), "1.1");
	/* the leases are over: that of the status, and that of the next event, which was being fanned out */
	redis_fixture_ask(&redis, "ZADD davit:outbox XX 1 status:boat:" COMMIT " 1 build:1");
	notify_begin();
	await_posts(4);
	await_empty_outbox();
	assert_states(states, 4);
}

static void
test_redis_may_go_and_come_back(void **state)
{
	(void)state;
	finished_build(JOB_PASSED);
	redis_fixture_kill(&redis);
	notify_begin();
	redis_fixture_restart(&redis);
	await_posts(3);
	await_empty_outbox();
}

static void
test_nobody_is_told_without_a_token(void **state)
{
	(void)state;
	put_repository("boat", "", "");
	finished_build(JOB_PASSED);
	notify_begin();
	await_empty_outbox();
	assert_int_equal(forge.count, 0);
	assert_int_equal(redis_fixture_int(&redis, "LLEN davit:outbox:dead"), 0);
}

static void
test_unknown_kinds_are_dropped(void **state)
{
	(void)state;
	finished_build(JOB_PASSED);
	redis_fixture_ask(&redis, "HSET davit:notice:1 kind pigeon");
	notify_begin();
	await_empty_outbox();
	assert_int_equal(redis_fixture_int(&redis, "LLEN davit:outbox:dead"), 1);
	assert_int_equal(forge.count, 2);
}

/* --- mail --- */

#define GOOD_SESSION \
	"220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 taken\r\n", "221 bye\r\n"

static struct smtp_script script;
static struct smtpc_conf smtp;

static void
mail_begin(struct peer *peer, const char *const *says, unsigned sessions)
{
	memset(&script, 0, sizeof(script));
	script.says = says;
	script.sessions = sessions;
	peer_start(peer, PEER_TCP, smtp_peer_serve, &script);
	smtp = (struct smtpc_conf){ .host = "127.0.0.1", .port = peer->port };
	conf.smtp = &smtp;
	conf.mail_from = "davit@ci.example.com";
	conf.parallel = 1; /* the script takes one connection after the other */
	notify_begin();
}

static void
mail_end(struct peer *peer)
{
	notify_free(&notify);
	event_base_loop(loop_base(f.loop), EVLOOP_NONBLOCK);
	peer_stop(peer);
}

static void
assert_heard(const char *text)
{
	if (strstr(script.heard, text) == NULL)
		fail_msg("\"%s\" is not in:\n%s", text, script.heard);
}

static void
test_failure_is_mailed_to_all_who_asked(void **state)
{
	static const char *const says[] = { GOOD_SESSION, NULL };
	struct peer peer;

	(void)state;
	put_repository("boat", "", "ada@example.com, dev@example.org");
	mail_begin(&peer, says, 2);
	finished_build(JOB_FAILED);
	await_empty_outbox();
	mail_end(&peer);
	assert_heard("RCPT TO:<ada@example.com>");
	assert_heard("RCPT TO:<dev@example.org>"); /* the fixture's plan names it as well: once */
	assert_heard("Subject: [acme/boat] main failed (build 1): Fix the pump\r\n");
	assert_heard("Message-ID: <davit.3.1@ci.example.com>\r\n");
	assert_heard("Message-ID: <davit.3.2@ci.example.com>\r\n");
	assert_heard("List-Id: <boat.davit.ci.example.com>\r\n");
	assert_heard("  1.1 test: failed, exit code 1, exit code 1\r\n");
	assert_heard("https://ci.example.com/builds/1\r\n");
	assert_int_equal(redis_fixture_int(&redis, "LLEN davit:outbox:dead"), 0);
}

static void
test_mail_is_tried_again_and_given_up(void **state)
{
	static const char *const later[] = { "220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "450 greylisted\r\n",
		"221 bye\r\n", NULL };
	static const char *const never[] = { "220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "550 no such user\r\n",
		"221 bye\r\n", NULL };
	struct peer peer;

	(void)state;
	put_repository("boat", "", "");
	mail_begin(&peer, later, 2);
	finished_build(JOB_FAILED);
	AWAIT_INT(2, "HGET davit:notice:3.1 attempts");
	mail_end(&peer);
	redis_fixture_ask(&redis, "ZADD davit:outbox XX 1 mail:dev@example.org");
	mail_begin(&peer, never, 1);
	await_empty_outbox();
	mail_end(&peer);
	assert_int_equal(redis_fixture_int(&redis, "LLEN davit:outbox:dead"), 1);
	assert_non_null(strstr(redis_fixture_text(&redis, "HGET davit:notice:3.1 last_error"), "550 no such user"));
}

/* A dead mail server is no reason for a forge to wait, and the other way round. */
static void
test_targets_do_not_wait_for_each_other(void **state)
{
	static const char *const silent[] = { "220-", NULL };
	struct peer peer;

	(void)state;
	memset(&script, 0, sizeof(script));
	script.says = silent;
	peer_start(&peer, PEER_TCP, smtp_peer_serve, &script);
	smtp = (struct smtpc_conf){ .host = "127.0.0.1", .port = peer.port };
	conf.smtp = &smtp;
	conf.mail_from = "davit@ci.example.com";
	notify_begin();
	finished_build(JOB_FAILED);
	await_posts(3);
	assert_post(2, "state", "failure");
	assert_int_equal(redis_fixture_int(&redis, "LLEN davit:outbox:mail:dev@example.org"), 1);
	mail_end(&peer);
}

/* A fork's pipeline file must not make this server write to whom it likes. */
static void
test_fork_names_no_recipients(void **state)
{
	(void)state;
	put_repository("boat", "", "");
	smtp = (struct smtpc_conf){ .host = "127.0.0.1", .port = 1 };
	conf.smtp = &smtp;
	conf.mail_from = "davit@ci.example.com";
	finished_build(JOB_FAILED);
	redis_fixture_ask(&redis, "HSET davit:change:1 trust fork");
	notify_begin();
	await_empty_outbox();
	assert_int_equal(redis_fixture_int(&redis, "LLEN davit:outbox:dead"), 0);
}

static void
test_bad_sender_is_refused_at_the_start(void **state)
{
	struct err err;

	(void)state;
	smtp = (struct smtpc_conf){ .host = "127.0.0.1", .port = 25 };
	conf.smtp = &smtp;
	conf.mail_from = "Davit <davit@ci.example.com>";
	assert_null(notify_new(f.loop, f.store, NULL, &conf, &err));
	assert_int_equal(err.code, ERR_INPUT);
	conf.mail_from = "davit@ci.example.com";
	conf.forge_ca = "/nonexistent";
	assert_null(notify_new(f.loop, f.store, NULL, &conf, &err));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_statuses_come_in_order),
		TEST(test_statuses_follow_as_they_happen),
		TEST(test_outage_delays_and_keeps_the_order),
		TEST(test_server_errors_are_tried_again_before_the_next),
		TEST(test_forge_may_ask_for_time),
		TEST(test_forge_that_hangs_is_left),
		TEST(test_refused_ones_are_dropped_and_shown),
		TEST(test_too_old_ones_are_dropped),
		TEST(test_death_before_the_ack_sends_again),
		TEST(test_redis_may_go_and_come_back),
		TEST(test_nobody_is_told_without_a_token),
		TEST(test_unknown_kinds_are_dropped),
		TEST(test_failure_is_mailed_to_all_who_asked),
		TEST(test_mail_is_tried_again_and_given_up),
		TEST(test_targets_do_not_wait_for_each_other),
		TEST(test_fork_names_no_recipients),
		TEST(test_bad_sender_is_refused_at_the_start),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
