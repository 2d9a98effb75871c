/* What git is asked, and merges: over real git, in a mirror. */
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "proto/mem.h"
#include "proto/plan.h"
#include "server/core/child.h"
#include "server/core/disk.h"
#include "server/core/loop.h"
#include "server/io/git.h"
#include "test/unit/repo.h"

struct probe {
	struct loop *loop;
	struct children *children;
	struct disk *disk;
	struct git *git;
	struct git_conf conf;
	struct test_repo repo;
	char state_dir[80];
	struct git_op *op;
	struct err err;
	char commit[65];
	char text[512];
	size_t count;
	char first[65]; /* the commit that setup made */
};

static int
setup(void **state)
{
	struct probe *p = xcalloc(1, sizeof(*p));
	struct err err;

	test_repo_make(&p->repo);
	snprintf(p->state_dir, sizeof(p->state_dir), "%s/state", p->repo.dir);
	assert_int_equal(mkdir(p->state_dir, 0700), 0);
	test_repo_commit(&p->repo, "echo one > file; mkdir sub; echo two > sub/file; echo three > third");
	memcpy(p->first, p->repo.commit, sizeof(p->first));
	p->loop = loop_new();
	p->children = children_new(p->loop);
	p->disk = disk_new(p->loop);
	p->conf = (struct git_conf){ .state_dir = p->state_dir, .allow_local = true, .fetch_timeout_ms = 30000 };
	p->git = git_new(p->loop, p->children, p->disk, &p->conf, &err);
	assert_non_null(p->git);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct probe *p = *state;

	git_free(&p->git);
	children_free(&p->children);
	disk_free(&p->disk);
	loop_free(&p->loop);
	test_repo_remove(&p->repo);
	free(p);
	return 0;
}

static void
on_done(void *arg, const struct err *err)
{
	struct probe *p = arg;

	p->op = NULL;
	p->err = err == NULL ? ERR_OK : *err;
	loop_stop(p->loop);
}

static void
on_commit(void *arg, const char *commit, const struct err *err)
{
	struct probe *p = arg;

	assert_true((commit == NULL) == (err != NULL));
	snprintf(p->commit, sizeof(p->commit), "%s", commit == NULL ? "" : commit);
	on_done(p, err);
}

static void
on_paths(void *arg, const struct strings *paths, const struct err *err)
{
	struct probe *p = arg;

	assert_true((paths == NULL) == (err != NULL));
	p->text[0] = '\0';
	p->count = paths == NULL ? 0 : paths->count;
	for (size_t i = 0; paths != NULL && i < paths->count && i < 10; i++)
		strcat(strcat(p->text, paths->items[i]), "|");
	on_done(p, err);
}

static void
on_digest(void *arg, const char *hex, const struct err *err)
{
	struct probe *p = arg;

	assert_true((hex == NULL) == (err != NULL));
	snprintf(p->text, sizeof(p->text), "%s", hex == NULL ? "" : hex);
	on_done(p, err);
}

static void
on_read(void *arg, struct str text, const struct err *err)
{
	struct probe *p = arg;

	snprintf(p->text, sizeof(p->text), "%.*s", (int)text.len, text.p);
	on_done(p, err);
}

static void
fetch(struct probe *p, const char *commit)
{
	const struct git_source source = { .repo = "app", .url = p->repo.url };

	p->op = git_fetch(p->git, &source, commit, on_done, p);
	loop_run(p->loop);
	assert_int_equal(p->err.code, ERR_NONE);
}

static enum err_code
head(struct probe *p, const char *ref)
{
	const struct git_source source = { .repo = "app", .url = p->repo.url, .ref = ref };

	p->op = git_head(p->git, &source, on_commit, p);
	loop_run(p->loop);
	return p->err.code;
}

static enum err_code
changed(struct probe *p, const char *from, const char *to)
{
	p->op = git_changed_paths(p->git, "app", from, to, on_paths, p);
	loop_run(p->loop);
	return p->err.code;
}

static enum err_code
digest(struct probe *p, const char *commit, const char *pattern)
{
	p->op = git_digest(p->git, "app", commit, pattern, on_digest, p);
	loop_run(p->loop);
	return p->err.code;
}

