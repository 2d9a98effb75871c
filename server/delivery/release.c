#include "server/delivery/release.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/built_image.h"
#include "proto/mem.h"
#include "proto/rollout.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/delivery/gate.h"
#include "server/delivery/resolve.h"
#include "server/delivery/stock.h"

enum {
	BACK_MS = 900000, /* for going back, and for removing what was there before */
	AWAY_MS = 1000,   /* until an engine that does not answer is asked again */
	TRIES = 3,        /* to start an old container again */
	TROUBLE_MAX = 20, /* of the engine's refusals on the way back */
	IMAGES_MAX = 64 * 1024,
	LOG_LINES = 20, /* of a container that did not prove itself */
	LOG_MAX = 16 * 1024,
	LABELS = 7,
};

enum state {
	RELEASE_ENGINE,  /* its version, which is how it is known that it answers */
	RELEASE_IMAGES,  /* of each service */
	RELEASE_STARTED, /* until the owner has written it down */
	RELEASE_NETWORKS,
	RELEASE_LIST, /* what is there; then one of the next, and here again */
	RELEASE_CREATE,
	RELEASE_CONNECT, /* of a service in several networks, before its start */
	RELEASE_START,
	RELEASE_GATE,
	RELEASE_DRAIN,
	RELEASE_STOP,
	RELEASE_REMOVE,
	RELEASE_LOGS,    /* of what failed */
	RELEASE_VERDICT, /* until the owner has written it down */
	RELEASE_AWAY,    /* the engine is asked again soon */
	RELEASE_DONE,
};

struct release {
	struct destinations *destinations;
	const struct destination *destination;
	const struct release_job *job;
	const struct release_events *events;
	void *arg;
	enum state state;
	struct timer *timer;    /* of the state */
	struct timer *deadline; /* of the way */
	struct docker_op *op;   /* of the state */
	struct resolve *resolve;
	struct gate *gate;
	struct deferred *begin, *next; /* next: the state has nothing to wait for */
	char *prefix;                  /* of all names: "boat.production." */
	struct strings ids;            /* the image's of each service */
	struct buf images;             /* the lines that tell of them */
	struct resolve_spec wanted;
	size_t service; /* that RELEASE_IMAGES is at */
	size_t made;    /* services whose networks are there */
	size_t network; /* that is next, of a service's */
	struct env env; /* of the container that is made */
	struct rollout rollout;
	struct stock stock;
	struct rollout_step step;
	struct buf log;
	char failed[DOCKER_ID_SIZE]; /* the container that did; "": none */
	struct release_result result;
	bool is_begun;    /* something may have been changed */
	bool has_verdict; /* result is how it comes out */
	bool was_away;    /* it was said that the engine does not answer */
	unsigned trouble;
};

static void enter_engine(struct release *d);
static void enter_images(struct release *d);
static void enter_started(struct release *d);
static void enter_networks(struct release *d);
static void enter_list(struct release *d);
static void enter_create(struct release *d);
static void enter_connect(struct release *d);
static void enter_start(struct release *d);
static void enter_gate(struct release *d);
static void enter_drain(struct release *d);
static void enter_stop(struct release *d);
static void enter_remove(struct release *d);
static void enter_logs(struct release *d);
static void enter_verdict(struct release *d);
static void enter_away(struct release *d);
static void enter_done(struct release *d);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct release *d);
	enum state next;
} states[] = {
	[RELEASE_ENGINE]   = { "engine",   enter_engine,   RELEASE_IMAGES },
	[RELEASE_IMAGES]   = { "images",   enter_images,   RELEASE_STARTED },
	[RELEASE_STARTED]  = { "started",  enter_started,  RELEASE_NETWORKS },
	[RELEASE_NETWORKS] = { "networks", enter_networks, RELEASE_LIST },
	[RELEASE_LIST]     = { "list",     enter_list,     RELEASE_LIST },
	[RELEASE_CREATE]   = { "create",   enter_create,   RELEASE_LIST },
	[RELEASE_CONNECT]  = { "connect",  enter_connect,  RELEASE_START },
	[RELEASE_START]    = { "start",    enter_start,    RELEASE_LIST },
	[RELEASE_GATE]     = { "gate",     enter_gate,     RELEASE_LIST },
	[RELEASE_DRAIN]    = { "drain",    enter_drain,    RELEASE_LIST },
	[RELEASE_STOP]     = { "stop",     enter_stop,     RELEASE_LIST },
	[RELEASE_REMOVE]   = { "remove",   enter_remove,   RELEASE_LIST },
	[RELEASE_LOGS]     = { "logs",     enter_logs,     RELEASE_VERDICT },
	[RELEASE_VERDICT]  = { "verdict",  enter_verdict,  RELEASE_LIST },
	[RELEASE_AWAY]     = { "away",     enter_away,     RELEASE_ENGINE },
	[RELEASE_DONE]     = { "done",     enter_done,     RELEASE_DONE },
};
/* clang-format on */

