/* Questions that one git process answers: which commit a server's ref is at, where two histories meet, what differs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/cache_key.h"
#include "proto/crypto.h"
#include "proto/git_name.h"
#include "proto/glob.h"
#include "proto/mem.h"
#include "proto/plan.h"
#include "proto/ref.h"
#include "server/core/loop.h"
#include "server/io/git_impl.h"

enum {
	ANSWER_MAX = 64 * 1024,
	HEADS_BYTES_MAX = 4 << 20,
	PATHS_BYTES_MAX = 4 << 20,
	TREE_MAX = 32 << 20,
	SLICE_MS = 5
};

/* What the caller's operation points to. Its end is the callback, or git_cancel. */
struct git_query {
	struct git_op *op;
	struct child *child;
	char *ref;           /* of git_head */
	char *commit;        /* that error texts name; NULL: none */
	char *pattern;       /* of git_digest */
	struct digest *hash; /* likewise */
	struct buf tree;     /* its listing */
	size_t at;           /* what of it was looked at */
	size_t found;
	struct deferred *slice;
};

static void
query_free(struct git_query *q)
{
	child_cancel(&q->child);
	digest_free(&q->hash);
	buf_fini(&q->tree);
	deferred_cancel(&q->slice);
	free(q->pattern);
	free(q->ref);
	free(q->commit);
	free(q);
}

void
query_leave(struct git_op *op)
{
	query_free(op->in.query);
}

static struct git_op *
query_new(struct git *git, const char *ref, const char *commit, void *arg)
{
	struct git_query *q = xcalloc(1, sizeof(*q));

	q->op = git_op_new(git, OP_QUERY, arg);
	q->op->in.query = q;
	buf_init(&q->tree, TREE_MAX);
	q->ref = xstrdup_null(ref);
	q->commit = xstrdup_null(commit);
	return q->op;
}

/* Ends the operation and answers with a commit, or an error. */
static void
answer_commit(struct git_query *q, const char *commit, const struct err *err)
{
	git_commit_fn *fn = q->op->fn.commit;
	void *arg = q->op->arg;

	git_op_free(q->op);
	query_free(q);
	fn(arg, err == NULL ? commit : NULL, err);
}

static void
on_refused(void *arg)
{
	struct git_op *op = arg;
	struct git_op refused = *op;

	git_op_free(op);
	refused.fn.commit(refused.arg, NULL, &refused.err);
}

struct git_op *
git_commit_refuse(struct git *git, const struct err *err, git_commit_fn *fn, void *arg)
{
	struct git_op *op = git_op_refuse_by(git, err, on_refused, arg);

	op->fn.commit = fn;
	return op;
}

/* --- the commit of a ref --- */

/* Of lines "ID\tREF": that of the ref itself, or of what an annotated tag is for ("REF^{}"). */
static bool
find_ref(struct str lines, const char *ref, char id[65])
{
	bool found = false;

	while (lines.len > 0) {
		struct str name = str_cut(&lines, '\n'), commit = str_cut(&name, '\t');
		bool is_peeled = name.len > 3 && memcmp(name.p + name.len - 3, "^{}", 3) == 0;

		if (is_peeled)
			name.len -= 3;
		if (commit.len > 64 || !str_is(name, ref) || (found && !is_peeled))
			continue;
		memcpy(id, commit.p, commit.len);
		id[commit.len] = '\0';
		found = git_commit_is_valid(id);
	}
	return found;
}

static void
on_refs(void *arg, const struct child_result *result, const struct err *err)
{
	struct git_query *q = arg;
	struct err why = git_run_error(result, err, NULL);
	char id[65];

	q->child = NULL;
	if (err == NULL && find_ref(result->out, q->ref, id)) {
		answer_commit(q, id, NULL);
		return;
	}
	if (err == NULL)
		why = err_make(ERR_NOT_FOUND, 0, "the repository has no %.200s", q->ref);
	answer_commit(q, NULL, &why);
}

static bool
server_check(const struct git *git, const char *url, const char *ref, struct err *err)
{
	if (strcmp(ref, "HEAD") != 0 && !git_ref_is_valid(ref))
		return err_set(err, ERR_INPUT, 0, "the ref's name is not one that git takes");
	return git_url_check(url, git->conf.allow_local, err);
}