static enum err_code
merge(struct probe *p, const char *base, const char *commit)
{
	p->op = git_merge(p->git, "app", base, commit, on_commit, p);
	loop_run(p->loop);
	return p->err.code;
}

/* A commit on a branch that begins at the first one. */
static void
branch(struct probe *p, const char *name, const char *script, char ret[65])
{
	test_repo_run(&p->repo, "cd source && git checkout -q -b %s %s", name, p->first);
	test_repo_commit(&p->repo, script);
	memcpy(ret, p->repo.commit, 65);
}

static void
test_the_commit_of_a_ref(void **state)
{
	struct probe *p = *state;

	assert_int_equal(head(p, "refs/heads/main"), ERR_NONE);
	assert_string_equal(p->commit, p->first);
	assert_int_equal(head(p, "HEAD"), ERR_NONE);
	assert_string_equal(p->commit, p->first);
	test_repo_run(
	    &p->repo, "cd source && git tag -a v1 -m one && git tag light && git branch decoy/refs/heads/none");
	assert_int_equal(head(p, "refs/tags/v1"), ERR_NONE);
	assert_string_equal(p->commit, p->first); /* what it is for, not the tag's own object */
	assert_int_equal(head(p, "refs/tags/light"), ERR_NONE);
	assert_string_equal(p->commit, p->first);
	assert_int_equal(head(p, "refs/heads/none"), ERR_NOT_FOUND);
	assert_string_equal(p->err.text, "the repository has no refs/heads/none");
	assert_int_equal(head(p, "refs/heads/*"), ERR_INPUT);
	assert_int_equal(head(p, "--upload-pack=x"), ERR_INPUT);
}

static enum err_code
default_branch(struct probe *p)
{
	const struct git_source source = { .repo = "app", .url = p->repo.url };

	p->op = git_default_branch(p->git, &source, on_commit, p);
	loop_run(p->loop);
	return p->err.code;
}

static void
test_the_default_branch(void **state)
{
	struct probe *p = *state;

	assert_int_equal(default_branch(p), ERR_NONE);
	assert_string_equal(p->commit, "refs/heads/main");
	test_repo_run(&p->repo, "cd source && git checkout -q -b next/2 && git branch -q -D main");
	assert_int_equal(default_branch(p), ERR_NONE);
	assert_string_equal(p->commit, "refs/heads/next/2");
	test_repo_run(&p->repo, "cd source && git checkout -q --detach");
	assert_int_equal(default_branch(p), ERR_NOT_FOUND);
	test_repo_run(&p->repo, "cd source && git checkout -q --orphan empty");
	assert_int_equal(default_branch(p), ERR_NOT_FOUND);
	test_repo_run(&p->repo, "mv source elsewhere");
	assert_int_equal(default_branch(p), ERR_NOT_FOUND);
}

static void
on_heads(void *arg, struct heads heads, const struct err *err)
{
	struct probe *p = arg;

	p->text[0] = '\0';
	p->count = heads.count;
	for (size_t i = 0; i < heads.count && i < 4; i++) {
		strcat(strcat(p->text, heads.items[i].ref), heads.items[i].object[0] != '\0' ? "(tag)" : "");
		strcat(p->text, strcmp(heads.items[i].commit, p->first) == 0 ? "=first|" : "|");
	}
	heads_fini(&heads);
	on_done(p, err);
}

static void
test_all_branches_and_tags(void **state)
{
	struct probe *p = *state;
	const struct git_source source = { .repo = "app", .url = p->repo.url };

	test_repo_run(&p->repo, "cd source && git tag light && git -c user.name=x -c user.email=x@x tag -a -m x v1 && "
				"git update-ref refs/notes/x HEAD");
	p->op = git_heads(p->git, &source, on_heads, p);
	loop_run(p->loop);
	assert_int_equal(p->err.code, ERR_NONE);
	assert_string_equal(p->text, "refs/heads/main=first|refs/tags/light=first|refs/tags/v1(tag)=first|");
	test_repo_run(&p->repo, "mv source elsewhere");
	p->op = git_heads(p->git, &source, on_heads, p);
	loop_run(p->loop);
	assert_int_equal(p->err.code, ERR_NOT_FOUND);
	p->op = git_heads(p->git, &(struct git_source){ .repo = "app", .url = "ext::sh" }, on_heads, p);
	loop_run(p->loop);
	assert_int_equal(p->err.code, ERR_INPUT);
}

