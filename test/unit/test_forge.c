#include "test/unit/unit.h"

#include "proto/forge.h"

static const struct {
	enum forge_kind kind;
	const char *clone;
	const char *api_url;
	const char *api;
	const char *path;
} good[] = {
	{ FORGE_GITHUB, "https://github.com/acme/boat.git", NULL, "https://api.github.com", "acme/boat" },
	{ FORGE_GITHUB, "https://github.com/acme/boat", "", "https://api.github.com", "acme/boat" },
	{ FORGE_GITHUB, "https://GitHub.com/acme/boat/", "", "https://api.github.com", "acme/boat" },
	{ FORGE_GITHUB, "https://x-token:p@ss@github.com/acme/boat.git", NULL, "https://api.github.com", "acme/boat" },
	{ FORGE_GITHUB, "git@github.com:acme/boat.git", NULL, "https://api.github.com", "acme/boat" },
	{ FORGE_GITHUB, "git@github.com:/acme/boat.git", NULL, "https://api.github.com", "acme/boat" },
	{ FORGE_GITHUB, "ssh://git@ssh.github.com:443/acme/boat.git", "https://github.com", "https://api.github.com",
	    "acme/boat" },
	{ FORGE_GITHUB, "git://github.com/acme/boat.js.git", NULL, "https://api.github.com", "acme/boat.js" },
	{ FORGE_GITHUB, "https://ghe.example.com/acme/boat.git", NULL, "https://ghe.example.com/api/v3", "acme/boat" },
	{ FORGE_GITHUB, "https://acme.ghe.com/acme/boat", "https://api.acme.ghe.com/", "https://api.acme.ghe.com",
	    "acme/boat" },
	{ FORGE_GITHUB, "/srv/git/acme/boat.git", NULL, NULL, NULL },
	{ FORGE_GITHUB, "https://a.example/acme/boat", "http://127.0.0.1:8080/api/v3/", "http://127.0.0.1:8080/api/v3",
	    "acme/boat" },
	{ FORGE_GITLAB, "https://gitlab.com/acme/hull/boat.git", NULL, "https://gitlab.com/api/v4", "acme/hull/boat" },
	{ FORGE_GITLAB, "git@gitlab.com:acme/a/b/c/boat.git", NULL, "https://gitlab.com/api/v4", "acme/a/b/c/boat" },
	{ FORGE_GITLAB, "https://example.com/gitlab/acme/boat.git", "https://example.com/gitlab",
	    "https://example.com/gitlab/api/v4", "acme/boat" },
	{ FORGE_GITLAB, "https://example.com/gitlab/acme/boat.git", "https://example.com/gitlab/api/v4",
	    "https://example.com/gitlab/api/v4", "acme/boat" },
	{ FORGE_GITLAB, "ssh://git@example.com:2222/acme/boat.git", "https://example.com/gitlab/api/v4",
	    "https://example.com/gitlab/api/v4", "acme/boat" },
	{ FORGE_GITEA, "http://127.0.0.1:3000/acme/boat.git", NULL, "http://127.0.0.1:3000/api/v1", "acme/boat" },
	{ FORGE_GITEA, "http://[::1]:3000/acme/boat.git", NULL, "http://[::1]:3000/api/v1", "acme/boat" },
	{ FORGE_GITEA, "ssh://git@[fd00::1]:2222/acme/boat.git", NULL, "https://[fd00::1]/api/v1", "acme/boat" },
	{ FORGE_GITEA, "https://example.com/git/acme/boat.git", NULL, "https://example.com/git/api/v1", "acme/boat" },
	{ FORGE_GITEA, "gitea@git.example.com:acme/boat.git", "https://git.example.com:8443",
	    "https://git.example.com:8443/api/v1", "acme/boat" },
};

static const char *const bad[] = {
	"",
	"boat",
	"/srv/git/acme/boat.git",
	"file:///srv/git/acme/boat.git",
	"ext::sh -c id",
	"https://github.com",
	"https://github.com/boat.git",
	"https:///acme/boat",
	"https://github.com/acme/..",
	"https://github.com/acme/../boat",
	"https://github.com/acme//boat",
	"https://github.com/acme/boat?x=1",
	"https://github.com/acme/boat#x",
	"https://github.com/acme/%2e%2e/boat",
	"https://github.com/ac me/boat",
	"https://git\rhub.com/acme/boat",
	"https://github.com/acme/bo\nat",
	"https://github.com/acme/bo\"at",
	"https://evil.example/x@github.com/acme/boat",
	"git@host",
	"git@:acme/boat",
	"@",
	":",
	"://",
	"https://.git",
	"gopher://h/acme/boat",
	"https://h/acme/.git",
};

