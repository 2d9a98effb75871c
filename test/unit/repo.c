#include "test/unit/repo.h"

#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/mem.h"

/* No configuration of who runs the test, and somebody to make commits. */
static const char prologue[] =
    "set -e; cd '%s'; export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null "
    "GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b;\n%s";

void
test_repo_run(const struct test_repo *repo, const char *fmt, ...)
{
	char script[4096];
	char *command;
	int status;
	va_list ap;

	va_start(ap, fmt);
	assert_in_range(vsnprintf(script, sizeof(script), fmt, ap), 0, sizeof(script) - 1);
	va_end(ap);
	command = xasprintf(prologue, repo->dir, script);
	status = system(command);
	free(command);
	if (status != 0)
		fail_msg("status %d of: %s", status, script);
}

void
test_repo_line(const struct test_repo *repo, char *line, size_t size, const char *script)
{
	char path[128];
	FILE *f;

	test_repo_run(repo, "{ %s\n} > line", script);
	snprintf(path, sizeof(path), "%s/line", repo->dir);
	f = fopen(path, "r");
	assert_non_null(f);
	line[0] = '\0';
	assert_true(fgets(line, (int)size, f) != NULL || feof(f));
	line[strcspn(line, "\n")] = '\0';
	fclose(f);
}

void
test_repo_commit(struct test_repo *repo, const char *script)
{
	test_repo_run(repo, "cd source; %s\ngit add -A; git commit -qm message", script);
	test_repo_line(repo, repo->commit, sizeof(repo->commit), "git -C source rev-parse HEAD");
	assert_true(strlen(repo->commit) >= 40);
}

void
test_repo_make(struct test_repo *repo)
{
	strcpy(repo->dir, "/tmp/davit-test-repo.XXXXXX");
	assert_non_null(mkdtemp(repo->dir));
	snprintf(repo->url, sizeof(repo->url), "%s/source", repo->dir);
	test_repo_run(repo, "git init -q -b main source");
}

void
test_repo_remove(struct test_repo *repo)
{
	test_repo_run(repo, "rm -rf \"$PWD\"");
}
