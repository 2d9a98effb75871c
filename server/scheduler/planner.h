/* Plans a build: finds out its branch and its commit where nobody said them, brings it into the repository's mirror,
 * merges it with its target where the repository wants that, reads daocloud.yml (or davit.yml) there with the files
 * that it includes, and makes the plan, for which it finds out the changed files where a condition asks for them. The
 * workspace of the jobs is prepared on the side, so that it is there when they are claimed.
 *
 *   (branch) -> (head) -> fetch -> (target -> fetch target -> merge) -> commit -> read daocloud.yml -> (read davit.yml)
 * -> (include ...)
 *          -> parse -> (changed files -> parse) -> (default branch? -> (parse)) -> done
 *
 * A file that is wrong or missing is the change's failure; what the network or the forge denies is an error, after a
 * few attempts where another one may help. */
#ifndef DAVIT_SCHEDULER_PLANNER_H
#define DAVIT_SCHEDULER_PLANNER_H

#include <stdbool.h>

#include "proto/plan.h"
#include "server/store/records.h"

struct disk;
struct git;
struct loop;
struct planner;
struct planner_op;

struct planner_result {
	struct plan *plan;      /* the callback's; NULL: */
	enum build_state state; /* BUILD_FAILED or BUILD_ERROR */
	char reason[256];       /* "daocloud.yml:3:5: unknown key ..." */
	char commit[65];        /* what the build is of; "" when that was not found out */
	char *ref;              /* the callback's; its branch, when the build is of CHANGE_REF_DEFAULT; else NULL */
	char base[65];          /* "" unless it is built merged: the target's commit */
	char built[65];         /* and the merge */
};

typedef void planner_fn(void *arg, struct planner_result *result);

/* Lent as long as the planner is. */
struct planner_conf {
	bool full_clone;       /* workspaces have all history */
	const char *templates; /* folder of the texts that pipelines include by name; "": none */
};

struct planner *planner_new(struct loop *loop, struct git *git, struct disk *disk, const struct planner_conf *conf);
/* All operations must have ended or been cancelled. Accepts NULL. */
void planner_free(struct planner **planner);
/* Both records are lent until the end of the operation; git_conf's deadlines bound it. */
struct planner_op *planner_start(
    struct planner *planner, const struct build *build, const struct repo *repo, planner_fn *fn, void *arg);
/* Accepts NULL inside. */
void planner_cancel(struct planner_op **op);

#endif
