/* The plannings under way: builds claimed from davit:planning, each planned by planner.h and written back. Bounded; a
 * result that Redis cannot take yet is offered again until it does, or until the lease is lost. */
#ifndef DAVIT_SCHEDULER_PLANNING_H
#define DAVIT_SCHEDULER_PLANNING_H

#include "server/store/store.h"

struct leases;
struct loop;
struct planner;
struct planning;

struct planning *planning_new(
    struct loop *loop, struct store *store, struct planner *planner, struct leases *leases, unsigned max);
/* Unfinished builds stay claimed; the next registration of this node, or the end of the lease, brings them back. */
void planning_free(struct planning **planning);
/* Builds may wait: claim until there is none or all places are taken. */
void planning_wake(struct planning *planning);
/* No further claims. */
void planning_drain(struct planning *planning);
/* No further claims while it is held; planning_wake then looks for what waits. */
void planning_hold(struct planning *planning, bool is_held);
/* The lease of build `id` ("17") is lost or it was cancelled: drop it. No error when it is not here. */
void planning_drop(struct planning *planning, const char *id);

#endif