/* What the server says of its ref, by ls-remote. */
static struct git_op *
ask_server(struct git *git, const struct git_source *source, const char *ref, const char *const *args,
    child_done_fn *on_lines, git_commit_fn *fn, void *arg)
{
	char *origin = git_url_origin(source->url);
	char **env = git_env_new(&git->conf, origin, source->user, source->token);
	struct git_op *op;
	struct err err;

	if (server_check(git, source->url, ref, &err)) {
		op = query_new(git, ref, NULL, arg);
		op->fn.commit = fn;
		op->in.query->child = git_ask(git, NULL, args, env, ANSWER_MAX, on_lines, op->in.query);
	} else {
		op = git_commit_refuse(git, &err, fn, arg);
	}
	git_env_free(&env);
	free(origin);
	return op;
}

struct git_op *
git_head(struct git *git, const struct git_source *source, git_commit_fn *fn, void *arg)
{
	char *peeled = xasprintf("%s^{}", source->ref);
	const char *const args[] = { "ls-remote", "--quiet", "--", source->url, source->ref, peeled, NULL };
	struct git_op *op = ask_server(git, source, source->ref, args, on_refs, fn, arg);

	free(peeled);
	return op;
}

/* --- the default branch --- */

/* Of lines "ref: REF\tHEAD" and "ID\tHEAD". */
static bool
find_branch(struct str lines, char ref[REF_SIZE_MAX + 1])
{
	struct str name = str_cut(&lines, '\n'), target = str_cut(&name, '\t');

	if (!str_is(name, "HEAD") || !str_has_prefix(target, "ref: refs/heads/"))
		return false;
	target.p += strlen("ref: ");
	target.len -= strlen("ref: ");
	if (!ref_is_valid(target))
		return false;
	memcpy(ref, target.p, target.len);
	ref[target.len] = '\0';
	return true;
}

static void
on_symref(void *arg, const struct child_result *result, const struct err *err)
{
	struct git_query *q = arg;
	struct err why = git_run_error(result, err, NULL);
	char ref[REF_SIZE_MAX + 1];

	q->child = NULL;
	if (err == NULL && find_branch(result->out, ref)) {
		answer_commit(q, ref, NULL);
		return;
	}
	if (err == NULL)
		why =
		    err_make(ERR_NOT_FOUND, 0, "the repository has no default branch, or nothing on it; name a branch");
	answer_commit(q, NULL, &why);
}

struct git_op *
git_default_branch(struct git *git, const struct git_source *source, git_ref_fn *fn, void *arg)
{
	const char *const args[] = { "ls-remote", "--quiet", "--symref", "--", source->url, "HEAD", NULL };

	return ask_server(git, source, "HEAD", args, on_symref, fn, arg);
}

/* --- all branches and tags --- */

static void
on_heads(void *arg, const struct child_result *result, const struct err *err)
{
	struct git_query *q = arg;
	struct git_op op = *q->op;
	struct err why = git_run_error(result, err, NULL);
	struct heads heads = { 0 };

	q->child = NULL;
	if (err == NULL && result->out_cut)
		err_set(&why, ERR_LIMIT, 0, "the list of branches and tags has more than %d bytes", HEADS_BYTES_MAX);
	else if (err == NULL)
		heads_parse(result->out, &heads, &why);
	git_op_free(q->op);
	query_free(q);
	op.fn.heads(op.arg, heads, why.code == ERR_NONE ? NULL : &why);
}

static void
on_heads_refused(void *arg)
{
	struct git_op *op = arg;
	struct git_op refused = *op;

	git_op_free(op);
	refused.fn.heads(refused.arg, (struct heads){ 0 }, &refused.err);
}

