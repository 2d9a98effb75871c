#include "cli/workspace.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "server/core/child.h"
#include "server/core/loop.h"

#define LIST_MAX (64u << 20) /* names of files, separated by NUL */
#define OUTPUT_MAX 4096
#define STEP_TIMEOUT_MS (10 * 60 * 1000)

enum workspace_state {
	WORKSPACE_HEAD,  /* which commit, which branch */
	WORKSPACE_LIST,  /* the files that belong to it */
	WORKSPACE_CLONE, /* a .git with the last commit alone */
	WORKSPACE_INDEX, /* which knows all files as they are in that commit */
	WORKSPACE_GIT,   /* that .git into the tar */
	WORKSPACE_FILES, /* the files into the tar */
	WORKSPACE_WHOLE, /* without git: the folder into the tar */
	WORKSPACE_DONE,
};

struct workspace {
	struct children *children;
	enum workspace_state state;
	struct deferred *begin;
	struct child *child;
	char *top;
	char *folder; /* temporary: workspace/.git and the tar */
	char *tar;
	char *clone;
	char *commit;
	char *branch;
	struct buf list;
	struct workspace_result result;
	struct err err;
	workspace_fn *fn;
	void *arg;
};

static void enter_head(struct workspace *w);
static void enter_list(struct workspace *w);
static void enter_clone(struct workspace *w);
static void enter_index(struct workspace *w);
static void enter_git(struct workspace *w);
static void enter_files(struct workspace *w);
static void enter_whole(struct workspace *w);
static void enter_done(struct workspace *w);

static void take_nothing(struct workspace *w, struct str out);
static void take_head(struct workspace *w, struct str out);
static void take_list(struct workspace *w, struct str out);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct workspace *w);
	void (*take)(struct workspace *w, struct str out); /* what the program printed */
	enum workspace_state next;
} states[] = {
	[WORKSPACE_HEAD]  = { "git rev-parse", enter_head,  take_head,    WORKSPACE_LIST },
	[WORKSPACE_LIST]  = { "git ls-files",  enter_list,  take_list,    WORKSPACE_CLONE },
	[WORKSPACE_CLONE] = { "git clone",     enter_clone, take_nothing, WORKSPACE_INDEX },
	[WORKSPACE_INDEX] = { "git reset",     enter_index, take_nothing, WORKSPACE_GIT },
	[WORKSPACE_GIT]   = { "tar of .git",   enter_git,   take_nothing, WORKSPACE_FILES },
	[WORKSPACE_FILES] = { "tar",           enter_files, take_nothing, WORKSPACE_DONE },
	[WORKSPACE_WHOLE] = { "tar",           enter_whole, take_nothing, WORKSPACE_DONE },
	[WORKSPACE_DONE]  = { "done",          enter_done,  take_nothing, WORKSPACE_DONE },
};
/* clang-format on */

static void
workspace_step(struct workspace *w, enum workspace_state next)
{
	w->state = next;
	states[next].enter(w);
}

static void
workspace_fail(struct workspace *w, struct err err)
{
	w->err = err_prefix(err, "workspace: %s", states[w->state].name);
	workspace_step(w, WORKSPACE_DONE);
}

static void
on_done(void *arg, const struct child_result *result, const struct err *err)
{
	struct workspace *w = arg;

	w->child = NULL;
	if (w->state == WORKSPACE_HEAD && err != NULL && err->code == ERR_REFUSED) {
		workspace_step(w, WORKSPACE_LIST); /* no commit yet */
	} else if (err != NULL) {
		workspace_fail(w, err_prefix(*err, "%.100s", result->err.p));
	} else if (result->out_cut) {
		workspace_fail(w, err_make(ERR_LIMIT, 0, "more than %u bytes of names", LIST_MAX));
	} else {
		states[w->state].take(w, result->out);
		workspace_step(w, states[w->state].next);
	}
}

