/* WWW-Authenticate of registries (RFC 6750 section 3, and the token protocol of the distribution project). */
#ifndef DAVIT_PROTO_CHALLENGE_H
#define DAVIT_PROTO_CHALLENGE_H

#include <stdbool.h>

#include "proto/buf.h"
#include "proto/http1.h"

/* Unquoted, all within the header's text; empty where missing. */
struct challenge {
	struct str realm; /* the URL that gives tokens */
	struct str service;
	struct str scope;
};

/* The reply's Bearer challenge, in a header of its own. False: there is none that names a realm. */
bool challenge_read(const struct http1_head *reply, struct challenge *ret);
/* The realm's URL with service and scope in its query. */
bool challenge_print_url(struct buf *b, const struct challenge *challenge);

#endif
