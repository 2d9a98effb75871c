/* Who may: one administrator, known by one token. Programs show it in every request, browsers once for a session
 * cookie. The session is a signed expiry: nothing is stored, and a new token ends all sessions. */
#ifndef DAVIT_CONTROLLER_AUTH_H
#define DAVIT_CONTROLLER_AUTH_H

#include <stdbool.h>

#include "proto/buf.h"
#include "server/controller/reply.h"

#define AUTH_COOKIE "davit_session"
#define AUTH_SESSION_S (7 * 24 * 3600)
#define AUTH_FAILURES_MAX 10 /* wrong tokens of one address within AUTH_WINDOW_MS; then 429 */
#define AUTH_WINDOW_MS (10 * 60 * 1000)

struct auth;

struct auth *auth_new(const char *token);
void auth_free(struct auth **auth);

enum auth_verdict {
	AUTH_OK,
	AUTH_MISSING, /* 401: neither token nor cookie, or a wrong one */
	AUTH_FOREIGN, /* 403: a cookie, but another site's page made the request */
};

/* now_ms: loop_wall_ms(). */
enum auth_verdict auth_check(struct auth *auth, const struct http_request *request, int64_t now_ms);
/* A page of another site can make a browser send the cookie; what the browser says about that page it cannot forge. */
bool auth_is_same_site(const struct http_request *request);
/* Whether the peer may try a token now: it has not failed too often. */
bool auth_may_try(struct auth *auth, const char *peer, int64_t now_ms);
/* Compares, and counts a failure. */
bool auth_try(struct auth *auth, const char *peer, struct str token, int64_t now_ms);
/* The value of Set-Cookie for a new session, or for its end. */
void auth_print_cookie(const struct auth *auth, struct buf *ret, bool is_https, int64_t now_ms);
void auth_print_no_cookie(struct buf *ret);

#endif
