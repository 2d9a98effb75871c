#include "server/delivery/gate.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "proto/mem.h"
#include "server/core/loop.h"
#include "server/delivery/probe.h"

enum { LOOK_MS = 200 };

struct gate {
	struct loop *loop;
	const struct destination *destination;
	const char *container;
	const struct application_service *service;
	unsigned replica;
	struct docker_op *op;
	struct probe *probe;
	struct timer *timer; /* until the next look */
	int64_t deadline_ms;
	int64_t well_ms;    /* since when it is well; -1: it is not */
	struct err waiting; /* what is missing */
	gate_fn *fn;
	void *arg;
};

static void
gate_end(struct gate *g, const struct err *err)
{
	gate_fn *fn = g->fn;
	struct err copy = err != NULL ? *err : ERR_OK;
	void *arg = g->arg;

	gate_cancel(&g);
	fn(arg, copy.code != ERR_NONE ? &copy : NULL);
}

static void
look_again(struct gate *g)
{
	struct err late;

	if (loop_mono_ms() < g->deadline_ms) {
		timer_start(g->timer, LOOK_MS);
		return;
	}
	late = err_make(ERR_REFUSED, 0, "was not well for %u s within %u s: %.120s", g->service->stable_s,
	    g->service->gate_s, g->waiting.text);
	gate_end(g, &late);
}

/* Not yet, or not any more. */
static void
wait_for(struct gate *g, struct err what)
{
	g->well_ms = -1;
	g->waiting = what;
	look_again(g);
}

static void
is_well(struct gate *g)
{
	int64_t now = loop_mono_ms(), left;

	if (g->well_ms < 0)
		g->well_ms = now;
	left = g->well_ms + (int64_t)g->service->stable_s * 1000 - now;
	if (left <= 0) {
		gate_end(g, NULL);
		return;
	}
	g->waiting = err_make(ERR_REFUSED, 0, "it is, but not for long enough");
	timer_start(g->timer, left < LOOK_MS ? left : LOOK_MS); /* which the time to be well in does not cut short */
}

static void
on_probe(void *arg, const struct err *err)
{
	struct gate *g = arg;

	g->probe = NULL;
	if (err == NULL)
		is_well(g);
	else
		wait_for(g, err_prefix(*err, "port %u", g->service->probe_port));
}

/* The machine's port that leads to the probed one; 0: none. */
static unsigned
published(const struct gate *g)
{
	struct application_port port;

	for (size_t i = 0; i < g->service->ports.count; i++)
		if (application_port(g->service->ports.items[i], &port, NULL) && port.port == g->service->probe_port &&
		    port.first != 0)
			return port.first + g->replica - 1;
	return 0;
}

static void
begin_probe(struct gate *g, const struct docker_container *container)
{
	struct probe_spec spec = { container->address, g->service->probe_port, g->service->probe_path };
	struct err hidden = err_make(ERR_REFUSED, 0,
	    "the gate wants port %u, which ports: does not publish on a port of the engine's machine that is fixed",
	    g->service->probe_port);

	if (g->destination->host != NULL) {
		spec.host = g->destination->host;
		spec.port = published(g);
		if (spec.port == 0) {
			gate_end(g, &hidden);
			return;
		}
	}
	if (spec.host[0] == '\0')
		wait_for(g, err_make(ERR_REFUSED, 0, "it has no address yet"));
	else
		g->probe = probe_start(g->loop, &spec, on_probe, g);
}

/* False with *why set: it will not become well. */
static bool
lives(const struct docker_container *c, struct err *why)
{
	if (c->restarts > 0)
		return err_set(why, ERR_REFUSED, 0, "ended by itself, and was started again");
	if (!c->running && c->oom_killed)
		return err_set(why, ERR_REFUSED, 0, "ran out of memory (mem_limit)");
	if (!c->running)
		return err_set(why, ERR_REFUSED, 0, "ended with exit code %d", c->exit_code);
	return strcmp(c->health, "unhealthy") != 0 ||
	       err_set(why, ERR_REFUSED, 0, "is unhealthy, as its health check says");
}

/* ERR_REFUSED is for the container alone. */
static struct err
engines_trouble(const struct err *err)
{
	struct err trouble = *err;

	if (err->code == ERR_NOT_FOUND)
		return err_make(ERR_REFUSED, 0, "is gone: somebody has removed it");
	if (err->code == ERR_REFUSED)
		trouble.code = ERR_UNAVAILABLE;
	return trouble;
}

static void
on_container(void *arg, const union docker_result *result, const struct err *err)
{
	struct gate *g = arg;
	struct err why;

	g->op = NULL;
	if (err != NULL) {
		why = engines_trouble(err);
		gate_end(g, &why);
	} else if (!lives(&result->container, &why))
		gate_end(g, &why);
	else if (strcmp(result->container.health, "starting") == 0)
		wait_for(g, err_make(ERR_REFUSED, 0, "its health check has not passed yet"));
	else if (g->service->probe_port != 0)
		begin_probe(g, &result->container);
	else
		is_well(g);
}

static void
on_timer(void *arg)
{
	struct gate *g = arg;

	g->op = docker_inspect(g->destination->docker, g->container, on_container, g);
}

struct gate *
gate_start(struct loop *loop, const struct destination *destination, const char *container,
    const struct application_service *service, unsigned replica, gate_fn *fn, void *arg)
{
	struct gate *g = xcalloc(1, sizeof(*g));

	*g = (struct gate){ .loop = loop,
		.destination = destination,
		.container = container,
		.service = service,
		.replica = replica,
		.deadline_ms = loop_mono_ms() + (int64_t)service->gate_s * 1000,
		.well_ms = -1,
		.fn = fn,
		.arg = arg };
	g->timer = timer_new(loop, on_timer, g);
	on_timer(g);
	return g;
}

void
gate_cancel(struct gate **gate)
{
	struct gate *g = *gate;

	if (g == NULL)
		return;
	*gate = NULL;
	docker_cancel(&g->op);
	probe_cancel(&g->probe);
	timer_free(&g->timer);
	free(g);
}
