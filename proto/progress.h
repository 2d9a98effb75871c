/* How far a job of several containers, one after the other, has come: what who takes it up has to know of those before
 * its present one. Written as JSON into the job's record together with that container. */
#ifndef DAVIT_PROTO_PROGRESS_H
#define DAVIT_PROTO_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/marker.h"
#include "proto/str.h"

struct progress {
	unsigned part; /* the present one; 0: the first, with which there is nothing else to know */
	uint64_t log;  /* records that the log's index had by then */
	uint64_t out;  /* bytes of standard output and standard error before it */
	uint64_t err;
	int exit_code;                     /* of what does not run always; -1: it is not over */
	bool oom;                          /* the memory limit was hit */
	char segment[MARKER_NAME_MAX + 1]; /* the first that failed, or the last that began; "" before the first */
	int segment_exit;                  /* of that; -1: it has not ended */
};

/* "" of the first part. free() it. */
char *progress_to_json(const struct progress *progress);
/* json: "" is the first part. */
bool progress_from_json(struct str json, struct progress *ret, struct err *err);

#endif
