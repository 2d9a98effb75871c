/* Where jobs of the builder run, on a real engine: images, workspaces, services, networks, the warm pool, the sweep.
 * DAVIT_TEST_DOCKER is the engine's URL. Skipped without one. */
#include "test/component/builder_bench.h"
#include "test/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/crypto.h"
#include "proto/tar.h"

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

/* --- images --- */

static void
test_missing_image(void **state)
{
	struct bench_job j;

	(void)state;
	bench_run(&j, &shared, "127.0.0.1:9/davit-test/missing:1", COMMANDS("true"));
	assert_true(j.result.state == BUILDER_ERROR || j.result.state == BUILDER_FAILED);
	bench_assert_has(&j.notices, "pulling image 127.0.0.1:9/davit-test/missing:1");
	assert_non_null(strstr(j.result.reason, "image 127.0.0.1:9/davit-test/missing:1"));
	assert_false(j.is_started);
	bench_job_fini(&j);
}

static void
test_malformed_image(void **state)
{
	struct bench_job j;

	(void)state;
	bench_run(&j, &shared, "Not/An Image", COMMANDS("true"));
	bench_assert_result(&j, BUILDER_FAILED, "image \"Not/An Image\"");
	bench_job_fini(&j);
}

static void
test_image_without_a_shell(void **state)
{
	struct bench_job j;

	(void)state;
	bench_run(&j, &shared, "davit-test/empty:latest", COMMANDS("true"));
	bench_assert_result(&j, BUILDER_FAILED, "image davit-test/empty:latest has no /bin/sh");
	bench_job_fini(&j);
}

static void
test_image_without_tar(void **state)
{
	struct bench_job j;

	(void)state;
	bench_run(&j, &shared, "davit-test/tarless:latest", COMMANDS("echo done without", "cd /workspace", "exit 5"));
	bench_assert_result(&j, BUILDER_FAILED, "exit code 5 in script");
	bench_assert_has(&j.out, "\ndone without\n");
	bench_job_fini(&j);
}

/* The other way would put them onto the engine's disk. */
static void
test_image_without_tar_gets_no_secrets(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, "davit-test/tarless:latest", COMMANDS("echo never"));
	j.job.has_secrets = true;
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(
	    &j, BUILDER_FAILED, "has no tar: without it the job's secrets would come to the engine's disk");
	bench_assert_has_not(&j.out, "never");
	bench_job_fini(&j);
}

static void
test_a_bad_variable_name_is_refused(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("true"));
	env_add(&j.env, "not a name", "x");
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_FAILED, "not a name");
	bench_job_fini(&j);
}

/* --- what it is given --- */

/* A workspace with a file of a megabyte. */
static char *
make_workspace(struct buf *content)
{
	char path[] = "/tmp/davit-test-workspace.XXXXXX";
	int fd = mkstemp(path);
	struct buf tar;

	assert_true(fd >= 0);
	for (int i = 0; content->len < 1 << 20; i++)
		buf_addf(content, "line %d\n", i);
	buf_init(&tar, 4 << 20);
	tar_add_dir(&tar, "workspace", 0755, 0);
	tar_add_file(&tar, "workspace/big file", 0644, 0, buf_str(content));
	tar_add_file(&tar, "workspace/run", 0755, 0, STR("#!/bin/sh\necho I run\n"));
	tar_end(&tar);
	assert_int_equal(write(fd, tar.data, tar.len), tar.len);
	close(fd);
	buf_fini(&tar);
	return strdup(path);
}

static void
check_workspace(struct bench *b, const char *image, const char *const *commands)
{
	char digest[SHA256_HEX_SIZE];
	struct bench_job j;
	struct buf content;
	char *path;

	buf_init(&content, 2 << 20);
	path = make_workspace(&content);
	sha256_hex(buf_str(&content), digest);
	bench_job_init(&j, b, image, commands);
	j.job.workspace_tar = path;
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_PASSED, "");
	bench_assert_has(&j.out, "I run\n");
	if (strcmp(image, BENCH_IMAGE) == 0)
		bench_assert_has(&j.out, digest);
	bench_job_fini(&j);
	unlink(path);
	free(path);
	buf_fini(&content);
}

static void
test_workspace(void **state)
{
	(void)state;
	check_workspace(&shared, BENCH_IMAGE, COMMANDS("sha256sum 'big file'", "./run"));
	check_workspace(&shared, "davit-test/tarless:latest", COMMANDS("test -r 'big file'", "./run"));
}

static void
test_missing_workspace(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("true"));
	j.job.workspace_tar = "/nonexistent/x.tar";
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_ERROR, "/nonexistent/x.tar");
	bench_job_fini(&j);
}

