/* Other systems' files: each fixture SYSTEM-NAME.yml becomes SYSTEM-NAME.out, with the notes SYSTEM-NAME.notes. */
#include "test/unit/unit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/convert.h"
#include "proto/mem.h"
#include "proto/pipeline.h"

static const char *folder;

/* The whole file; "" when there is none. free() it. */
static char *
read_whole(const char *name)
{
	char *path = xasprintf("%s/%s", folder, name), *text = xcalloc(1, 1 << 16);
	FILE *file = fopen(path, "r");

	if (file != NULL) {
		assert_true(fread(text, 1, (1 << 16) - 1, file) < (1 << 16) - 1);
		fclose(file);
	}
	free(path);
	return text;
}

static char *
joined(const struct strings *notes)
{
	char *text = xstrdup("");

	for (size_t i = 0; i < notes->count; i++) {
		char *longer = xasprintf("%s%s\n", text, notes->items[i]);

		free(text);
		text = longer;
	}
	return text;
}

/* What comes out is a pipeline that Davit reads. */
static void
check_is_pipeline(const char *name, const char *text)
{
	struct plan *plan = NULL;
	struct err err;

	if (!pipeline_parse(str_of(text), name, NULL, &plan, &err))
		fail_msg("%s:\n%s", err.text, text);
	plan_free(&plan);
}

static void
check(const char *file, enum convert_from from)
{
	char *out_name = xasprintf("%.*s.out", (int)strlen(file) - 4, file);
	char *notes_name = xasprintf("%.*s.notes", (int)strlen(file) - 4, file);
	char *text = read_whole(file), *out = read_whole(out_name), *expected = read_whole(notes_name), *got, *said;
	struct strings notes = { 0 };
	struct err err;

	if (!convert_pipeline(from, str_of(text), file, &got, &notes, &err))
		fail_msg("%s", err.text);
	said = joined(&notes);
	if (strcmp(got, out) != 0)
		fail_msg("%s becomes:\n%s", file, got);
	if (strcmp(said, expected) != 0)
		fail_msg("%s has the notes:\n%s", file, said);
	check_is_pipeline(out_name, got);
	strings_fini(&notes);
	free(got);
	free(said);
	free(text);
	free(out);
	free(expected);
	free(out_name);
	free(notes_name);
}

static void
test_fixtures(void **state)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	unsigned seen = 0;

	(void)state;
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		char *system = xstrndup(entry->d_name, strcspn(entry->d_name, "-"));
		size_t len = strlen(entry->d_name);
		enum convert_from from;

		if (len > 4 && strcmp(entry->d_name + len - 4, ".yml") == 0) {
			assert_true(convert_from_parse(system, &from));
			check(entry->d_name, from);
			seen++;
		}
		free(system);
	}
	closedir(dir);
	assert_true(seen >= 7);
}

static void
test_system_by_name(void **state)
{
	enum convert_from from;

	(void)state;
	assert_true(convert_from_path(".travis.yml", &from) && from == CONVERT_TRAVIS);
	assert_true(convert_from_path("a/b/.gitlab-ci.yaml", &from) && from == CONVERT_GITLAB);
	assert_true(convert_from_path(".drone.yml", &from) && from == CONVERT_DRONE);
	assert_true(convert_from_path("/x/.woodpecker.yml", &from) && from == CONVERT_WOODPECKER);
	assert_false(convert_from_path(".travis/other.yml", &from));
	assert_string_equal(convert_from_name(CONVERT_GITLAB), "gitlab");
	assert_false(convert_from_parse("jenkins", &from));
}

static void
test_errors(void **state)
{
	static const struct {
		enum convert_from from;
		const char *text;
		const char *error;
	} rows[] = {
		{ CONVERT_TRAVIS, "- a\n", "f:1:1: a pipeline file is a mapping, not a list" },
		{ CONVERT_GITLAB, "stages: [a]\n.x: {script: a}\n", "f:1:1: there is no job in this file" },
		{ CONVERT_DRONE, "kind: pipeline\n", "f:1:1: there is no step with commands in this file" },
		{ CONVERT_DRONE, "a: [\n", "f:2:1: " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct strings notes = { 0 };
		struct err err = ERR_OK;
		char *text;

		assert_false(convert_pipeline(rows[i].from, str_of(rows[i].text), "f", &text, &notes, &err));
		assert_int_equal(strncmp(err.text, rows[i].error, strlen(rows[i].error)), 0);
		strings_fini(&notes);
	}
}

/* extends: of itself, or in a circle, comes to an end. */
static void
test_circles(void **state)
{
	struct strings notes = { 0 };
	struct err err;
	char *text;

	(void)state;
	assert_true(convert_pipeline(CONVERT_GITLAB,
	    STR("a: {extends: b, script: x}\nb: {extends: [a, b], script: y}\n"), "f", &text, &notes, &err));
	assert_non_null(strstr(text, "script:"));
	strings_fini(&notes);
	free(text);
}

static void
test_duration(void **state)
{
	(void)state;
	/* by expire_in */
	static const char *const rows[][2] = { { "1 week", "expire: 7d" }, { "90", "expire: 1m30s" },
		{ "2 hrs 5 min", "expire: 2h5m" }, { "1h, 30s", "expire: 1h30s" }, { "1 day", "expire: 1d" } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *file = xasprintf("a:\n  script: x\n  artifacts: {paths: [b], expire_in: %s}\n", rows[i][0]),
		     *text;
		struct strings notes = { 0 };
		struct err err;

		/* a comma has to be quoted in a mapping on one line */
		if (strchr(rows[i][0], ',') != NULL) {
			free(file);
			file =
			    xasprintf("a:\n  script: x\n  artifacts:\n    paths: [b]\n    expire_in: %s\n", rows[i][0]);
		}
		assert_true(convert_pipeline(CONVERT_GITLAB, str_of(file), "f", &text, &notes, &err));
		if (strstr(text, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], text);
		strings_fini(&notes);
		free(file);
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixtures),
		cmocka_unit_test(test_system_by_name),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_circles),
		cmocka_unit_test(test_duration),
	};
	const char *top = getenv("srcdir");
	char *path = xasprintf("%s/test/fixtures/convert", top != NULL ? top : ".");
	int failed;

	folder = path;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(path);
	return failed;
}
