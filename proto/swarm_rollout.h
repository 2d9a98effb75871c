/* How the services of an application are replaced in a Docker Swarm, one after the other: from what is there and what
 * is wanted to the next single step. Pure, and made for whoever may be killed between any two steps, as
 * proto/rollout.h: the swarm keeps the spec before, which is the way back, and the deployment's number in each spec
 * says how far it came.
 *
 * The ways are those of proto/rollout.h: ROLLOUT_FORWARD ends in SWARM_COMMIT, ROLLOUT_CLEAN then removes the services
 * that the application has no more; ROLLOUT_BACK takes them back in the reverse order. */
#ifndef DAVIT_PROTO_SWARM_ROLLOUT_H
#define DAVIT_PROTO_SWARM_ROLLOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/docker_swarm.h"
#include "proto/rollout.h"

enum swarm_action {
	SWARM_CREATE,
	SWARM_UPDATE,
	SWARM_WATCH, /* are its new tasks well? SWARM_COMMIT and SWARM_DONE do not come before */
	SWARM_BACK,  /* to the spec before */
	SWARM_AWAIT, /* that it is back */
	SWARM_REMOVE,
	SWARM_COMMIT, /* all are well */
	SWARM_DONE,   /* of the other two ways */
};

/* What is there. */
struct swarm_service {
	const char *name;   /* in the application */
	int64_t deployment; /* that its spec is of */
	int64_t previous;   /* that the spec before is of; 0: there is none */
	enum docker_update update;
	bool is_proved; /* its tasks were well */
	bool is_lost;   /* it does not come back: as it is, so it stays */
};

struct swarm_step {
	enum swarm_action action;
	size_t there;  /* index of the service that it is about; SIZE_MAX for SWARM_CREATE */
	size_t wanted; /* index in the application; SIZE_MAX: it is not in it */
};

struct swarm_step swarm_rollout_next(const struct rollout *rollout, const struct swarm_service *services, size_t count);
/* The deployment that there is to go back to; 0: none. */
int64_t swarm_rollout_base(const struct rollout *rollout, const struct swarm_service *services, size_t count);

enum swarm_health { SWARM_COMING, SWARM_WELL, SWARM_ILL };

struct swarm_view {
	unsigned running; /* replicas of which a new task runs */
	unsigned going;   /* tasks that are to go, and run */
	size_t ill;       /* index of the task that has failed; SIZE_MAX: none */
	char why[256];    /* it is not well */
};
/* Of the tasks of a service that deployment has made or updated. SWARM_WELL: as many as wanted run, and the update,
 * where there was one, says so too; of one that was made it is for the caller to see whether it stays so. */
enum swarm_health swarm_judge(const struct docker_service *service, unsigned replicas, int64_t deployment,
    const struct docker_tasks *tasks, struct swarm_view *ret);

#endif
