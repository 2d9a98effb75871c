/* Which engine a job gets: builder.c over engines that are nothing but slots and labels. */
#include "test/unit/unit.h"

#include <stdlib.h>

#include "server/builder/engine.h"
#include "server/core/loop.h"

#define ENGINES 3

struct engine {
	const struct builder_engine_conf *conf;
	unsigned busy;
	bool down;
	unsigned begun;
};

static struct engine engines[ENGINES];
static size_t made;
static struct loop *loop;
static struct builder *builder;

/* --- engine.c and run.c, as far as builder.c asks for them --- */

struct engine *
engine_new(struct loop *l, const struct builder_conf *conf, const struct builder_engine_conf *own, engine_fn *on_slot,
    void *arg)
{
	(void)l;
	(void)conf;
	(void)on_slot;
	(void)arg;
	engines[made] = (struct engine){ .conf = own };
	return &engines[made++];
}

void
engine_begin(struct engine *engine)
{
	engine->begun++;
}

void
engine_end(struct engine **engine, engine_fn *done, void *arg)
{
	*engine = NULL;
	done(arg);
}

unsigned
engine_free_slots(const struct engine *engine)
{
	return engine->down ? 0 : engine->conf->slots - engine->busy;
}

const char *
engine_labels(const struct engine *engine)
{
	return engine->conf->labels;
}

void
engine_take(struct engine *engine)
{
	engine->busy++;
}

void
engine_give_back(struct engine *engine)
{
	engine->busy--;
}

struct builder_run *
engine_run(struct engine *engine, const struct builder_job *job, const struct builder_events *events, void *arg)
{
	(void)job;
	(void)events;
	(void)arg;
	return (struct builder_run *)engine;
}

const char *
engine_name(const struct engine *engine)
{
	return engine->conf->name;
}

struct builder_run *
engine_adopt(struct engine *engine, const struct builder_job *job, const struct builder_left *left,
    const struct builder_events *events, void *arg)
{
	(void)left;
	return engine_run(engine, job, events, arg);
}

void
engine_status(const struct engine *engine, struct builder_engine_status *ret)
{
	*ret = (struct builder_engine_status){ .name = engine->conf->name };
}

void
engine_drain(struct engine *engine)
{
	(void)engine;
}

void
run_leave(struct builder_run *run)
{
	(void)run;
}

bool
run_forget(struct builder_run *run)
{
	(void)run;
	return false;
}

struct collect *
run_collect(struct builder_run *run, const struct strings *patterns, const struct collect_limits *limits,
    const struct collect_handler *handler, void *arg)
{
	(void)run;
	(void)patterns;
	(void)limits;
	(void)handler;
	(void)arg;
	return NULL;
}

struct run *
engine_find(const struct engine *engine, const char *job)
{
	(void)engine;
	(void)job;
	return NULL;
}

bool
engine_release(struct engine *engine, const char *id)
{
	(void)engine;
	(void)id;
	return false;
}

const char *
run_container(const struct run *run)
{
	(void)run;
	return NULL;
}

struct terminal *
engine_terminal(struct engine *engine, const char *container, const struct terminal_spec *spec,
    const struct terminal_handler *handler, void *arg)
{
	(void)engine;
	(void)container;
	(void)spec;
	(void)handler;
	(void)arg;
	return NULL;
}

/* --- the tests --- */

static void
build(bool waits)
{
	static const struct builder_engine_conf confs[ENGINES] = {
		{ .name = "plain", .slots = 1, .labels = "arch=amd64" },
		{ .name = "gpu", .slots = 4, .labels = "arch=amd64,gpu" },
		{ .name = "arm", .slots = 2, .labels = "arch=arm64" },
	};
	struct builder_conf conf = { .node = "n1", .engines = confs, .engine_count = ENGINES, .waits = waits };

	made = 0;
	loop = loop_new();
	builder = builder_new(loop, &conf, NULL, NULL);
}

static int
setup(void **state)
{
	(void)state;
	build(false);
	return 0;
}

