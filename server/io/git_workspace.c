#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/git_name.h"
#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/io/git_impl.h"

/* A work tree with its .git, made by three processes instead of a clone: the .git's few files are written here; the
 * objects are packed from the mirror while the tree is read straight out of it; then tar. Each state starts some things
 * and ends when all of them have arrived. After a failure, or when nobody waits any more, what still runs is ended
 * first (ending), as it writes where we are going to remove. */
enum workspace_state {
	WORKSPACE_QUEUED,
	WORKSPACE_FOLDERS,
	WORKSPACE_TREE,
	WORKSPACE_TAR,
	WORKSPACE_SIZE,
	WORKSPACE_READY,
	WORKSPACE_ENDING,
	WORKSPACE_FAILED,
};

enum { MAKING_MAX = 4, PARTS = 2, FILE_MAX = 8192 };

struct git_workspace {
	TAILQ_ENTRY(git_workspace) link; /* in git->workspaces */
	struct git *git;
	struct git_mirror *mirror;
	char *commit;
	char *ref;    /* "" for none */
	char *origin; /* "" for none */
	bool full;
	enum workspace_state state;
	char *dir; /* holds workspace/ while it is made */
	char *tar;
	uint64_t size;
	unsigned refs;
	struct op_list waiters;
	bool making; /* it has one of the places */
	struct deferred *begin;
	struct child *children[PARTS];
	struct disk_op *disk_ops[PARTS];
	unsigned waiting; /* bits of the parts that have not arrived */
	struct err err;
};

static void enter_queued(struct git_workspace *w);
static void enter_folders(struct git_workspace *w);
static void enter_tree(struct git_workspace *w);
static void enter_tar(struct git_workspace *w);
static void enter_size(struct git_workspace *w);
static void enter_ready(struct git_workspace *w);
static void enter_ending(struct git_workspace *w);
static void enter_failed(struct git_workspace *w);
static void start_next(struct git *git);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct git_workspace *w); /* what it starts has deadlines of its own */
	enum workspace_state next;
} states[] = {
	[WORKSPACE_QUEUED]  = { "queued",  enter_queued,  WORKSPACE_FOLDERS },
	[WORKSPACE_FOLDERS] = { "folders", enter_folders, WORKSPACE_TREE },
	[WORKSPACE_TREE]    = { "tree",    enter_tree,    WORKSPACE_TAR },
	[WORKSPACE_TAR]     = { "tar",     enter_tar,     WORKSPACE_SIZE },
	[WORKSPACE_SIZE]    = { "size",    enter_size,    WORKSPACE_READY },
	[WORKSPACE_READY]   = { "ready",   enter_ready,   WORKSPACE_READY },
	[WORKSPACE_ENDING]  = { "ending",  enter_ending,  WORKSPACE_FAILED },
	[WORKSPACE_FAILED]  = { "failed",  enter_failed,  WORKSPACE_FAILED },
};
/* clang-format on */

/* The only place where the state changes. w may be gone when it returns. */
static void
workspace_step(struct git_workspace *w, enum workspace_state next)
{
	log_debug(
	    "git %s: workspace %.12s: %s -> %s", w->mirror->repo, w->commit, states[w->state].name, states[next].name);
	assert(w->waiting == 0 || next == WORKSPACE_ENDING);
	w->state = next;
	states[next].enter(w);
}

/* The only way off the happy path. Whoever is ending has its cause. */
static void
workspace_fail(struct git_workspace *w, struct err err)
{
	assert(w->state != WORKSPACE_ENDING);
	w->err = err;
	workspace_step(w, WORKSPACE_ENDING);
}

static void
part_arrived(struct git_workspace *w, unsigned part, const struct err *err)
{
	w->waiting &= ~(1u << part);
	if (err != NULL && err->code != ERR_NONE && w->state != WORKSPACE_ENDING)
		workspace_fail(w, *err);
	else if (w->waiting == 0)
		workspace_step(w, states[w->state].next);
}

static void
child_arrived(struct git_workspace *w, unsigned part, const struct child_result *result, const struct err *err)
{
	struct err meaning = git_run_error(result, err, w->commit);

	w->children[part] = NULL;
	part_arrived(w, part, &meaning);
}

static void
on_child_0(void *arg, const struct child_result *result, const struct err *err)
{
	child_arrived(arg, 0, result, err);
}

static void
on_child_1(void *arg, const struct child_result *result, const struct err *err)
{
	child_arrived(arg, 1, result, err);
}

