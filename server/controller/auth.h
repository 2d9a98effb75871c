/* Who may: the administrator, known by the token of the state folder, and those who were given a token with a role
 * (proto/role.h). Programs show it in every request, browsers once for a session cookie. The session is a signed expiry
 * and a name: nothing is stored, and a name whose token was changed or removed has no session any more. */
#ifndef DAVIT_CONTROLLER_AUTH_H
#define DAVIT_CONTROLLER_AUTH_H

#include <stdbool.h>

#include "proto/buf.h"
#include "proto/role.h"
#include "server/controller/reply.h"
#include "server/store/records.h"

#define AUTH_COOKIE "davit_session"
#define AUTH_SESSION_S (7 * 24 * 3600)
#define AUTH_FAILURES_MAX 10 /* wrong tokens of one address within AUTH_WINDOW_MS; then 429 */
#define AUTH_WINDOW_MS (10 * 60 * 1000)

struct auth;

struct auth *auth_new(const char *admin_token);
void auth_free(struct auth **auth);
/* Who may from now on, beside the administrator; the list is copied. Returns whether somebody who could is not known
 * any more, or with another token or role. */
bool auth_set_tokens(struct auth *auth, const struct access_token_list *tokens);

struct auth_who {
	const char *name; /* of the token; good until auth_set_tokens */
	enum role role;
};

enum auth_verdict {
	AUTH_OK,
	AUTH_MISSING, /* 401: neither token nor cookie, or a wrong one */
	AUTH_FOREIGN, /* 403: a cookie, but another site's page made the request */
	AUTH_NOT_YET, /* 503: auth_set_tokens has not been called yet, and it is not the administrator */
};

/* *ret with AUTH_OK. now_ms: loop_wall_ms(). */
enum auth_verdict auth_check(
    struct auth *auth, const struct http_request *request, int64_t now_ms, struct auth_who *ret);
/* The name of that token, of somebody who may look at least; NULL: it is none, or, with *is_early, auth_set_tokens has
 * not been called yet. Good until that. */
const char *auth_token_name(const struct auth *auth, struct str token, bool *is_early);
/* A page of another site can make a browser send the cookie; what the browser says about that page it cannot forge. */
bool auth_is_same_site(const struct http_request *request);
/* Whether the peer may try a token now: it has not failed too often. */
bool auth_may_try(struct auth *auth, const char *peer, int64_t now_ms);
/* AUTH_OK, with *ret; or AUTH_MISSING, and counts a failure; or AUTH_NOT_YET. */
enum auth_verdict auth_try(struct auth *auth, const char *peer, struct str token, int64_t now_ms, struct auth_who *ret);
/* The value of Set-Cookie for a new session of that name, or for its end. */
void auth_print_cookie(const struct auth *auth, const char *name, struct buf *ret, bool is_https, int64_t now_ms);
void auth_print_no_cookie(struct buf *ret);

#endif
