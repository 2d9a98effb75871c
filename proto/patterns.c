#include "proto/patterns.h"

#include <string.h>

#include "proto/condition.h"

void
patterns_split(const char *text, struct strings *ret)
{
	*ret = (struct strings){ 0 };
	while (text != NULL && text[0] != '\0') {
		size_t len;

		text += strspn(text, ", \t");
		len = strcspn(text, ", \t");
		if (len > 0)
			strings_add(ret, (struct str){ text, len });
		text += len;
	}
}

bool
patterns_check(const char *name, const char *text, struct err *err)
{
	struct strings words;
	struct err wrong;
	bool ok = true;

	patterns_split(text, &words);
	if (words.count > PATTERNS_MAX)
		ok = err_set(err, ERR_INPUT, 0, "%s: at most %d patterns", name, PATTERNS_MAX);
	for (size_t i = 0; i < words.count && ok; i++)
		if (!condition_check(words.items[i], &wrong))
			ok = err_set(err, ERR_INPUT, 0, "%s: \"%.40s\": %s", name, words.items[i], wrong.text);
	strings_fini(&words);
	return ok;
}

bool
patterns_hold(const char *text, const char *value)
{
	struct strings words;
	bool ok;

	patterns_split(text, &words);
	ok = words.count == 0 || condition_holds(&words, value);
	strings_fini(&words);
	return ok;
}
