/* What is known of the paths of package repositories: which never change, which have to be asked about, whose text
 * names other URLs. By this the mirror keeps what a server's own headers say nothing of, or too little. */
#ifndef DAVIT_PROTO_PACKAGE_POLICY_H
#define DAVIT_PROTO_PACKAGE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/str.h"

enum package_kind {
	PACKAGE_GENERIC, /* by the headers alone */
	PACKAGE_APT,
	PACKAGE_RPM,
	PACKAGE_APK,
	PACKAGE_NPM,
	PACKAGE_PYPI,
	PACKAGE_GO,
	PACKAGE_MAVEN,
	PACKAGE_CRATES,
};

#define PACKAGE_BY_HTTP (-1)      /* the reply's own headers say how long it is fresh */
#define PACKAGE_FOREVER INT64_MAX /* it is the same for ever */

struct package_policy {
	int64_t fresh_s; /* for how long a reply of 200 is served without asking; or one of the above */
	char digest[65]; /* SHA-256 that the path names; "": none */
	bool has_urls;   /* its text names URLs of the repository's files */
};

/* "apt", "npm", ...; false: there is no such kind. */
bool package_kind_from_name(struct str name, enum package_kind *ret);
const char *package_kind_name(enum package_kind kind);
/* path: as it goes upstream, with a query or without. */
struct package_policy package_policy_of(enum package_kind kind, struct str path);
/* A host beside the repository's own whose URLs its texts name; NULL: none. */
const char *package_file_host(enum package_kind kind);

#endif
