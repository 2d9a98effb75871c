#include "test/component/builder_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "proto/mem.h"
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
bench_open(struct bench *b, const char *url, const struct builder_conf *conf)
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
	b->builder = builder_new(b->loop, &b->conf, on_slot, b);
	b->docker = docker_new(b->loop, url, NULL, NULL);
	assert_non_null(b->docker);
}

void
bench_wait_up(struct bench *b)
{
	b->waits_for_slot = true;
	timer_start(b->watchdog, WATCHDOG_MS);
	while (builder_free_slots(b->builder) == 0)
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
	unsigned count;
	bool is_done;
};

static void
on_listed(void *arg, const union docker_result *result, const struct err *err)
{
	struct look *look = arg;

	if (err != NULL)
		fail_msg("%s", err->text);
	for (size_t i = 0; i < result->list.count; i++)
		fprintf(stderr, "there is %s\n", result->list.items[i].name);
	look->count += (unsigned)result->list.count;
	look->is_done = true;
	loop_stop(look->bench->loop);
}

unsigned
bench_leftovers(struct bench *b)
{
	struct look look = { .bench = b };
	char *filter = docker_label_filter("davit.node", b->node);

	docker_list_containers(b->docker, filter, on_listed, &look);
	bench_until(b, &look.is_done);
	look.is_done = false;
	docker_list_networks(b->docker, filter, on_listed, &look);
	bench_until(b, &look.is_done);
	free(filter);
	return look.count;
}

static void
on_stopped(void *arg)
{
	struct look *look = arg;

	look->is_done = true;
	loop_stop(look->bench->loop);
}

static void
stop_builder(struct bench *b)
{
	struct look look = { .bench = b };

	builder_stop(b->builder, on_stopped, &look);
	bench_until(b, &look.is_done);
	builder_free(&b->builder);
}

void
bench_close_blind(struct bench *b)
{
	if (b->builder != NULL)
		stop_builder(b);
	docker_free(&b->docker);
	timer_free(&b->watchdog);
	loop_free(&b->loop);
}

void
bench_close(struct bench *b)
{
	stop_builder(b);
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
}

static void
on_started(void *arg, const char *container, const char *engine)
{
	struct bench_job *j = arg;

	assert_false(j->is_started);
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
	if (j->cancel_on != NULL && strstr(b->data, j->cancel_on) != NULL)
		builder_cancel(j->run, "cancelled by the test");
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
on_done(void *arg, const struct builder_result *result)
{
	struct bench_job *j = arg;

	assert_false(j->is_done);
	j->run = NULL;
	j->result = *result;
	j->is_done = true;
	j->done_us = now_us();
	stop_loop(j);
}

static void
segment(struct job_spec *spec, const char *name, const char *const *commands)
{
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
bench_job_init(struct bench_job *j, struct bench *b, const char *image, const char *const *commands)
{
	memset(j, 0, sizeof(*j));
	j->bench = b;
	snprintf(j->id, sizeof(j->id), "7.%u", ++b->count);
	snprintf(j->nonce, sizeof(j->nonce), "0123456789abcdef0123456789%06x", b->count);
	j->spec = (struct job_spec){ .name = xstrdup("test"), .image = xstrdup(image), .timeout_s = 60 };
	segment(&j->spec, "script", commands);
	j->job = (struct builder_job){ .id = j->id, .attempt = 1, .nonce = j->nonce, .spec = &j->spec, .env = &j->env };
	buf_init(&j->out, OUTPUT_MAX);
	buf_init(&j->err, OUTPUT_MAX);
	buf_init(&j->notices, OUTPUT_MAX);
	buf_init(&j->segments, OUTPUT_MAX);
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
	static const struct builder_events events = {
		.notice = on_notice, .started = on_started, .output = on_output, .segment = on_segment, .done = on_done
	};

	j->began_us = now_us();
	builder_start(j->bench->builder, &j->job, &events, j, &j->run);
	assert_false(j->is_done);
}

void
bench_job_wait_started(struct bench_job *j)
{
	bench_until(j->bench, &j->is_started);
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
