/* A network holder: a container that does nothing but keep a network namespace, so that starting a job or a service in
 * it costs no network set-up (190 ms), and that takes from it the ways to the machine below: the metadata address, the
 * bridge's gateway (all of the machine's ports) and all others that host_block() was told of become black holes, at any
 * time. Those who join the
 * namespace cannot undo that: only this container may set routes, and it runs only our script. The outside stays
 * reachable, as the gateway is still the next hop.
 *
 * It also tells when a port of its namespace begins to accept connections: how a service is known to be ready. */
#ifndef DAVIT_BUILDER_PAUSE_H
#define DAVIT_BUILDER_PAUSE_H

#include "proto/err.h"
#include "server/builder/host.h"

/* Made by pause_image() from a static busybox. */
#define PAUSE_IMAGE "davit/pause:1"

struct pause;

struct pause_handler {
	/* The namespace can be joined. */
	void (*on_ready)(void *arg);
	/* The port accepts. May be NULL without a port. */
	void (*on_open)(void *arg);
	/* The last call: it is gone from the engine, and so is the pause. err NULL: pause_end had been called. */
	void (*on_end)(void *arg, const struct err *err);
};

struct pause_spec {
	const char *network;
	const char *alias;                /* its host name there; NULL: none */
	unsigned port;                    /* 0: none */
	const struct host_labels *labels; /* lent for its life, all else is copied */
};

struct pause *pause_start(
    struct host *host, const struct pause_spec *spec, const struct pause_handler *handler, void *arg);
/* The holder that an earlier process left; it is ready. Nobody listens to it any more: what is to be blocked is said by
 * processes beside its own. address: "" if nobody asks for it. NULL: it is none of this node's. handler->on_ready is
 * not called. */
struct pause *pause_adopt(struct host *host, const char *id, const char *name, const char *address,
    const struct pause_handler *handler, void *arg);
/* It stays as it is, for a later process to adopt; no callback follows. Accepts NULL inside. */
void pause_detach(struct pause **pause);
/* on_end follows. May be called twice. */
void pause_end(struct pause *pause);
/* Once it is ready. */
const char *pause_id(const struct pause *pause);
const char *pause_address(const struct pause *pause);

/* The image as a tar, of the busybox at that path; free() it. NULL with *err set when it cannot be read or is not a
 * program. */
char *pause_image(const char *busybox, size_t *len, struct err *err);

#endif