static int
setup_waiting(void **state)
{
	(void)state;
	build(true);
	return 0;
}

static void
on_stopped(void *arg)
{
	(void)arg;
}

static int
teardown(void **state)
{
	(void)state;
	builder_stop(builder, on_stopped, NULL);
	builder_free(&builder);
	loop_free(&loop);
	return 0;
}

static void
assert_takes(const char *labels, const char *name)
{
	struct engine *slot = builder_take(builder, labels);

	if (name == NULL) {
		assert_null(slot);
		return;
	}
	assert_non_null(slot);
	assert_string_equal(slot->conf->name, name);
}

static void
test_a_job_finds_its_labels(void **state)
{
	(void)state;
	assert_takes("gpu", "gpu");
	assert_takes("arch=arm64", "arm");
	assert_takes("arch=amd64", "plain");
	assert_takes("arch=amd64", "gpu"); /* the plain one is full */
	assert_takes("arch=arm64,gpu", NULL);
	assert_takes("arch=riscv64", NULL);
}

static void
test_what_few_engines_can_do_is_kept_free(void **state)
{
	(void)state;
	assert_takes("", "arm"); /* as few labels as the plain one, more room */
	assert_takes("", "plain");
	assert_takes("", "arm");
	assert_takes("", "gpu");
}

static void
test_offers_are_the_engines_with_a_free_slot(void **state)
{
	const char *offers[ENGINES];
	struct engine *slot;

	(void)state;
	assert_int_equal(builder_offers(builder, offers, ENGINES), 3);
	assert_string_equal(offers[1], "arch=amd64,gpu");
	assert_int_equal(builder_offers(builder, offers, 2), 2);
	slot = builder_take(builder, "arch=amd64");
	engines[2].down = true;
	assert_int_equal(builder_offers(builder, offers, ENGINES), 1);
	assert_string_equal(offers[0], "arch=amd64,gpu");
	builder_give_back(&slot);
	builder_give_back(&slot); /* NULL now */
	assert_int_equal(builder_offers(builder, offers, ENGINES), 2);
}

static void
test_a_run_is_in_the_slot_that_was_taken(void **state)
{
	struct builder_job job = { .id = "1.1", .slot = builder_take(builder, "gpu") };
	struct builder_run *run;

	(void)state;
	builder_start(builder, &job, NULL, NULL, &run);
	assert_ptr_equal(run, job.slot);
	assert_int_equal(engines[1].busy, 1);
	job.slot = NULL;
	builder_start(builder, &job, NULL, NULL, &run); /* takes one itself */
	assert_int_equal(engines[0].busy + engines[2].busy, 1);
}

static void
assert_begun(unsigned times)
{
	for (size_t i = 0; i < ENGINES; i++)
		assert_int_equal(engines[i].begun, times);
}

static void
test_a_job_is_adopted_on_its_engine(void **state)
{
	struct builder_left left = { .engine = "gpu", .container = "c1" };
	struct builder_run *run = NULL;

	(void)state;
	assert_true(builder_adopt(builder, &(struct builder_job){ 0 }, &left, NULL, NULL, &run));
	assert_ptr_equal(run, &engines[1]);
	left.engine = "gone";
	assert_false(builder_adopt(builder, &(struct builder_job){ 0 }, &left, NULL, NULL, &run));
}

static void
test_engines_are_asked_from_the_start(void **state)
{
	(void)state;
	assert_begun(1);
}

static void
test_engines_wait_for_the_word(void **state)
{
	(void)state;
	assert_begun(0);
	builder_begin(builder);
	assert_begun(1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_job_finds_its_labels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_few_engines_can_do_is_kept_free, setup, teardown),
		cmocka_unit_test_setup_teardown(test_offers_are_the_engines_with_a_free_slot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_engines_are_asked_from_the_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_job_is_adopted_on_its_engine, setup_waiting, teardown),
		cmocka_unit_test_setup_teardown(test_engines_wait_for_the_word, setup_waiting, teardown),
		cmocka_unit_test_setup_teardown(test_a_run_is_in_the_slot_that_was_taken, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
