/* Which version of a repository each connection was shown, for a while. */
#ifndef DAVIT_MIRROR_PINS_H
#define DAVIT_MIRROR_PINS_H

#include <stdint.h>

#include "server/mirror/snapshot.h"

/* A connection may take so long between the root file and the last index file. */
enum { PINS_MAX = 4096, PIN_S = 600 };

/* Zeroed: empty. A repository is told apart by its address. */
struct pins {
	struct pin *table;
};

void pins_fini(struct pins *pins);
/* In the place of what was there; NULL: nothing. */
void pins_put(struct pins *pins, uint64_t connection, const void *repository, struct snapshot *snapshot);
/* Lent; NULL: there is none. */
struct snapshot *pins_find(const struct pins *pins, uint64_t connection, const void *repository);
/* The repository is no more. */
void pins_drop(struct pins *pins, const void *repository);

#endif
