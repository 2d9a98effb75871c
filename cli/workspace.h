/* The workspace of `davit run`: a tar like the server's (io/git.h), but of the working copy as it is: tracked files
 * with their changes and new files that are not ignored, beside a real .git that knows the last commit. A folder
 * without git is taken whole. The working copy itself is only read. */
#ifndef DAVIT_CLI_WORKSPACE_H
#define DAVIT_CLI_WORKSPACE_H

#include "proto/err.h"

struct children;
struct loop;
struct workspace;

/* What was made; lent until workspace_free. */
struct workspace_result {
	const char *folder; /* temporary: of the tar, and for more */
	const char *tar;
	const char *commit; /* "" without a commit */
	const char *branch; /* "" where none is checked out */
};

typedef void workspace_fn(void *arg, const struct workspace_result *result, const struct err *err);

/* top: the folder; copied. fn is called once, later. On an error result is NULL. The async contract of core/loop.h
 * holds. */
struct workspace *workspace_make(
    struct loop *loop, struct children *children, const char *top, workspace_fn *fn, void *arg);
/* Ends what is under way and removes what was made. Accepts NULL inside. */
void workspace_free(struct workspace **workspace);

/* The folder at or above the present one that has a .git; the present one when there is none. free() it. */
char *workspace_top(void);
/* The branch that is checked out there; NULL when that is none, or not known. free() it. */
char *workspace_branch(void);

#endif
