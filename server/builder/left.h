/* What an earlier process has left of a job, as an engine's list of containers shows it: the job's container, and the
 * holder of the network that it is in. */
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

void left_find(const struct docker_list *containers, const char *id, struct left *ret);

#endif
