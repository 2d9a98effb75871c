/* What a plan makes of a container: the only place where anything of a user's file meets what is asked of the engine.
 * Pure, so that test/unit/test_container can hold every request that any plan leads to against the list of what may be
 * asked. */
#ifndef DAVIT_BUILDER_CONTAINER_H
#define DAVIT_BUILDER_CONTAINER_H

#include "proto/docker_spec.h"
#include "server/builder/builder.h"

/* Where it is put, and what it is called. All is lent to the spec. */
struct container_place {
	const char *image;   /* id */
	const char *network; /* of ours: "container:ID", or a name */
	const char *volume;  /* of ours, the workspace; NULL: none */
	const struct docker_label *labels;
	size_t label_count;
};

/* What a job may take: what it asks for, or all that there is. ERR_INPUT when it asks for more. */
bool container_limits(const struct resources_spec *wanted, const struct builder_limits *most,
    struct builder_limits *ret, struct err *err);
struct docker_limits container_docker_limits(const struct builder_limits *limits);

/* by_stdin: its script comes by standard input. */
struct docker_container_spec container_of_job(const struct container_place *place, const char *const *command,
    bool by_stdin, const struct builder_limits *limits);
/* by_health: the image's health check says when it is ready. */
struct docker_container_spec container_of_service(const struct container_place *place,
    const struct service_spec *service, bool by_health, const struct builder_limits *limits);
/* A relay, one process for each connection. */
struct docker_container_spec container_of_relay(
    const struct container_place *place, const char *alias, const char *const *command);
/* A network holder; alias: a service's name, NULL for a job's. */
struct docker_container_spec container_of_holder(
    const struct container_place *place, const char *alias, const char *const *command);

#endif
