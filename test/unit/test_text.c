/* The small nouns of proto/ that read or write short texts. */
#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/alias.h"
#include "proto/arena.h"
#include "proto/change.h"
#include "proto/link.h"
#include "proto/nearest.h"
#include "proto/units.h"
#include "proto/utf8.h"

static void
test_durations(void **state)
{
	static const char *const bad[] = { "", "1", "m", "1x", "1m1h", "1m1m", "-1s", "1.5h", " 1s", "1s ", "1h30",
		"99999999999999999999s" };
	uint64_t n = 0;

	(void)state;
	assert_true(units_duration(STR("90s"), 1000, &n) && n == 90);
	assert_true(units_duration(STR("1h30m"), 100000, &n) && n == 5400);
	assert_true(units_duration(STR("1d2h3m4s"), 100000, &n) && n == 93784);
	assert_true(units_duration(STR("0s"), 0, &n) && n == 0);
	assert_true(units_duration(STR("60m"), 3600, &n) && n == 3600);
	assert_false(units_duration(STR("60m1s"), 3600, &n));
	assert_false(units_duration(STR("61m"), 3600, &n));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(units_duration(str_of(bad[i]), UINT64_MAX, &n));
}

static void
test_sizes(void **state)
{
	static const char *const bad[] = { "", "k", "1kb", "1.5g", "-1", "1 k", "1p", "16777216t" };
	uint64_t n = 0;

	(void)state;
	assert_true(units_size(STR("0"), 0, &n) && n == 0);
	assert_true(units_size(STR("4096"), 4096, &n) && n == 4096);
	assert_true(units_size(STR("64k"), 65536, &n) && n == 65536);
	assert_true(units_size(STR("26M"), UINT64_MAX, &n) && n == 26 << 20);
	assert_true(units_size(STR("2g"), UINT64_MAX, &n) && n == 2ull << 30);
	assert_true(units_size(STR("3T"), UINT64_MAX, &n) && n == 3ull << 40);
	assert_false(units_size(STR("65k"), 65536, &n));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(units_size(str_of(bad[i]), UINT64_MAX, &n));
}

static void
test_utf8(void **state)
{
	static const struct {
		struct str text;
		size_t bad;
	} cases[] = {
		{ STR("a\x80"), 1 },            /* a continuation alone */
		{ STR("\xc0\xaf"), 0 },         /* overlong */
		{ STR("\xe0\x80\xaf"), 0 },     /* overlong */
		{ STR("\xf0\x80\x80\xaf"), 0 }, /* overlong */
		{ STR("ab\xed\xa0\x80"), 2 },   /* surrogate */
		{ STR("\xf4\x90\x80\x80"), 0 }, /* above U+10FFFF */
		{ STR("\xf8\x88\x80\x80\x80"), 0 },
		{ STR("ü\xe4\xb8"), 2 }, /* cut */
		{ STR("\xe4\xb8x"), 0 },
	};
	size_t bad, len;

	(void)state;
	assert_true(utf8_valid(STR(""), NULL));
	assert_true(utf8_valid(STR("aü中\xf4\x8f\xbf\xbf\0z"), NULL));
	assert_int_equal(utf8_decode(STR("中x"), &len), 0x4e2d);
	assert_int_equal(len, 3);
	assert_int_equal(utf8_decode(STR("\xf0\x9f\x9a\xa2"), &len), 0x1f6a2);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_false(utf8_valid(cases[i].text, &bad));
		assert_int_equal(bad, cases[i].bad);
	}
}

static const char *
nearest_of(const char *word)
{
	static const char *const known[] = { "image", "services", "env", "script", "before_script", "on_success" };
	struct nearest near = nearest_to(word);

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		nearest_offer(&near, known[i]);
	return near.best;
}

