#include "test/component/builder_bench.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/io/httpc.h"
#include "test/unit/unit.h"

enum { WATCHDOG_MS = 120000, OUTPUT_MAX = 64 << 20 };

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
on_watchdog(void *arg)
{
	(void)arg;
	fprintf(stderr, "nothing happened for two minutes\n");
	abort();
}

void
bench_until(struct bench *b, const bool *flag)
{
	timer_start(b->watchdog, WATCHDOG_MS);
	while (!*flag)
		loop_run(b->loop);
	timer_stop(b->watchdog);
}

/* --- the builder --- */

static void
on_slot(void *arg)
{
	struct bench *b = arg;

	if (b->waits_for_slot)
		loop_stop(b->loop);
}

void
bench_prepare(struct bench *b, const char *url, const struct builder_conf *conf)
{
	static unsigned serial;

	memset(b, 0, sizeof(*b));
	b->conf = conf != NULL ? *conf : (struct builder_conf){ .node = NULL };
	snprintf(b->node, sizeof(b->node), "test%d-%u", getpid(), ++serial);
	b->engine = (struct builder_engine_conf){ .name = "here", .url = url, .slots = 2 };
	b->conf.node = b->node;
	b->conf.engines = &b->engine;
	b->conf.engine_count = 1;
	if (b->conf.limits.memory == 0)
		b->conf.limits.memory = 128 << 20;
	if (b->conf.limits.pids == 0)
		b->conf.limits.pids = 64;
	if (b->conf.limits.log_bytes == 0)
		b->conf.limits.log_bytes = 32 << 20;
	b->loop = loop_new();
	b->watchdog = timer_new(b->loop, on_watchdog, b);
	b->docker = docker_new(b->loop, url, NULL, NULL);
	assert_non_null(b->docker);
}

void
bench_begin(struct bench *b)
{
	b->builder = builder_new(b->loop, &b->conf, on_slot, b);
}

void
bench_open(struct bench *b, const char *url, const struct builder_conf *conf)
{
	bench_prepare(b, url, conf);
	bench_begin(b);
}

void
bench_wait_up(struct bench *b)
{
	bench_wait_slots(b, 1);
}

void
bench_wait_slots(struct bench *b, unsigned count)
{
	b->waits_for_slot = true;
	timer_start(b->watchdog, WATCHDOG_MS);
	while (builder_free_slots(b->builder) < count)
		loop_run(b->loop);
	timer_stop(b->watchdog);
	b->waits_for_slot = false;
}

static void
on_look(void *arg)
{
	struct bench *b = arg;

	loop_stop(b->loop);
}

void
bench_turns(struct bench *b, unsigned count)
{
	struct timer *tick = timer_new(b->loop, on_look, b);

	while (count-- > 0) {
		timer_start(tick, 2);
		event_base_loop(loop_base(b->loop), EVLOOP_ONCE);
	}
	timer_free(&tick);
}

void
bench_wait_warm(struct bench *b, unsigned count)
{
	struct builder_engine_status status;
	struct timer *look = timer_new(b->loop, on_look, b);

	timer_start(b->watchdog, WATCHDOG_MS);
	while (builder_engine_status(b->builder, 0, &status) && status.warm < count) {
		timer_start(look, 5);
		loop_run(b->loop);
	}
	timer_free(&look);
	timer_stop(b->watchdog);
}

/* --- the test's view --- */

struct look {
	struct bench *bench;
	const char *role; /* NULL: any */
	unsigned count;
	struct buf *text;
	bool is_done;
};

static void
on_listed(void *arg, const union docker_result *result, const struct err *err)
{
	struct look *look = arg;

	if (err != NULL)
		fail_msg("%s", err->text);
	for (size_t i = 0; i < result->list.count; i++) {
		const char *role = docker_item_label(&result->list.items[i], "davit.role");

		if (look->role == NULL || (role != NULL && strcmp(role, look->role) == 0))
			look->count++;
	}
	look->is_done = true;
	loop_stop(look->bench->loop);
}

static void
count_containers(struct bench *b, struct look *look)
{
	char *filter = docker_label_filter("davit.node", b->node);

	docker_list_containers(b->docker, filter, on_listed, look);
	bench_until(b, &look->is_done);
	look->is_done = false;
	free(filter);
}

unsigned
bench_job_containers(struct bench *b)
{
	struct look look = { .bench = b, .role = "job" };

	count_containers(b, &look);
	return look.count;
}

unsigned
bench_leftovers(struct bench *b)
{
	struct look look = { .bench = b };
	char *filter = docker_label_filter("davit.node", b->node);

	count_containers(b, &look);
	docker_list_networks(b->docker, filter, on_listed, &look);
	bench_until(b, &look.is_done);
	look.is_done = false;
	docker_list_volumes(b->docker, filter, on_listed, &look);
	bench_until(b, &look.is_done);
	free(filter);
	return look.count;
}

