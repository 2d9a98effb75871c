#include "server/builder/service.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/docker_lines.h"
#include "proto/mem.h"
#include "server/builder/container.h"
#include "server/builder/left.h"
#include "server/builder/pause.h"
#include "server/core/log.h"
#include "server/core/loop.h"

enum { READY_S = 60, WORDS_MAX = 4096, WORD_LINES = 20 };

enum service_state {
	SERVICE_IMAGE,
	SERVICE_PAUSE, /* its network holder is made */
	SERVICE_CREATE,
	SERVICE_REGISTER, /* its end will be noticed */
	SERVICE_EVENTS,   /* its health will be noticed */
	SERVICE_START,
	SERVICE_CHECK, /* until it is ready */
	SERVICE_UP,
	SERVICE_WORDS, /* what it said last, for the error */
	SERVICE_REMOVE,
	SERVICE_UNPAUSE,
	SERVICE_DONE,
};

struct service {
	struct host *host;
	struct pulls *pulls;
	struct service_start start;
	enum service_state state;
	struct pull *pull;
	struct pause *pause;
	struct docker_op *op; /* of the state */
	struct docker_op *wait;
	struct docker_op *events;
	struct timer *timer;
	const char *name;
	struct docker_image image;
	char id[DOCKER_ID_SIZE];
	bool is_ready; /* the sign came, maybe before the start was answered */
	struct buf words;
	struct err err; /* the first cause */
	const struct service_handler *handler;
	void *arg;
};

static void enter_image(struct service *s);
static void enter_pause(struct service *s);
static void enter_create(struct service *s);
static void enter_register(struct service *s);
static void enter_events(struct service *s);
static void enter_start(struct service *s);
static void enter_check(struct service *s);
static void enter_up(struct service *s);
static void enter_words(struct service *s);
static void enter_remove(struct service *s);
static void enter_unpause(struct service *s);
static void enter_done(struct service *s);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct service *s);
	unsigned timeout; /* seconds; 0: as long as it takes */
	enum service_state next;
} states[] = {
	[SERVICE_IMAGE]    = { "image",    enter_image,    0,   SERVICE_PAUSE },
	[SERVICE_PAUSE]    = { "network",  enter_pause,    0,   SERVICE_CREATE },
	[SERVICE_CREATE]   = { "create",   enter_create,   120, SERVICE_REGISTER },
	[SERVICE_REGISTER] = { "wait",     enter_register, 30,  SERVICE_EVENTS },
	[SERVICE_EVENTS]   = { "events",   enter_events,   30,  SERVICE_START },
	[SERVICE_START]    = { "start",    enter_start,    120, SERVICE_CHECK },
	[SERVICE_CHECK]    = { "check",    enter_check,    0,   SERVICE_UP }, /* the spec's timeout */
	[SERVICE_UP]       = { "up",       enter_up,       0,   SERVICE_REMOVE },
	[SERVICE_WORDS]    = { "words",    enter_words,    10,  SERVICE_REMOVE },
	[SERVICE_REMOVE]   = { "remove",   enter_remove,   60,  SERVICE_UNPAUSE },
	[SERVICE_UNPAUSE]  = { "unpause",  enter_unpause,  0,   SERVICE_DONE },
	[SERVICE_DONE]     = { "done",     enter_done,     0,   SERVICE_DONE },
};
/* clang-format on */

static void
service_step(struct service *s, enum service_state next)
{
	log_debug("service %s: %s -> %s", s->name, states[s->state].name, states[next].name);
	docker_cancel(&s->op);
	timer_stop(s->timer);
	s->state = next;
	if (states[next].timeout != 0)
		timer_start(s->timer, states[next].timeout * 1000);
	states[next].enter(s);
}

static void
service_fail(struct service *s, struct err err)
{
	bool has_words = (s->state == SERVICE_START || s->state == SERVICE_CHECK) && err.code != ERR_CANCELLED;

	if (s->err.code == ERR_NONE)
		s->err = err_prefix(err, "service %s", s->start.spec->name);
	if (s->state == SERVICE_CREATE && s->op != NULL)
		return; /* what the engine is making has to be waited for to be removed */
	if (has_words)
		service_step(s, SERVICE_WORDS);
	else
		service_step(s, s->state < SERVICE_REMOVE ? SERVICE_REMOVE : s->state + 1);
}

static void
on_reply(void *arg, const union docker_result *result, const struct err *err)
{
	struct service *s = arg;

	s->op = NULL;
	if (err == NULL && s->state == SERVICE_CREATE)
		memcpy(s->id, result->id, sizeof(s->id));
	if (err != NULL || (s->state == SERVICE_CREATE && s->err.code != ERR_NONE)) {
		service_fail(s, err != NULL ? *err : s->err);
		return;
	}
	service_step(s, states[s->state].next);
}

