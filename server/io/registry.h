/* One repository at its registry (OCI distribution specification 1.1): its manifests, for who puts the list of an
 * image's platforms there; blobs are the engines' business. What the registry wants shown is found out by its own words
 * (proto/challenge.h), and kept for as long as the client. One operation at a time. The async contract is that of
 * server/core/loop.h.
 *
 * Errors: ERR_NOT_FOUND, ERR_AUTH, ERR_INPUT (it takes no such manifest, in its own words), ERR_UNAVAILABLE (5xx, 429),
 * and those of httpc.h. */
#ifndef DAVIT_IO_REGISTRY_H
#define DAVIT_IO_REGISTRY_H

#include <stdbool.h>

#include "proto/err.h"
#include "proto/str.h"

struct loop;
struct registry;
struct registry_op;

struct registry_conf {
	const char *image; /* a whole name (image_print), whose tag does not count */
	const char *login; /* Authorization, see registry_login_basic; NULL: nobody's */
	bool may_be_clear; /* without TLS, where that does not answer, as an engine does with a registry of this machine
			    */
};

/* What it has, lent for the callback. */
struct registry_reply {
	const char *digest; /* as it says; "" when it does not */
	struct str body;    /* of registry_get */
};
typedef void registry_fn(void *arg, const struct registry_reply *reply, const struct err *err);

/* conf is copied. */
struct registry *registry_new(struct loop *loop, const struct registry_conf *conf);
/* No operation may go on. Accepts NULL inside. */
void registry_free(struct registry **registry);

/* reference: a tag or a digest. */
struct registry_op *registry_head(struct registry *registry, const char *reference, registry_fn *fn, void *arg);
struct registry_op *registry_get(struct registry *registry, const char *reference, registry_fn *fn, void *arg);
/* media_type and manifest are lent until the end. */
struct registry_op *registry_put(struct registry *registry, const char *tag, const char *media_type,
    struct str manifest, registry_fn *fn, void *arg);
/* No callback follows. What was sent may be done all the same. Accepts NULL inside. */
void registry_cancel(struct registry_op **op);

#endif
