#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/git_error.h"
#include "proto/git_name.h"
#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/io/git_impl.h"

/* One commit on its way into a mirror; all who want it wait for the same one.
 *
 *   has -> done                                       nearly always: no process
 *   has -> queued -> (init) -> by_id -> done
 *                              by_id -> by_ref -> check -> keep -> done    the server gives no commits by id
 *
 * From init on it holds the mirror and one of the places for fetches, until its process has ended: also when nobody
 * waits for it any more (ending). A lock that a killed process left is removed once (unlock), and so is a mirror that a
 * power cut has damaged (renew): what was in it comes again when it is asked for. refs/davit/COMMIT keeps
 * the commit alive. */
enum fetch_state {
	FETCH_HAS,
	FETCH_QUEUED,
	FETCH_INIT,
	FETCH_BY_ID,
	FETCH_BY_REF,
	FETCH_CHECK,
	FETCH_KEEP,
	FETCH_UNLOCK,
	FETCH_RENEW,
	FETCH_ENDING,
	FETCH_DONE,
};

enum { WAITING_MAX = 1000 };

struct fetch {
	TAILQ_ENTRY(fetch) link; /* in git->fetches */
	struct git *git;
	struct git_mirror *mirror;
	enum fetch_state state;
	char *commit;
	char *url;     /* where by_id looks */
	char *ref_url; /* where by_ref looks */
	char *ref;
	char *user;
	char *token;
	struct op_list waiters;
	unsigned waiting;
	struct child *child;
	struct cat_request *request;
	struct disk_op *unlink;
	struct deferred *begin;
	struct timer *timer;
	bool unlocked;
	bool renewed;
	enum fetch_state again; /* after unlock */
	struct err err;
};

static void enter_has(struct fetch *f);
static void enter_queued(struct fetch *f);
static void enter_init(struct fetch *f);
static void enter_by_id(struct fetch *f);
static void enter_by_ref(struct fetch *f);
static void enter_check(struct fetch *f);
static void enter_keep(struct fetch *f);
static void enter_unlock(struct fetch *f);
static void enter_renew(struct fetch *f);
static void enter_ending(struct fetch *f);
static void enter_done(struct fetch *f);
static enum fetch_state after_has(struct fetch *f, const struct err *err);
static enum fetch_state after_init(struct fetch *f, const struct err *err);
static enum fetch_state after_by_id(struct fetch *f, const struct err *err);
static enum fetch_state after_by_ref(struct fetch *f, const struct err *err);
static enum fetch_state after_check(struct fetch *f, const struct err *err);
static enum fetch_state after_keep(struct fetch *f, const struct err *err);
static enum fetch_state after_unlock(struct fetch *f, const struct err *err);
static enum fetch_state after_renew(struct fetch *f, const struct err *err);
static enum fetch_state after_ending(struct fetch *f, const struct err *err);
static void start_next(struct git *git);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct fetch *f); /* what it starts has deadlines of its own */
	enum fetch_state (*next)(struct fetch *f, const struct err *err);
} states[] = {
	[FETCH_HAS]    = { "has",    enter_has,    after_has },
	[FETCH_QUEUED] = { "queued", enter_queued, NULL },
	[FETCH_INIT]   = { "init",   enter_init,   after_init },
	[FETCH_BY_ID]  = { "by id",  enter_by_id,  after_by_id },
	[FETCH_BY_REF] = { "by ref", enter_by_ref, after_by_ref },
	[FETCH_CHECK]  = { "check",  enter_check,  after_check },
	[FETCH_KEEP]   = { "keep",   enter_keep,   after_keep },
	[FETCH_UNLOCK] = { "unlock", enter_unlock, after_unlock },
	[FETCH_RENEW]  = { "renew",  enter_renew,  after_renew },
	[FETCH_ENDING] = { "ending", enter_ending, after_ending },
	[FETCH_DONE]   = { "done",   enter_done,   NULL },
};
/* clang-format on */

/* The only place where the state changes. f may be gone when it returns. A process is never left behind: its end is
 * what brings the next state. */
static void
fetch_step(struct fetch *f, enum fetch_state next)
{
	log_debug("git %s: %.12s: %s -> %s", f->mirror->repo, f->commit, states[f->state].name, states[next].name);
	assert(f->child == NULL || next == FETCH_ENDING);
	cat_cancel(&f->request);
	disk_cancel(&f->unlink);
	timer_stop(f->timer);
	f->state = next;
	states[next].enter(f);
}

static enum fetch_state
fetch_fail(struct fetch *f, struct err err)
{
	f->err = err;
	return FETCH_DONE;
}

