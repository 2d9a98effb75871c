/* Shell patterns over names and paths, matched in time that grows with pattern and text only, never by trying again.
 *
 *   ?        one character            *     any run of them
 *   [a-z]    one of a class           [!a]  one that is not of it
 *   {a,b}    one of the alternatives  \x    x itself
 *
 * In a path ? and * and classes take no slash; ** takes any run with slashes, and a whole part of it, as in **\/x, none
 * or more folders. A pattern that ends with a slash, or has no signs at all, stands for all that lies below it too;
 * "/x" and "./x" are x. In a name (of a branch, a tag) * takes slashes as well. Characters are UTF-8's. */
#ifndef DAVIT_PROTO_GLOB_H
#define DAVIT_PROTO_GLOB_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/err.h"

enum { GLOB_MAX_BYTES = 512, GLOB_MAX_ALTERNATIVES = 64 };

/* ERR_INPUT says what is wrong: a class or a brace that does not end, too long, too many alternatives. */
bool glob_check(const char *pattern, struct err *err);
/* A pattern that glob_check refuses fits nothing. */
bool glob_match_name(const char *pattern, const char *name);
bool glob_match_path(const char *pattern, const char *path);
/* The bytes that its alternatives come to, or more: what one match takes grows with it, about 10 us for a hundred bytes
 * of it and a usual path. Who matches many names keeps it below GLOB_COST_MAX, in sum, to be done with one in 10 ms. */
enum { GLOB_COST_MAX = 4096 };
size_t glob_cost(const char *pattern);
/* Whether it has one of the signs above. */
bool glob_has_signs(const char *pattern);

#endif
