#include "server/builder/builder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/labels.h"
#include "proto/mem.h"
#include "server/builder/buildkit.h"
#include "server/builder/engine.h"
#include "server/builder/run.h"
#include "server/core/loop.h"

struct builder {
	struct loop *loop;
	const char *node; /* lent */
	struct engine **engines;
	size_t count;
	size_t alive;          /* engines not yet ended */
	struct deferred *tell; /* on_slot */
	builder_slot_fn *on_slot;
	void *arg;
	builder_slot_fn *done;
	void *done_arg;
	unsigned slots;
};

static void
on_tell(void *arg)
{
	struct builder *b = arg;

	b->tell = NULL;
	b->on_slot(b->arg);
}

/* Later, and once for all that happens in a turn: a run's slot becomes free before its owner has heard the result. */
static void
on_engine_slot(void *arg)
{
	struct builder *b = arg;

	if (b->tell == NULL && b->done == NULL)
		b->tell = deferred_call(b->loop, on_tell, b);
}

void
builder_begin(struct builder *builder)
{
	buildkit_tidy(builder->node);
	for (size_t i = 0; i < builder->count; i++)
		engine_begin(builder->engines[i]);
}

struct builder *
builder_new(struct loop *loop, const struct builder_conf *conf, builder_slot_fn *on_slot, void *arg)
{
	struct builder *b = xcalloc(1, sizeof(*b));

	assert(conf->engine_count > 0);
	*b = (struct builder){
		.loop = loop, .node = conf->node, .count = conf->engine_count, .on_slot = on_slot, .arg = arg
	};
	b->engines = xcalloc(conf->engine_count, sizeof(*b->engines));
	b->alive = conf->engine_count;
	for (size_t i = 0; i < conf->engine_count; i++) {
		b->engines[i] = engine_new(loop, conf, &conf->engines[i], on_engine_slot, b);
		b->slots += conf->engines[i].slots;
	}
	if (!conf->waits)
		builder_begin(b);
	return b;
}

static void
on_engine_end(void *arg)
{
	struct builder *b = arg;

	if (--b->alive == 0)
		b->done(b->done_arg);
}

void
builder_drain(struct builder *builder)
{
	for (size_t i = 0; i < builder->count; i++)
		engine_drain(builder->engines[i]);
}

void
builder_stop(struct builder *builder, builder_slot_fn *done, void *arg)
{
	builder->done = done;
	builder->done_arg = arg;
	deferred_cancel(&builder->tell);
	for (size_t i = 0; i < builder->count; i++)
		engine_end(&builder->engines[i], on_engine_end, builder);
}

void
builder_free(struct builder **builder)
{
	struct builder *b = *builder;

	if (b == NULL)
		return;
	*builder = NULL;
	assert(b->alive == 0);
	free(b->engines);
	free(b);
}

unsigned
builder_free_slots(const struct builder *builder)
{
	unsigned count = 0;

	for (size_t i = 0; i < builder->count; i++)
		count += builder->done == NULL ? engine_free_slots(builder->engines[i]) : 0;
	return count;
}

unsigned
builder_slots(const struct builder *builder)
{
	return builder->slots;
}

size_t
builder_offers(const struct builder *builder, const char **ret, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < builder->count && count < max && builder->done == NULL; i++)
		if (engine_free_slots(builder->engines[i]) > 0)
			ret[count++] = engine_labels(builder->engines[i]);
	return count;
}

void
builder_labels(const struct builder *builder, struct buf *ret)
{
	for (size_t i = 0; i < builder->count && builder->done == NULL; i++)
		buf_addf(ret, "%s%s", i > 0 ? ";" : "", engine_labels(builder->engines[i]));
}

/* What only few engines can do is kept free for those jobs that want it. */
static bool
is_better(const struct engine *a, const struct engine *b)
{
	unsigned labels_a = labels_count(engine_labels(a)), labels_b = labels_count(engine_labels(b));

	return labels_a != labels_b ? labels_a < labels_b : engine_free_slots(a) > engine_free_slots(b);
}

struct engine *
builder_take(struct builder *builder, const char *labels)
{
	struct engine *best = NULL;

	for (size_t i = 0; i < builder->count && builder->done == NULL; i++) {
		struct engine *engine = builder->engines[i];

		if (engine_free_slots(engine) > 0 && labels_fit(labels, engine_labels(engine)) &&
		    (best == NULL || is_better(engine, best)))
			best = engine;
	}
	if (best != NULL)
		engine_take(best);
	return best;
}

void
builder_give_back(struct engine **slot)
{
	if (*slot != NULL)
		engine_give_back(*slot);
	*slot = NULL;
}

void
builder_start(struct builder *builder, const struct builder_job *job, const struct builder_events *events, void *arg,
    struct builder_run **ret)
{
	struct engine *slot = job->slot != NULL ? job->slot : builder_take(builder, "");

	assert(slot != NULL);
	*ret = engine_run(slot, job, events, arg);
}

bool
builder_adopt(struct builder *builder, const struct builder_job *job, const struct builder_left *left,
    const struct builder_events *events, void *arg, struct builder_run **ret)
{
	for (size_t i = 0; i < builder->count; i++)
		if (strcmp(engine_name(builder->engines[i]), left->engine) == 0) {
			*ret = engine_adopt(builder->engines[i], job, left, events, arg);
			return true;
		}
	return false;
}

void
builder_go(struct builder_run *run)
{
	run->kind->go(run);
}

struct collect *
builder_collect(struct builder_run *run, const struct strings *patterns, const struct collect_limits *limits,
    const struct collect_handler *handler, void *arg)
{
	return run_collect(run, patterns, limits, handler, arg);
}

void
builder_leave(struct builder_run *run)
{
	run_leave(run);
}

bool
builder_forget(struct builder_run *run)
{
	return run_forget(run);
}

void
builder_cancel(struct builder_run *run, const char *why)
{
	if (run->kind->cancel != NULL)
		run->kind->cancel(run, why);
	else
		builder_end(run, why);
}

void
builder_end(struct builder_run *run, const char *why)
{
	run->kind->end(run, BUILDER_CANCELLED, why);
}

void
builder_put_back(struct builder_run *run, const char *why)
{
	run->kind->end(run, BUILDER_AGAIN, why);
}

bool
builder_detach(struct builder_run *run)
{
	return run->kind->detach != NULL && run->kind->detach(run);
}

static struct run *
find(const struct builder *b, const char *job, struct engine **engine)
{
	struct run *run = NULL;

	for (size_t i = 0; i < b->count && run == NULL && b->done == NULL; i++) {
		*engine = b->engines[i];
		run = engine_find(*engine, job);
	}
	return run;
}

struct terminal *
builder_terminal(struct builder *builder, const char *job, const struct terminal_spec *spec,
    const struct terminal_handler *handler, void *arg, struct err *err)
{
	struct engine *engine;
	struct run *run = find(builder, job, &engine);
	const char *container = run != NULL ? run_container(run) : NULL;

	if (container != NULL)
		return engine_terminal(engine, container, spec, handler, arg);
	err_set(err, ERR_NOT_FOUND, 0, "job %s has no container here that a terminal could be opened in", job);
	return NULL;
}

bool
builder_release(struct builder *builder, const char *id)
{
	bool found = false;

	for (size_t i = 0; i < builder->count && builder->done == NULL; i++)
		found = engine_release(builder->engines[i], id) || found;
	return found;
}

bool
builder_engine_status(const struct builder *builder, size_t index, struct builder_engine_status *ret)
{
	if (index >= builder->count || builder->done != NULL)
		return false;
	engine_status(builder->engines[index], ret);
	return true;
}