static void
on_timeout(void *arg)
{
	struct fetch *f = arg;

	f->err = err_make(ERR_TIMEOUT, 0, "other fetches took longer than %lld s",
	    (long long)(f->git->conf.fetch_timeout_ms + 999) / 1000);
	fetch_step(f, FETCH_DONE);
}

/* Where it goes after a failure that is none of its state's own business. */
static enum fetch_state
after_failure(struct fetch *f, const struct err *err)
{
	if (err->code == ERR_PROTO && !f->renewed)
		return FETCH_RENEW;
	if (err->code != ERR_CONFLICT || f->unlocked)
		return fetch_fail(f, *err);
	f->unlocked = true;
	f->again = f->state;
	return FETCH_UNLOCK;
}

static void
on_child(void *arg, const struct child_result *result, const struct err *err)
{
	struct fetch *f = arg;
	struct err meaning = git_run_error(result, err, f->commit);
	bool missing = err != NULL && git_error_is_missing_commit(result->err);
	bool damaged = err != NULL && git_error_is_damage(result->err);

	f->child = NULL;
	if (missing)
		meaning.code = ERR_NOT_FOUND;
	if (damaged)
		meaning.code = ERR_PROTO;
	fetch_step(f, states[f->state].next(f, err == NULL ? NULL : &meaning));
}

static void
on_cat(void *arg, const char *type, struct str bytes, const struct err *err)
{
	struct fetch *f = arg;

	(void)type;
	(void)bytes;
	f->request = NULL;
	if (err != NULL && err->code == ERR_LIMIT) /* it is there, with a huge message */
		err = NULL;
	fetch_step(f, states[f->state].next(f, err));
}

/* --- has --- */

static void
enter_has(struct fetch *f)
{
	char *expression = xasprintf("refs/davit/%s^{commit}", f->commit);

	f->request = cat_ask(f->mirror, expression, CAT_MAX, on_cat, f);
	free(expression);
}

static enum fetch_state
after_has(struct fetch *f, const struct err *err)
{
	(void)f;
	return err == NULL ? FETCH_DONE : FETCH_QUEUED; /* if it could not be asked, the fetch will find out */
}

/* --- queued --- */

static void
enter_queued(struct fetch *f)
{
	timer_start(f->timer, f->git->conf.fetch_timeout_ms);
	start_next(f->git);
}

static struct fetch *
find_startable(const struct git *git)
{
	struct fetch *f;

	TAILQ_FOREACH(f, &git->fetches, link)
	if (f->state == FETCH_QUEUED && f->mirror->running == NULL)
		return f;
	return NULL;
}

static void
start_next(struct git *git)
{
	struct fetch *f;

	while (git->fetches_running < git->conf.max_fetches && (f = find_startable(git)) != NULL) {
		f->mirror->running = f;
		git->fetches_running++;
		fetch_step(f, f->mirror->ready ? FETCH_BY_ID : FETCH_INIT);
	}
}

/* --- init --- */

static void
enter_init(struct fetch *f)
{
	const char *format = strlen(f->commit) == 64 ? "--object-format=sha256" : "--object-format=sha1";
	const char *const args[] = { "init", "--quiet", "--bare", "--template=", format, NULL };

	CRASH_POINT(mirror_making);
	f->child = git_run(f->git, f->mirror, args, NULL, (struct str){ 0 }, on_child, f);
}

static enum fetch_state
after_init(struct fetch *f, const struct err *err)
{
	if (err != NULL)
		return after_failure(f, err);
	f->mirror->ready = true;
	return FETCH_BY_ID;
}

/* --- by id, by ref --- */

static void
run_fetch(struct fetch *f, const char *url, const char *refspec)
{
	const char *const args[] = { "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
		"--no-recurse-submodules", "--", url, refspec, NULL };
	char *origin = git_url_origin(f->ref_url); /* the repository's own: the token is for nobody else */
	char **env = git_env_new(&f->git->conf, origin, f->user, f->token);

	f->child = git_run(f->git, f->mirror, args, env, (struct str){ 0 }, on_child, f);
	git_env_free(&env);
	free(origin);
}

static void
enter_by_id(struct fetch *f)
{
	char *refspec = xasprintf("+%s:refs/davit/%s", f->commit, f->commit);

	run_fetch(f, f->url, refspec);
	free(refspec);
}

static enum fetch_state
after_by_id(struct fetch *f, const struct err *err)
{
	if (err == NULL)
		return FETCH_DONE;
	if (err->code == ERR_NOT_FOUND && f->ref != NULL)
		return FETCH_BY_REF;
	return after_failure(f, err);
}

static void
enter_by_ref(struct fetch *f)
{
	char *refspec = xasprintf("+%s:refs/davit/tip", f->ref);

	run_fetch(f, f->ref_url, refspec);
	free(refspec);
}

