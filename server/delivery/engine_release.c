/* The kind engine: containers, replaced replica by replica. proto/rollout.h decides the next step from what the engine
 * has, which is asked before each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/delivery/gate.h"
#include "server/delivery/release_private.h"
#include "server/delivery/stock.h"

enum { TRIES = 3 }; /* to start an old container again */

enum state {
	ENGINE_NETWORKS,
	ENGINE_LIST, /* what is there; then one of the next, and here again */
	ENGINE_CREATE,
	ENGINE_CONNECT, /* of a service in several networks, before its start */
	ENGINE_START,
	ENGINE_GATE,
	ENGINE_DRAIN,
	ENGINE_STOP,
	ENGINE_REMOVE,
};

struct engine_release {
	struct release base;
	enum state state;
	struct timer *timer; /* of the state */
	struct gate *gate;
	size_t made;    /* services whose networks are there */
	size_t network; /* that is next, of a service's */
	struct stock stock;
	struct rollout_step step;
	char failed[DOCKER_ID_SIZE]; /* the container that did; "": none */
};

static void enter_networks(struct engine_release *e);
static void enter_list(struct engine_release *e);
static void enter_create(struct engine_release *e);
static void enter_connect(struct engine_release *e);
static void enter_start(struct engine_release *e);
static void enter_gate(struct engine_release *e);
static void enter_drain(struct engine_release *e);
static void enter_stop(struct engine_release *e);
static void enter_remove(struct engine_release *e);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct engine_release *e);
	enum state next;
} states[] = {
	[ENGINE_NETWORKS] = { "networks", enter_networks, ENGINE_LIST },
	[ENGINE_LIST]     = { "list",     enter_list,     ENGINE_LIST },
	[ENGINE_CREATE]   = { "create",   enter_create,   ENGINE_LIST },
	[ENGINE_CONNECT]  = { "connect",  enter_connect,  ENGINE_START },
	[ENGINE_START]    = { "start",    enter_start,    ENGINE_LIST },
	[ENGINE_GATE]     = { "gate",     enter_gate,     ENGINE_LIST },
	[ENGINE_DRAIN]    = { "drain",    enter_drain,    ENGINE_LIST },
	[ENGINE_STOP]     = { "stop",     enter_stop,     ENGINE_LIST },
	[ENGINE_REMOVE]   = { "remove",   enter_remove,   ENGINE_LIST },
};
/* clang-format on */

/* e may be gone when it returns. */
static void
engine_step(struct engine_release *e, enum state next)
{
	log_debug("job %s: release: %s -> %s", e->base.job->name, states[e->state].name, states[next].name);
	release_halt(&e->base);
	e->state = next;
	states[next].enter(e);
}

static void
on_reply(void *arg, const union docker_result *result, const struct err *err)
{
	struct engine_release *e = arg;

	(void)result;
	e->base.op = NULL;
	if (release_holds(&e->base, err))
		engine_step(e, states[e->state].next);
}

static void
on_timer(void *arg)
{
	struct engine_release *e = arg;

	e->stock.items[e->step.container].is_drained = true;
	engine_step(e, states[e->state].next);
}

/* A mode of a port is a swarm's, which has more than one machine. */
static void
check(struct release *d)
{
	for (size_t i = 0; i < d->job->application->service_count; i++) {
		const struct application_service *service = &d->job->application->services[i];

		if (service->publish != APPLICATION_PUBLISH_INGRESS)
			continue;
		release_fail(d, RELEASE_FAILED,
		    err_make(ERR_INPUT, 0,
			"%s: ports: mode: ingress wants an environment of the kind swarm; write \"8080:80\" for an "
			"engine",
			service->name));
		return;
	}
	release_pass(d);
}

/* --- networks --- */

static struct docker_application_spec
spec_of(const struct engine_release *e, size_t service)
{
	return (struct docker_application_spec){ .service = &e->base.job->application->services[service],
		.image = service < e->base.ids.count ? e->base.ids.items[service] : "",
		.env = &e->base.env,
		.prefix = e->base.prefix };
}

/* Each of them in turn; one that is there is a success. */
static void
on_network(void *arg, const union docker_result *result, const struct err *err)
{
	struct engine_release *e = arg;

	if (err != NULL && err->code != ERR_CONFLICT) {
		on_reply(e, result, err);
		return;
	}
	e->base.op = NULL;
	e->network++;
	engine_step(e, e->state);
}

