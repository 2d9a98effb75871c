#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/params.h"
#include "proto/trigger.h"

static struct change
change(enum change_event event, const char *branch, enum change_trust trust)
{
	return (struct change){ .event = event, .trust = trust, .branch = (char *)branch };
}

static void
test_wants(void **state)
{
	static const struct {
		struct trigger trigger;
		enum change_event event;
		const char *branch;
		enum change_trust trust;
		const char *why; /* NULL: it is built */
	} cases[] = {
		{ { 0 }, CHANGE_PUSH, "main", CHANGE_TRUSTED, NULL },
		{ { 0 }, CHANGE_TAG, "v1", CHANGE_TRUSTED, NULL },
		{ { 0 }, CHANGE_PULL_REQUEST, "main", CHANGE_FORK, NULL },
		{ { .events = "push, tag" }, CHANGE_PULL_REQUEST, "main", CHANGE_TRUSTED, "the event pull_request" },
		{ { .events = "push,tag" }, CHANGE_TAG, "v1", CHANGE_TRUSTED, NULL },
		{ { .events = "tag" }, CHANGE_MANUAL, "main", CHANGE_TRUSTED, NULL },
		{ { .events = "tag" }, CHANGE_CRON, "main", CHANGE_TRUSTED, NULL },
		{ { .events = "tag" }, CHANGE_API, "main", CHANGE_TRUSTED, NULL },
		{ { .branches = "main release/*" }, CHANGE_PUSH, "release/1.2", CHANGE_TRUSTED, NULL },
		{ { .branches = "main release/*" }, CHANGE_PUSH, "wip", CHANGE_TRUSTED, "the branch wip" },
		{ { .branches = "main" }, CHANGE_TAG, "v1", CHANGE_TRUSTED, NULL },
		{ { .branches = "main" }, CHANGE_PULL_REQUEST, "next", CHANGE_TRUSTED, "the branch next" },
		{ { .branches = "!wip/*" }, CHANGE_PUSH, "wip/x", CHANGE_TRUSTED, "the branch wip/x" },
		{ { .branches = "!wip/*" }, CHANGE_PUSH, "main", CHANGE_TRUSTED, NULL },
		{ { .tags = "^v\\d+$" }, CHANGE_TAG, "v12", CHANGE_TRUSTED, NULL },
		{ { .tags = "^v\\d+$" }, CHANGE_TAG, "v12-rc", CHANGE_TRUSTED, "the tag v12-rc" },
		{ { .forks = "never" }, CHANGE_PULL_REQUEST, "main", CHANGE_FORK, "pull requests of forks" },
		{ { .forks = "never" }, CHANGE_PULL_REQUEST, "main", CHANGE_TRUSTED, NULL },
		{ { .forks = "approve" }, CHANGE_PULL_REQUEST, "main", CHANGE_FORK, NULL },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct change c = change(cases[i].event, cases[i].branch, cases[i].trust);
		bool wants = trigger_wants(&cases[i].trigger, &c, &err);

		if (wants != (cases[i].why == NULL) || (!wants && strstr(err.text, cases[i].why) == NULL))
			fail_msg("case %zu: %s", i, wants ? "wanted" : err.text);
	}
}

static void
test_merges(void **state)
{
	const struct trigger merge = { .pulls = "merge" }, head = { .pulls = "head" }, none = { 0 };
	struct change pull = change(CHANGE_PULL_REQUEST, "main", CHANGE_FORK);
	struct change push = change(CHANGE_PUSH, "main", CHANGE_TRUSTED);

	(void)state;
	assert_true(trigger_merges(&merge, &pull));
	assert_false(trigger_merges(&merge, &push));
	assert_false(trigger_merges(&head, &pull));
	assert_false(trigger_merges(&none, &pull));
}

static void
test_settings_are_checked(void **state)
{
	static const struct {
		struct trigger trigger;
		const char *why;
	} cases[] = {
		{ { 0 }, NULL },
		{ { "push,tag,pull_request", "main, x/*", "v*", "merge", "allow" }, NULL },
		{ { .events = "push,cron" }, "events: \"cron\"" },
		{ { .branches = "[" }, "branches: \"[\"" },
		{ { .tags = "v* [a" }, "tags: \"[a\"" },
		{ { .pulls = "rebase" }, "pulls: \"rebase\" is none of head, merge" },
		{ { .forks = "yes" }, "forks: \"yes\" is none of approve, allow, never" },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool ok = trigger_check(&cases[i].trigger, &err);

		if (ok != (cases[i].why == NULL) || (!ok && strstr(err.text, cases[i].why) == NULL))
			fail_msg("case %zu: %s", i, ok ? "taken" : err.text);
	}
}

static bool
read_params(const char *json, char **ret, struct err *err)
{
	struct json *doc = NULL;
	bool ok;

	assert_true(json_parse(str_of(json), NULL, &doc, err));
	ok = params_read(json_root(doc), ret, err);
	json_free(&doc);
	return ok;
}

static void
test_params(void **state)
{
	char *text;
	struct env env;
	struct err err;

	(void)state;
	assert_true(read_params("null", &text, &err));
	assert_null(text);
	assert_true(read_params("{}", &text, &err));
	assert_null(text);
	assert_true(read_params("{\"A\": \"x \\\"y\\\"\\n\", \"b_2\": 7, \"C\": true, \"D\": 1.5}", &text, &err));
	assert_string_equal(text, "{\"A\":\"x \\\"y\\\"\\n\",\"b_2\":\"7\",\"C\":\"true\",\"D\":\"1.5\"}");
	params_env(text, &env);
	assert_int_equal(env.count, 4);
	assert_string_equal(env.vars[0].value, "x \"y\"\n");
	assert_string_equal(env.vars[1].name, "b_2");
	env_fini(&env);
	free(text);
	params_env(NULL, &env);
	assert_int_equal(env.count, 0);
	params_env("nonsense", &env);
	assert_int_equal(env.count, 0);
}

static void
test_params_refused(void **state)
{
	static const char *const cases[] = { "[]", "\"A=1\"", "{\"\": \"x\"}", "{\"2A\": \"x\"}", "{\"A-B\": \"x\"}",
		"{\"A\": null}", "{\"A\": []}", "{\"A\": {}}", "{\"A\": \"\\u0007\"}", "{\"A\\nB\": \"x\"}" };
	char *text;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_false(read_params(cases[i], &text, &err));
		assert_null(text);
		assert_memory_equal(err.text, "parameters", 10);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wants),
		cmocka_unit_test(test_merges),
		cmocka_unit_test(test_settings_are_checked),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_params_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
