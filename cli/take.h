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

/* members: how many were written, also before an err. The async contract of core/loop.h holds. */
typedef void take_fn(void *arg, uint64_t members, const struct err *err);

/* Between the run's ended and builder_leave. patterns and out are lent. */
struct take *take_start(struct builder_run *run, const struct strings *patterns, const struct collect_limits *limits,
    FILE *out, take_fn *fn, void *arg);
/* Accepts NULL inside. */
void take_cancel(struct take **take);

#endif
