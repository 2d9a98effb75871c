/* Both sides of a handover. The new process is a shell here that says the words, the older one is this program. */
#include "test/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/core/inherited.h"
#include "server/core/loop.h"
#include "server/handover.h"
#include "server/takeover.h"

#define LINE_FD 3
#define PATIENCE_MS 20000

struct probe {
	struct loop *loop;
	struct timer *patience;
	struct handover *handover;
	struct takeover *takeover;
	int done;
	struct err err;
	char told[64]; /* of takeover's events */
	int pipe[2];   /* what the new process has to say to the test */
};

static void
on_patience(void *arg)
{
	(void)arg;
	fail_msg("nothing came");
}

static int
setup(void **state)
{
	static struct probe p;

	if (fcntl(LINE_FD, F_GETFD) < 0) /* the loop shall not have it */
		assert_int_equal(dup2(STDERR_FILENO, LINE_FD), LINE_FD);
	p = (struct probe){ .loop = loop_new() };
	p.patience = timer_new(p.loop, on_patience, &p);
	timer_start(p.patience, PATIENCE_MS);
	assert_int_equal(pipe2(p.pipe, O_CLOEXEC), 0);
	*state = &p;
	return 0;
}

static int
teardown(void **state)
{
	struct probe *p = *state;

	handover_free(&p->handover);
	takeover_free(&p->takeover);
	close(p->pipe[0]);
	close(p->pipe[1]);
	timer_free(&p->patience);
	loop_free(&p->loop);
	return 0;
}

/* --- the older side --- */

static void
on_done(void *arg, const struct err *err)
{
	struct probe *p = arg;

	p->done++;
	p->err = err == NULL ? ERR_OK : *err;
	if (err != NULL)
		p->handover = NULL;
	loop_stop(p->loop);
}

/* descriptor 3 is the line, 4 the pipe to the test. */
static void
hand_over(struct probe *p, const char *script, int64_t timeout_ms)
{
	const char *argv[] = { "davitd", "-c", script, NULL };
	struct handover_conf conf = { .program = "/bin/sh", .argv = argv, .timeout_ms = timeout_ms };
	struct handover_fd fd = { "report", p->pipe[1] };

	p->handover = handover_start(p->loop, &conf, &fd, 1, on_done, p);
	assert_int_equal(p->done, 0); /* never before it returns */
	loop_run(p->loop);
	assert_int_equal(p->done, 1);
}

static void
assert_report(struct probe *p, const char *wanted)
{
	char text[128] = "";
	ssize_t len = read(p->pipe[0], text, strlen(wanted));

	assert_int_equal(len, (ssize_t)strlen(wanted));
	assert_string_equal(text, wanted);
}

static void
test_the_new_one_is_ready(void **state)
{
	struct probe *p = *state;

	setenv("DAVIT_TEST_KEPT", "kept", 1);
	hand_over(p,
	    "echo $0 $DAVIT_HANDOVER $DAVIT_TEST_KEPT >&4; echo ready >&3; read word <&3; echo $word >&4; read x <&3 "
	    "|| echo end >&4",
	    0);
	assert_int_equal(p->err.code, ERR_NONE);
	assert_report(p, "davitd line:report kept\n");
	handover_go(p->handover);
	assert_report(p, "go\n");
	handover_free(&p->handover); /* it lives on, and hears of our end */
	assert_report(p, "end\n");
}

static void
test_the_new_one_is_ended_when_it_is_not_let_in(void **state)
{
	struct probe *p = *state;
	char c;

	hand_over(p, "echo ready >&3; read word <&3; echo $word >&4", 0);
	handover_free(&p->handover);
	close(p->pipe[1]);
	p->pipe[1] = -1;
	assert_int_equal(read(p->pipe[0], &c, 1), 0); /* nobody holds the other end any more */
}

static void
test_the_new_one_fails(void **state)
{
	struct probe *p = *state;

	hand_over(p, "exit 3", 0);
	assert_int_equal(p->err.code, ERR_REFUSED);
	assert_int_equal(p->err.detail, 3);
	assert_non_null(strstr(p->err.text, "exit code 3"));
}

static void
test_the_new_one_is_killed(void **state)
{
	struct probe *p = *state;

	hand_over(p, "echo rea >&3; kill -9 $$", 0); /* half a word is none */
	assert_int_equal(p->err.code, ERR_REFUSED);
	assert_non_null(strstr(p->err.text, "signal 9"));
}

