/* Environments that follow a tag in a registry: `davit environment set boat staging --watch registry.corp/boat:stable`.
 * Where the tag is, is asked by the environment's engine (HEAD of the manifest, nothing is downloaded) every interval.
 * When it has moved, the deployment that is there is made again: as `davit deploy` would, with the environment's rules,
 * lock and approval. What was rolled back does not come again by itself: a digest counts once.
 *
 * Eight are asked about at a time, then the next. Any number of daemons do this beside each other: the store gives one
 * that is due to one of them; where that dies between the new deployment and its record, the next sees the deployment
 * first. */
#ifndef DAVIT_DELIVERY_WATCH_H
#define DAVIT_DELIVERY_WATCH_H

#include <stdint.h>

#include "proto/plan.h"
#include "server/delivery/destinations.h"
#include "server/store/store.h"

struct watch;
struct watch_login;

/* env: with DOCKER_AUTH_CONFIG where there is one, lent; NULL: nobody's. */
typedef void watch_login_fn(void *arg, const struct env *env);

struct watch_means {
	struct loop *loop;
	struct store *store;
	struct destinations *destinations;
	int64_t interval_ms;
	/* The credentials that a job that deploys there may have; fn is called from the loop, and the login is gone
	 * then. */
	struct watch_login *(*login)(void *arg, const struct environment *environment,
	    const struct deployment *deployment, watch_login_fn *fn, void *fn_arg);
	void (*login_cancel)(struct watch_login **login); /* accepts NULL inside */
	void *arg;
};

/* Nothing happens before the store's first "up". means is copied; what it names must outlive the watch. */
struct watch *watch_new(const struct watch_means *means);
/* Accepts NULL inside. */
void watch_free(struct watch **watch);
/* A line of store_on_wake; others than "watch" and "up" are ignored. Accepts NULL, as does the next one. */
void watch_wake(struct watch *watch, const char *line);
/* No further questions, for a stop; those under way are cancelled. */
void watch_drain(struct watch *watch);

#endif
