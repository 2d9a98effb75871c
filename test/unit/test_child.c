#include "test/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/child.h"
#include "server/core/loop.h"

/* What a child's callbacks left behind. */
struct probe {
	struct loop *loop;
	struct children *children;
	struct child *child;
	struct timer *timer;
	int done;
	int exit_code;
	int signal;
	bool out_cut;
	struct err err;
	char out[4096];
	char errors[256];
	size_t streamed;
	bool cancel_in_output;
};

static void
on_done(void *arg, const struct child_result *result, const struct err *err)
{
	struct probe *p = arg;

	p->child = NULL;
	p->done++;
	p->exit_code = result->exit_code;
	p->signal = result->signal;
	p->out_cut = result->out_cut;
	p->err = err == NULL ? ERR_OK : *err;
	snprintf(p->out, sizeof(p->out), "%s", result->out.p);
	snprintf(p->errors, sizeof(p->errors), "%s", result->err.p);
	loop_stop(p->loop);
}

static void
on_output(void *arg, struct str bytes)
{
	struct probe *p = arg;
	size_t room = sizeof(p->out) - 1 - strlen(p->out);

	p->streamed += bytes.len;
	strncat(p->out, bytes.p, bytes.len < room ? bytes.len : room);
	if (p->cancel_in_output) {
		child_cancel(&p->child);
		loop_stop(p->loop);
	}
}

static int
setup(void **state)
{
	struct probe *p = xcalloc(1, sizeof(*p));

	p->loop = loop_new();
	p->children = children_new(p->loop);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct probe *p = *state;

	timer_free(&p->timer);
	children_free(&p->children);
	loop_free(&p->loop);
	free(p);
	return 0;
}

static struct child_spec
shell(const char *const *argv)
{
	return (struct child_spec){
		.argv = argv,
		.out = { .kind = CHILD_OUT_COLLECT, .max = 4000 },
		.err = { .kind = CHILD_OUT_COLLECT, .max = 200 },
		.timeout_ms = 20000,
	};
}

static void
run(struct probe *p, const struct child_spec *spec)
{
	p->child = child_start(p->children, spec, on_done, p);
	assert_int_equal(p->done, 0);
	loop_run(p->loop);
}

static void
test_output_and_exit_code(void **state)
{
	struct probe *p = *state;
	const char *const argv[] = { "sh", "-c", "echo out; echo err >&2; exit 3", NULL };
	struct child_spec spec = shell(argv);

	run(p, &spec);
	assert_int_equal(p->done, 1);
	assert_int_equal(p->exit_code, 3);
	assert_int_equal(p->err.code, ERR_REFUSED);
	assert_int_equal(p->err.detail, 3);
	assert_string_equal(p->err.text, "sh ended with exit code 3");
	assert_string_equal(p->out, "out\n");
	assert_string_equal(p->errors, "err\n");
	assert_int_equal(children_count(p->children), 0);
}

static void
test_environment_is_what_was_given(void **state)
{
	struct probe *p = *state;
	const char *const argv[] = { "/usr/bin/env", NULL };
	const char *const env[] = { "ONLY=this", NULL };
	struct child_spec spec = shell(argv);

	setenv("DAVIT_TEST_SECRET", "x", 1);
	spec.env = env;
	run(p, &spec);
	assert_int_equal(p->err.code, ERR_NONE);
	assert_string_equal(p->out, "ONLY=this\n");
}

static void
test_no_descriptor_leaks(void **state)
{
	struct probe *p = *state;
	const char *const argv[] = { "sh", "-c", "[ -e /proc/$$/fd/$FD ] && echo leaked; [ -e /proc/$$/fd/2 ] && pwd",
		NULL };
	struct child_spec spec = shell(argv);
	int open_one = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
	char number[16];
	const char *const env[] = { number, NULL };

	snprintf(number, sizeof(number), "FD=%d", open_one);
	spec.env = env;
	spec.dir = "/";
	run(p, &spec);
	close(open_one);
	assert_string_equal(p->out, "/\n");
}

static void
test_signals_are_default(void **state)
{
	struct probe *p = *state;
	const char *const argv[] = { "sh", "-c", "kill -PIPE $$; echo survived", NULL };
	struct child_spec spec = shell(argv);

	run(p, &spec); /* children_new ignores SIGPIPE here */
	assert_int_equal(p->signal, SIGPIPE);
	assert_int_equal(p->exit_code, -1);
	assert_int_equal(p->err.detail, 128 + SIGPIPE);
	assert_string_equal(p->out, "");
}

static void
test_missing_program(void **state)
{
	struct probe *p = *state;
	const char *const argv[] = { "/no/such/program", NULL };
	struct child_spec spec = shell(argv);

	run(p, &spec);
	assert_int_equal(p->done, 1);
	assert_int_equal(p->err.code, ERR_IO);
	assert_int_equal(p->err.detail, ENOENT);
	assert_string_equal(p->err.text, "/no/such/program cannot be started: No such file or directory");
	p->child = child_start(p->children, &spec, on_done, p);
	child_cancel(&p->child);
	assert_int_equal(children_count(p->children), 0);
}

