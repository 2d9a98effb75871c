#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/image.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct {
	const char *written;
	const char *whole;
} names[] = {
	{ "alpine", "docker.io/library/alpine:latest" },
	{ "alpine:3.19", "docker.io/library/alpine:3.19" },
	{ "daocloud/ci-golang", "docker.io/daocloud/ci-golang:latest" },
	{ "docker.io/alpine", "docker.io/library/alpine:latest" },
	{ "index.docker.io/a/b:c", "docker.io/a/b:c" },
	{ "evil.io/library/alpine", "evil.io/library/alpine:latest" },
	{ "localhost/x", "localhost/x:latest" },
	{ "registry:5000/x:v1.0-rc_1", "registry:5000/x:v1.0-rc_1" },
	{ "[::1]:5000/x", "[::1]:5000/x:latest" },
	{ "[fe80::1]/x", "[fe80::1]/x:latest" },
	{ "Registry/x", "Registry/x:latest" },
	{ "registry:5000", "docker.io/library/registry:5000" },
	{ "a/b/c/d", "docker.io/a/b/c/d:latest" },
	{ "x/a--b__c.d_e/f", "docker.io/x/a--b__c.d_e/f:latest" },
	{ "x@sha256:" HEX64, "docker.io/library/x@sha256:" HEX64 },
	{ "x:1@sha256:" HEX64, "docker.io/library/x:1@sha256:" HEX64 },
	{ "x@sha512:" HEX64 HEX64, "docker.io/library/x@sha512:" HEX64 HEX64 },
};

static const char *const refused[] = {
	"",
	" ",
	"Alpine",
	"alpine ",
	"alpine:",
	"alpine:-x",
	"alpine:.x",
	"alpine:a b",
	":tag",
	"/x",
	"x/",
	"a//b",
	"-x",
	"x-",
	"a..b",
	"a___b",
	"a._b",
	"../x",
	"registry.example/",
	"registry.example./x",
	"-registry.example/x",
	"reg_istry.example/x",
	"registry:/x",
	"registry:65536/x",
	"registry:port/x",
	"[::1/x",
	"[]:5/x",
	"[::1]5/x",
	"x@",
	"@sha256:" HEX64,
	"x@sha256:12",
	"x@sha256:" HEX64 "0",
	"x@md5:" HEX64,
	"x@SHA256:" HEX64,
	HEX64,
	"alp\xc4\xb1ne",
	"x\n",
	"x\"; rm",
};

static void
test_names_are_made_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct image_ref ref;
		struct err err;
		char *whole;

		if (!image_parse(str_of(names[i].written), &ref, &err))
			fail_msg("%s: %s", names[i].written, err.text);
		whole = image_print(&ref);
		assert_string_equal(whole, names[i].whole);
		free(whole);
	}
}

static void
test_the_whole_name_stays_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct image_ref ref;
		char *whole;

		assert_true(image_parse(str_of(names[i].whole), &ref, NULL));
		whole = image_print(&ref);
		assert_string_equal(whole, names[i].whole);
		free(whole);
	}
}

static void
test_malformed_names_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct image_ref ref;
		struct err err;

		if (image_parse(str_of(refused[i]), &ref, &err))
			fail_msg("\"%s\" was taken", refused[i]);
		assert_int_equal(err.code, ERR_INPUT);
		for (const char *p = err.text; *p != '\0'; p++)
			assert_in_range((unsigned char)*p, 0x20, 0x7e);
	}
}

static void
test_nul_inside_is_refused(void **state)
{
	struct image_ref ref;

	(void)state;
	assert_false(image_parse(STR("alpine\0x"), &ref, NULL));
	assert_false(image_parse(STR("alpine:1\0"), &ref, NULL));
}

static void
test_length_has_a_limit(void **state)
{
	struct image_ref ref;
	char name[400];

	(void)state;
	memset(name, 'a', sizeof(name));
	/* "docker.io/" and "library/" count */
	assert_true(image_parse((struct str){ name, IMAGE_NAME_MAX - 18 }, &ref, NULL));
	assert_false(image_parse((struct str){ name, IMAGE_NAME_MAX - 17 }, &ref, NULL));
	assert_false(image_parse((struct str){ name, sizeof(name) }, &ref, NULL));
	name[1] = ':';
	assert_true(image_parse((struct str){ name, 2 + 128 }, &ref, NULL));
	assert_false(image_parse((struct str){ name, 2 + 129 }, &ref, NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_made_whole),
		cmocka_unit_test(test_the_whole_name_stays_the_same),
		cmocka_unit_test(test_malformed_names_are_refused),
		cmocka_unit_test(test_nul_inside_is_refused),
		cmocka_unit_test(test_length_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
