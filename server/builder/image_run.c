#include "server/builder/image_run.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/image.h"
#include "proto/mem.h"
#include "proto/registry_login.h"
#include "server/builder/image_build.h"
#include "server/builder/image_push.h"
#include "server/builder/verdict.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"

enum {
	DEFAULT_TIMEOUT_S = 3600,
};

enum image_state {
	IMAGE_SANDBOX,
	IMAGE_STARTED, /* until the owner has written down that it is */
	IMAGE_FIND,    /* what an attempt before has built */
	IMAGE_CACHE,   /* images whose layers may be taken: each is fetched */
	IMAGE_COMPILE, /* of a lite_image */
	IMAGE_CREATE,  /* a container of what was compiled, which is never started */
	IMAGE_BUILD,
	IMAGE_CHECK, /* whether it is for the platform that is wanted */
	IMAGE_BUILT, /* until the owner has written down that it is */
	IMAGE_PUSH,
	IMAGE_REMOVE, /* that container */
	IMAGE_FORGET, /* what was compiled */
	IMAGE_DONE,
};

struct image_run {
	struct builder_run base;
	struct run_place place;
	const struct builder_job *job;
	const struct builder_events *events;
	void *arg;
	run_ended_fn *ended;
	void *ended_arg;
	enum image_state state;

	struct sandbox_claim *claim;
	struct sandbox *sandbox;
	struct docker_op *op; /* of the state */
	struct timer *deadline;
	struct host_labels labels;
	const char *container; /* of what was compiled; NULL: none */
	char compiled[DOCKER_ID_SIZE];
	char built[DOCKER_ID_SIZE];
	struct strings names; /* the tags, whole */
	struct image_push *push;
	struct strings cache; /* of cache_from, those that are there */
	size_t fetched;       /* how many were asked for */
	struct image_build *build;
	bool is_anew;       /* built a second time, without the engine's layers */
	uint64_t raw_bytes; /* of output */

	struct verdict verdict;
};

static void enter_sandbox(struct image_run *r);
static void enter_started(struct image_run *r);
static void enter_find(struct image_run *r);
static void enter_cache(struct image_run *r);
static void enter_compile(struct image_run *r);
static void enter_create(struct image_run *r);
static void enter_build(struct image_run *r);
static void enter_check(struct image_run *r);
static void enter_built(struct image_run *r);
static void enter_push(struct image_run *r);
static void enter_remove(struct image_run *r);
static void enter_forget(struct image_run *r);
static void enter_done(struct image_run *r);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct image_run *r);
	enum image_state next;
} states[] = {
	[IMAGE_SANDBOX] = { "sandbox", enter_sandbox, IMAGE_STARTED },
	[IMAGE_STARTED] = { "started", enter_started, IMAGE_FIND },
	[IMAGE_FIND]    = { "find",    enter_find,    IMAGE_PUSH },
	[IMAGE_CACHE]   = { "cache",   enter_cache,   IMAGE_COMPILE },
	[IMAGE_COMPILE] = { "compile", enter_compile, IMAGE_CREATE },
	[IMAGE_CREATE]  = { "create",  enter_create,  IMAGE_BUILD },
	[IMAGE_BUILD]   = { "build",   enter_build,   IMAGE_CHECK },
	[IMAGE_CHECK]   = { "check",   enter_check,   IMAGE_BUILT },
	[IMAGE_BUILT]   = { "built",   enter_built,   IMAGE_PUSH },
	[IMAGE_PUSH]    = { "push",    enter_push,    IMAGE_REMOVE },
	[IMAGE_REMOVE]  = { "remove",  enter_remove,  IMAGE_FORGET },
	[IMAGE_FORGET]  = { "forget",  enter_forget,  IMAGE_DONE },
	[IMAGE_DONE]    = { "done",    enter_done,    IMAGE_DONE },
};
/* clang-format on */

/* The only place where the state changes. r may be gone when it returns. */
static void
image_step(struct image_run *r, enum image_state next)
{
	log_debug("job %s: image: %s -> %s", r->job->id, states[r->state].name, states[next].name);
	sandbox_unclaim(&r->claim);
	docker_cancel(&r->op);
	image_build_cancel(&r->build);
	image_push_cancel(&r->push);
	r->state = next;
	states[next].enter(r);
}

/* The only way off the happy path. */
static void
image_fail(struct image_run *r, enum builder_state state, struct err err)
{
	if (r->state >= IMAGE_REMOVE) {
		log_warn("job %s: image: %s", r->job->id, err.text); /* which changes no result */
		image_step(r, states[r->state].next);
		return;
	}
	verdict_end(&r->verdict, state, err);
	image_step(r, IMAGE_REMOVE);
}

