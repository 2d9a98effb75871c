/* Paths of the registry protocol (OCI distribution specification 1.1, section "Endpoints"), as a client of a mirror
 * asks: /v2/NAME/manifests/REFERENCE and so on. NAME may begin with the registry it is of. */
#ifndef DAVIT_PROTO_REGISTRY_PATH_H
#define DAVIT_PROTO_REGISTRY_PATH_H

#include <stdbool.h>

#include "proto/str.h"

enum registry_kind {
	REGISTRY_ROOT, /* /v2/ */
	REGISTRY_MANIFEST,
	REGISTRY_BLOB,
	REGISTRY_TAGS,
	REGISTRY_REFERRERS,
};

/* All point into the path. */
struct registry_path {
	enum registry_kind kind;
	struct str
	    registry;    /* that ns= names, else the name's first part when it can be no other; empty: none is named */
	struct str name; /* of the repository, without the registry */
	struct str reference; /* a tag or a digest; of tags empty */
	struct str query;     /* without ns= ; n= and last= of tags, artifactType= of referrers. Empty: none */
	bool is_digest;       /* reference is a digest */
};

/* path: with its query, as it stands in the request. False: it is no path of a pull. */
bool registry_path_read(struct str path, struct registry_path *ret);
/* "sha256:" and 64 digits, or "sha512:" and 128: *hex are those. */
bool registry_digest_read(struct str digest, struct str *hex);

#endif
