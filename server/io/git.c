#include "server/io/git.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/git_error.h"
#include "proto/git_name.h"
#include "proto/mem.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/io/git_impl.h"

enum {
	FETCH_TIMEOUT_MS = 600000,
	FETCHES_MAX = 4,
	TIDY_AFTER = 100,
	REFS_MAX = 2000,
	WORKSPACES_MAX = 16,
	STDERR_MAX = 16384,
	PATH_IN_TREE_MAX = 1000,
	ARGS_MAX = 24,
};

#define WORKSPACE_BYTES_MAX (4ULL << 30)

/* --- cleaning up --- */

static void
on_cleaned(void *arg, const struct err *err)
{
	struct git_cleanup *cleanup = arg;

	if (err != NULL)
		log_warn("git: %s", err->text);
	LIST_REMOVE(cleanup, link);
	free(cleanup);
}

void
git_clean_up(struct git *git, const char *path)
{
	struct git_cleanup *cleanup = xcalloc(1, sizeof(*cleanup));

	LIST_INSERT_HEAD(&git->cleanups, cleanup, link);
	cleanup->op = disk_remove_tree(git->disk, path, on_cleaned, cleanup);
}

/* --- the owner --- */

/* At start, before the loop turns: short calls that may wait for the disk. */
static bool
make_folders(struct git *git, struct err *err)
{
	char *workspaces = xasprintf("%s/workspace", git->conf.state_dir);
	bool ok = disk_make_folder(git->mirrors_dir, 0750, err) && disk_make_folder(workspaces, 0750, err);

	git->work_dir = xasprintf("%s/%lld.%ld", workspaces, (long long)loop_wall_ms(), (long)getpid());
	ok = ok && disk_make_folder(git->work_dir, 0750, err);
	free(workspaces);
	return ok;
}

/* Tars are not synced, so after a crash none can be trusted. */
void
git_sweep(struct git *git)
{
	disk_remove_beside(git->disk, git->work_dir);
}

static struct git_conf
with_defaults(struct git_conf conf)
{
	if (conf.fetch_timeout_ms == 0)
		conf.fetch_timeout_ms = FETCH_TIMEOUT_MS;
	if (conf.max_fetches == 0)
		conf.max_fetches = FETCHES_MAX;
	if (conf.tidy_after == 0)
		conf.tidy_after = TIDY_AFTER;
	if (conf.max_refs == 0)
		conf.max_refs = REFS_MAX;
	if (conf.max_workspaces == 0)
		conf.max_workspaces = WORKSPACES_MAX;
	if (conf.max_workspace_bytes == 0)
		conf.max_workspace_bytes = WORKSPACE_BYTES_MAX;
	return conf;
}

struct git *
git_new(struct loop *loop, struct children *children, struct disk *disk, const struct git_conf *conf, struct err *err)
{
	struct git *git = xcalloc(1, sizeof(*git));

	*git = (struct git){ .loop = loop, .children = children, .disk = disk, .conf = with_defaults(*conf) };
	LIST_INIT(&git->mirrors);
	LIST_INIT(&git->cleanups);
	TAILQ_INIT(&git->cats);
	TAILQ_INIT(&git->fetches);
	TAILQ_INIT(&git->workspaces);
	git->mirrors_dir = xasprintf("%s/git", conf->state_dir);
	git->env = git_env_new(&git->conf, NULL, NULL, NULL);
	if (!make_folders(git, err))
		git_free(&git);
	return git;
}

static void
mirror_free(struct git_mirror *mirror)
{
	assert(mirror->running == NULL);
	cat_close(mirror);
	LIST_REMOVE(mirror, link);
	free(mirror->repo);
	free(mirror->path);
	free(mirror);
}

void
git_free(struct git **git)
{
	struct git *g = *git;

	if (g == NULL)
		return;
	*git = NULL;
	assert(g->ops == 0);
	tidy_cancel(g, NULL);
	fetches_free(g, NULL);
	workspaces_free(g);
	while (!LIST_EMPTY(&g->mirrors))
		mirror_free(LIST_FIRST(&g->mirrors));
	while (!LIST_EMPTY(&g->cleanups)) {
		struct git_cleanup *cleanup = LIST_FIRST(&g->cleanups);

		disk_cancel(&cleanup->op); /* the next process's start has another go */
		LIST_REMOVE(cleanup, link);
		free(cleanup);
	}
	git_env_free(&g->env);
	free(g->mirrors_dir);
	free(g->work_dir);
	free(g);
}

/* --- mirrors --- */

