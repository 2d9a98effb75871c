#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/git_error.h"
#include "proto/git_name.h"
#include "proto/mem.h"

#define SHA1 "0123456789abcdef0123456789abcdef01234567"

static void
test_commits(void **state)
{
	static const char *const bad[] = { "", "abc", "HEAD", "0123456789abcdef0123456789abcdef0123456",
		"0123456789abcdef0123456789abcdef012345678", "0123456789ABCDEF0123456789abcdef01234567",
		"--upload-pack=x", "0123456789abcdef0123456789abcdef0123456\n",
		"0123456789abcdef0123456789abcdef0123456g" };

	(void)state;
	assert_true(git_commit_is_valid(SHA1));
	assert_true(git_commit_is_valid("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(git_commit_is_valid(bad[i]));
}

static void
test_refs(void **state)
{
	static const char *const good[] = { "refs/heads/main", "refs/tags/v1.0", "refs/pull/7/head",
		"refs/merge-requests/7/head", "refs/heads/feature/a-b_c", "refs/heads/-x",
		"refs/heads/--upload-pack=touch${IFS}/tmp/p", "refs/heads/`id`", "refs/heads/$(id)", "refs/heads/a;id",
		"refs/heads/a|b", "refs/heads/<script>", "refs/heads/a\"b", "refs/heads/\xc3\xa9", "refs/heads/a@b",
		"refs/heads/@" };
	static const char *const bad[] = { "", "main", "refs/", "refs", "refs/heads/", "heads/main", "refs//heads/x",
		"refs/heads/a..b", "refs/heads/.a", "refs/heads/a/.b", "refs/heads/a.lock", "refs/heads/a.lock/b",
		"refs/heads/a b", "refs/heads/a~b", "refs/heads/a^b", "refs/heads/a:b", "refs/heads/a?b",
		"refs/heads/a*b", "refs/heads/a[b", "refs/heads/a\\b", "refs/heads/a@{b", "refs/heads/a.",
		"refs/heads/a/", "refs/heads/a\nb", "refs/heads/a\x7f", "-refs/heads/a", "refs/heads/../../x" };
	char longest[1200];

	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!git_ref_is_valid(good[i]))
			fail_msg("refused: %s", good[i]);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (git_ref_is_valid(bad[i]))
			fail_msg("taken: %s", bad[i]);
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "refs/heads/", 11);
	longest[1000] = '\0';
	assert_true(git_ref_is_valid(longest));
	longest[1000] = 'a';
	longest[1001] = '\0';
	assert_false(git_ref_is_valid(longest));
	assert_string_equal(git_ref_short("refs/heads/a/b", "refs/heads/"), "a/b");
	assert_null(git_ref_short("refs/tags/a", "refs/heads/"));
}

/* What git itself says of the same names. */
static void
test_refs_as_git_has_them(void **state)
{
	static const char alphabet[] = "a/.@{~-l";
	char ref[32] = "refs/heads/";

	(void)state;
	for (unsigned n = 0; n < 150; n++) {
		char command[128];
		size_t len = 11;

		for (unsigned rest = n * 2654435761u; len < 16; rest /= 8)
			ref[len++] = alphabet[rest % 8];
		ref[len] = '\0';
		snprintf(command, sizeof(command), "git check-ref-format '%s'", ref);
		if ((system(command) == 0) != git_ref_is_valid(ref))
			fail_msg("git and we differ on %s", ref);
	}
}

static void
test_urls(void **state)
{
	static const char *const good[] = { "https://github.com/acme/app.git", "http://127.0.0.1:3000/acme/app",
		"https://user@host/x", "ssh://git@host:22/acme/app.git", "ssh://host/-x", "git://host/x",
		"git@github.com:acme/app.git", "host:path", "https://[::1]:80/x" };
	static const char *const bad[] = { "", "x", "ext::sh -c id", "ext::sh", "file:///etc", "/etc", "../x",
		"ssh://-oProxyCommand=id/x", "ssh://-x@host/x", "-oProxyCommand=id:x", "git@-host:x", "git@host:-x",
		"https://user:secret@host/x", "https:///x", "https://@host/x", "https://a b/", "https://host/a\nb",
		"https://ho\tst/", "fd::17", "https://host\x7f/", "--upload-pack=x", "ftp://host/x",
		"git@host:", "https://$(id)/x", "https://-host/x", "host/x:y" };
	struct err err;

	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!git_url_check(good[i], false, &err))
			fail_msg("refused: %s: %s", good[i], err.text);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (git_url_check(bad[i], false, &err))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(err.code, ERR_INPUT);
		assert_null(strstr(err.text, "secret"));
	}
	assert_true(git_url_check("/srv/x.git", true, &err));
	assert_true(git_url_check("file:///srv/x.git", true, &err));
	assert_false(git_url_check("file://host/x.git", true, &err));
}

