/* What an application has on its engine, as the engine lists it, with what this process knows of each container. */
#ifndef DAVIT_DELIVERY_STOCK_H
#define DAVIT_DELIVERY_STOCK_H

#include "proto/docker_reply.h"
#include "proto/docker_swarm.h"
#include "proto/rollout.h"

/* Labels of every container of an application. */
#define STOCK_APPLICATION "davit.application" /* REPO/ENVIRONMENT */
#define STOCK_REPO "davit.repo"
#define STOCK_ENVIRONMENT "davit.environment"
#define STOCK_SERVICE "davit.service"
#define STOCK_REPLICA "davit.replica"
#define STOCK_DEPLOYMENT DOCKER_DEPLOYMENT_LABEL

struct stock {
	struct rollout_container *items; /* their services are owned */
	char (*ids)[DOCKER_ID_SIZE];
	unsigned *tries; /* to start it again */
	size_t count;
};

/* Takes over what list says, and what was known of those that are in both. Containers without our labels are left out.
 */
void stock_take(struct stock *stock, const struct docker_list *list);
void stock_fini(struct stock *stock);

#endif
