/* .dockerignore: which path is left out. */
#include "test/unit/unit.h"

#include "proto/buf.h"
#include "proto/dockerignore.h"

static void
check(const char *text, const char *path, bool expected)
{
	struct dockerignore *ignore;
	struct err err;

	if (!dockerignore_parse(str_of(text), ".dockerignore", &ignore, &err))
		fail_msg("%s", err.text);
	if (dockerignore_excludes(ignore, path) != expected)
		fail_msg("\"%s\": %s is %s", text, path, expected ? "taken in" : "left out");
	dockerignore_free(&ignore);
	assert_null(ignore);
}

static void
test_paths(void **state)
{
	static const struct {
		const char *text;
		const char *path;
		bool excluded;
	} rows[] = {
		{ "", "a", false },
		{ "# a\n", "a", false },
		{ "a\n", "a", true },
		{ "a", "a/b/c", true },
		{ "a", "b/a", false },
		{ "/a/\r\n", "a/b", true },
		{ "./a", "a", true },
		{ "*.o", "x.o", true },
		{ "*.o", "sub/x.o", false },
		{ "**/*.o", "sub/deep/x.o", true },
		{ "**/*.o", "x.o", true },
		{ "*/temp*", "some/temporary.txt", true },
		{ "*/temp*", "some/temporary/below", true },
		{ "temp?", "tempa", true },
		{ "*\n!README.md", "README.md", false },
		{ "*\n!README.md", "other", true },
		{ "*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true },
		{ "*.md\n!README*.md\nREADME-secret.md", "README-a.md", false },
		{ "node_modules\n!node_modules/keep", "node_modules/keep/x", false },
		{ "node_modules\n!node_modules/keep", "node_modules/lose/x", true },
		{ ".\n", "a", false },
		{ "!\n", "a", false },
		{ "  a  \n", "a", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(rows[i].text, rows[i].path, rows[i].excluded);
}

static void
test_errors(void **state)
{
	struct dockerignore *ignore = NULL;
	struct buf many;
	struct err err;

	(void)state;
	assert_false(dockerignore_parse(STR("a\n[b\n"), "d", &ignore, &err));
	assert_int_equal(strncmp(err.text, "d:2: ", 5), 0);
	buf_init(&many, 1 << 20);
	for (int i = 0; i < DOCKERIGNORE_MAX_PATTERNS + 1; i++)
		buf_adds(&many, "x\n");
	assert_false(dockerignore_parse(buf_str(&many), "d", &ignore, &err));
	assert_string_equal(err.text, "d:257: more than 256 patterns");
	while (many.len <= DOCKERIGNORE_MAX_BYTES)
		buf_adds(&many, "x\n");
	assert_false(dockerignore_parse(buf_str(&many), "d", &ignore, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_null(ignore);
	buf_fini(&many);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