static enum fetch_state
after_by_ref(struct fetch *f, const struct err *err)
{
	return err == NULL ? FETCH_CHECK : after_failure(f, err);
}

/* --- what came by a ref is another commit, perhaps --- */

static void
enter_check(struct fetch *f)
{
	char *expression = xasprintf("%s^{commit}", f->commit);

	f->request = cat_ask(f->mirror, expression, CAT_MAX, on_cat, f);
	free(expression);
}

static enum fetch_state
after_check(struct fetch *f, const struct err *err)
{
	if (err == NULL)
		return FETCH_KEEP;
	if (err->code != ERR_NOT_FOUND)
		return fetch_fail(f, *err);
	return fetch_fail(
	    f, err_make(ERR_NOT_FOUND, 0, "commit %s is not on the server (was it force-pushed away?)", f->commit));
}

static void
enter_keep(struct fetch *f)
{
	char *name = xasprintf("refs/davit/%s", f->commit);
	const char *const args[] = { "update-ref", "--", name, f->commit, NULL };

	f->child = git_run(f->git, f->mirror, args, NULL, (struct str){ 0 }, on_child, f);
	free(name);
}

static enum fetch_state
after_keep(struct fetch *f, const struct err *err)
{
	return err == NULL ? FETCH_DONE : after_failure(f, err);
}

/* --- unlock --- */

static void
on_unlinked(void *arg, const struct err *err)
{
	struct fetch *f = arg;

	f->unlink = NULL;
	fetch_step(f, states[f->state].next(f, err));
}

/* The mirror is ours alone, so whoever made the lock is dead. */
static void
enter_unlock(struct fetch *f)
{
	const char *folder = f->again == FETCH_INIT ? "" : "refs/davit/";
	const char *name = f->again == FETCH_INIT ? "config" : f->again == FETCH_BY_REF ? "tip" : f->commit;
	char *path = xasprintf("%s/%s%s.lock", f->mirror->path, folder, name);

	log_warn("git %s: removing %s, which an earlier process left", f->mirror->repo, path);
	f->unlink = disk_remove_tree(f->git->disk, path, on_unlinked, f);
	free(path);
}

static enum fetch_state
after_unlock(struct fetch *f, const struct err *err)
{
	return err == NULL ? f->again : fetch_fail(f, *err);
}

/* --- renew --- */

static void
enter_renew(struct fetch *f)
{
	log_warn("git %s: removing %s, which is damaged", f->mirror->repo, f->mirror->path);
	f->renewed = true;
	f->mirror->ready = false;
	f->unlink = disk_remove_tree(f->git->disk, f->mirror->path, on_unlinked, f);
}

static enum fetch_state
after_renew(struct fetch *f, const struct err *err)
{
	return err == NULL ? FETCH_INIT : fetch_fail(f, *err);
}

/* --- ending: nobody waits --- */

static void
enter_ending(struct fetch *f)
{
	f->err = err_make(ERR_CANCELLED, 0, "nobody waits for the commit");
	if (f->child != NULL)
		child_stop(f->child);
	else
		fetch_step(f, FETCH_DONE);
}

static enum fetch_state
after_ending(struct fetch *f, const struct err *err)
{
	(void)f;
	(void)err;
	return FETCH_DONE;
}

/* --- the end --- */

