#include "server/controller/auth.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/mem.h"

#define SCHEME "Bearer" /* RFC 6750 */
#define PEERS_MAX 256   /* addresses that failed lately */
#define PEER_SIZE 64
#define SESSION_MAX 256

struct failures {
	char peer[PEER_SIZE];
	unsigned count;
	int64_t until_ms;
};

/* Who has a token. */
struct holder {
	char *name;
	enum role role;
	char sha256[SHA256_HEX_SIZE];
};

struct auth {
	struct holder *holders; /* the first is the administrator */
	size_t count;
	bool is_complete;               /* the others are known, too */
	unsigned char key[SHA256_SIZE]; /* signs sessions */
	struct failures failures[PEERS_MAX];
};

static void
holder_init(struct holder *ret, const char *name, enum role role, const char *sha256)
{
	ret->name = xstrdup(name);
	ret->role = role;
	snprintf(ret->sha256, sizeof(ret->sha256), "%s", sha256);
}

struct auth *
auth_new(const char *admin_token)
{
	struct auth *auth = xcalloc(1, sizeof(*auth));
	struct str purpose = STR("davit session");
	char sha256[SHA256_HEX_SIZE];

	auth->holders = xcalloc(1, sizeof(*auth->holders));
	auth->count = 1;
	sha256_hex(str_of(admin_token), sha256);
	holder_init(&auth->holders[0], ACCESS_TOKEN_ADMIN, ROLE_ADMIN, sha256);
	hmac_sha256(str_of(admin_token), &purpose, 1, auth->key);
	return auth;
}

void
auth_free(struct auth **auth)
{
	struct auth *a = *auth;

	if (a == NULL)
		return;
	*auth = NULL;
	for (size_t i = 0; i < a->count; i++)
		free(a->holders[i].name);
	free(a->holders);
	free(a);
}

static const struct holder *
find_name(const struct auth *auth, struct str name)
{
	for (size_t i = 0; i < auth->count; i++)
		if (str_is(name, auth->holders[i].name))
			return &auth->holders[i];
	return NULL;
}

static const struct holder *
find_token(const struct auth *auth, struct str token)
{
	char sha256[SHA256_HEX_SIZE];

	sha256_hex(token, sha256);
	for (size_t i = 0; i < auth->count; i++)
		if (crypto_equal(str_of(sha256), str_of(auth->holders[i].sha256)))
			return &auth->holders[i];
	return NULL;
}

static bool
is_as_before(const struct auth *auth, const struct holder *before)
{
	const struct holder *now = find_name(auth, str_of(before->name));

	return now != NULL && now->role == before->role && strcmp(now->sha256, before->sha256) == 0;
}

bool
auth_set_tokens(struct auth *auth, const struct access_token_list *tokens)
{
	struct holder *before = auth->holders;
	size_t count = auth->count;
	bool is_lost = false;

	auth->holders = xcalloc(tokens->count + 1, sizeof(*auth->holders));
	auth->holders[0] = before[0];
	auth->count = 1;
	auth->is_complete = true;
	for (size_t i = 0; i < tokens->count; i++) {
		const struct access_token *token = &tokens->items[i];
		enum role role;

		if (role_from_name(token->role, &role)) /* a newer davitd may know more */
			holder_init(&auth->holders[auth->count++], token->name, role, token->sha256);
	}
	for (size_t i = 1; i < count; i++) {
		is_lost = is_lost || !is_as_before(auth, &before[i]);
		free(before[i].name);
	}
	free(before);
	return is_lost;
}

/* --- sessions --- */

/* "EXPIRY.HEX.NAME", EXPIRY in seconds since 1970; what is signed has the token's digest, too. */
static void
print_session(const struct auth *auth, const struct holder *holder, struct buf *ret, uint64_t expiry)
{
	unsigned char mac[SHA256_SIZE];
	char text[32];
	struct str parts[5];

	snprintf(text, sizeof(text), "%" PRIu64, expiry);
	parts[0] = str_of(text);
	parts[1] = parts[3] = STR(".");
	parts[2] = str_of(holder->name);
	parts[4] = str_of(holder->sha256);
	hmac_sha256((struct str){ (const char *)auth->key, sizeof(auth->key) }, parts, 5, mac);
	buf_addf(ret, "%s.", text);
	for (size_t i = 0; i < sizeof(mac); i++)
		buf_addf(ret, "%02x", mac[i]);
	buf_addf(ret, ".%s", holder->name);
}

/* NULL when it is none, or has run out. */
static const struct holder *
find_session(const struct auth *auth, struct str cookie, int64_t now_ms)
{
	struct str rest = cookie;
	const struct holder *holder;
	struct buf want;
	uint64_t expiry;
	bool is_right;

	if (!str_to_u64(str_cut(&rest, '.'), INT64_MAX, &expiry))
		return NULL;
	str_cut(&rest, '.');
	holder = find_name(auth, rest);
	if (holder == NULL)
		return NULL;
	buf_init(&want, SESSION_MAX);
	print_session(auth, holder, &want, expiry);
	is_right = crypto_equal(cookie, buf_str(&want)) && (int64_t)expiry > now_ms / 1000;
	buf_fini(&want);
	return is_right ? holder : NULL;
}

void
auth_print_cookie(const struct auth *auth, const char *name, struct buf *ret, bool is_https, int64_t now_ms)
{
	const struct holder *holder = find_name(auth, str_of(name));

	assert(holder != NULL);
	buf_adds(ret, AUTH_COOKIE "=");
	print_session(auth, holder, ret, (uint64_t)(now_ms / 1000 + AUTH_SESSION_S));
	buf_addf(ret, "; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%s", AUTH_SESSION_S, is_https ? "; Secure" : "");
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

static enum auth_verdict
admit(const struct auth *auth, const struct holder *holder, struct auth_who *ret)
{
	if (holder == NULL)
		return auth->is_complete ? AUTH_MISSING : AUTH_NOT_YET;
	*ret = (struct auth_who){ .name = holder->name, .role = holder->role };
	return AUTH_OK;
}

enum auth_verdict
auth_check(struct auth *auth, const struct http_request *request, int64_t now_ms, struct auth_who *ret)
{
	struct str value = request_header(request, "Authorization");
	struct str cookie = request_cookie(request, AUTH_COOKIE);
	const struct holder *holder;

	if (value.len > 0)
		return str_is_nocase(str_cut(&value, ' '), SCHEME) ? admit(auth, find_token(auth, str_trim(value)), ret)
								   : AUTH_MISSING;
	if (cookie.len == 0)
		return AUTH_MISSING;
	holder = find_session(auth, cookie, now_ms);
	if (holder != NULL && changes_state(request) && !auth_is_same_site(request))
		return AUTH_FOREIGN;
	return admit(auth, holder, ret);
}

const char *
auth_token_name(const struct auth *auth, struct str token, bool *is_early)
{
	const struct holder *holder = find_token(auth, token);

	*is_early = !auth->is_complete;
	return holder != NULL && holder->role <= ROLE_READ ? holder->name : NULL;
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

enum auth_verdict
auth_try(struct auth *auth, const char *peer, struct str token, int64_t now_ms, struct auth_who *ret)
{
	enum auth_verdict verdict = admit(auth, find_token(auth, token), ret);
	struct failures *failures;

	if (verdict != AUTH_MISSING)
		return verdict;
	failures = find_failures(auth, peer, now_ms);
	if (failures == NULL)
		failures = add_failures(auth, peer, now_ms);
	failures->count++;
	return verdict;
}
