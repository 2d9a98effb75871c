/* All services of a job, started side by side. They are ready when each is; one that fails ends them all. */
#ifndef DAVIT_BUILDER_SERVICES_H
#define DAVIT_BUILDER_SERVICES_H

#include "proto/plan.h"
#include "server/builder/service.h"

struct left_service;
struct services;

/* host to network are lent for the services' life. At least one service. */
struct services *services_start(struct host *host, struct pulls *pulls, const struct job_spec *spec,
    const struct host_labels *labels, const char *network, const struct service_handler *handler, void *arg);
/* Those that an earlier process left, as many as the spec has and in its order; they are ready. NULL: one is none of
 * this node's. */
struct services *services_adopt(struct host *host, const struct job_spec *spec, const struct left_service *left,
    const struct service_handler *handler, void *arg);
/* They stay as they are, for a later process to adopt; no callback follows. Accepts NULL inside. */
void services_detach(struct services **services);
/* on_end follows. May be called twice. */
void services_end(struct services *services);
/* Adds the link variables of all; once they are ready. */
void services_env(const struct services *services, struct env *env);

/* Adds name and address of all; likewise. */
void services_hosts(const struct services *services, struct env *hosts);

#endif
