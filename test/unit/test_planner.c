#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "proto/mem.h"
#include "server/core/child.h"
#include "server/core/disk.h"
#include "server/core/loop.h"
#include "server/io/git.h"
#include "server/scheduler/planner.h"
#include "test/unit/repo.h"

/* The planner over real git; no store. */
struct probe {
	struct test_repo source;
	char state_dir[80];
	char templates[80];
	struct loop *loop;
	struct children *children;
	struct disk *disk;
	struct git_conf conf;
	struct git *git;
	struct planner *planner;
	struct repo repo;
	struct build build;
	struct change change;
	struct planner_op *op;
	int calls;
	struct planner_result result;
};

static void
on_planned(void *arg, struct planner_result *result)
{
	struct probe *p = arg;

	p->op = NULL;
	p->calls++;
	p->result = *result;
	loop_stop(p->loop);
}

static char id[] = "acme-app";
static char empty[] = "";
static char main_ref[] = "refs/heads/main";
static char main_branch[] = "main";
static char merge_word[] = "merge";

static int
setup(void **state)
{
	struct probe *p = xcalloc(1, sizeof(*p));
	struct err err;

	test_repo_make(&p->source);
	snprintf(p->state_dir, sizeof(p->state_dir), "%s/state", p->source.dir);
	snprintf(p->templates, sizeof(p->templates), "%s/templates", p->source.dir);
	assert_int_equal(mkdir(p->state_dir, 0700), 0);
	p->loop = loop_new();
	p->children = children_new(p->loop);
	p->disk = disk_new(p->loop);
	p->conf = (struct git_conf){ .state_dir = p->state_dir, .allow_local = true, .fetch_timeout_ms = 30000 };
	p->git = git_new(p->loop, p->children, p->disk, &p->conf, &err);
	assert_non_null(p->git);
	p->planner = planner_new(p->loop, p->git, p->disk, &(struct planner_conf){ .templates = p->templates });
	p->repo = (struct repo){ .id = id, .url = p->source.url, .token = empty };
	p->build = (struct build){
		.build = 17, .repo = id, .ref = main_ref, .branch = main_branch, .commit = p->source.commit
	};
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct probe *p = *state;

	plan_free(&p->result.plan);
	free(p->result.ref);
	planner_free(&p->planner);
	git_free(&p->git);
	children_free(&p->children);
	disk_free(&p->disk);
	loop_free(&p->loop);
	test_repo_remove(&p->source);
	free(p);
	return 0;
}

static void
start(struct probe *p)
{
	p->op = planner_start(p->planner, &p->build, &p->repo, on_planned, p);
	assert_int_equal(p->calls, 0);
}

static void
plan(struct probe *p)
{
	start(p);
	loop_run(p->loop);
	assert_int_equal(p->calls, 1);
}

static void
assert_ends(struct probe *p, enum build_state state, const char *reason)
{
	assert_null(p->result.plan);
	assert_int_equal(p->result.state, state);
	assert_string_equal(p->result.reason, reason);
}

static void
test_plan(void **state)
{
	struct probe *p = *state;

	test_repo_commit(&p->source, "printf 'image: busybox\\nscript:\\n  - echo hello\\n' > daocloud.yml");
	plan(p);
	assert_string_equal(p->result.reason, "");
	assert_non_null(p->result.plan);
	assert_int_equal(p->result.plan->job_count, 1);
	assert_string_equal(p->result.plan->jobs[0].image, "busybox");
	assert_true(p->result.plan->commit_ms > 1000000000000 && p->result.plan->commit_ms % 1000 == 0);
}

static void
test_alias(void **state)
{
	struct probe *p = *state;

	test_repo_commit(&p->source, "printf 'image: busybox\\nscript:\\n  - echo hello\\n' > davit.yml");
	plan(p);
	assert_non_null(p->result.plan);
}

static void
on_workspace(void *arg, struct git_workspace *workspace, const struct err *err)
{
	struct probe *p = arg;

	assert_null(err);
	git_workspace_release(&workspace);
	loop_stop(p->loop);
}

/* What the planner began is what a job then asks for. */
static void
test_workspace_is_prepared(void **state)
{
	struct probe *p = *state;
	struct git_checkout wanted = { .repo = id, .ref = main_ref };
	char count[16];

	test_repo_commit(&p->source, "printf 'image: busybox\\nscript:\\n  - echo hello\\n' > daocloud.yml");
	plan(p);
	wanted.commit = p->source.commit;
	wanted.origin = p->source.url;
	git_workspace(p->git, &wanted, on_workspace, p);
	loop_run(p->loop);
	test_repo_line(&p->source, count, sizeof(count), "ls state/workspace/*/*.tar | wc -l");
	assert_string_equal(count, "1");
}

