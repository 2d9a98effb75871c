#include "test/unit/unit.h"

#include "proto/environment.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
test_names(void **state)
{
	static const char *const good[] = { "production", "eu-1.live", "7", "Staging_2" };
	static const char *const bad[] = { "", "-x", "a b", "a/b", "a:b", "\xe7\x94\x9f\xe4\xba\xa7" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(environment_name_is_valid(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(environment_name_is_valid(bad[i]));
}

static void
test_settings_that_are_wrong(void **state)
{
	static const struct {
		struct environment_rules rules;
		const char *error; /* NULL: they are right */
	} cases[] = {
		{ { 0 }, NULL },
		{ { .kind = "command", .events = "push,tag,deploy", .branches = "main release/*", .tags = "v*" },
		    NULL },
		{ { .deployers = "alice,bob" }, NULL },
		{ { .kind = "engine" }, NULL },
		{ { .kind = "ftp" }, "kind: \"ftp\" is none; there are command, engine and swarm" },
		{ { .events = "psuh" }, "events: no event is called \"psuh\"; did you mean \"push\"?" },
		{ { .branches = "main [a" }, "branches: \"[a\"" },
		{ { .tags = "(" }, NULL },
		{ { .deployers = "[a" }, "deployers: \"[a\"" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_OK;
		bool ok = environment_check(&cases[i].rules, &err);

		assert_int_equal(ok, cases[i].error == NULL);
		if (!ok && strstr(err.text, cases[i].error) == NULL)
			fail_msg("%s, and not %s", err.text, cases[i].error);
	}
}

static void
test_what_may_be_deployed(void **state)
{
	static const struct {
		struct environment_rules rules;
		struct environment_request request;
		const char *why; /* NULL: it may */
	} cases[] = {
		{ { 0 }, { "push", "refs/heads/main", "main", "alice", false }, NULL },
		{ { 0 }, { "deploy", "refs/tags/v1", "v1", "admin", false }, NULL },
		{ { 0 }, { "push", "refs/heads/main", "main", NULL, false }, NULL },
		{ { 0 }, { "pull_request", "refs/pull/7/head", "main", "alice", false },
		    "does not take the event pull_request" },
		{ { .events = "pull_request" }, { "pull_request", "refs/pull/7/head", "main", "alice", false }, NULL },
		{ { .events = "pull_request" }, { "pull_request", "refs/pull/7/head", "main", "eve", true },
		    "takes no code of forks" },
		{ { .events = "tag,deploy" }, { "push", "refs/heads/main", "main", "alice", false },
		    "does not take the event push" },
		{ { .events = "tag,deploy" }, { "deploy", "refs/heads/main", "main", "admin", false }, NULL },
		{ { 0 }, { "deploy", "refs/pull/7/head", "main", "admin", false },
		    "does not take the event deploy of refs/pull/7/head" },
		{ { .events = "pull_request,deploy" }, { "deploy", "refs/pull/7/head", "main", "admin", false }, NULL },
		{ { .branches = "main" }, { "push", "refs/heads/main", "main", "alice", false }, NULL },
		{ { .branches = "main" }, { "push", "refs/heads/wip", "wip", "alice", false },
		    "does not take refs/heads/wip" },
		{ { .branches = "main" }, { "deploy", "refs/heads/wip", "wip", "admin", false },
		    "does not take refs/heads/wip" },
		/* who may push a tag but not main gets no further by it, nor the other way round */
		{ { .branches = "main" }, { "tag", "refs/tags/main", "main", "alice", false },
		    "does not take refs/tags/main" },
		{ { .tags = "v*" }, { "push", "refs/heads/v1", "v1", "alice", false }, "does not take refs/heads/v1" },
		{ { .tags = "v*" }, { "tag", "refs/tags/v1", "v1", "alice", false }, NULL },
		{ { .tags = "v* !v0*" }, { "tag", "refs/tags/v0.1", "v0.1", "alice", false },
		    "does not take refs/tags/v0.1" },
		{ { .branches = "main", .tags = "v*" }, { "tag", "refs/tags/v1", "v1", "alice", false }, NULL },
		{ { .deployers = "alice,bob" }, { "push", "refs/heads/main", "main", "bob", false }, NULL },
		{ { .deployers = "alice,bob" }, { "push", "refs/heads/main", "main", "eve", false },
		    "eve may not deploy" },
		{ { .deployers = "alice,bob" }, { "push", "refs/heads/main", "main", "", false },
		    "somebody whom the forge did not name may not" },
		{ { .deployers = "alice" }, { "deploy", "refs/heads/main", "main", "admin", false }, NULL },
		{ { .deployers = "alice" }, { "cron", "refs/heads/main", "main", NULL, false }, NULL },
		{ { .kind = "ftp" }, { "push", "refs/heads/main", "main", "alice", false }, "kind: \"ftp\" is none" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err why = ERR_OK;
		bool ok = environment_allows(&cases[i].rules, "production", &cases[i].request, &why);

		if (ok != (cases[i].why == NULL))
			fail_msg("case %zu: %s", i, why.text);
		if (!ok && strstr(why.text, cases[i].why) == NULL)
			fail_msg("%s, and not %s", why.text, cases[i].why);
	}
}

static void
test_commands(void **state)
{
	(void)state;
	assert_true(environment_command_is_valid("kubectl apply -f k8s/\nkubectl\trollout status deploy/app"));
	assert_false(environment_command_is_valid("a\001b"));
	assert_false(environment_command_is_valid("\xff"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_settings_that_are_wrong),
		cmocka_unit_test(test_what_may_be_deployed),
		cmocka_unit_test(test_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
