/* What hook.c and the forges' files (hook_github.c ...) share; not for others. A further forge is a row in hook.c's
 * table and a file with its decoder. */
#ifndef DAVIT_PROTO_HOOK_FORGE_H
#define DAVIT_PROTO_HOOK_FORGE_H

#include "proto/hook.h"
#include "proto/json.h"

struct hook_forge {
	const char *name;
	const char *seen_by;         /* the header whose presence makes it this forge's */
	const char *event_header;    /* NULL: the payload says it */
	const char *delivery_header; /* NULL: there is none, the body's digest has to do */
	const char *signature_header;
	const char *signature_prefix; /* before the digits */
	bool signs_field;             /* of form-encoded bodies, the payload field is signed and not the body */
	bool (*verify)(
	    const struct hook_forge *forge, const struct hook_request *request, struct str secret, struct err *err);
	bool (*decode)(struct str event, const struct json_value *root, struct hook_result *ret, struct err *err);
};

/* --- hook_verify.c --- */

/* The header's value when it is there exactly once and not empty. */
bool hook_header(const struct hook_headers *headers, const char *name, struct str *ret, struct err *err);
/* signature_header: signature_prefix and 64 digits. */
bool hook_verify_hmac(
    const struct hook_forge *forge, const struct hook_request *request, struct str secret, struct err *err);
/* signature_header is the secret itself, or Standard Webhooks for a whsec_ secret. */
bool hook_verify_token(
    const struct hook_forge *forge, const struct hook_request *request, struct str secret, struct err *err);
/* standardwebhooks.com: HMAC of "ID.TIMESTAMP.BODY"; the key is what base64 behind whsec_ says, or the secret itself.
 */
bool hook_verify_standard(
    const struct hook_forge *forge, const struct hook_request *request, struct str secret, struct err *err);

/* --- hook.c --- */

/* Ignores a change that asks for no build. */
void hook_skip(struct hook_result *ret);

/* --- hook_change.c: steps of decoders. Those that return bool set *err as hook_decode says --- */

/* Sets HOOK_IGNORED with the reason; returns true, so that it can end a decoder. */
bool hook_ignore(struct hook_result *ret, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "" when absent or no string. */
struct str hook_text(const struct json_value *v);
/* A branch or tag was pushed to commit; sets event, ref, branch, commit and before. Deletions and other refs are
 * ignored: look at ret->outcome. before NULL: the forge did not say. */
bool hook_set_push(struct hook_result *ret, const char *ref, const char *commit, const char *before, struct err *err);
/* A pull request's head at commit, which ref in the repository itself shows; target is the branch it is for. */
bool hook_set_pull(
    struct hook_result *ret, const char *ref, int64_t number, const char *target, const char *commit, struct err *err);
/* The pull request that ref shows was closed. */
bool hook_set_closed(struct hook_result *ret, const char *ref, struct err *err);
/* Message and, unless it is set already, title. */
void hook_set_message(struct change *change, const char *message);
void hook_set_title(struct change *change, const char *title);
void hook_set_author(struct change *change, const char *name, const char *email);
void hook_set_sender(struct change *change, const char *login);
void hook_set_web_url(struct change *change, const char *url);
void hook_set_fetch_url(struct change *change, const char *url);

/* The decoder of GitHub's shapes, which Gitea, Forgejo and Gogs share. */
bool hook_decode_github(struct str event, const struct json_value *root, struct hook_result *ret, struct err *err);
bool hook_decode_gitlab(struct str event, const struct json_value *root, struct hook_result *ret, struct err *err);
bool hook_decode_generic(struct str event, const struct json_value *root, struct hook_result *ret, struct err *err);

#endif
