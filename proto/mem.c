#include "proto/mem.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef DAVIT_CRASH_POINTS
#include <stdatomic.h>

/* For tests: the n-th allocation is the one for which there is no memory. */
static bool
is_to_fail(void)
{
	static atomic_ulong count;
	const char *wish = getenv("DAVIT_ALLOC_FAIL");

	return wish != NULL && atomic_fetch_add(&count, 1) + 1 == strtoul(wish, NULL, 10);
}
#else
static bool
is_to_fail(void)
{
	return false;
}
#endif

static void *
checked(void *p)
{
	if (p == NULL || is_to_fail()) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

void *
xcalloc(size_t count, size_t size)
{
	return checked(calloc(count != 0 ? count : 1, size != 0 ? size : 1));
}

void *
xrealloc(void *p, size_t size)
{
	return checked(realloc(p, size != 0 ? size : 1));
}

char *
xstrdup(const char *s)
{
	return checked(strdup(s));
}

char *
xstrndup(const char *s, size_t len)
{
	return checked(strndup(s, len));
}

char *
xstrdup_null(const char *s)
{
	return s != NULL ? xstrdup(s) : NULL;
}

char *
xvasprintf(const char *fmt, va_list ap)
{
	char *s;

	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	return checked(s);
}

char *
xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = xvasprintf(fmt, ap);
	va_end(ap);
	return s;
}
