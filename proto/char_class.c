#include "proto/char_class.h"

#include <stddef.h>

const char *
char_class_end(const char *s)
{
	const char *first = s;

	while (*s != '\0' && (*s != ']' || s == first))
		s += *s == '\\' && s[1] != '\0' ? 2 : 1;
	return *s == ']' ? s : NULL;
}