static void
on_disk_0(void *arg, const struct err *err)
{
	struct git_workspace *w = arg;

	w->disk_ops[0] = NULL;
	part_arrived(w, 0, err);
}

static void
on_disk_1(void *arg, const struct err *err)
{
	struct git_workspace *w = arg;

	w->disk_ops[1] = NULL;
	part_arrived(w, 1, err);
}

/* --- queued --- */

static void
enter_queued(struct git_workspace *w)
{
	start_next(w->git);
}

static void
start_next(struct git *git)
{
	struct git_workspace *w = TAILQ_FIRST(&git->workspaces);

	while (w != NULL && git->workspaces_making < MAKING_MAX) {
		struct git_workspace *next = TAILQ_NEXT(w, link);

		if (w->state == WORKSPACE_QUEUED && w->begin == NULL) {
			w->making = true;
			git->workspaces_making++;
			workspace_step(w, WORKSPACE_FOLDERS);
		}
		w = next;
	}
}

/* --- folders, and the few files of .git --- */

static void
enter_folders(struct git_workspace *w)
{
	char *objects = xasprintf("%s/workspace/.git/objects/pack", w->dir);
	char *refs = xasprintf("%s/workspace/.git/refs/heads", w->dir);

	w->waiting = 3;
	w->disk_ops[0] = disk_mkdir(w->git->disk, objects, 0755, on_disk_0, w);
	w->disk_ops[1] = disk_mkdir(w->git->disk, refs, 0755, on_disk_1, w);
	free(objects);
	free(refs);
}

static bool
write_file(const struct git_workspace *w, const char *name, const struct buf *text, struct err *err)
{
	char *path = xasprintf("%s/workspace/.git/%s", w->dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	bool ok = fd >= 0 && write(fd, text->data, text->len) == (ssize_t)text->len;

	assert(!buf_failed(text));
	if (!ok)
		*err = err_errno("write %s", path);
	if (fd >= 0)
		close(fd);
	free(path);
	return ok;
}

/* A value as git-config(1) wants it in quotes. */
static void
add_value(struct buf *text, const char *key, const char *value)
{
	buf_addf(text, "\t%s = \"", key);
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			buf_addc(text, '\\');
		buf_addc(text, *value);
	}
	buf_adds(text, "\"\n");
}

/* checkStat and trustctime: in the container each file has another inode and change time than in the index, and git
 * would read all of them to find that they are the same. */
static void
make_config(const struct git_workspace *w, struct buf *text)
{
	const char *branch = git_ref_short(w->ref, "refs/heads/");
	bool sha256 = strlen(w->commit) == 64;

	buf_addf(text, "[core]\n\trepositoryformatversion = %d\n\tfilemode = true\n\tbare = false\n", sha256);
	buf_adds(text, "\tlogallrefupdates = true\n\tcheckStat = minimal\n\ttrustctime = false\n");
	if (sha256)
		buf_adds(text, "[extensions]\n\tobjectformat = sha256\n");
	if (w->origin[0] == '\0')
		return;
	buf_adds(text, "[remote \"origin\"]\n");
	add_value(text, "url", w->origin);
	add_value(text, "fetch", "+refs/heads/*:refs/remotes/origin/*");
	if (branch == NULL)
		return;
	buf_adds(text, "[branch \"");
	for (const char *c = branch; *c != '\0'; c++)
		buf_addf(text, "%s%c", *c == '"' ? "\\" : "", *c);
	buf_adds(text, "\"]\n\tremote = origin\n");
	add_value(text, "merge", w->ref);
}

/* Refs are packed ones, so that no name of them becomes a file's. */
static void
make_refs(const struct git_workspace *w, struct buf *text)
{
	const char *branch = git_ref_short(w->ref, "refs/heads/");

	buf_adds(text, "# pack-refs with: peeled fully-peeled sorted \n");
	if (branch != NULL)
		buf_addf(text, "%s %s\n", w->commit, w->ref);
	if (branch != NULL && w->origin[0] != '\0')
		buf_addf(text, "%s refs/remotes/origin/%s\n", w->commit, branch);
	if (git_ref_short(w->ref, "refs/tags/") != NULL)
		buf_addf(text, "%s %s\n", w->commit, w->ref);
}

static void
make_head(const struct git_workspace *w, struct buf *text)
{
	if (git_ref_short(w->ref, "refs/heads/") != NULL)
		buf_addf(text, "ref: %s\n", w->ref);
	else
		buf_addf(text, "%s\n", w->commit);
}

