/* Sandboxes: a bridge network with a network holder in it, where one job and its services run at a time. Making one
 * costs half a second, so they are kept for the next job; nothing of a job stays in them, as its containers end with
 * their processes, and none of them may change the network. Their number is bounded: the engine's address pools are. */
#ifndef DAVIT_BUILDER_SANDBOX_H
#define DAVIT_BUILDER_SANDBOX_H

#include "proto/err.h"
#include "server/builder/host.h"

struct sandbox;
struct sandbox_claim;
struct sandboxes;

struct sandboxes *sandboxes_new(struct host *host, unsigned max);
/* Removes those that are idle, then calls done; nothing may be claimed or lent by then, and the set is gone. */
typedef void sandboxes_done_fn(void *arg);
void sandboxes_end(struct sandboxes **sandboxes, sandboxes_done_fn *done, void *arg);

/* Lends a sandbox: an idle one, a new one, or, when there are max, the next that comes back. err NULL: it is there. */
typedef void sandbox_fn(void *arg, struct sandbox *sandbox, const struct err *err);
struct sandbox_claim *sandbox_claim(struct sandboxes *sandboxes, sandbox_fn *fn, void *arg);
/* Accepts NULL inside. */
void sandbox_unclaim(struct sandbox_claim **claim);
/* Lends what an earlier process left: a network and the holder in it. Not clean: it goes when it is given back. NULL:
 * it is none of this node's. */
struct sandbox *sandbox_adopt(
    struct sandboxes *sandboxes, const char *network, const char *holder_id, const char *holder_name);
/* Gives it back when all containers in it are gone. is_clean false: it is not used again. Accepts NULL inside. */
void sandbox_put(struct sandbox **sandbox, bool is_clean);

/* It stays as it is, for a later process to adopt. Accepts NULL inside. */
void sandbox_detach(struct sandbox **sandbox);

/* The network's name. */
const char *sandbox_network(const struct sandbox *sandbox);
/* "container:ID", the network mode of who joins the holder. */
const char *sandbox_mode(const struct sandbox *sandbox);

/* Those in it reach the mirror as WIRING_HOST. */
bool sandbox_has_mirror(const struct sandbox *sandbox);
/* Its address there; "": the engine's resolver knows it. */
const char *sandbox_mirror_address(const struct sandbox *sandbox);

#endif
