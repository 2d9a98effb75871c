/* An application: containers that are to run on an engine, as a pipeline's job describes them. A service of it has one
 * image and as many replicas as are wanted; what they are called, and which of the engine's volumes and networks they
 * see, follows from repository and environment, so that applications are apart from each other.
 *
 * Texts of lists have one form each, which the reader of the pipeline has made sure of:
 *   ports     as application_port_text prints them: ADDRESS:FIRST-LAST:PORT/PROTOCOL
 *   volumes   NAME:/path, NAME:/path:ro
 *   labels    NAME=VALUE */
#ifndef DAVIT_PROTO_APPLICATION_H
#define DAVIT_PROTO_APPLICATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/plan.h"
#include "proto/str.h"

struct json_value;
struct json_writer;

enum {
	APPLICATION_SERVICES_MAX = 32,
	APPLICATION_REPLICAS_MAX = 100, /* of a service */
	APPLICATION_NAME_MAX = 40,      /* of a service, a volume or a network */
	APPLICATION_STABLE_S = 3,       /* the defaults of a gate */
	APPLICATION_GATE_S = 60,
	APPLICATION_DRAIN_S = 5,
	APPLICATION_GRACE_S = 10, /* the engine's own */
};

/* Which of two containers of a replica runs first. */
enum application_order { APPLICATION_START_FIRST, APPLICATION_STOP_FIRST };

/* Where ports are published. Only a swarm has more than one place. */
enum application_publish {
	APPLICATION_PUBLISH_ANYWHERE, /* as the destination does it: on the engine's machine, in a swarm as INGRESS */
	APPLICATION_PUBLISH_INGRESS,  /* on each node of the swarm, one port for all replicas */
	APPLICATION_PUBLISH_HOST,     /* on the node where the container runs */
};

struct application_service {
	char *name;
	char *image;               /* as written */
	struct strings command;    /* empty: the image's */
	struct strings entrypoint; /* likewise */
	struct env env;            /* $NAME and ${NAME} refer, $$ is a dollar sign: application_env */
	struct strings ports;
	enum application_publish publish; /* all of them */
	bool dnsrr;                       /* in a swarm its name is all replicas' addresses, not one for them all */
	struct strings volumes;
	struct strings networks; /* beside the application's own */
	struct strings labels;
	unsigned replicas; /* from 1 */
	char *user;        /* NULL: the image's, as the next four */
	char *workdir;
	char *hostname;
	char *restart; /* "no", "always", "unless-stopped", "on-failure" */
	char *stop_signal;
	char *pull;       /* "always", "missing", "never"; NULL: see release.h */
	unsigned grace_s; /* between the signal to stop and the kill */
	uint64_t memory;  /* bytes; 0: no limit */
	uint64_t nano_cpus;
	bool init;
	bool read_only;
	struct strings tmpfs;

	struct strings health; /* as docker has it: {"CMD", ...}, {"CMD-SHELL", text}, {"NONE"}; empty: the image's */
	unsigned health_interval_s, health_timeout_s, health_start_s, health_retries; /* 0: the engine's */

	/* The gate: what a new container has to pass before the old one goes. */
	char *probe_path;    /* of an HTTP request that has to be answered with 2xx or 3xx; NULL: none */
	unsigned probe_port; /* of the container, for it, or for a TCP connection; 0: neither */
	unsigned stable_s;   /* so long it has to be well */
	unsigned gate_s;     /* and this long it may take to become so */
	unsigned drain_s;    /* how long both run when the new one is well */
	enum application_order order;
};

struct application {
	struct application_service *services; /* in the order in which they are replaced */
	size_t service_count;
};

struct application_port {
	char address[46];     /* of the machine, to which it is bound; "": all */
	unsigned first, last; /* ports of the machine, one for each replica; 0: the engine chooses */
	unsigned port;        /* of the container */
	char protocol[5];     /* "tcp", "udp" */
};
/* ERR_INPUT says what is wrong. Takes what compose files have: "80", "8080:80", "127.0.0.1:8080-8081:80/udp". */
bool application_port(const char *text, struct application_port *ret, struct err *err);
/* In the form above; free() it. */
char *application_port_text(const struct application_port *port);
/* A word of a-z, 0-9 and - within, at most APPLICATION_NAME_MAX. */
bool application_name_is_valid(const char *name);
/* Whether each container has a port of the machine to itself, so that two of them cannot run side by side. */
bool application_has_fixed_ports(const struct application_service *service);

/* The service's variables with their values: what they refer to is in known, or in others before them. ERR_INPUT names
 * a variable that is nowhere. *ret is filled on success only; end it with env_fini. */
bool application_env(const struct env *values, const struct env *known, struct env *ret, struct err *err);

void application_free(struct application **application); /* accepts NULL inside */
void application_write(struct json_writer *w, const struct application *application);
/* *ret is filled on success only. */
bool application_read(const struct json_value *value, struct application **ret, struct err *err);

#endif
