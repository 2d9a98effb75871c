#include "test/unit/unit.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/core/loop.h"
#include "server/io/smtpc.h"
#include "test/component/smtp_peer.h"

static struct tls_files files;

/* A client and what became of its mail. */
struct sender {
	struct loop *loop;
	struct smtpc *smtpc;
	struct smtpc_op *op;
	struct timer *guard;
	struct smtpc_conf conf;
	int64_t timeout_ms;
	int calls;
	size_t count;
	struct smtp_result results[3];
};

static void
on_guard(void *arg)
{
	(void)arg;
	fail_msg("the test hangs");
}

static void
on_sent(void *arg, const struct smtp_result *results, size_t count)
{
	struct sender *s = arg;

	s->op = NULL;
	s->calls++;
	s->count = count;
	for (size_t i = 0; i < count && i < 3; i++)
		s->results[i] = results[i];
	loop_stop(s->loop);
}

static void
sender_init(struct sender *s)
{
	*s = (struct sender){ .loop = loop_new(), .timeout_ms = 20000 };
	s->conf =
	    (struct smtpc_conf){ .host = "localhost", .certificates.ca_file = files.ca, .helo = "ci.example.com" };
	s->guard = timer_new(s->loop, on_guard, NULL);
	timer_start(s->guard, 30000);
}

static void
sender_fini(struct sender *s)
{
	assert_null(s->op);
	smtpc_free(&s->smtpc);
	timer_free(&s->guard);
	loop_free(&s->loop);
}

static void
start(struct sender *s, const char *const *to, size_t to_count)
{
	struct err err = ERR_OK;

	if (s->smtpc == NULL)
		s->smtpc = smtpc_new(s->loop, &s->conf, &err);
	if (s->smtpc == NULL)
		fail_msg("%s", err.text);
	s->op = smtpc_send(s->smtpc,
	    &(struct smtpc_message){
		"davit@example.com", to, to_count, STR("Subject: x\r\n\r\n.hello\r\n"), s->timeout_ms },
	    on_sent, s);
	assert_int_equal(s->calls, 0);
}

/* One mail to one recipient through a scripted server; the only result. */
static const struct smtp_result *
send_to(struct sender *s, struct smtp_script *script, const char *const *says)
{
	static const char *const ada[] = { "ada@example.com" };
	struct peer peer;

	memset(script, 0, sizeof(*script));
	script->says = says;
	script->files = &files;
	peer_start(&peer, PEER_TCP, smtp_peer_serve, script);
	s->conf.port = peer.port;
	smtpc_free(&s->smtpc);
	s->calls = 0;
	start(s, ada, 1);
	loop_run(s->loop);
	event_base_loop(loop_base(s->loop), EVLOOP_NONBLOCK); /* the closed stream's socket goes on a later turn */
	peer_stop(&peer);
	assert_int_equal(s->calls, 1);
	assert_int_equal(s->count, 1);
	return &s->results[0];
}

#define EHLO "EHLO ci.example.com\r\n"
#define ENVELOPE "MAIL FROM:<davit@example.com>\r\nRCPT TO:<ada@example.com>\r\nDATA\r\n"
#define MESSAGE "Subject: x\r\n\r\n..hello\r\n.\r\n"

static void
test_sends_in_clear(void **state)
{
	static const char *const says[] = { "220-hello\r\n220 there\r\n", "250-mx\r\n250 HELP\r\n", "250 ok\r\n",
		"250 ok\r\n", "354 go\r\n", "250 taken\r\n", "221 bye\r\n", NULL };
	struct sender s;
	struct smtp_script script;

	(void)state;
	sender_init(&s);
	assert_int_equal(send_to(&s, &script, says)->outcome, SMTP_SENT);
	assert_string_equal(script.heard, EHLO ENVELOPE MESSAGE "QUIT\r\n");
	sender_fini(&s);
}

static void
test_starttls_then_login(void **state)
{
	static const char *const says[] = { "220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "220 go\r\n", SMTP_TLS,
		"250-mx\r\n250 AUTH PLAIN\r\n", "235 ok\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 taken\r\n",
		"221 bye\r\n", NULL };
	struct sender s;
	struct smtp_script script;

	(void)state;
	sender_init(&s);
	s.conf.tls = SMTP_TLS_REQUIRED;
	s.conf.user = "a";
	s.conf.password = "b";
	assert_int_equal(send_to(&s, &script, says)->outcome, SMTP_SENT);
	assert_string_equal(
	    script.heard, EHLO "STARTTLS\r\n<TLS>" EHLO "AUTH PLAIN AGEAYg==\r\n" ENVELOPE MESSAGE "QUIT\r\n");
	sender_fini(&s);
}

