#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/condition.h"
#include "proto/glob.h"
#include "proto/mem.h"
#include "proto/regex.h"

struct row {
	const char *pattern;
	const char *text;
	bool fits;
};

static void
check_rows(const struct row *rows, size_t count, bool (*match)(const char *, const char *))
{
	for (size_t i = 0; i < count; i++)
		if (match(rows[i].pattern, rows[i].text) != rows[i].fits)
			fail_msg(
			    "\"%s\" %s \"%s\"", rows[i].pattern, rows[i].fits ? "does not fit" : "fits", rows[i].text);
}

#define CHECK(rows, match) check_rows(rows, sizeof(rows) / sizeof(rows[0]), match)

static void
test_names(void **state)
{
	static const struct row rows[] = {
		{ "main", "main", true },
		{ "main", "main2", false },
		{ "main", "mai", false },
		{ "", "", true },
		{ "", "a", false },
		{ "*", "feature/x", true },
		{ "v1*", "v1.2.3", true },
		{ "v1*", "v2", false },
		{ "v?.*", "v1.2", true },
		{ "release-*-rc", "release-1-2-rc", true },
		{ "release-*-rc", "release-rc", false },
		{ "*a*b*c", "xxaxxbxxc", true },
		{ "*a*b*c", "xxaxxcxxb", false },
		{ "[0-9].[!0-9]", "1.x", true },
		{ "[0-9].[!0-9]", "1.2", false },
		{ "[]x]", "]", true },
		{ "[a-]", "-", true },
		{ "{main,dev}", "dev", true },
		{ "{main,dev}", "main,dev", false },
		{ "{a,b{1,2}}c", "b2c", true },
		{ "{a,b{1,2}}c", "bc", false },
		{ "x{,-y}", "x", true },
		{ "\\*", "*", true },
		{ "\\*", "a", false },
		{ "\xe9\x83\xa8?", "\xe9\x83\xa8\xe7\xbd\xb2", true },
		{ "?", "\xe9\x83\xa8", true },
		{ "[", "[", false },
		{ "{a", "{a", false },
	};

	(void)state;
	CHECK(rows, glob_match_name);
}

static void
test_paths(void **state)
{
	static const struct row rows[] = {
		{ "*.go", "main.go", true },
		{ "*.go", "cmd/main.go", false },
		{ "**/*.go", "main.go", true },
		{ "**/*.go", "a/b/main.go", true },
		{ "**/*.go", "a/b/main.goo", false },
		{ "a/**/b", "a/b", true },
		{ "a/**/b", "a/x/y/b", true },
		{ "a/**/b", "a/xb", false },
		{ "a/**/**/b", "a/b", true },
		{ "a/**/**/b", "a/x/b", true },
		{ "a**b", "a/x/b", true },
		{ "docs/**", "docs/a/b.md", true },
		{ "docs/**", "docs", false },
		{ "docs/", "docs/a/b.md", true },
		{ "docs/", "docs", false },
		{ "docs", "docs", true },
		{ "docs", "docs/a.md", true },
		{ "docs", "docs2/a.md", false },
		{ "./docs", "docs/a.md", true },
		{ "/docs/*.md", "docs/a.md", true },
		{ "*/", "docs/a.md", true },
		{ "/", "any/thing", true },
		{ ".", "any/thing", true },
		{ "?", "/", false },
		{ "[a/]b", "/b", false },
		{ "src/{a,b}/*.c", "src/b/x.c", true },
		{ "src/{a,b}/*.c", "src/c/x.c", false },
		{ "**", "a/b/c", true },
		{ "***", "a/b/c", true },
		{ ".github/**", ".github/x", true },
		{ "*", ".hidden", true },
	};

	(void)state;
	CHECK(rows, glob_match_path);
}

