/* The way from a network of jobs to the mirror: a container there, known as WIRING_HOST, that hands on what comes at
 * its one port to the mirror's, and can reach nothing else. Those beside it still reach no address of the machine. It
 * is made and started like any container, and nobody listens to it. */
#ifndef DAVIT_BUILDER_RELAY_H
#define DAVIT_BUILDER_RELAY_H

#include "server/builder/host.h"

/* Makes it, in that network; the host's engine has a relay (builder_engine_conf). */
struct docker_op *relay_create(struct host *host, const char *name, const char *network,
    const struct host_labels *labels, docker_fn *fn, void *arg);

#endif
