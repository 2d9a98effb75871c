/* The parts of a job: its segments in the order in which they run, cut where the image changes. Each part is one
 * container; a job without steps of other images has one part. */
#ifndef DAVIT_BUILDER_PARTS_H
#define DAVIT_BUILDER_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/docker_reply.h"
#include "proto/plan.h"

struct part {
	const char *image; /* as written; lent by the job */
	char id[DOCKER_ID_SIZE];
	size_t first, count; /* of the job's segments */
	bool has_always;     /* one of them runs whatever happened before */
};

struct parts {
	struct part *list;
	size_t count;
};

/* At least one part, whatever the job has. */
void parts_init(struct parts *parts, const struct job_spec *job);
void parts_fini(struct parts *parts);
/* The first part from that index on that is to run; is_over: of what runs always there is some in it. parts->count:
 * there is none. */
size_t parts_next(const struct parts *parts, size_t from, bool is_over);

#endif
