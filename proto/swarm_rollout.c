#include "proto/swarm_rollout.h"

#include <stdio.h>
#include <string.h>

#define NONE SIZE_MAX

static size_t
find(const struct swarm_service *services, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(services[i].name, name) == 0)
			return i;
	return NONE;
}

static size_t
find_wanted(const struct application *application, const char *name)
{
	for (size_t k = 0; k < application->service_count; k++)
		if (strcmp(application->services[k].name, name) == 0)
			return k;
	return NONE;
}

static struct swarm_step
step(enum swarm_action action, size_t there, size_t wanted)
{
	return (struct swarm_step){ action, there, wanted };
}

static struct swarm_step
forward(const struct rollout *rollout, const struct swarm_service *services, size_t count)
{
	for (size_t k = 0; k < rollout->application->service_count; k++) {
		size_t at = find(services, count, rollout->application->services[k].name);

		if (at == NONE)
			return step(SWARM_CREATE, NONE, k);
		if (services[at].deployment != rollout->deployment)
			return step(SWARM_UPDATE, at, k);
		if (!services[at].is_proved)
			return step(SWARM_WATCH, at, k);
	}
	return step(SWARM_COMMIT, NONE, NONE);
}

static struct swarm_step
clean(const struct rollout *rollout, const struct swarm_service *services, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (find_wanted(rollout->application, services[i].name) == NONE)
			return step(SWARM_REMOVE, i, NONE);
	return step(SWARM_DONE, NONE, NONE);
}

/* One that this deployment has made goes, one that it has updated becomes what it was. Where the spec before is of this
 * deployment, too, somebody else has had a hand in it, and nobody knows what was there. */
static enum swarm_action
back_of(const struct rollout *rollout, const struct swarm_service *service)
{
	if (service->is_lost)
		return SWARM_DONE;
	if (service->deployment != rollout->deployment)
		return service->update == DOCKER_UPDATE_GOES_BACK ? SWARM_AWAIT : SWARM_DONE;
	if (service->previous == 0)
		return SWARM_REMOVE;
	return service->previous != rollout->deployment ? SWARM_BACK : SWARM_DONE;
}

/* All are told before one is awaited. */
static struct swarm_step
back(const struct rollout *rollout, const struct swarm_service *services, size_t count)
{
	struct swarm_step awaited = step(SWARM_DONE, NONE, NONE);

	for (size_t k = rollout->application->service_count; k-- > 0;) {
		size_t at = find(services, count, rollout->application->services[k].name);
		enum swarm_action action = at != NONE ? back_of(rollout, &services[at]) : SWARM_DONE;

		if (action == SWARM_AWAIT)
			awaited = step(action, at, k);
		else if (action != SWARM_DONE)
			return step(action, at, k);
	}
	return awaited;
}

struct swarm_step
swarm_rollout_next(const struct rollout *rollout, const struct swarm_service *services, size_t count)
{
	switch (rollout->way) {
	case ROLLOUT_FORWARD:
		return forward(rollout, services, count);
	case ROLLOUT_BACK:
		return back(rollout, services, count);
	case ROLLOUT_CLEAN:
		return clean(rollout, services, count);
	}
	return step(SWARM_DONE, NONE, NONE);
}

int64_t
swarm_rollout_base(const struct rollout *rollout, const struct swarm_service *services, size_t count)
{
	int64_t base = 0;

	for (size_t i = 0; i < count; i++) {
		int64_t before =
		    services[i].deployment != rollout->deployment ? services[i].deployment : services[i].previous;

		if (before == rollout->previous && before != 0)
			return before;
		if (before > base && before != rollout->deployment)
			base = before;
	}
	return base;
}

/* --- is it well? --- */

static void
tell(struct swarm_view *view, const struct docker_task *task)
{
	snprintf(view->why, sizeof(view->why), "task %u: %s", task->slot, task->why);
}

/* Whether a task before the i-th runs in its place: on a node that is lost, which nobody knows yet. */
static bool
is_twin(const struct docker_tasks *tasks, size_t i, int64_t deployment)
{
	for (size_t k = 0; k < i; k++)
		if (tasks->items[k].slot == tasks->items[i].slot && tasks->items[k].deployment == deployment &&
		    tasks->items[k].state == DOCKER_TASK_RUNS)
			return true;
	return false;
}

static enum swarm_health
look_at_tasks(const struct docker_tasks *tasks, int64_t deployment, struct swarm_view *view)
{
	for (size_t i = 0; i < tasks->count; i++) {
		const struct docker_task *task = &tasks->items[i];

		view->going += task->state == DOCKER_TASK_GOES;
		if (task->deployment != deployment)
			continue;
		if (task->state == DOCKER_TASK_ENDED) {
			view->ill = i;
			tell(view, task);
			return SWARM_ILL;
		}
		if (task->state == DOCKER_TASK_COMING)
			tell(view, task);
		view->running += task->state == DOCKER_TASK_RUNS && !is_twin(tasks, i, deployment);
	}
	return SWARM_COMING;
}

enum swarm_health
swarm_judge(const struct docker_service *service, unsigned replicas, int64_t deployment,
    const struct docker_tasks *tasks, struct swarm_view *ret)
{
	*ret = (struct swarm_view){ .ill = NONE };
	if (look_at_tasks(tasks, deployment, ret) == SWARM_ILL)
		return SWARM_ILL;
	if (service->update == DOCKER_UPDATE_PAUSED) {
		snprintf(ret->why, sizeof(ret->why), "%s", service->message);
		return SWARM_ILL;
	}
	if (ret->running >= replicas && service->update != DOCKER_UPDATE_RUNS)
		return SWARM_WELL;
	return SWARM_COMING;
}
