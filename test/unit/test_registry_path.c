#include "test/unit/unit.h"

#include <stdio.h>

#include "proto/challenge.h"
#include "proto/registry_path.h"

#define LONG_DIGEST                                                               \
	"sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce" \
	"47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
#define DIGEST "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void
test_paths(void **state)
{
	static const struct {
		const char *path, *registry, *name, *reference, *query;
		enum registry_kind kind;
		bool is_digest;
	} cases[] = {
		{ "/v2/", "", "", "", "", REGISTRY_ROOT, false },
		{ "/v2/busybox/manifests/1.36", "", "busybox", "1.36", "", REGISTRY_MANIFEST, false },
		{ "/v2/a/b/c/blobs/" DIGEST, "", "a/b/c", DIGEST, "", REGISTRY_BLOB, true },
		{ "/v2/ghcr.io/a/b/manifests/" DIGEST, "ghcr.io", "a/b", DIGEST, "", REGISTRY_MANIFEST, true },
		{ "/v2/a/b/manifests/x?ns=docker.io", "docker.io", "a/b", "x", "", REGISTRY_MANIFEST, false },
		{ "/v2/a/manifests/x?ns=h%3A5000", "h%3A5000", "a", "x", "", REGISTRY_MANIFEST, false },
		{ "/v2/manifests/manifests/manifests", "", "manifests", "manifests", "", REGISTRY_MANIFEST, false },
		{ "/v2/a/tags/list?n=5&last=x", "", "a", "list", "n=5&last=x", REGISTRY_TAGS, false },
		{ "/v2/localhost/a/tags/list", "localhost", "a", "list", "", REGISTRY_TAGS, false },
		{ "/v2/a/blobs/" LONG_DIGEST, "", "a", LONG_DIGEST, "", REGISTRY_BLOB, true },
		{ "/v2/a/referrers/" DIGEST, "", "a", DIGEST, "", REGISTRY_REFERRERS, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct registry_path p;

		assert_true(registry_path_read(str_of(cases[i].path), &p));
		assert_int_equal(p.kind, cases[i].kind);
		assert_true(str_is(p.registry, cases[i].registry));
		assert_true(str_is(p.name, cases[i].name));
		assert_true(str_is(p.reference, cases[i].reference));
		assert_true(str_is(p.query, cases[i].query));
		assert_int_equal(p.is_digest, cases[i].is_digest);
	}
}

static void
test_other_paths(void **state)
{
	static const char *const bad[] = { "", "/", "/v1/", "/v2", "/v2/a", "/v2/a/manifests", "/v2/a/manifests/",
		"/v2/manifests/x", "/v2/A/manifests/x", "/v2/a/../b/manifests/x", "/v2/a//b/manifests/x",
		"/v2/.a/manifests/x", "/v2/a./manifests/x", "/v2/a/manifests/.x", "/v2/a/manifests/x%2fy",
		"/v2/a/blobs/x", "/v2/a/blobs/sha256:00",
		"/v2/a/blobs/sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", "/v2/a/tags/x",
		"/v2/a/blobs/uploads/", "/v2/_catalog", "/v2/ghcr.io/manifests/" };
	struct registry_path p;
	struct str hex;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (registry_path_read(str_of(bad[i]), &p) && p.kind != REGISTRY_ROOT)
			fail_msg("%s", bad[i]);
	assert_true(registry_digest_read(STR(DIGEST), &hex));
	assert_int_equal(hex.len, 64);
	assert_true(registry_digest_read(STR(LONG_DIGEST), &hex));
	assert_int_equal(hex.len, 128);
	assert_false(registry_digest_read(STR("sha512:00"), &hex));
	assert_false(
	    registry_digest_read(STR("sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), &hex));
	assert_false(
	    registry_digest_read(STR("md5:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), &hex));
}

static void
reply_of(const char *headers, char text[1024], struct http1_head *ret)
{
	struct http1_scan scan = { 0 };

	snprintf(text, 1024, "HTTP/1.1 401 Unauthorized\r\n%s\r\n", headers);
	assert_int_equal(http1_parse_reply(&scan, str_of(text), NULL, ret), HTTP1_DONE);
}

static void
test_challenges(void **state)
{
	static const char *const bad[] = { "", "WWW-Authenticate: Basic realm=\"x\"\r\n",
		"WWW-Authenticate: Bearer\r\n", "WWW-Authenticate: Bearer scope=\"a\"\r\n",
		"WWW-Authenticate: Bearer realm=\"\\x\"\r\n" };
	char text[1024];
	struct http1_head reply;
	struct challenge challenge;
	struct buf url;

	(void)state;
	reply_of("WWW-Authenticate: Basic realm=\"x\"\r\n"
		 "www-authenticate: bearer realm=\"https://auth.example/token\" , service=reg.example,"
		 "scope=\"repository:a/b:pull,push\"\r\n",
	    text, &reply);
	assert_true(challenge_read(&reply, &challenge));
	assert_true(str_is(challenge.scope, "repository:a/b:pull,push"));
	buf_init(&url, 1024);
	assert_true(challenge_print_url(&url, &challenge));
	assert_string_equal(
	    url.data, "https://auth.example/token?service=reg.example&scope=repository%3Aa%2Fb%3Apull%2Cpush");
	buf_fini(&url);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		reply_of(bad[i], text, &reply);
		assert_false(challenge_read(&reply, &challenge));
	}
}

static void
test_logins(void **state)
{
	static const struct {
		const char *host, *registry;
		bool is;
	} realms[] = {
		{ "auth.docker.io", "registry-1.docker.io", true },
		{ "gitlab.com", "registry.gitlab.com", true },
		{ "GHCR.io", "ghcr.io", true },
		{ "127.0.0.1", "127.0.0.1", true },
		{ "localhost", "localhost", true },
		{ "auth.docker.io.evil.example", "registry-1.docker.io", false },
		{ "evildocker.io", "registry-1.docker.io", false },
		{ "evil.io", "ghcr.io", false },
		{ "io", "ghcr.io", false },
		{ "10.0.0.2", "10.0.0.1", false },
		{ "9.0.0.1", "10.0.0.1", false },
		{ "evil.localhost", "localhost", false },
		{ "", "ghcr.io", false },
	};
	struct http1_head reply;
	char text[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(realms) / sizeof(realms[0]); i++)
		if (realm_is_of(str_of(realms[i].host), str_of(realms[i].registry)) != realms[i].is)
			fail_msg("%s for %s", realms[i].host, realms[i].registry);
	reply_of("WWW-Authenticate: basic realm=\"x\"\r\n", text, &reply);
	assert_true(challenge_is_basic(&reply));
	reply_of("WWW-Authenticate: Bearer realm=\"x\"\r\n", text, &reply);
	assert_false(challenge_is_basic(&reply));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_other_paths),
		cmocka_unit_test(test_challenges),
		cmocka_unit_test(test_logins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
