#include "proto/slug.h"

#include <ctype.h>
#include <stddef.h>

void
slug_make(const char *text, char ret[SLUG_MAX + 1])
{
	size_t len = 0;

	for (; *text != '\0' && len < SLUG_MAX; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x80 && isalnum(c))
			ret[len++] = (char)tolower(c);
		else if (len > 0 && ret[len - 1] != '-')
			ret[len++] = '-';
	}
	while (len > 0 && ret[len - 1] == '-')
		len--;
	ret[len] = '\0';
}