void
bench_wait_swept(struct bench *b)
{
	int64_t until = loop_mono_ms() + WATCHDOG_MS;

	while (bench_leftovers(b) > 0) {
		assert_true(loop_mono_ms() < until);
		bench_turns(b, 50);
	}
}

static void
on_text(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct look *look = arg;

	if (err != NULL || reply->status > 299)
		fail_msg("%s", err != NULL ? err->text : reply->body.p);
	buf_addstr(look->text, reply->body);
	look->is_done = true;
	loop_stop(look->bench->loop);
}

/* What the engine answers to a request that builder/ has no call for; free() it. */
static char *
ask_engine(struct bench *b, const struct httpc_request *request)
{
	static const struct httpc_handler handler = { .on_done = on_text };
	struct httpc *httpc = httpc_new(b->loop, b->engine.url, NULL, NULL);
	struct buf text;
	struct look look = { .bench = b, .text = &text };
	char *ret;

	buf_init(&text, 1 << 20);
	httpc_request(httpc, request, &handler, &look);
	bench_until(b, &look.is_done);
	httpc_free(&httpc);
	ret = buf_take(&text, NULL);
	buf_fini(&text);
	return ret;
}

char *
bench_inspect(struct bench *b, const char *container)
{
	char path[300];

	snprintf(path, sizeof(path), "/containers/%s/json", container);
	return ask_engine(b, &(struct httpc_request){ .method = "GET", .path = path, .total_ms = 10000 });
}

static void
on_carried_out(void *arg, const union docker_result *result, const struct err *err)
{
	struct look *look = arg;

	(void)result;
	if (err != NULL)
		fail_msg("%s", err->text);
	look->is_done = true;
	loop_stop(look->bench->loop);
}

void
bench_make_network(struct bench *b, const char *subnet)
{
	const struct httpc_header json = { "Content-Type", "application/json" };
	char body[200];

	snprintf(body, sizeof(body), "{\"Name\":\"%s-foreign\",\"IPAM\":{\"Config\":[{\"Subnet\":\"%s\"}]}}", b->node,
	    subnet);
	free(ask_engine(b, &(struct httpc_request){ .method = "POST",
			       .path = "/networks/create",
			       .headers = &json,
			       .header_count = 1,
			       .body = str_of(body),
			       .total_ms = 10000 }));
}

void
bench_remove_network(struct bench *b)
{
	struct look look = { .bench = b };
	char name[80];

	snprintf(name, sizeof(name), "%s-foreign", b->node);
	docker_network_remove(b->docker, name, on_carried_out, &look);
	bench_until(b, &look.is_done);
}

void
bench_leave_behind(struct bench *b)
{
	const struct docker_label label = { "davit.node", b->node };
	const char *const command[] = { "/bin/sleep", "1000", NULL };
	char network[80], name[80], volume[80];
	struct docker_container_spec spec = { .role = DOCKER_JOB,
		.image = BENCH_IMAGE,
		.command = command,
		.network = network,
		.volume = volume,
		.volume_path = "/workspace",
		.labels = &label,
		.label_count = 1,
		.limits = { .memory = 64 << 20, .pids = 10 } };
	struct look look = { .bench = b };

	snprintf(network, sizeof(network), "davit-%s-net-1", b->node);
	snprintf(name, sizeof(name), "davit-%s-7.1-1", b->node);
	snprintf(volume, sizeof(volume), "davit-%s-workspace-7.1-1", b->node);
	docker_version(b->docker, on_carried_out, &look); /* what a container is asked for with depends on it */
	bench_until(b, &look.is_done);
	look.is_done = false;
	docker_network_create(b->docker, network, &label, 1, on_carried_out, &look);
	bench_until(b, &look.is_done);
	look.is_done = false;
	docker_volume_create(b->docker, volume, &label, 1, on_carried_out, &look);
	bench_until(b, &look.is_done);
	look.is_done = false;
	docker_create(b->docker, name, &spec, on_carried_out, &look);
	bench_until(b, &look.is_done);
	look.is_done = false;
	docker_start(b->docker, name, on_carried_out, &look);
	bench_until(b, &look.is_done);
}

static void
on_stopped(void *arg)
{
	struct look *look = arg;

	look->is_done = true;
	loop_stop(look->bench->loop);
}

void
bench_stop(struct bench *b)
{
	struct look look = { .bench = b };

	if (b->builder == NULL)
		return;
	builder_stop(b->builder, on_stopped, &look);
	bench_until(b, &look.is_done);
	builder_free(&b->builder);
}