static void
image_run_end(struct builder_run *run, enum builder_state state, const char *why)
{
	struct image_run *r = (struct image_run *)run;

	if (r->state < IMAGE_REMOVE)
		image_fail(r, state, err_make(ERR_CANCELLED, 0, "%s", why));
}

static void
on_deadline(void *arg)
{
	struct image_run *r = arg;

	if (r->state < IMAGE_REMOVE)
		image_fail(
		    r, BUILDER_TIMED_OUT, err_make(ERR_TIMEOUT, 0, "took too long, in %s", states[r->state].name));
}

static void
on_reply(void *arg, const union docker_result *result, const struct err *err)
{
	struct image_run *r = arg;

	(void)result;
	r->op = NULL;
	if (err != NULL)
		image_fail(r, verdict_blame(err), *err);
	else
		image_step(r, states[r->state].next);
}

/* --- sandbox, and the word to begin --- */

static void
on_sandbox(void *arg, struct sandbox *sandbox, const struct err *err)
{
	struct image_run *r = arg;

	r->claim = NULL;
	r->sandbox = sandbox;
	if (err != NULL)
		image_fail(r, BUILDER_ERROR, *err);
	else
		image_step(r, states[r->state].next);
}

static void
enter_sandbox(struct image_run *r)
{
	r->claim = sandbox_claim(r->place.sandboxes, on_sandbox, r);
}

static void
enter_started(struct image_run *r)
{
	static const struct progress first = { 0 };

	r->events->started(r->arg, sandbox_network(r->sandbox), r->place.engine, &first);
}

static void
image_run_go(struct builder_run *run)
{
	struct image_run *r = (struct image_run *)run;

	if (r->state == IMAGE_STARTED || r->state == IMAGE_BUILT)
		image_step(r, states[r->state].next);
}

/* --- what an attempt before has built --- */

static void
on_found(void *arg, const union docker_result *result, const struct err *err)
{
	struct image_run *r = arg;

	(void)result;
	r->op = NULL;
	if (err == NULL) {
		snprintf(r->built, sizeof(r->built), "%s", r->job->built);
		r->events->notice(r->arg, "the image that was built before is pushed");
		image_step(r, states[r->state].next);
	} else if (err->code == ERR_NOT_FOUND) {
		image_step(r, IMAGE_CACHE);
	} else {
		image_fail(r, verdict_blame(err), *err);
	}
}

static void
enter_find(struct image_run *r)
{
	const struct builder_job *job = r->job;

	if (job->built != NULL && job->built[0] != '\0' && strcmp(job->built_on, r->place.engine) == 0)
		r->op = docker_image_inspect(r->place.host->docker, job->built, job->built, on_found, r);
	else
		image_step(r, IMAGE_CACHE);
}

/* --- images whose layers are taken --- */

/* One that is not to be had is no reason not to build. */
static void
on_cache(void *arg, const union docker_result *result, const struct err *err)
{
	struct image_run *r = arg;
	const char *name = r->job->spec->build->cache_from.items[r->fetched++];
	struct err why;

	(void)result;
	r->op = NULL;
	if (err == NULL) {
		strings_add(&r->cache, str_of(name));
	} else {
		why = err_prefix(*err, "cache_from %s", name);
		r->events->notice(r->arg, why.text);
	}
	image_step(r, IMAGE_CACHE);
}

static void
enter_cache(struct image_run *r)
{
	const struct strings *names = &r->job->spec->build->cache_from;
	struct image_ref ref;
	char *name, *auth;

	if (r->fetched == names->count || !image_parse(str_of(names->items[r->fetched]), &ref, NULL)) {
		image_step(r, states[r->state].next);
		return;
	}
	name = image_print(&ref);
	auth = registry_login(r->job->env, name);
	r->op = docker_image_pull(
	    r->place.host->docker, name, auth, host_foreign(r->place.host, r->job->spec->build->platform), on_cache, r);
	crypto_wipe_free(&auth);
	free(name);
}

/* --- a build --- */

static void
on_notice(void *arg, const char *text)
{
	struct image_run *r = arg;

	r->events->notice(r->arg, text);
}

static void
on_text(void *arg, struct str text)
{
	struct image_run *r = arg;
	uint64_t limit = r->place.host->limits.log_bytes;

	r->raw_bytes += text.len;
	if (r->raw_bytes > limit) {
		r->verdict.result.truncated = true;
		image_fail(r, BUILDER_FAILED,
		    err_make(ERR_LIMIT, 0, "wrote more than %llu bytes of output", (unsigned long long)limit));
		return;
	}
	r->events->output(r->arg, BUILDER_STDOUT, text, r->raw_bytes);
}

