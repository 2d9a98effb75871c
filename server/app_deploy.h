/* A job that deploys, as it begins: what its environment says of it. */
#ifndef DAVIT_SERVER_APP_DEPLOY_H
#define DAVIT_SERVER_APP_DEPLOY_H

#include <stdbool.h>

#include "proto/err.h"
#include "proto/plan.h"

struct build;
struct environment;
struct job;

/* Where an application goes. */
struct app_deploy_target {
	bool is_swarm;    /* the engine is a manager of one */
	char engine[64];  /* its name; "": the first */
	int64_t previous; /* number of the deployment that is there; 0: none */
};

/* Asks the environment's rules, and completes the job by it: where the pipeline says no command, the environment's runs
 * in the environment's image; its variables are added to env. From here on the job is as one with a script. That of an
 * application stays as it is, and *target is filled: on an error what was there before alone. ERR_REFUSED when the build may not be deployed there, or nothing
 * says how. */
bool app_deploy_begin(const struct environment *environment, const struct build *build, struct job_spec *spec,
    struct env *env, struct app_deploy_target *target, struct err *err);
/* Whether it is one of an application. */
bool app_deploy_is_application(const struct job_spec *spec);
/* The word for the environment's kind. */
const char *app_deploy_kind(const struct app_deploy_target *target);
/* Of the job of an application that an earlier process has begun: the target is of the kind of environment that it was
 * begun for. False: the environment is of another kind now, and err says so. */
bool app_deploy_keep_kind(const struct job *job, struct app_deploy_target *target, struct err *err);

#endif