static void
on_timeout(void *arg)
{
	struct service *s = arg;

	if (s->state == SERVICE_CHECK && s->start.spec->ready_port != 0)
		service_fail(
		    s, err_make(ERR_TIMEOUT, 0, "port %u does not accept connections", s->start.spec->ready_port));
	else if (s->state == SERVICE_CHECK)
		service_fail(s, err_make(ERR_TIMEOUT, 0, "its health check does not pass"));
	else
		service_fail(s, err_make(ERR_TIMEOUT, 0, "%s took too long", states[s->state].name));
}

void
service_end(struct service *service)
{
	if (service->state < SERVICE_REMOVE)
		service_fail(service, err_make(ERR_CANCELLED, 0, "ended"));
}

/* --- up to the start --- */

static void
on_pull_notice(void *arg, const char *text)
{
	struct service *s = arg;

	s->handler->on_notice(s->arg, text);
}

static void
on_pulled(void *arg, const struct docker_image *image, const struct err *err)
{
	struct service *s = arg;

	s->pull = NULL;
	if (err != NULL) {
		service_fail(s, *err);
		return;
	}
	s->image = *image;
	service_step(s, states[s->state].next);
}

static void
enter_image(struct service *s)
{
	s->pull = pull_start(s->pulls, s->start.spec->image, false, on_pull_notice, on_pulled, s);
}

static void
on_pause_ready(void *arg)
{
	struct service *s = arg;

	if (s->state == SERVICE_PAUSE)
		service_step(s, states[s->state].next);
}

/* There is something to tell at once only in SERVICE_CHECK. */
static void
sign_of_readiness(struct service *s)
{
	s->is_ready = true;
	if (s->state == SERVICE_CHECK)
		service_step(s, SERVICE_UP);
}

static void
on_pause_open(void *arg)
{
	sign_of_readiness(arg);
}

static void
on_pause_end(void *arg, const struct err *err)
{
	struct service *s = arg;

	s->pause = NULL;
	if (s->state == SERVICE_UNPAUSE)
		service_step(s, SERVICE_DONE);
	else if (s->state < SERVICE_REMOVE)
		service_fail(s, err != NULL ? *err : err_make(ERR_IO, 0, "its network has ended"));
}

static const struct pause_handler pause_handler = {
	.on_ready = on_pause_ready, .on_open = on_pause_open, .on_end = on_pause_end
};

static void
enter_pause(struct service *s)
{
	struct pause_spec spec = { .network = s->start.network,
		.alias = s->start.spec->name,
		.port = s->start.spec->ready_port,
		.labels = s->start.labels };

	s->pause = pause_start(s->host, &spec, &pause_handler, s);
}

static bool
by_health(const struct service *s)
{
	return s->image.has_health && s->start.spec->ready_port == 0;
}

static void
enter_create(struct service *s)
{
	char network[sizeof("container:") + DOCKER_ID_SIZE];
	const struct container_place place = { .image = s->image.id,
		.network = network,
		.labels = s->start.labels->list,
		.label_count = s->start.labels->count };
	struct docker_container_spec spec;

	snprintf(network, sizeof(network), "container:%s", pause_id(s->pause));
	spec = container_of_service(&place, s->start.spec, by_health(s), &s->host->limits);
	s->op = docker_create(s->host->docker, s->name, &spec, on_reply, s);
}

static void
on_next(void *arg)
{
	struct service *s = arg;

	service_step(s, states[s->state].next);
}

/* Once it was ready, its end is only told: a job may stop its services. */
static void
on_exit_code(void *arg, const union docker_result *result, const struct err *err)
{
	struct service *s = arg;
	char text[200];

	s->wait = NULL;
	if (s->state == SERVICE_UP && err == NULL) {
		snprintf(text, sizeof(text), "service %.100s ended with exit code %d", s->start.spec->name,
		    result->exit.code);
		s->handler->on_notice(s->arg, text);
	} else if (err != NULL) {
		service_fail(s, *err);
	} else {
		service_fail(s, err_make(ERR_REFUSED, result->exit.code, "ended with exit code %d before it was ready",
				    result->exit.code));
	}
}

static void
enter_register(struct service *s)
{
	s->wait = docker_wait(s->host->docker, s->id, on_next, on_exit_code, s);
}

static void
on_event(void *arg, const struct docker_event *event)
{
	struct service *s = arg;

	if (strcmp(event->action, "health_status: healthy") == 0 && !s->is_ready)
		sign_of_readiness(s);
}

static void
on_events_end(void *arg, const union docker_result *result, const struct err *err)
{
	struct service *s = arg;

	(void)result;
	s->events = NULL;
	if (s->state < SERVICE_UP)
		service_fail(s, err != NULL ? *err : err_make(ERR_IO, 0, "the engine's events have ended"));
}

static void
enter_events(struct service *s)
{
	char *filter;

	if (!by_health(s)) {
		service_step(s, states[s->state].next);
		return;
	}
	filter = docker_event_filter(s->id, "health_status");
	s->events = docker_events(s->host->docker, filter, on_next, on_event, on_events_end, s);
	free(filter);
}

static void
enter_start(struct service *s)
{
	s->op = docker_start(s->host->docker, s->id, on_reply, s);
}

