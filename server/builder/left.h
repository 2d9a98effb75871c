/* What an earlier process has left of a job, as an engine's list of containers shows it: the job's container, the
 * holder of the network that it is in, and its services there, each with a holder of its own. */
#ifndef DAVIT_BUILDER_LEFT_H
#define DAVIT_BUILDER_LEFT_H

#include "proto/docker_reply.h"
#include "proto/recovery.h"

/* Lent by the list. */
struct left {
	enum recovery_fact fact; /* RECOVERY_GONE, _CREATED, _RUNNING or _ENDED; with the first, the rest is not set */
	const char *id;
	const char *name;
	const char *holder_id;
	const char *holder_name;
	const char *network;
};

struct left_service {
	const char *id;
	const char *name;
	bool is_running;
	const char *holder_id;
	const char *holder_name;
	const char *address;
};

void left_find(const struct docker_list *containers, const char *id, struct left *ret);
/* In the order in which they were begun; at most max of them. Returns how many. */
size_t left_services(
    const struct docker_list *containers, const struct left *left, struct left_service *ret, size_t max);

#endif
