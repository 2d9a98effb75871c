/* Which changes of a repository are built: its owner's settings, which no pipeline file can change. All are texts as
 * the repository's record has them; NULL and "" are the defaults.
 *
 *   events    of push, tag, pull_request, with commas; default all three
 *   branches  patterns (proto/condition.h), with commas or blanks: of pushes, and of what pull requests are for;
 *             default all
 *   tags      likewise
 *   pulls     "head": a pull request's commit as it is (default); "merge": merged with what it is for
 *   forks     "approve": a fork's pull request waits until somebody approves it (default); "allow"; "never"
 *
 * Builds by hand, by the API and by the clock are asked for by who may: nothing here holds them up. */
#ifndef DAVIT_PROTO_TRIGGER_H
#define DAVIT_PROTO_TRIGGER_H

#include <stdbool.h>

#include "proto/change.h"
#include "proto/err.h"

struct trigger {
	const char *events;
	const char *branches;
	const char *tags;
	const char *pulls;
	const char *forks;
};

/* ERR_INPUT says which setting is wrong, and what it may be. */
bool trigger_check(const struct trigger *trigger, struct err *err);
/* Whether the change is built; else *err (ERR_REFUSED) says why not, for people. */
bool trigger_wants(const struct trigger *trigger, const struct change *change, struct err *err);
/* Whether it is to be merged with its target first. */
bool trigger_merges(const struct trigger *trigger, const struct change *change);

#endif
