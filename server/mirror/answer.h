/* What a client of the mirror gets: from the shelf, from a transfer, or an error. One answer is one request. */
#ifndef DAVIT_MIRROR_ANSWER_H
#define DAVIT_MIRROR_ANSWER_H

#include <stdint.h>

#include "server/mirror/client.h"
#include "server/mirror/visitor.h"

struct shelf;
struct snapshots;
struct transfers;
struct tunnels;
struct upstreams;

struct answer;

struct answer_figures {
	uint64_t hits;  /* served from the shelf, also after asking the upstream */
	uint64_t stale; /* of these, without the upstream's word */
	uint64_t misses;
	uint64_t errors;
};

/* Lent to each answer. */
struct answer_parts {
	struct shelf *shelf;
	struct upstreams *upstreams;
	struct transfers *transfers;
	struct visitor_conf visitors;
	struct snapshots *snapshots;
	struct tunnels *tunnels; /* NULL: CONNECT is off */
	struct answer_figures figures;
};

/* It replies to the client and is gone then: what is returned is of use only while the reply has not been given. */
struct answer *answer_new(struct answer_parts *parts, struct client *client, const struct client_request *request);
/* The client has left. */
void answer_free(struct answer *answer);

#endif
