/* Settings that are lists of words in one text, with commas or blanks between: "main release-*". As patterns they are
 * read as in proto/condition.h. NULL is as "". */
#ifndef DAVIT_PROTO_PATTERNS_H
#define DAVIT_PROTO_PATTERNS_H

#include <stdbool.h>

#include "proto/err.h"
#include "proto/plan.h"

enum { PATTERNS_MAX = 100 };

/* The words; *ret is to be ended with strings_fini. */
void patterns_split(const char *text, struct strings *ret);
/* Whether all of them can be patterns, and are not too many; name: of the setting, for the error (ERR_INPUT). */
bool patterns_check(const char *name, const char *text, struct err *err);
/* Whether they hold for the value; an empty list holds for all. */
bool patterns_hold(const char *text, const char *value);

#endif
