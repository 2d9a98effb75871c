/* CONNECT: bytes that pass between a client and an upstream, unread. Where they may go is as for all requests: the rule
 * for the host, at the port of https or one that the rule names, at public addresses unless the rule says otherwise. */
#ifndef DAVIT_MIRROR_TUNNEL_H
#define DAVIT_MIRROR_TUNNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/err.h"
#include "server/mirror/client.h"
#include "server/mirror/upstreams.h"

struct tunnels;

enum {
	TUNNELS_MAX = 256,
	TUNNEL_BUFFER = 128 * 1024, /* bytes on their way in each direction; more wait in the kernel */
};
#define TUNNEL_CONNECT_MS 10000
#define TUNNEL_IDLE_MS 300000 /* without a byte in either direction */
#define TUNNEL_FLUSH_MS 10000 /* for the last bytes, when one side has ended */

struct tunnels *tunnels_new(struct loop *loop, const struct upstreams *upstreams);
/* Ends them all. Accepts NULL inside. */
void tunnels_free(struct tunnels **tunnels);

/* Takes the client, whose request is a CONNECT. False with *err, and the client is to be answered: ERR_REFUSED,
 * ERR_UNAVAILABLE. */
bool tunnels_open(struct tunnels *tunnels, struct client *client, const struct http1_head *request, struct err *err);

struct tunnel_figures {
	uint64_t opened;
	uint64_t bytes; /* in both directions */
	unsigned open;
};
struct tunnel_figures tunnels_figures(const struct tunnels *tunnels);

#endif