static void
test_broken_workspace(void **state)
{
	char path[] = "/tmp/davit-test-workspace.XXXXXX";
	int fd = mkstemp(path);
	struct bench_job j;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(write(fd, "this is no tar at all\n", 22), 22);
	close(fd);
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("true"));
	j.job.workspace_tar = path;
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_ERROR, "the workspace could not be unpacked");
	unlink(path);
	bench_job_fini(&j);
}

/* The script sees them; the engine's description of the container does not. */
static void
test_secrets_are_not_in_inspect(void **state)
{
	struct bench_job j;
	char *text;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("echo \"secret has ${#TOKEN} bytes\"", "sleep 1000"));
	env_add(&j.env, "TOKEN", "s3cr3t-s3cr3t");
	j.holds = true;
	bench_job_start(&j);
	bench_job_wait_started(&j);
	builder_go(j.run);
	bench_job_wait_output(&j, "secret has 13 bytes\n");
	text = bench_inspect(&shared, j.container);
	assert_non_null(strstr(text, "davit.attempt"));
	assert_null(strstr(text, "s3cr3t"));
	assert_null(strstr(text, "TOKEN"));
	free(text);
	builder_cancel(j.run, "seen enough");
	bench_job_wait(&j);
	bench_job_fini(&j);
}

/* --- services --- */

static void
test_service_by_port(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE,
	    COMMANDS("wget -q -O - http://web:8000/", "echo addr=$WEB_PORT_8000_TCP_ADDR url=$WEB_PORT",
		"wget -q -O - http://$WEB_PORT_8000_TCP_ADDR:8000/"));
	bench_job_service(&j, "web", "davit-test/service:latest", 8000, 30);
	bench_job_service(&j, "other", "davit-test/service:latest", 8000, 30);
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_PASSED, "");
	bench_assert_has(&j.notices, "starting 2 services");
	bench_assert_has(&j.out, "it is up\n");
	bench_assert_has(&j.out, "url=tcp://");
	bench_job_fini(&j);
}

static void
test_service_by_health_check(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("echo it is healthy"));
	bench_job_service(&j, "db", "davit-test/healthy:latest", 0, 30);
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_PASSED, "");
	assert_true(j.started_us - j.began_us > 1000000); /* it takes a second to become healthy */
	bench_job_fini(&j);
}

static void
test_service_that_ends(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("true"));
	bench_job_service(&j, "db", "davit-test/quitter:latest", 5432, 30);
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_ERROR, "service db: ended with exit code 4");
	bench_assert_result(&j, BUILDER_ERROR, "cannot open the database");
	bench_assert_has(&j.notices, "db: cannot open the database");
	assert_false(j.is_started);
	bench_job_fini(&j);
}

static void
test_service_that_is_never_ready(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("true"));
	bench_job_service(&j, "web", "davit-test/service:latest", 9999, 8);
	bench_job_start(&j);
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_ERROR, "service web: port 9999 does not accept connections");
	bench_job_fini(&j);
}

static void
test_cancel_while_services_start(void **state)
{
	struct bench_job j;

	(void)state;
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("true"));
	bench_job_service(&j, "web", "davit-test/service:latest", 9999, 100);
	bench_job_start(&j);
	bench_job_wait_notice(&j, "starting 1 service");
	bench_turns(&shared, 30);
	builder_cancel(j.run, "no patience");
	bench_job_wait(&j);
	bench_assert_result(&j, BUILDER_CANCELLED, "no patience");
	bench_job_fini(&j);
}

/* --- the network --- */

static int
listen_anywhere(unsigned *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	*port = ntohs(in.sin_port);
	return fd;
}

/* A port that is open on all of this machine's addresses cannot be reached from a job or a service. The way to the
 * outside stays: whatever is not blocked goes by the gateway. */
static void
test_the_machine_is_out_of_reach(void **state)
{
	char command[600];
	struct bench_job j;
	unsigned port;
	int fd = listen_anywhere(&port);

	(void)state;
	snprintf(command, sizeof(command),
	    "gateway=$(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p'); "
	    "for a in $gateway $(ip route | sed -n 's/^blackhole \\([^ /]*\\).*/\\1/p'); do "
	    "nc -w 2 $a %u -e true && echo reached $a || echo blocked $a; done",
	    port);
	bench_run(&j, &shared, BENCH_IMAGE,
	    COMMANDS(command, "ip route get 198.51.100.7", "ip route del blackhole 169.254.169.254 || echo may not",
		"ip link set eth0 down || echo may not either"));
	bench_assert_result(&j, BUILDER_PASSED, "");
	bench_assert_has_not(&j.out, "reached 1");
	bench_assert_has(&j.out, "blocked 1");
	bench_assert_has(&j.out, "blocked 169.254.169.254\n");
	bench_assert_has(&j.out, "198.51.100.7 via ");
	bench_assert_has(&j.out, "may not\n");
	bench_assert_has(&j.out, "may not either\n");
	bench_job_fini(&j);
	close(fd);
}