/* The next one's name; NULL: that was the last. */
static char *
next_network(struct engine_release *e)
{
	while (e->made < e->base.job->application->service_count) {
		const struct docker_application_spec spec = spec_of(e, e->made);
		char *name = docker_application_network(&spec, e->network);

		if (name != NULL)
			return name;
		e->made++;
		e->network = 0;
	}
	return NULL;
}

static void
enter_networks(struct engine_release *e)
{
	char *application = release_application(&e->base), *name;
	const struct docker_label label = { STOCK_APPLICATION, application };

	name = next_network(e);
	if (name != NULL)
		e->base.op = docker_network_create(e->base.destination->docker, name, &label, 1, on_network, e);
	else
		engine_step(e, ENGINE_LIST);
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
say_step(struct engine_release *e, const char *what)
{
	const struct rollout_container *c = &e->stock.items[e->step.container];
	char name[100];

	fill_name(c, name);
	release_say(&e->base, "%s %s of deployment %" PRId64, what, name, c->deployment);
}

static void
take_step(struct engine_release *e)
{
	static const enum state of[] = {
		[ROLLOUT_CREATE] = ENGINE_CREATE,
		[ROLLOUT_START] = ENGINE_CONNECT,
		[ROLLOUT_GATE] = ENGINE_GATE,
		[ROLLOUT_DRAIN] = ENGINE_DRAIN,
		[ROLLOUT_STOP] = ENGINE_STOP,
		[ROLLOUT_REMOVE] = ENGINE_REMOVE,
		[ROLLOUT_COMMIT] = ENGINE_LIST, /* these two are an end */
		[ROLLOUT_DONE] = ENGINE_LIST,
	};

	e->step = rollout_next(&e->base.rollout, e->stock.items, e->stock.count);
	e->network = 1; /* the first it has from the beginning */
	if (e->step.action == ROLLOUT_COMMIT)
		release_commit(&e->base);
	else if (e->step.action == ROLLOUT_DONE)
		release_finish(&e->base);
	else
		engine_step(e, of[e->step.action]);
}

static void
on_list(void *arg, const union docker_result *result, const struct err *err)
{
	struct engine_release *e = arg;

	if (err != NULL) {
		on_reply(e, result, err);
		return;
	}
	e->base.op = NULL;
	stock_take(&e->stock, &result->list);
	take_step(e);
}

static void
enter_list(struct engine_release *e)
{
	char *application = release_application(&e->base),
	     *filter = docker_label_filter(STOCK_APPLICATION, application);

	e->base.op = docker_list_containers(e->base.destination->docker, filter, on_list, e);
	free(filter);
	free(application);
}

static void
enter_create(struct engine_release *e)
{
	struct docker_application_spec spec = spec_of(e, e->step.service);
	struct release_labels labels;
	char *name;

	if (!release_make_env(&e->base, spec.service))
		return;
	release_labels_init(&labels, &e->base, spec.service->name, e->step.replica);
	spec.replica = e->step.replica;
	spec.labels = labels.items;
	spec.label_count = labels.count;
	name = xasprintf("%s%s.%s.%s", e->base.prefix, spec.service->name, labels.replica, labels.deployment);
	CRASH_POINT(rollout_creating);
	e->base.op = docker_create_application(e->base.destination->docker, name, &spec, on_reply, e);
	free(name);
	release_labels_fini(&labels);
}

/* Of a container that is new, its further networks; an old one has them. */
static void
enter_connect(struct engine_release *e)
{
	struct docker_application_spec spec;
	char *network = NULL;

	if (e->step.service != SIZE_MAX) {
		spec = spec_of(e, e->step.service);
		network = docker_application_network(&spec, e->network);
	}
	if (network == NULL)
		engine_step(e, ENGINE_START);
	else
		e->base.op = docker_network_connect(e->base.destination->docker, network,
		    e->stock.ids[e->step.container], spec.service->name, on_network, e);
	free(network);
}

/* An old one that cannot be started again is left as it is, after some tries. */
static void
on_started(void *arg, const union docker_result *result, const struct err *err)
{
	struct engine_release *e = arg;
	size_t i = e->step.container;
	char name[100];

	CRASH_POINT(rollout_started);
	if (err == NULL || release_is_away(err)) {
		on_reply(e, result, err);
		return;
	}
	e->base.op = NULL;
	fill_name(&e->stock.items[i], name);
	if (e->base.rollout.way == ROLLOUT_FORWARD) {
		release_fail(&e->base, RELEASE_FAILED, err_prefix(*err, "%s", name));
		return;
	}
	if (++e->stock.tries[i] >= TRIES) {
		e->stock.items[i].is_lost = true;
		release_say(&e->base, "%s of deployment %" PRId64 " could not be started again: %s", name,
		    e->stock.items[i].deployment, err->text);
	}
	release_again(&e->base);
}

static void
enter_start(struct engine_release *e)
{
	CRASH_POINT(rollout_starting);
	say_step(e, "starting");
	e->base.op = docker_start(e->base.destination->docker, e->stock.ids[e->step.container], on_started, e);
}

static void
keep_failed(struct engine_release *e)
{
	memcpy(e->failed, e->stock.ids[e->step.container], sizeof(e->failed));
}

static void
on_gate(void *arg, const struct err *err)
{
	struct engine_release *e = arg;
	struct rollout_container *c = &e->stock.items[e->step.container];
	char name[100];

	e->gate = NULL;
	if (err == NULL) {
		c->is_proved = true;
		say_step(e, "well:");
		engine_step(e, ENGINE_LIST);
	} else if (err->code != ERR_REFUSED) {
		release_away(&e->base, err);
	} else {
		fill_name(c, name);
		keep_failed(e);
		release_fail(&e->base, RELEASE_FAILED, err_prefix(*err, "%s", name));
	}
}

static void
enter_gate(struct engine_release *e)
{
	CRASH_POINT(rollout_gating);
	e->gate = gate_start(destinations_loop(e->base.destinations), e->base.destination,
	    e->stock.ids[e->step.container], &e->base.job->application->services[e->step.service],
	    e->stock.items[e->step.container].replica, on_gate, e);
}

static void
enter_drain(struct engine_release *e)
{
	timer_start(e->timer, (int64_t)e->base.job->application->services[e->step.service].drain_s * 1000);
}

static unsigned
grace_of(const struct engine_release *e, const char *service)
{
	for (size_t i = 0; i < e->base.job->application->service_count; i++)
		if (strcmp(e->base.job->application->services[i].name, service) == 0)
			return e->base.job->application->services[i].grace_s;
	return APPLICATION_GRACE_S;
}

static void
enter_stop(struct engine_release *e)
{
	CRASH_POINT(rollout_stopping);
	say_step(e, "stopping");
	e->base.op = docker_stop(e->base.destination->docker, e->stock.ids[e->step.container],
	    grace_of(e, e->stock.items[e->step.container].service), on_reply, e);
}

static void
enter_remove(struct engine_release *e)
{
	CRASH_POINT(rollout_removing);
	e->base.op = docker_remove(e->base.destination->docker, e->stock.ids[e->step.container], on_reply, e);
}

/* --- the kind --- */

static void
init(struct release *d)
{
	struct engine_release *e = (struct engine_release *)d;

	e->timer = timer_new(release_loop(d), on_timer, e);
}

/* An engine that was killed may have lost networks. */
static void
enter_work(struct release *d)
{
	struct engine_release *e = (struct engine_release *)d;

	e->made = e->network = 0;
	engine_step(e, ENGINE_NETWORKS);
}

static void
enter_logs(struct release *d)
{
	struct engine_release *e = (struct engine_release *)d;

	if (e->failed[0] != '\0')
		d->op = docker_logs(
		    d->destination->docker, e->failed, RELEASE_LOG_LINES, release_on_log, release_on_logs, d);
	else
		release_pass(d);
}

static void
halt(struct release *d)
{
	struct engine_release *e = (struct engine_release *)d;

	timer_stop(e->timer);
	gate_cancel(&e->gate);
}

static int64_t
base(const struct release *d)
{
	const struct engine_release *e = (const struct engine_release *)d;

	return rollout_base(&d->rollout, e->stock.items, e->stock.count);
}

static void
fini(struct release *d)
{
	struct engine_release *e = (struct engine_release *)d;

	timer_free(&e->timer);
	stock_fini(&e->stock);
}

const struct release_kind release_engine_kind = {
	.size = sizeof(struct engine_release),
	.old = "the old containers",
	.init = init,
	.enter_check = check,
	.enter_work = enter_work,
	.enter_logs = enter_logs,
	.halt = halt,
	.base = base,
	.fini = fini,
};
