#include "server/builder/index_run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/built_image.h"
#include "proto/crypto.h"
#include "proto/image.h"
#include "proto/image_index.h"
#include "proto/mem.h"
#include "proto/platform.h"
#include "proto/registry_login.h"
#include "server/builder/verdict.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/io/registry.h"

enum {
	DEFAULT_TIMEOUT_S = 600,
	TRIES = 6, /* of a request: the first, and those after 1, 2, 4, 8 and 16 s */
	AGAIN_MS = 1000,
};

enum index_state {
	INDEX_STARTED, /* until the owner has written down that it is */
	INDEX_LOOK,    /* which registries the engine asks without TLS: so do we, of what it has pushed */
	INDEX_GATHER,  /* the manifest of a platform, in each repository */
	INDEX_ASK,     /* what the registry has under a name */
	INDEX_PUT,
	INDEX_WAIT, /* for a registry that is away */
	INDEX_DONE,
};

/* Of a name that is the first of its repository. */
struct repository {
	struct image_index index;
	struct image_index_document document; /* text NULL: it is not whole yet */
};

struct index_run {
	struct builder_run base;
	struct run_place place;
	const struct builder_job *job;
	const struct builder_events *events;
	void *arg;
	run_ended_fn *ended;
	void *ended_arg;
	enum index_state state;

	struct strings names;            /* the tags, whole */
	struct repository *repositories; /* by the number of its first name */
	size_t at;                       /* of the names */
	struct registry *registry;       /* of that name */
	struct registry_op *op;          /* of the state, as the next one */
	struct docker_op *look;
	struct deferred *begin;
	struct clear_registries clear;
	enum index_state failed_in; /* that is tried again */
	unsigned failed;            /* attempts at it */
	struct timer *again;
	struct timer *deadline;
	struct verdict verdict;
};

static void enter_started(struct index_run *r);
static void enter_look(struct index_run *r);
static void enter_gather(struct index_run *r);
static void enter_ask(struct index_run *r);
static void enter_put(struct index_run *r);
static void enter_wait(struct index_run *r);
static void enter_done(struct index_run *r);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct index_run *r);
} states[] = {
	[INDEX_STARTED] = { "started", enter_started },
	[INDEX_LOOK]    = { "look",    enter_look },
	[INDEX_GATHER]  = { "gather",  enter_gather },
	[INDEX_ASK]     = { "ask",     enter_ask },
	[INDEX_PUT]     = { "put",     enter_put },
	[INDEX_WAIT]    = { "wait",    enter_wait },
	[INDEX_DONE]    = { "done",    enter_done },
};
/* clang-format on */

/* The only place where the state changes. r may be gone when it returns. */
static void
index_step(struct index_run *r, enum index_state next)
{
	log_debug("job %s: list: %s -> %s", r->job->id, states[r->state].name, states[next].name);
	deferred_cancel(&r->begin);
	docker_cancel(&r->look);
	registry_cancel(&r->op);
	timer_stop(r->again);
	r->state = next;
	states[next].enter(r);
}

static void
index_end(struct index_run *r, enum builder_state state, struct err err)
{
	if (r->state == INDEX_DONE)
		return;
	verdict_end(&r->verdict, state, err);
	index_step(r, INDEX_DONE);
}

static const char *
name_of(const struct index_run *r)
{
	return r->names.items[r->at];
}

