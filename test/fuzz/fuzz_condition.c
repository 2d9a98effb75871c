/* Two lines, a regular expression and a text: of the expressions that mean the same to the C library, both must answer
 * the same. */
#include <regex.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/condition.h"
#include "proto/glob.h"
#include "proto/mem.h"
#include "proto/regex.h"

static void
must(bool ok)
{
	if (!ok)
		abort();
}

/* Letters, dots, groups, choices and single repetitions: the rest differs in its corners, or costs the library too
 * much. */
static bool
is_common(const char *pattern)
{
	if (strspn(pattern, "ab.()|*+?") != strlen(pattern) || strlen(pattern) > 24)
		return false;
	for (const char *s = pattern; *s != '\0'; s++)
		if (strchr("(|*+?", *s) != NULL && (s[1] == '\0' || strchr(")|*+?", s[1]) != NULL) && *s != ')' &&
		    (strchr("(|", *s) != NULL || (s[1] != '\0' && strchr("*+?", s[1]) != NULL)))
			return false;
	return pattern[0] != '|';
}

static void
compare(const char *pattern, const char *text)
{
	char *whole = xasprintf("^(%s)$", pattern);
	regex_t library;

	if (regcomp(&library, whole, REG_EXTENDED | REG_NOSUB) == 0) {
		must(regex_match(pattern, text) == (regexec(&library, text, 0, NULL, 0) == 0));
		regfree(&library);
	}
	free(whole);
}

/* A list of one pattern and of its negation hold for opposite values. */
static void
check_negation(const char *pattern, const char *text)
{
	char *negated = xasprintf("!%s", pattern);
	struct condition_budget budget = { UINT64_MAX };
	struct strings one = { 0 }, other = { 0 };

	strings_add(&one, str_of(pattern));
	strings_add(&other, str_of(negated));
	if (pattern[0] != '!')
		must(condition_holds_within(&one, text, &budget) != condition_holds_within(&other, text, &budget));
	strings_fini(&one);
	strings_fini(&other);
	free(negated);
}

/* What the first and last bytes say must be what both automata say. */
static void
check_short_ways(const char *pattern, const char *text)
{
	struct condition_budget budget = { UINT64_MAX };
	struct strings one = { 0 }, paths = { 0 };

	strings_add(&one, str_of(pattern));
	strings_add(&paths, str_of(text));
	if (pattern[0] != '!') {
		must(condition_holds_within(&one, text, &budget) ==
		     (glob_match_name(pattern, text) || regex_match(pattern, text)));
		must(condition_holds_for_path(&one, &paths, &budget) ==
		     (glob_match_path(pattern, text) || regex_match(pattern, text)));
	}
	strings_fini(&one);
	strings_fini(&paths);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { (const char *)data, size < 1024 ? size : 1024 };
	char *pattern = str_dup(str_cut(&rest, '\n')), *text = str_dup(rest);
	struct err err;

	if (!regex_check(pattern, &err))
		must(!regex_match(pattern, text) && err.code == ERR_INPUT);
	else if (is_common(pattern) && strspn(text, "abc/ ") == strlen(text))
		compare(pattern, text);
	if (condition_check(pattern, &err)) {
		check_negation(pattern, text);
		check_short_ways(pattern, text);
	}
	free(pattern);
	free(text);
	return 0;
}