static void
test_tls_from_the_start(void **state)
{
	static const char *const says[] = { SMTP_TLS, "220 mx\r\n", "250-mx\r\n250 AUTH LOGIN\r\n", "334 dXNlcg==\r\n",
		"334 cGFzcw==\r\n", "235 ok\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 taken\r\n", SMTP_CLOSE,
		NULL };
	struct sender s;
	struct smtp_script script;

	(void)state;
	sender_init(&s);
	s.conf.tls = SMTP_TLS_IMPLICIT;
	s.conf.user = "a";
	s.conf.password = "b";
	assert_int_equal(send_to(&s, &script, says)->outcome, SMTP_SENT); /* though it closed instead of a goodbye */
	assert_string_equal(script.heard, "<TLS>" EHLO "AUTH LOGIN\r\nYQ==\r\nYg==\r\n" ENVELOPE MESSAGE);
	sender_fini(&s);
}

static void
test_wrong_certificate_gets_nothing(void **state)
{
	static const char *const upgrade[] = { "220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "220 go\r\n", SMTP_TLS,
		NULL };
	static const char *const implicit[] = { SMTP_TLS, "220 mx\r\n", NULL };
	struct sender s;
	struct smtp_script script;
	const struct smtp_result *result;

	(void)state;
	for (int i = 0; i < 2; i++) {
		sender_init(&s);
		s.conf.tls = i == 0 ? SMTP_TLS_AUTO : SMTP_TLS_IMPLICIT;
		s.conf.certificates.ca_file = files.other_ca;
		result = send_to(&s, &script, i == 0 ? upgrade : implicit);
		assert_int_equal(result->outcome, SMTP_TEMPORARY);
		assert_non_null(strstr(result->err.text, "certificate"));
		assert_null(strstr(script.heard, "MAIL"));
		sender_fini(&s);
	}
}

static void
test_clear_text_injected_behind_starttls(void **state)
{
	static const char *const with_reply[] = { "220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n",
		"220 go\r\n250-mx\r\n250 AUTH PLAIN\r\n", SMTP_TLS, NULL };
	static const char *const eager[] = { "220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n", NULL };
	struct sender s;
	struct smtp_script script;
	const struct smtp_result *result;

	(void)state;
	sender_init(&s);
	s.conf.user = "a";
	s.conf.password = "b";
	result = send_to(&s, &script, with_reply);
	assert_int_equal(result->outcome, SMTP_TEMPORARY);
	assert_int_equal(result->err.code, ERR_PROTO);
	assert_null(strstr(script.heard, "AUTH"));
	result = send_to(&s, &script, eager);
	assert_int_equal(result->err.code, ERR_PROTO);
	assert_string_equal(script.heard, "");
	sender_fini(&s);
}

/* The server goes away, or falls silent, instead of each of its words. */
static void
test_lost_at_each_step(void **state)
{
	static const char *const good[] = { "220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n" };
	struct sender s;
	struct smtp_script script;

	(void)state;
	for (size_t silent = 0; silent < 2; silent++) {
		for (size_t step = 0; step <= 5; step++) {
			const char *says[8] = { NULL };
			const struct smtp_result *result;

			memcpy(says, good, step * sizeof(*says));
			says[step] = silent ? "250-" : SMTP_CLOSE;
			sender_init(&s);
			s.timeout_ms = silent ? 60 : 20000;
			result = send_to(&s, &script, says);
			assert_int_equal(result->outcome, SMTP_TEMPORARY);
			assert_int_equal(result->err.code, silent ? ERR_TIMEOUT : ERR_IO);
			sender_fini(&s);
		}
	}
}

static void
test_garbage_and_floods(void **state)
{
	static char flood[1024 * 1024];
	const char *const says[][2] = { { "HTTP/1.1 400 Bad Request\r\n\r\n", NULL }, { flood, NULL } };
	struct sender s;
	struct smtp_script script;
	const struct smtp_result *result;

	(void)state;
	memset(flood, '2', sizeof(flood) - 1);
	for (size_t i = 0; i < 2; i++) {
		sender_init(&s);
		result = send_to(&s, &script, says[i]);
		assert_int_equal(result->outcome, SMTP_TEMPORARY);
		assert_int_equal(result->err.code, i == 0 ? ERR_PROTO : ERR_LIMIT);
		sender_fini(&s);
	}
}

static void
test_server_that_never_says_goodbye(void **state)
{
	static const char *const says[] = { "220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n",
		"250 taken\r\n", NULL };
	struct sender s;
	struct smtp_script script;
	int64_t began = loop_mono_ms();

	(void)state;
	sender_init(&s);
	assert_int_equal(send_to(&s, &script, says)->outcome, SMTP_SENT);
	assert_in_range(loop_mono_ms() - began, 1900, 10000);
	sender_fini(&s);
}

