/* Lower-case hexadecimal, the only form that is written and read here: two texts of the same bytes are the same text.
 */
#ifndef DAVIT_PROTO_HEX_H
#define DAVIT_PROTO_HEX_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/str.h"

/* ret: 2 * size digits and a NUL. */
void hex_encode(const void *bytes, size_t size, char *ret);
/* ret: size bytes; false unless hex is exactly 2 * size lower-case digits. */
bool hex_decode(struct str hex, void *ret, size_t size);
/* Whether all of s (which may be empty) is lower-case digits. */
bool hex_is_valid(struct str s);

#endif
