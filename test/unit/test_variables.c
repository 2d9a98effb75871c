#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/mem.h"
#include "proto/script.h"
#include "proto/variables.h"

#define COMMIT "2b6dae9f00000000000000000000000000000000"
#define MERGE "3b6dae9f00000000000000000000000000000000"

static const char *
value_of(const struct env *env, const char *name)
{
	for (size_t i = 0; i < env->count; i++)
		if (strcmp(env->vars[i].name, name) == 0)
			return env->vars[i].value;
	return NULL;
}

/* value NULL: it must not be set. */
static void
expect(const struct env *env, const char *name, const char *value)
{
	const char *got = value_of(env, name);

	if ((got == NULL) != (value == NULL) || (got != NULL && strcmp(got, value) != 0))
		fail_msg("%s is %s, not %s", name, got != NULL ? got : "not set", value != NULL ? value : "unset");
}

static const struct variables push = {
	.server = "https://ci.example.org",
	.build = 17,
	.job = "17.2",
	.attempt = 1,
	.job_name = "test (go=1.22)",
	.workspace = "/workspace",
	.event = "push",
	.repo = "Acme/Boat",
	.url = "https://github.com/Acme/Boat.git",
	.ref = "refs/heads/feature/X_1",
	.branch = "feature/X_1",
	.commit = COMMIT,
	.message = "Paint\n\nred",
	.title = "Paint",
	.author_name = "Ann",
	.author_email = "ann@example.org",
};

static void
test_push(void **state)
{
	struct env env = { 0 };

	(void)state;
	variables_add(&push, &env);
	expect(&env, "CI", "true");
	expect(&env, "BUILD_NUMBER", "17");
	expect(&env, "BUILD_URL", "https://ci.example.org/builds/17");
	expect(&env, "CI_JOB_ID", "17.2");
	expect(&env, "DAVIT_JOB_NAME", "test (go=1.22)");
	expect(&env, "CI_PIPELINE_SOURCE", "push");
	expect(&env, "CI_PROJECT_NAMESPACE", "Acme");
	expect(&env, "CI_PROJECT_NAME", "Boat");
	expect(&env, "CI_PROJECT_PATH_SLUG", "acme-boat");
	expect(&env, "GIT_BRANCH", "feature/X_1");
	expect(&env, "CI_COMMIT_BRANCH", "feature/X_1");
	expect(&env, "CI_COMMIT_REF_SLUG", "feature-x-1");
	expect(&env, "CI_COMMIT_SHORT_SHA", "2b6dae9");
	expect(&env, "GIT_COMMIT", COMMIT);
	expect(&env, "CI_COMMIT_AUTHOR", "Ann <ann@example.org>");
	expect(&env, "CI_COMMIT_MESSAGE", "Paint\n\nred");
	expect(&env, "CI_PROJECT_DIR", "/workspace");
	expect(&env, "CI_COMMIT_TAG", NULL);
	expect(&env, "CI_PULL_REQUEST", NULL);
	expect(&env, "DAVIT_TARGET_BRANCH", NULL);
	expect(&env, "DAVIT_BEFORE", NULL);
	expect(&env, "GITLAB_CI", NULL);
	env_fini(&env);
}

static void
test_tag(void **state)
{
	struct variables v = push;
	struct env env = { 0 };

	(void)state;
	v.event = "tag";
	v.ref = "refs/tags/v1.2";
	v.branch = "v1.2";
	variables_add(&v, &env);
	expect(&env, "DAVIT_TAG", "v1.2");
	expect(&env, "CI_COMMIT_REF_NAME", "v1.2");
	expect(&env, "CI_COMMIT_REF_SLUG", "v1-2");
	expect(&env, "DAVIT_BRANCH", NULL);
	expect(&env, "CI_PIPELINE_SOURCE", "push");
	env_fini(&env);
}

static void
test_pull_request(void **state)
{
	struct variables v = push;
	struct env env = { 0 };

	(void)state;
	v.event = "pull_request";
	v.ref = "refs/pull/7/head";
	v.branch = "main";
	v.merge = MERGE;
	v.pull_number = 7;
	variables_add(&v, &env);
	expect(&env, "CI_MERGE_REQUEST_IID", "7");
	expect(&env, "CHANGE_TARGET", "main");
	expect(&env, "BRANCH_NAME", "pull/7/head");
	expect(&env, "DAVIT_BRANCH", NULL);
	expect(&env, "CI_COMMIT_SHA", COMMIT);
	expect(&env, "GIT_COMMIT", MERGE);
	expect(&env, "CI_PIPELINE_SOURCE", "merge_request_event");
	env_fini(&env);
}

static void
test_what_is_not_known_is_not_set(void **state)
{
	struct variables v = { .url = "https://user:secret@example.org/a.git", .repo = "boat", .author_name = "Ann" };
	struct env env = { 0 };

	(void)state;
	variables_add(&v, &env);
	expect(&env, "CI", "true");
	expect(&env, "GIT_URL", NULL);
	expect(&env, "BUILD_NUMBER", NULL);
	expect(&env, "CI_PROJECT_NAME", "boat");
	expect(&env, "CI_PROJECT_NAMESPACE", NULL);
	expect(&env, "CI_COMMIT_AUTHOR", "Ann");
	expect(&env, "CI_COMMIT_SHORT_SHA", NULL);
	env_fini(&env);
}

/* Every name is one that a shell can set, stands once, and has its place in the manual. */
static void
test_names(void **state)
{
	const char *dir = getenv("srcdir"), *name;
	char *path = xasprintf("%s/doc/variables.md", dir != NULL ? dir : "."), *text = xcalloc(1, 1 << 16);
	FILE *file = fopen(path, "r");

	(void)state;
	assert_non_null(file);
	assert_true(fread(text, 1, (1 << 16) - 1, file) > 0);
	fclose(file);
	for (size_t i = 0; (name = variables_name(i)) != NULL; i++) {
		char *quoted = xasprintf("`%s`", name);

		assert_true(script_may_set(name));
		if (strstr(text, quoted) == NULL)
			fail_msg("doc/variables.md lacks %s", name);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(variables_name(k), name);
		free(quoted);
	}
	free(text);
	free(path);
}

/* The very image: in a deployment the one that is deployed. */
static void
test_image(void **state)
{
	struct variables v = push;
	struct env env = { 0 };

	(void)state;
	v.built.reference = STR("registry:5000/app@sha256:12");
	variables_add(&v, &env);
	expect(&env, "DAVIT_IMAGE", "registry:5000/app@sha256:12");
	expect(&env, "DAVIT_IMAGE_DIGEST", "sha256:12");
	env_fini(&env);
	variables_add(&push, &env);
	expect(&env, "DAVIT_IMAGE", NULL);
	expect(&env, "DAVIT_IMAGE_DIGEST", NULL);
	env_fini(&env);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_push),
		cmocka_unit_test(test_image),
		cmocka_unit_test(test_tag),
		cmocka_unit_test(test_pull_request),
		cmocka_unit_test(test_what_is_not_known_is_not_set),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
