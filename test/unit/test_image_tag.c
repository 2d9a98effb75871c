#include "test/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "proto/image.h"
#include "proto/image_labels.h"
#include "proto/image_tag.h"
#include "proto/mem.h"

#define COMMIT "2b6dae9f00000000000000000000000000000000"

static const struct {
	const char *form;
	struct image_tag_facts facts;
	const char *tag;
} cases[] = {
	{ "version", { .tag = "v1.2.3" }, "1.2.3" },
	{ "version", { .tag = "1.2.3" }, "1.2.3" },
	{ "version", { .tag = "v1.2.3-rc.1+a_b" }, "1.2.3-rc.1-a_b" },
	{ "version", { .tag = "v1.2" }, "" },
	{ "version", { .tag = "v1.02.3" }, "" },
	{ "version", { .tag = "v1.2.3x" }, "" },
	{ "version", { .tag = "v1.2.3-" }, "" },
	{ "version", { .tag = "v1.2.3.4" }, "" },
	{ "version", { .tag = "v" }, "" },
	{ "version", { .branch = "main" }, "" },
	{ "minor", { .tag = "v1.20.3" }, "1.20" },
	{ "minor", { .tag = "v1.20.3-rc.1" }, "" },
	{ "major", { .tag = "v0.20.3" }, "0" },
	{ "latest", { .tag = "v1.2.3" }, "latest" },
	{ "latest", { .tag = "v1.2.3-rc.1" }, "" },
	{ "latest", { .branch = "main" }, "" },
	{ "tag", { .tag = "release/2026 \xc3\xbc" }, "release-2026---" },
	{ "tag", { .tag = "-.x" }, "x" },
	{ "branch", { .branch = "feature/X_1" }, "feature-X_1" },
	{ "branch-sha", { .branch = "master", .commit = COMMIT }, "master-2b6dae9" },
	{ "branch-sha", { .branch = "--", .commit = COMMIT }, "2b6dae9" },
	{ "branch-sha", { .commit = COMMIT }, "" },
	{ "sha", { .commit = COMMIT }, "sha-2b6dae9" },
	{ "sha", { .tag = "v1" }, "" },
	{ "init", { .branch = "master", .commit = COMMIT, .first = true }, "master-init" },
	{ "init", { .branch = "master", .commit = COMMIT }, "" },
	{ "init", { .tag = "v1", .first = true }, "" },
	{ "pull", { .pull = "7" }, "pull-7" },
};

static void
test_forms(void **state)
{
	char tag[IMAGE_TAG_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(image_tag_make(cases[i].form, &cases[i].facts, tag));
		if (strcmp(tag, cases[i].tag) != 0)
			fail_msg("%s, case %zu: %s", cases[i].form, i, tag);
	}
	assert_false(image_tag_make("semver", &cases[0].facts, tag));
}

/* Whatever somebody calls a branch or a tag. */
static void
test_each_is_a_tag(void **state)
{
	char name[400], tag[IMAGE_TAG_SIZE];
	struct image_ref ref;
	char *whole;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (int c = 1; c < 256; c++) {
		const struct image_tag_facts facts = {
			.branch = name, .tag = name, .commit = COMMIT, .pull = "7", .first = true
		};

		name[c % 7] = (char)c;
		for (size_t i = 0; image_tag_form(i) != NULL; i++) {
			assert_true(image_tag_make(image_tag_form(i), &facts, tag));
			whole = xasprintf("registry:5000/app:%s", tag);
			if (tag[0] != '\0' && !image_parse(str_of(whole), &ref, NULL))
				fail_msg("%s: %s", image_tag_form(i), tag);
			free(whole);
		}
	}
}

static void
test_labels(void **state)
{
	const struct image_origin origin = { COMMIT, "https://forge.example/acme/app", "", 1000000000123 };
	struct strings labels = { 0 };

	(void)state;
	strings_add(&labels, STR("org.opencontainers.image.source=https://elsewhere.example"));
	strings_add(&labels, STR("org.opencontainers.image.revisions=2"));
	image_labels_add(&labels, &origin);
	image_labels_add(&labels, &origin);
	assert_int_equal(labels.count, 4);
	assert_string_equal(labels.items[2], "org.opencontainers.image.revision=" COMMIT);
	assert_string_equal(labels.items[3], "org.opencontainers.image.created=2001-09-09T01:46:40Z");
	strings_fini(&labels);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_each_is_a_tag),
		cmocka_unit_test(test_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
