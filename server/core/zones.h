/* Time zones by name, from the tz database of the system (/usr/share/zoneinfo). Each is read once, by a disk thread,
 * and kept: a new version of the database counts from the next start on. The async contract of core/loop.h holds. */
#ifndef DAVIT_CORE_ZONES_H
#define DAVIT_CORE_ZONES_H

#include "proto/err.h"
#include "proto/zone.h"

struct disk;
struct loop;
struct zones;
struct zones_op;

struct zones *zones_new(struct loop *loop, struct disk *disk);
/* All operations must have ended or been cancelled. Accepts NULL inside. */
void zones_free(struct zones **zones);

/* zone is good for the life of zones; NULL on an error: ERR_INPUT (there is no such zone), ERR_IO. Free of any disk
 * for "UTC". */
typedef void zones_fn(void *arg, const struct zone *zone, const struct err *err);
struct zones_op *zones_get(struct zones *zones, const char *name, zones_fn *fn, void *arg);
/* Accepts NULL inside. */
void zones_cancel(struct zones_op **op);

#endif
