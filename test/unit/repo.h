/* A real git repository, in a folder of the test's own, to fetch from. */
#ifndef DAVIT_TEST_REPO_H
#define DAVIT_TEST_REPO_H

#include <stddef.h>

struct test_repo {
	char dir[64];    /* the folder; the repository is dir/source, with main checked out and no commit yet */
	char url[80];    /* of the repository: its path */
	char commit[65]; /* the last one that test_repo_commit made */
};

void test_repo_make(struct test_repo *repo);
void test_repo_remove(struct test_repo *repo);
/* Runs a shell script in dir; the test fails when the script does. */
void test_repo_run(const struct test_repo *repo, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The first line that a script prints, without its newline. */
void test_repo_line(const struct test_repo *repo, char *line, size_t size, const char *script);
/* Runs the script in dir/source and commits all that it did. */
void test_repo_commit(struct test_repo *repo, const char *script);

#endif
