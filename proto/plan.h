/* A plan: what a daocloud.yml comes to at one commit, on one event. Jobs in an order in which each stands behind those
 * it needs, each complete in itself: the builder needs nothing but the job's spec. The second noun of the flow change
 * -> plan -> job -> container -> log -> result -> message.
 *
 * Everything is a value: owned strings, no pointers between jobs. A member that is zero, NULL or empty means the
 * server's own setting, or that there is none. */
#ifndef DAVIT_PROTO_PLAN_H
#define DAVIT_PROTO_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

struct strings {
	char **items;
	size_t count;
};

/* A container beside the job's, reached by its name. */
struct service_spec {
	char *name;  /* host name in the job's network */
	char *image; /* with tag */
	struct env env;
	unsigned
	    ready_port; /* TCP port that accepts when it is ready; 0: healthy where the image says how, else started */
	unsigned ready_timeout_s; /* then the job ends as error */
};

/* One shell started in the workspace: the directory and exported variables live as long as the segment. */
struct segment_spec {
	char *name;     /* install, before_script, script, after_script, or a step's own */
	char *image;    /* of a step with another image, on the same workspace; NULL: the job's */
	struct env env; /* of a step, beside the job's */
	char **commands;
	size_t command_count;
	bool always; /* runs whatever happened before, and changes no result: after_script */
};

/* A job that must have ended before this one begins. */
struct need_spec {
	unsigned job; /* its number in the build, from 1, smaller than the own one */
	char *name;   /* its name, for people */
	bool files;   /* its artifacts are put into this job's workspace */
};

/* On which outcome of its needs a job runs; otherwise it is skipped. */
enum run_on { RUN_ON_SUCCESS, RUN_ON_FAILURE, RUN_ALWAYS };

/* Outcomes after which a job is run again. */
enum { RETRY_INFRASTRUCTURE = 1, RETRY_FAILURE = 2, RETRY_TIMEOUT = 4 };

struct retry_spec {
	unsigned max; /* further attempts */
	unsigned on;  /* of RETRY_* */
};

struct resources_spec {
	uint64_t memory;    /* bytes; 0: the server's, which is also the most */
	uint64_t nano_cpus; /* 1e9 is one core; likewise */
};

/* One of a group runs at a time. */
struct concurrency_spec {
	char *group; /* NULL: no group */
	bool cancel; /* an older job of the group is cancelled, where it would be waited for */
};

struct secret_spec {
	char *name;     /* as the server knows it */
	char *variable; /* as the job sees it */
};

/* Folders kept from job to job of a repository. ${checksum:FILE} in a key stands for the file's content at the commit.
 */
struct cache_spec {
	char *key;
	struct strings fallbacks; /* beginnings of keys, tried in order: the newest that fits */
	struct strings paths;     /* absolute, or below the workspace */
};

struct artifact_spec {
	char *name;           /* NULL: "artifacts" */
	struct strings paths; /* below the workspace; * ? ** as in proto/glob.h */
	unsigned expire_s;    /* 0: the server's */
	enum run_on on;
};

/* Files that are read when the job has ended, passed or not. */
struct report_spec {
	struct strings junit; /* paths as those of artifacts */
	char *coverage;       /* Cobertura; NULL: none */
};

/* What becomes of a tag that the registry has already, of another image. */
enum build_existing { BUILD_REPLACE, BUILD_KEEP, BUILD_FAIL };

/* An image that is built of the repository (and of files of the jobs that it needs). */
struct build_spec {
	char *dockerfile; /* below the repository's root */
	char *context;    /* folder below it, "" for the root */
	struct env args;
	char *target;          /* NULL: the last stage */
	struct strings tags;   /* full image names */
	struct strings labels; /* NAME=VALUE */
	bool push;
	enum build_existing existing;
	struct strings cache_from; /* full image names, whose layers may be taken */
	char *platform;            /* as proto/platform.h spells it; NULL: that of its engine */
	struct strings platforms;  /* not empty: nothing is built, but the list pushed of what the jobs that it needs
				      have  built for these */
	bool no_cache;
	struct strings extract;     /* absolute paths, taken out of the image built by compile, into the context */
	struct build_spec *compile; /* of a lite_image: built first; NULL: none */
};

struct application;

