/* The new davitd's side of an upgrade (handover.h): says that it is ready, hears that it may serve the sockets, and
 * that the older process has ended, so that the node is its own. */
#ifndef DAVIT_SERVER_TAKEOVER_H
#define DAVIT_SERVER_TAKEOVER_H

#include <stdbool.h>
#include <stdint.h>

struct inherited;
struct loop;
struct takeover;

struct takeover_events {
	void (*go)(void *arg);    /* the older process lets no client in any more */
	void (*ended)(void *arg); /* it has ended, or has had time enough to; no event follows */
	void (*lost)(void *arg);  /* it has ended before it said go: the place is not ours; no event follows */
};

/* NULL: there is no older process, this is a start like others. events is lent. */
struct takeover *takeover_new(
    struct loop *loop, struct inherited *inherited, const struct takeover_events *events, void *arg);
/* Accepts NULL inside. */
void takeover_free(struct takeover **takeover);
/* Says so; the second time nothing happens. */
void takeover_ready(struct takeover *takeover);

#endif