/* The user's own git and tar, with the user's own settings: it is their working copy. */
static void
start(struct workspace *w, const char *const *argv, struct str input, size_t out_max)
{
	extern char **environ;
	struct child_spec spec = {
		.argv = argv,
		.env = (const char *const *)environ,
		.dir = w->top,
		.in = input.len > 0 ? CHILD_IN_BYTES : CHILD_IN_NULL,
		.input = input,
		.out = { .kind = CHILD_OUT_COLLECT, .max = out_max },
		.err = { .kind = CHILD_OUT_COLLECT, .max = OUTPUT_MAX },
		.timeout_ms = STEP_TIMEOUT_MS,
	};

	w->child = child_start(w->children, &spec, on_done, w);
}

static void
take_nothing(struct workspace *w, struct str out)
{
	(void)w;
	(void)out;
}

static void
enter_head(struct workspace *w)
{
	static const char *const argv[] = { "git", "rev-parse", "HEAD", "--abbrev-ref", "HEAD", NULL };

	start(w, argv, STR(""), OUTPUT_MAX);
}

static void
take_head(struct workspace *w, struct str out)
{
	struct str rest = out, commit = str_cut(&rest, '\n'), branch = str_cut(&rest, '\n');

	free(w->commit);
	free(w->branch);
	w->commit = str_dup(commit);
	w->branch = str_is(branch, "HEAD") ? xstrdup("") : str_dup(branch);
}

static void
enter_list(struct workspace *w)
{
	static const char *const argv[] = { "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard",
		NULL };

	start(w, argv, STR(""), LIST_MAX);
}

/* What was deleted and is still in the index has no file. */
static void
take_list(struct workspace *w, struct str out)
{
	while (out.len > 0) {
		struct str name = str_cut(&out, '\0');
		char *path = xasprintf("%s/%.*s", w->top, (int)name.len, name.p);
		struct stat st;

		if (name.len > 0 && lstat(path, &st) == 0)
			buf_add(&w->list, name.p, name.len + 1);
		free(path);
	}
}

static void
enter_clone(struct workspace *w)
{
	char *url = xasprintf("file://%s", w->top);
	const char *const argv[] = { "git", "clone", "--quiet", "--no-checkout", "--depth=1", "--", url, w->clone,
		NULL };

	if (w->commit[0] == '\0')
		workspace_step(w, WORKSPACE_FILES);
	else
		start(w, argv, STR(""), OUTPUT_MAX);
	free(url);
}

static void
enter_index(struct workspace *w)
{
	const char *const argv[] = { "git", "-C", w->clone, "reset", "--quiet", NULL };

	start(w, argv, STR(""), OUTPUT_MAX);
}

static void
enter_git(struct workspace *w)
{
	const char *const argv[] = { "tar", "--create", "--blocking-factor=1", "--file", w->tar, "--owner=0",
		"--group=0", "--numeric-owner", "--directory", w->folder, "workspace", NULL };

	start(w, argv, STR(""), OUTPUT_MAX);
}

/* Appended, or begun when there is no .git. Links keep what they point to. */
static void
enter_files(struct workspace *w)
{
	const char *const argv[] = { "tar", w->commit[0] != '\0' ? "--append" : "--create", "--blocking-factor=1",
		"--file", w->tar, "--owner=0", "--group=0", "--numeric-owner", "--no-recursion", "--hard-dereference",
		"--transform=flags=rS;s,^,workspace/,", "--null", "--files-from=-", NULL };

	start(w, argv, buf_str(&w->list), OUTPUT_MAX);
}

static void
enter_whole(struct workspace *w)
{
	const char *const argv[] = { "tar", "--create", "--blocking-factor=1", "--file", w->tar, "--owner=0",
		"--group=0", "--numeric-owner", "--hard-dereference", "--transform=flags=rS;s,^\\.,workspace,", ".",
		NULL };

	start(w, argv, STR(""), OUTPUT_MAX);
}