struct git_op *
git_heads(struct git *git, const struct git_source *source, git_heads_fn *fn, void *arg)
{
	const char *const args[] = { "ls-remote", "--quiet", "--heads", "--tags", "--", source->url, NULL };
	char *origin = git_url_origin(source->url);
	char **env = git_env_new(&git->conf, origin, source->user, source->token);
	struct git_op *op;
	struct err err;

	if (server_check(git, source->url, "HEAD", &err)) {
		op = query_new(git, NULL, NULL, arg);
		op->in.query->child = git_ask(git, NULL, args, env, HEADS_BYTES_MAX, on_heads, op->in.query);
	} else {
		op = git_op_refuse_by(git, &err, on_heads_refused, arg);
	}
	op->fn.heads = fn;
	git_env_free(&env);
	free(origin);
	return op;
}

/* --- where two histories meet --- */

static void
on_base(void *arg, const struct child_result *result, const struct err *err)
{
	struct git_query *q = arg;
	struct err why = git_run_error(result, err, q->commit);
	char id[65];

	q->child = NULL;
	snprintf(id, sizeof(id), "%.*s", (int)strcspn(result->out.p, "\n"), result->out.p);
	if (err == NULL && git_commit_is_valid(id)) {
		answer_commit(q, id, NULL);
		return;
	}
	if (result->exit_code == 1 || err == NULL)
		why = err_make(ERR_NOT_FOUND, 0, "the two commits have no history in common");
	answer_commit(q, NULL, &why);
}

static bool
pair_check(const struct git_mirror *mirror, const char *one, const char *other, struct err *err)
{
	if (mirror == NULL)
		return err_set(err, ERR_INPUT, 0, "not a repository's id");
	if (!git_commit_is_valid(one) || !git_commit_is_valid(other))
		return err_set(err, ERR_INPUT, 0, "a commit is named by its full id of 40 or 64 hex digits");
	return true;
}

struct git_op *
git_merge_base(struct git *git, const char *repo, const char *one, const char *other, git_commit_fn *fn, void *arg)
{
	const char *const args[] = { "merge-base", one, other, NULL };
	struct git_mirror *mirror = git_mirror_get(git, repo);
	struct git_op *op;
	struct err err;

	if (!pair_check(mirror, one, other, &err))
		return git_commit_refuse(git, &err, fn, arg);
	op = query_new(git, NULL, other, arg);
	op->fn.commit = fn;
	op->in.query->child = git_ask(git, mirror, args, NULL, ANSWER_MAX, on_base, op->in.query);
	return op;
}

/* --- what differs --- */

static bool
read_paths(const struct child_result *result, struct strings *ret, struct err *err)
{
	struct str rest = result->out;

	if (result->out_cut)
		return err_set(
		    err, ERR_LIMIT, 0, "the names of the changed files have more than %d bytes", PATHS_BYTES_MAX);
	while (rest.len > 0) {
		if (ret->count == GIT_PATHS_MAX)
			return err_set(err, ERR_LIMIT, 0, "more than %d files are changed", GIT_PATHS_MAX);
		strings_add(ret, str_cut(&rest, '\0'));
	}
	return true;
}

static void
on_paths(void *arg, const struct child_result *result, const struct err *err)
{
	struct git_query *q = arg;
	struct git_op op = *q->op;
	struct err why = git_run_error(result, err, q->commit);
	struct strings paths = { 0 };

	q->child = NULL;
	if (err == NULL && !read_paths(result, &paths, &why))
		err = &why;
	git_op_free(q->op);
	query_free(q);
	op.fn.paths(op.arg, err == NULL ? &paths : NULL, err == NULL ? NULL : &why);
	strings_fini(&paths);
}

static void
on_paths_refused(void *arg)
{
	struct git_op *op = arg;
	struct git_op refused = *op;

	git_op_free(op);
	refused.fn.paths(refused.arg, NULL, &refused.err);
}

/* Without a search for renames: what was renamed is gone under one name and there under the other. */
struct git_op *
git_changed_paths(struct git *git, const char *repo, const char *from, const char *to, git_paths_fn *fn, void *arg)
{
	const char *const args[] = { "diff-tree", "-r", "-z", "--name-only", "--no-renames", from, to, NULL };
	struct git_mirror *mirror = git_mirror_get(git, repo);
	struct git_op *op;
	struct err err;

	if (pair_check(mirror, from, to, &err)) {
		op = query_new(git, NULL, to, arg);
		op->in.query->child = git_ask(git, mirror, args, NULL, PATHS_BYTES_MAX, on_paths, op->in.query);
	} else {
		op = git_op_refuse_by(git, &err, on_paths_refused, arg);
	}
	op->fn.paths = fn;
	return op;
}