static void
wipe(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

static void
fetch_free(struct fetch *f)
{
	struct git *git = f->git;

	assert(TAILQ_EMPTY(&f->waiters));
	child_cancel(&f->child); /* in git_free alone */
	cat_cancel(&f->request);
	disk_cancel(&f->unlink);
	deferred_cancel(&f->begin);
	timer_free(&f->timer);
	TAILQ_REMOVE(&git->fetches, f, link);
	if (f->mirror->running == f) {
		f->mirror->running = NULL;
		git->fetches_running--;
	}
	free(f->commit);
	free(f->url);
	free(f->ref_url);
	free(f->ref);
	free(f->user);
	wipe(f->token);
	free(f);
}

/* The waiters move to a list of this frame's: a callback may cancel others of them, and start the same fetch anew. */
static void
enter_done(struct fetch *f)
{
	struct err err = f->err;
	struct git *git = f->git;
	struct op_list waiters = TAILQ_HEAD_INITIALIZER(waiters);
	struct git_op *op;

	TAILQ_CONCAT(&waiters, &f->waiters, link);
	TAILQ_FOREACH(op, &waiters, link)
	{
		op->list = &waiters;
		op->in.fetch = NULL;
	}
	if (f->mirror->running == f && err.code == ERR_NONE)
		tidy_count(f->mirror);
	fetch_free(f);
	start_next(git);
	while ((op = TAILQ_FIRST(&waiters)) != NULL) {
		git_done_fn *fn = op->fn.done;
		void *arg = op->arg;

		TAILQ_REMOVE(&waiters, op, link);
		git_op_free(op);
		fn(arg, err.code == ERR_NONE ? NULL : &err);
	}
}

void
fetch_leave(struct git_op *op)
{
	struct fetch *f = op->in.fetch;

	TAILQ_REMOVE(op->list, op, link);
	if (f != NULL && TAILQ_EMPTY(&f->waiters))
		fetch_step(f, FETCH_ENDING);
}

void
fetches_free(struct git *git, const struct git_mirror *mirror)
{
	struct fetch *f = TAILQ_FIRST(&git->fetches);

	while (f != NULL) {
		struct fetch *next = TAILQ_NEXT(f, link);

		if (mirror == NULL || f->mirror == mirror)
			fetch_free(f);
		f = next;
	}
}

/* --- the start --- */

static void
on_begin(void *arg)
{
	struct fetch *f = arg;

	f->begin = NULL;
	fetch_step(f, FETCH_HAS);
}

static bool
source_check(const struct git *git, const struct git_source *source, const char *commit, struct err *err)
{
	if (!git_commit_is_valid(commit))
		return err_set(err, ERR_INPUT, 0, "a commit is fetched by its full id of 40 or 64 hex digits");
	if (git_is_given(source->ref) && !git_ref_is_valid(source->ref))
		return err_set(err, ERR_INPUT, 0, "the ref's name is not one that git takes");
	if (source->token != NULL && strpbrk(source->token, "\r\n") != NULL)
		return err_set(err, ERR_INPUT, 0, "the repository's token has a line break");
	if (source->user != NULL && strpbrk(source->user, "\r\n") != NULL)
		return err_set(err, ERR_INPUT, 0, "the repository's user has a line break");
	if (!git_url_check(source->url, git->conf.allow_local, err))
		return false;
	if (!git_is_given(source->fetch_url))
		return true;
	if (!git_url_check(source->fetch_url, git->conf.allow_local, err))
		return false;
	return git_url_is_near(source->fetch_url, source->url) ||
	       err_set(err, ERR_INPUT, 0,
		   "the fork lies on another server than the repository; Davit fetches from its own alone");
}

static struct fetch *
fetch_new(struct git_mirror *mirror, const struct git_source *source, const char *commit)
{
	struct fetch *f = xcalloc(1, sizeof(*f));
	struct git *git = mirror->git;

	*f = (struct fetch){
		.git = git,
		.mirror = mirror,
		.commit = xstrdup(commit),
		.url = xstrdup(git_is_given(source->fetch_url) ? source->fetch_url : source->url),
		.ref_url = xstrdup(source->url),
		.ref = git_is_given(source->ref) ? xstrdup(source->ref) : NULL,
		.user = xstrdup_null(source->user),
		.token = xstrdup_null(source->token),
		.timer = timer_new(git->loop, on_timeout, f),
	};
	TAILQ_INIT(&f->waiters);
	TAILQ_INSERT_TAIL(&git->fetches, f, link);
	f->begin = deferred_call(git->loop, on_begin, f);
	return f;
}

/* The one under way for that commit. *count: how many there are at all. */
static struct fetch *
find_fetch(const struct git *git, const struct git_mirror *mirror, const char *commit, unsigned *count)
{
	struct fetch *f;

	*count = 0;
	TAILQ_FOREACH(f, &git->fetches, link)
	{
		if (f->mirror == mirror && f->state != FETCH_ENDING && strcmp(f->commit, commit) == 0)
			return f;
		++*count;
	}
	return NULL;
}

struct git_op *
git_fetch(struct git *git, const struct git_source *source, const char *commit, git_done_fn *fn, void *arg)
{
	struct git_mirror *mirror = git_mirror_get(git, source->repo);
	struct err err = mirror == NULL ? err_make(ERR_INPUT, 0, "not a repository's id") : ERR_OK;
	struct git_op *op;
	struct fetch *f;
	unsigned count;

	if (mirror == NULL || !source_check(git, source, commit, &err))
		return git_op_refuse(git, &err, fn, arg);
	tidy_asked(mirror, commit);
	f = find_fetch(git, mirror, commit, &count);
	if (f == NULL && count >= WAITING_MAX) {
		err = err_make(ERR_UNAVAILABLE, 0, "%u fetches wait already", count);
		return git_op_refuse(git, &err, fn, arg);
	}
	if (f == NULL)
		f = fetch_new(mirror, source, commit);
	op = git_op_new(git, OP_FETCH, arg);
	op->fn.done = fn;
	op->in.fetch = f;
	op->list = &f->waiters;
	TAILQ_INSERT_TAIL(&f->waiters, op, link);
	return op;
}
