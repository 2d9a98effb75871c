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

static bool
fits(const char *pattern, const char *value, bool is_path)
{
	if (is_path ? glob_match_path(pattern, value) : glob_match_name(pattern, value))
		return true;
	return regex_match(pattern, value);
}

static bool
holds(const struct strings *patterns, const char *value, bool is_path)
{
	bool wanted = false, found = false;

	for (size_t i = 0; i < patterns->count; i++) {
		const char *pattern = patterns->items[i];
		bool negated = pattern[0] == '!';

		wanted = wanted || !negated;
		if (value == NULL || (found && !negated) || !fits(pattern + negated, value, is_path))
			continue;
		if (negated)
			return false;
		found = true;
	}
	return found || !wanted;
}

bool
condition_holds(const struct strings *patterns, const char *value)
{
	return holds(patterns, value, false);
}

bool
condition_holds_for_path(const struct strings *patterns, const struct strings *paths)
{
	for (size_t i = 0; i < paths->count; i++)
		if (holds(patterns, paths->items[i], true))
			return true;
	return false;
}

static uint64_t
bytes_of(const struct strings *strings)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < strings->count; i++)
		bytes += strlen(strings->items[i]) + 1;
	return bytes;
}

uint64_t
condition_path_cost(const struct strings *patterns, const struct strings *paths)
{
	return bytes_of(patterns) * bytes_of(paths);
}
