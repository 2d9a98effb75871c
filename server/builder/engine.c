#include "server/builder/engine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/labels.h"
#include "proto/mem.h"
#include "proto/platform.h"
#include "server/builder/image_run.h"
#include "server/builder/index_run.h"
#include "server/builder/pause.h"
#include "server/builder/sweep.h"
#include "server/builder/terminal.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/io/addresses.h"
#include "server/io/stream.h"

#define DEFAULT_BUSYBOX "/bin/busybox"

/* What the engine makes late, of a request of a process that was killed, is gone within 30 s of the start after it. */
enum { RETRY_LEAST_MS = 500, RETRY_MOST_MS = 30000, SWEEP_MS = 10000, LAST_SWEEP_MS = 10000 };

enum engine_state {
	ENGINE_DOWN, /* until the next try */
	ENGINE_VERSION,
	ENGINE_FIND, /* what an earlier process left of jobs that go on */
	ENGINE_SWEEP,
	ENGINE_LOOK, /* for the network holders' image */
	ENGINE_IMPORT,
	ENGINE_WATCH, /* images' events, whose end tells that the engine has gone */
	ENGINE_UP,
	ENGINE_ENDING,
};

struct engine {
	const struct builder_engine_conf *conf;
	struct host host;
	struct addresses *addresses; /* of an engine on this machine */
	struct pulls *pulls;
	struct sandboxes *sandboxes;
	struct pool *pool;
	struct run_list runs;
	enum engine_state state;
	struct docker_op *op; /* of the state; from ENGINE_WATCH on the events */
	struct sweep *sweep;
	struct timer *timer; /* of the next try, the next sweep, or the last one's end */
	int64_t retry_ms;
	struct docker_version version;
	char *labels; /* the configured ones and its platform */
	struct err why_down;
	unsigned busy;
	bool is_draining;     /* nothing is swept any more */
	bool ends_in_a_sweep; /* of which a part was done when it was ended */
	engine_fn *on_slot;
	void *arg;
	engine_fn *done;
	void *done_arg;
};

static void enter_down(struct engine *e);
static void enter_version(struct engine *e);
static void enter_find(struct engine *e);
static void enter_sweep(struct engine *e);
static void enter_look(struct engine *e);
static void enter_import(struct engine *e);
static void enter_watch(struct engine *e);
static void enter_up(struct engine *e);
static void enter_ending(struct engine *e);
static void engine_free(struct engine *e);

/* clang-format off */
static const struct {
	void (*enter)(struct engine *e);
	enum engine_state next;
} states[] = {
	[ENGINE_DOWN]    = { enter_down,    ENGINE_VERSION },
	[ENGINE_VERSION] = { enter_version, ENGINE_FIND },
	[ENGINE_FIND]    = { enter_find,    ENGINE_SWEEP },
	[ENGINE_SWEEP]   = { enter_sweep,   ENGINE_LOOK },
	[ENGINE_LOOK]    = { enter_look,    ENGINE_WATCH },
	[ENGINE_IMPORT]  = { enter_import,  ENGINE_WATCH },
	[ENGINE_WATCH]   = { enter_watch,   ENGINE_UP },
	[ENGINE_UP]      = { enter_up,      ENGINE_DOWN },
	[ENGINE_ENDING]  = { enter_ending,  ENGINE_ENDING },
};
/* clang-format on */

static void
engine_step(struct engine *e, enum engine_state next)
{
	if (next != ENGINE_UP) /* which keeps the events of ENGINE_WATCH */
		docker_cancel(&e->op);
	sweep_cancel(&e->sweep);
	timer_stop(e->timer);
	e->state = next;
	states[next].enter(e);
}

static void
engine_fail(struct engine *e, struct err err)
{
	if (e->why_down.code == ERR_NONE)
		log_warn("engine %s is down: %s", e->conf->name, err.text);
	e->why_down = err;
	engine_step(e, ENGINE_DOWN);
}