static void
test_expressions(void **state)
{
	static const struct row rows[] = {
		{ ".*", "", true },
		{ ".*", "any/thing", true },
		{ "^master$", "master", true },
		{ "master", "master2", false },
		{ "a|b", "b", true },
		{ "a|b|cd", "cd", true },
		{ "a|", "", true },
		{ "(a|b)+", "abba", true },
		{ "(a|b)+", "", false },
		{ "(?:ab)*c", "ababc", true },
		{ "a?b", "b", true },
		{ "a{2}", "aa", true },
		{ "a{2}", "aaa", false },
		{ "a{2,}", "aaaa", true },
		{ "a{1,3}b", "aaab", true },
		{ "a{1,3}b", "aaaab", false },
		{ "a{0}b", "b", true },
		{ "a{0,2}", "", true },
		{ "(ab{1,2}){2}", "ababb", true },
		{ "a{x}", "a{x}", true },
		{ "v\\d+\\.\\d+", "v1.20", true },
		{ "v\\d+\\.\\d+", "v1x20", false },
		{ "[\\w-]+", "feature-1", true },
		{ "[^/]+/[^/]+", "a/b", true },
		{ "[^/]+/[^/]+", "a/b/c", false },
		{ "\\S+", "a b", false },
		{ ".*?x", "aax", true },
		{ "a^b", "ab", false },
		{ "(^a$|b)", "a", true },
		{ "(a*)*", "aaaa", true },
		{ "(a*)*b", "aaaa", false },
		{ "\xe9\x83\xa8.", "\xe9\x83\xa8\xe7\xbd\xb2", true },
		{ "(", "(", false },
		{ "a)", "a)", false },
		{ "*", "*", false },
		{ "a**", "a", false },
		{ "(?=a)a", "a", false },
		{ "\\1", "1", false },
	};

	(void)state;
	CHECK(rows, regex_match);
}

static void
test_what_is_wrong(void **state)
{
	static const char *const bad[][2] = {
		{ "(a", "the expression \"(a\" has a ( without its )" },
		{ "a)(", "the expression \"a)(\" has a ) without its (" },
		{ "[a", "the expression \"[a\" has a [ without its ]" },
		{ "+[", "the expression \"+[\" repeats nothing" },
		{ "(?<=a)[", "the expression \"(?<=a)[\" looks ahead or behind" },
		{ "a{100}**", "the expression \"a{100}**\" repeats a repetition" },
	};
	char *deep = xcalloc(1, 600);
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(regex_check(bad[i][0], &err));
		assert_string_equal(err.text, bad[i][1]);
	}
	assert_true(condition_check("(a", &err)); /* a name with a bracket, read as the other */
	assert_false(condition_check("!(a[", &err));
	assert_false(condition_check("", &err));
	assert_false(condition_check("!", &err));
	assert_string_equal(err.text, "a pattern is empty");
	assert_false(regex_check("((a{100}){100}){100}", &err));
	assert_string_equal(err.text, "the expression \"((a{100}){100}){100}\" is too large");
	memset(deep, '(', 40);
	assert_false(regex_check(deep, &err));
	memset(deep, 'a', 599);
	assert_false(regex_check(deep, &err));
	assert_false(glob_check(deep, &err));
	assert_false(glob_check("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", &err));
	assert_string_equal(err.text, "the pattern \"{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}\" has too many alternatives");
	assert_false(glob_check("{a", &err));
	assert_string_equal(err.text, "the pattern \"{a\" has a { without its }");
	free(deep);
}

static struct strings list_of(const char *text);

/* A character of several bytes that may be missing. */
static void
test_an_optional_character(void **state)
{
	struct strings list = list_of("v\u00e9?x");

	(void)state;
	assert_true(condition_holds(&list, "vx"));
	assert_true(condition_holds(&list, "v\u00e9x"));
	assert_false(condition_holds(&list, "v"));
	strings_fini(&list);
}

static struct strings
list_of(const char *text)
{
	struct strings list = { 0 };
	struct str rest = str_of(text);

	while (rest.len > 0)
		strings_add(&list, str_cut(&rest, ' '));
	return list;
}

static void
check_list(const char *patterns, const char *value, bool holds)
{
	struct condition_budget budget = { 1000000 };
	struct strings list = list_of(patterns);

	if (condition_holds_within(&list, value, &budget) != holds)
		fail_msg("%s: %s", patterns, value != NULL ? value : "nothing");
	strings_fini(&list);
}

