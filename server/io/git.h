/* git as a child process: one bare mirror per repository, `git cat-file --batch` kept running beside it, and the tars
 * of workspaces that jobs start from.
 *
 * Commits are full object ids and refs are full names, both checked (proto/git_name.h); nothing that a forge or a user
 * chose stands where git would take it for an option. No hooks, no submodules, no system or user configuration, only
 * the protocols http, https, ssh and git. Tokens travel in the environment of the one fetch, bound to the URL's host.
 * git never runs in a folder that a job can write.
 *
 * The async contract of core/loop.h holds; deadlines are ours (struct git_conf). */
#ifndef DAVIT_IO_GIT_H
#define DAVIT_IO_GIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/heads.h"
#include "proto/str.h"

struct children;
struct disk;
struct git;
struct git_op;
struct git_workspace;
struct loop;
struct strings;

/* Lent for git's life. A member of 0 or NULL is the default. */
struct git_conf {
	const char *state_dir;    /* absolute; git/ and workspace/ are made below it, workspace/ is emptied at start */
	const char *ssh_key;      /* private key for ssh:// URLs */
	const char *ca_file;      /* of the authorities that may sign a server's certificate, PEM; NULL: the system's */
	bool allow_local;         /* file:// and absolute paths: for tests and the quickstart */
	int64_t fetch_timeout_ms; /* 10 minutes */
	unsigned max_fetches;     /* at a time, 4; others wait */
	unsigned tidy_after;      /* fetches of a repository, 100: then its mirror is repacked in the background, */
	unsigned max_refs;        /* and so many commits stay in it, 2,000: those with the newest dates */
	unsigned max_workspaces;  /* kept on disk, 16 */
	uint64_t max_workspace_bytes; /* of all tars kept, 4 GiB */
};

struct git *git_new(struct loop *loop, struct children *children, struct disk *disk, const struct git_conf *conf,
    struct err *err) __attribute__((warn_unused_result));
/* Removes the workspaces of other processes, which must have ended. */
void git_sweep(struct git *git);
/* All operations must have ended or been cancelled, all workspaces released. */
void git_free(struct git **git);
/* Accepts NULL inside. What others wait for too goes on for them. */
void git_cancel(struct git_op **op);

/* Strings that may be missing are NULL or "" then. */
struct git_source {
	const char *repo; /* the repository's id, as in store/records.h */
	const char *url;
	const char *fetch_url; /* where the commit lies if not at url (a fork on its server); may be missing: at url */
	const char *ref;       /* full name; asked for when the server does not give commits by id; may be missing */
	const char *user;      /* may be missing ("git" is used with a token) */
	const char *token;     /* password or token, sent to url's host alone; may be missing */
};

/* err: ERR_NOT_FOUND (no such repository or commit), ERR_AUTH, ERR_INPUT (a bad name or URL), ERR_TIMEOUT,
 * ERR_UNAVAILABLE (network: worth another try), ERR_REFUSED (git says no, in its words). */
typedef void git_done_fn(void *arg, const struct err *err);

/* Brings the commit with its history into the repository's mirror, where it stays. Costs no process when it is there
 * already. Fetches of one repository go one after the other; equal ones are one. Everything is copied. */
struct git_op *git_fetch(
    struct git *git, const struct git_source *source, const char *commit, git_done_fn *fn, void *arg);
/* Whether git_fetch brought it: NULL or ERR_NOT_FOUND. */
struct git_op *git_has(struct git *git, const char *repo, const char *commit, git_done_fn *fn, void *arg);

/* A file at a commit that git_fetch brought. text is for the callback's duration. ERR_NOT_FOUND (no such file or
 * commit), ERR_LIMIT (larger than max), ERR_INPUT (it is a folder, or the path has control bytes). */
typedef void git_read_fn(void *arg, struct str text, const struct err *err);
struct git_op *git_read(
    struct git *git, const char *repo, const char *commit, const char *path, size_t max, git_read_fn *fn, void *arg);