static void
assert_cleans_to(const char *url, const char *clean, const char *origin)
{
	char *got_clean = git_url_clean(url);
	char *got_origin = git_url_origin(url);

	assert_string_equal(got_clean, clean);
	if (origin == NULL)
		assert_null(got_origin);
	else
		assert_string_equal(got_origin, origin);
	free(got_clean);
	free(got_origin);
}

static void
test_url_parts(void **state)
{
	(void)state;
	assert_cleans_to("https://u:p@host:8443/a/b@c", "https://host:8443/a/b@c", "https://host:8443");
	assert_cleans_to("http://host", "http://host", "http://host");
	assert_cleans_to("git@host:x", "git@host:x", NULL);
	assert_cleans_to("ssh://git@host/x", "ssh://git@host/x", NULL);
	assert_cleans_to("/srv/x", "/srv/x", NULL);
}

static void
test_forks_are_near(void **state)
{
	static const struct {
		bool near;
		const char *fork, *repository;
	} cases[] = {
		{ true, "https://forge.example/eve/x.git", "https://forge.example/acme/x.git" },
		{ true, "https://FORGE.example:443/eve/x.git", "https://forge.example/acme/x.git" },
		{ true, "http://forge:3000/eve/x", "http://forge:3000/acme/x" },
		{ true, "https://forge/eve/x", "http://forge:3000/acme/x" },
		{ true, "http://forge:3000/eve/x", "git@forge:acme/x.git" },
		{ true, "https://forge/eve/x", "ssh://git@forge:2222/acme/x.git" },
		{ true, "http://[::1]:3000/eve/x", "http://[::1]:3000/acme/x" },
		{ true, "/srv/eve", "file:///srv/acme" },
		{ false, "http://169.254.169.254/latest", "https://forge.example/acme/x.git" },
		{ false, "https://forge.example.evil.test/x", "https://forge.example/acme/x.git" },
		{ false, "https://evil.test/forge.example/x", "https://forge.example/acme/x.git" },
		{ false, "https://forge.example@evil.test/x", "https://forge.example/acme/x.git" },
		{ false, "https://evil.test#@forge.example/x", "https://forge.example/acme/x.git" },
		{ false, "http://forge:6379/x", "http://forge:3000/acme/x" },
		{ false, "http://forge/x", "https://forge/acme/x" },
		{ false, "http://[::1]:6379/x", "http://[::1]:3000/acme/x" },
		{ false, "http://127.0.0.1/x", "git@forge:acme/x.git" },
		{ false, "http://127.1/x", "http://127.0.0.1/acme/x" },
		{ false, "https://forge/x", "/srv/acme" },
		{ false, "/srv/eve", "https://forge/acme/x" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (git_url_is_near(cases[i].fork, cases[i].repository) != cases[i].near)
			fail_msg("%s beside %s", cases[i].fork, cases[i].repository);
}

static void
assert_means(const char *text, enum err_code code, const char *words)
{
	struct err err = git_error(str_of(text), 128, SHA1);

	assert_int_equal(err.code, code);
	assert_int_equal(err.detail, 128);
	assert_string_equal(err.text, words);
}

static void
test_errors(void **state)
{
	struct str no_ref = STR("fatal: remote error: upload-pack: not our ref " SHA1 "\n");

	(void)state;
	assert_true(git_error_is_missing_commit(no_ref));
	assert_means(no_ref.p, ERR_NOT_FOUND, "commit " SHA1 " is not on the server (was it force-pushed away?)");
	assert_means("fatal: could not read Username for 'https://h': terminal prompts disabled\n", ERR_AUTH,
	    "the server wants credentials: set the repository's token");
	assert_means("fatal: unable to access 'http://h/x/': Could not resolve host: h\n", ERR_UNAVAILABLE,
	    "the server's name cannot be resolved");
	assert_means("fatal: unable to access 'http://h/': The requested URL returned error: 503\n", ERR_UNAVAILABLE,
	    "the server has an error of its own");
	assert_means("fatal: '/x' does not appear to be a git repository\nfatal: Could not read from remote "
		     "repository.\n\nPlease make sure\n",
	    ERR_NOT_FOUND, "repository not found: there is none at its URL");
	assert_means("fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output\n",
	    ERR_UNAVAILABLE, "no space left on the disk");
	assert_means("fatal: sha1 file '<stdout>' write error. Out of diskspace\nfatal: index-pack failed\n",
	    ERR_UNAVAILABLE, "no space left on the disk");
	assert_means("fatal: cannot update ref 'refs/davit/1': couldn't write '/x/refs/davit/1.lock'\n",
	    ERR_UNAVAILABLE, "the mirror cannot be written: is the disk full?");
	assert_means("noise\nfatal: something new\n\n", ERR_REFUSED, "git: something new");
	assert_means("remote: \x1b[31mevil\x07\xff\n", ERR_REFUSED, "git: remote: ?[31mevil??");
	assert_means("", ERR_REFUSED, "git ended with exit code 128");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commits),
		cmocka_unit_test(test_refs),
		cmocka_unit_test(test_refs_as_git_has_them),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_url_parts),
		cmocka_unit_test(test_forks_are_near),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
