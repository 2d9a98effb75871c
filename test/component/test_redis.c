#include "test/unit/unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/loop.h"
#include "server/io/redis.h"
#include "test/component/peer.h"
#include "test/component/redis_fixture.h"

/* --- one client, and what it was told --- */

struct client {
	struct loop *loop;
	struct redis *redis;
	struct redis_watch *watch;
	struct redis_op *op;
	bool up, await_down;
	struct err why; /* when down */
	unsigned answers, awaited, unavailable;
	struct err err;
	char text[256];
	size_t text_len;
	int64_t number;
	size_t count;
	char messages[256];
};

static void
on_state(void *arg, bool up, const struct err *err)
{
	struct client *c = arg;

	c->up = up;
	if (!up)
		c->why = *err;
	loop_stop(c->loop);
}

static void
on_reply(void *arg, const struct redis_reply *reply, const struct err *err)
{
	struct client *c = arg;
	struct str text = redis_reply_str(reply);

	c->op = NULL;
	c->answers++;
	c->unavailable += err != NULL && err->code == ERR_UNAVAILABLE;
	c->err = err == NULL ? ERR_OK : *err;
	c->text_len = text.len < sizeof(c->text) ? text.len : sizeof(c->text) - 1;
	memcpy(c->text, text.p, c->text_len);
	c->text[c->text_len] = '\0';
	c->number = redis_reply_int(reply, -7);
	c->count = redis_reply_count(reply);
	if (c->answers >= c->awaited)
		loop_stop(c->loop);
}

static void
client_start(struct client *c, const struct redis_conf *conf)
{
	*c = (struct client){ .loop = loop_new() };
	c->redis = redis_new(c->loop, conf);
	c->watch = redis_watch(c->redis, on_state, c);
}

static void
client_stop(struct client *c)
{
	redis_cancel(&c->op);
	redis_unwatch(&c->watch);
	redis_free(&c->redis);
	loop_free(&c->loop);
}

static void
await_up(struct client *c)
{
	while (!c->up)
		loop_run(c->loop);
}

/* Until it is down with this error. */
static void
await_why(struct client *c, enum err_code code, const char *text)
{
	while (c->up || c->why.code != code || strstr(c->why.text, text) == NULL)
		loop_run(c->loop);
}

/* One command, split at blanks; runs the loop until its answer. */
static enum err_code
ask(struct client *c, const char *line)
{
	struct str rest = str_of(line), argv[8];
	size_t argc = 0;

	while (rest.len > 0)
		argv[argc++] = str_cut(&rest, ' ');
	c->answers = 0;
	c->awaited = 1;
	c->op = redis_command(c->redis, argc, argv, 1000, on_reply, c);
	while (c->answers == 0)
		loop_run(c->loop);
	return c->err.code;
}

/* --- with a real Redis --- */

static struct redis_fixture server;

static int
server_start(void **state)
{
	(void)state;
	redis_fixture_start(&server, NULL);
	return 0;
}

static int
server_stop(void **state)
{
	(void)state;
	redis_fixture_stop(&server);
	return 0;
}

static void
test_replies_of_every_type(void **state)
{
	struct client c;

	(void)state;
	client_start(&c, &(struct redis_conf){ .path = server.path });
	assert_int_equal(ask(&c, "PING"), ERR_UNAVAILABLE); /* not connected yet */
	await_up(&c);
	assert_int_equal(ask(&c, "SET k 41"), ERR_NONE);
	assert_string_equal(c.text, "OK");
	assert_int_equal(ask(&c, "GET k"), ERR_NONE);
	assert_string_equal(c.text, "41");
	assert_int_equal(c.number, 41);
	assert_int_equal(ask(&c, "INCR k"), ERR_NONE);
	assert_int_equal(c.number, 42);
	assert_int_equal(ask(&c, "GET none"), ERR_NONE);
	assert_int_equal(c.number, -7);
	assert_int_equal(ask(&c, "MGET k none k"), ERR_NONE);
	assert_int_equal(c.count, 3);
	assert_int_equal(ask(&c, "LPUSH k x"), ERR_REFUSED);
	assert_non_null(strstr(c.err.text, "WRONGTYPE"));
	assert_int_equal(ask(&c, "NO SUCH THING"), ERR_REFUSED);
	client_stop(&c);
}