/* --- a commit that nobody named, a merge, the changed files --- */

#define FILE_OF(script) "printf 'image: busybox\\nscript:\\n  - " script "\\n' > daocloud.yml"

static void
test_the_head_of_a_branch(void **state)
{
	struct probe *p = *state;

	test_repo_commit(&p->source, FILE_OF("echo hello"));
	p->build.commit = empty;
	plan(p);
	assert_non_null(p->result.plan);
	assert_string_equal(p->result.commit, p->source.commit);
	assert_string_equal(p->result.built, "");
}

static void
test_the_default_branch(void **state)
{
	struct probe *p = *state;
	char ref[] = CHANGE_REF_DEFAULT;

	test_repo_commit(&p->source, "printf 'image: busybox:${branch}\\nscript: [true]\\n' > daocloud.yml");
	test_repo_run(&p->source, "git -C source branch -q -m trunk");
	p->build.ref = ref;
	p->build.branch = empty;
	p->build.commit = empty;
	plan(p);
	assert_string_equal(p->result.reason, "");
	assert_string_equal(p->result.ref, "refs/heads/trunk");
	assert_string_equal(p->result.commit, p->source.commit);
	assert_string_equal(p->result.plan->jobs[0].image, "busybox:trunk");
}

/* The branch is looked up, the commit stays. */
static void
test_a_commit_of_the_default_branch(void **state)
{
	struct probe *p = *state;
	char ref[] = CHANGE_REF_DEFAULT, first[65];

	test_repo_commit(&p->source, FILE_OF("echo hello"));
	memcpy(first, p->source.commit, sizeof(first));
	test_repo_commit(&p->source, "echo later > file");
	p->build.ref = ref;
	p->build.commit = first;
	plan(p);
	assert_string_equal(p->result.ref, "refs/heads/main");
	assert_string_equal(p->result.commit, first);
}

static void
test_no_default_branch(void **state)
{
	struct probe *p = *state;
	char ref[] = CHANGE_REF_DEFAULT;

	p->build.ref = ref;
	p->build.commit = empty;
	plan(p);
	assert_ends(
	    p, BUILD_FAILED, "default branch: the repository has no default branch, or nothing on it; name a branch");
	assert_null(p->result.ref);
}

static void
test_no_such_branch(void **state)
{
	struct probe *p = *state;
	char ref[] = "refs/heads/gone";

	test_repo_commit(&p->source, FILE_OF("echo hello"));
	p->build.commit = empty;
	p->build.ref = ref;
	plan(p);
	assert_ends(p, BUILD_FAILED, "head: the repository has no refs/heads/gone");
}

/* --- the first build of an image --- */

#define IMAGES(more)                                                             \
	"printf 'jobs:\n  image:\n    build: {tags: {image: app, as: [init" more \
	"]}}\n  rest: {image: busybox, script: [\"true\"]}\n' > daocloud.yml"

/* tag: the image's first one; NULL: the job is left out. */
static void
assert_first(struct probe *p, bool is_first, const char *tag)
{
	const struct job_spec *job;

	plan(p);
	assert_string_equal(p->result.reason, "");
	job = &p->result.plan->jobs[0];
	assert_int_equal(p->result.plan->is_first, is_first);
	if (tag == NULL)
		assert_non_null(job->skipped);
	else
		assert_string_equal(job->build->tags.items[0], tag);
	plan_free(&p->result.plan);
	p->calls = 0;
}

static const char *
with_commit(const struct probe *p, const char *branch, char text[100])
{
	snprintf(text, 100, "app:%s-%.7s", branch, p->source.commit);
	return text;
}

static void
test_the_first_image(void **state)
{
	struct probe *p = *state;
	char text[100], aside[] = "refs/heads/aside", master[] = "refs/heads/master", aside_branch[] = "aside",
			master_branch[] = "master";

	test_repo_commit(&p->source, IMAGES(", branch-sha"));
	test_repo_run(&p->source, "git -C source branch -q aside && git -C source branch -q master");
	p->build.change_id = 5;
	assert_first(p, true, "app:main-init");
	p->repo.first_image = 5;
	assert_first(p, true, "app:main-init"); /* a rerun */
	p->repo.first_image = 4;
	p->build.ref = master;
	p->build.branch = master_branch;
	assert_first(p, false, with_commit(p, "master", text));
	p->repo.first_image = 0;
	assert_first(p, true, "app:master-init"); /* although it is not the default branch */
	p->build.ref = aside;
	p->build.branch = aside_branch;
	assert_first(p, false, with_commit(p, "aside", text));
}

