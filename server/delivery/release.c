#include "server/delivery/release.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/built_image.h"
#include "proto/image.h"
#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/delivery/release_private.h"
#include "server/delivery/stock.h"

enum {
	BACK_MS = 900000, /* for going back, and for removing what was there before */
	AWAY_MS = 1000,   /* until an engine that does not answer is asked again */
	TROUBLE_MAX = 20, /* of the engine's refusals on the way back */
	IMAGES_MAX = 64 * 1024,
	LOG_MAX = 16 * 1024,
};

static void enter_engine(struct release *d);
static void enter_check(struct release *d);
static void enter_images(struct release *d);
static void enter_started(struct release *d);
static void enter_work(struct release *d);
static void enter_logs(struct release *d);
static void enter_verdict(struct release *d);
static void enter_away(struct release *d);
static void enter_done(struct release *d);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct release *d);
	enum release_step next;
} states[] = {
	[RELEASE_ENGINE]  = { "engine",  enter_engine,  RELEASE_CHECK },
	[RELEASE_CHECK]   = { "check",   enter_check,   RELEASE_IMAGES },
	[RELEASE_IMAGES]  = { "images",  enter_images,  RELEASE_STARTED },
	[RELEASE_STARTED] = { "started", enter_started, RELEASE_WORK },
	[RELEASE_WORK]    = { "work",    enter_work,    RELEASE_VERDICT },
	[RELEASE_LOGS]    = { "logs",    enter_logs,    RELEASE_VERDICT },
	[RELEASE_VERDICT] = { "verdict", enter_verdict, RELEASE_ENGINE },
	[RELEASE_AWAY]    = { "away",    enter_away,    RELEASE_ENGINE },
	[RELEASE_DONE]    = { "done",    enter_done,    RELEASE_DONE },
};
/* clang-format on */

/* --- the machine --- */

struct loop *
release_loop(const struct release *d)
{
	return destinations_loop(d->destinations);
}

void
release_halt(struct release *d)
{
	timer_stop(d->timer);
	docker_cancel(&d->op);
	resolve_cancel(&d->resolve);
	deferred_cancel(&d->next);
	d->kind->halt(d);
}

/* The only place where the state changes. d may be gone when it returns. */
static void
release_step(struct release *d, enum release_step next)
{
	log_debug("job %s: release: %s -> %s", d->job->name, states[d->state].name, states[next].name);
	release_halt(d);
	d->state = next;
	states[next].enter(d);
}

static void
on_next(void *arg)
{
	struct release *d = arg;

	d->next = NULL;
	release_step(d, states[d->state].next);
}

void
release_pass(struct release *d)
{
	d->next = deferred_call(destinations_loop(d->destinations), on_next, d);
}

void
release_say(struct release *d, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->events->notice(d->arg, text);
}

static void
set_result(struct release *d, enum release_state state, const char *reason)
{
	d->result.state = state;
	snprintf(d->result.reason, sizeof(d->result.reason), "%s", reason);
}

/* The only way off the happy path. On the way back, and when what was there before goes, there is no other way any
 * more. */
void
release_fail(struct release *d, enum release_state state, struct err err)
{
	if (d->has_verdict) {
		log_warn("job %s: release: %s: %s", d->job->name, states[d->state].name, err.text);
		release_say(d, "%s", err.text);
		release_step(d, RELEASE_DONE);
		return;
	}
	set_result(d, state, err.text);
	d->has_verdict = true;
	release_step(d, d->is_begun ? RELEASE_LOGS : RELEASE_DONE);
}

bool
release_is_away(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE || err->code == ERR_IO || err->code == ERR_TIMEOUT ||
	       err->code == ERR_PROTO;
}

/* The engine does not answer as it should. As long as the way's time lasts, it is asked again. */
void
release_away(struct release *d, const struct err *err)
{
	if (!d->was_away)
		release_say(d, "the engine %s does not answer: %s; it is asked again", d->destination->name, err->text);
	d->was_away = true;
	release_step(d, RELEASE_AWAY);
}

/* What was begun could not be brought to its end. */
static void
give_up(struct release *d)
{
	char text[256], end[60];
	struct err err;

	if (d->state == RELEASE_AWAY || d->was_away)
		snprintf(end, sizeof(end), "the engine does not answer");
	else
		snprintf(end, sizeof(end), "%s do not %s", d->kind->old,
		    d->rollout.way == ROLLOUT_BACK ? "come back" : "go");
	snprintf(text, sizeof(text), "%.100s%s%s, so what runs there is not known; the next deployment puts it right",
	    d->result.reason, d->result.reason[0] != '\0' ? "; " : "", end);
	err = err_make(ERR_TIMEOUT, 0, "%s", text);
	if (d->rollout.way == ROLLOUT_BACK)
		set_result(d, RELEASE_ERROR, text);
	release_fail(d, RELEASE_ERROR, err);
}

