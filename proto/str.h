/* A borrowed run of bytes: not NUL-terminated, not owned, good for as long as the text it points into. */
#ifndef DAVIT_PROTO_STR_H
#define DAVIT_PROTO_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct str {
	const char *p;
	size_t len;
};

/* A literal as a struct str. */
#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })

/* NULL gives the empty str. */
struct str str_of(const char *s);
bool str_eq(struct str a, struct str b);
bool str_is(struct str a, const char *b);
/* ASCII case only, as header names want it. Here, so that of a literal nothing but its length is looked at mostly. */
static inline bool
str_is_nocase(struct str a, const char *b)
{
	return a.len == strlen(b) && strncasecmp(a.p, b, a.len) == 0;
}
static inline bool
str_eq_nocase(struct str a, struct str b)
{
	return a.len == b.len && strncasecmp(a.p, b.p, a.len) == 0;
}
bool str_has_prefix(struct str s, const char *prefix);
/* Without blanks (space, tab) at both ends. */
struct str str_trim(struct str s);
/* Cuts *rest at the first sep and returns what stood before it; without a sep, all of it, and *rest becomes empty. */
struct str str_cut(struct str *rest, char sep);
/* Owned, NUL-terminated copy; a NUL byte inside ends it early. */
char *str_dup(struct str s);
/* All of s, decimal digits only, no sign, no blank; false when empty, malformed or above max. */
bool str_to_u64(struct str s, uint64_t max, uint64_t *ret);

#endif