static void
enter_done(struct workspace *w)
{
	w->result = (struct workspace_result){ w->folder, w->tar, w->commit, w->branch };
	buf_reset(&w->list);
	w->fn(w->arg, w->err.code == ERR_NONE ? &w->result : NULL, w->err.code == ERR_NONE ? NULL : &w->err);
}

static bool
has_git(const char *folder)
{
	char *path = xasprintf("%s/.git", folder);
	bool has = access(path, F_OK) == 0;

	free(path);
	return has;
}

/* GIT_CEILING_DIRECTORIES (git(1)): folders in which, and above which, git does not look for a .git either. */
static bool
is_ceiling(const char *folder)
{
	struct str rest = str_of(getenv("GIT_CEILING_DIRECTORIES"));

	while (rest.len > 0)
		if (str_is(str_cut(&rest, ':'), folder))
			return true;
	return false;
}

/* NULL when no folder from here on upwards has a .git. */
static char *
find_git(const char *here)
{
	char *top = xstrdup(here);

	while (!has_git(top)) {
		char *slash = strrchr(top, '/');

		if (slash == top || slash == NULL) {
			free(top);
			return NULL;
		}
		*slash = '\0';
		if (is_ceiling(top)) {
			free(top);
			return NULL;
		}
	}
	return top;
}

char *
workspace_top(void)
{
	char *here = getcwd(NULL, 0), *top = here != NULL ? find_git(here) : NULL;

	if (top == NULL)
		return here != NULL ? here : xstrdup(".");
	free(here);
	return top;
}

static void
on_begin(void *arg)
{
	struct workspace *w = arg;

	w->begin = NULL;
	if (mkdtemp(w->folder) == NULL) {
		w->err = err_errno("%s", w->folder);
		free(w->folder);
		w->folder = NULL;
		workspace_step(w, WORKSPACE_DONE);
		return;
	}
	w->tar = xasprintf("%s/workspace.tar", w->folder);
	w->clone = xasprintf("%s/workspace", w->folder);
	workspace_step(w, has_git(w->top) ? WORKSPACE_HEAD : WORKSPACE_WHOLE);
}

char *
workspace_branch(void)
{
	static const char ref[] = "ref: refs/heads/";
	char *top = workspace_top(), *path = xasprintf("%s/.git/HEAD", top), *branch = NULL;
	FILE *file = fopen(path, "re");
	char line[512];

	if (file != NULL && fgets(line, sizeof(line), file) != NULL && strncmp(line, ref, strlen(ref)) == 0) {
		line[strcspn(line, "\n")] = '\0';
		branch = xstrdup(line + strlen(ref));
	}
	if (file != NULL)
		fclose(file);
	free(path);
	free(top);
	return branch;
}

struct workspace *
workspace_make(struct loop *loop, struct children *children, const char *top, workspace_fn *fn, void *arg)
{
	struct workspace *w = xcalloc(1, sizeof(*w));
	const char *tmp = getenv("TMPDIR");

	*w = (struct workspace){ .children = children, .fn = fn, .arg = arg, .err = ERR_OK };
	w->top = xstrdup(top);
	w->commit = xstrdup("");
	w->branch = xstrdup("");
	buf_init(&w->list, LIST_MAX);
	w->folder = xasprintf("%s/davit-run-XXXXXX", tmp != NULL ? tmp : "/tmp");
	w->begin = deferred_call(loop, on_begin, w);
	return w;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

void
workspace_free(struct workspace **workspace)
{
	struct workspace *w = *workspace;

	*workspace = NULL;
	if (w == NULL)
		return;
	deferred_cancel(&w->begin);
	child_cancel(&w->child);
	if (w->tar != NULL)
		nftw(w->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	buf_fini(&w->list);
	free(w->top);
	free(w->folder);
	free(w->tar);
	free(w->clone);
	free(w->commit);
	free(w->branch);
	free(w);
}