static void
test_a_commits_object(void **state)
{
	struct probe *p = *state;

	fetch(p, p->first);
	p->op = git_commit_object(p->git, "app", p->first, on_read, p);
	loop_run(p->loop);
	assert_int_equal(p->err.code, ERR_NONE);
	assert_memory_equal(p->text, "tree ", 5);
	assert_non_null(strstr(p->text, "\nauthor "));
	p->op = git_commit_object(p->git, "app", "1111111111111111111111111111111111111111", on_read, p);
	loop_run(p->loop);
	assert_int_equal(p->err.code, ERR_NOT_FOUND);
	p->op = git_commit_object(p->git, "app", "HEAD", on_read, p);
	loop_run(p->loop);
	assert_int_equal(p->err.code, ERR_INPUT);
}

static void
test_no_server(void **state)
{
	struct probe *p = *state;

	test_repo_run(&p->repo, "mv source elsewhere");
	assert_int_equal(head(p, "refs/heads/main"), ERR_NOT_FOUND);
}

static void
test_changed_paths(void **state)
{
	struct probe *p = *state;

	test_repo_commit(
	    &p->repo, "echo new > sub/new; mv third renamed; echo x > '-r'; printf x > 'a b\nc'; chmod +x file");
	fetch(p, p->repo.commit);
	assert_int_equal(changed(p, p->first, p->repo.commit), ERR_NONE);
	assert_string_equal(p->text, "-r|a b\nc|file|renamed|sub/new|third|");
	assert_int_equal(changed(p, p->first, p->first), ERR_NONE);
	assert_int_equal(p->count, 0);
	assert_int_equal(changed(p, "0123456789012345678901234567890123456789", p->first), ERR_NOT_FOUND);
	assert_int_equal(changed(p, "main", p->first), ERR_INPUT);
}

static void
test_too_many_paths(void **state)
{
	struct probe *p = *state;

	test_repo_commit(&p->repo, "mkdir many; cd many; seq 9999 | xargs touch");
	fetch(p, p->repo.commit);
	assert_int_equal(changed(p, p->first, p->repo.commit), ERR_NONE);
	assert_int_equal(p->count, 9999);
	test_repo_commit(&p->repo, "touch one two");
	fetch(p, p->repo.commit);
	assert_int_equal(changed(p, p->first, p->repo.commit), ERR_LIMIT);
}

static void
test_what_files_are(void **state)
{
	struct probe *p = *state;
	char locks[100], all[100];

	test_repo_commit(&p->repo, "mkdir -p a/b; echo 1 >a/x.lock; echo 2 >a/b/x.lock; echo 3 >a/other");
	fetch(p, p->repo.commit);
	assert_int_equal(digest(p, p->repo.commit, "**/*.lock"), ERR_NONE);
	assert_int_equal(strlen(p->text), 64);
	strcpy(locks, p->text);
	assert_int_equal(digest(p, p->repo.commit, "a"), ERR_NONE);
	strcpy(all, p->text);
	assert_string_not_equal(locks, all);
	assert_int_equal(digest(p, p->repo.commit, "a/x.lock"), ERR_NONE);
	assert_string_not_equal(locks, p->text);
	assert_int_equal(digest(p, p->repo.commit, "none*"), ERR_NOT_FOUND);
	assert_int_equal(digest(p, p->repo.commit, "[x"), ERR_INPUT);
	assert_int_equal(digest(p, "main", "a"), ERR_INPUT);
	assert_int_equal(digest(p, "0123456789012345678901234567890123456789", "a"), ERR_REFUSED);
	test_repo_commit(&p->repo, "echo 4 >a/other");
	fetch(p, p->repo.commit);
	assert_int_equal(digest(p, p->repo.commit, "**/*.lock"), ERR_NONE);
	assert_string_equal(locks, p->text);
	assert_int_equal(digest(p, p->repo.commit, "a"), ERR_NONE);
	assert_string_not_equal(all, p->text);
	p->op = git_digest(p->git, "app", p->repo.commit, "a", on_digest, p);
	git_cancel(&p->op);
}