static void
on_built(void *arg, const char *id, const struct err *err)
{
	struct image_run *r = arg;

	r->build = NULL;
	CRASH_POINT(image_built);
	if (err != NULL) {
		image_fail(r, verdict_blame(err), *err);
		return;
	}
	if (r->state == IMAGE_COMPILE)
		snprintf(r->compiled, sizeof(r->compiled), "%s", id);
	else
		snprintf(r->built, sizeof(r->built), "%s", id);
	image_step(r, states[r->state].next);
}

/* names: that it gets; container: out of which files go into the context, NULL for none. */
static void
begin_build(struct image_run *r, const struct build_spec *build, const struct strings *names, const char *container)
{
	static const struct image_build_handler handler = { on_notice, on_text, on_built };
	const struct image_build_spec spec = { .job = r->job,
		.build = build,
		.names = names,
		.cache_from = &r->cache,
		.engine = r->place.engine,
		.platform = r->job->spec->build->platform,
		.no_cache = r->is_anew,
		.network = sandbox_mode(r->sandbox),
		.container = container };

	if (!r->is_anew)
		r->events->segment(r->arg, states[r->state].name, -1);
	r->build = image_build_start(r->place.host, &spec, &handler, r);
}

static void
enter_compile(struct image_run *r)
{
	if (r->job->spec->build->compile != NULL)
		begin_build(r, r->job->spec->build->compile, NULL, NULL);
	else
		image_step(r, IMAGE_BUILD);
}

static void
enter_build(struct image_run *r)
{
	CRASH_POINT(image_building);
	begin_build(r, r->job->spec->build, &r->names, r->container);
}

/* --- its platform --- */

/* The engine takes layers that it has without a look at the platform that they were built for. */
static void
build_anew(struct image_run *r, const char *platform)
{
	char text[200];

	snprintf(text, sizeof(text),
	    "what was built is for %s, perhaps of layers that the engine had; building all of it anew", platform);
	r->events->notice(r->arg, text);
	r->is_anew = true;
	image_step(r, IMAGE_BUILD);
}

static void
on_checked(void *arg, const union docker_result *result, const struct err *err)
{
	struct image_run *r = arg;
	const char *wanted = r->job->spec->build->platform;
	const char *made =
	    err == NULL && result->image.platform.text[0] != '\0' ? result->image.platform.text : "an unknown platform";
	struct err other = err_make(ERR_INPUT, 0,
	    "what was built is for %s, and not for %s: is there an image for that of what its Dockerfile begins from?",
	    made, wanted);

	r->op = NULL;
	if (err != NULL)
		image_fail(r, verdict_blame(err), *err);
	else if (strcmp(made, wanted) == 0)
		image_step(r, states[r->state].next);
	else if (!r->is_anew && !r->job->spec->build->no_cache)
		build_anew(r, made);
	else
		image_fail(r, BUILDER_FAILED, other);
}

static void
enter_check(struct image_run *r)
{
	if (r->job->spec->build->platform != NULL)
		r->op = docker_image_inspect(r->place.host->docker, r->built, r->built, on_checked, r);
	else
		image_step(r, states[r->state].next);
}

/* --- what was compiled --- */

static void
enter_create(struct image_run *r)
{
	static const char *const command[] = { "/never-started", NULL };
	const struct builder_limits *limits = &r->place.host->limits;
	struct docker_container_spec spec = { .role = DOCKER_JOB,
		.image = r->compiled,
		.command = command,
		.network = "none",
		.labels = r->labels.list,
		.label_count = r->labels.count,
		.limits = { limits->memory, limits->nano_cpus, limits->pids, limits->log_bytes } };

	if (r->job->spec->build->extract.count == 0) {
		image_step(r, states[r->state].next);
		return;
	}
	r->container = host_own(r->place.host, "%s-%u-compiled", r->job->id, r->job->attempt);
	r->op = docker_create(r->place.host->docker, r->container, &spec, on_reply, r);
}

static void
enter_remove(struct image_run *r)
{
	timer_stop(r->deadline);
	if (r->container != NULL)
		r->op = docker_remove(r->place.host->docker, r->container, on_reply, r);
	else
		image_step(r, states[r->state].next);
}

static void
enter_forget(struct image_run *r)
{
	if (r->compiled[0] != '\0')
		r->op = docker_image_remove(r->place.host->docker, r->compiled, on_reply, r);
	else
		image_step(r, states[r->state].next);
}

