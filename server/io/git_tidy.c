/* Each fetch leaves a pack or loose objects and a ref. After so many of them a mirror is tidied:
 *
 *   list -> drop -> gc
 *
 * The oldest refs beyond a bound go (a commit that is asked for again is fetched again), all but those that were asked
 * for a moment ago, and `git gc` makes one pack and one file of refs of what stays. One mirror at a time, beside all
 * else: git lets it run along with fetches and readers. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "server/core/log.h"
#include "server/io/git_impl.h"

#define REFS "refs/davit/"

enum {
	LIST_MAX_BYTES = 8 << 20,
	DROPS_MAX = 1000, /* at a time; the next time comes */
	DROP_BYTES = 128  /* of one line */
};

static void tidy_step(struct git *git, enum tidy_state next);
static void enter_list(struct git *git);
static void enter_drop(struct git *git);
static void enter_gc(struct git *git);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct git *git);
	enum tidy_state next; /* whatever came of it: the rest may go well */
} states[] = {
	[TIDY_IDLE] = { "idle", NULL,       TIDY_LIST },
	[TIDY_LIST] = { "list", enter_list, TIDY_DROP },
	[TIDY_DROP] = { "drop", enter_drop, TIDY_GC },
	[TIDY_GC]   = { "gc",   enter_gc,   TIDY_IDLE },
};
/* clang-format on */

static void
tidy_end(struct git *git)
{
	buf_fini(&git->tidy_drops);
	git->tidy_state = TIDY_IDLE;
	git->tidied = NULL;
}

static void
tidy_step(struct git *git, enum tidy_state next)
{
	log_debug("git %s: tidy: %s -> %s", git->tidied->repo, states[git->tidy_state].name, states[next].name);
	git->tidy_state = next;
	if (next == TIDY_IDLE)
		tidy_end(git);
	else
		states[next].enter(git);
}

static void
on_child(void *arg, const struct child_result *result, const struct err *err)
{
	struct git *git = arg;
	struct git_mirror *mirror = git->tidied;
	struct err why = git_run_error(result, err, NULL);
	char *lock = xasprintf("%s/packed-refs.lock", mirror->path);

	git->tidying = NULL;
	if (err != NULL)
		log_warn("git %s: tidy: %s: %s", mirror->repo, states[git->tidy_state].name, why.text);
	if (why.code == ERR_CONFLICT)
		git_clean_up(git, lock); /* an earlier one was killed; nobody else makes it */
	free(lock);
	tidy_step(git, states[git->tidy_state].next);
}

static bool
was_asked_for(const struct git_mirror *mirror, struct str commit)
{
	for (size_t i = 0; i < GIT_RECENT; i++)
		if (str_is(commit, mirror->recent[i]))
			return true;
	return false;
}

/* The newest come first. What is cut off at the list's end is old, and comes another time. */
static void
on_listed(void *arg, const struct child_result *result, const struct err *err)
{
	struct git *git = arg;
	struct str rest = result->out, name;
	unsigned count = 0, drops = 0;

	while (err == NULL && drops < DROPS_MAX && memchr(rest.p, '\n', rest.len) != NULL) {
		name = str_cut(&rest, '\n');
		if (++count <= git->conf.max_refs || !str_has_prefix(name, REFS))
			continue;
		if (was_asked_for(git->tidied, (struct str){ name.p + strlen(REFS), name.len - strlen(REFS) }))
			continue;
		drops += buf_addf(&git->tidy_drops, "delete %.*s\n", (int)name.len, name.p);
	}
	if (drops > 0)
		log_info("git %s: dropping %u of the oldest commits", git->tidied->repo, drops);
	on_child(arg, result, err);
}

static void
enter_list(struct git *git)
{
	static const char *const args[] = { "for-each-ref", "--sort=-committerdate", "--format=%(refname)", REFS,
		NULL };

	buf_init(&git->tidy_drops, DROPS_MAX * DROP_BYTES);
	git->tidying = git_ask(git, git->tidied, args, NULL, LIST_MAX_BYTES, on_listed, git);
}

static void
enter_drop(struct git *git)
{
	static const char *const args[] = { "update-ref", "--stdin", NULL };

	if (git->tidy_drops.len == 0)
		tidy_step(git, TIDY_GC);
	else
		git->tidying = git_run(git, git->tidied, args, NULL, buf_str(&git->tidy_drops), on_child, git);
}

static void
enter_gc(struct git *git)
{
	static const char *const args[] = { "gc", "--quiet", NULL };

	git->tidying = git_run(git, git->tidied, args, NULL, (struct str){ 0 }, on_child, git);
}

void
tidy_asked(struct git_mirror *mirror, const char *commit)
{
	char *recent = mirror->recent[mirror->next_recent++ % GIT_RECENT];

	assert(strlen(commit) < sizeof(mirror->recent[0]));
	strcpy(recent, commit);
}

void
tidy_count(struct git_mirror *mirror)
{
	struct git *git = mirror->git;

	if (++mirror->fetched < git->conf.tidy_after || git->tidied != NULL)
		return;
	mirror->fetched = 0;
	git->tidied = mirror;
	tidy_step(git, TIDY_LIST);
}

void
tidy_cancel(struct git *git, const struct git_mirror *mirror)
{
	if (git->tidied == NULL || (mirror != NULL && git->tidied != mirror))
		return;
	child_cancel(&git->tidying);
	tidy_end(git);
}
