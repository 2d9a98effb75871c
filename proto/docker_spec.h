/* What we ask of the engine (Docker Engine API 1.41): request bodies and query texts. All of a container's HostConfig
 * is made here from its role and limits; nothing of a user's file reaches it, so that no file can weaken the isolation.
 * Texts are free()d by the caller. */
#ifndef DAVIT_PROTO_DOCKER_SPEC_H
#define DAVIT_PROTO_DOCKER_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/plan.h"

struct docker_label {
	const char *name;
	const char *value;
};

enum docker_role {
	DOCKER_JOB,     /* runs as root without the capabilities that reach beyond its files and processes */
	DOCKER_SERVICE, /* the same as the image's own user */
	DOCKER_NETWORK, /* holds a network open for others: may set routes, and nothing else */
};

struct docker_limits {
	uint64_t memory;    /* bytes, swap included; 0: none */
	uint64_t nano_cpus; /* 1e9 is one core; 0: none */
	unsigned pids;      /* at least 1 */
	uint64_t log_bytes; /* the engine's copy of the output keeps at least this much */
};

struct docker_container_spec {
	enum docker_role role;
	const char *image;
	const char *const
	    *command;          /* NULL-terminated; takes the place of the image's entrypoint. NULL: the image's own */
	const struct env *env; /* may be NULL */
	const char *workdir;   /* NULL: the image's */
	const char *hostname;  /* NULL: the engine's choice; not with container:ID */
	bool open_stdin;       /* ended by the end of the first attached connection's input */
	bool health_often;     /* the image's health check each second */
	const char *network;   /* a network's name, "container:ID" or "none" */
	const char *alias;     /* host name in that network; NULL: none */
	const char *volume;    /* of ours, mounted at volume_path; NULL: none */
	const char *volume_path;
	const struct docker_label *labels;
	size_t label_count;
	struct docker_limits limits;
};

/* for_podman: the log driver of that name and its options. */
char *docker_container_body(const struct docker_container_spec *spec, bool for_podman, size_t *len);
/* A container of an application, as its owner describes it: the engine's own defaults, but nothing of the machine
 * beyond the ports. Everything is lent. */
struct application_service;
struct docker_application_spec {
	const struct application_service *service;
	unsigned replica;
	const char *image;                 /* NAME@DIGEST or an id */
	const struct env *env;             /* its variables with their values */
	const char *prefix;                /* of volumes and networks: "boat.production." */
	const struct docker_label *labels; /* beside the service's own, which they outweigh */
	size_t label_count;
};
char *docker_application_body(const struct docker_application_spec *spec, size_t *len);
/* The network in which it starts, whose other containers know it by the service's name; free() it. Further ones are
 * connected to before it starts. */
char *docker_application_network(const struct docker_application_spec *spec, size_t i);
char *docker_connect_body(const char *container, const char *alias, size_t *len);

/* New limits of one that exists: memory and CPUs. */
char *docker_update_body(const struct docker_limits *limits, size_t *len);
/* A bridge network. */
char *docker_network_body(const char *name, const struct docker_label *labels, size_t count, size_t *len);
/* A network of all nodes of a swarm. */
char *docker_overlay_body(const char *name, const struct docker_label *labels, size_t count, size_t *len);
/* A volume on the engine's own disk. */
char *docker_volume_body(const char *name, const struct docker_label *labels, size_t count, size_t *len);

/* A process beside a container's own, with the same rights. */
struct docker_exec_spec {
	const char *const *command; /* NULL-terminated */
	const char *const *env;     /* "NAME=value", NULL-terminated; NULL: none */
	const char *workdir;        /* NULL: the container's */
	bool tty;                   /* output is one stream then, as a terminal shows it */
};
char *docker_exec_body(const struct docker_exec_spec *spec, size_t *len);
char *docker_exec_start_body(const struct docker_exec_spec *spec, size_t *len);

/* The "filters" parameter for things with this label and, when value is not NULL, this value; decoded. */
char *docker_label_filter(const char *name, const char *value);
/* The same for one container's events of one kind ("health_status"). */
char *docker_event_filter(const char *container, const char *event);
/* The same for all that happens to images. */
char *docker_image_event_filter(void);

#endif
