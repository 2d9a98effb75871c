/* What a request to the mirror asks for. Two forms: as a proxy has it, "GET http://host/path", and by the mirror's own
 * URL, "GET /KIND/host[:port]/path". */
#ifndef DAVIT_MIRROR_TARGET_H
#define DAVIT_MIRROR_TARGET_H

#include <stdbool.h>

#include "proto/err.h"
#include "proto/http1.h"
#include "proto/str.h"
#include "server/mirror/upstreams.h"

/* What is known of the replies of a kind. */
struct mirror_kind {
	const char *name;
	bool follows; /* redirects are followed here, and what they lead to is stored under the first URL */
};

struct target {
	const struct mirror_kind *kind;
	struct origin origin; /* its host is owned */
	char *path;           /* and query, as it goes upstream */
	char *key;            /* of the object: the upstream's URL */
};

/* ERR_INPUT: it is no such form; ERR_REFUSED: the host is not among the upstreams. *ret is filled on success only. */
bool target_read(
    const struct http1_head *request, const struct upstreams *upstreams, struct target *ret, struct err *err);
void target_fini(struct target *target);
/* What the URL, of a redirect or Content-Location from here, leads to; *ret is filled on success. */
bool target_resolve(const struct target *from, struct str location, struct target *ret);

#endif
