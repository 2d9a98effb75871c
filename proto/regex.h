/* Regular expressions that fit the whole of a text, in time that grows with expression and text only: the C library's
 * take any amount for some, and these come from people whom nobody knows.
 *
 * Known: . [classes] * + ? {m,n} | ( ) (?: ) ^ $ \d \w \s \D \W \S, and \x for x itself. Not known, hence refused:
 * references to groups, looking ahead or behind. Characters are UTF-8's. */
#ifndef DAVIT_PROTO_REGEX_H
#define DAVIT_PROTO_REGEX_H

#include <stdbool.h>

#include "proto/err.h"

enum { REGEX_MAX_BYTES = 512, REGEX_MAX_STEPS = 1000 };

/* ERR_INPUT says what is wrong. */
bool regex_check(const char *pattern, struct err *err);
/* The steps that it comes to: what a match takes grows with it. 0: it is none. */
unsigned regex_cost(const char *pattern);
/* Whether it fits all of text; a pattern that regex_check refuses fits nothing. */
bool regex_match(const char *pattern, const char *text);

#endif
