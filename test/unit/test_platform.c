#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/platform.h"

static void
test_each_has_one_spelling(void **state)
{
	static const char *const cases[][2] = {
		{ "linux/amd64", "linux/amd64" },
		{ "linux/amd64/v1", "linux/amd64" },
		{ "linux/arm64/v8", "linux/arm64" },
		{ "linux/arm", "linux/arm/v7" },
		{ "linux/arm/v6", "linux/arm/v6" },
		{ "linux/386", "linux/386" },
		{ "linux/riscv64", "linux/riscv64" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct platform platform;
		struct err err = { 0 };

		if (!platform_parse(str_of(cases[i][0]), &platform, &err) || strcmp(platform.text, cases[i][1]) != 0)
			fail_msg("%s: %s", cases[i][0], err.text);
	}
}

static void
test_what_is_none(void **state)
{
	static const char *const cases[][2] = {
		{ "linux/amd46", "did you mean \"linux/amd64\"?" },
		{ "linux/x86_64", "write linux/amd64" },
		{ "aarch64", "write linux/arm64" },
		{ "amd64", "\"amd64\" is no platform, such as linux/amd64" },
		{ "windows/amd64", "\"windows/amd64\" is no platform" },
		{ "linux/arm/v9", "\"linux/arm/v9\" is no platform" },
		{ "linux/arm/v7/x", "is no platform" },
		{ "linux/", "is no platform" },
		{ "", "is no platform" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct platform platform;
		struct err err = { 0 };

		if (platform_parse(str_of(cases[i][0]), &platform, &err) || err.code != ERR_INPUT ||
		    strstr(err.text, cases[i][1]) == NULL)
			fail_msg("%s: %s", cases[i][0], err.text);
	}
}

static void
test_tags(void **state)
{
	struct platform arm;
	char name[200];
	char *tag;

	(void)state;
	assert_true(platform_of("linux", "arm", "", &arm));
	tag = platform_tag("r.example:5000/app:1.2", &arm);
	assert_string_equal(tag, "r.example:5000/app:1.2-linux-arm-v7");
	free(tag);
	tag = platform_tag("app", &arm);
	assert_string_equal(tag, "docker.io/library/app:latest-linux-arm-v7");
	free(tag);
	assert_null(platform_tag("r.example/app:", &arm));
	memset(name, 'a', sizeof(name));
	memcpy(name, "app:", 4);
	name[4 + 120] = '\0';
	assert_null(platform_tag(name, &arm)); /* no room behind it */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_has_one_spelling),
		cmocka_unit_test(test_what_is_none),
		cmocka_unit_test(test_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