static void
test_locates_the_repository(void **state)
{
	struct forge_repo repo;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (good[i].api == NULL) {
			assert_false(forge_locate(good[i].kind, good[i].clone, good[i].api_url, &repo, &err));
			continue;
		}
		assert_true(forge_locate(good[i].kind, good[i].clone, good[i].api_url, &repo, &err));
		assert_string_equal(repo.api, good[i].api);
		assert_string_equal(repo.path, good[i].path);
		forge_repo_fini(&repo);
	}
}

static void
test_refuses_what_is_no_repository(void **state)
{
	struct forge_repo repo;
	struct err err;
	char *url = test_malloc(1024 * 1024);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (forge_locate(FORGE_GITHUB, bad[i], NULL, &repo, &err))
			fail_msg("accepted %s as %s", bad[i], repo.path);
		assert_int_equal(err.code, ERR_INPUT);
	}
	memset(url, 'A', 1024 * 1024);
	memcpy(url, "https://github.com/acme/", 24);
	url[1024 * 1024 - 1] = '\0';
	assert_false(forge_locate(FORGE_GITHUB, url, NULL, &repo, &err));
	test_free(url);
}

static void
test_refuses_a_bad_api_address(void **state)
{
	static const char *const bad_api[] = { "api.github.com", "ssh://git@github.com/api", "ftp://h/", "https://",
		"https://h/api?x", "https://h/a b", "https://h\r\nX: y/" };
	struct forge_repo repo;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad_api) / sizeof(bad_api[0]); i++)
		assert_false(forge_locate(FORGE_GITHUB, "https://github.com/acme/boat", bad_api[i], &repo, &err));
	assert_false(forge_locate(FORGE_GENERIC, "https://github.com/acme/boat", NULL, &repo, &err));
}

/* Each prefix of a good URL is either refused or gives plain names: no read past its end, no empty part. */
static void
test_at_every_cut(void **state)
{
	struct forge_repo repo;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		for (size_t len = 0; len < strlen(good[i].clone); len++) {
			char *cut = test_calloc(1, len + 1);

			memcpy(cut, good[i].clone, len);
			if (forge_locate(good[i].kind, cut, NULL, &repo, &err)) {
				assert_non_null(strchr(repo.path, '/'));
				assert_true(strspn(repo.path, "/") == 0);
				forge_repo_fini(&repo);
			}
			test_free(cut);
		}
	}
}

static void
test_the_owner_may_name_the_repository(void **state)
{
	struct forge_repo repo;
	struct err err;

	(void)state;
	assert_true(forge_locate_named(
	    FORGE_GITLAB, "a/b/c", "file:///srv/mirror.git", "https://git.example.com", &repo, &err));
	assert_string_equal(repo.api, "https://git.example.com/api/v4");
	assert_string_equal(repo.path, "a/b/c");
	forge_repo_fini(&repo);
	assert_true(forge_locate_named(FORGE_GITHUB, "boat", "https://github.com/acme/boat.git", "", &repo, &err));
	assert_string_equal(repo.path, "acme/boat");
	forge_repo_fini(&repo);
	assert_false(
	    forge_locate_named(FORGE_GITHUB, "acme/../boat", "file:///x", "https://git.example.com", &repo, &err));
	assert_false(
	    forge_locate_named(FORGE_GENERIC, "acme/boat", "file:///x", "https://git.example.com", &repo, &err));
}

static void
test_names(void **state)
{
	enum forge_kind kind;

	(void)state;
	for (enum forge_kind k = FORGE_GENERIC; k <= FORGE_GITEA; k++) {
		assert_true(forge_from_name(forge_name(k), &kind));
		assert_int_equal(kind, k);
	}
	assert_true(forge_from_name("forgejo", &kind));
	assert_int_equal(kind, FORGE_GITEA);
	assert_false(forge_from_name("sourceforge", &kind));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_locates_the_repository),
		cmocka_unit_test(test_refuses_what_is_no_repository),
		cmocka_unit_test(test_refuses_a_bad_api_address),
		cmocka_unit_test(test_at_every_cut),
		cmocka_unit_test(test_the_owner_may_name_the_repository),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