/* --- the machine --- */

static void
halt(struct release *d)
{
	timer_stop(d->timer);
	docker_cancel(&d->op);
	resolve_cancel(&d->resolve);
	gate_cancel(&d->gate);
	deferred_cancel(&d->next);
}

/* The only place where the state changes. d may be gone when it returns. */
static void
release_step(struct release *d, enum state next)
{
	log_debug("job %s: release: %s -> %s", d->job->name, states[d->state].name, states[next].name);
	halt(d);
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

/* The state has nothing to do. */
static void
pass(struct release *d)
{
	d->next = deferred_call(destinations_loop(d->destinations), on_next, d);
}

static void
say(struct release *d, const char *fmt, ...)
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

/* The only way off the happy path: what fails, is cancelled or takes too long ends here. On the way back, and when the
 * old containers go, there is no other way any more. */
static void
release_fail(struct release *d, enum release_state state, struct err err)
{
	if (d->has_verdict) {
		log_warn("job %s: release: %s: %s", d->job->name, states[d->state].name, err.text);
		say(d, "%s", err.text);
		release_step(d, RELEASE_DONE);
		return;
	}
	set_result(d, state, err.text);
	d->has_verdict = true;
	release_step(d, d->is_begun ? RELEASE_LOGS : RELEASE_DONE);
}

static bool
is_away(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE || err->code == ERR_IO || err->code == ERR_TIMEOUT ||
	       err->code == ERR_PROTO;
}

/* The engine does not answer as it should. As long as the way's time lasts, it is asked again. */
static void
release_away(struct release *d, const struct err *err)
{
	if (!d->was_away)
		say(d, "the engine %s does not answer: %s; it is asked again", d->destination->name, err->text);
	d->was_away = true;
	release_step(d, RELEASE_AWAY);
}

static const char *
end_of(const struct release *d, enum rollout_way way)
{
	if (d->state == RELEASE_AWAY || d->was_away)
		return "the engine does not answer";
	return way == ROLLOUT_BACK ? "the old containers do not come back" : "the old containers do not go";
}

/* What was begun could not be brought to its end. */
static void
give_up(struct release *d)
{
	char text[256];
	struct err err;

	snprintf(text, sizeof(text), "%.100s%s%s, so what runs there is not known; the next deployment puts it right",
	    d->result.reason, d->result.reason[0] != '\0' ? "; " : "", end_of(d, d->rollout.way));
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

static void
on_reply(void *arg, const union docker_result *result, const struct err *err)
{
	struct release *d = arg;

	(void)result;
	d->op = NULL;
	if (err == NULL)
		release_step(d, states[d->state].next);
	else if (is_away(err))
		release_away(d, err);
	else if (d->has_verdict && ++d->trouble <= TROUBLE_MAX)
		release_step(d, RELEASE_AWAY);
	else if (d->has_verdict)
		give_up(d);
	else
		release_fail(d, RELEASE_FAILED, *err);
}

static void
on_timer(void *arg)
{
	struct release *d = arg;

	if (d->state == RELEASE_DRAIN)
		d->stock.items[d->step.container].is_drained = true;
	release_step(d, states[d->state].next);
}

static void
enter_away(struct release *d)
{
	timer_start(d->timer, AWAY_MS);
}

/* --- before anything is changed --- */

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
		say(d, "the engine %s answers again", d->destination->name);
	d->was_away = false;
	d->made = d->network = 0; /* an engine that was killed may have lost networks */
	release_step(d, d->is_begun || d->has_verdict ? RELEASE_NETWORKS : RELEASE_IMAGES);
}

static void
enter_engine(struct release *d)
{
	d->op = docker_version(d->destination->docker, on_version, d);
}

static void
on_pull(void *arg, const char *image)
{
	say(arg, "pulling %s", image);
}

static void
keep_image(struct release *d, const struct resolved *resolved)
{
	strings_add(&d->ids, str_of(resolved->id));
	if (strchr(resolved->name, '@') == NULL) /* else its name says which it is */
		built_image_add(&d->images, resolved->name, resolved->digest, resolved->id);
	say(d, "%s: %s %s", d->job->application->services[d->service].name, resolved->name,
	    resolved->digest[0] != '\0' ? resolved->digest : resolved->id);
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
		d->service++;
		release_step(d, RELEASE_IMAGES);
	} else if (d->job->is_left && is_away(err)) {
		release_away(d, err);
	} else {
		release_fail(d, is_ours ? RELEASE_FAILED : RELEASE_ERROR, *err);
	}
}