static void
test_arguments_are_bytes(void **state)
{
	static const char bytes[] = "a\0b\r\n$5 %s *2\r\n";
	struct client c;
	struct str argv[] = { STR("SET"), STR("bin"), { bytes, sizeof(bytes) - 1 } };

	(void)state;
	client_start(&c, &(struct redis_conf){ .path = server.path });
	await_up(&c);
	c.awaited = 2;
	redis_command(c.redis, 3, argv, 1000, on_reply, &c);
	redis_command(c.redis, 3, (struct str[]){ STR("SET"), STR("empty"), { NULL, 0 } }, 1000, on_reply, &c);
	loop_run(c.loop);
	assert_int_equal(ask(&c, "GET bin"), ERR_NONE);
	assert_int_equal(c.text_len, sizeof(bytes) - 1);
	assert_memory_equal(c.text, bytes, sizeof(bytes) - 1);
	assert_int_equal(ask(&c, "STRLEN empty"), ERR_NONE);
	assert_int_equal(c.number, 0);
	client_stop(&c);
}

static void
test_unsafe_persistence_is_refused(void **state)
{
	struct client c;

	(void)state;
	redis_fixture_ask(&server, "CONFIG SET appendfsync everysec");
	client_start(&c, &(struct redis_conf){ .path = server.path });
	await_why(&c, ERR_UNAVAILABLE, "\"appendfsync\" is set to \"everysec\"");
	assert_int_equal(ask(&c, "PING"), ERR_UNAVAILABLE);
	client_stop(&c);

	client_start(&c, &(struct redis_conf){ .path = server.path, .allow_weak_persistence = true });
	await_up(&c);
	client_stop(&c);

	client_start(&c, &(struct redis_conf){ .path = server.path });
	await_why(&c, ERR_UNAVAILABLE, "everysec");
	redis_fixture_ask(&server, "CONFIG SET appendfsync always");
	await_up(&c); /* it looks again */
	client_stop(&c);
}

static void
test_user_password_and_database(void **state)
{
	struct client c;

	(void)state;
	redis_fixture_ask(&server, "ACL SETUSER davit on >secret ~davit:* &davit:* +@all -@dangerous +config|get");
	client_start(&c, &(struct redis_conf){ .path = server.path, .user = "davit", .password = "wrong" });
	await_why(&c, ERR_AUTH, "WRONGPASS");
	assert_null(strstr(c.why.text, "wrong"));
	client_stop(&c);
	client_start(&c, &(struct redis_conf){ .path = server.path, .user = "davit", .password = "secret", .db = 3 });
	await_up(&c);
	assert_int_equal(ask(&c, "SET davit:x 1"), ERR_NONE);
	assert_int_equal(ask(&c, "SET other 1"), ERR_AUTH);
	assert_int_equal(ask(&c, "FLUSHALL"), ERR_AUTH);
	client_stop(&c);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:x"), 0); /* it is in database 3 */
}

static void
on_message(void *arg, struct str message)
{
	struct client *c = arg;

	assert_int_equal(message.p[message.len], '\0');
	strcat(strcat(c->messages, message.p), "\n");
	loop_stop(c->loop);
}

static void
test_subscription_survives_a_lost_connection(void **state)
{
	struct client c;

	(void)state;
	client_start(&c, &(struct redis_conf){ .path = server.path });
	redis_subscribe(c.redis, "davit:test", on_message, &c);
	await_up(&c);
	redis_fixture_ask(&server, "PUBLISH davit:test first");
	loop_run(c.loop);
	redis_fixture_ask(&server, "CLIENT KILL TYPE pubsub");
	await_why(&c, ERR_UNAVAILABLE, "closed the connection");
	assert_int_equal(ask(&c, "PING"), ERR_NONE); /* the other connection stands */
	await_up(&c);
	redis_fixture_ask(&server, "PUBLISH davit:test %s", "second one");
	loop_run(c.loop);
	assert_string_equal(c.messages, "first\nsecond one\n");
	redis_unsubscribe(c.redis);
	redis_fixture_ask(&server, "PUBLISH davit:test third");
	assert_int_equal(ask(&c, "PING"), ERR_NONE);
	assert_string_equal(c.messages, "first\nsecond one\n");
	client_stop(&c);
}

