/* Each fetch leaves a pack or loose objects and a ref: after so many of them `git gc` makes them one pack and one file
 * of refs. One at a time, beside all else: git lets it run along with fetches and readers. Commits that were fetched
 * stay, as each has its ref. */
#include <stdlib.h>

#include "proto/mem.h"
#include "server/core/log.h"
#include "server/io/git_impl.h"

static void
on_tidied(void *arg, const struct child_result *result, const struct err *err)
{
	struct git *git = arg;
	struct git_mirror *mirror = git->tidied;
	struct err why = git_run_error(result, err, NULL);
	char *lock = xasprintf("%s/packed-refs.lock", mirror->path);

	git->tidying = NULL;
	git->tidied = NULL;
	if (err != NULL)
		log_warn("git %s: gc: %s", mirror->repo, why.text);
	if (why.code == ERR_CONFLICT)
		git_clean_up(git, lock); /* an earlier one was killed; nobody else makes it */
	free(lock);
}

void
tidy_count(struct git_mirror *mirror)
{
	static const char *const args[] = { "gc", "--quiet", NULL };
	struct git *git = mirror->git;

	if (++mirror->fetched < git->conf.tidy_after || git->tidying != NULL)
		return;
	mirror->fetched = 0;
	git->tidied = mirror;
	git->tidying = git_run(git, mirror, args, NULL, (struct str){ 0 }, on_tidied, git);
}

void
tidy_cancel(struct git *git, const struct git_mirror *mirror)
{
	if (mirror != NULL && git->tidied != mirror)
		return;
	child_cancel(&git->tidying);
	git->tidied = NULL;
}