static void
make_shallow(const struct git_workspace *w, struct buf *text)
{
	buf_addf(text, "%s\n", w->commit);
}

/* gitrepository-layout(5). */
static bool
write_git_files(const struct git_workspace *w, struct err *err)
{
	static const struct {
		const char *name;
		void (*make)(const struct git_workspace *w, struct buf *text);
	} files[] = {
		{ "HEAD", make_head },
		{ "config", make_config },
		{ "packed-refs", make_refs },
		{ "shallow", make_shallow },
	};
	bool ok = true;

	for (unsigned i = 0; ok && i < sizeof(files) / sizeof(files[0]) - w->full; i++) {
		struct buf text;

		buf_init(&text, FILE_MAX);
		files[i].make(w, &text);
		ok = write_file(w, files[i].name, &text, err);
		buf_fini(&text);
	}
	return ok;
}

/* --- tree: the pack and the files, at the same time --- */

static struct child *
start_pack(struct git_workspace *w)
{
	char *base = xasprintf("%s/workspace/.git/objects/pack/pack", w->dir);
	char *shallow = w->full ? xstrdup("") : xasprintf("--shallow %s\n", w->commit);
	char *revs = xasprintf("%s%s\n", shallow, w->commit);
	const char *const args[] = { "pack-objects", "--quiet", "--revs", "--delta-base-offset", base, NULL };
	struct child *child = git_run(w->git, w->mirror, args, NULL, str_of(revs), on_child_0, w);

	free(revs);
	free(shallow);
	free(base);
	return child;
}

/* With the mirror's objects, as the pack is not there yet. */
static struct child *
start_read_tree(struct git_workspace *w)
{
	char *git_dir = xasprintf("--git-dir=%s/workspace/.git", w->dir);
	char *work_tree = xasprintf("--work-tree=%s/workspace", w->dir);
	char *objects = xasprintf("%s/objects", w->mirror->path);
	char **env = git_env_with(w->git->env, "GIT_OBJECT_DIRECTORY", objects);
	const char *const args[] = { git_dir, work_tree, "read-tree", "--reset", "-u", w->commit, NULL };
	struct child *child = git_run(w->git, NULL, args, env, (struct str){ 0 }, on_child_1, w);

	git_env_free(&env);
	free(objects);
	free(work_tree);
	free(git_dir);
	return child;
}

static void
enter_tree(struct git_workspace *w)
{
	struct err err;

	if (!write_git_files(w, &err)) {
		workspace_fail(w, err);
		return;
	}
	w->waiting = 3;
	w->children[0] = start_pack(w);
	w->children[1] = start_read_tree(w);
}

/* --- tar --- */

/* The GNU format is what every tar reads, busybox's included; modes do not depend on our umask. */
static void
enter_tar(struct git_workspace *w)
{
	const char *const argv[] = { "tar", "--format=gnu", "--blocking-factor=1", "--owner=0", "--group=0",
		"--numeric-owner", "--mode=a+rX,u+w,go-w", "-C", w->dir, "-cf", w->tar, "workspace", NULL };
	struct child_spec spec = {
		.argv = argv,
		.env = (const char *const *)w->git->env,
		.err = { .kind = CHILD_OUT_COLLECT, .max = 4096 },
		.timeout_ms = w->git->conf.fetch_timeout_ms,
	};

	w->waiting = 1;
	w->children[0] = child_start(w->git->children, &spec, on_child_0, w);
}

static void
on_tar_opened(void *arg, int fd, const struct stat *st, const struct err *err)
{
	struct git_workspace *w = arg;

	w->disk_ops[0] = NULL;
	if (err == NULL) {
		close(fd);
		w->size = (uint64_t)st->st_size;
	}
	part_arrived(w, 0, err);
}

static void
enter_size(struct git_workspace *w)
{
	w->waiting = 1;
	CRASH_POINT(workspace_packed);
	w->disk_ops[0] = disk_open(w->git->disk, w->tar, on_tar_opened, w);
}

/* --- the end --- */

static void
workspace_free(struct git_workspace *w)
{
	struct git *git = w->git;

	assert(w->refs == 0 && TAILQ_EMPTY(&w->waiters));
	for (unsigned i = 0; i < PARTS; i++) { /* in git_free alone */
		child_cancel(&w->children[i]);
		disk_cancel(&w->disk_ops[i]);
	}
	deferred_cancel(&w->begin);
	TAILQ_REMOVE(&git->workspaces, w, link);
	git->workspace_count--;
	git->workspace_bytes -= w->size;
	if (w->making)
		git->workspaces_making--;
	free(w->commit);
	free(w->ref);
	free(w->origin);
	free(w->dir);
	free(w->tar);
	free(w);
}