static void
test_script_is_loaded_when_redis_does_not_know_it(void **state)
{
	static const struct redis_script join = {
		.name = "join",
		.text = "return ARGV[1]..ARGV[2]",
		.sha = "fda31549260efe9f06a52f2a17835a56157082e7",
	};
	static const struct redis_script broken = { .name = "broken", .text = "return (", .sha = "00" };
	const struct str words[] = { STR("a b"), STR("\r\n") };
	const struct redis_args args = { NULL, 0, words, 2 }, none = { 0 };
	struct client c;

	(void)state;
	client_start(&c, &(struct redis_conf){ .path = server.path });
	await_up(&c);
	for (int round = 0; round < 2; round++) {
		redis_fixture_ask(&server, "SCRIPT FLUSH");
		c.answers = 0;
		c.awaited = 3; /* in one pipeline, all before it is loaded */
		for (int i = 0; i < 3; i++)
			redis_script(c.redis, &join, &args, 1000, on_reply, &c);
		loop_run(c.loop);
		assert_int_equal(c.answers, 3);
		assert_int_equal(c.err.code, ERR_NONE);
		assert_string_equal(c.text, "a b\r\n");
	}
	c.answers = 0;
	c.awaited = 1;
	redis_script(c.redis, &broken, &none, 1000, on_reply, &c);
	loop_run(c.loop);
	assert_int_equal(c.err.code, ERR_NOT_FOUND);
	client_stop(&c);
}

static void
test_cancelled_commands_do_not_shift_the_answers(void **state)
{
	struct client c, forgotten = { 0 };
	struct redis_op *first, *third;

	(void)state;
	client_start(&c, &(struct redis_conf){ .path = server.path });
	await_up(&c);
	c.awaited = 1;
	first = redis_command(c.redis, 2, (struct str[]){ STR("ECHO"), STR("first") }, 1000, on_reply, &forgotten);
	redis_command(c.redis, 2, (struct str[]){ STR("ECHO"), STR("second") }, 1000, on_reply, &c);
	third = redis_command(c.redis, 2, (struct str[]){ STR("ECHO"), STR("third") }, 1000, on_reply, &forgotten);
	redis_cancel(&first);
	redis_cancel(&third);
	redis_cancel(&third);
	loop_run(c.loop);
	assert_string_equal(c.text, "second");
	assert_int_equal(ask(&c, "ECHO fourth"), ERR_NONE);
	assert_string_equal(c.text, "fourth");
	assert_int_equal(forgotten.answers, 0);
	client_stop(&c);
}

static void
test_commands_in_flight_are_bounded(void **state)
{
	struct client c;

	(void)state;
	client_start(&c, &(struct redis_conf){ .path = server.path, .max_in_flight = 3 });
	await_up(&c);
	c.awaited = 4;
	for (int i = 0; i < 4; i++)
		redis_command(c.redis, 1, (struct str[]){ STR("PING") }, 1000, on_reply, &c);
	loop_run(c.loop);
	assert_int_equal(c.answers, 4);
	assert_int_equal(c.unavailable, 1);
	assert_int_equal(ask(&c, "PING"), ERR_NONE);
	client_stop(&c);
}

static void
on_reply_frees(void *arg, const struct redis_reply *reply, const struct err *err)
{
	struct client *c = arg;

	assert_null(err);
	assert_string_equal(redis_reply_str(reply).p, "PONG");
	redis_unwatch(&c->watch);
	redis_free(&c->redis);
	loop_stop(c->loop);
}

static void
test_callback_may_free_the_client(void **state)
{
	struct client c;

	(void)state;
	client_start(&c, &(struct redis_conf){ .path = server.path });
	await_up(&c);
	redis_command(c.redis, 1, (struct str[]){ STR("PING") }, 1000, on_reply_frees, &c);
	loop_run(c.loop);
	assert_null(c.redis);
	client_stop(&c);
}

