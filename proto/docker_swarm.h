/* What we ask of a Docker Swarm (Docker Engine API 1.41, /services, /tasks) for an application, and what it answers.
 * The texts are free()d by the caller. */
#ifndef DAVIT_PROTO_DOCKER_SWARM_H
#define DAVIT_PROTO_DOCKER_SWARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/application.h"
#include "proto/docker_reply.h"
#include "proto/docker_spec.h"

/* Which deployment made a container or a service's spec. */
#define DOCKER_DEPLOYMENT_LABEL "davit.deployment"

enum { DOCKER_SERVICE_NAME_MAX = 63 }; /* of a swarm's services and networks */

/* "boat_production_web": a swarm's names are words of a-z, 0-9, - and _. One that cannot be had so, or would be too
 * long, ends in a digest of what it stands for, so that no two are the same. */
char *docker_swarm_name(const char *repo, const char *environment, const char *name);

/* The name of the network that the service is in, by its index; NULL: that was the last. */
char *docker_swarm_network(
    const char *repo, const char *environment, const struct application_service *service, size_t i);

/* ERR_INPUT says what of it a swarm cannot do. */
bool docker_service_check(const struct application_service *service, struct err *err);

struct docker_service_spec {
	const char *repo;
	const char *environment;
	int64_t deployment;                       /* each makes all containers anew */
	struct docker_application_spec container; /* replica counts for nothing; prefix is of volumes alone */
};
char *docker_service_body(const struct docker_service_spec *spec, size_t *len);
/* Of an update to the spec before, for which the swarm wants a body and does not look at it. */
char *docker_service_back_body(const char *name, size_t *len);
/* The "filters" parameter for the tasks of a service. */
char *docker_task_filter(const char *service);

enum docker_update {
	DOCKER_UPDATE_NONE, /* there was none yet, or it has not begun */
	DOCKER_UPDATE_RUNS,
	DOCKER_UPDATE_PAUSED, /* it has failed */
	DOCKER_UPDATE_DONE,
	DOCKER_UPDATE_GOES_BACK,
	DOCKER_UPDATE_BACK, /* to the spec before, whole or not */
};

struct docker_service {
	char id[DOCKER_ID_SIZE];
	char name[DOCKER_SERVICE_NAME_MAX + 1];
	int64_t version; /* an update has to name it */
	enum docker_update update;
	char message[200];                 /* of the update */
	const struct json_value *labels;   /* lent by the list */
	const struct json_value *previous; /* those of the spec before; NULL: there is none */
};
struct docker_services {
	struct json *doc;
	struct docker_service *items;
	size_t count;
};
/* Of the list of services; those with a malformed id are left out. End *ret with docker_services_fini. */
bool docker_reply_services(struct str body, struct docker_services *ret, struct err *err);
void docker_services_fini(struct docker_services *services);
/* "" when there is none of that name. */
const char *docker_label_of(const struct json_value *labels, const char *name);

enum docker_task_state {
	DOCKER_TASK_COMING, /* to a node, or to its start; it may be that no node takes it */
	DOCKER_TASK_RUNS,   /* and is healthy, where it has a check */
	DOCKER_TASK_ENDED,  /* by itself, or it could not be started */
	DOCKER_TASK_GOES,   /* it is to go, and runs; or its node is not there */
	DOCKER_TASK_GONE,
};

struct docker_task {
	char id[DOCKER_ID_SIZE];
	unsigned slot;      /* which replica it is, from 1 */
	int64_t deployment; /* by the label of its container; 0: none */
	enum docker_task_state state;
	char why[200]; /* the swarm's words */
};
struct docker_tasks {
	struct docker_task *items;
	size_t count;
};
/* End *ret with docker_tasks_fini. */
bool docker_reply_tasks(struct str body, struct docker_tasks *ret, struct err *err);
void docker_tasks_fini(struct docker_tasks *tasks);

#endif