static void
enter_check(struct service *s)
{
	unsigned timeout = s->start.spec->ready_timeout_s;

	timer_start(s->timer, (timeout != 0 ? timeout : READY_S) * 1000);
	if (s->is_ready || (s->start.spec->ready_port == 0 && !by_health(s)))
		service_step(s, SERVICE_UP);
}

static void
enter_up(struct service *s)
{
	docker_cancel(&s->events);
	s->handler->on_ready(s->arg);
}

/* --- the end --- */

static void
on_words(void *arg, enum docker_stream stream, struct str bytes)
{
	struct service *s = arg;

	(void)stream;
	buf_addstr(&s->words, bytes);
}

/* The last lines go to the job's log, the very last one into the error. */
static void
on_words_end(void *arg, const union docker_result *result, const struct err *err)
{
	struct service *s = arg;
	struct str rest = buf_str(&s->words), last = { "", 0 };
	char text[300];

	(void)result;
	(void)err;
	s->op = NULL;
	while (rest.len > 0) {
		struct str line = str_cut(&rest, '\n');

		if (line.len == 0)
			continue;
		last = line;
		snprintf(text, sizeof(text), "%.60s: %.*s", s->start.spec->name, line.len < 200 ? (int)line.len : 200,
		    line.p);
		s->handler->on_notice(s->arg, text);
	}
	if (last.len > 0) {
		snprintf(text, sizeof(text), "%.150s; it said last: %.*s", s->err.text,
		    last.len < 80 ? (int)last.len : 80, last.p);
		s->err = err_make(s->err.code, s->err.detail, "%s", text);
	}
	if (s->state == SERVICE_WORDS)
		service_step(s, states[s->state].next);
}

static void
enter_words(struct service *s)
{
	s->op = docker_logs(s->host->docker, s->id, WORD_LINES, on_words, on_words_end, s);
}

/* Nothing is heard of it any more. */
static void
unwatch(struct service *s)
{
	pull_cancel(&s->pull);
	docker_cancel(&s->wait);
	docker_cancel(&s->events);
}

static void
enter_remove(struct service *s)
{
	unwatch(s);
	s->op = docker_remove(s->host->docker, s->id[0] != '\0' ? s->id : s->name, on_reply, s);
}

static void
enter_unpause(struct service *s)
{
	if (s->pause != NULL)
		pause_end(s->pause);
	else
		service_step(s, SERVICE_DONE);
}

static void
service_free(struct service *s)
{
	host_disown(s->host, &s->name);
	timer_free(&s->timer);
	buf_fini(&s->words);
	free(s);
}

static void
enter_done(struct service *s)
{
	const struct service_handler *handler = s->handler;
	struct err err = s->err;
	void *arg = s->arg;

	assert(s->op == NULL && s->wait == NULL && s->events == NULL && s->pull == NULL && s->pause == NULL);
	service_free(s);
	handler->on_end(arg, err.code != ERR_CANCELLED ? &err : NULL);
}

static struct service *
service_new(struct host *host, const char *name, const struct service_handler *handler, void *arg)
{
	struct service *s = xcalloc(1, sizeof(*s));

	*s = (struct service){ .host = host, .name = name, .handler = handler, .arg = arg };
	s->timer = timer_new(host->loop, on_timeout, s);
	buf_init(&s->words, WORDS_MAX);
	return s;
}

struct service *
service_start(struct host *host, struct pulls *pulls, const struct service_start *start,
    const struct service_handler *handler, void *arg)
{
	struct service *s = service_new(host, host_own_new(host, "service"), handler, arg);

	s->pulls = pulls;
	s->start = *start;
	service_step(s, SERVICE_IMAGE);
	return s;
}

/* --- what an earlier process left, and what is left to a later one --- */

static void
on_adopted(void *arg)
{
	(void)arg;
}

/* Of one that has ended the earlier process has told. */
struct service *
service_adopt(struct host *host, const struct service_spec *spec, const struct left_service *left,
    const struct service_handler *handler, void *arg)
{
	const char *name = host_adopt(host, left->name);
	struct service *s;

	if (name == NULL)
		return NULL;
	s = service_new(host, name, handler, arg);
	s->start.spec = spec;
	s->state = SERVICE_UP;
	snprintf(s->id, sizeof(s->id), "%s", left->id);
	s->pause = pause_adopt(host, left->holder_id, left->holder_name, left->address, &pause_handler, s);
	if (s->pause == NULL) {
		service_free(s);
		return NULL;
	}
	if (left->is_running)
		s->wait = docker_wait_started(host->docker, s->id, on_adopted, on_exit_code, s);
	return s;
}

void
service_detach(struct service **service)
{
	struct service *s = *service;

	if (s == NULL)
		return;
	*service = NULL;
	docker_cancel(&s->op);
	unwatch(s);
	pause_detach(&s->pause);
	service_free(s);
}

/* --- for the owner --- */

const struct service_spec *
service_spec(const struct service *service)
{
	return service->start.spec;
}

const char *
service_address(const struct service *service)
{
	return pause_address(service->pause);
}