/* What may be a file's name. */
static bool
repo_is_valid(const char *repo)
{
	size_t len = strspn(repo, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return len > 0 && len <= 64 && repo[len] == '\0' && repo[0] != '.' && repo[0] != '-';
}

struct git_mirror *
git_mirror_get(struct git *git, const char *repo)
{
	struct git_mirror *mirror;

	LIST_FOREACH(mirror, &git->mirrors, link)
	if (strcmp(mirror->repo, repo) == 0)
		return mirror;
	if (!repo_is_valid(repo))
		return NULL;
	mirror = xcalloc(1, sizeof(*mirror));
	mirror->git = git;
	mirror->repo = xstrdup(repo);
	mirror->path = xasprintf("%s/%s.git", git->mirrors_dir, repo);
	LIST_INSERT_HEAD(&git->mirrors, mirror, link);
	return mirror;
}

void
git_forget(struct git *git, const char *repo)
{
	struct git_mirror *mirror = git_mirror_get(git, repo);
	char *gone;

	if (mirror == NULL)
		return;
	gone = xasprintf("%s/%u", git->work_dir, git->next_number++);
	if (rename(mirror->path, gone) == 0) /* at once, as a repository of that name may be added again now */
		git_clean_up(git, gone);
	free(gone);
	tidy_cancel(git, mirror);
	fetches_free(git, mirror);
	workspaces_forget(mirror);
	mirror_free(mirror);
}

/* --- processes --- */

static struct child *
run(struct git *git, const struct git_mirror *mirror, const char *const *args, char *const *env, struct str input,
    struct child_output out, child_done_fn *done, void *arg)
{
	char *dir = mirror == NULL ? NULL : xasprintf("--git-dir=%s", mirror->path);
	const char *argv[ARGS_MAX] = { "git" };
	size_t count = 1;
	struct child_spec spec = {
		.argv = argv,
		.env = (const char *const *)(env == NULL ? git->env : env),
		.in = input.len > 0 ? CHILD_IN_BYTES : CHILD_IN_NULL,
		.input = input,
		.out = out,
		.err = { .kind = CHILD_OUT_COLLECT, .max = STDERR_MAX },
		.timeout_ms = git->conf.fetch_timeout_ms,
	};
	struct child *child;

	if (dir != NULL)
		argv[count++] = dir;
	for (; *args != NULL; args++) {
		assert(count < ARGS_MAX - 1);
		argv[count++] = *args;
	}
	child = child_start(git->children, &spec, done, arg);
	free(dir);
	return child;
}

struct child *
git_run(struct git *git, const struct git_mirror *mirror, const char *const *args, char *const *env, struct str input,
    child_done_fn *done, void *arg)
{
	const struct child_output none = { .kind = CHILD_OUT_NULL };

	return run(git, mirror, args, env, input, none, done, arg);
}

struct child *
git_ask(struct git *git, const struct git_mirror *mirror, const char *const *args, char *const *env, size_t max,
    child_done_fn *done, void *arg)
{
	const struct child_output collected = { .kind = CHILD_OUT_COLLECT, .max = max };

	return run(git, mirror, args, env, (struct str){ 0 }, collected, done, arg);
}

struct child *
git_listen(struct git *git, const struct git_mirror *mirror, const char *const *args, child_output_fn *fn,
    child_done_fn *done, void *arg)
{
	const struct child_output stream = { .kind = CHILD_OUT_STREAM, .fn = fn };

	return run(git, mirror, args, NULL, (struct str){ 0 }, stream, done, arg);
}

struct err
git_run_error(const struct child_result *result, const struct err *err, const char *commit)
{
	if (err == NULL)
		return ERR_OK;
	if (err->code != ERR_REFUSED || result->signal != 0)
		return *err;
	return git_error(result->err, result->exit_code, commit);
}

/* --- operations --- */

bool
git_is_given(const char *text)
{
	return text != NULL && text[0] != '\0';
}

struct git_op *
git_op_new(struct git *git, enum op_kind kind, void *arg)
{
	struct git_op *op = xcalloc(1, sizeof(*op));

	*op = (struct git_op){ .git = git, .kind = kind, .arg = arg };
	git->ops++;
	return op;
}

void
git_op_free(struct git_op *op)
{
	op->git->ops--;
	free(op);
}

void
git_cancel(struct git_op **op)
{
	struct git_op *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	switch (o->kind) {
	case OP_REFUSED:
		deferred_cancel(&o->in.refused);
		break;
	case OP_CAT:
		cat_cancel(&o->in.request);
		break;
	case OP_FETCH:
		fetch_leave(o);
		break;
	case OP_WORKSPACE:
		workspace_leave(o);
		break;
	case OP_QUERY:
		query_leave(o);
		break;
	case OP_MERGE:
		merge_leave(o);
		break;
	}
	git_op_free(o);
}

static void
on_has(void *arg, const char *type, struct str bytes, const struct err *err)
{
	struct git_op *op = arg;
	git_done_fn *fn = op->fn.done;
	void *fn_arg = op->arg;

	(void)type;
	(void)bytes;
	if (err != NULL && err->code == ERR_LIMIT) /* a commit with a huge message is one, too */
		err = NULL;
	git_op_free(op);
	fn(fn_arg, err);
}

static void
on_read(void *arg, const char *type, struct str bytes, const struct err *err)
{
	struct git_op *op = arg;
	git_read_fn *fn = op->fn.read;
	void *fn_arg = op->arg;
	struct err folder = err_make(ERR_INPUT, 0, "it is a folder");

	git_op_free(op);
	if (err == NULL && strcmp(type, "blob") != 0) {
		err = &folder;
		bytes = (struct str){ "", 0 };
	}
	fn(fn_arg, bytes, err);
}

static void
on_object(void *arg, const char *type, struct str bytes, const struct err *err)
{
	struct git_op *op = arg;
	git_read_fn *fn = op->fn.read;
	void *fn_arg = op->arg;

	(void)type;
	git_op_free(op);
	fn(fn_arg, bytes, err);
}

static void
on_refused(void *arg)
{
	struct git_op *op = arg;
	struct git_op refused = *op;

	git_op_free(op);
	refused.fn.done(refused.arg, &refused.err);
}

static void
on_read_refused(void *arg)
{
	struct git_op *op = arg;
	struct git_op refused = *op;

	git_op_free(op);
	refused.fn.read(refused.arg, (struct str){ "", 0 }, &refused.err);
}

struct git_op *
git_op_refuse_by(struct git *git, const struct err *err, void (*call)(void *op), void *arg)
{
	struct git_op *op = git_op_new(git, OP_REFUSED, arg);

	op->err = *err;
	op->in.refused = deferred_call(git->loop, call, op);
	return op;
}

struct git_op *
git_op_refuse(struct git *git, const struct err *err, git_done_fn *fn, void *arg)
{
	struct git_op *op = git_op_refuse_by(git, err, on_refused, arg);

	op->fn.done = fn;
	return op;
}

static bool
names_check(const struct git_mirror *mirror, const char *commit, struct err *err)
{
	if (mirror == NULL)
		return err_set(err, ERR_INPUT, 0, "not a repository's id");
	if (!git_commit_is_valid(commit))
		return err_set(err, ERR_INPUT, 0, "a commit is named by its full id of 40 or 64 hex digits");
	return true;
}

static bool
path_check(const char *path, struct err *err)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)path[i] < ' ' || path[i] == 0x7f)
			return err_set(err, ERR_INPUT, 0, "the file's path has control bytes");
	if (len == 0 || len > PATH_IN_TREE_MAX)
		return err_set(err, ERR_INPUT, 0, "the file's path is empty or longer than %d bytes", PATH_IN_TREE_MAX);
	return true;
}

