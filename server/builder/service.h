/* One service of a job: a container beside the job's in its network, reached by its name, with a network holder of its
 * own (pause.h), so that it cannot reach the machine below either. It is ready when its port accepts connections;
 * without a port in its spec when its image's health check says so; without that when it is started. */
#ifndef DAVIT_BUILDER_SERVICE_H
#define DAVIT_BUILDER_SERVICE_H

#include "proto/err.h"
#include "server/builder/host.h"
#include "server/builder/pull.h"

struct left_service;
struct service;

struct service_handler {
	void (*on_notice)(void *arg, const char *text);
	void (*on_ready)(void *arg);
	/* The last call: nothing of it is left on the engine, the service is gone. err NULL: service_end had been
	 * called. */
	void (*on_end)(void *arg, const struct err *err);
};

struct service_start {
	const struct service_spec *spec;
	const struct host_labels *labels;
	const char *network;
};

/* All of start's members are lent for the service's life. */
struct service *service_start(struct host *host, struct pulls *pulls, const struct service_start *start,
    const struct service_handler *handler, void *arg);
/* One that an earlier process left; it is ready, and on_ready is not called. left is copied. NULL: it is none of this
 * node's. */
struct service *service_adopt(struct host *host, const struct service_spec *spec, const struct left_service *left,
    const struct service_handler *handler, void *arg);
/* It stays as it is, for a later process to adopt; no callback follows. Accepts NULL inside. */
void service_detach(struct service **service);
/* on_end follows. May be called twice. */
void service_end(struct service *service);
const struct service_spec *service_spec(const struct service *service);
/* Once it is ready. */
const char *service_address(const struct service *service);

#endif