void
bench_close_blind(struct bench *b)
{
	bench_stop(b);
	docker_free(&b->docker);
	timer_free(&b->watchdog);
	loop_free(&b->loop);
}

void
bench_close(struct bench *b)
{
	bench_stop(b);
	assert_int_equal(bench_leftovers(b), 0);
	bench_close_blind(b);
}

/* --- jobs --- */

static void
stop_loop(struct bench_job *j)
{
	loop_stop(j->bench->loop);
}

static void
on_notice(void *arg, const char *text)
{
	struct bench_job *j = arg;

	buf_addf(&j->notices, "%s\n", text);
	stop_loop(j);
}

static void
on_started(void *arg, const char *container, const char *engine, const struct progress *progress)
{
	struct bench_job *j = arg;

	assert_int_equal(j->is_started, progress->part > 0);
	assert_string_equal(engine, "here");
	snprintf(j->container, sizeof(j->container), "%s", container);
	j->is_started = true;
	j->started_us = now_us();
	if (!j->holds)
		builder_go(j->run);
	stop_loop(j);
}

static void
on_output(void *arg, enum builder_stream stream, struct str text, uint64_t raw)
{
	struct bench_job *j = arg;
	struct buf *b = stream == BUILDER_STDERR ? &j->err : &j->out;

	assert_false(j->is_done);
	assert_true(raw >= j->raw[stream] + text.len);
	j->raw[stream] = raw;
	if (j->output_us == 0)
		j->output_us = now_us();
	assert_true(buf_addstr(b, text));
	if (j->awaited != NULL)
		stop_loop(j);
	if (j->cancel_on != NULL && strstr(b->data, j->cancel_on) != NULL) {
		j->cancel_on = NULL;
		builder_cancel(j->run, "cancelled by the test");
	}
}

static void
on_segment(void *arg, const char *name, int exit_code)
{
	struct bench_job *j = arg;

	if (exit_code < 0)
		buf_addf(&j->segments, "%s begin\n", name);
	else
		buf_addf(&j->segments, "%s %d\n", name, exit_code);
}

static void
on_built(void *arg, const char *id)
{
	struct bench_job *j = arg;

	snprintf(j->built, sizeof(j->built), "%s", id);
	builder_go(j->run);
}

static void
on_image(void *arg, const char *name, const char *digest, const char *id)
{
	struct bench_job *j = arg;

	buf_addf(&j->images, "%s %s\n", name, digest[0] != '\0' ? digest : id);
}

/* Nothing of its container is gone yet, and what is told then stays. */
static void
on_verdict(void *arg, const struct builder_result *result)
{
	struct bench_job *j = arg;

	assert_true(j->is_started);
	assert_false(j->is_done);
	j->has_verdict = true;
	j->result = *result;
	builder_go(j->run);
}

static void
on_ended(void *arg, const struct builder_result *result)
{
	struct bench_job *j = arg;

	j->result = *result;
	if (j->on_ended != NULL)
		j->on_ended(j);
	else
		builder_leave(j->run);
}

static void
on_done(void *arg, const struct builder_result *result)
{
	struct bench_job *j = arg;

	assert_false(j->is_done);
	if (j->has_verdict) {
		assert_int_equal(result->state, j->result.state);
		assert_string_equal(result->reason, j->result.reason);
	}
	j->run = NULL;
	j->result = *result;
	j->is_done = true;
	j->done_us = now_us();
	stop_loop(j);
}

void
bench_job_segment(struct bench_job *j, const char *name, const char *const *commands)
{
	struct job_spec *spec = &j->spec;
	struct segment_spec *s;

	spec->segments = xrealloc(spec->segments, (spec->segment_count + 1) * sizeof(*spec->segments));
	s = &spec->segments[spec->segment_count++];
	*s = (struct segment_spec){ .name = xstrdup(name) };
	while (commands[s->command_count] != NULL)
		s->command_count++;
	s->commands = xcalloc(s->command_count, sizeof(*s->commands));
	for (size_t i = 0; i < s->command_count; i++)
		s->commands[i] = xstrdup(commands[i]);
}

void
bench_job_step(struct bench_job *j, const char *name, const char *image, const char *const *commands)
{
	bench_job_segment(j, name, commands);
	j->spec.segments[j->spec.segment_count - 1].image = image != NULL ? xstrdup(image) : NULL;
}

void
bench_job_always(struct bench_job *j, const char *name, const char *const *commands)
{
	bench_job_segment(j, name, commands);
	j->spec.segments[j->spec.segment_count - 1].always = true;
}

