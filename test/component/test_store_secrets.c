#include "test/unit/unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "test/component/store_suite.h"

static enum err_code
put(const char *scope, const char *owner, const char *name, const char *value)
{
	const struct secret secret = {
		.scope = (char *)scope,
		.owner = (char *)owner,
		.name = (char *)name,
		.value = (char *)value,
		.events = (char[]){ "push,tag" },
		.branches = (char[]){ "main" },
	};

	return secret_put(&f, &secret);
}

static const char *
found(size_t i)
{
	return f.got.secrets.items[i].value;
}

static const struct store_secret_owners everywhere = {
	{ [SECRET_ENVIRONMENT] = "app/production", [SECRET_REPO] = "app", [SECRET_ORG] = "acme" }
};

static void
test_values_are_sealed_in_redis_and_clear_for_jobs(void **state)
{
	const char *names[] = { "TOKEN" };

	(void)state;
	assert_int_equal(put("repo", "app", "TOKEN", "clear canary"), ERR_NONE);
	assert_int_equal(strncmp(redis_fixture_text(&server, "HGET davit:secret:repo:app:TOKEN value"), "v1:", 3), 0);
	assert_int_equal(secret_find(&f, &everywhere, names, 1), ERR_NONE);
	assert_string_equal(found(0), "clear canary");
	assert_string_equal(f.got.secrets.items[0].events, "push,tag");
	assert_string_equal(f.got.secrets.items[0].branches, "main");
	assert_true(f.got.secrets.items[0].created_ms > 0);
}

static void
test_the_nearest_one_counts(void **state)
{
	static char repo[] = "app", name[] = "production";
	const struct environment production = { .repo = repo, .name = name };
	const char *names[] = { "A", "B", "C", "D" };
	const struct store_secret_owners without = { { [SECRET_REPO] = "app", [SECRET_ORG] = "acme" } };

	(void)state;
	assert_int_equal(put("org", "acme", "A", "org's a"), ERR_NONE);
	assert_int_equal(put("org", "acme", "B", "org's b"), ERR_NONE);
	assert_int_equal(put("org", "acme", "C", "org's c"), ERR_NONE);
	assert_int_equal(put("repo", "app", "B", "repo's b"), ERR_NONE);
	assert_int_equal(put("repo", "app", "C", "repo's c"), ERR_NONE);
	assert_int_equal(put("environment", "app/production", "C", "production's c"), ERR_NOT_FOUND);
	assert_int_equal(environment_put(&f, &production, true), ERR_NONE);
	assert_int_equal(put("environment", "app/production", "C", "production's c"), ERR_NONE);
	assert_int_equal(secret_find(&f, &everywhere, names, 4), ERR_NONE);
	assert_int_equal(f.got.secrets.count, 4);
	assert_string_equal(found(0), "org's a");
	assert_string_equal(found(1), "repo's b");
	assert_string_equal(found(2), "production's c");
	assert_string_equal(f.got.secrets.items[3].name, "");
	assert_int_equal(secret_find(&f, &without, names, 4), ERR_NONE);
	assert_string_equal(found(2), "repo's c");
	assert_int_equal(environment_delete(&f, "app", "production"), ERR_NONE); /* its secrets go with it */
	assert_int_equal(environment_put(&f, &production, true), ERR_NONE);
	assert_int_equal(secret_find(&f, &everywhere, names, 4), ERR_NONE);
	assert_string_equal(found(2), "repo's c");
}

static void
test_a_value_in_another_place_does_not_open(void **state)
{
	const char *names[] = { "A" };

	(void)state;
	assert_int_equal(put("org", "other", "A", "not for acme"), ERR_NONE);
	assert_int_equal(put("org", "acme", "A", "for acme"), ERR_NONE);
	redis_fixture_ask(&server, "HSET davit:secret:org:acme:A value %s",
	    redis_fixture_text(&server, "HGET davit:secret:org:other:A value"));
	assert_int_equal(secret_find(&f, &everywhere, names, 1), ERR_AUTH);
	assert_int_equal(f.got.secrets.count, 0);
}

static void
test_list_has_no_values(void **state)
{
	(void)state;
	assert_int_equal(put("repo", "app", "B", "bbbb"), ERR_NONE);
	assert_int_equal(put("repo", "app", "A", "aaaa"), ERR_NONE);
	assert_int_equal(put("org", "app", "A", "aaaa"), ERR_NONE);
	assert_int_equal(put("org", "app-2", "A", "aaaa"), ERR_NONE);
	assert_int_equal(secret_list(&f, SECRET_REPO, "app"), ERR_NONE);
	assert_int_equal(f.got.secrets.count, 2);
	assert_string_equal(f.got.secrets.items[0].name, "A");
	assert_string_equal(f.got.secrets.items[1].name, "B");
	assert_string_equal(found(0), "");
	assert_int_equal(secret_list(&f, SECRET_ORG, "app"), ERR_NONE);
	assert_int_equal(f.got.secrets.count, 1);
	assert_int_equal(secret_list(&f, SECRET_ORG, NULL), ERR_NONE);
	assert_int_equal(f.got.secrets.count, 4);
}

