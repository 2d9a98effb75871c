#include "proto/condition.h"

#include <string.h>

#include "proto/glob.h"
#include "proto/regex.h"

bool
condition_check(const char *pattern, struct err *err)
{
	pattern += pattern[0] == '!';
	if (pattern[0] == '\0')
		return err_set(err, ERR_INPUT, 0, "a pattern is empty");
	return glob_check(pattern, NULL) || regex_check(pattern, err);
}

/* --- what the first and last bytes say --- */

static bool
has_prefix(const char *text, const char *prefix, size_t len)
{
	return strncmp(text, prefix, len) == 0;
}

/* False: the glob does not fit the text. */
static bool
glob_may_fit(const char *pattern, const char *text)
{
	size_t head = strcspn(pattern, "*?[{\\"), len = strlen(pattern), text_len = strlen(text), tail = 0;

	if (pattern[0] == '/' || pattern[0] == '.' || text[0] == '/' || text[0] == '.')
		return true; /* what they begin with may be left out */
	if (!has_prefix(text, pattern, head))
		return false;
	if (head == len || strpbrk(pattern, "[{\\") != NULL || pattern[len - 1] == '/')
		return true;
	while (strchr("*?/", pattern[len - 1 - tail]) == NULL) /* the slash of a leading "**" may be left out, too */
		tail++;
	return tail <= text_len && memcmp(text + text_len - tail, pattern + len - tail, tail) == 0;
}

/* False: the expression does not fit the text, or nothing that the glob does not fit as well. */
static bool
regex_may_fit(const char *pattern, const char *text)
{
	size_t head = strcspn(pattern, "^$.*+?()[]{}|\\");

	if (pattern[head] == '\0' || strchr("*+?", pattern[0]) != NULL)
		return false;
	if (strchr(pattern, '|') != NULL)
		return true;
	if (head > 0 && strchr("*?{", pattern[head]) != NULL) /* the character before it may be missing */
		for (head--; head > 0 && ((unsigned char)pattern[head] & 0xc0) == 0x80;)
			head--;
	return has_prefix(text, pattern, head);
}

/* --- what an answer costs --- */

static bool
spend(struct condition_budget *budget, size_t steps, const char *text)
{
	uint64_t cost = (uint64_t)(steps + 8) * (strlen(text) + 20);

	budget->left = cost < budget->left ? budget->left - cost : 0;
	return budget->left > 0;
}

static bool
fits(const char *pattern, const char *value, bool is_path, struct condition_budget *budget)
{
	if (budget->left <= 20) {
		budget->left = 0;
		return false;
	}
	budget->left -= 20;
	if (glob_may_fit(pattern, value) && spend(budget, glob_cost(pattern), value) &&
	    (is_path ? glob_match_path(pattern, value) : glob_match_name(pattern, value)))
		return true;
	return regex_may_fit(pattern, value) && spend(budget, regex_cost(pattern), value) &&
	       regex_match(pattern, value);
}

static bool
holds(const struct strings *patterns, const char *value, bool is_path, struct condition_budget *budget)
{
	bool wanted = false, found = false;

	for (size_t i = 0; i < patterns->count; i++) {
		const char *pattern = patterns->items[i];
		bool negated = pattern[0] == '!';

		wanted = wanted || !negated;
		if (value == NULL || (found && !negated) || !fits(pattern + negated, value, is_path, budget))
			continue;
		if (negated)
			return false;
		found = true;
	}
	return found || !wanted;
}

bool
condition_holds_within(const struct strings *patterns, const char *value, struct condition_budget *budget)
{
	return holds(patterns, value, false, budget) || budget->left == 0;
}

bool
condition_holds(const struct strings *patterns, const char *value)
{
	struct condition_budget budget = { UINT64_MAX };

	return condition_holds_within(patterns, value, &budget);
}

bool
condition_holds_for_path(const struct strings *patterns, const struct strings *paths, struct condition_budget *budget)
{
	for (size_t i = 0; i < paths->count; i++)
		if (holds(patterns, paths->items[i], true, budget) || budget->left == 0)
			return true;
	return false;
}