struct git_op *
git_has(struct git *git, const char *repo, const char *commit, git_done_fn *fn, void *arg)
{
	struct git_mirror *mirror = git_mirror_get(git, repo);
	struct git_op *op;
	struct err err;
	char *expression;

	if (!names_check(mirror, commit, &err))
		return git_op_refuse(git, &err, fn, arg);
	op = git_op_new(git, OP_CAT, arg);
	op->fn.done = fn;
	expression = xasprintf("refs/davit/%s^{commit}", commit);
	op->in.request = cat_ask(mirror, expression, CAT_MAX, on_has, op);
	free(expression);
	return op;
}

struct git_op *
git_read(
    struct git *git, const char *repo, const char *commit, const char *path, size_t max, git_read_fn *fn, void *arg)
{
	struct git_mirror *mirror = git_mirror_get(git, repo);
	struct git_op *op;
	struct err err;
	char *expression;

	if (!names_check(mirror, commit, &err) || !path_check(path, &err)) {
		op = git_op_refuse_by(git, &err, on_read_refused, arg);
		op->fn.read = fn;
		return op;
	}
	op = git_op_new(git, OP_CAT, arg);
	op->fn.read = fn;
	expression = xasprintf("refs/davit/%s:%s", commit, path);
	op->in.request = cat_ask(mirror, expression, max < CAT_MAX ? max : CAT_MAX, on_read, op);
	free(expression);
	return op;
}

struct git_op *
git_commit_object(struct git *git, const char *repo, const char *commit, git_read_fn *fn, void *arg)
{
	struct git_mirror *mirror = git_mirror_get(git, repo);
	struct git_op *op;
	struct err err;
	char *expression;

	if (!names_check(mirror, commit, &err)) {
		op = git_op_refuse_by(git, &err, on_read_refused, arg);
		op->fn.read = fn;
		return op;
	}
	op = git_op_new(git, OP_CAT, arg);
	op->fn.read = fn;
	expression = xasprintf("refs/davit/%s^{commit}", commit);
	op->in.request = cat_ask(mirror, expression, CAT_MAX, on_object, op);
	free(expression);
	return op;
}