/* What does it are the job's segments, or a command of the environment; or it is an application. */
struct deploy_spec {
	char *environment;
	char *image; /* that is deployed; NULL: none */
	bool approve;
	struct application *application; /* NULL: a command does it */
	char *lacks;   /* name of a variable of the plan that it wants and the event does not have; NULL: none */
	char *refused; /* why its environment does not take the build, found out behind the plan; NULL: it does */
};

enum job_kind { JOB_KIND_SCRIPT, JOB_KIND_BUILD, JOB_KIND_DEPLOY };

struct job_spec {
	char *name; /* unique in its plan: "test", "test (go=1.22)" */
	enum job_kind kind;
	char *
	    image; /* as written, with aliases not yet resolved; NULL where the kind needs none, or the environment's */
	struct env env; /* values as proto/script.h reads them: $NAME and ${NAME} refer, $$ is a dollar sign */
	struct service_spec *services;
	size_t service_count;
	struct segment_spec *segments;
	size_t segment_count;
	unsigned timeout_s; /* of the whole job, services included; 0: the server's builder.timeout */

	char *skipped; /* why its conditions leave it out on this event; NULL: they do not */
	struct need_spec *needs;
	size_t need_count;
	enum run_on run_on;
	bool allow_failure; /* its failure changes neither the build's state nor what needs it */
	struct retry_spec retry;
	struct resources_spec resources;
	struct strings labels; /* "arch=amd64": the engine that runs it has them all */
	struct concurrency_spec concurrency;

	struct secret_spec *secrets;
	size_t secret_count;
	struct cache_spec *caches;
	size_t cache_count;
	struct artifact_spec *artifacts;
	size_t artifact_count;
	struct report_spec reports;
	bool no_mirror;  /* its tools are not told of the mirror */
	unsigned hold_s; /* how long a failed job's container is kept for who debugs it: hold_on_failure */

	struct build_spec *build;   /* of JOB_KIND_BUILD */
	struct deploy_spec *deploy; /* of JOB_KIND_DEPLOY */
};

/* When a mail goes out. */
enum notify_when { NOTIFY_NEVER, NOTIFY_ALWAYS, NOTIFY_CHANGE };

struct notify_spec {
	char **recipients;
	size_t recipient_count;
	enum notify_when on_success; /* default NOTIFY_CHANGE */
	enum notify_when on_failure; /* default NOTIFY_ALWAYS */
};

/* What somebody who starts the build by hand may choose. */
struct parameter_spec {
	char *name;
	char *value; /* the default; NULL: none */
	struct strings options;
	char *description; /* NULL: none */
	bool required;
};

struct plan {
	struct parameter_spec *parameters;
	size_t parameter_count;
	struct job_spec *jobs;
	size_t job_count;
	struct notify_spec notify;
	char **warnings; /* "daocloud.yml:3:1: ..." */
	size_t warning_count;
	int64_t
	    commit_ms; /* when the commit was made, since 1970; 0: not known. The planner's, and no part of the JSON */
	bool wants_paths; /* a condition asked for the changed files, which were not known */
	bool names_first; /* a tag says that it is the repository's first build of an image */
	bool is_first;    /* it may be that. The planner's, and no part of the JSON */
};

void env_add(struct env *env, const char *name, const char *value);
/* Wipes the values: there may be secrets among them. */
void env_fini(struct env *env);
void strings_add(struct strings *strings, struct str item);
bool strings_have(const struct strings *strings, const char *item);
void strings_fini(struct strings *strings);
void job_spec_fini(struct job_spec *job);
/* Whether files are to be taken out of it that it leaves although it did not pass. */
bool job_spec_leaves_files(const struct job_spec *job);
void parameter_spec_fini(struct parameter_spec *parameter);
void plan_free(struct plan **plan);

/* The JSON of `davit plan` and of the field "spec" of davit:job:N.K; free() it. Members that say nothing are left out.
 */
char *plan_to_json(const struct plan *plan);
char *job_spec_to_json(const struct job_spec *job);
/* [{"name": "level", "default": "quick", "options": [...], "description": "...", "required": true}]; "" when there are
 * none. */
char *parameters_to_json(const struct plan *plan);
/* *ret is filled on success only; end it with job_spec_fini. */
bool job_spec_from_json(struct str text, struct job_spec *ret, struct err *err);
char *notify_spec_to_json(const struct notify_spec *notify);
bool notify_spec_from_json(struct str text, struct notify_spec *ret, struct err *err);
void notify_spec_fini(struct notify_spec *notify);

#endif
