/* Which version of a repository each connection was shown, for a while. */
#ifndef DAVIT_MIRROR_SHOWN_H
#define DAVIT_MIRROR_SHOWN_H

#include <stdint.h>

#include "server/mirror/snapshot.h"

/* A connection may take so long between the root file and the last index file. */
enum { SHOWN_MAX = 4096, SHOWN_S = 600 };

/* Zeroed: empty. A repository is told apart by its address. */
struct shown {
	struct view *table;
};

void shown_fini(struct shown *shown);
/* In the place of what was there; NULL: nothing. */
void shown_put(struct shown *shown, uint64_t connection, const void *repository, struct snapshot *snapshot);
/* Lent; NULL: there is none. */
struct snapshot *shown_find(const struct shown *shown, uint64_t connection, const void *repository);
/* The repository is no more. */
void shown_drop(struct shown *shown, const void *repository);

#endif
