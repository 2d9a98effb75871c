/* Allocation that cannot fail: small blocks of our own making. Running out of memory ends the process with a message,
 * since no state of ours is lost by that (each transition is in Redis before it is relied upon).
 * Whatever a peer sizes goes into a struct buf, which has a maximum. */
#ifndef DAVIT_PROTO_MEM_H
#define DAVIT_PROTO_MEM_H

#include <stdarg.h>
#include <stddef.h>

void *xcalloc(size_t count, size_t size) __attribute__((returns_nonnull, malloc));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((returns_nonnull, malloc));
char *xstrndup(const char *s, size_t len) __attribute__((returns_nonnull, malloc));
char *xasprintf(const char *fmt, ...) __attribute__((returns_nonnull, malloc, format(printf, 1, 2)));
char *xvasprintf(const char *fmt, va_list ap) __attribute__((returns_nonnull, malloc, format(printf, 1, 0)));

/* xstrdup that maps NULL to NULL. */
char *xstrdup_null(const char *s);

#endif