static bool
is_unused(const struct git_workspace *w)
{
	return w->state == WORKSPACE_READY && w->refs == 0 && TAILQ_EMPTY(&w->waiters);
}

static void
workspace_remove(struct git_workspace *w)
{
	git_clean_up(w->git, w->tar);
	workspace_free(w);
}

/* The longest unused ones go when there are too many. */
static void
trim_workspaces(struct git *git)
{
	struct git_workspace *w = TAILQ_FIRST(&git->workspaces);

	while (w != NULL && (git->workspace_count > git->conf.max_workspaces ||
				git->workspace_bytes > git->conf.max_workspace_bytes)) {
		struct git_workspace *next = TAILQ_NEXT(w, link);

		if (is_unused(w))
			workspace_remove(w);
		w = next;
	}
}

/* Gives w (with a reference for each) or, with err, NULL to all who wait. A callback may cancel others of them. */
static void
deliver(struct op_list *list, struct git_workspace *w, const struct err *err)
{
	struct git_op *op;

	while ((op = TAILQ_FIRST(list)) != NULL) {
		git_workspace_fn *fn = op->fn.workspace;
		void *arg = op->arg;

		TAILQ_REMOVE(list, op, link);
		git_op_free(op);
		if (w != NULL)
			w->refs++;
		fn(arg, w, err);
	}
}

static void
place_free(struct git_workspace *w)
{
	w->making = false;
	w->git->workspaces_making--;
	start_next(w->git);
}

static void
enter_ready(struct git_workspace *w)
{
	struct git_workspace *own = w;

	if (w->making) {
		w->git->workspace_bytes += w->size;
		git_clean_up(w->git, w->dir);
		place_free(w);
	}
	w->refs++; /* ours, until all have theirs */
	deliver(&w->waiters, w, NULL);
	git_workspace_release(&own);
}

static void
enter_ending(struct git_workspace *w)
{
	for (unsigned i = 0; i < PARTS; i++)
		if (w->children[i] != NULL)
			child_stop(w->children[i]);
	if (w->waiting == 0)
		workspace_step(w, WORKSPACE_FAILED);
}

static void
enter_failed(struct git_workspace *w)
{
	struct op_list waiters = TAILQ_HEAD_INITIALIZER(waiters);
	struct git *git = w->git;
	struct err err = w->err;
	struct git_op *op;

	TAILQ_CONCAT(&waiters, &w->waiters, link);
	TAILQ_FOREACH(op, &waiters, link)
	{
		op->list = &waiters;
		op->in.workspace = NULL;
	}
	w->size = 0;
	git_clean_up(git, w->dir);
	git_clean_up(git, w->tar);
	workspace_free(w);
	start_next(git);
	deliver(&waiters, NULL, &err);
}

void
git_workspace_release(struct git_workspace **workspace)
{
	struct git_workspace *w = *workspace;

	*workspace = NULL;
	if (w == NULL)
		return;
	assert(w->refs > 0);
	w->refs--;
	trim_workspaces(w->git);
}

static struct git_workspace *
find_workspace(struct git *git, const struct git_mirror *mirror, const struct git_checkout *checkout)
{
	char *origin = checkout->origin == NULL ? xstrdup("") : git_url_clean(checkout->origin);
	const char *ref = checkout->ref == NULL ? "" : checkout->ref;
	struct git_workspace *w;

	TAILQ_FOREACH(w, &git->workspaces, link)
	if (w->mirror == mirror && w->state != WORKSPACE_ENDING && w->full == checkout->full &&
	    strcmp(w->commit, checkout->commit) == 0 && strcmp(w->ref, ref) == 0 && strcmp(w->origin, origin) == 0)
		break;
	free(origin);
	return w;
}

bool
git_has_workspace(struct git *git, const struct git_checkout *checkout)
{
	struct git_mirror *mirror = git_mirror_get(git, checkout->repo);

	return mirror != NULL && find_workspace(git, mirror, checkout) != NULL;
}

const char *
git_workspace_path(const struct git_workspace *workspace)
{
	return workspace->tar;
}

uint64_t
git_workspace_size(const struct git_workspace *workspace)
{
	return workspace->size;
}