static void
test_kill_ends_what_is_in_flight(void **state)
{
	struct client c;

	(void)state;
	client_start(&c, &(struct redis_conf){ .path = server.path });
	await_up(&c);
	c.awaited = 100;
	for (int i = 0; i < 100; i++)
		redis_command(c.redis, 2, (struct str[]){ STR("BLPOP"), STR("x") }, 5000, on_reply, &c);
	c.answers = 0;
	kill(server.pid, SIGSTOP);
	redis_fixture_kill(&server);
	while (c.answers < 100)
		loop_run(c.loop);
	assert_int_equal(c.err.code, ERR_UNAVAILABLE);
	redis_fixture_restart(&server);
	await_up(&c);
	assert_int_equal(ask(&c, "PING"), ERR_NONE);
	client_stop(&c);
}

static void
test_address_by_name_and_number(void **state)
{
	struct client c;

	(void)state;
	client_start(&c, &(struct redis_conf){ .host = "127.0.0.1", .port = 1 }); /* nobody listens there */
	await_why(&c, ERR_UNAVAILABLE, "Connection refused");
	client_stop(&c);
	client_start(&c, &(struct redis_conf){ .path = "/nonexistent/redis.sock" });
	await_why(&c, ERR_UNAVAILABLE, "No such file or directory");
	client_stop(&c);
}

/* --- with a hostile peer --- */

static bool
read_ping(int fd)
{
	char command[14];

	return peer_read(fd, command, sizeof(command)) && memcmp(command, "*1\r\n$4\r\nPING\r\n", 14) == 0;
}

/* Answers each PING with the next piece; a NULL ends the connection, a second one the script. */
static void
play(struct peer *p)
{
	const char *const *piece = p->arg;

	while (*piece != NULL) {
		int fd = peer_accept(p);

		for (; *piece != NULL; piece++)
			if (read_ping(fd))
				peer_puts(fd, *piece);
		piece++;
		close(fd);
	}
}