/* A bridge that is made while a job runs gives the machine one more address. */
static void
test_new_addresses_are_blocked_for_running_jobs(void **state)
{
	unsigned number = (unsigned)getpid() % 256;
	char subnet[40], wait[120];
	struct bench_job j;

	(void)state;
	snprintf(subnet, sizeof(subnet), "198.18.%u.0/24", number); /* for measuring: no engine takes it by itself */
	snprintf(
	    wait, sizeof(wait), "until ip route | grep -q '^blackhole 198.18.%u.1 '; do usleep 10000; done", number);
	bench_job_init(&j, &shared, BENCH_IMAGE, COMMANDS("echo begun", wait));
	bench_job_start(&j);
	bench_job_wait_output(&j, "\nbegun\n");
	bench_make_network(&shared, subnet);
	bench_job_wait(&j);
	bench_remove_network(&shared);
	bench_assert_result(&j, BUILDER_PASSED, "");
	bench_job_fini(&j);
}

static void
test_jobs_do_not_see_each_other(void **state)
{
	struct bench_job one, two;
	char command[200];
	struct str address;

	(void)state;
	bench_job_init(&one, &shared, BENCH_IMAGE, COMMANDS("echo \"address $(hostname -i) here\"", "nc -l -p 7000"));
	bench_job_start(&one);
	bench_job_wait_output(&one, " here\n");
	address = str_of(strstr(one.out.data, "\naddress ") + strlen("\naddress "));
	address = str_cut(&address, ' ');
	assert_true(address.len >= strlen("1.2.3.4"));
	snprintf(command, sizeof(command), "nc -w 2 %.*s 7000 -e true && echo reached || echo unreachable",
	    (int)address.len, address.p);
	bench_run(&two, &shared, BENCH_IMAGE, COMMANDS(command));
	bench_assert_has(&two.out, "\nunreachable\n");
	builder_cancel(one.run, "done");
	bench_job_wait(&one);
	bench_job_fini(&one);
	bench_job_fini(&two);
}

/* --- the warm pool --- */

static void
test_warm_is_as_cold(void **state)
{
	struct builder_conf conf = { .warm_images = 1, .warm_per_image = 2 };
	const char *const *commands =
	    COMMANDS("pwd", "ls -a /workspace", "echo $HOME-$X", "cat /proc/1/cmdline", "exit 7");
	struct bench b;
	struct bench_job cold, warm;

	(void)state;
	bench_open(&b, url, &conf);
	bench_wait_up(&b);
	bench_job_init(&cold, &b, BENCH_IMAGE, commands);
	env_add(&cold.env, "X", "1 2  3'\"$");
	bench_job_start(&cold);
	bench_job_wait(&cold);
	bench_wait_warm(&b, 2);
	bench_job_init(&warm, &b, BENCH_IMAGE, commands);
	env_add(&warm.env, "X", "1 2  3'\"$");
	bench_job_start(&warm);
	bench_job_wait(&warm);
	assert_false(cold.result.warm);
	assert_true(warm.result.warm);
	assert_int_equal(cold.result.state, warm.result.state);
	assert_int_equal(warm.result.exit_code, 7);
	assert_string_equal(cold.result.image_digest, warm.result.image_digest);
	assert_int_equal(cold.out.len, warm.out.len);
	assert_memory_equal(cold.out.data, warm.out.data, cold.out.len);
	print_message("to the first byte: cold %ld us, warm %ld us (started %ld us); to the end: %ld and %ld us\n",
	    (long)(cold.output_us - cold.began_us), (long)(warm.output_us - warm.began_us),
	    (long)(warm.started_us - warm.began_us), (long)(cold.done_us - cold.began_us),
	    (long)(warm.done_us - warm.began_us));
	bench_job_fini(&cold);
	bench_job_fini(&warm);
	check_workspace(&b, BENCH_IMAGE, COMMANDS("sha256sum 'big file'", "./run"));
	bench_close(&b);
}

