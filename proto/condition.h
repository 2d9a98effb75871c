/* Conditions of a pipeline: a list of patterns, and a value that they hold for or not. A pattern is a glob
 * (proto/glob.h) or a regular expression (proto/regex.h): it fits when one of both readings does, as "v1*" and "^v1.*$"
 * are written side by side. With ! before it, what it fits is left out.
 *
 * A list holds for what one of its patterns without ! fits (or there is none such) and none with ! does. */
#ifndef DAVIT_PROTO_CONDITION_H
#define DAVIT_PROTO_CONDITION_H

#include <stdbool.h>

#include "proto/err.h"
#include "proto/plan.h"

/* Whether the text can be a pattern: as one of both readings, and not empty. */
bool condition_check(const char *pattern, struct err *err);

/* What the answers may still cost, in steps of the automata: a few ns each. When it is used up, left is 0, and the
 * answer is true. Most patterns are told apart from most texts by their first and last bytes, which costs next to
 * nothing. */
struct condition_budget {
	uint64_t left;
};

/* value NULL: there is none, and no pattern fits it. */
bool condition_holds_within(const struct strings *patterns, const char *value, struct condition_budget *budget);
/* The same whatever it costs: for patterns of who runs the server. */
bool condition_holds(const struct strings *patterns, const char *value);
/* Whether the list holds for at least one of the paths. */
bool condition_holds_for_path(
    const struct strings *patterns, const struct strings *paths, struct condition_budget *budget);

#endif
