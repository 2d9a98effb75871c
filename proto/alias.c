#include "proto/alias.h"

#include <stdbool.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/str.h"

/* Whether image matches; *star is what the * took. */
static bool
match(const char *pattern, const char *image, struct str *star)
{
	const char *at = strchr(pattern, '*');
	size_t len = strlen(image), head, tail;

	*star = (struct str){ "", 0 };
	if (at == NULL)
		return strcmp(pattern, image) == 0;
	head = (size_t)(at - pattern);
	tail = strlen(at + 1);
	if (len < head + tail || memcmp(pattern, image, head) != 0 || strcmp(image + len - tail, at + 1) != 0)
		return false;
	*star = (struct str){ image + head, len - head - tail };
	return true;
}

char *
alias_apply(const char *pattern, const char *to, const char *image)
{
	const char *at = strchr(to, '*');
	struct str star;

	if (!match(pattern, image, &star))
		return NULL;
	if (at == NULL)
		return xstrdup(to);
	return xasprintf("%.*s%.*s%s", (int)(at - to), to, (int)star.len, star.p, at + 1);
}
