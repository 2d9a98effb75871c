#include "test/unit/unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/loop.h"
#include "server/io/redis_server.h"

#define LOOK_MS 10
#define PATIENCE_MS 20000

struct fixture {
	char dir[64];
	struct loop *loop;
	struct redis_server_conf conf;
	struct redis_server *server;
	struct timer *look; /* until the condition holds */
	bool (*condition)(struct fixture *f);
	int64_t deadline;
	pid_t pid;
	bool stopped;
};

/* What the process says of itself: "process_id" in INFO. 0 while nobody answers. */
static pid_t
ask_pid(struct fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 5 };
	char reply[8192];
	const char *found;
	ssize_t len = 0, n;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", redis_server_client(f->server)->path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || write(fd, "INFO server\r\n", 13) != 13) {
		close(fd);
		return 0;
	}
	do {
		n = read(fd, reply + len, sizeof(reply) - 1 - (size_t)len);
		len += n > 0 ? n : 0;
		reply[len] = '\0';
		found = strstr(reply, "process_id:");
	} while (n > 0 && (found == NULL || strchr(found, '\n') == NULL));
	close(fd);
	return found != NULL ? (pid_t)atoi(found + 11) : 0;
}

static void
on_look(void *arg)
{
	struct fixture *f = arg;

	if (f->condition(f)) {
		loop_stop(f->loop);
		return;
	}
	assert_true(loop_mono_ms() < f->deadline);
	timer_start(f->look, LOOK_MS);
}

static void
run_until(struct fixture *f, bool (*condition)(struct fixture *f))
{
	f->condition = condition;
	f->deadline = loop_mono_ms() + PATIENCE_MS;
	timer_start(f->look, 0);
	loop_run(f->loop);
}

static bool
answers(struct fixture *f)
{
	return ask_pid(f) != 0;
}

static bool
another_answers(struct fixture *f)
{
	pid_t pid = ask_pid(f);

	return pid != 0 && pid != f->pid;
}

static void
on_stopped(void *arg)
{
	struct fixture *f = arg;

	f->stopped = true;
	loop_stop(f->loop);
}

static void
open_server(struct fixture *f)
{
	struct err err;

	f->server = redis_server_new(f->loop, &f->conf, &err);
	assert_non_null(f->server);
}

static int
set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/davit-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->loop = loop_new();
	f->look = timer_new(f->loop, on_look, f);
	f->conf = (struct redis_server_conf){ .state_dir = f->dir, .binary = "redis-server" };
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	char *command = xasprintf("rm -rf %s", f->dir);

	if (f->server != NULL) {
		redis_server_stop(f->server, on_stopped, f);
		loop_run(f->loop);
		assert_true(f->stopped);
		assert_int_equal(ask_pid(f), 0);
	}
	redis_server_free(&f->server);
	timer_free(&f->look);
	loop_free(&f->loop);
	assert_int_equal(system(command), 0);
	free(command);
	free(f);
	return 0;
}

static void
test_starts_and_stops(void **state)
{
	struct fixture *f = *state;

	open_server(f);
	run_until(f, answers);
}

static void
test_a_killed_one_is_started_again(void **state)
{
	struct fixture *f = *state;

	open_server(f);
	run_until(f, answers);
	f->pid = ask_pid(f);
	kill(f->pid, SIGKILL);
	run_until(f, another_answers);
}

static void
test_the_next_davitd_takes_it_over(void **state)
{
	struct fixture *f = *state;

	open_server(f);
	run_until(f, answers);
	f->pid = ask_pid(f);
	redis_server_free(&f->server);
	open_server(f);
	run_until(f, answers);
	assert_int_equal(ask_pid(f), f->pid);
}

static void
test_two_never_run_in_one_folder(void **state)
{
	struct fixture *f = *state;
	struct redis_server *first;

	open_server(f);
	first = f->server;
	open_server(f); /* both try to start it in the same turn of the loop */
	run_until(f, answers);
	f->pid = ask_pid(f);
	redis_server_free(&first);
	run_until(f, answers);
	assert_int_equal(ask_pid(f), f->pid);
}

static void
test_a_path_too_long_is_refused(void **state)
{
	struct fixture *f = *state;
	struct redis_server_conf conf = { .binary = "redis-server" };
	char *path = xasprintf("%s/%0100d", f->dir, 7);
	char *command = xasprintf("mkdir -p %s", path);
	struct err err;

	assert_int_equal(system(command), 0);
	conf.state_dir = path;
	assert_null(redis_server_new(f->loop, &conf, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	free(command);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_starts_and_stops, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_killed_one_is_started_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_next_davitd_takes_it_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_never_run_in_one_folder, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_path_too_long_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
