#include "server/controller/auth.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/mem.h"

#define SCHEME "Bearer" /* RFC 6750 */
#define PEERS_MAX 256   /* addresses that failed lately */
#define PEER_SIZE 64

struct failures {
	char peer[PEER_SIZE];
	unsigned count;
	int64_t until_ms;
};

struct auth {
	char *token;
	unsigned char key[SHA256_SIZE]; /* signs sessions */
	struct failures failures[PEERS_MAX];
};

struct auth *
auth_new(const char *token)
{
	struct auth *auth = xcalloc(1, sizeof(*auth));
	struct str purpose = STR("davit session");

	auth->token = xstrdup(token);
	hmac_sha256(str_of(token), &purpose, 1, auth->key);
	return auth;
}

void
auth_free(struct auth **auth)
{
	struct auth *a = *auth;

	if (a == NULL)
		return;
	*auth = NULL;
	crypto_wipe_free(&a->token);
	free(a);
}

/* --- sessions --- */

/* "EXPIRY.HEX", EXPIRY in seconds since 1970. */
static void
print_session(const struct auth *auth, char *ret, size_t size, uint64_t expiry)
{
	unsigned char mac[SHA256_SIZE];
	char text[32], hex[2 * SHA256_SIZE + 1];
	struct str part;

	snprintf(text, sizeof(text), "%" PRIu64, expiry);
	part = str_of(text);
	hmac_sha256((struct str){ (const char *)auth->key, sizeof(auth->key) }, &part, 1, mac);
	for (size_t i = 0; i < sizeof(mac); i++)
		snprintf(hex + 2 * i, 3, "%02x", mac[i]);
	snprintf(ret, size, "%s.%s", text, hex);
}

static bool
is_session(const struct auth *auth, struct str cookie, int64_t now_ms)
{
	struct str rest = cookie;
	char want[128];
	uint64_t expiry;

	if (!str_to_u64(str_cut(&rest, '.'), INT64_MAX, &expiry))
		return false;
	print_session(auth, want, sizeof(want), expiry);
	return crypto_equal(cookie, str_of(want)) && (int64_t)expiry > now_ms / 1000;
}

void
auth_print_cookie(const struct auth *auth, struct buf *ret, bool is_https, int64_t now_ms)
{
	char session[128];

	print_session(auth, session, sizeof(session), (uint64_t)(now_ms / 1000 + AUTH_SESSION_S));
	buf_addf(ret, AUTH_COOKIE "=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%s", session, AUTH_SESSION_S,
	    is_https ? "; Secure" : "");
}

void
auth_print_no_cookie(struct buf *ret)
{
	buf_adds(ret, AUTH_COOKIE "=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
}

/* --- requests --- */

bool
auth_is_same_site(const struct http_request *request)
{
	struct str origin = request_header(request, "Origin");
	struct str host = request_header(request, "Host");

	if (origin.len == 0)
		return str_is(request_header(request, "Sec-Fetch-Site"), "same-origin");
	for (size_t i = 0; i + 3 <= origin.len; i++)
		if (memcmp(origin.p + i, "://", 3) == 0)
			return str_eq((struct str){ origin.p + i + 3, origin.len - i - 3 }, host);
	return false;
}

static bool
changes_state(const struct http_request *request)
{
	return request->method != HTTP1_GET && request->method != HTTP1_HEAD && request->method != HTTP1_OPTIONS;
}

enum auth_verdict
auth_check(struct auth *auth, const struct http_request *request, int64_t now_ms)
{
	struct str value = request_header(request, "Authorization");
	struct str cookie = request_cookie(request, AUTH_COOKIE);

	if (value.len > 0) {
		bool is_ours = str_is_nocase(str_cut(&value, ' '), SCHEME);

		return is_ours && crypto_equal(str_trim(value), str_of(auth->token)) ? AUTH_OK : AUTH_MISSING;
	}
	if (cookie.len == 0 || !is_session(auth, cookie, now_ms))
		return AUTH_MISSING;
	return !changes_state(request) || auth_is_same_site(request) ? AUTH_OK : AUTH_FOREIGN;
}

/* --- wrong tokens --- */

static struct failures *
find_failures(struct auth *auth, const char *peer, int64_t now_ms)
{
	for (size_t i = 0; i < PEERS_MAX; i++)
		if (auth->failures[i].until_ms > now_ms && strcmp(auth->failures[i].peer, peer) == 0)
			return &auth->failures[i];
	return NULL;
}

/* A free place, or that of the peer whose failures are forgotten first. */
static struct failures *
add_failures(struct auth *auth, const char *peer, int64_t now_ms)
{
	struct failures *oldest = &auth->failures[0];

	for (size_t i = 1; i < PEERS_MAX; i++)
		if (auth->failures[i].until_ms < oldest->until_ms)
			oldest = &auth->failures[i];
	*oldest = (struct failures){ .until_ms = now_ms + AUTH_WINDOW_MS };
	snprintf(oldest->peer, sizeof(oldest->peer), "%s", peer);
	return oldest;
}

bool
auth_may_try(struct auth *auth, const char *peer, int64_t now_ms)
{
	const struct failures *failures = find_failures(auth, peer, now_ms);

	return failures == NULL || failures->count < AUTH_FAILURES_MAX;
}

bool
auth_try(struct auth *auth, const char *peer, struct str token, int64_t now_ms)
{
	struct failures *failures;

	if (crypto_equal(token, str_of(auth->token)))
		return true;
	failures = find_failures(auth, peer, now_ms);
	if (failures == NULL)
		failures = add_failures(auth, peer, now_ms);
	failures->count++;
	return false;
}