/* Which commit a ref of the server is at now: source->ref, a full name or "HEAD" (the default branch); of an annotated
 * tag the commit that it is for. commit is for the callback's duration, NULL on an error: as git_fetch's, ERR_NOT_FOUND
 * when there is no such ref. */
typedef void git_commit_fn(void *arg, const char *commit, const struct err *err);
struct git_op *git_head(struct git *git, const struct git_source *source, git_commit_fn *fn, void *arg);
/* Which branch the server's HEAD names, as "refs/heads/main"; source->ref is not looked at. ref is as commit above:
 * ERR_NOT_FOUND when HEAD names none, or one without a commit. */
typedef void git_ref_fn(void *arg, const char *ref, const struct err *err);
struct git_op *git_default_branch(struct git *git, const struct git_source *source, git_ref_fn *fn, void *arg);
/* All branches and tags of the server; source->ref is not looked at. heads is handed over, empty on an error;
 * ERR_LIMIT: there are more than HEADS_MAX. */
typedef void git_heads_fn(void *arg, struct heads heads, const struct err *err);
struct git_op *git_heads(struct git *git, const struct git_source *source, git_heads_fn *fn, void *arg);
/* A commit that git_fetch brought, as git keeps it: headers, an empty line, the message. */
struct git_op *git_commit_object(struct git *git, const char *repo, const char *commit, git_read_fn *fn, void *arg);
/* Of two commits that git_fetch brought, the newest that is in both histories; ERR_NOT_FOUND: none is. */
struct git_op *git_merge_base(
    struct git *git, const char *repo, const char *one, const char *other, git_commit_fn *fn, void *arg);
/* The merge of head into base, both brought by git_fetch, as if it had been fetched as well. Equal pairs give the same
 * commit. ERR_CONFLICT names the files that both changed. */
struct git_op *git_merge(
    struct git *git, const char *repo, const char *base, const char *head, git_commit_fn *fn, void *arg);

/* The files that differ between two commits that git_fetch brought; one that was renamed comes under both names. For
 * the callback's duration; NULL on an error: ERR_LIMIT when there are more than GIT_PATHS_MAX. */
enum { GIT_PATHS_MAX = 10000 };
typedef void git_paths_fn(void *arg, const struct strings *paths, const struct err *err);
struct git_op *git_changed_paths(
    struct git *git, const char *repo, const char *from, const char *to, git_paths_fn *fn, void *arg);
/* What the files that fit a pattern (proto/glob.h) are at a commit that git_fetch brought: a digest of their names and
 * object ids, in hex; for the callback's duration. ERR_NOT_FOUND: none fits. */
typedef void git_digest_fn(void *arg, const char *hex, const struct err *err);
struct git_op *git_digest(
    struct git *git, const char *repo, const char *commit, const char *pattern, git_digest_fn *fn, void *arg);

struct git_checkout {
	const char *repo;
	const char *commit;
	const char *ref; /* refs/heads/x: x is checked out; otherwise HEAD is detached, and refs/tags/x exists; may be
			    missing */
	const char *origin; /* URL of the remote "origin" in the workspace; a user or password in it is left out; may be
			       missing */
	bool full;          /* with all history; else the commit alone (a shallow clone) */
};

/* An uncompressed tar of a work tree with a real .git, members below "workspace/", owner 0:0, ended by two empty blocks
 * and no more: made once for equal checkouts. The commit must have been fetched. The workspace is the caller's until
 * git_workspace_release. */
typedef void git_workspace_fn(void *arg, struct git_workspace *workspace, const struct err *err);
struct git_op *git_workspace(struct git *git, const struct git_checkout *checkout, git_workspace_fn *fn, void *arg);
/* Whether equal checkouts have one, or one in the making: then the commit need not be in the mirror any more. */
bool git_has_workspace(struct git *git, const struct git_checkout *checkout);
const char *git_workspace_path(const struct git_workspace *workspace);
uint64_t git_workspace_size(const struct git_workspace *workspace);
/* Accepts NULL inside. Not after git_free. */
void git_workspace_release(struct git_workspace **workspace);

/* Removes a deleted repository's mirror. No operation of that repository may be in flight. */
void git_forget(struct git *git, const char *repo);

#endif