static void
on_deadline(void *arg)
{
	struct release *d = arg;

	if (d->has_verdict)
		give_up(d);
	else if (d->was_away)
		release_fail(
		    d, RELEASE_ERROR, err_make(ERR_TIMEOUT, 0, "the engine %s does not answer", d->destination->name));
	else
		release_fail(
		    d, RELEASE_TIMED_OUT, err_make(ERR_TIMEOUT, 0, "took too long, in %s", states[d->state].name));
}

bool
release_holds(struct release *d, const struct err *err)
{
	if (err == NULL)
		return true;
	if (release_is_away(err))
		release_away(d, err);
	else if (d->has_verdict && ++d->trouble <= TROUBLE_MAX)
		release_step(d, RELEASE_AWAY);
	else if (d->has_verdict)
		give_up(d);
	else
		release_fail(d, RELEASE_FAILED, *err);
	return false;
}

static void
on_timer(void *arg)
{
	struct release *d = arg;

	release_step(d, states[d->state].next);
}

static void
enter_away(struct release *d)
{
	timer_start(d->timer, AWAY_MS);
}

/* --- before anything is changed --- */

static bool
has_images(const struct release *d)
{
	return d->ids.count == d->job->application->service_count;
}

static void
on_version(void *arg, const union docker_result *result, const struct err *err)
{
	struct release *d = arg;

	(void)result;
	d->op = NULL;
	if (err != NULL) {
		release_away(d, err);
		return;
	}
	if (d->was_away)
		release_say(d, "the engine %s answers again", d->destination->name);
	d->was_away = false;
	release_step(d, d->has_verdict || has_images(d) ? RELEASE_WORK : RELEASE_CHECK);
}

static void
enter_engine(struct release *d)
{
	d->op = docker_version(d->destination->docker, on_version, d);
}

static void
enter_check(struct release *d)
{
	d->kind->enter_check(d);
}

static void
on_pull(void *arg, const char *image)
{
	release_say(arg, "pulling %s", image);
}

/* NAME@DIGEST, which any node of a swarm can ask for; its id where no registry has it. */
static void
keep_reference(struct release *d, const struct resolved *resolved)
{
	struct image_ref ref;
	char *text;

	if (resolved->digest[0] == '\0' || !image_parse(str_of(resolved->name), &ref, NULL)) {
		strings_add(&d->references, str_of(resolved->id));
		return;
	}
	ref.tag[0] = '\0';
	snprintf(ref.digest, sizeof(ref.digest), "%s", resolved->digest);
	text = image_print(&ref);
	strings_add(&d->references, str_of(text));
	free(text);
}

static void
keep_image(struct release *d, const struct resolved *resolved)
{
	const char *service = d->job->application->services[d->ids.count].name;

	strings_add(&d->ids, str_of(resolved->id));
	keep_reference(d, resolved);
	if (strchr(resolved->name, '@') == NULL) /* else its name says which it is */
		built_image_add(&d->images, resolved->name, resolved->digest, resolved->id);
	release_say(
	    d, "%s: %s %s", service, resolved->name, resolved->digest[0] != '\0' ? resolved->digest : resolved->id);
}

static void
on_resolved(void *arg, const struct resolved *resolved, const struct err *err)
{
	struct release *d = arg;
	bool is_ours = err != NULL && (err->code == ERR_NOT_FOUND || err->code == ERR_AUTH || err->code == ERR_INPUT ||
					  err->code == ERR_REFUSED);

	d->resolve = NULL;
	if (err == NULL) {
		keep_image(d, resolved);
		release_step(d, RELEASE_IMAGES);
	} else if (d->job->is_left && release_is_away(err)) {
		release_away(d, err);
	} else {
		release_fail(d, is_ours ? RELEASE_FAILED : RELEASE_ERROR, *err);
	}
}

static void
enter_images(struct release *d)
{
	const struct application *application = d->job->application;

	if (has_images(d)) {
		release_pass(d);
		return;
	}
	d->wanted = (struct resolve_spec){ .service = &application->services[d->ids.count],
		.images = d->job->images,
		.needed_images = d->job->needed_images,
		.env = d->job->env };
	d->resolve = resolve_start(d->destination, &d->wanted, on_pull, on_resolved, d);
}

