#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/git_name.h"
#include "proto/mem.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/io/git_impl.h"

/* Two commits of a mirror become a third one, without a work tree: git merges the trees in the mirror alone. The date
 * is the head's and the names are fixed, so that equal pairs give equal merges, on any node. refs/davit/COMMIT keeps it
 * alive. */
enum merge_state { MERGE_TREE, MERGE_DATE, MERGE_COMMIT, MERGE_KEEP, MERGE_DONE };

enum { TREE_OUT_MAX = 64 * 1024, ID_MAX = 64, NAMES_SHOWN = 3 };

struct git_merge {
	struct git_op *op;
	struct git_mirror *mirror;
	enum merge_state state;
	char *base;
	char *head;
	char tree[ID_MAX + 1];
	char date[32]; /* "@1700000000 +0000" */
	char commit[ID_MAX + 1];
	struct child *child;
	struct cat_request *request;
	struct err err;
};

static void enter_tree(struct git_merge *m);
static void enter_date(struct git_merge *m);
static void enter_commit(struct git_merge *m);
static void enter_keep(struct git_merge *m);
static void enter_done(struct git_merge *m);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct git_merge *m); /* what it starts has deadlines of its own */
	enum merge_state next;
} states[] = {
	[MERGE_TREE]   = { "tree",   enter_tree,   MERGE_DATE },
	[MERGE_DATE]   = { "date",   enter_date,   MERGE_COMMIT },
	[MERGE_COMMIT] = { "commit", enter_commit, MERGE_KEEP },
	[MERGE_KEEP]   = { "keep",   enter_keep,   MERGE_DONE },
	[MERGE_DONE]   = { "done",   enter_done,   MERGE_DONE },
};
/* clang-format on */

/* The only place where the state changes. m may be gone when it returns. */
static void
merge_step(struct git_merge *m, enum merge_state next)
{
	log_debug("git %s: merge %.12s: %s -> %s", m->mirror->repo, m->head, states[m->state].name, states[next].name);
	m->state = next;
	states[next].enter(m);
}

/* ERR_CONFLICT is kept for what the people in question can do something about. */
static void
merge_fail(struct git_merge *m, struct err err)
{
	m->err = err;
	if (err.code == ERR_CONFLICT && m->state != MERGE_TREE)
		m->err.code = ERR_UNAVAILABLE;
	merge_step(m, MERGE_DONE);
}

static void
merge_free(struct git_merge *m)
{
	child_cancel(&m->child);
	cat_cancel(&m->request);
	free(m->base);
	free(m->head);
	free(m);
}

void
merge_leave(struct git_op *op)
{
	merge_free(op->in.merge);
}

/* An id that ends with a line's or a string's end. */
static bool
take_id(struct str *out, char ret[ID_MAX + 1])
{
	size_t len = 0;

	while (len < out->len && out->p[len] != '\n' && out->p[len] != '\0')
		len++;
	if (len > ID_MAX)
		return false;
	memcpy(ret, out->p, len);
	ret[len] = '\0';
	*out = (struct str){ out->p + len, out->len - len };
	if (out->len > 0)
		*out = (struct str){ out->p + 1, out->len - 1 };
	return git_commit_is_valid(ret);
}

/* --- tree --- */

