/* Vary (RFC 9111 section 4.1): of a stored reply, the request's headers that it was chosen by. */
#ifndef DAVIT_PROTO_HTTP_VARY_H
#define DAVIT_PROTO_HTTP_VARY_H

#include <stdbool.h>

#include "proto/buf.h"
#include "proto/http1.h"

/* Writes the request's headers that the reply names, "name: value\n" each, its name in lower case, with blanks
 * and lines of one header brought into one form. Empty without Vary. unsent: a header of the request that the
 * upstream has not seen, so that the reply cannot be chosen by it; NULL: it has seen all. */
bool http_vary_print(
    struct buf *b, const struct http1_head *request, const struct http1_head *reply, const char *unsent);
/* Whether the request is of that selection. */
bool http_vary_matches(struct str selection, const struct http1_head *request);
/* Whether it is, but for an Accept-Language by which it wants most, and alone so much, the one language that the reply
 * is in (its Content-Language): an upstream that has that language chooses it for this request, too. */
bool http_vary_speaks(struct str selection, const struct http1_head *request, struct str language);

#endif
