#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/crypto.h"
#include "proto/mem.h"
#include "server/controller/auth.h"
#include "test/unit/fake_gate.h"

#define TOKEN "0123456789abcdef0123456789abcdef"
#define NOW 1000000000000
#define ANN "davit_0123456789abcdef"

static char seen[100]; /* by check: "ann read" */

/* Of the one token with that role, and of nobody else beside the administrator; role NULL: of none. */
static bool
know(struct auth *auth, const char *name, const char *role, const char *text)
{
	char sha256[SHA256_HEX_SIZE];
	struct access_token token = { .name = (char *)name, .role = (char *)role, .sha256 = sha256 };
	const struct access_token_list list = { .items = &token, .count = role != NULL };

	sha256_hex(str_of(text), sha256);
	return auth_set_tokens(auth, &list);
}

/* All that there are are known: nobody but the administrator. */
static struct auth *
auth_alone(const char *token)
{
	struct auth *auth = auth_new(token);

	assert_false(know(auth, "", NULL, ""));
	return auth;
}

static enum auth_verdict
check_at(struct auth *auth, int64_t now_ms, const char *method, const char *headers)
{
	char *head = xasprintf("%s /api/v1/repos HTTP/1.1\r\nHost: ci.example.com\r\n%s\r\n", method, headers);
	struct http_request *request = fake_request(head);
	struct auth_who who;
	enum auth_verdict verdict = auth_check(auth, request, now_ms, &who);

	snprintf(seen, sizeof(seen), "%s %s", verdict == AUTH_OK ? who.name : "nobody",
	    verdict == AUTH_OK ? role_name(who.role) : "");
	request_free(&request);
	free(head);
	return verdict;
}

static enum auth_verdict
check(struct auth *auth, const char *method, const char *headers)
{
	return check_at(auth, NOW, method, headers);
}

/* "Cookie: davit_session=...\r\n" for a session begun at NOW. */
static char *
cookie_line_of(const struct auth *auth, const char *name)
{
	struct buf cookie;
	char *line;

	buf_init(&cookie, 512);
	auth_print_cookie(auth, name, &cookie, true, NOW);
	assert_non_null(strstr(cookie.data, "; HttpOnly"));
	assert_non_null(strstr(cookie.data, "; SameSite=Strict"));
	assert_non_null(strstr(cookie.data, "; Secure"));
	line = xasprintf("Cookie: other=1; %.*s; more=2\r\n", (int)strcspn(cookie.data, ";"), cookie.data);
	buf_fini(&cookie);
	return line;
}

static char *
cookie_line(const struct auth *auth)
{
	return cookie_line_of(auth, "admin");
}

static void
test_bearer(void **state)
{
	static const char *const wrong[] = { "", "Authorization: Bearer\r\n", "Authorization: Bearer \r\n",
		"Authorization: Bearer 0123456789abcdef0123456789abcdee\r\n",
		"Authorization: Bearer 0123456789abcdef0123456789abcde\r\n", "Authorization: Bearer " TOKEN "f\r\n",
		"Authorization: Basic " TOKEN "\r\n", "Authorization: " TOKEN "\r\n",
		"Authorization: Bearer" TOKEN "\r\n", "X-Authorization: Bearer " TOKEN "\r\n",
		"Cookie: davit_session=" TOKEN "\r\n" };
	struct auth *auth = auth_alone(TOKEN);

	(void)state;
	assert_int_equal(check(auth, "GET", "Authorization: Bearer " TOKEN "\r\n"), AUTH_OK);
	assert_int_equal(check(auth, "DELETE", "Authorization: bearer  " TOKEN "\r\n"), AUTH_OK);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (check(auth, "GET", wrong[i]) != AUTH_MISSING)
			fail_msg("let in by \"%s\"", wrong[i]);
	auth_free(&auth);
}

static void
test_sessions(void **state)
{
	struct auth *auth = auth_alone(TOKEN), *other = auth_alone(TOKEN "x");
	char *line = cookie_line(auth);
	char *digit = strstr(line, "davit_session=") + strlen("davit_session=");

	(void)state;
	assert_int_equal(check(auth, "GET", line), AUTH_OK);
	assert_int_equal(check(other, "GET", line), AUTH_MISSING); /* another token ends all sessions */
	assert_int_equal(check_at(auth, NOW + AUTH_SESSION_S * 1000LL - 1000, "GET", line), AUTH_OK);
	assert_int_equal(check_at(auth, NOW + AUTH_SESSION_S * 1000LL, "GET", line), AUTH_MISSING);
	for (char *p = digit; *p != ';'; p++) { /* no byte of it can be altered */
		char old = *p;

		*p = old == '1' ? '2' : '1';
		assert_int_equal(check(auth, "GET", line), AUTH_MISSING);
		*p = old;
	}
	assert_int_equal(check(auth, "GET", "Cookie: davit_session=\r\n"), AUTH_MISSING);
	assert_int_equal(check(auth, "GET", "Cookie: davit_session=99999999999999.\r\n"), AUTH_MISSING);
	free(line);
	auth_free(&auth);
	auth_free(&other);
}

