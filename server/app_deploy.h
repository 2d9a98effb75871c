/* A job that deploys, as it begins: what its environment says of it. */
#ifndef DAVIT_SERVER_APP_DEPLOY_H
#define DAVIT_SERVER_APP_DEPLOY_H

#include <stdbool.h>

#include "proto/err.h"
#include "proto/plan.h"

struct build;
struct environment;

/* Where an application goes. */
struct app_deploy_target {
	bool is_swarm;    /* the engine is a manager of one */
	char engine[64];  /* its name; "": the first */
	int64_t previous; /* number of the deployment that is there; 0: none */
};

/* Asks the environment's rules, and completes the job by it: where the pipeline says no command, the environment's runs
 * in the environment's image; its variables are added to env. From here on the job is as one with a script. That of an
 * application stays as it is, and *target is filled. ERR_REFUSED when the build may not be deployed there, or nothing
 * says how. */
bool app_deploy_begin(const struct environment *environment, const struct build *build, struct job_spec *spec,
    struct env *env, struct app_deploy_target *target, struct err *err);
/* Whether it is one of an application. */
bool app_deploy_is_application(const struct job_spec *spec);

#endif
