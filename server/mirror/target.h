/* What a request to the mirror asks for. Two forms: as a proxy has it, "GET http://host/path", and by the mirror's own
 * URL, "GET /KIND/host[:port]/path". */
#ifndef DAVIT_MIRROR_TARGET_H
#define DAVIT_MIRROR_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/http1.h"
#include "proto/package_policy.h"
#include "proto/str.h"
#include "server/mirror/upstreams.h"

enum target_form {
	TARGET_PROXY,
	TARGET_PACKAGES, /* /KIND/host/path */
	TARGET_REGISTRY, /* /v2/...: our own headers go upstream, not the client's; tokens are asked for */
};

#define TARGET_BY_HTTP PACKAGE_BY_HTTP
#define TARGET_FOREVER PACKAGE_FOREVER
#define TARGET_STALE_S (7 * 86400) /* beyond its lifetime, while the upstream cannot be asked */

struct target {
	enum target_form form;
	enum package_kind kind;
	struct origin origin;         /* its host is owned */
	char *path;                   /* and query, as it goes upstream */
	char *alternate;              /* is asked for where the upstream does not have path (404); NULL: nothing */
	char *key;                    /* of the object: the upstream's URL */
	int64_t fresh_s;              /* for how long a reply of 200 is served without asking; or one of the above */
	char digest[SHA512_HEX_SIZE]; /* that the body must have, SHA-256 or SHA-512 by its length; "": not known */
	bool follows; /* redirects are followed here, and what they lead to is stored under the first URL */
	char *links;  /* what stands in front of HOST/PATH where the body names URLs; NULL: it is as it comes */
	const struct upstream_rule
	    *as;     /* whose login it is asked with, for a client that may; NULL: as anybody would ask. Lent */
	char *scope; /* of a registry: what its tokens are for. NULL: it is none */
	bool is_tag; /* a HEAD says which digest the tag is at; the key is that of the HEAD */
};

/* ERR_INPUT: it is no such form; ERR_REFUSED: the host is not among the upstreams. *ret is filled on success only. */
bool target_read(
    const struct http1_head *request, const struct upstreams *upstreams, struct target *ret, struct err *err);
/* From now on it is what the upstream gives for the rule's login: another object than what it gives to anybody. */
void target_ask_as(struct target *target, const struct upstream_rule *rule);
void target_fini(struct target *target);
/* Of its digest; DIGEST_NONE: it has none. And "sha256" or "sha512". */
enum digest_kind target_digest_kind(const struct target *target);
const char *target_digest_name(const struct target *target);
/* The same manifest by its digest ("sha256:..."); from is one by tag. */
bool target_by_digest(const struct target *from, struct str digest, struct target *ret);
/* And the tag's own manifest, for a registry that does not say the digest. */
void target_by_tag(const struct target *from, struct target *ret);
/* The upstream's other path, by what is known of the kind. */
void target_beside(const struct target *from, const char *path, struct target *ret);
/* The object is one of several at that URL, told apart by a word. */
void target_set_version(struct target *target, const char *word);
/* The object is that of the other path, which is asked for first (asks), or known by our shelf alone. */
void target_set_place(struct target *target, const char *path, bool asks);
void target_copy(struct target *to, const struct target *from);
/* What the URL, of a redirect or Content-Location from here, leads to; *ret is filled on success. */
bool target_resolve(const struct target *from, struct str location, struct target *ret);

#endif
