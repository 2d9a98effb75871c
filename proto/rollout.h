/* How an application's containers are replaced, one replica after the other: from what is there and what is wanted to
 * the next single step. Pure; whoever takes the steps looks at what is there before each, so that it may be killed
 * between any two of them, and goes on from there. The old containers are stopped, and stay until all the new ones are
 * proved: until then the way back is to start them again.
 *
 * Three ways: ROLLOUT_FORWARD ends in ROLLOUT_COMMIT, after which (when that is on record) ROLLOUT_CLEAN removes what
 * was there before; ROLLOUT_BACK removes the new ones and has the old ones run. */
#ifndef DAVIT_PROTO_ROLLOUT_H
#define DAVIT_PROTO_ROLLOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/application.h"

enum rollout_way { ROLLOUT_FORWARD, ROLLOUT_BACK, ROLLOUT_CLEAN };

enum rollout_action {
	ROLLOUT_CREATE, /* a container of service and replica */
	ROLLOUT_START,
	ROLLOUT_GATE,  /* it runs: is it well? */
	ROLLOUT_DRAIN, /* it is well: proxies may hear of it before the old one goes */
	ROLLOUT_STOP,
	ROLLOUT_REMOVE,
	ROLLOUT_COMMIT, /* all are well, and nothing else runs */
	ROLLOUT_DONE,   /* of the other two ways */
};

/* What is there; of any deployment to the environment. */
struct rollout_container {
	const char *service;
	unsigned replica; /* from 1 */
	int64_t deployment;
	bool runs;
	bool is_proved;  /* it has passed the gate */
	bool is_drained; /* what ROLLOUT_DRAIN asks for was done */
	bool is_lost;    /* it could not be started again: as it is, so it stays */
};

struct rollout {
	const struct application *application; /* that is wanted */
	int64_t deployment;                    /* its number */
	int64_t previous; /* the last that passed: what there is to go back to. 0: not known; then the newest of the
			   * others that has a container */
	enum rollout_way way;
};

struct rollout_step {
	enum rollout_action action;
	size_t container; /* index of the container that it is about */
	size_t service;   /* of ROLLOUT_CREATE, and of what is about a new container: index in the application */
	unsigned replica; /* of ROLLOUT_CREATE */
};

struct rollout_step rollout_next(
    const struct rollout *rollout, const struct rollout_container *containers, size_t count);
/* What there is to go back to; 0: nothing. */
int64_t rollout_base(const struct rollout *rollout, const struct rollout_container *containers, size_t count);

#endif