static void
test_server_that_is_not_there(void **state)
{
	static const char *const ada[] = { "ada@example.com" };
	static const char *const says[] = { SMTP_CLOSE, NULL };
	struct sender s;
	struct smtp_script script;

	(void)state;
	sender_init(&s);
	send_to(&s, &script, says); /* now its port is free */
	s.calls = 0;
	start(&s, ada, 1);
	loop_run(s.loop);
	assert_int_equal(s.results[0].outcome, SMTP_TEMPORARY);
	assert_int_equal(s.results[0].err.code, ERR_IO);
	assert_non_null(strstr(s.results[0].err.text, "at connecting"));
	sender_fini(&s);
}

static void
test_bad_address_is_refused_from_the_loop(void **state)
{
	static const char *const to[] = { "ada@example.com", "x@y>\r\nRSET" };
	struct sender s;

	(void)state;
	sender_init(&s);
	s.conf.port = 25;
	start(&s, to, 2);
	loop_run(s.loop);
	assert_int_equal(s.calls, 1);
	assert_int_equal(s.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(s.results[i].outcome, SMTP_PERMANENT);
		assert_int_equal(s.results[i].err.code, ERR_INPUT);
	}
	sender_fini(&s);
}

struct pair {
	struct sender quick;
	struct smtpc *smtpc; /* to a server that says nothing */
	struct smtpc_op *slow;
	int calls;
};

static void
on_never(void *arg, const struct smtp_result *results, size_t count)
{
	(void)arg;
	(void)results;
	(void)count;
	fail_msg("called back after the cancel");
}

/* The quick one ends, and takes its sibling and itself along. */
static void
on_quick(void *arg, const struct smtp_result *results, size_t count)
{
	struct pair *pair = arg;

	(void)count;
	pair->quick.op = NULL;
	pair->calls++;
	assert_int_equal(results[0].outcome, SMTP_TEMPORARY);
	smtpc_cancel(&pair->slow);
	assert_null(pair->slow);
	smtpc_cancel(&pair->slow);
	smtpc_free(&pair->quick.smtpc);
	loop_stop(pair->quick.loop);
}

static void
test_cancelled_ops_do_not_call(void **state)
{
	static const char *const silent[] = { "220-", NULL };
	static const char *const rude[] = { "421 no\r\n", SMTP_CLOSE, NULL };
	static const char *const ada[] = { "ada@example.com" };
	static const char *const bad[] = { "" };
	const struct smtpc_message mail = { "davit@example.com", ada, 1, STR("x"), 20000 };
	const struct smtpc_message bad_mail = { "davit@example.com", bad, 1, STR("x"), 20000 };
	struct smtp_script scripts[2] = { { .says = silent }, { .says = rude } };
	struct peer peers[2];
	struct pair pair = { .calls = 0 };
	struct err err;

	(void)state;
	sender_init(&pair.quick);
	peer_start(&peers[0], PEER_TCP, smtp_peer_serve, &scripts[0]);
	peer_start(&peers[1], PEER_TCP, smtp_peer_serve, &scripts[1]);
	pair.quick.conf.port = peers[0].port;
	pair.smtpc = smtpc_new(pair.quick.loop, &pair.quick.conf, &err);
	pair.quick.conf.port = peers[1].port;
	pair.quick.smtpc = smtpc_new(pair.quick.loop, &pair.quick.conf, &err);
	pair.slow = smtpc_send(pair.smtpc, &bad_mail, on_never, &pair);
	smtpc_cancel(&pair.slow); /* before its failure is told */
	pair.slow = smtpc_send(pair.smtpc, &mail, on_never, &pair);
	pair.quick.op = smtpc_send(pair.quick.smtpc, &mail, on_quick, &pair);
	loop_run(pair.quick.loop);
	assert_int_equal(pair.calls, 1);
	smtpc_free(&pair.smtpc);
	event_base_loop(loop_base(pair.quick.loop), EVLOOP_NONBLOCK);
	peer_stop(&peers[0]);
	peer_stop(&peers[1]);
	sender_fini(&pair.quick);
}

static int
make_files(void **state)
{
	(void)state;
	tls_make_files(&files);
	return 0;
}

static int
remove_files(void **state)
{
	(void)state;
	tls_remove_files(&files);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sends_in_clear),
		cmocka_unit_test(test_starttls_then_login),
		cmocka_unit_test(test_tls_from_the_start),
		cmocka_unit_test(test_wrong_certificate_gets_nothing),
		cmocka_unit_test(test_clear_text_injected_behind_starttls),
		cmocka_unit_test(test_lost_at_each_step),
		cmocka_unit_test(test_garbage_and_floods),
		cmocka_unit_test(test_server_that_never_says_goodbye),
		cmocka_unit_test(test_server_that_is_not_there),
		cmocka_unit_test(test_bad_address_is_refused_from_the_loop),
		cmocka_unit_test(test_cancelled_ops_do_not_call),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