/* A job that has no other tag. */
static void
test_no_image_is_the_first(void **state)
{
	struct probe *p = *state;
	char event[] = "push";

	test_repo_commit(&p->source, IMAGES(""));
	p->build.event = event;
	p->repo.first_image = 4;
	assert_first(p, false, NULL);
	p->change = (struct change){ .event = CHANGE_PULL_REQUEST, .branch = main_branch, .pull_number = 7 };
	p->build.change = &p->change;
	p->repo.first_image = 0;
	assert_first(p, false, NULL);
}

/* The first commit is on main; a pull request's is on a branch of its own. */
static void
make_pull(struct probe *p, const char *ours, const char *theirs, char ours_id[65])
{
	char first[65];

	test_repo_commit(&p->source, FILE_OF("echo hello"));
	memcpy(first, p->source.commit, sizeof(first));
	test_repo_commit(&p->source, ours);
	memcpy(ours_id, p->source.commit, 65);
	test_repo_run(&p->source, "cd source && git checkout -q -b change %s", first);
	test_repo_commit(&p->source, theirs);
	p->change = (struct change){ .event = CHANGE_PULL_REQUEST, .branch = main_branch, .pull_number = 7 };
	p->build.change = &p->change;
	p->repo.pulls = merge_word;
}

static void
test_a_pull_request_is_merged(void **state)
{
	struct probe *p = *state;
	char main_id[65];

	make_pull(p, FILE_OF("echo both"), "echo x > x", main_id);
	plan(p);
	assert_string_equal(p->result.reason, "");
	assert_string_equal(p->result.plan->jobs[0].segments[0].commands[0], "echo both");
	assert_string_equal(p->result.base, main_id);
	assert_string_equal(p->result.commit, p->source.commit);
	assert_int_equal(strlen(p->result.built), 40);
}

static void
test_a_pull_request_conflicts(void **state)
{
	struct probe *p = *state;
	char main_id[65];

	make_pull(p, FILE_OF("echo ours"), FILE_OF("echo theirs"), main_id);
	plan(p);
	assert_ends(p, BUILD_FAILED, "it cannot be merged into main: both sides changed daocloud.yml");
}