static void
test_answers_to_the_login(void **state)
{
	static const struct {
		const char *answer;
		enum err_code code;
		const char *text;
	} rows[] = {
		{ "garbage\r\n", ERR_PROTO, "Protocol error" },
		{ "", ERR_UNAVAILABLE, "closed the connection" },
		{ "+PO", ERR_UNAVAILABLE, "closed the connection" },
		{ "$9\r\nPON", ERR_UNAVAILABLE, "closed the connection" },
		{ "+PONG\r\n+PONG\r\n", ERR_PROTO, "nobody asked for" },
		{ "*2000000\r\n", ERR_PROTO, "memory" },
		{ "$99999999999999999999\r\n", ERR_PROTO, "Bad bulk string length" },
		{ "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n+x\r\n", ERR_PROTO, "nested" },
		{ "-LOADING Redis is loading the dataset in memory\r\n", ERR_UNAVAILABLE, "LOADING" },
		{ "-NOAUTH Authentication required.\r\n", ERR_AUTH, "NOAUTH" },
		{ "-ERR max number of clients reached\r\n", ERR_REFUSED, "max number of clients" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *pieces[] = { rows[i].answer, NULL, NULL };
		struct client c;
		struct peer peer;

		peer_start(&peer, PEER_UNIX, play, pieces);
		client_start(&c, &(struct redis_conf){ .path = peer.path, .allow_weak_persistence = true });
		loop_run(c.loop); /* until the first change of state */
		assert_int_equal(c.why.code, rows[i].code);
		if (strstr(c.why.text, rows[i].text) == NULL)
			fail_msg("%s: %s", rows[i].text, c.why.text);
		client_stop(&c);
		peer_stop(&peer);
	}
}

static void
test_loading_redis_is_waited_for_by_name(void **state)
{
	static const char *const pieces[] = { "-LOADING soon\r\n", NULL, "-LOADING soon\r\n", NULL, "+PONG\r\n",
		"+PONG\r\n", NULL, NULL };
	struct client c;
	struct peer peer;

	(void)state;
	peer_start(&peer, PEER_TCP, play, (void *)pieces);
	client_start(
	    &c, &(struct redis_conf){ .host = "localhost", .port = peer.port, .allow_weak_persistence = true });
	await_why(&c, ERR_UNAVAILABLE, "LOADING");
	await_up(&c);
	assert_int_equal(ask(&c, "PING"), ERR_NONE);
	await_why(&c, ERR_UNAVAILABLE, "");
	client_stop(&c);
	peer_stop(&peer);
}

static void
test_error_replies_have_codes(void **state)
{
	static const enum err_code codes[] = { ERR_UNAVAILABLE, ERR_UNAVAILABLE, ERR_UNAVAILABLE, ERR_UNAVAILABLE,
		ERR_UNAVAILABLE, ERR_AUTH, ERR_AUTH, ERR_REFUSED };
	static const char *const pieces[] = { "+PONG\r\n", "-LOADING x\r\n", "-BUSY x\r\n",
		"-MISCONF No space left\r\n", "-OOM x\r\n", "-READONLY x\r\n", "-NOAUTH x\r\n", "-NOPERM x\r\n",
		"-OOMPH x\r\n", NULL, NULL };
	struct client c;
	struct peer peer;

	(void)state;
	peer_start(&peer, PEER_UNIX, play, (void *)pieces);
	client_start(&c, &(struct redis_conf){ .path = peer.path, .allow_weak_persistence = true });
	await_up(&c);
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		assert_int_equal(ask(&c, "PING"), codes[i]);
	client_stop(&c);
	peer_stop(&peer);
}

static void
test_answer_cut_short(void **state)
{
	static const char *const pieces[] = { "+PONG\r\n", "$100\r\nonly this", NULL, NULL };
	struct client c;
	struct peer peer;

	(void)state;
	peer_start(&peer, PEER_UNIX, play, (void *)pieces);
	client_start(&c, &(struct redis_conf){ .path = peer.path, .allow_weak_persistence = true });
	await_up(&c);
	assert_int_equal(ask(&c, "PING"), ERR_UNAVAILABLE);
	assert_false(c.up);
	client_stop(&c);
	peer_stop(&peer);
}

/* Answers the login and then keeps silent until it is told to end. */
static void
play_silence(struct peer *p)
{
	int fd = peer_accept(p);

	if (read_ping(fd))
		peer_puts(fd, "+PONG\r\n");
	peer_wait(p);
	close(fd);
}

static void
test_silence_ends_by_deadline_and_the_others_at_once(void **state)
{
	struct client c;
	struct peer peer;
	int64_t before;

	(void)state;
	peer_start(&peer, PEER_UNIX, play_silence, NULL);
	client_start(&c, &(struct redis_conf){ .path = peer.path, .allow_weak_persistence = true });
	await_up(&c);
	before = loop_mono_ms();
	c.awaited = 3;
	redis_command(c.redis, 1, (struct str[]){ STR("PING") }, 100, on_reply, &c);
	redis_command(c.redis, 1, (struct str[]){ STR("PING") }, 60000, on_reply, &c);
	redis_command(c.redis, 1, (struct str[]){ STR("PING") }, 60000, on_reply, &c);
	while (c.answers < 3)
		loop_run(c.loop);
	assert_int_equal(c.unavailable, 2);
	assert_true(loop_mono_ms() - before >= 95 && loop_mono_ms() - before < 5000);
	assert_false(c.up);
	assert_non_null(strstr(c.why.text, "does not answer"));
	client_stop(&c);
	peer_go(&peer);
	peer_stop(&peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies_of_every_type),
		cmocka_unit_test(test_arguments_are_bytes),
		cmocka_unit_test(test_unsafe_persistence_is_refused),
		cmocka_unit_test(test_user_password_and_database),
		cmocka_unit_test(test_subscription_survives_a_lost_connection),
		cmocka_unit_test(test_script_is_loaded_when_redis_does_not_know_it),
		cmocka_unit_test(test_cancelled_commands_do_not_shift_the_answers),
		cmocka_unit_test(test_commands_in_flight_are_bounded),
		cmocka_unit_test(test_callback_may_free_the_client),
		cmocka_unit_test(test_kill_ends_what_is_in_flight),
		cmocka_unit_test(test_address_by_name_and_number),
		cmocka_unit_test(test_answers_to_the_login),
		cmocka_unit_test(test_loading_redis_is_waited_for_by_name),
		cmocka_unit_test(test_error_replies_have_codes),
		cmocka_unit_test(test_answer_cut_short),
		cmocka_unit_test(test_silence_ends_by_deadline_and_the_others_at_once),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, server_start, server_stop);
}