static void
test_lists(void **state)
{
	(void)state;
	check_list("main", "main", true);
	check_list("main dev", "dev", true);
	check_list("!main", "dev", true);
	check_list("!main", "main", false);
	check_list("!main", NULL, true);
	check_list("*", NULL, false);
	check_list("release-* !release-old", "release-1", true);
	check_list("release-* !release-old", "release-old", false);
	check_list("!release-old release-*", "release-old", false);
	check_list("^v[0-9]+$", "v12", true);
	check_list("", "x", true);
}

static void
check_changed(const char *patterns, const char *paths, bool holds)
{
	struct strings list = list_of(patterns), changed = list_of(paths);
	struct condition_budget budget = { 1000000 };

	if (condition_holds_for_path(&list, &changed, &budget) != holds)
		fail_msg("%s: %s", patterns, paths);
	strings_fini(&list);
	strings_fini(&changed);
}

static void
test_changed_paths(void **state)
{
	(void)state;
	check_changed("**/*.go", "README.md cmd/a.go", true);
	check_changed("**/*.go", "README.md", false);
	check_changed("!docs/", "docs/a.md", false);
	check_changed("!docs/", "docs/a.md main.c", true);
	check_changed("src/ !**/*.md", "src/a.md", false);
	check_changed("src/ !**/*.md", "src/a.md src/a.c", true);
	check_changed("**", "", false);
	check_changed("**/Makefile", "Makefile", true);
	check_changed("**/Makefile", "src/Makefile", true);
}

static void
test_cost_of_patterns(void **state)
{
	(void)state;
	assert_int_equal(glob_cost("a/*.txt"), 7);
	assert_int_equal(glob_cost("{a,b,c}"), 21);
	assert_int_equal(glob_cost("{a,b}{c,d}"), 40);
	assert_true(glob_cost("{a,{b,c}}") >= 9 * 3);
	assert_int_equal(glob_cost("[{,]"), 4);
	assert_true(glob_cost("{,}{,}{,}{,}{,}{,}{,}{,}{,}{,}{,}{,}{,}{,}{,}{,}{,}{,}{,}{,}") > GLOB_COST_MAX);
}

/* The short way must say what the long one says. */
static void
test_short_ways(void **state)
{
	static const struct row rows[] = {
		{ "src/**", "src/a", true },
		{ "src/**", "srx/a", false },
		{ "src", "src/a", true },
		{ "src", "srca", false },
		{ "*.c", "./a.c", true },
		{ "./a*", "a.c", true },
		{ "/a*", "a.c", true },
		{ "a*b", "ab", true },
		{ "ab*b", "ab", true }, /* as an expression */
		{ "*/", "x/y", true },
		{ "a?*c", "abc", true },
		{ "x|y", "y", true },
		{ "ab*c", "ac", true },
		{ "ab?c", "ac", true },
		{ "ab{0}c", "ac", true },
		{ "ab+c", "abbc", true },
		{ "(ab)*", "abab", true },
		{ "a.c", "abc", true },
		{ "[ab]c", "bc", true },
		{ "^src/.*$", "src/a/b", true },
		{ "a\\*", "a*", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_changed(rows[i].pattern, rows[i].text, rows[i].fits);
}

/* What nobody can pay for counts as met, and is told by the budget. */
static void
test_budget(void **state)
{
	struct strings list = list_of("((a|b)*c){100} x"), paths = list_of("abababababababababababababababab main.c");
	struct condition_budget budget = { 1000 };

	(void)state;
	assert_true(condition_holds_within(&list, "y", &budget));
	assert_int_equal(budget.left, 0);
	budget.left = 1000;
	assert_true(condition_holds_for_path(&list, &paths, &budget));
	assert_int_equal(budget.left, 0);
	budget.left = 1000000;
	assert_false(condition_holds_for_path(&list, &paths, &budget));
	assert_true(budget.left > 0);
	strings_fini(&list);
	strings_fini(&paths);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_optional_character),
		cmocka_unit_test(test_cost_of_patterns),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_expressions),
		cmocka_unit_test(test_what_is_wrong),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_changed_paths),
		cmocka_unit_test(test_short_ways),
		cmocka_unit_test(test_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