/* --- push --- */

static void
tell_image(struct image_run *r, const char *name, const char *digest)
{
	char *result = r->verdict.result.image_digest;

	snprintf(result, sizeof(r->verdict.result.image_digest), "%s", digest[0] != '\0' ? digest : r->built);
	if (name != NULL && r->events->image != NULL)
		r->events->image(r->arg, name, digest, r->built);
}

static void
enter_built(struct image_run *r)
{
	bool is_pushed = r->job->spec->build->push;

	for (size_t i = 0; i < r->names.count && !is_pushed; i++)
		tell_image(r, r->names.items[i], "");
	if (r->names.count == 0)
		tell_image(r, NULL, "");
	if (is_pushed && r->events->built != NULL)
		r->events->built(r->arg, r->built);
	else
		image_step(r, states[r->state].next);
}

static void
on_pushed(void *arg, const char *name, const char *digest)
{
	tell_image(arg, name, digest);
}

static void
on_push_done(void *arg, const struct err *err)
{
	struct image_run *r = arg;

	r->push = NULL;
	if (err == NULL) {
		image_step(r, states[r->state].next);
		return;
	}
	r->events->notice(
	    r->arg, "the image stays on the engine; a rerun of what has failed pushes it without building it");
	image_fail(r, verdict_blame(err), *err);
}

static void
enter_push(struct image_run *r)
{
	static const struct image_push_handler handler = { on_notice, on_pushed, on_push_done };
	const struct build_spec *build = r->job->spec->build;
	const struct image_push_spec spec = {
		.image = r->built, .names = &r->names, .existing = build->existing, .env = r->job->env
	};

	if (build->push)
		r->push = image_push_start(r->place.host, &spec, &handler, r);
	else
		image_step(r, states[r->state].next);
}

/* --- the end --- */

static void
on_finish(void *arg)
{
	struct image_run *r = arg;
	const struct builder_events *events = r->events;
	struct builder_result result = verdict_result_passed(&r->verdict);
	run_ended_fn *ended = r->ended;
	void *ended_arg = r->ended_arg;
	void *events_arg = r->arg;

	host_disown(r->place.host, &r->container);
	timer_free(&r->deadline);
	strings_fini(&r->names);
	strings_fini(&r->cache);
	free(r);
	ended(ended_arg);
	events->done(events_arg, &result);
}

/* Later, since a job may be cancelled before there is anything to wait for. The steps' containers are the engine's. */
static void
enter_done(struct image_run *r)
{
	sandbox_put(&r->sandbox, true);
	deferred_call(r->place.host->loop, on_finish, r);
}

/* docker.io/library/app:latest for app: what the engine and the registries call it. */
static bool
add_name(struct image_run *r, const char *tag, struct err *err)
{
	struct image_ref ref;
	char *name;

	if (!image_parse(str_of(tag), &ref, err))
		return false;
	if (ref.digest[0] != '\0')
		return err_set(err, ERR_INPUT, 0, "tags: %.80s has a digest, which only the registry can give", tag);
	name = image_print(&ref);
	strings_add(&r->names, str_of(name));
	free(name);
	return true;
}

struct builder_run *
image_run_start(const struct run_place *place, const struct builder_job *job, const struct builder_events *events,
    void *arg, run_ended_fn *ended, void *ended_arg)
{
	/* Never detached: the engine's build ends with the connection that asked for it. */
	static const struct run_kind kind = { .go = image_run_go, .end = image_run_end };
	struct image_run *r = xcalloc(1, sizeof(*r));
	unsigned timeout = job->spec->timeout_s != 0 ? job->spec->timeout_s : DEFAULT_TIMEOUT_S;
	const struct strings *tags = &job->spec->build->tags;
	struct err err = ERR_OK;

	assert(job->workspace_tar != NULL);
	*r = (struct image_run){ .base = { &kind },
		.place = *place,
		.job = job,
		.events = events,
		.arg = arg,
		.ended = ended,
		.ended_arg = ended_arg };
	verdict_init(&r->verdict);
	r->deadline = timer_new(place->host->loop, on_deadline, r);
	timer_start(r->deadline, (int64_t)timeout * 1000);
	host_labels_init(&r->labels, place->host, "job");
	host_labels_job(&r->labels, job, loop_wall_ms() + (int64_t)timeout * 1000);
	for (size_t i = 0; i < tags->count && add_name(r, tags->items[i], &err); i++)
		;
	if (err.code != ERR_NONE)
		image_fail(r, BUILDER_FAILED, err);
	else
		image_step(r, IMAGE_SANDBOX);
	return &r->base;
}