static void
test_input_bytes(void **state)
{
	struct probe *p = *state;
	const char *const argv[] = { "wc", "-c", NULL };
	struct child_spec spec = shell(argv);
	size_t len = 3 << 20; /* more than a pipe and more than WRITE_MAX */
	char *bytes = xcalloc(len, 1);

	spec.in = CHILD_IN_BYTES;
	spec.input = (struct str){ bytes, len };
	p->child = child_start(p->children, &spec, on_done, p);
	free(bytes);
	loop_run(p->loop);
	assert_string_equal(p->out, "3145728\n");
}

static void
test_input_refused_by_program(void **state)
{
	struct probe *p = *state;
	const char *const argv[] = { "sh", "-c", "exec <&-; echo ok", NULL };
	struct child_spec spec = shell(argv);
	size_t len = 1 << 20;
	char *bytes = xcalloc(len, 1);

	spec.in = CHILD_IN_BYTES;
	spec.input = (struct str){ bytes, len };
	run(p, &spec);
	free(bytes);
	assert_int_equal(p->err.code, ERR_NONE);
	assert_string_equal(p->out, "ok\n");
}

static void
on_echo(void *arg, struct str bytes)
{
	struct probe *p = arg;

	on_output(arg, bytes);
	if (p->streamed == 4)
		assert_true(child_write(p->child, STR("two\n")));
	if (p->streamed == 8)
		child_close_input(p->child);
}

static void
test_dialogue(void **state)
{
	struct probe *p = *state;
	const char *const argv[] = { "cat", NULL };
	struct child_spec spec = shell(argv);
	char *big = xcalloc((1 << 20) + 1, 1);

	spec.in = CHILD_IN_PIPE;
	spec.out = (struct child_output){ .kind = CHILD_OUT_STREAM, .fn = on_echo };
	p->child = child_start(p->children, &spec, on_done, p);
	assert_false(child_write(p->child, (struct str){ big, (1 << 20) + 1 }));
	free(big);
	assert_true(child_write(p->child, STR("one\n")));
	loop_run(p->loop);
	assert_int_equal(p->streamed, 8);
	assert_int_equal(p->err.code, ERR_NONE);
}

static void
test_huge_output_is_cut_and_read(void **state)
{
	struct probe *p = *state;
	const char *const argv[] = { "head", "-c", "20000000", "/dev/zero", NULL };
	struct child_spec spec = shell(argv);

	run(p, &spec);
	assert_int_equal(p->err.code, ERR_NONE); /* head was not blocked */
	assert_true(p->out_cut);
}

static void
test_output_to_descriptor(void **state)
{
	struct probe *p = *state;
	const char *const argv[] = { "echo", "hello", NULL };
	struct child_spec spec = shell(argv);
	char line[16] = "";
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	spec.out = (struct child_output){ .kind = CHILD_OUT_FD, .fd = fds[1] };
	p->child = child_start(p->children, &spec, on_done, p);
	close(fds[1]);
	loop_run(p->loop);
	assert_int_equal(read(fds[0], line, sizeof(line) - 1), 6);
	assert_string_equal(line, "hello\n");
	assert_int_equal(read(fds[0], line, 1), 0);
	close(fds[0]);
}

static void
test_deadline_ends_the_whole_group(void **state)
{
	struct probe *p = *state;
	const char *const argv[] = { "sh", "-c", "sleep 1000 & echo $!; wait", NULL };
	struct child_spec spec = shell(argv);

	spec.timeout_ms = 200;
	run(p, &spec);
	assert_int_equal(p->err.code, ERR_TIMEOUT);
	assert_string_equal(p->err.text, "sh took longer than 1 s and was ended");
	assert_int_equal(p->signal, SIGTERM);
}

/* On a busy machine the deadline may come before the shell has got as far as ignoring anything: then a later one. */
static void
test_deadline_kills_who_ignores_term(void **state)
{
	struct probe *p = *state;
	const char *const argv[] = { "sh", "-c", "trap '' TERM; echo up; while :; do sleep 1000; done", NULL };
	struct child_spec spec = shell(argv);

	for (spec.timeout_ms = 200; spec.timeout_ms < 60000 && strcmp(p->out, "up\n") != 0; spec.timeout_ms *= 4) {
		p->done = 0;
		run(p, &spec);
	}
	assert_string_equal(p->out, "up\n");
	assert_int_equal(p->err.code, ERR_TIMEOUT);
	assert_int_equal(p->signal, SIGKILL);
}

/* A pipe of which the child's whole group holds the other end: its end of file means that nobody is left. */
static void
assert_group_is_gone(int alive[2])
{
	char c;

	close(alive[1]);
	assert_int_equal(read(alive[0], &c, 1), 0);
	close(alive[0]);
}

