#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/mem.h"
#include "proto/secret.h"

static void
test_names_and_owners(void **state)
{
	char id[SECRET_ID_MAX], *org;
	enum secret_scope scope;

	(void)state;
	assert_true(secret_name_is_valid("NPM_TOKEN"));
	assert_true(secret_name_is_valid("_x9"));
	assert_false(secret_name_is_valid(""));
	assert_false(secret_name_is_valid("9x"));
	assert_true(secret_name_is_valid("codecov-boat.1"));
	assert_false(secret_name_is_valid("-A"));
	assert_false(secret_name_is_valid("A/B"));
	assert_false(secret_name_is_valid("A:B"));
	assert_false(secret_name_is_valid("A B"));
	assert_false(secret_name_is_valid("\xc3\xa4"));
	assert_true(secret_owner_is_valid(SECRET_ORG, "acme.org-1_x"));
	assert_false(secret_owner_is_valid(SECRET_ORG, ""));
	assert_false(secret_owner_is_valid(SECRET_ORG, ".x"));
	assert_false(secret_owner_is_valid(SECRET_REPO, "a:b"));
	assert_false(secret_owner_is_valid(SECRET_REPO, "a/b"));
	assert_true(secret_owner_is_valid(SECRET_ENVIRONMENT, "a/b"));
	assert_false(secret_owner_is_valid(SECRET_ENVIRONMENT, "a"));
	assert_false(secret_owner_is_valid(SECRET_ENVIRONMENT, "a/"));
	assert_false(secret_owner_is_valid(SECRET_ENVIRONMENT, "/b"));
	assert_false(secret_owner_is_valid(SECRET_ENVIRONMENT, "a/b/c"));
	secret_id(id, SECRET_ORG, "acme", "KEY");
	assert_string_equal(id, "org:acme:KEY");
	assert_true(secret_scope_from_name("environment", &scope) && scope == SECRET_ENVIRONMENT);
	assert_false(secret_scope_from_name("repository", &scope));
	org = secret_org("Acme/app");
	assert_string_equal(org, "acme");
	free(org);
	org = secret_org("Group/sub/app");
	assert_string_equal(org, "group");
	free(org);
	assert_null(secret_org("app"));
}

static void
test_values(void **state)
{
	struct err err;
	char *large = xcalloc(1, SECRET_VALUE_MAX + 2);

	(void)state;
	memset(large, 'x', SECRET_VALUE_MAX + 1);
	assert_true(secret_value_check(STR("1234"), &err));
	assert_true(secret_value_check((struct str){ large, SECRET_VALUE_MAX }, &err));
	assert_false(secret_value_check((struct str){ large, SECRET_VALUE_MAX + 1 }, &err));
	assert_false(secret_value_check(STR("123456\xff"), &err));
	assert_false(secret_value_check(STR("123\n"), &err));
	assert_non_null(strstr(err.text, "too short"));
	assert_false(secret_value_check(STR("1234\0abc"), &err));
	assert_null(strstr(err.text, "1234"));
	free(large);
}

static void
test_rules_are_checked(void **state)
{
	struct err err;

	(void)state;
	assert_true(secret_events_check("", &err));
	assert_true(secret_events_check("push,tag,pull_request,cron,manual,api,deploy", &err));
	assert_false(secret_events_check("push,tags", &err));
	assert_non_null(strstr(err.text, "did you mean \"tag\"?"));
	assert_false(secret_events_check("push,,tag", &err));
	assert_true(secret_branches_check("main,release/*,refs/tags/v*", &err));
	assert_false(secret_branches_check("main,,x", &err));
	assert_false(secret_branches_check("[a", &err));
}

static void
test_which_builds_may_have_it(void **state)
{
	static const struct {
		const char *events, *branches, *event, *ref;
		bool allowed;
	} cases[] = {
		{ "", "", "push", "refs/heads/main", true },
		{ "", "", "pull_request", "refs/pull/7/head", true },
		{ "push,tag", "", "tag", "refs/tags/v1", true },
		{ "push,tag", "", "pull_request", "refs/pull/7/head", false },
		{ "push", "", "pus", "refs/heads/main", false },
		{ "", "main", "push", "refs/heads/main", true },
		{ "", "main", "push", "refs/heads/maintenance", false },
		{ "", "main,release/*", "push", "refs/heads/release/1/2", true },
		{ "", "main", "tag", "refs/tags/main", false },
		{ "", "main", "pull_request", "refs/pull/7/head", false },
		{ "", "*", "pull_request", "refs/pull/7/head", false },
		{ "", "main,refs/tags/v*", "tag", "refs/tags/v1.2", true },
		{ "", "refs/pull/*", "pull_request", "refs/pull/7/head", true },
		{ "tag", "main", "push", "refs/heads/main", false },
		{ "push", "main", "cron", "refs/heads/main", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_OK;
		bool allowed =
		    secret_is_allowed(cases[i].events, cases[i].branches, cases[i].event, cases[i].ref, &err);

		if (allowed != cases[i].allowed)
			fail_msg("case %zu: %s", i, err.text);
		assert_true(allowed == (err.text[0] == '\0'));
	}
}

/* Whatever the event: what a fork's author may push is never the repository's own. */
static void
test_foreign_code(void **state)
{
	(void)state;
	assert_false(secret_code_is_foreign(false, "push", "refs/heads/main"));
	assert_false(secret_code_is_foreign(false, "tag", "refs/tags/v1"));
	assert_false(secret_code_is_foreign(false, "pull_request", "refs/pull/7/head"));
	assert_true(secret_code_is_foreign(true, "pull_request", "refs/pull/7/head"));
	assert_true(secret_code_is_foreign(true, "push", "refs/heads/main"));
	assert_true(secret_code_is_foreign(true, "manual", "refs/heads/main"));
	assert_true(secret_code_is_foreign(false, "manual", "refs/pull/7/head"));
	assert_true(secret_code_is_foreign(false, "api", "refs/merge-requests/7/head"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_owners),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_rules_are_checked),
		cmocka_unit_test(test_which_builds_may_have_it),
		cmocka_unit_test(test_foreign_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
