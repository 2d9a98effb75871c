/* Which files a change touches, for the conditions on paths of a pipeline:
 *
 *   a push            from what the branch was at to the commit, also when it was forced; of a new branch (and when
 *                     what it was at is nowhere to be had) from where it left the default branch
 *   a pull request    from where it left its target
 *   all else          not known
 *
 * What cannot be found out, or is more than git.h lists, is not known, and conditions on it hold: a job too many does
 * less harm than one too few. The async contract of core/loop.h; git_conf's deadlines bound it. */
#ifndef DAVIT_SCHEDULER_PATHS_H
#define DAVIT_SCHEDULER_PATHS_H

#include "server/store/records.h"

struct git;
struct loop;
struct paths_op;
struct strings;

/* paths NULL: not known; for the callback's duration. */
typedef void paths_fn(void *arg, const struct strings *paths);

/* commit: the build's, which git_fetch brought. The records are lent until the end. */
struct paths_op *paths_start(struct loop *loop, struct git *git, const struct build *build, const struct repo *repo,
    const char *commit, paths_fn *fn, void *arg);
/* Accepts NULL inside. */
void paths_cancel(struct paths_op **op);

#endif
