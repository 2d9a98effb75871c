/* Takes files out of a job's container into a tar without an end: artifacts and caches of a local run. The tar is
 * written with the program waiting for the disk, since nobody else is served. */
#ifndef DAVIT_CLI_TAKE_H
#define DAVIT_CLI_TAKE_H

#include <stdint.h>
#include <stdio.h>

#include "proto/err.h"
#include "proto/plan.h"
#include "server/builder/builder.h"
#include "server/builder/collect.h"

struct take;

/* As the server counts them (server/app_take.h). */
struct take_result {
	uint64_t members;  /* that were written, also before an err */
	uint64_t bytes;    /* of files among them */
	uint64_t left_out; /* links that lead out of the workspace */
};

enum take_kind { TAKE_ARTIFACT, TAKE_CACHE };

/* The async contract of core/loop.h holds. */
typedef void take_fn(void *arg, const struct take_result *result, const struct err *err);

/* Between the run's ended and builder_leave. patterns and out are lent. */
struct take *take_start(struct builder_run *run, enum take_kind kind, const struct strings *patterns,
    const struct collect_limits *limits, FILE *out, take_fn *fn, void *arg);
/* Accepts NULL inside. */
void take_cancel(struct take **take);

#endif