static void
write_template(struct probe *p, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	mkdir(p->templates, 0700);
	snprintf(path, sizeof(path), "%s/%s.yml", p->templates, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* A file of the commit, and a text of the server's. */
static void
test_includes(void **state)
{
	struct probe *p = *state;

	test_repo_commit(&p->source,
	    "mkdir ci && echo 'image: busybox' > ci/a.yml && "
	    "printf 'include: [ci/a.yml, {template: b}]\\njobs: {own: {script: x}}\\n' > daocloud.yml");
	write_template(p, "b", "jobs: {more: {script: y}}\n");
	plan(p);
	assert_string_equal(p->result.reason, "");
	assert_int_equal(p->result.plan->job_count, 2);
	assert_string_equal(p->result.plan->jobs[1].name, "more");
	assert_string_equal(p->result.plan->jobs[1].image, "busybox");
}

static void
test_includes_that_are_not_there(void **state)
{
	struct probe *p = *state;

	test_repo_commit(&p->source, "printf 'include: {template: b}\\nimage: i\\nscript: x\\n' > daocloud.yml");
	plan(p);
	assert_ends(p, BUILD_FAILED, "daocloud.yml:1:10: the server has no template \"b\"");
	p->calls = 0;
	test_repo_commit(&p->source, "printf 'include: b\\nimage: i\\nscript: x\\n' > daocloud.yml");
	plan(p);
	assert_ends(p, BUILD_FAILED, "daocloud.yml:1:10: there is no file b to include");
	p->calls = 0;
	p->templates[0] = '\0';
	test_repo_commit(&p->source, "printf 'include: {template: b}\\nimage: i\\nscript: x\\n' > daocloud.yml");
	plan(p);
	assert_ends(p, BUILD_FAILED, "daocloud.yml:1:10: the server has no template \"b\"");
}

static void
test_no_file(void **state)
{
	struct probe *p = *state;

	test_repo_commit(&p->source, "echo hello > README");
	plan(p);
	assert_ends(p, BUILD_FAILED,
	    "there is no daocloud.yml at the root of this commit: add one with \"image\" and "
	    "\"script\" (davit.yml is read too)");
}

static void
test_broken_file(void **state)
{
	struct probe *p = *state;

	test_repo_commit(&p->source, "printf 'image: busybox\\nscript: [\\n' > daocloud.yml");
	plan(p);
	assert_null(p->result.plan);
	assert_int_equal(p->result.state, BUILD_FAILED);
	assert_memory_equal(p->result.reason, "daocloud.yml:", 13);
}

static void
test_folder_of_that_name(void **state)
{
	struct probe *p = *state;

	test_repo_commit(&p->source, "mkdir daocloud.yml; echo x > daocloud.yml/x");
	plan(p);
	assert_ends(p, BUILD_FAILED, "daocloud.yml: it is a folder");
}

static void
test_huge_file(void **state)
{
	struct probe *p = *state;

	test_repo_commit(&p->source, "head -c 300000 /dev/zero | tr '\\0' '#' > daocloud.yml");
	plan(p);
	assert_ends(p, BUILD_FAILED, "daocloud.yml: it is larger than 262144 bytes");
}

/* A thread reads what is larger than the loop should: the whole, its includes, and what is wrong with it. */
static void
test_large_file(void **state)
{
	struct probe *p = *state;

	write_template(p, "b", "jobs: {more: {script: y}}\n");
	test_repo_commit(&p->source,
	    "{ echo 'image: busybox'; yes '# a comment' | head -c 100000; echo; echo 'include: {template: b}'; "
	    "printf 'jobs: {own: {script: [x'; yes ', x' | tr -d '\\n' | head -c 30000; echo ']}}'; } > daocloud.yml");
	plan(p);
	assert_string_equal(p->result.reason, "");
	assert_int_equal(p->result.plan->job_count, 2);
	assert_int_equal(p->result.plan->jobs[0].segments[0].command_count, 10001);
	plan_free(&p->result.plan);
	p->calls = 0;
	test_repo_commit(&p->source, "echo 'scrpt: x' >> daocloud.yml");
	plan(p);
	assert_non_null(strstr(p->result.reason, "unknown key \"scrpt\""));
}

static void
test_missing_repository(void **state)
{
	struct probe *p = *state;

	test_repo_commit(&p->source, "echo hello > README");
	test_repo_run(&p->source, "mv source elsewhere");
	plan(p);
	assert_ends(p, BUILD_ERROR, "fetch: repository not found: there is none at its URL");
}

static void
test_missing_commit(void **state)
{
	struct probe *p = *state;

	test_repo_commit(&p->source, "echo hello > README");
	strcpy(p->source.commit, "0123456789012345678901234567890123456789");
	plan(p);
	assert_ends(p, BUILD_ERROR,
	    "fetch: commit 0123456789012345678901234567890123456789 is not on the server "
	    "(was it force-pushed away?)");
}

/* Nobody listens there: tried again, in bounds. */
static void
test_dead_server(void **state)
{
	struct probe *p = *state;
	char url[] = "http://127.0.0.1:1/acme/app.git";
	int64_t begin = loop_mono_ms();

	test_repo_commit(&p->source, "echo hello > README");
	p->repo.url = url;
	plan(p);
	assert_int_equal(p->result.state, BUILD_ERROR);
	assert_memory_equal(p->result.reason, "fetch: the server ", 18);
	assert_true(loop_mono_ms() - begin >= 5000); /* two pauses, of 1 and 4 seconds */
}

static void
on_cancel(void *arg)
{
	struct probe *p = arg;

	planner_cancel(&p->op);
	loop_stop(p->loop);
}

static void
test_cancel_at_any_time(void **state)
{
	struct probe *p = *state;
	struct timer *timer = timer_new(p->loop, on_cancel, p);

	test_repo_commit(&p->source, "yes '# read by a thread' | head -c 200000 >> daocloud.yml");
	for (int ms = 0; ms < 30; ms += 3) {
		test_repo_commit(&p->source, "date +%N > README");
		p->calls = 0;
		start(p);
		timer_start(timer, ms);
		loop_run(p->loop);
		if (p->calls > 0) {
			timer_stop(timer);
			plan_free(&p->result.plan);
		}
		assert_null(p->op);
	}
	timer_free(&timer);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_plan),
		TEST(test_alias),
		TEST(test_workspace_is_prepared),
		TEST(test_the_head_of_a_branch),
		TEST(test_the_default_branch),
		TEST(test_a_commit_of_the_default_branch),
		TEST(test_no_default_branch),
		TEST(test_no_such_branch),
		TEST(test_the_first_image),
		TEST(test_no_image_is_the_first),
		TEST(test_a_pull_request_is_merged),
		TEST(test_a_pull_request_conflicts),
		TEST(test_includes),
		TEST(test_includes_that_are_not_there),
		TEST(test_no_file),
		TEST(test_broken_file),
		TEST(test_folder_of_that_name),
		TEST(test_huge_file),
		TEST(test_large_file),
		TEST(test_missing_repository),
		TEST(test_missing_commit),
		TEST(test_dead_server),
		TEST(test_cancel_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
