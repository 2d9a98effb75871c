#include "test/unit/unit.h"

#include <unistd.h>

#include "test/component/store_suite.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void
test_tokens_are_kept_by_name(void **state)
{
	(void)state;
	assert_int_equal(access_token_put(&f, "zoe", "deploy", SHA), ERR_NONE);
	assert_int_equal(access_token_put(&f, "bob", "read", SHA), ERR_NONE);
	assert_int_equal(access_token_put(&f, "bob", "develop", BODY_A), ERR_NONE); /* in the place of the first */
	assert_int_equal(access_tokens(&f), ERR_NONE);
	assert_int_equal(f.got.access_tokens.count, 2);
	assert_string_equal(f.got.access_tokens.items[0].name, "bob");
	assert_string_equal(f.got.access_tokens.items[0].role, "develop");
	assert_string_equal(f.got.access_tokens.items[0].sha256, BODY_A);
	assert_string_equal(f.got.access_tokens.items[0].created_by, "ann");
	assert_true(f.got.access_tokens.items[0].created_ms > 0);
	assert_string_equal(f.got.access_tokens.items[1].name, "zoe");
}

static void
test_a_change_is_told(void **state)
{
	(void)state;
	f.words[0] = '\0';
	assert_int_equal(access_token_put(&f, "bob", "read", SHA), ERR_NONE);
	await_word(&f, "access_tokens");
	f.words[0] = '\0';
	assert_int_equal(access_token_delete(&f, "bob"), ERR_NONE);
	await_word(&f, "access_tokens");
	assert_int_equal(access_token_delete(&f, "bob"), ERR_NOT_FOUND);
	assert_int_equal(access_tokens(&f), ERR_NONE);
	assert_int_equal(f.got.access_tokens.count, 0);
	assert_int_equal(redis_fixture_int(&server, "EXISTS davit:access_token:bob"), 0);
}

static void
test_what_is_refused(void **state)
{
	(void)state;
	assert_int_equal(access_token_put(&f, "admin", "read", SHA), ERR_INPUT); /* it is in the state folder */
	assert_int_equal(access_token_put(&f, "a b", "read", SHA), ERR_INPUT);
	assert_int_equal(access_token_put(&f, "", "read", SHA), ERR_INPUT);
	assert_int_equal(access_token_delete(&f, "../x"), ERR_NOT_FOUND);
	for (int i = 1; i <= STORE_ACCESS_TOKENS_MAX; i++)
		redis_fixture_ask(&server, "ZADD davit:access_tokens 0 t%d", i);
	assert_int_equal(access_token_put(&f, "one-more", "read", SHA), ERR_LIMIT);
	assert_int_equal(access_token_put(&f, "t7", "read", SHA), ERR_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SUITE_TEST(test_tokens_are_kept_by_name),
		SUITE_TEST(test_a_change_is_told),
		SUITE_TEST(test_what_is_refused),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, suite_start, suite_stop);
}