static void
test_a_warm_container_is_named_after_its_job(void **state)
{
	struct builder_conf conf = { .warm_images = 1, .warm_per_image = 1 };
	struct bench b;
	struct bench_job j;
	char name[80];
	char *text;

	(void)state;
	bench_open(&b, url, &conf);
	bench_wait_up(&b);
	bench_run(&j, &b, BENCH_IMAGE, COMMANDS("true"));
	bench_job_fini(&j);
	bench_wait_warm(&b, 1);
	bench_job_init(&j, &b, BENCH_IMAGE, COMMANDS("echo named", "sleep 1000"));
	bench_job_start(&j);
	bench_job_wait_output(&j, "\nnamed\n");
	assert_true(b.count == 2);
	snprintf(name, sizeof(name), "davit-%s-%s-1", b.node, j.id);
	text = bench_inspect(&b, name);
	assert_non_null(strstr(text, j.container));
	free(text);
	builder_cancel(j.run, "seen enough");
	bench_job_wait(&j);
	assert_true(j.result.warm);
	bench_job_fini(&j);
	bench_close(&b);
}

/* Only the images used last are kept warm. */
static void
test_the_pool_is_bounded(void **state)
{
	struct builder_conf conf = { .warm_images = 1, .warm_per_image = 1 };
	struct builder_engine_status status;
	struct bench b;
	struct bench_job j;

	(void)state;
	bench_open(&b, url, &conf);
	bench_wait_up(&b);
	bench_run(&j, &b, BENCH_IMAGE, COMMANDS("true"));
	bench_job_fini(&j);
	bench_wait_warm(&b, 1);
	bench_run(&j, &b, "davit-test/service:latest", COMMANDS("true"));
	assert_false(j.result.warm);
	for (unsigned i = 0; i < 10 && !j.result.warm; i++) { /* the one that is counted may be of the image before */
		bench_job_fini(&j);
		bench_wait_warm(&b, 1);
		bench_run(&j, &b, "davit-test/service:latest", COMMANDS("true"));
	}
	assert_true(j.result.warm);
	bench_job_fini(&j);
	bench_wait_warm(&b, 1);
	assert_true(builder_engine_status(b.builder, 0, &status));
	assert_int_equal(status.warm, 1);
	assert_true(status.up);
	assert_string_equal(status.reason, "");
	bench_close(&b);
}

/* --- the sweep --- */

static void
test_what_an_earlier_process_left_is_swept(void **state)
{
	struct bench b;
	struct bench_job j;

	(void)state;
	bench_prepare(&b, url, NULL);
	bench_leave_behind(&b);
	assert_int_equal(bench_leftovers(&b), 3);
	bench_begin(&b);
	bench_wait_up(&b);
	assert_int_equal(bench_leftovers(&b), 0);
	bench_leave_behind(&b); /* as an engine does that comes late to it */
	bench_wait_swept(&b);
	bench_run(&j, &b, BENCH_IMAGE, COMMANDS("echo fine"));
	bench_assert_result(&j, BUILDER_PASSED, "");
	bench_job_fini(&j);
	bench_close(&b);
}

static void
test_a_stop_finishes_the_sweep(void **state)
{
	struct bench b;

	(void)state;
	bench_prepare(&b, url, NULL);
	bench_leave_behind(&b);
	bench_begin(&b);
	while (bench_leftovers(&b) == 3)
		bench_turns(&b, 1);
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_missing_image),
		cmocka_unit_test(test_malformed_image),
		cmocka_unit_test(test_image_without_a_shell),
		cmocka_unit_test(test_image_without_tar),
		cmocka_unit_test(test_image_without_tar_gets_no_secrets),
		cmocka_unit_test(test_a_bad_variable_name_is_refused),
		cmocka_unit_test(test_workspace),
		cmocka_unit_test(test_missing_workspace),
		cmocka_unit_test(test_broken_workspace),
		cmocka_unit_test(test_secrets_are_not_in_inspect),
		cmocka_unit_test(test_service_by_port),
		cmocka_unit_test(test_service_by_health_check),
		cmocka_unit_test(test_service_that_ends),
		cmocka_unit_test(test_service_that_is_never_ready),
		cmocka_unit_test(test_cancel_while_services_start),
		cmocka_unit_test(test_the_machine_is_out_of_reach),
		cmocka_unit_test(test_new_addresses_are_blocked_for_running_jobs),
		cmocka_unit_test(test_jobs_do_not_see_each_other),
		cmocka_unit_test(test_warm_is_as_cold),
		cmocka_unit_test(test_a_warm_container_is_named_after_its_job),
		cmocka_unit_test(test_the_pool_is_bounded),
		cmocka_unit_test(test_what_an_earlier_process_left_is_swept),
		cmocka_unit_test(test_a_stop_finishes_the_sweep),
	};

	url = bench_engine();
	if (url == NULL)
		return 77;
	return cmocka_run_group_tests(tests, open_shared, close_shared);
}