static void
test_tokens_have_roles(void **state)
{
	struct auth *auth = auth_new(TOKEN);

	(void)state;
	assert_int_equal(check(auth, "GET", "Authorization: Bearer " ANN "\r\n"), AUTH_NOT_YET);
	assert_int_equal(check(auth, "GET", "Authorization: Bearer " TOKEN "\r\n"), AUTH_OK);
	assert_string_equal(seen, "admin admin");
	assert_false(know(auth, "ann", "read", ANN));
	assert_int_equal(check(auth, "GET", "Authorization: Bearer " ANN "\r\n"), AUTH_OK);
	assert_string_equal(seen, "ann read");
	assert_int_equal(check(auth, "GET", "Authorization: Bearer " ANN "0\r\n"), AUTH_MISSING);
	assert_false(know(auth, "ann", "read", ANN)); /* as before */
	assert_true(know(auth, "ann", "deploy", ANN));
	assert_int_equal(check(auth, "GET", "Authorization: Bearer " ANN "\r\n"), AUTH_OK);
	assert_string_equal(seen, "ann deploy");
	assert_true(know(auth, "ann", "captain", ANN)); /* a role of a davitd to come is none of ours */
	assert_int_equal(check(auth, "GET", "Authorization: Bearer " ANN "\r\n"), AUTH_MISSING);
	auth_free(&auth);
}

static void
test_a_session_ends_with_its_token(void **state)
{
	struct auth *auth = auth_alone(TOKEN);
	char *line, *name;

	(void)state;
	know(auth, "ann", "develop", ANN);
	line = cookie_line_of(auth, "ann");
	assert_int_equal(check(auth, "GET", line), AUTH_OK);
	assert_string_equal(seen, "ann develop");
	know(auth, "ann", "read", ANN); /* the same token: the role is looked up, not in the cookie */
	assert_int_equal(check(auth, "GET", line), AUTH_OK);
	assert_string_equal(seen, "ann read");
	know(auth, "ann", "read", "another");
	assert_int_equal(check(auth, "GET", line), AUTH_MISSING);
	know(auth, "bob", "admin", ANN); /* a name cannot be exchanged, though the token be the same */
	name = strstr(line, ".ann");
	assert_non_null(name);
	memcpy(name, ".bob", 4);
	assert_int_equal(check(auth, "GET", line), AUTH_MISSING);
	know(auth, "", NULL, "");
	memcpy(name, ".ann", 4);
	assert_int_equal(check(auth, "GET", line), AUTH_MISSING);
	free(line);
	auth_free(&auth);
}

static void
test_other_sites_cannot_use_the_cookie(void **state)
{
	static const struct {
		const char *headers;
		enum auth_verdict verdict;
	} cases[] = {
		{ "Origin: https://ci.example.com\r\n", AUTH_OK },
		{ "Sec-Fetch-Site: same-origin\r\n", AUTH_OK },
		{ "", AUTH_FOREIGN },
		{ "Origin: null\r\n", AUTH_FOREIGN },
		{ "Origin: https://evil.example\r\n", AUTH_FOREIGN },
		{ "Origin: https://ci.example.com.evil.example\r\n", AUTH_FOREIGN },
		{ "Origin: https://ci.example.com:8443\r\n", AUTH_FOREIGN },
		{ "Origin: https://evil.example\r\nSec-Fetch-Site: same-origin\r\n", AUTH_FOREIGN },
		{ "Sec-Fetch-Site: cross-site\r\n", AUTH_FOREIGN },
		{ "Sec-Fetch-Site: same-site\r\n", AUTH_FOREIGN },
	};
	struct auth *auth = auth_alone(TOKEN);
	char *line = cookie_line(auth), *headers;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		headers = xasprintf("%s%s", line, cases[i].headers);
		if (check(auth, "DELETE", headers) != cases[i].verdict)
			fail_msg("wrong for \"%s\"", cases[i].headers);
		assert_int_equal(check(auth, "GET", headers), AUTH_OK);
		free(headers);
	}
	free(line);
	auth_free(&auth);
}

static void
test_wrong_tokens_are_counted(void **state)
{
	struct auth *auth = auth_alone(TOKEN);
	struct auth_who who;
	char peer[32];

	(void)state;
	for (int i = 0; i < AUTH_FAILURES_MAX; i++) {
		assert_true(auth_may_try(auth, "192.0.2.1", NOW));
		assert_int_equal(auth_try(auth, "192.0.2.1", STR("wrong"), NOW, &who), AUTH_MISSING);
	}
	assert_false(auth_may_try(auth, "192.0.2.1", NOW));
	assert_true(auth_may_try(auth, "192.0.2.2", NOW));
	assert_int_equal(auth_try(auth, "192.0.2.2", STR(TOKEN), NOW, &who), AUTH_OK);
	assert_string_equal(who.name, "admin");
	assert_true(auth_may_try(auth, "192.0.2.1", NOW + AUTH_WINDOW_MS));
	for (int i = 0; i < 1000; i++) { /* the table is bounded: the oldest make room */
		snprintf(peer, sizeof(peer), "10.0.%d.%d", i / 250, i % 250);
		assert_int_equal(auth_try(auth, peer, STR(""), NOW + i, &who), AUTH_MISSING);
	}
	auth_free(&auth);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bearer),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_tokens_have_roles),
		cmocka_unit_test(test_a_session_ends_with_its_token),
		cmocka_unit_test(test_other_sites_cannot_use_the_cookie),
		cmocka_unit_test(test_wrong_tokens_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