static void
enter_images(struct release *d)
{
	const struct application *application = d->job->application;

	d->service = d->ids.count;
	if (d->service == application->service_count) {
		pass(d);
		return;
	}
	d->wanted = (struct resolve_spec){ .service = &application->services[d->service],
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
		pass(d);
	else
		d->events->started(d->arg, d->destination->name, buf_str(&d->images).p);
}

void
release_go(struct release *release)
{
	if (release->state == RELEASE_STARTED || release->state == RELEASE_VERDICT)
		release_step(release, states[release->state].next);
}

/* --- networks --- */

static struct docker_application_spec
spec_of(const struct release *d, size_t service)
{
	return (struct docker_application_spec){ .service = &d->job->application->services[service],
		.image = service < d->ids.count ? d->ids.items[service] : "",
		.env = &d->env,
		.prefix = d->prefix };
}

static char *
application_of(const struct release *d)
{
	return xasprintf("%s/%s", d->job->repo, d->job->environment);
}

/* Each of them in turn; one that is there is a success. */
static void
on_network(void *arg, const union docker_result *result, const struct err *err)
{
	struct release *d = arg;

	if (err != NULL && err->code != ERR_CONFLICT) {
		on_reply(d, result, err);
		return;
	}
	d->op = NULL;
	d->network++;
	release_step(d, d->state);
}

/* The next one's name; NULL: that was the last. */
static char *
next_network(struct release *d)
{
	while (d->made < d->job->application->service_count) {
		const struct docker_application_spec spec = spec_of(d, d->made);
		char *name = docker_application_network(&spec, d->network);

		if (name != NULL)
			return name;
		d->made++;
		d->network = 0;
	}
	return NULL;
}

static void
enter_networks(struct release *d)
{
	char *application = application_of(d), *name;
	const struct docker_label label = { STOCK_APPLICATION, application };

	d->is_begun = true;
	name = next_network(d);
	if (name != NULL)
		d->op = docker_network_create(d->destination->docker, name, &label, 1, on_network, d);
	else
		pass(d);
	free(name);
	free(application);
}

/* --- one step after the other --- */

static void
fill_name(const struct rollout_container *c, char ret[100])
{
	snprintf(ret, 100, "%s.%u", c->service, c->replica);
}

static void
say_step(struct release *d, const char *what)
{
	const struct rollout_container *c = &d->stock.items[d->step.container];
	char name[100];

	fill_name(c, name);
	say(d, "%s %s of deployment %" PRId64, what, name, c->deployment);
}

static void
take_step(struct release *d)
{
	static const enum state of[] = {
		[ROLLOUT_CREATE] = RELEASE_CREATE,
		[ROLLOUT_START] = RELEASE_CONNECT,
		[ROLLOUT_GATE] = RELEASE_GATE,
		[ROLLOUT_DRAIN] = RELEASE_DRAIN,
		[ROLLOUT_STOP] = RELEASE_STOP,
		[ROLLOUT_REMOVE] = RELEASE_REMOVE,
		[ROLLOUT_COMMIT] = RELEASE_VERDICT,
		[ROLLOUT_DONE] = RELEASE_DONE,
	};

	d->step = rollout_next(&d->rollout, d->stock.items, d->stock.count);
	d->network = 1; /* the first it has from the beginning */
	if (d->step.action == ROLLOUT_COMMIT) {
		set_result(d, RELEASE_PASSED, "");
		d->has_verdict = true;
	}
	release_step(d, of[d->step.action]);
}

static void
on_list(void *arg, const union docker_result *result, const struct err *err)
{
	struct release *d = arg;

	if (err != NULL) {
		on_reply(d, result, err);
		return;
	}
	d->op = NULL;
	stock_take(&d->stock, &result->list);
	take_step(d);
}

static void
enter_list(struct release *d)
{
	char *application = application_of(d), *filter = docker_label_filter(STOCK_APPLICATION, application);

	d->op = docker_list_containers(d->destination->docker, filter, on_list, d);
	free(filter);
	free(application);
}

static bool
make_env(struct release *d)
{
	const struct application_service *service = &d->job->application->services[d->step.service];
	struct err err;

	env_fini(&d->env);
	if (application_env(&service->env, d->job->env, &d->env, &err))
		return true;
	release_fail(d, RELEASE_FAILED, err_prefix(err, "%s", service->name));
	return false;
}

static void
enter_create(struct release *d)
{
	struct docker_application_spec spec = spec_of(d, d->step.service);
	char replica[16], deployment[24], *application, *name;
	struct docker_label labels[LABELS];
	size_t n = 0;

	if (!make_env(d))
		return;
	application = application_of(d);
	snprintf(replica, sizeof(replica), "%u", d->step.replica);
	snprintf(deployment, sizeof(deployment), "%" PRId64, d->job->deployment);
	labels[n++] = (struct docker_label){ STOCK_APPLICATION, application };
	labels[n++] = (struct docker_label){ STOCK_REPO, d->job->repo };
	labels[n++] = (struct docker_label){ STOCK_ENVIRONMENT, d->job->environment };
	labels[n++] = (struct docker_label){ STOCK_SERVICE, spec.service->name };
	labels[n++] = (struct docker_label){ STOCK_REPLICA, replica };
	labels[n++] = (struct docker_label){ STOCK_DEPLOYMENT, deployment };
	spec.replica = d->step.replica;
	spec.labels = labels;
	spec.label_count = n;
	name = xasprintf("%s%s.%s.%s", d->prefix, spec.service->name, replica, deployment);
	CRASH_POINT(rollout_creating);
	d->op = docker_create_application(d->destination->docker, name, &spec, on_reply, d);
	free(name);
	free(application);
}

/* Of a container that is new, its further networks; an old one has them. */
static void
enter_connect(struct release *d)
{
	struct docker_application_spec spec;
	char *network = NULL;

	if (d->step.service != SIZE_MAX) {
		spec = spec_of(d, d->step.service);
		network = docker_application_network(&spec, d->network);
	}
	if (network == NULL)
		release_step(d, RELEASE_START);
	else
		d->op = docker_network_connect(d->destination->docker, network, d->stock.ids[d->step.container],
		    spec.service->name, on_network, d);
	free(network);
}

/* An old one that cannot be started again is left as it is, after some tries. */
static void
on_started(void *arg, const union docker_result *result, const struct err *err)
{
	struct release *d = arg;
	size_t i = d->step.container;
	char name[100];

	CRASH_POINT(rollout_started);
	if (err == NULL || is_away(err)) {
		on_reply(d, result, err);
		return;
	}
	d->op = NULL;
	fill_name(&d->stock.items[i], name);
	if (d->rollout.way == ROLLOUT_FORWARD) {
		release_fail(d, RELEASE_FAILED, err_prefix(*err, "%s", name));
		return;
	}
	if (++d->stock.tries[i] >= TRIES) {
		d->stock.items[i].is_lost = true;
		say(d, "%s of deployment %" PRId64 " could not be started again: %s", name,
		    d->stock.items[i].deployment, err->text);
	}
	release_step(d, RELEASE_AWAY);
}

static void
enter_start(struct release *d)
{
	CRASH_POINT(rollout_starting);
	say_step(d, "starting");
	d->op = docker_start(d->destination->docker, d->stock.ids[d->step.container], on_started, d);
}

static void
keep_failed(struct release *d)
{
	memcpy(d->failed, d->stock.ids[d->step.container], sizeof(d->failed));
}

static void
on_gate(void *arg, const struct err *err)
{
	struct release *d = arg;
	struct rollout_container *c = &d->stock.items[d->step.container];
	char name[100];

	d->gate = NULL;
	if (err == NULL) {
		c->is_proved = true;
		say_step(d, "well:");
		release_step(d, RELEASE_LIST);
	} else if (err->code != ERR_REFUSED) {
		release_away(d, err);
	} else {
		fill_name(c, name);
		keep_failed(d);
		release_fail(d, RELEASE_FAILED, err_prefix(*err, "%s", name));
	}
}

static void
enter_gate(struct release *d)
{
	CRASH_POINT(rollout_gating);
	d->gate = gate_start(destinations_loop(d->destinations), d->destination, d->stock.ids[d->step.container],
	    &d->job->application->services[d->step.service], d->stock.items[d->step.container].replica, on_gate, d);
}

static void
enter_drain(struct release *d)
{
	timer_start(d->timer, (int64_t)d->job->application->services[d->step.service].drain_s * 1000);
}

static unsigned
grace_of(const struct release *d, const char *service)
{
	for (size_t i = 0; i < d->job->application->service_count; i++)
		if (strcmp(d->job->application->services[i].name, service) == 0)
			return d->job->application->services[i].grace_s;
	return APPLICATION_GRACE_S;
}

static void
enter_stop(struct release *d)
{
	CRASH_POINT(rollout_stopping);
	say_step(d, "stopping");
	d->op = docker_stop(d->destination->docker, d->stock.ids[d->step.container],
	    grace_of(d, d->stock.items[d->step.container].service), on_reply, d);
}

static void
enter_remove(struct release *d)
{
	CRASH_POINT(rollout_removing);
	d->op = docker_remove(d->destination->docker, d->stock.ids[d->step.container], on_reply, d);
}

/* --- how it comes out --- */

static void
on_log(void *arg, enum docker_stream stream, struct str bytes)
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
		say(d, "| %.*s", (int)(line.len < 280 ? line.len : 280), line.p);
	}
	len = strlen(d->result.reason);
	if (last.len > 0 && len + 3 < sizeof(d->result.reason))
		snprintf(d->result.reason + len, sizeof(d->result.reason) - len, ": %.*s",
		    (int)(last.len < 100 ? last.len : 100), last.p);
	buf_reset(&d->log);
}