/* Which platform it is it says itself, unless the configuration does. */
static void
take_version(struct engine *e, const struct docker_version *version)
{
	const char *own = e->conf->labels != NULL ? e->conf->labels : "";
	bool is_told = labels_have(own, PLATFORM_LABEL) || version->platform.text[0] == '\0';

	e->version = *version;
	e->host.platform = version->platform;
	free(e->labels);
	e->labels = is_told
			? xstrdup(own)
			: xasprintf("%s%s" PLATFORM_LABEL "%s", own, own[0] != '\0' ? "," : "", version->platform.text);
}

static void
on_reply(void *arg, const union docker_result *result, const struct err *err)
{
	struct engine *e = arg;

	e->op = NULL;
	if (e->state == ENGINE_LOOK && err != NULL && err->code == ERR_NOT_FOUND) {
		engine_step(e, ENGINE_IMPORT);
	} else if (err != NULL) {
		engine_fail(e, *err);
	} else if (e->state >= ENGINE_WATCH) {
		engine_fail(e, err_make(ERR_UNAVAILABLE, 0, "the engine has closed the connection"));
	} else {
		if (e->state == ENGINE_VERSION)
			take_version(e, &result->version);
		engine_step(e, states[e->state].next);
	}
}

static void
enter_down(struct engine *e)
{
	pulls_forget(e->pulls);
	timer_start(e->timer, e->retry_ms);
	e->retry_ms = e->retry_ms * 2 < RETRY_MOST_MS ? e->retry_ms * 2 : RETRY_MOST_MS;
}

/* A bad URL or TLS file is told as any other reason is, and may be put right while we run. */
static bool
make_client(struct engine *e)
{
	struct stream_tls_conf tls = { .ca_file = e->conf->ca, .cert_file = e->conf->cert, .key_file = e->conf->key };
	struct err err;

	if (e->host.docker == NULL)
		e->host.docker = docker_new(e->host.loop, e->conf->url, &tls, &err);
	if (e->host.docker == NULL)
		engine_fail(e, err);
	return e->host.docker != NULL;
}

static void
enter_version(struct engine *e)
{
	if (!make_client(e))
		return;
	e->op = docker_version(e->host.docker, on_reply, e);
}

static void
on_list(void *arg, const union docker_result *result, const struct err *err)
{
	struct engine *e = arg;
	struct run *next;

	e->op = NULL;
	if (err != NULL) {
		engine_fail(e, *err);
		return;
	}
	for (struct run *run = LIST_FIRST(&e->runs); run != NULL; run = next) {
		next = run_next(run);
		if (run_is_left(run))
			run_found(run, &result->list);
	}
	engine_step(e, states[e->state].next);
}

/* What goes on is owned from here on, so that the sweep leaves it. */
static void
enter_find(struct engine *e)
{
	struct run *run = LIST_FIRST(&e->runs);
	char *filter;

	while (run != NULL && !run_is_left(run))
		run = run_next(run);
	if (run == NULL) {
		engine_step(e, states[e->state].next);
		return;
	}
	filter = docker_label_filter("davit.node", e->host.conf->node);
	e->op = docker_list_containers(e->host.docker, filter, on_list, e);
	free(filter);
}

static void
on_swept(void *arg, const struct err *err)
{
	struct engine *e = arg;

	e->sweep = NULL;
	if (e->state == ENGINE_ENDING)
		engine_free(e);
	else if (err != NULL)
		engine_fail(e, *err);
	else if (e->state == ENGINE_UP)
		timer_start(e->timer, SWEEP_MS);
	else
		engine_step(e, states[e->state].next);
}

static void
enter_sweep(struct engine *e)
{
	if (!e->is_draining)
		e->sweep = sweep_start(&e->host, on_swept, e);
}

static void
enter_look(struct engine *e)
{
	e->op = docker_image_inspect(e->host.docker, PAUSE_IMAGE, PAUSE_IMAGE, on_reply, e);
}

static void
enter_import(struct engine *e)
{
	const char *busybox = e->host.conf->busybox != NULL ? e->host.conf->busybox : DEFAULT_BUSYBOX;
	struct err err;
	char *tar;
	size_t len;

	tar = pause_image(busybox, &len, &err);
	if (tar == NULL) {
		engine_fail(e, err_prefix(err, "network holders"));
		return;
	}
	e->op = docker_image_import(e->host.docker, PAUSE_IMAGE, (struct str){ tar, len }, on_reply, e);
	free(tar);
}