/* One that was left has been written down. */
static void
enter_started(struct release *d)
{
	CRASH_POINT(rollout_ready);
	if (d->job->is_left)
		release_pass(d);
	else
		d->events->started(d->arg, d->destination->name, buf_str(&d->images).p);
}

void
release_go(struct release *release)
{
	if (release->state == RELEASE_STARTED || release->state == RELEASE_VERDICT)
		release_step(release, states[release->state].next);
}

static void
enter_work(struct release *d)
{
	d->is_begun = true;
	d->kind->enter_work(d);
}

/* --- for the kinds --- */

char *
release_application(const struct release *d)
{
	return xasprintf("%s/%s", d->job->repo, d->job->environment);
}

bool
release_make_env(struct release *d, const struct application_service *service)
{
	struct err err;

	env_fini(&d->env);
	if (application_env(&service->env, d->job->env, &d->env, &err))
		return true;
	release_fail(d, RELEASE_FAILED, err_prefix(err, "%s", service->name));
	return false;
}

void
release_labels_init(struct release_labels *labels, const struct release *d, const char *service, unsigned replica)
{
	struct docker_label *at = labels->items;

	labels->application = release_application(d);
	snprintf(labels->replica, sizeof(labels->replica), "%u", replica);
	snprintf(labels->deployment, sizeof(labels->deployment), "%" PRId64, d->job->deployment);
	*at++ = (struct docker_label){ STOCK_APPLICATION, labels->application };
	*at++ = (struct docker_label){ STOCK_REPO, d->job->repo };
	*at++ = (struct docker_label){ STOCK_ENVIRONMENT, d->job->environment };
	*at++ = (struct docker_label){ STOCK_SERVICE, service };
	*at++ = (struct docker_label){ STOCK_DEPLOYMENT, labels->deployment };
	if (replica != 0)
		*at++ = (struct docker_label){ STOCK_REPLICA, labels->replica };
	labels->count = (size_t)(at - labels->items);
}

void
release_labels_fini(struct release_labels *labels)
{
	free(labels->application);
}

/* --- how it comes out --- */

void
release_on_log(void *arg, enum docker_stream stream, struct str bytes)
{
	struct release *d = arg;

	(void)stream;
	if (d->log.len + bytes.len <= LOG_MAX)
		buf_addstr(&d->log, bytes);
}

/* The last line goes into the reason, too. */
static void
tell_log(struct release *d)
{
	struct str rest = buf_str(&d->log), last = { NULL, 0 };
	size_t len;

	while (rest.len > 0) {
		struct str line = str_cut(&rest, '\n');

		if (line.len == 0)
			continue;
		last = line;
		release_say(d, "| %.*s", (int)(line.len < 280 ? line.len : 280), line.p);
	}
	len = strlen(d->result.reason);
	if (last.len > 0 && len + 3 < sizeof(d->result.reason))
		snprintf(d->result.reason + len, sizeof(d->result.reason) - len, ": %.*s",
		    (int)(last.len < 100 ? last.len : 100), last.p);
	buf_reset(&d->log);
}

void
release_on_logs(void *arg, const union docker_result *result, const struct err *err)
{
	struct release *d = arg;

	(void)result;
	(void)err; /* it is said without them */
	d->op = NULL;
	tell_log(d);
	release_step(d, RELEASE_VERDICT);
}

static void
enter_logs(struct release *d)
{
	d->kind->enter_logs(d);
}

void
release_commit(struct release *d)
{
	set_result(d, RELEASE_PASSED, "");
	d->has_verdict = true;
	release_step(d, RELEASE_VERDICT);
}

static void
set_way(struct release *d)
{
	d->rollout.way = d->result.state == RELEASE_PASSED ? ROLLOUT_CLEAN : ROLLOUT_BACK;
	timer_start(d->deadline, BACK_MS);
}

static void
add_way_back(struct release *d)
{
	int64_t base = d->kind->base(d);
	size_t len = strlen(d->result.reason);

	if (base == 0 && d->job->is_left) /* what is there may not have been asked for yet */
		base = d->rollout.previous;
	if (base != 0)
		snprintf(d->result.reason + len, sizeof(d->result.reason) - len, "; back to deployment %" PRId64, base);
	else
		snprintf(d->result.reason + len, sizeof(d->result.reason) - len, "; nothing was there before");
	release_say(d, "%s", d->result.reason);
}

