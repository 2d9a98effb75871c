/* What the files of io/git share. git.c owns the mirrors and the operations, git_env.c what every git process gets,
 * git_cat.c the cat-file processes, git_fetch.c fetches, git_tidy.c what they
 * leave, git_query.c questions, git_merge.c merges, git_workspace.c the tars. */
#ifndef DAVIT_IO_GIT_IMPL_H
#define DAVIT_IO_GIT_IMPL_H

#include <sys/queue.h>

#include "proto/buf.h"
#include "server/core/child.h"
#include "server/io/git.h"

struct cat;
struct cat_request;
struct deferred;
struct fetch;
struct git_merge;
struct git_query;

enum { GIT_RECENT = 64 };
enum tidy_state { TIDY_IDLE, TIDY_LIST, TIDY_DROP, TIDY_GC };

/* One repository's. Lives until git_free, or git_forget. */
struct git_mirror {
	LIST_ENTRY(git_mirror) link;
	struct git *git;
	char *repo;
	char *path;
	bool ready;                  /* `git init` was done in this process's life */
	struct cat *cat;             /* NULL: not running */
	struct fetch *running;       /* NULL: none */
	unsigned fetched;            /* since it was tidied, or since our start */
	char recent[GIT_RECENT][65]; /* commits that were asked for last: they stay, however old */
	unsigned next_recent;
};

/* What removes files in the background; nobody waits for it. */
struct git_cleanup {
	LIST_ENTRY(git_cleanup) link;
	struct disk_op *op;
};

struct git {
	struct loop *loop;
	struct children *children;
	struct disk *disk;
	struct git_conf conf;
	char *mirrors_dir;
	char *work_dir; /* of this process */
	char **env;
	unsigned ops;
	unsigned next_number; /* of files in work_dir */
	LIST_HEAD(, git_mirror) mirrors;
	LIST_HEAD(, git_cleanup) cleanups;
	TAILQ_HEAD(cat_list, cat) cats; /* the longest unused first */
	unsigned cat_count;
	TAILQ_HEAD(fetch_list, fetch) fetches; /* in the order in which they came */
	unsigned fetches_running;
	enum tidy_state tidy_state;
	struct git_mirror *tidied; /* NULL: none, then idle */
	struct child *tidying;
	struct buf tidy_drops;                                /* which refs go, in the words of update-ref */
	TAILQ_HEAD(workspace_list, git_workspace) workspaces; /* the longest unused first */
	unsigned workspace_count;
	unsigned workspaces_making;
	uint64_t workspace_bytes;
};

enum op_kind { OP_REFUSED, OP_CAT, OP_FETCH, OP_WORKSPACE, OP_QUERY, OP_MERGE };

TAILQ_HEAD(op_list, git_op);

/* The caller's side of an operation. Those that wait for the same thing are in one list. */
struct git_op {
	TAILQ_ENTRY(git_op) link;
	struct op_list *list; /* NULL: it waits alone */
	struct git *git;
	enum op_kind kind;
	union {
		struct deferred *refused;
		struct cat_request *request;
		struct fetch *fetch;
		struct git_workspace *workspace;
		struct git_query *query;
		struct git_merge *merge;
	} in;
	struct err err; /* of OP_REFUSED */
	union {
		git_done_fn *done;
		git_read_fn *read;
		git_workspace_fn *workspace;
		git_commit_fn *commit; /* git_ref_fn has the same type */
		git_paths_fn *paths;
		git_digest_fn *digest;
		git_heads_fn *heads;
	} fn;
	void *arg;
};

/* Neither NULL nor "". */
bool git_is_given(const char *text);

struct git_op *git_op_new(struct git *git, enum op_kind kind, void *arg);
void git_op_free(struct git_op *op);
/* One that ends with err by the loop, having done nothing. */
struct git_op *git_op_refuse(struct git *git, const struct err *err, git_done_fn *fn, void *arg);

/* The same for other kinds of callbacks: call is given the operation, to end it as on_refused() does. */
struct git_op *git_op_refuse_by(struct git *git, const struct err *err, void (*call)(void *op), void *arg);
/* Ends it with err by the loop. */
struct git_op *git_commit_refuse(struct git *git, const struct err *err, git_commit_fn *fn, void *arg);

/* The mirror of that repository, made in memory if need be; NULL when the id is not one. */
struct git_mirror *git_mirror_get(struct git *git, const char *repo);
/* Removes a file or tree in the background. */
void git_clean_up(struct git *git, const char *path);

/* --- git_env.c --- */

/* The environment of every git process: no other configuration than ours. With an origin and a token, the token is
 * given to whom git authenticates at that origin. git_env_free wipes it. */
char **git_env_new(const struct git_conf *conf, const char *origin, const char *user, const char *token);
/* A copy with one more variable. */
char **git_env_with(char *const *env, const char *name, const char *value);
void git_env_free(char ***env);

/* --- git.c --- */

/* Starts git with these arguments (NULL-terminated, without "git") in the mirror (NULL: in none); its standard error is
 * collected for git_error(). env NULL: git->env. */
struct child *git_run(struct git *git, const struct git_mirror *mirror, const char *const *args, char *const *env,
    struct str input, child_done_fn *done, void *arg);
/* The same, and collects at most max bytes of its output. */
struct child *git_ask(struct git *git, const struct git_mirror *mirror, const char *const *args, char *const *env,
    size_t max, child_done_fn *done, void *arg);
/* The same, and gives its output as it comes. */
struct child *git_listen(struct git *git, const struct git_mirror *mirror, const char *const *args, child_output_fn *fn,
    child_done_fn *done, void *arg);
/* What a finished git_run comes to, in words about that commit. */
struct err git_run_error(const struct child_result *result, const struct err *err, const char *commit);

/* --- git_cat.c --- */

enum { CAT_MAX = 8 << 20 }; /* bytes of one object */

/* type: "commit", "tree", "blob", "tag"; both for the callback's duration. err: ERR_NOT_FOUND (no such object, no
 * mirror), ERR_LIMIT, ERR_TIMEOUT, ERR_UNAVAILABLE. */
typedef void cat_fn(void *arg, const char *type, struct str bytes, const struct err *err);
/* expression: in the words of gitrevisions(7), without newlines, at most 2,000 bytes. At most max bytes
 * are taken, max <= CAT_MAX. */
struct cat_request *cat_ask(struct git_mirror *mirror, const char *expression, size_t max, cat_fn *fn, void *arg);
void cat_cancel(struct cat_request **request);
/* Ends the process; there must be no request that was not cancelled. */
void cat_close(struct git_mirror *mirror);

/* --- git_tidy.c --- */

/* The commit is wanted, or has just been made. */
void tidy_asked(struct git_mirror *mirror, const char *commit);
/* The mirror has taken in a commit. */
void tidy_count(struct git_mirror *mirror);
/* Ends it, when it is that mirror's (NULL: any's). */
void tidy_cancel(struct git *git, const struct git_mirror *mirror);

/* --- git_fetch.c, git_workspace.c, git_query.c, git_merge.c: for git_cancel and git_free --- */

void fetch_leave(struct git_op *op);
/* Those of one mirror (NULL: of all) that nobody waits for, and whose processes are ending. */
void fetches_free(struct git *git, const struct git_mirror *mirror);
void workspace_leave(struct git_op *op);
void query_leave(struct git_op *op);
void merge_leave(struct git_op *op);
/* Forgets the tars that are kept. */
void workspaces_free(struct git *git);
/* Those of one mirror; who has one keeps it. */
void workspaces_forget(struct git_mirror *mirror);

#endif