/* --- what files are --- */

/* "MODE TYPE ID\tPATH" */
static void
take_entry(struct git_query *q, struct str entry)
{
	struct str path = entry, head = str_cut(&path, '\t'), id;

	str_cut(&head, ' ');
	str_cut(&head, ' ');
	id = head;
	if (path.len == 0 || !glob_match_path(q->pattern, path.p)) /* a NUL is behind it */
		return;
	cache_key_add_file(q->hash, id, path);
	q->found++;
}

static void
answer_digest(struct git_query *q, const struct err *err)
{
	struct git_op op = *q->op;
	struct err copy = err != NULL ? *err : ERR_OK;
	char hex[SHA256_HEX_SIZE];

	if (err == NULL && q->found == 0)
		copy = err_make(ERR_NOT_FOUND, 0, "the commit has no file that fits %.100s", q->pattern);
	digest_finish(&q->hash, hex);
	git_op_free(q->op);
	query_free(q);
	op.fn.digest(op.arg, copy.code == ERR_NONE ? hex : NULL, copy.code == ERR_NONE ? NULL : &copy);
}

/* A tree may have many files, and a match may take long: so many of them, then the loop goes on. */
static void
on_slice(void *arg)
{
	struct git_query *q = arg;
	int64_t until = loop_mono_ms() + SLICE_MS;
	struct str rest = { q->tree.data + q->at, q->tree.len - q->at };

	q->slice = NULL;
	while (rest.len > 0 && loop_mono_ms() < until)
		take_entry(q, str_cut(&rest, '\0'));
	q->at = q->tree.len - rest.len;
	if (rest.len > 0)
		q->slice = deferred_call(q->op->git->loop, on_slice, q);
	else
		answer_digest(q, NULL);
}

static void
on_tree(void *arg, struct str bytes)
{
	struct git_query *q = arg;

	buf_addstr(&q->tree, bytes);
}

static void
on_tree_end(void *arg, const struct child_result *result, const struct err *err)
{
	struct git_query *q = arg;
	struct err why = git_run_error(result, err, q->commit);

	q->child = NULL;
	if (err == NULL && buf_failed(&q->tree))
		why = err_make(ERR_LIMIT, 0, "the names of the commit's files have more than %d bytes", TREE_MAX);
	if (why.code != ERR_NONE)
		answer_digest(q, &why);
	else
		q->slice = deferred_call(q->op->git->loop, on_slice, q);
}

static void
on_digest_refused(void *arg)
{
	struct git_op *op = arg;
	struct git_op refused = *op;

	git_op_free(op);
	refused.fn.digest(refused.arg, NULL, &refused.err);
}

static bool
pattern_check(const char *pattern, struct err *err)
{
	if (!glob_check(pattern, err))
		return false;
	return glob_cost(pattern) <= GLOB_COST_MAX ||
	       err_set(err, ERR_LIMIT, 0, "the pattern %.60s... has too many alternatives", pattern);
}

struct git_op *
git_digest(struct git *git, const char *repo, const char *commit, const char *pattern, git_digest_fn *fn, void *arg)
{
	const char *const args[] = { "ls-tree", "-r", "-z", "--full-tree", commit, NULL };
	struct git_mirror *mirror = git_mirror_get(git, repo);
	struct git_op *op;
	struct err err;

	if (pair_check(mirror, commit, commit, &err) && pattern_check(pattern, &err)) {
		op = query_new(git, NULL, commit, arg);
		op->in.query->pattern = xstrdup(pattern);
		op->in.query->hash = digest_new(DIGEST_SHA256);
		op->in.query->child = git_listen(git, mirror, args, on_tree, on_tree_end, op->in.query);
	} else {
		op = git_op_refuse_by(git, &err, on_digest_refused, arg);
	}
	op->fn.digest = fn;
	return op;
}