/* From here on there is one way, whoever goes it. */
static void
enter_verdict(struct release *d)
{
	set_way(d);
	if (d->rollout.way == ROLLOUT_BACK)
		add_way_back(d);
	CRASH_POINT(rollout_decided);
	d->events->verdict(d->arg, &d->result);
}

/* --- the ends --- */

static void
release_free(struct release *d)
{
	release_halt(d);
	deferred_cancel(&d->begin);
	timer_free(&d->timer);
	timer_free(&d->deadline);
	d->kind->fini(d);
	strings_fini(&d->ids);
	strings_fini(&d->references);
	env_fini(&d->env);
	buf_fini(&d->images);
	buf_fini(&d->log);
	free(d->prefix);
	free(d);
}

static void
on_done(void *arg)
{
	struct release *d = arg;
	const struct release_events *events = d->events;
	struct release_result result = d->result;
	void *events_arg = d->arg;

	d->begin = NULL;
	release_free(d);
	events->done(events_arg, &result);
}

static void
enter_done(struct release *d)
{
	CRASH_POINT(rollout_ended);
	d->begin = deferred_call(destinations_loop(d->destinations), on_done, d);
}

void
release_again(struct release *d)
{
	release_step(d, RELEASE_AWAY);
}

void
release_finish(struct release *d)
{
	release_step(d, RELEASE_DONE);
}

void
release_cancel(struct release *release, const char *why)
{
	if (release->has_verdict || release->job->verdict != NULL || release->state == RELEASE_DONE)
		return;
	if (release->destination != NULL) {
		release_fail(release, RELEASE_CANCELLED, err_make(ERR_CANCELLED, 0, "%s", why));
		return;
	}
	release->is_cancelled = true; /* it has not begun */
	set_result(release, RELEASE_CANCELLED, why);
}

void
release_leave(struct release **release)
{
	if (*release != NULL)
		release_free(*release);
	*release = NULL;
}

/* "boat.production."; a dot of the repository's name is written twice, so that no two applications share one. */
static char *
make_prefix(const struct release_job *job)
{
	char *repo = xcalloc(1, 2 * strlen(job->repo) + 1), *end = repo, *prefix;

	for (const char *s = job->repo; *s != '\0'; s++) {
		if (*s == '.')
			*end++ = '.';
		*end++ = *s;
	}
	prefix = xasprintf("%s.%s.", repo, job->environment);
	free(repo);
	return prefix;
}

static void
on_begin(void *arg)
{
	struct release *d = arg;
	struct err err;

	d->begin = NULL;
	d->destination = destinations_find(d->destinations, d->job->engine, &err);
	if (d->destination == NULL) { /* there is no way, neither forward nor back */
		set_result(d, d->job->is_left ? RELEASE_ERROR : RELEASE_FAILED, err.text);
		d->has_verdict = true;
		release_step(d, RELEASE_DONE);
		return;
	}
	if (d->is_cancelled) {
		release_fail(d, RELEASE_CANCELLED, err_make(ERR_CANCELLED, 0, "%s", d->result.reason));
		return;
	}
	if (d->job->verdict != NULL) {
		d->result = *d->job->verdict;
		d->has_verdict = true;
		set_way(d);
	}
	release_step(d, RELEASE_ENGINE);
}

struct release *
release_start(
    struct destinations *destinations, const struct release_job *job, const struct release_events *events, void *arg)
{
	const struct release_kind *kind = job->is_swarm ? &release_swarm_kind : &release_engine_kind;
	struct release *d = xcalloc(1, kind->size);

	assert(job->deployment > 0 && job->application->service_count > 0);
	*d = (struct release){ .kind = kind,
		.destinations = destinations,
		.job = job,
		.events = events,
		.arg = arg,
		.is_begun = job->is_left };
	d->rollout = (struct rollout){ job->application, job->deployment, job->previous, ROLLOUT_FORWARD };
	d->timer = timer_new(destinations_loop(destinations), on_timer, d);
	d->deadline = timer_new(destinations_loop(destinations), on_deadline, d);
	timer_start(d->deadline, job->timeout_ms);
	buf_init(&d->images, IMAGES_MAX);
	buf_init(&d->log, LOG_MAX + 1);
	d->prefix = make_prefix(job);
	kind->init(d);
	d->begin = deferred_call(destinations_loop(destinations), on_begin, d);
	return d;
}