static void
on_logs(void *arg, const union docker_result *result, const struct err *err)
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
	if (d->failed[0] != '\0')
		d->op = docker_logs(d->destination->docker, d->failed, LOG_LINES, on_log, on_logs, d);
	else
		pass(d);
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
	int64_t base = rollout_base(&d->rollout, d->stock.items, d->stock.count);
	size_t len = strlen(d->result.reason);

	if (base != 0)
		snprintf(d->result.reason + len, sizeof(d->result.reason) - len, "; back to deployment %" PRId64, base);
	else
		snprintf(d->result.reason + len, sizeof(d->result.reason) - len, "; nothing was there before");
	say(d, "%s", d->result.reason);
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
	halt(d);
	deferred_cancel(&d->begin);
	timer_free(&d->timer);
	timer_free(&d->deadline);
	stock_fini(&d->stock);
	strings_fini(&d->ids);
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
release_cancel(struct release *release, const char *why)
{
	if (!release->has_verdict && release->state != RELEASE_DONE)
		release_fail(release, RELEASE_CANCELLED, err_make(ERR_CANCELLED, 0, "%s", why));
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
	if (d->destination == NULL) {
		d->has_verdict = false;
		release_fail(d, RELEASE_FAILED, err);
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
	struct release *d = xcalloc(1, sizeof(*d));

	assert(job->deployment > 0 && job->application->service_count > 0);
	*d = (struct release){ .destinations = destinations, .job = job, .events = events, .arg = arg };
	d->rollout = (struct rollout){ job->application, job->deployment, job->previous, ROLLOUT_FORWARD };
	d->timer = timer_new(destinations_loop(destinations), on_timer, d);
	d->deadline = timer_new(destinations_loop(destinations), on_deadline, d);
	timer_start(d->deadline, job->timeout_ms);
	buf_init(&d->images, IMAGES_MAX);
	buf_init(&d->log, LOG_MAX + 1);
	d->prefix = make_prefix(job);
	d->begin = deferred_call(destinations_loop(destinations), on_begin, d);
	return d;
}