static void
on_open(void *arg)
{
	engine_step(arg, ENGINE_UP);
}

static void
on_event(void *arg, const struct docker_event *event)
{
	struct engine *e = arg;

	(void)event;
	pulls_forget(e->pulls);
}

static void
enter_watch(struct engine *e)
{
	char *filter = docker_image_event_filter();

	e->op = docker_events(e->host.docker, filter, on_open, on_event, on_reply, e);
	free(filter);
}

static void
enter_up(struct engine *e)
{
	CRASH_POINT(engine_up);
	log_info("engine %s is up: %s, API %s", e->conf->name, e->version.version, e->version.api);
	e->why_down = ERR_OK;
	e->retry_ms = RETRY_LEAST_MS;
	timer_start(e->timer, SWEEP_MS);
	e->on_slot(e->arg);
}

static void
on_timer(void *arg)
{
	struct engine *e = arg;

	if (e->state == ENGINE_DOWN)
		engine_step(e, states[e->state].next);
	else if (e->state == ENGINE_ENDING)
		engine_free(e); /* what is left is for the next start */
	else
		enter_sweep(e);
}

static void
on_address(void *arg, const char *address)
{
	struct engine *e = arg;

	host_block(&e->host, address);
}

struct engine *
engine_new(struct loop *loop, const struct builder_conf *conf, const struct builder_engine_conf *own,
    engine_fn *on_slot, void *arg)
{
	struct engine *e = xcalloc(1, sizeof(*e));

	e->conf = own;
	LIST_INIT(&e->runs);
	e->on_slot = on_slot;
	e->arg = arg;
	host_init(&e->host, loop, conf);
	e->host.mirror = own->mirror;
	e->host.mirror_token = own->mirror_token;
	e->host.relay_port = own->relay_port;
	e->host.relay_address = own->relay_address;
	if (strncmp(own->url, "unix:", strlen("unix:")) == 0)
		e->addresses = addresses_watch(loop, on_address, e);
	e->pulls = pulls_new(&e->host);
	e->sandboxes = sandboxes_new(&e->host, own->slots + conf->warm_images * conf->warm_per_image);
	e->pool = pool_new(&e->host, e->sandboxes);
	e->timer = timer_new(loop, on_timer, e);
	e->retry_ms = RETRY_LEAST_MS;
	return e;
}

void
engine_begin(struct engine *engine)
{
	engine_step(engine, ENGINE_VERSION);
}

/* --- the end --- */

void
engine_drain(struct engine *engine)
{
	engine->is_draining = true;
	sweep_cancel(&engine->sweep);
}

static void
engine_free(struct engine *e)
{
	engine_fn *done = e->done;
	void *done_arg = e->done_arg;

	sweep_cancel(&e->sweep);
	addresses_unwatch(&e->addresses);
	terminals_drop(&e->host);
	pulls_free(&e->pulls);
	timer_free(&e->timer);
	host_fini(&e->host);
	docker_free(&e->host.docker);
	free(e->labels);
	free(e);
	done(done_arg);
}

/* Nothing is ours any more. */
static void
on_sandboxes_end(void *arg)
{
	struct engine *e = arg;

	if (!e->ends_in_a_sweep) {
		engine_free(e);
		return;
	}
	timer_start(e->timer, LAST_SWEEP_MS);
	e->sweep = sweep_start(&e->host, on_swept, e);
}

/* The pool's containers are in sandboxes. */
static void
on_pool_end(void *arg)
{
	struct engine *e = arg;

	sandboxes_end(&e->sandboxes, on_sandboxes_end, e);
}

/* Once no job is held any more. */
static void
enter_ending(struct engine *e)
{
	struct run *run = LIST_FIRST(&e->runs), *next;

	if (run == NULL)
		pool_end(&e->pool, on_pool_end, e);
	for (; run != NULL; run = next) {
		next = run_next(run);
		assert(run_is_forgotten(run));
		run_end(run, "the builder is stopped");
	}
}

