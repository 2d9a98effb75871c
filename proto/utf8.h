/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef DAVIT_PROTO_UTF8_H
#define DAVIT_PROTO_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/str.h"

/* The code point at the start of s, and in *len how many bytes it takes; UTF8_BAD and 1 when there is none.
 * s must not be empty. */
#define UTF8_BAD UINT32_MAX
uint32_t utf8_decode(struct str s, size_t *len);
/* The character at *s, which then stands behind it. A byte that is none of UTF-8's is a character of its own, behind
 * all of Unicode's. *s must not be at its end. */
uint32_t utf8_take(const char **s);
/* Whether all of s is UTF-8; if not, *bad (may be NULL) is the offset of the first byte that is not. */
bool utf8_valid(struct str s, size_t *bad);

#endif
