/* Finds pushes that no delivery told: each repository is looked at (look.h) when it is new, when a daemon starts, and
 * every interval. At most eight looks run at a time; one whose forge cannot be reached is looked at less and less
 * often. Any number of daemons do this beside each other: the store gives a due repository to one of them. */
#ifndef DAVIT_HOOK_POLLING_H
#define DAVIT_HOOK_POLLING_H

#include "server/hook/look.h"

struct polling;

/* Nothing happens before the store's first "up". means is copied; what it names must outlive the polling. */
struct polling *polling_new(const struct look_means *means);
/* Accepts NULL inside. */
void polling_free(struct polling **polling);
/* A line of store_on_wake; others than "poll" and "up" are ignored. Accepts NULL, as does the next one. */
void polling_wake(struct polling *polling, const char *line);
/* No further looks, for a stop; those under way are cancelled. */
void polling_drain(struct polling *polling);

#endif
