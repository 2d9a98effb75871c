#include "proto/rollout.h"

#include <string.h>

/* What the choice is made from. */
struct view {
	const struct rollout *rollout;
	const struct rollout_container *containers;
	size_t count;
};

#define NONE SIZE_MAX

static bool
is_new(const struct view *v, size_t i)
{
	return v->containers[i].deployment == v->rollout->deployment;
}

static bool
is_of(const struct rollout_container *c, const char *service, unsigned replica)
{
	return c->replica == replica && strcmp(c->service, service) == 0;
}

static size_t
find(const struct view *v, const char *service, unsigned replica, int64_t deployment)
{
	for (size_t i = 0; i < v->count; i++)
		if (v->containers[i].deployment == deployment && is_of(&v->containers[i], service, replica))
			return i;
	return NONE;
}

/* Another deployment's container of that replica that runs. */
static size_t
find_old(const struct view *v, const char *service, unsigned replica)
{
	for (size_t i = 0; i < v->count; i++)
		if (!is_new(v, i) && v->containers[i].runs && is_of(&v->containers[i], service, replica))
			return i;
	return NONE;
}

static size_t
find_service(const struct view *v, const char *name)
{
	const struct application *application = v->rollout->application;

	for (size_t i = 0; i < application->service_count; i++)
		if (strcmp(application->services[i].name, name) == 0)
			return i;
	return NONE;
}

static struct rollout_step
step(enum rollout_action action, size_t container, size_t service, unsigned replica)
{
	return (struct rollout_step){ action, container, service, replica };
}

/* What one replica wants next; ROLLOUT_DONE: nothing. */
static struct rollout_step
next_of_replica(const struct view *v, size_t k, unsigned replica)
{
	const struct application_service *service = &v->rollout->application->services[k];
	size_t at = find(v, service->name, replica, v->rollout->deployment);
	size_t old = find_old(v, service->name, replica);
	const struct rollout_container *c;

	if (at == NONE)
		return step(ROLLOUT_CREATE, NONE, k, replica);
	c = &v->containers[at];
	if (!c->runs && !c->is_proved && old != NONE && service->order == APPLICATION_STOP_FIRST)
		return step(ROLLOUT_STOP, old, k, replica);
	if (!c->runs && !c->is_proved)
		return step(ROLLOUT_START, at, k, replica);
	if (!c->is_proved)
		return step(ROLLOUT_GATE, at, k, replica);
	if (old != NONE && service->drain_s > 0 && !c->is_drained)
		return step(ROLLOUT_DRAIN, at, k, replica);
	if (old != NONE)
		return step(ROLLOUT_STOP, old, k, replica);
	return step(ROLLOUT_DONE, NONE, k, replica);
}

static struct rollout_step
forward(const struct view *v)
{
	const struct application *application = v->rollout->application;

	for (size_t k = 0; k < application->service_count; k++) {
		for (unsigned replica = 1; replica <= application->services[k].replicas; replica++) {
			struct rollout_step next = next_of_replica(v, k, replica);

			if (next.action != ROLLOUT_DONE)
				return next;
		}
	}
	for (size_t i = 0; i < v->count; i++) /* replicas and services that are wanted no more */
		if (!is_new(v, i) && v->containers[i].runs)
			return step(ROLLOUT_STOP, i, NONE, 0);
	return step(ROLLOUT_COMMIT, NONE, NONE, 0);
}

/* The way of a container that has to go. */
static struct rollout_step
away(const struct view *v, size_t i)
{
	return step(v->containers[i].runs ? ROLLOUT_STOP : ROLLOUT_REMOVE, i, NONE, 0);
}

static struct rollout_step
clean(const struct view *v)
{
	for (size_t i = 0; i < v->count; i++)
		if (!is_new(v, i))
			return away(v, i);
	return step(ROLLOUT_DONE, NONE, NONE, 0);
}

int64_t
rollout_base(const struct rollout *rollout, const struct rollout_container *containers, size_t count)
{
	int64_t newest = 0;

	for (size_t i = 0; i < count; i++) {
		int64_t deployment = containers[i].deployment;

		if (deployment == rollout->deployment)
			continue;
		if (deployment == rollout->previous)
			return deployment;
		if (deployment > newest)
			newest = deployment;
	}
	return newest;
}

static bool
is_down(const struct rollout_container *c)
{
	return !c->runs && !c->is_lost;
}

/* Where both can run, the old one runs before the new one goes. */
static bool
may_both_run(const struct view *v, size_t i)
{
	size_t service = find_service(v, v->containers[i].service);

	return service != NONE && v->rollout->application->services[service].order == APPLICATION_START_FIRST;
}

static struct rollout_step
back_from(const struct view *v, size_t i, int64_t base)
{
	const struct rollout_container *c = &v->containers[i];
	size_t old = find(v, c->service, c->replica, base);

	if (old != NONE && is_down(&v->containers[old]) && (!c->runs || may_both_run(v, i)))
		return step(ROLLOUT_START, old, NONE, 0);
	return away(v, i);
}

static struct rollout_step
back(const struct view *v)
{
	int64_t base = rollout_base(v->rollout, v->containers, v->count);

	for (size_t i = 0; i < v->count; i++)
		if (v->containers[i].deployment != base)
			return back_from(v, i, base);
	for (size_t i = 0; i < v->count; i++)
		if (is_down(&v->containers[i]))
			return step(ROLLOUT_START, i, NONE, 0);
	return step(ROLLOUT_DONE, NONE, NONE, 0);
}

struct rollout_step
rollout_next(const struct rollout *rollout, const struct rollout_container *containers, size_t count)
{
	const struct view v = { rollout, containers, count };

	switch (rollout->way) {
	case ROLLOUT_FORWARD:
		return forward(&v);
	case ROLLOUT_BACK:
		return back(&v);
	case ROLLOUT_CLEAN:
		return clean(&v);
	}
	return step(ROLLOUT_DONE, NONE, NONE, 0);
}
