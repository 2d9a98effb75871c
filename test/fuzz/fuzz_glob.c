/* Two lines, a pattern and a text. The pattern, translated to a regular expression by this file, must fit what the
 * pattern fits; both must bear all the rest. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/glob.h"
#include "proto/regex.h"

static void
must(bool ok)
{
	if (!ok)
		abort();
}

/* Of patterns of letters, * and ? alone: what they are in words of the other language. */
static bool
translate(const char *pattern, bool is_path, struct buf *out)
{
	for (const char *s = pattern; *s != '\0'; s++) {
		if (*s == '*' && s[1] == '*')
			return false;
		if (*s == '*')
			buf_adds(out, is_path ? "[^/]*" : ".*");
		else if (*s == '?')
			buf_adds(out, is_path ? "[^/]" : ".");
		else if ((*s >= 'a' && *s <= 'z') || (*s == '/' && s != pattern && s[1] != '\0'))
			buf_addc(out, *s);
		else
			return false;
	}
	return !buf_failed(out) && pattern[0] != '\0' && (!is_path || glob_has_signs(pattern));
}

static void
compare(const char *pattern, const char *text, bool is_path)
{
	struct buf expression;

	buf_init(&expression, 400);
	if (translate(pattern, is_path, &expression) && regex_check(expression.data, NULL) && text[0] != '/' &&
	    text[0] != '.')
		must(regex_match(expression.data, text) ==
		     (is_path ? glob_match_path(pattern, text) : glob_match_name(pattern, text)));
	buf_fini(&expression);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { (const char *)data, size < 1024 ? size : 1024 };
	char *pattern = str_dup(str_cut(&rest, '\n')), *text = str_dup(rest);
	struct err err;

	if (!glob_check(pattern, &err))
		must(!glob_match_name(pattern, text) && !glob_match_path(pattern, text) && err.code == ERR_INPUT);
	else if (strchr(text, '/') == NULL && strpbrk(pattern, "/{") == NULL && text[0] != '.' && pattern[0] != '.' &&
		 glob_has_signs(pattern)) /* in braces an alternative may be empty, which as a path is the root */
		must(glob_match_name(pattern, text) == glob_match_path(pattern, text));
	compare(pattern, text, false);
	compare(pattern, text, true);
	free(pattern);
	free(text);
	return 0;
}