static void notice(struct index_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
notice(struct index_run *r, const char *fmt, ...)
{
	char text[500];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->events->notice(r->arg, text);
}

/* A registry that is away may come back; one that says no is not asked again. */
static void
index_fail(struct index_run *r, const struct err *err)
{
	struct err failure = err_prefix(*err, "%s", name_of(r));

	if (verdict_blame(err) != BUILDER_ERROR || ++r->failed == TRIES) {
		index_end(r, verdict_blame(err), failure);
		return;
	}
	notice(r, "%s; trying again", failure.text);
	r->failed_in = r->state;
	index_step(r, INDEX_WAIT);
}

static void
on_again(void *arg)
{
	struct index_run *r = arg;

	index_step(r, r->failed_in);
}

static void
enter_wait(struct index_run *r)
{
	timer_start(r->again, (int64_t)AGAIN_MS << (r->failed - 1));
}

/* --- the word to begin --- */

/* There is no container: who comes after a killed process begins anew, and comes to the same list. */
static void
enter_started(struct index_run *r)
{
	static const struct progress first = { 0 };

	r->events->started(r->arg, "", r->place.engine, &first);
}

static void
index_run_go(struct builder_run *run)
{
	struct index_run *r = (struct index_run *)run;

	if (r->state == INDEX_STARTED)
		index_step(r, INDEX_LOOK);
}

static void
index_run_end(struct builder_run *run, enum builder_state state, const char *why)
{
	index_end((struct index_run *)run, state, err_make(ERR_CANCELLED, 0, "%s", why));
}

static void
on_deadline(void *arg)
{
	struct index_run *r = arg;

	index_end(r, BUILDER_TIMED_OUT, err_make(ERR_TIMEOUT, 0, "took too long, in %s", states[r->state].name));
}

/* --- the registry --- */

/* The first name of the same repository. */
static size_t
first_of(const struct index_run *r, size_t name)
{
	return image_first_beside(&r->names, r->names.items[name]);
}

static struct repository *
repository_of(struct index_run *r)
{
	return &r->repositories[first_of(r, r->at)];
}

static void
on_looked(void *arg, const union docker_result *result, const struct err *err)
{
	struct index_run *r = arg;

	r->look = NULL;
	if (err != NULL) {
		index_end(r, verdict_blame(err), *err);
		return;
	}
	r->clear = result->registries;
	index_step(r, INDEX_GATHER);
}

static void
enter_look(struct index_run *r)
{
	r->look = docker_clear_registries(r->place.host->docker, on_looked, r);
}

static bool
may_be_clear(const struct index_run *r)
{
	struct image_ref ref = { .registry = "" };

	return image_parse(str_of(name_of(r)), &ref, NULL) && clear_registries_have(&r->clear, ref.registry);
}

/* Of the name in hand, kept as long as the repository is the same. */
static struct registry *
registry_of(struct index_run *r)
{
	struct registry_conf conf = { .image = name_of(r), .may_be_clear = may_be_clear(r) };
	char *login;

	if (r->registry != NULL)
		return r->registry;
	login = registry_login_basic(r->job->env, name_of(r));
	conf.login = login;
	r->registry = registry_new(r->place.host->loop, &conf);
	crypto_wipe_free(&login);
	return r->registry;
}

static void
next_name(struct index_run *r)
{
	size_t next = r->at + 1;

	registry_cancel(&r->op);
	if (next == r->names.count || first_of(r, next) != first_of(r, r->at))
		registry_free(&r->registry);
	r->failed = 0;
	r->at = next;
}

/* --- what the platforms' jobs have pushed --- */

static struct platform
platform_at(const struct index_run *r, size_t index)
{
	struct platform platform = { .text = "" };

	platform_parse(str_of(r->job->spec->build->platforms.items[index]), &platform, NULL);
	return platform;
}

/* The digest of what was pushed for the platform; "" when nothing was. */
static void
find_pushed(const struct index_run *r, const struct platform *platform, char ret[IMAGE_DIGEST_SIZE])
{
	char *name = platform_tag(name_of(r), platform);
	struct built_image built;
	struct str digest = { "", 0 };

	if (name != NULL && r->job->images != NULL && built_image_find(r->job->images, name, &built))
		digest = built_image_digest(&built);
	snprintf(ret, IMAGE_DIGEST_SIZE, "%.*s", (int)digest.len, digest.p);
	free(name);
}

/* Whether these are the bytes that were asked for. */
static bool
is_pushed(const struct index_run *r, const struct platform *platform, struct str manifest, struct err *err)
{
	char wanted[IMAGE_DIGEST_SIZE], hex[SHA256_HEX_SIZE];

	find_pushed(r, platform, wanted);
	sha256_hex(manifest, hex);
	return strncmp(wanted, "sha256:", strlen("sha256:")) != 0 || strcmp(wanted + strlen("sha256:"), hex) == 0 ||
	       err_set(err, ERR_PROTO, 0, "the registry gives something else under %s", wanted);
}

static void
on_manifest(void *arg, const struct registry_reply *reply, const struct err *err)
{
	struct index_run *r = arg;
	struct repository *repository = repository_of(r);
	struct platform platform = platform_at(r, repository->index.count);
	struct err failure;

	r->op = NULL;
	if (err == NULL && is_pushed(r, &platform, reply->body, &failure) &&
	    image_index_add(&repository->index, &platform, reply->body, &failure)) {
		r->failed = 0;
		index_step(r, INDEX_GATHER);
		return;
	}
	failure = err_prefix(err != NULL ? *err : failure, "%s", platform.text);
	if (err == NULL && failure.code == ERR_PROTO)
		failure.code = ERR_INPUT; /* asked again it would say the same */
	index_fail(r, &failure);
}

/* The next platform of the repository in hand. */
static void
gather_next(struct index_run *r, struct repository *repository)
{
	struct platform platform = platform_at(r, repository->index.count);
	struct err missing =
	    err_make(ERR_NOT_FOUND, 0, "nothing was pushed for %s by the jobs that this one needs", platform.text);
	char digest[IMAGE_DIGEST_SIZE];

	find_pushed(r, &platform, digest);
	if (digest[0] == '\0')
		index_fail(r, &missing);
	else
		r->op = registry_get(registry_of(r), digest, on_manifest, r);
}

/* All lists are whole before the first of them goes out. */
static void
enter_gather(struct index_run *r)
{
	const struct build_spec *build = r->job->spec->build;

	while (r->at < r->names.count) {
		struct repository *repository = repository_of(r);

		if (first_of(r, r->at) == r->at && repository->index.count < build->platforms.count) {
			gather_next(r, repository);
			return;
		}
		if (repository->document.text == NULL)
			image_index_print(&repository->index, &build->labels, &repository->document);
		next_name(r);
	}
	r->at = 0;
	index_step(r, INDEX_ASK);
}

/* --- under each name --- */

/* The next name. verb: how this one came there. */
static void
is_there(struct index_run *r, const char *verb)
{
	const char *digest = repository_of(r)->document.digest;

	notice(r, "%s %s %s", verb, name_of(r), digest);
	snprintf(r->verdict.result.image_digest, sizeof(r->verdict.result.image_digest), "%s", digest);
	if (r->events->image != NULL)
		r->events->image(r->arg, name_of(r), digest, "");
	next_name(r);
	index_step(r, INDEX_ASK);
}

/* Another image has the name. */
static void
differs(struct index_run *r, const char *there)
{
	struct err err =
	    err_make(ERR_INPUT, 0, "the registry has another image under this name, %s; existing: fail", there);

	if (r->job->spec->build->existing == BUILD_FAIL) {
		index_fail(r, &err);
		return;
	}
	notice(r, "kept %s %s, which is another image", name_of(r), there);
	next_name(r);
	index_step(r, INDEX_ASK);
}

static void
on_asked(void *arg, const struct registry_reply *reply, const struct err *err)
{
	struct index_run *r = arg;

	r->op = NULL;
	if (err != NULL && err->code == ERR_NOT_FOUND)
		index_step(r, INDEX_PUT);
	else if (err != NULL)
		index_fail(r, err);
	else if (strcmp(reply->digest, repository_of(r)->document.digest) == 0)
		is_there(r, "there already:");
	else
		differs(r, reply->digest);
}

/* What stands behind the name's last colon. */
static const char *
tag_of(const char *name)
{
	return strrchr(name, ':') + 1;
}

static void
enter_ask(struct index_run *r)
{
	if (r->at == r->names.count)
		index_step(r, INDEX_DONE);
	else if (r->job->spec->build->existing == BUILD_REPLACE)
		index_step(r, INDEX_PUT);
	else
		r->op = registry_head(registry_of(r), tag_of(name_of(r)), on_asked, r);
}

static void
on_put(void *arg, const struct registry_reply *reply, const struct err *err)
{
	struct index_run *r = arg;
	const char *digest = repository_of(r)->document.digest;
	struct err other =
	    err_make(ERR_INPUT, 0, "the registry has stored something else: %.100s", err == NULL ? reply->digest : "");

	r->op = NULL;
	if (err != NULL) {
		index_fail(r, err);
	} else if (reply->digest[0] != '\0' && strcmp(reply->digest, digest) != 0) {
		index_fail(r, &other);
	} else {
		is_there(r, "pushed");
	}
}

static void
enter_put(struct index_run *r)
{
	const struct image_index_document *document = &repository_of(r)->document;

	r->op = registry_put(registry_of(r), tag_of(name_of(r)), document->media_type,
	    (struct str){ document->text, document->len }, on_put, r);
}

/* --- the end --- */

static void
index_free(struct index_run *r)
{
	registry_free(&r->registry);
	timer_free(&r->again);
	timer_free(&r->deadline);
	for (size_t i = 0; i < r->names.count; i++)
		free(r->repositories[i].document.text);
	free(r->repositories);
	strings_fini(&r->names);
	free(r);
}

static void
on_finish(void *arg)
{
	struct index_run *r = arg;
	const struct builder_events *events = r->events;
	struct builder_result result = verdict_result_passed(&r->verdict);
	run_ended_fn *ended = r->ended;
	void *ended_arg = r->ended_arg;
	void *events_arg = r->arg;

	index_free(r);
	ended(ended_arg);
	events->done(events_arg, &result);
}

static void
enter_done(struct index_run *r)
{
	timer_stop(r->deadline);
	deferred_call(r->place.host->loop, on_finish, r);
}

/* As registries and engines call them. */
static bool
add_names(struct index_run *r, const struct strings *tags, struct err *err)
{
	for (size_t i = 0; i < tags->count; i++) {
		struct image_ref ref;
		char *name;

		if (!image_parse(str_of(tags->items[i]), &ref, err))
			return false;
		name = image_print(&ref);
		strings_add(&r->names, str_of(name));
		free(name);
	}
	return true;
}

static void
on_begin(void *arg)
{
	struct index_run *r = arg;

	r->begin = NULL;
	index_step(r, INDEX_STARTED);
}

struct builder_run *
index_run_start(const struct run_place *place, const struct builder_job *job, const struct builder_events *events,
    void *arg, run_ended_fn *ended, void *ended_arg)
{
	static const struct run_kind kind = { .go = index_run_go, .end = index_run_end };
	struct index_run *r = xcalloc(1, sizeof(*r));
	unsigned timeout = job->spec->timeout_s != 0 ? job->spec->timeout_s : DEFAULT_TIMEOUT_S;
	struct err err;

	*r = (struct index_run){ .base = { &kind },
		.place = *place,
		.job = job,
		.events = events,
		.arg = arg,
		.ended = ended,
		.ended_arg = ended_arg };
	verdict_init(&r->verdict);
	r->again = timer_new(place->host->loop, on_again, r);
	r->deadline = timer_new(place->host->loop, on_deadline, r);
	timer_start(r->deadline, (int64_t)timeout * 1000);
	r->repositories = xcalloc(job->spec->build->tags.count + 1, sizeof(*r->repositories));
	if (add_names(r, &job->spec->build->tags, &err))
		r->begin = deferred_call(place->host->loop, on_begin, r);
	else
		index_end(r, BUILDER_FAILED, err);
	return &r->base;
}
