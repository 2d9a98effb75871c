/* The leases that this node holds: plannings ("17") and jobs ("17.2"). Renews them all at a third of their length,
 * which is the node's heartbeat too, and says which of them are to end or are no longer ours. */
#ifndef DAVIT_SCHEDULER_LEASES_H
#define DAVIT_SCHEDULER_LEASES_H

#include <stdbool.h>
#include <stdint.h>

#include "server/store/store.h"

struct leases;
struct loop;

/* id NULL: Redis has lost this node's record, and renewing rests until leases_start, which is for when it has
 * registered again. Else state is STORE_LEASE_CANCEL (told again at each renewal until it is dropped) or
 * STORE_LEASE_LOST. fn may hold and drop. */
typedef void leases_fn(void *arg, const char *id, enum store_lease_state state);

/* The labels of the node's engines, which are told with the heartbeat. */
typedef const char *leases_labels_fn(void *arg);

struct leases *leases_new(
    struct loop *loop, struct store *store, int64_t lease_ms, leases_labels_fn *labels, leases_fn *fn, void *arg);
/* What is held stays in Redis until its lease runs out. Accepts NULL. */
void leases_free(struct leases **leases);
/* Begins to renew, or goes on; the first renewal is at once. */
void leases_start(struct leases *leases);
bool leases_has(const struct leases *leases, const char *id);
/* id must not be held (asserted); both strings are copied. */
void leases_hold(struct leases *leases, const char *id, const char *token);
/* No error when it is not held. */
void leases_drop(struct leases *leases, const char *id);

#endif
