/* WWW-Authenticate of registries (RFC 6750 section 3, and the token protocol of the distribution project). */
#ifndef DAVIT_PROTO_CHALLENGE_H
#define DAVIT_PROTO_CHALLENGE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/err.h"
#include "proto/http1.h"
#include "proto/url.h"

/* Unquoted, all within the header's text; empty where missing. */
struct challenge {
	struct str realm; /* the URL that gives tokens */
	struct str service;
	struct str scope;
};

/* The reply's Bearer challenge, in a header of its own. False: there is none that names a realm. */
bool challenge_read(const struct http1_head *reply, struct challenge *ret);
/* Whether it wants a login itself (RFC 7617). */
bool challenge_is_basic(const struct http1_head *reply);
/* Whether a login of the registry's may be shown at that host: it is the registry's own, or of the domain right above
 * it (auth.docker.io for registry-1.docker.io, gitlab.com for registry.gitlab.com), which has two names at least. */
bool realm_is_of(struct str host, struct str registry);
/* The realm's URL with service and scope in its query. */
bool challenge_print_url(struct buf *b, const struct challenge *challenge);
/* The same taken apart: https or http. ERR_PROTO: it is none. */
bool challenge_parse_realm(const struct challenge *challenge, struct url *ret, struct err *err);
/* What the realm answers: the token as Authorization wants it, a secret, and how long it is good. NULL: ERR_INPUT,
 * ERR_PROTO. */
char *challenge_token(struct str body, int64_t *life_s, struct err *err);

#endif