static void
test_the_new_one_says_nothing(void **state)
{
	struct probe *p = *state;
	char c;

	hand_over(p, "read word <&3", 100);
	assert_int_equal(p->err.code, ERR_TIMEOUT);
	close(p->pipe[1]);
	p->pipe[1] = -1;
	assert_int_equal(read(p->pipe[0], &c, 1), 0); /* it has been ended */
}

static void
test_there_is_no_program(void **state)
{
	struct probe *p = *state;
	const char *argv[] = { "davitd", NULL };
	struct handover_conf conf = { .program = "/nowhere/davitd", .argv = argv };

	p->handover = handover_start(p->loop, &conf, NULL, 0, on_done, p);
	assert_int_equal(p->done, 0);
	loop_run(p->loop);
	assert_int_equal(p->err.code, ERR_IO);
}

/* --- the newer side --- */

static void
tell(struct probe *p, const char *what)
{
	strcat(p->told, what);
	loop_stop(p->loop);
}

static void
on_go(void *arg)
{
	tell(arg, "go ");
}

static void
on_ended(void *arg)
{
	struct probe *p = arg;

	takeover_free(&p->takeover);
	tell(p, "ended ");
}

static void
on_lost(void *arg)
{
	struct probe *p = arg;

	takeover_free(&p->takeover);
	tell(p, "lost ");
}

static const struct takeover_events events = { on_go, on_ended, on_lost };

/* The older side's end of the line. */
static int
take_over(struct probe *p)
{
	struct inherited *in;
	int pair[2], older;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	older = fcntl(pair[0], F_DUPFD_CLOEXEC, 16); /* out of the way */
	assert_int_equal(dup2(pair[1], LINE_FD), LINE_FD);
	for (int i = 0; i < 2; i++)
		if (pair[i] != LINE_FD)
			close(pair[i]);
	setenv("DAVIT_HANDOVER", "line", 1);
	in = inherited_new();
	assert_null(getenv("DAVIT_HANDOVER"));
	p->takeover = takeover_new(p->loop, in, &events, p);
	assert_non_null(p->takeover);
	inherited_free(&in);
	return older;
}

static void
assert_ready(int older)
{
	char text[16] = "";

	assert_int_equal(read(older, text, sizeof(text) - 1), 6);
	assert_string_equal(text, "ready\n");
}

static void
say_go(int older)
{
	assert_int_equal(write(older, "go\n", 3), 3);
}

static void
test_no_older_one(void **state)
{
	struct probe *p = *state;
	struct inherited *in = inherited_new();

	assert_null(takeover_new(p->loop, in, &events, p));
	inherited_free(&in);
}

static void
test_taken_over(void **state)
{
	struct probe *p = *state;
	int older = take_over(p);

	takeover_ready(p->takeover);
	takeover_ready(p->takeover); /* Redis was away in between */
	assert_ready(older);
	say_go(older);
	loop_run(p->loop);
	assert_string_equal(p->told, "go ");
	close(older);
	loop_run(p->loop);
	assert_string_equal(p->told, "go ended ");
}

/* Both words before the loop has turned. */
static void
test_taken_over_at_once(void **state)
{
	struct probe *p = *state;
	int older = take_over(p);

	takeover_ready(p->takeover);
	say_go(older);
	close(older);
	loop_run(p->loop);
	loop_run(p->loop);
	assert_string_equal(p->told, "go ended ");
}

static void
test_the_older_one_dies(void **state)
{
	struct probe *p = *state;

	close(take_over(p));
	loop_run(p->loop);
	assert_string_equal(p->told, "lost ");
	p->told[0] = '\0';
	int older = take_over(p);
	takeover_ready(p->takeover);
	assert_ready(older);
	close(older);
	loop_run(p->loop);
	assert_string_equal(p->told, "lost ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_new_one_is_ready),
		TEST(test_the_new_one_is_ended_when_it_is_not_let_in),
		TEST(test_the_new_one_fails),
		TEST(test_the_new_one_is_killed),
		TEST(test_the_new_one_says_nothing),
		TEST(test_there_is_no_program),
		TEST(test_no_older_one),
		TEST(test_taken_over),
		TEST(test_taken_over_at_once),
		TEST(test_the_older_one_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