void
workspace_leave(struct git_op *op)
{
	struct git_workspace *w = op->in.workspace;

	TAILQ_REMOVE(op->list, op, link);
	if (w != NULL && w->state != WORKSPACE_READY && w->state != WORKSPACE_ENDING && TAILQ_EMPTY(&w->waiters))
		workspace_fail(w, err_make(ERR_CANCELLED, 0, "nobody waits for the workspace"));
}

void
workspaces_free(struct git *git)
{
	while (!TAILQ_EMPTY(&git->workspaces))
		workspace_free(TAILQ_FIRST(&git->workspaces)); /* the next process's start removes the files */
}

void
workspaces_forget(struct git_mirror *mirror)
{
	struct git_workspace *w = TAILQ_FIRST(&mirror->git->workspaces);

	while (w != NULL) {
		struct git_workspace *next = TAILQ_NEXT(w, link);

		if (w->mirror == mirror && is_unused(w))
			workspace_remove(w);
		else if (w->mirror == mirror)
			w->mirror = NULL; /* found by nobody any more; trimmed when it is released */
		w = next;
	}
}

/* --- the start --- */

/* Ready ones are given by the loop, too. */
static void
on_begin(void *arg)
{
	struct git_workspace *w = arg;

	w->begin = NULL;
	workspace_step(w, w->state);
}

static bool
checkout_check(const struct git_mirror *mirror, const struct git_checkout *checkout, struct err *err)
{
	if (mirror == NULL)
		return err_set(err, ERR_INPUT, 0, "not a repository's id");
	if (!git_commit_is_valid(checkout->commit))
		return err_set(err, ERR_INPUT, 0, "a commit is named by its full id of 40 or 64 hex digits");
	if (git_is_given(checkout->ref) && !git_ref_is_valid(checkout->ref))
		return err_set(err, ERR_INPUT, 0, "the ref's name is not one that git takes");
	return !git_is_given(checkout->origin) || git_url_check(checkout->origin, true, err);
}

static struct git_workspace *
workspace_new(struct git_mirror *mirror, const struct git_checkout *checkout)
{
	struct git_workspace *w = xcalloc(1, sizeof(*w));
	struct git *git = mirror->git;
	unsigned number = git->next_number++;

	*w = (struct git_workspace){
		.git = git,
		.mirror = mirror,
		.state = WORKSPACE_QUEUED,
		.commit = xstrdup(checkout->commit),
		.ref = xstrdup(checkout->ref == NULL ? "" : checkout->ref),
		.origin = checkout->origin == NULL ? xstrdup("") : git_url_clean(checkout->origin),
		.full = checkout->full,
		.dir = xasprintf("%s/%u", git->work_dir, number),
		.tar = xasprintf("%s/%u.tar", git->work_dir, number),
	};
	TAILQ_INIT(&w->waiters);
	git->workspace_count++;
	TAILQ_INSERT_TAIL(&git->workspaces, w, link);
	return w;
}

static void
on_refused(void *arg)
{
	struct git_op *op = arg;
	struct git_op refused = *op;

	git_op_free(op);
	refused.fn.workspace(refused.arg, NULL, &refused.err);
}

static struct git_op *
refuse(struct git *git, const struct err *err, git_workspace_fn *fn, void *arg)
{
	struct git_op *op = git_op_new(git, OP_REFUSED, arg);

	op->err = *err;
	op->fn.workspace = fn;
	op->in.refused = deferred_call(git->loop, on_refused, op);
	return op;
}

struct git_op *
git_workspace(struct git *git, const struct git_checkout *checkout, git_workspace_fn *fn, void *arg)
{
	struct git_mirror *mirror = git_mirror_get(git, checkout->repo);
	struct git_workspace *w;
	struct git_op *op;
	struct err err;

	if (!checkout_check(mirror, checkout, &err))
		return refuse(git, &err, fn, arg);
	w = find_workspace(git, mirror, checkout);
	if (w == NULL)
		w = workspace_new(mirror, checkout);
	if (w->begin == NULL && (w->state == WORKSPACE_QUEUED || w->state == WORKSPACE_READY))
		w->begin = deferred_call(git->loop, on_begin, w);
	TAILQ_REMOVE(&git->workspaces, w, link);
	TAILQ_INSERT_TAIL(&git->workspaces, w, link);
	op = git_op_new(git, OP_WORKSPACE, arg);
	op->fn.workspace = fn;
	op->in.workspace = w;
	op->list = &w->waiters;
	TAILQ_INSERT_TAIL(&w->waiters, op, link);
	return op;
}
