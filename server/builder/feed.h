/* What a container reads from its standard input: one tar of its part's script, and with the first part of a job of the
 * workspace and its owner's files. */
#ifndef DAVIT_BUILDER_FEED_H
#define DAVIT_BUILDER_FEED_H

#include "proto/buf.h"
#include "server/builder/builder.h"
#include "server/builder/services.h"

/* Everything is lent. */
struct feed_part {
	const struct builder_job *job;
	size_t first, count; /* of the job's segments */
	bool is_first;       /* of the job's parts: the others find the workspace */
	const char *status;  /* see script.h, as hold_s */
	unsigned hold_s;
	const struct services *services; /* ready; NULL: none */
	bool for_podman;
	const char *mirror_address; /* that no resolver tells; "": there is none */
	const char *wiring;         /* tells the tools of the mirror, see builder_conf; NULL: nothing */
};

/* The files behind the head. */
struct feed {
	struct docker_piece *pieces; /* the workspace, if there is one, then the job's inputs */
	size_t count;
	int workspace_fd; /* -1: none */
};

void feed_init(struct feed *feed);
void feed_fini(struct feed *feed);
bool feed_open(struct feed *feed, const struct feed_part *part, struct err *err);
/* The tar's beginning, which holds secrets: wipe it, and end it with buf_fini. ERR_INPUT when the job's script cannot
 * be made. */
bool feed_head(const struct feed_part *part, struct buf *ret, struct err *err);

#endif