void
engine_end(struct engine **engine, engine_fn *done, void *arg)
{
	struct engine *e = *engine;

	*engine = NULL;
	assert(e->state != ENGINE_ENDING);
	e->done = done;
	e->done_arg = arg;
	e->ends_in_a_sweep = e->sweep != NULL;
	engine_step(e, ENGINE_ENDING);
}

/* --- runs --- */

/* Fewer slots may be configured now than are adopted. */
unsigned
engine_free_slots(const struct engine *engine)
{
	bool is_free = engine->state == ENGINE_UP && engine->conf->slots > engine->busy;

	return is_free ? engine->conf->slots - engine->busy : 0;
}

const char *
engine_name(const struct engine *engine)
{
	return engine->conf->name;
}

const char *
engine_labels(const struct engine *engine)
{
	if (engine->labels != NULL)
		return engine->labels;
	return engine->conf->labels != NULL ? engine->conf->labels : "";
}

void
engine_take(struct engine *engine)
{
	assert(engine_free_slots(engine) > 0);
	engine->busy++;
}

void
engine_give_back(struct engine *engine)
{
	engine->busy--;
	engine->on_slot(engine->arg);
}

static void
on_run_ended(void *arg)
{
	struct engine *e = arg;

	engine_give_back(e);
	if (e->state == ENGINE_ENDING && LIST_EMPTY(&e->runs))
		pool_end(&e->pool, on_pool_end, e);
}

static struct run_place
place_of(struct engine *e)
{
	return (struct run_place){ .host = &e->host,
		.pulls = e->pulls,
		.sandboxes = e->sandboxes,
		.pool = e->pool,
		.runs = &e->runs,
		.engine = e->conf->name };
}

struct builder_run *
engine_run(struct engine *engine, const struct builder_job *job, const struct builder_events *events, void *arg)
{
	struct run_place place = place_of(engine);

	if (job->spec->kind == JOB_KIND_BUILD && job->spec->build->platforms.count > 0)
		return index_run_start(&place, job, events, arg, on_run_ended, engine);
	if (job->spec->kind == JOB_KIND_BUILD)
		return image_run_start(&place, job, events, arg, on_run_ended, engine);
	return run_start(&place, job, events, arg, on_run_ended, engine);
}

struct builder_run *
engine_adopt(struct engine *engine, const struct builder_job *job, const struct builder_left *left,
    const struct builder_events *events, void *arg)
{
	struct run_place place = place_of(engine);

	engine->busy++;
	return run_adopt(&place, job, left, events, arg, on_run_ended, engine);
}

/* Of a job that runs again the attempt before it may still be held. */
struct run *
engine_find(const struct engine *engine, const char *job)
{
	struct run *run, *held = NULL;

	for (run = LIST_FIRST(&engine->runs); run != NULL; run = run_next(run)) {
		if (strcmp(run_job(run), job) != 0)
			continue;
		if (!run_is_forgotten(run))
			return run;
		held = run;
	}
	return held;
}

bool
engine_release(struct engine *engine, const char *id)
{
	size_t len = strlen(id);
	bool found = false;

	for (struct run *run = LIST_FIRST(&engine->runs); run != NULL; run = run_next(run)) {
		const char *job = run_job(run);

		if (!run_is_held(run) || strncmp(job, id, len) != 0 || (job[len] != '\0' && job[len] != '.'))
			continue;
		run_end(run, "released");
		found = true;
	}
	return found;
}

struct terminal *
engine_terminal(struct engine *engine, const char *container, const struct terminal_spec *spec,
    const struct terminal_handler *handler, void *arg)
{
	return terminal_start(&engine->host, container, spec, handler, arg);
}

void
engine_status(const struct engine *engine, struct builder_engine_status *ret)
{
	*ret = (struct builder_engine_status){ .name = engine->conf->name,
		.version = engine->version.version,
		.up = engine->state == ENGINE_UP,
		.has_failed = engine->why_down.code != ERR_NONE,
		.reason = engine->why_down.code != ERR_NONE ? engine->why_down.text : "",
		.slots = engine->conf->slots,
		.busy = engine->busy,
		.warm = pool_ready(engine->pool) };
	if (!ret->up && ret->reason[0] == '\0')
		ret->reason = "connecting";
}