static void
test_nothing_outlives_done(void **state)
{
	struct probe *p = *state;
	const char *const argv[] = { "sh", "-c", "sleep 1000 & echo started", NULL };
	struct child_spec spec = shell(argv);
	int alive[2];

	assert_int_equal(pipe2(alive, O_CLOEXEC), 0);
	spec.err = (struct child_output){ .kind = CHILD_OUT_FD, .fd = alive[1] };
	run(p, &spec); /* sleep holds the output open */
	assert_int_equal(p->exit_code, 0);
	assert_string_equal(p->out, "started\n");
	assert_group_is_gone(alive);
}

static void
test_cancel(void **state)
{
	struct probe *p = *state;
	const char *const argv[] = { "sh", "-c", "echo up; sleep 1000", NULL };
	struct child_spec spec = shell(argv);
	int alive[2];

	assert_int_equal(pipe2(alive, O_CLOEXEC), 0);
	spec.out = (struct child_output){ .kind = CHILD_OUT_STREAM, .fn = on_output };
	spec.err = (struct child_output){ .kind = CHILD_OUT_FD, .fd = alive[1] };
	p->cancel_in_output = true;
	run(p, &spec);
	assert_null(p->child);
	assert_string_equal(p->out, "up\n");
	assert_int_equal(children_count(p->children), 1);
	children_free(&p->children);
	assert_group_is_gone(alive);
	assert_int_equal(p->done, 0);
}

static void
on_stop_child(void *arg, struct str bytes)
{
	struct probe *p = arg;

	(void)bytes;
	child_stop(p->child);
}

static void
test_stop(void **state)
{
	struct probe *p = *state;
	const char *const argv[] = { "sh", "-c", "trap 'exit 0' TERM; echo up; while :; do sleep 1000 & wait; done",
		NULL };
	struct child_spec spec = shell(argv);

	spec.out = (struct child_output){ .kind = CHILD_OUT_STREAM, .fn = on_stop_child };
	run(p, &spec);
	assert_int_equal(p->done, 1);
	assert_int_equal(p->err.code, ERR_CANCELLED); /* even though it ended with 0 */
	assert_string_equal(p->err.text, "sh was ended");
	assert_int_equal(children_count(p->children), 0);
}

static void
on_look_again(void *arg)
{
	struct probe *p = arg;

	if (children_count(p->children) == 0)
		loop_stop(p->loop);
	else
		timer_start(p->timer, 5);
}

static void
test_cancelled_child_is_reaped_by_the_loop(void **state)
{
	struct probe *p = *state;
	const char *const argv[] = { "sleep", "1000", NULL };
	struct child_spec spec = shell(argv);

	p->child = child_start(p->children, &spec, on_done, p);
	child_cancel(&p->child);
	p->timer = timer_new(p->loop, on_look_again, p);
	timer_start(p->timer, 0);
	loop_run(p->loop);
	assert_int_equal(p->done, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child of this process is left */
}

static void
test_detached_child_has_its_own_session(void **state)
{
	const char *const argv[] = { "sh", "-c", "ps -o sid= -p $$ | tr -d ' '; echo $$", NULL };
	struct child_spec spec = shell(argv);
	struct err err;
	char text[64] = "";
	size_t len = 0;
	ssize_t got;
	long sid;
	long own;
	char *end;
	pid_t pid;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	spec.out = (struct child_output){ .kind = CHILD_OUT_FD, .fd = fds[1] };
	spec.err = (struct child_output){ .kind = CHILD_OUT_NULL };
	assert_true(child_detach(&spec, &pid, &err));
	close(fds[1]);
	while ((got = read(fds[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)got;
	close(fds[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	sid = strtol(text, &end, 10);
	own = strtol(end, NULL, 10);
	assert_int_equal(sid, pid);
	assert_int_equal(own, pid);
}

static void
test_detach_reports_a_missing_program(void **state)
{
	const char *const argv[] = { "/no/such/program", NULL };
	struct child_spec spec = { .argv = argv };
	struct err err;
	pid_t pid;

	(void)state;
	assert_false(child_detach(&spec, &pid, &err));
	assert_int_equal(err.detail, ENOENT);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_output_and_exit_code),
		TEST(test_environment_is_what_was_given),
		TEST(test_no_descriptor_leaks),
		TEST(test_signals_are_default),
		TEST(test_missing_program),
		TEST(test_input_bytes),
		TEST(test_input_refused_by_program),
		TEST(test_dialogue),
		TEST(test_huge_output_is_cut_and_read),
		TEST(test_output_to_descriptor),
		TEST(test_deadline_ends_the_whole_group),
		TEST(test_deadline_kills_who_ignores_term),
		TEST(test_nothing_outlives_done),
		TEST(test_cancel),
		TEST(test_stop),
		TEST(test_cancelled_child_is_reaped_by_the_loop),
		cmocka_unit_test(test_detached_child_has_its_own_session),
		cmocka_unit_test(test_detach_reports_a_missing_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
