/* A job that deploys an application: between the release, which works on the engine, and the store, in which stands
 * what was begun and how it comes out before anything follows from it. */
#ifndef DAVIT_SERVER_APP_RELEASE_H
#define DAVIT_SERVER_APP_RELEASE_H

#include "proto/plan.h"
#include "server/app_deploy.h"
#include "server/delivery/release.h"
#include "server/store/records.h"

struct app_release;
struct loop;
struct store;
struct destinations;

struct app_release_deps {
	struct loop *loop;
	struct store *store;
	struct destinations *destinations;
};

/* Lent until done. */
struct app_release_job {
	struct job *job; /* its container, engine and images are set when they are on record */
	const struct job_spec *spec;
	const struct app_deploy_target *target;
	const struct env *env;
	bool is_left;        /* an earlier process has begun it */
	const char *undoing; /* of such: why it must not go on; "": it goes on */
};

struct app_release_events {
	void (*notice)(void *arg, const char *text);
	void (*hide)(void *arg, char *text); /* what is secret in it */
	/* It has come to its end; NULL: the job is not ours any more. */
	void (*done)(void *arg, const struct release_result *result);
};

struct app_release *app_release_start(const struct app_release_deps *deps, const struct app_release_job *job,
    const struct app_release_events *events, void *arg);
void app_release_cancel(struct app_release *release, const char *why);
/* Whether something may have been changed: then it is for a later process to go on. */
bool app_release_is_begun(const struct app_release *release);
/* Everything stays as it is; done is not called. Accepts NULL inside. */
void app_release_leave(struct app_release **release);
enum job_state app_release_state(enum release_state state);

#endif