void
bench_job_init(struct bench_job *j, struct bench *b, const char *image, const char *const *commands)
{
	memset(j, 0, sizeof(*j));
	j->bench = b;
	snprintf(j->id, sizeof(j->id), "7.%u", ++b->count);
	snprintf(j->nonce, sizeof(j->nonce), "0123456789abcdef0123456789%06x", b->count);
	j->spec = (struct job_spec){ .name = xstrdup("test"), .image = xstrdup(image), .timeout_s = 60 };
	bench_job_segment(j, "script", commands);
	j->job = (struct builder_job){ .id = j->id, .attempt = 1, .nonce = j->nonce, .spec = &j->spec, .env = &j->env };
	buf_init(&j->out, OUTPUT_MAX);
	buf_init(&j->err, OUTPUT_MAX);
	buf_init(&j->notices, OUTPUT_MAX);
	buf_init(&j->segments, OUTPUT_MAX);
	buf_init(&j->images, OUTPUT_MAX);
}

void
bench_job_fini(struct bench_job *j)
{
	assert_true(j->is_done || j->run == NULL);
	job_spec_fini(&j->spec);
	env_fini(&j->env);
	buf_fini(&j->out);
	buf_fini(&j->err);
	buf_fini(&j->notices);
	buf_fini(&j->segments);
	buf_fini(&j->images);
}

void
bench_job_service(struct bench_job *j, const char *name, const char *image, unsigned port, unsigned timeout_s)
{
	struct job_spec *spec = &j->spec;

	spec->services = xrealloc(spec->services, (spec->service_count + 1) * sizeof(*spec->services));
	spec->services[spec->service_count++] = (struct service_spec){
		.name = xstrdup(name), .image = xstrdup(image), .ready_port = port, .ready_timeout_s = timeout_s
	};
}

void
bench_job_start(struct bench_job *j)
{
	static const struct builder_events events = { .notice = on_notice,
		.started = on_started,
		.output = on_output,
		.segment = on_segment,
		.built = on_built,
		.image = on_image,
		.verdict = on_verdict,
		.ended = on_ended,
		.done = on_done };

	j->began_us = now_us();
	builder_start(j->bench->builder, &j->job, &events, j, &j->run);
	assert_false(j->is_done);
}

void
bench_job_wait_started(struct bench_job *j)
{
	bench_until(j->bench, &j->is_started);
}

static void
wait_for_text(struct bench_job *j, const struct buf *b, const char *text)
{
	j->awaited = text;
	timer_start(j->bench->watchdog, WATCHDOG_MS);
	while (strstr(b->data, text) == NULL && !j->is_done)
		loop_run(j->bench->loop);
	timer_stop(j->bench->watchdog);
	j->awaited = NULL;
	if (j->is_done)
		fail_msg("it ended before \"%s\": %s", text, j->result.reason);
}

void
bench_job_wait_output(struct bench_job *j, const char *text)
{
	wait_for_text(j, &j->out, text);
}

void
bench_job_wait_notice(struct bench_job *j, const char *text)
{
	wait_for_text(j, &j->notices, text);
}

void
bench_job_wait(struct bench_job *j)
{
	bench_until(j->bench, &j->is_done);
}

void
bench_run(struct bench_job *j, struct bench *b, const char *image, const char *const *commands)
{
	bench_job_init(j, b, image, commands);
	bench_job_start(j);
	bench_job_wait(j);
}

void
bench_run_timed(
    struct bench_job *j, struct bench *b, const char *const *commands, const char *const *always, const char *said)
{
	for (unsigned limit = 2;; limit *= 2) {
		bench_job_init(j, b, BENCH_IMAGE, commands);
		if (always != NULL)
			bench_job_always(j, "after_script", always);
		j->spec.timeout_s = limit;
		bench_job_start(j);
		bench_job_wait(j);
		if (strstr(j->out.data, said) != NULL)
			return;
		assert_true(limit < 64);
		bench_job_fini(j);
	}
}

void
bench_assert_has(const struct buf *b, const char *text)
{
	if (strstr(b->data, text) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", text, b->data);
}

void
bench_assert_has_not(const struct buf *b, const char *text)
{
	if (strstr(b->data, text) != NULL)
		fail_msg("\"%s\" is in \"%s\"", text, b->data);
}

void
bench_assert_result(const struct bench_job *j, enum builder_state state, const char *reason)
{
	if (j->result.state != state || strstr(j->result.reason, reason) == NULL)
		fail_msg("state %d, reason \"%s\"; output \"%s\", errors \"%.500s\"", j->result.state, j->result.reason,
		    j->out.len < 1000 ? j->out.data : "...", j->err.data);
}

const char *
bench_engine(void)
{
	const char *url = getenv("DAVIT_TEST_DOCKER"), *top = getenv("srcdir");
	char command[600];

	if (url == NULL)
		return NULL;
	snprintf(command, sizeof(command), "%s/test/component/builder_images.sh %s", top != NULL ? top : ".", url);
	if (system(command) != 0)
		exit(1);
	return url;
}
