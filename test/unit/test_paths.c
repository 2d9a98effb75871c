/* Which files a change touches: over real git. The repository has main with two commits (first, second: "main2") and a
 * branch off the first. */
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
#include "server/scheduler/paths.h"
#include "test/unit/repo.h"

struct probe {
	struct test_repo source;
	char state_dir[80];
	struct loop *loop;
	struct children *children;
	struct disk *disk;
	struct git_conf conf;
	struct git *git;
	struct repo repo;
	struct build build;
	struct change change;
	struct paths_op *op;
	struct git_op *git_op;
	bool is_known;
	char text[256];
	char first[65], main2[65], branch[65];
};

static char id[] = "app";
static char empty[] = "";
static char main_branch[] = "main";

static int
setup(void **state)
{
	struct probe *p = xcalloc(1, sizeof(*p));
	struct err err;

	test_repo_make(&p->source);
	test_repo_commit(&p->source, "echo 1 > base");
	memcpy(p->first, p->source.commit, 65);
	test_repo_commit(&p->source, "echo 2 > main2");
	memcpy(p->main2, p->source.commit, 65);
	test_repo_run(&p->source, "cd source && git checkout -q -b branch %s", p->first);
	test_repo_commit(&p->source, "echo 3 > one; mkdir sub; echo 4 > sub/two");
	memcpy(p->branch, p->source.commit, 65);
	test_repo_run(&p->source, "cd source && git checkout -q main");
	snprintf(p->state_dir, sizeof(p->state_dir), "%s/state", p->source.dir);
	assert_int_equal(mkdir(p->state_dir, 0700), 0);
	p->loop = loop_new();
	p->children = children_new(p->loop);
	p->disk = disk_new(p->loop);
	p->conf = (struct git_conf){ .state_dir = p->state_dir, .allow_local = true, .fetch_timeout_ms = 30000 };
	p->git = git_new(p->loop, p->children, p->disk, &p->conf, &err);
	assert_non_null(p->git);
	p->repo = (struct repo){ .id = id, .url = p->source.url, .token = empty };
	p->build = (struct build){ .build = 17, .change = &p->change };
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
	test_repo_remove(&p->source);
	free(p);
	return 0;
}

static void
on_fetched(void *arg, const struct err *err)
{
	struct probe *p = arg;

	p->git_op = NULL;
	assert_null(err);
	loop_stop(p->loop);
}

static void
on_paths(void *arg, const struct strings *paths)
{
	struct probe *p = arg;

	p->op = NULL;
	p->is_known = paths != NULL;
	p->text[0] = '\0';
	for (size_t i = 0; paths != NULL && i < paths->count; i++)
		strcat(strcat(p->text, paths->items[i]), " ");
	loop_stop(p->loop);
}

/* The build's commit is fetched, as the planner does first; then its paths are asked for. */
static void
ask(struct probe *p, const char *commit)
{
	const struct git_source source = { .repo = id, .url = p->source.url };

	p->git_op = git_fetch(p->git, &source, commit, on_fetched, p);
	loop_run(p->loop);
	p->op = paths_start(p->loop, p->git, &p->build, &p->repo, commit, on_paths, p);
	loop_run(p->loop);
}

static void
test_push(void **state)
{
	struct probe *p = *state;

	p->change = (struct change){ .event = CHANGE_PUSH, .branch = main_branch, .before = p->first };
	ask(p, p->main2);
	assert_true(p->is_known);
	assert_string_equal(p->text, "main2 ");
}

/* What it was at is no ancestor: the files of both ways differ. */
static void
test_forced_push(void **state)
{
	struct probe *p = *state;

	p->change = (struct change){ .event = CHANGE_PUSH, .branch = main_branch, .before = p->main2 };
	ask(p, p->branch);
	assert_string_equal(p->text, "main2 one sub/two ");
}

static void
test_forced_push_from_what_is_gone(void **state)
{
	struct probe *p = *state;
	char gone[] = "0123456789012345678901234567890123456789";

	p->change = (struct change){ .event = CHANGE_PUSH, .branch = main_branch, .before = gone };
	ask(p, p->branch);
	assert_true(p->is_known);
	assert_string_equal(p->text, "one sub/two ");
}

static void
test_new_branch(void **state)
{
	struct probe *p = *state;

	p->change = (struct change){ .event = CHANGE_PUSH, .branch = main_branch };
	ask(p, p->branch);
	assert_string_equal(p->text, "one sub/two "); /* not main2, which came later */
}

static void
test_first_push_of_the_default_branch(void **state)
{
	struct probe *p = *state;

	p->change = (struct change){ .event = CHANGE_PUSH, .branch = main_branch };
	ask(p, p->main2);
	assert_false(p->is_known);
}

static void
test_pull_request(void **state)
{
	struct probe *p = *state;
	char gone[] = "gone";

	p->change = (struct change){ .event = CHANGE_PULL_REQUEST, .branch = main_branch };
	ask(p, p->branch);
	assert_string_equal(p->text, "one sub/two ");
	p->change.branch = gone;
	ask(p, p->branch);
	assert_false(p->is_known);
}

static void
test_all_else(void **state)
{
	static const enum change_event events[] = { CHANGE_TAG, CHANGE_MANUAL, CHANGE_CRON, CHANGE_API };
	struct probe *p = *state;

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		p->change = (struct change){ .event = events[i], .branch = main_branch, .before = p->first };
		p->is_known = true;
		ask(p, p->main2);
		assert_false(p->is_known);
	}
}

static void
on_cancel(void *arg)
{
	struct probe *p = arg;

	paths_cancel(&p->op);
	loop_stop(p->loop);
}

static void
test_cancel_at_any_time(void **state)
{
	struct probe *p = *state;
	struct timer *timer = timer_new(p->loop, on_cancel, p);

	p->change = (struct change){ .event = CHANGE_PUSH, .branch = main_branch };
	for (int ms = 0; ms < 30; ms += 3) {
		timer_start(timer, ms);
		p->op = paths_start(p->loop, p->git, &p->build, &p->repo, p->branch, on_paths, p);
		loop_run(p->loop);
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
		TEST(test_push),
		TEST(test_forced_push),
		TEST(test_forced_push_from_what_is_gone),
		TEST(test_new_branch),
		TEST(test_first_push_of_the_default_branch),
		TEST(test_pull_request),
		TEST(test_all_else),
		TEST(test_cancel_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
