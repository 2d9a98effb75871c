/* A plan: what a daocloud.yml comes to at one commit. Jobs in order, each complete in itself: the builder needs nothing
 * but the job's spec. The second noun of the flow change -> plan -> job -> container -> log -> result -> message. */
#ifndef DAVIT_PROTO_PLAN_H
#define DAVIT_PROTO_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/err.h"
#include "proto/str.h"

struct env_var {
	char *name;
	char *value;
};

struct env {
	struct env_var *vars; /* in order; a later one of the same name wins */
	size_t count;
};

/* A container beside the job's, reached by its name. */
struct service_spec {
	char *name;  /* host name in the job's network */
	char *image; /* with tag */
	struct env env;
	unsigned ready_port;      /* TCP port that accepts when it is ready; 0: started is ready */
	unsigned ready_timeout_s; /* then the job ends as error */
};

/* One shell started in the workspace: the directory and exported variables live as long as the segment. */
struct segment_spec {
	char *name; /* install, before_script, script */
	char **commands;
	size_t command_count;
};

struct job_spec {
	char *name;
	char *image;    /* as written, with aliases not yet resolved */
	struct env env; /* values as proto/script.h reads them: $NAME and ${NAME} refer, $$ is a dollar sign */
	struct service_spec *services;
	size_t service_count;
	struct segment_spec *segments;
	size_t segment_count;
	unsigned timeout_s; /* of the whole job, services included; 0: the server's builder.timeout */
};

/* When a mail goes out. */
enum notify_when { NOTIFY_NEVER, NOTIFY_ALWAYS, NOTIFY_CHANGE };

struct notify_spec {
	char **recipients;
	size_t recipient_count;
	enum notify_when on_success; /* default NOTIFY_CHANGE */
	enum notify_when on_failure; /* default NOTIFY_ALWAYS */
};

struct plan {
	struct job_spec *jobs;
	size_t job_count;
	struct notify_spec notify;
	char **warnings; /* "daocloud.yml:3:1: ..." */
	size_t warning_count;
};

void env_add(struct env *env, const char *name, const char *value);
void env_fini(struct env *env);
void job_spec_fini(struct job_spec *job);
void plan_free(struct plan **plan);

/* The JSON of `davit plan` and of the field "spec" of davit:job:N.K; free() it. */
char *plan_to_json(const struct plan *plan);
char *job_spec_to_json(const struct job_spec *job);
/* *ret is filled on success only; end it with job_spec_fini. */
bool job_spec_from_json(struct str text, struct job_spec *ret, struct err *err);
char *notify_spec_to_json(const struct notify_spec *notify);
bool notify_spec_from_json(struct str text, struct notify_spec *ret, struct err *err);
void notify_spec_fini(struct notify_spec *notify);

#endif