static void
test_put_replaces_value_and_rules(void **state)
{
	const char *names[] = { "A" };
	const struct secret bare = { .scope = (char[]){ "repo" },
		.owner = (char[]){ "app" },
		.name = (char[]){ "A" },
		.value = (char[]){ "second" },
		.events = (char[]){ "" },
		.branches = (char[]){ "" } };

	(void)state;
	assert_int_equal(put("repo", "app", "A", "first"), ERR_NONE);
	assert_int_equal(secret_put(&f, &bare), ERR_NONE);
	assert_int_equal(secret_find(&f, &everywhere, names, 1), ERR_NONE);
	assert_string_equal(found(0), "second");
	assert_string_equal(f.got.secrets.items[0].events, "");
	assert_string_equal(f.got.secrets.items[0].branches, "");
}

static void
test_what_is_refused(void **state)
{
	(void)state;
	assert_int_equal(put("repo", "none", "A", "aaaa"), ERR_NOT_FOUND);
	assert_int_equal(put("planet", "app", "A", "aaaa"), ERR_INPUT);
	assert_int_equal(put("repo", "a:b", "A", "aaaa"), ERR_INPUT);
	assert_int_equal(put("repo", "app", "A B", "aaaa"), ERR_INPUT);
	assert_int_equal(put("repo", "app", "A", "aaa"), ERR_INPUT);
	assert_int_equal(secret_delete(&f, SECRET_REPO, "app", "A"), ERR_NOT_FOUND);
	assert_int_equal(secret_delete(&f, SECRET_REPO, "app", "*"), ERR_NOT_FOUND);
	assert_int_equal(secret_list(&f, SECRET_REPO, "a*"), ERR_NOT_FOUND);
	assert_int_equal(secret_list(&f, SECRET_REPO, NULL), ERR_NONE);
	assert_int_equal(f.got.secrets.count, 0);
}

static void
test_secrets_go_with_their_repository(void **state)
{
	(void)state;
	assert_int_equal(put("repo", "app", "A", "aaaa"), ERR_NONE);
	assert_int_equal(put("org", "acme", "A", "aaaa"), ERR_NONE);
	assert_int_equal(repo_delete(&f, "app"), ERR_NONE);
	assert_int_equal(put_repo(&f, "app", 0, false), ERR_NONE);
	assert_int_equal(secret_list(&f, SECRET_REPO, NULL), ERR_NONE);
	assert_int_equal(f.got.secrets.count, 1);
	assert_string_equal(f.got.secrets.items[0].scope, "org");
}

/* --- another key --- */

static const unsigned char first_key[SEAL_KEY_SIZE] = "the key of the store fixture";
static const unsigned char second_key[SEAL_KEY_SIZE] = "another key";

static void
test_all_is_sealed_anew(void **state)
{
	const char *names[] = { "A", "B" };
	char *before;

	(void)state;
	store_set_seal_keys(f.store, first_key, NULL);
	assert_int_equal(put_repo(&f, "app", 0, false), ERR_NONE);
	assert_int_equal(put("repo", "app", "A", "aaaa"), ERR_NONE);
	store_set_seal_keys(f.store, second_key, first_key);
	assert_int_equal(put("org", "acme", "B", "sealed with the second"), ERR_NONE);
	before = strdup(redis_fixture_text(&server, "HGET davit:secret:org:acme:B value"));
	assert_int_equal(secret_find(&f, &everywhere, names, 2), ERR_NONE); /* while both are known */
	assert_int_equal(reseal(&f), ERR_NONE);
	assert_int_equal(f.got.number, 3); /* webhook secret, token, A */
	assert_string_equal(redis_fixture_text(&server, "HGET davit:secret:org:acme:B value"), before);
	free(before);
	assert_int_equal(reseal(&f), ERR_NONE);
	assert_int_equal(f.got.number, 0);
	store_set_seal_keys(f.store, second_key, NULL);
	assert_int_equal(secret_find(&f, &everywhere, names, 2), ERR_NONE);
	assert_string_equal(found(0), "aaaa");
	assert_int_equal(repo_get(&f, "app"), ERR_NONE);
	assert_string_equal(f.got.repo->token, "forge token");
	store_set_seal_keys(f.store, first_key, NULL);
	assert_int_equal(secret_find(&f, &everywhere, names, 2), ERR_AUTH);
}

static void
test_what_neither_key_opens_is_said_and_left(void **state)
{
	(void)state;
	store_set_seal_keys(f.store, first_key, NULL);
	assert_int_equal(put_repo(&f, "app", 0, false), ERR_NONE);
	assert_int_equal(put("repo", "app", "A", "aaaa"), ERR_NONE);
	assert_int_equal(put("repo", "app", "B", "bbbb"), ERR_NONE);
	redis_fixture_ask(
	    &server, "HSET davit:secret:repo:app:A value v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	store_set_seal_keys(f.store, second_key, first_key);
	assert_int_equal(reseal(&f), ERR_NONE);
	assert_int_equal(f.got.count, 1);
	assert_int_equal(f.got.number, 3); /* the others are sealed anew */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SUITE_TEST(test_values_are_sealed_in_redis_and_clear_for_jobs),
		SUITE_TEST(test_the_nearest_one_counts),
		SUITE_TEST(test_a_value_in_another_place_does_not_open),
		SUITE_TEST(test_list_has_no_values),
		SUITE_TEST(test_put_replaces_value_and_rules),
		SUITE_TEST(test_what_is_refused),
		SUITE_TEST(test_secrets_go_with_their_repository),
		SUITE_TEST(test_all_is_sealed_anew),
		SUITE_TEST(test_what_neither_key_opens_is_said_and_left),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, suite_start, suite_stop);
}
