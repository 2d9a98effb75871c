/* Webhooks: which forge sent a request, whether it is genuine, and what it says, as a struct change.
 *
 * The order is fixed: hook_detect, hook_verify, hook_decode. The signature is checked over the raw bytes, in constant
 * time, before anything is parsed. One row per forge (hook_forge.h), in hook.c's table; constructions:
 *   GitHub          X-Hub-Signature-256: sha256=HEX of HMAC-SHA256(secret, body)
 *   GitLab          X-Gitlab-Token: the secret; or, with a secret that begins with whsec_, Standard Webhooks
 *   Gitea, Forgejo, Gogs   X-Gitea-Signature, X-Forgejo-Signature, X-Gogs-Signature: HEX, as GitHub's
 *   generic         X-Davit-Signature: as GitHub's; or Standard Webhooks (webhook-id, -timestamp, -signature:
 * v1,BASE64) A header given twice, digits in upper case, another length or an empty secret do not pass.
 *
 * What ends up in a change: refs and commits are valid (ref.h), else the request is refused; URLs are http or https
 * without a password, else left out; mail addresses are one word with an @, else left out; other texts are as sent,
 * cut at their maximum, and may hold anything but NUL (escape them where they are shown). */
#ifndef DAVIT_PROTO_HOOK_H
#define DAVIT_PROTO_HOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/change.h"
#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/str.h"

#define HOOK_BODY_MAX (25 * 1024 * 1024) /* GitHub's own limit */

/* The request's headers, wherever they lie. get: name in any case; *count: how often it is there; the value is the
 * first one's, without blanks around it. */
struct hook_headers {
	struct str (*get)(void *arg, const char *name, unsigned *count);
	void *arg;
};

/* A copy of all that this file will ask for; for work in a thread. get: hook_kept_header, arg: the copy. */
struct hook_kept;
struct hook_kept *hook_headers_keep(const struct hook_headers *headers);
struct str hook_kept_header(void *kept, const char *name, unsigned *count);
void hook_kept_free(struct hook_kept **kept);

struct hook_request {
	struct hook_headers headers;
	struct str body;
	int64_t now_s; /* since 1970, against replays of Standard Webhooks (5 minutes) */
};

struct hook_forge;

/* The most specific one (Forgejo sends the headers of Gitea, Gogs and GitHub too); NULL when it is none's. */
const struct hook_forge *hook_detect(const struct hook_headers *headers);
const char *hook_forge_name(const struct hook_forge *forge); /* "github" */
/* The id that stays the same when this delivery is sent again; empty when there is none. */
struct str hook_delivery(const struct hook_forge *forge, const struct hook_headers *headers);

/* ERR_AUTH with the reason, which never has a part of the secret or of the right signature in it. */
bool hook_verify(
    const struct hook_forge *forge, const struct hook_request *request, struct str secret, struct err *err);

enum hook_outcome {
	HOOK_CHANGE,
	HOOK_PING,    /* "are you there?" */
	HOOK_IGNORED, /* understood, and nothing to build */
	HOOK_CLOSED,  /* a pull request, and nothing of it needs to be built any more */
};

struct hook_result {
	enum hook_outcome outcome;
	char reason[128]; /* of HOOK_IGNORED and HOOK_CLOSED, for people */
	char
	    digest[SHA256_HEX_SIZE]; /* of the JSON text: the same for a delivery that is sent again, however wrapped */
	struct change change;        /* of HOOK_CHANGE, and of pushes that are ignored; of HOOK_CLOSED its ref alone */
};

/* Of a verified request only. *ret is filled on success; end it with hook_result_fini.
 * ERR_REFUSED (detail 415): a content type or encoding that is not taken; ERR_INPUT, ERR_LIMIT: the payload is wrong.
 */
bool hook_decode(
    const struct hook_forge *forge, const struct hook_request *request, struct hook_result *ret, struct err *err);
/* The same of a push that no forge told, in git's own words: ref is at commit, and was at before ("": it is new).
 * object is the commit's, as git keeps it; empty: it is not known. */
bool hook_decode_commit(const char *ref, const char *commit, const char *before, struct str object,
    struct hook_result *ret, struct err *err);
void hook_result_fini(struct hook_result *result);
/* Whether it tells where a branch or tag is now, or (without a commit) that it is gone; also of HOOK_IGNORED. */
bool hook_tells_head(const struct hook_result *result);

/* Whether a commit's message asks for no build: [skip ci] or [ci skip], in any case, with blanks. hook_decode ignores
 * the change then, but a tag; so it does for a pull request whose title says it. */
bool hook_message_skips(const char *message);

#endif