static void
test_merge_base(void **state)
{
	struct probe *p = *state;
	char one[65], other[65];

	branch(p, "one", "echo 1 > one", one);
	branch(p, "other", "echo 2 > other", other);
	fetch(p, one);
	fetch(p, other);
	p->op = git_merge_base(p->git, "app", one, other, on_commit, p);
	loop_run(p->loop);
	assert_int_equal(p->err.code, ERR_NONE);
	assert_string_equal(p->commit, p->first);
	test_repo_run(&p->repo, "cd source && git checkout -q --orphan root");
	test_repo_commit(&p->repo, "echo root > root");
	fetch(p, p->repo.commit);
	p->op = git_merge_base(p->git, "app", one, p->repo.commit, on_commit, p);
	loop_run(p->loop);
	assert_int_equal(p->err.code, ERR_NOT_FOUND);
}

static void
test_merge(void **state)
{
	struct probe *p = *state;
	char base[65], commit[65], merged[65], parents[160], expected[160];

	branch(p, "target", "echo 1 > one", base);
	branch(p, "change", "echo 2 > two; echo changed > file", commit);
	fetch(p, base);
	fetch(p, commit);
	assert_int_equal(merge(p, base, commit), ERR_NONE);
	memcpy(merged, p->commit, sizeof(merged));
	assert_int_equal(merge(p, base, commit), ERR_NONE);
	assert_string_equal(p->commit, merged); /* the same again */
	p->op = git_read(p->git, "app", merged, "one", 100, on_read, p);
	loop_run(p->loop);
	assert_string_equal(p->text, "1\n");
	p->op = git_read(p->git, "app", merged, "file", 100, on_read, p);
	loop_run(p->loop);
	assert_string_equal(p->text, "changed\n");
	test_repo_line(&p->repo, parents, sizeof(parents),
	    "git --git-dir=state/git/app.git log -1 --format=%P refs/davit/$(ls -t "
	    "state/git/app.git/refs/davit | head -1)");
	snprintf(expected, sizeof(expected), "%s %s", base, commit);
	assert_string_equal(parents, expected);
}

static void
test_conflict(void **state)
{
	struct probe *p = *state;
	char base[65], commit[65];

	branch(p, "target", "for f in file sub/file third; do echo ours > $f; done; printf ours > 'bad\tname'", base);
	branch(p, "change", "for f in file sub/file third; do echo theirs > $f; done; printf theirs > 'bad\tname'",
	    commit);
	fetch(p, base);
	fetch(p, commit);
	assert_int_equal(merge(p, base, commit), ERR_CONFLICT);
	assert_string_equal(p->err.text, "both sides changed bad?name, file, sub/file and 1 more");
	assert_int_equal(merge(p, base, "0123456789012345678901234567890123456789"), ERR_REFUSED);
	assert_int_equal(merge(p, base, "main"), ERR_INPUT);
}

static void
on_cancel(void *arg)
{
	struct probe *p = arg;

	git_cancel(&p->op);
	loop_stop(p->loop);
}

static void
test_cancel_at_any_time(void **state)
{
	struct probe *p = *state;
	struct timer *timer = timer_new(p->loop, on_cancel, p);
	char base[65], commit[65];

	branch(p, "target", "echo 1 > one", base);
	branch(p, "change", "echo 2 > two", commit);
	fetch(p, base);
	fetch(p, commit);
	for (int ms = 0; ms < 40; ms += 4) {
		timer_start(timer, ms);
		merge(p, base, commit);
		timer_stop(timer);
		timer_start(timer, ms / 4);
		changed(p, base, commit);
		timer_stop(timer);
		assert_null(p->op);
	}
	timer_free(&timer);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_commit_of_a_ref),
		TEST(test_the_default_branch),
		TEST(test_all_branches_and_tags),
		TEST(test_a_commits_object),
		TEST(test_no_server),
		TEST(test_changed_paths),
		TEST(test_too_many_paths),
		TEST(test_what_files_are),
		TEST(test_merge_base),
		TEST(test_merge),
		TEST(test_conflict),
		TEST(test_cancel_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