/* Behind the tree's id stand the files in which both sides changed the same, each ended by a NUL. */
static struct err
conflict(struct str names)
{
	struct buf text;
	unsigned count = 0;
	struct err err;

	buf_init(&text, 4096);
	while (names.len > 0) {
		struct str name = str_cut(&names, '\0');

		if (name.len == 0)
			break;
		if (count++ >= NAMES_SHOWN)
			continue;
		buf_adds(&text, count > 1 ? ", " : "");
		for (size_t i = 0; i < name.len && i < 60; i++)
			buf_addc(&text, (unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f ? '?' : name.p[i]);
	}
	if (count > NAMES_SHOWN)
		buf_addf(&text, " and %u more", count - NAMES_SHOWN);
	err = err_make(ERR_CONFLICT, 0, "both sides changed %s", text.data);
	buf_fini(&text);
	return err;
}

static void
on_tree(void *arg, const struct child_result *result, const struct err *err)
{
	struct git_merge *m = arg;
	struct str out = result->out;
	bool has_tree = take_id(&out, m->tree);

	m->child = NULL;
	if (err == NULL && has_tree)
		merge_step(m, states[m->state].next);
	else if (result->exit_code == 1 && has_tree)
		merge_fail(m, conflict(out));
	else if (err == NULL)
		merge_fail(m, err_make(ERR_PROTO, 0, "git merge-tree gave no tree"));
	else
		merge_fail(m, git_run_error(result, err, m->head));
}

static void
enter_tree(struct git_merge *m)
{
	const char *const args[] = { "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", m->base,
		m->head, NULL };

	m->child = git_ask(m->op->git, m->mirror, args, NULL, TREE_OUT_MAX, on_tree, m);
}

/* --- date --- */

/* "committer NAME <MAIL> 1700000000 +0100" */
static bool
read_date(struct str commit, char ret[32])
{
	while (commit.len > 0) {
		struct str line = str_cut(&commit, '\n');
		size_t at = line.len;

		if (line.len == 0)
			return false;
		if (!str_has_prefix(line, "committer "))
			continue;
		while (at > 0 && line.p[at - 1] != '>')
			at--;
		line = str_trim((struct str){ line.p + at, line.len - at });
		for (size_t i = 0; i < line.len; i++)
			if (strchr("0123456789 +-", line.p[i]) == NULL)
				return false;
		return line.len > 0 && snprintf(ret, 32, "@%.*s", (int)line.len, line.p) < 32;
	}
	return false;
}

static void
on_head(void *arg, const char *type, struct str bytes, const struct err *err)
{
	struct git_merge *m = arg;

	(void)type;
	m->request = NULL;
	if (err != NULL) {
		merge_fail(m, *err);
		return;
	}
	if (!read_date(bytes, m->date)) /* an old tool's */
		snprintf(m->date, sizeof(m->date), "@0 +0000");
	merge_step(m, states[m->state].next);
}

static void
enter_date(struct git_merge *m)
{
	char *expression = xasprintf("%s^{commit}", m->head);

	m->request = cat_ask(m->mirror, expression, CAT_MAX, on_head, m);
	free(expression);
}

/* --- commit --- */

static void
on_commit(void *arg, const struct child_result *result, const struct err *err)
{
	struct git_merge *m = arg;
	struct str out = result->out;

	m->child = NULL;
	if (err == NULL && take_id(&out, m->commit))
		merge_step(m, states[m->state].next);
	else if (err == NULL)
		merge_fail(m, err_make(ERR_PROTO, 0, "git commit-tree gave no commit"));
	else
		merge_fail(m, git_run_error(result, err, m->head));
}

static char **
merge_env(const struct git_merge *m)
{
	const char *const vars[][2] = {
		{ "GIT_AUTHOR_NAME", "Davit" },
		{ "GIT_AUTHOR_EMAIL", "davit@localhost" },
		{ "GIT_AUTHOR_DATE", m->date },
		{ "GIT_COMMITTER_NAME", "Davit" },
		{ "GIT_COMMITTER_EMAIL", "davit@localhost" },
		{ "GIT_COMMITTER_DATE", m->date },
	};
	char **env = git_env_with(m->op->git->env, vars[0][0], vars[0][1]);

	for (size_t i = 1; i < sizeof(vars) / sizeof(vars[0]); i++) {
		char **more = git_env_with(env, vars[i][0], vars[i][1]);

		git_env_free(&env);
		env = more;
	}
	return env;
}

static void
enter_commit(struct git_merge *m)
{
	char *message = xasprintf("Merge %s into %s", m->head, m->base);
	const char *const args[] = { "commit-tree", "-p", m->base, "-p", m->head, "-m", message, m->tree, NULL };
	char **env = merge_env(m);

	m->child = git_ask(m->op->git, m->mirror, args, env, TREE_OUT_MAX, on_commit, m);
	git_env_free(&env);
	free(message);
}

/* --- keep --- */

static void
on_kept(void *arg, const struct child_result *result, const struct err *err)
{
	struct git_merge *m = arg;

	m->child = NULL;
	if (err == NULL)
		merge_step(m, states[m->state].next);
	else
		merge_fail(m, git_run_error(result, err, m->commit));
}

static void
enter_keep(struct git_merge *m)
{
	char *name = xasprintf("refs/davit/%s", m->commit);
	const char *const args[] = { "update-ref", "--", name, m->commit, NULL };

	tidy_asked(m->mirror, m->commit);
	m->child = git_run(m->op->git, m->mirror, args, NULL, (struct str){ 0 }, on_kept, m);
	free(name);
}

/* --- the end --- */

static void
enter_done(struct git_merge *m)
{
	git_commit_fn *fn = m->op->fn.commit;
	void *arg = m->op->arg;
	struct err err = m->err;
	char commit[ID_MAX + 1];

	memcpy(commit, m->commit, sizeof(commit));
	git_op_free(m->op);
	merge_free(m);
	fn(arg, err.code == ERR_NONE ? commit : NULL, err.code == ERR_NONE ? NULL : &err);
}

struct git_op *
git_merge(struct git *git, const char *repo, const char *base, const char *head, git_commit_fn *fn, void *arg)
{
	struct git_mirror *mirror = git_mirror_get(git, repo);
	struct git_merge *m;
	struct err err;

	if (mirror == NULL || !git_commit_is_valid(base) || !git_commit_is_valid(head)) {
		err = err_make(ERR_INPUT, 0, "a merge is of two commits of a repository, by their full ids");
		return git_commit_refuse(git, &err, fn, arg);
	}
	m = xcalloc(1, sizeof(*m));
	m->op = git_op_new(git, OP_MERGE, arg);
	m->op->in.merge = m;
	m->op->fn.commit = fn;
	m->mirror = mirror;
	m->base = xstrdup(base);
	m->head = xstrdup(head);
	enter_tree(m);
	return m->op;
}