static void
test_nearest(void **state)
{
	struct nearest near = nearest_to("imgae");
	char hint[100];

	(void)state;
	assert_string_equal(nearest_of("service"), "services");
	assert_string_equal(nearest_of("imgae"), "image");
	assert_string_equal(nearest_of("scirpt"), "script");
	assert_string_equal(nearest_of("beforescript"), "before_script");
	assert_null(nearest_of("enviroment"));
	assert_null(nearest_of("volumes"));
	assert_null(nearest_of(""));
	assert_null(nearest_of("x"));
	assert_null(nearest_of("a_word_that_is_far_longer_than_any_known_key_of_ours"));
	assert_string_equal(nearest_hint(&near, hint), "");
	nearest_offer(&near, "image");
	assert_string_equal(nearest_hint(&near, hint), "; did you mean \"image\"?");
}

static void
expect_alias(const char *pattern, const char *to, const char *image, const char *expected)
{
	char *got = alias_apply(pattern, to, image);

	if (expected == NULL)
		assert_null(got);
	else
		assert_string_equal(got, expected);
	free(got);
}

static void
test_aliases_of_images(void **state)
{
	(void)state;
	expect_alias("daocloud/ci-golang:*", "golang:*", "daocloud/ci-golang:1.4", "golang:1.4");
	expect_alias("daocloud/ci-golang:*", "golang:*", "daocloud/ci-golang", NULL);
	expect_alias("daocloud/ci-golang:*", "golang:1", "daocloud/ci-golang:1.4", "golang:1");
	expect_alias("python2.7", "python:2.7", "python2.7", "python:2.7");
	expect_alias("python2.7", "python:2.7", "python2.7.1", NULL);
	expect_alias("*/a", "mirror/*/a:1", "x/y/a", "mirror/x/y/a:1");
	expect_alias("*", "mirror.example/*", "busybox", "mirror.example/busybox");
	expect_alias("ab*ba", "*", "aba", NULL);
	expect_alias("ab*ba", "[*]", "abba", "[]");
}

static void
test_links(void **state)
{
	static const char *const expected[][2] = {
		{ "MY_DB_2_PORT", "tcp://10.0.0.5:3306" },
		{ "MY_DB_2_PORT_3306_TCP", "tcp://10.0.0.5:3306" },
		{ "MY_DB_2_PORT_3306_TCP_ADDR", "10.0.0.5" },
		{ "MY_DB_2_PORT_3306_TCP_PORT", "3306" },
		{ "MY_DB_2_PORT_3306_TCP_PROTO", "tcp" },
	};
	struct env env = { 0 };

	(void)state;
	link_env(&env, "queue", "10.0.0.6", 0);
	assert_int_equal(env.count, 0);
	link_env(&env, "my-db.2", "10.0.0.5", 3306);
	assert_int_equal(env.count, 5);
	for (size_t i = 0; i < env.count; i++) {
		assert_string_equal(env.vars[i].name, expected[i][0]);
		assert_string_equal(env.vars[i].value, expected[i][1]);
	}
	env_fini(&env);
}

static void
test_arena(void **state)
{
	struct arena arena = { 0 };
	char *big, *last = NULL;

	(void)state;
	big = arena_alloc(&arena, 100000);
	memset(big, 'x', 100000);
	for (int i = 0; i < 10000; i++) {
		last = arena_str(&arena, STR("text"));
		assert_int_equal((uintptr_t)last % _Alignof(max_align_t), 0);
	}
	assert_string_equal(last, "text");
	assert_string_equal(arena_str(&arena, STR("")), "");
	arena_fini(&arena);
	assert_null(arena.blocks);
	arena_fini(&arena);
}

static void
test_event_names(void **state)
{
	enum change_event event;

	(void)state;
	for (int i = CHANGE_PUSH; i <= CHANGE_API; i++) {
		assert_true(change_event_from_name(change_event_name((enum change_event)i), &event));
		assert_int_equal(event, i);
	}
	assert_false(change_event_from_name("pull", &event));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_aliases_of_images),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_event_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
