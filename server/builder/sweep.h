/* One sweep: whatever carries our node's label on the engine and is not written down as owned (host.h) is removed:
 * what an earlier process left, and what could not be removed while the engine was in trouble. */
#ifndef DAVIT_BUILDER_SWEEP_H
#define DAVIT_BUILDER_SWEEP_H

#include "proto/err.h"
#include "server/builder/host.h"

struct sweep;

/* err: the engine would not even say what there is. */
typedef void sweep_fn(void *arg, const struct err *err);
struct sweep *sweep_start(struct host *host, sweep_fn *fn, void *arg);
/* Accepts NULL inside. */
void sweep_cancel(struct sweep **sweep);

#endif
