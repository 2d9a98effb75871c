/* Delivery: brings an application to an engine, replica by replica, or to a swarm, service by service, and back when
 * what is new does not prove itself. proto/rollout.h and proto/swarm_rollout.h decide the next step from what is there,
 * which is asked before each, so that a release may be left at any place, by a kill too, and be taken up by another
 * process.
 *
 * What a release learns goes out through struct release_events, in this order:
 *   notice     for people, at any time
 *   started    the engine answers and every image is there; nothing was changed
 *   release_go
 *              the owner's answer, when that is written durably
 *   verdict    all new containers are well, or one is not and the old ones come back: how it comes out
 *   release_go
 *              likewise
 *   done       exactly once, from the loop; not after release_leave
 * Containers, services, volumes and networks are named after repository and environment and carry labels
 * (davit.application, davit.repo, davit.environment, davit.service, davit.replica, davit.deployment). The async
 * contract of core/loop.h holds. */
#ifndef DAVIT_DELIVERY_RELEASE_H
#define DAVIT_DELIVERY_RELEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/application.h"
#include "proto/err.h"
#include "server/delivery/destinations.h"

struct release;

enum release_state {
	RELEASE_PASSED,
	RELEASE_FAILED, /* the application's fault */
	RELEASE_CANCELLED,
	RELEASE_TIMED_OUT,
	RELEASE_ERROR, /* the engine's, a registry's, or ours */
};

struct release_result {
	enum release_state state;
	char reason[256]; /* "" when all is well */
};

/* Everything is lent: until done, or release_leave. */
struct release_job {
	const char *name; /* of the job, for the log: "17.2" */
	const char *repo;
	const char *environment;
	int64_t deployment; /* its number */
	int64_t previous;   /* that of the last one that passed; 0: none */
	const struct application *application;
	bool is_swarm;         /* the engine is a manager of one */
	const char *engine;    /* by its name; "" for the first */
	const struct env *env; /* what the services' variables refer to, and DOCKER_AUTH_CONFIG */
	/* The very images, as proto/built_image.h has them: what this deployment was given before, by an earlier
	 * process or by the one that it makes again; what the jobs before it have built or deployed. */
	const char *images;
	const char *needed_images;
	int64_t timeout_ms; /* until the new containers are well; going back has its own time */
	/* Of one that an earlier process has started: its verdict, if there was one, or why it must not go on. NULL: it
	 * goes on. */
	bool is_left;
	const struct release_result *verdict;
};

struct release_events {
	void (*notice)(void *arg, const char *text);
	/* images: as above, of this deployment. Answer with release_go. */
	void (*started)(void *arg, const char *engine, const char *images);
	/* Answer with release_go. */
	void (*verdict)(void *arg, const struct release_result *result);
	void (*done)(void *arg, const struct release_result *result);
};

/* destinations is lent, as is the job. */
struct release *release_start(
    struct destinations *destinations, const struct release_job *job, const struct release_events *events, void *arg);
void release_go(struct release *release);
/* Nothing new is begun: it goes back, unless its verdict is known. done follows. */
void release_cancel(struct release *release, const char *why);
/* Everything stays as it is, for another process or for nobody; no callback follows. Accepts NULL inside. */
void release_leave(struct release **release);

#endif
