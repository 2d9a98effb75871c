#include "server/app_prune.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>

#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/store/file_store.h"
#include "server/store/log_store.h"
#include "server/store/store.h"

#define PERIOD_MS (10 * 60 * 1000)

enum prune_state {
	PRUNE_REST,
	PRUNE_FORGET,
	PRUNE_LIST,
	PRUNE_ASK,
	PRUNE_ARTIFACTS,
	PRUNE_LOGS,
};

/* What a disk thread finds: the builds that have logs here. */
struct listing {
	char *path;
	int64_t *builds;
	size_t count;
	size_t room;
};

struct app_prune {
	struct store *store;
	struct log_store *logs;
	struct file_store *files;
	enum prune_state state;
	unsigned keep;
	struct timer *timer;
	struct store_op *op;
	struct disk_op *disk_op;
	struct listing *listing;        /* while disk_op lists it is the thread's */
	size_t asked;                   /* of the listing */
	int64_t builds[STORE_LIST_MAX]; /* forgotten, the last one's files are removed first */
	size_t count;
};

static void enter_rest(struct app_prune *p);
static void enter_forget(struct app_prune *p);
static void enter_list(struct app_prune *p);
static void enter_ask(struct app_prune *p);
static void enter_artifacts(struct app_prune *p);
static void enter_logs(struct app_prune *p);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct app_prune *p);
	enum prune_state next;
} states[] = {
	[PRUNE_REST]      = { "rest",      enter_rest,      PRUNE_FORGET },
	[PRUNE_FORGET]    = { "forget",    enter_forget,    PRUNE_LIST },
	[PRUNE_LIST]      = { "list",      enter_list,      PRUNE_ASK },
	[PRUNE_ASK]       = { "ask",       enter_ask,       PRUNE_ARTIFACTS },
	[PRUNE_ARTIFACTS] = { "artifacts", enter_artifacts, PRUNE_LOGS },
	[PRUNE_LOGS]      = { "logs",      enter_logs,      PRUNE_ARTIFACTS },
};
/* clang-format on */

static void
prune_step(struct app_prune *p, enum prune_state next)
{
	p->state = next;
	states[next].enter(p);
}

/* Later again: Redis is away, or the disk is. */
static void
prune_fail(struct app_prune *p, const struct err *err)
{
	log_debug("old builds: %s: %s", states[p->state].name, err->text);
	prune_step(p, PRUNE_REST);
}

static void
on_timer(void *arg)
{
	struct app_prune *p = arg;

	prune_step(p, states[p->state].next);
}

static void
enter_rest(struct app_prune *p)
{
	timer_start(p->timer, PERIOD_MS);
}

static void
on_forgotten(void *arg, const int64_t *builds, size_t count, const struct err *err)
{
	struct app_prune *p = arg;

	(void)builds; /* they are found with the others that have files here */
	p->op = NULL;
	if (err != NULL) {
		prune_fail(p, err);
		return;
	}
	CRASH_POINT(pruned);
	prune_step(p, count == STORE_LIST_MAX ? PRUNE_FORGET : states[p->state].next);
}

static void
enter_forget(struct app_prune *p)
{
	CRASH_POINT(pruning);
	p->op = store_prune(p->store, p->keep, on_forgotten, p);
}

/* --- what has files here --- */

static void
listing_free(void *arg)
{
	struct listing *listing = arg;

	free(listing->builds);
	free(listing->path);
	free(listing);
}

/* In a disk's thread. */
static void
list_run(void *arg, struct err *err)
{
	struct listing *listing = arg;
	DIR *dir = opendir(listing->path);
	struct dirent *entry;
	char *end;

	if (dir == NULL) {
		*err = err_errno("open %s", listing->path);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		int64_t build = strtoll(entry->d_name, &end, 10);

		if (build <= 0 || *end != '\0')
			continue;
		if (listing->count == listing->room) {
			listing->room = 2 * listing->room + STORE_LIST_MAX;
			listing->builds = xrealloc(listing->builds, listing->room * sizeof(*listing->builds));
		}
		listing->builds[listing->count++] = build;
	}
	closedir(dir);
}

static void
on_listed(void *arg, const struct err *err)
{
	struct app_prune *p = arg;

	p->disk_op = NULL;
	p->asked = 0;
	if (err != NULL)
		prune_fail(p, err);
	else
		prune_step(p, states[p->state].next);
}

static void
enter_list(struct app_prune *p)
{
	if (p->listing != NULL)
		listing_free(p->listing);
	p->listing = xcalloc(1, sizeof(*p->listing));
	p->listing->path = xstrdup(log_store_folder(p->logs));
	p->disk_op = disk_call(file_store_disk(p->files), list_run, listing_free, p->listing, on_listed, p);
}

static void
on_unknown(void *arg, const int64_t *builds, size_t count, const struct err *err)
{
	struct app_prune *p = arg;

	p->op = NULL;
	if (err != NULL) {
		prune_fail(p, err);
		return;
	}
	for (p->count = 0; p->count < count; p->count++)
		p->builds[p->count] = builds[p->count];
	prune_step(p, states[p->state].next);
}

static void
enter_ask(struct app_prune *p)
{
	size_t left = p->listing->count - p->asked;
	const int64_t *builds = p->listing->builds + p->asked;

	if (left == 0) {
		prune_step(p, PRUNE_REST);
		return;
	}
	if (left > STORE_LIST_MAX)
		left = STORE_LIST_MAX;
	p->asked += left;
	p->op = store_build_unknown(p->store, builds, left, on_unknown, p);
}

/* --- their files --- */

static void
on_removed(void *arg, const struct err *err)
{
	struct app_prune *p = arg;

	p->disk_op = NULL;
	if (err != NULL)
		log_warn("build %lld: its %s stay: %s", (long long)p->builds[p->count - 1], states[p->state].name,
		    err->text);
	if (p->state == PRUNE_ARTIFACTS)
		CRASH_POINT(artifacts_removed);
	else
		p->count--;
	prune_step(p, states[p->state].next);
}

static void
enter_artifacts(struct app_prune *p)
{
	char *folder;

	if (p->count == 0) {
		prune_step(p, PRUNE_ASK);
		return;
	}
	folder = file_store_artifact_folder(p->files, p->builds[p->count - 1]);
	p->disk_op = disk_remove_tree(file_store_disk(p->files), folder, on_removed, p);
	free(folder);
}

/* Last, since they are what a build is found by. */
static void
enter_logs(struct app_prune *p)
{
	p->disk_op = log_remove_build(p->logs, p->builds[p->count - 1], on_removed, p);
}

/* --- for the owner --- */

struct app_prune *
app_prune_new(struct loop *loop, struct store *store, struct log_store *logs, struct file_store *files, unsigned keep)
{
	struct app_prune *p = xcalloc(1, sizeof(*p));

	*p = (struct app_prune){ .store = store, .logs = logs, .files = files, .keep = keep };
	p->timer = timer_new(loop, on_timer, p);
	return p;
}

void
app_prune_start(struct app_prune *p)
{
	timer_start(p->timer, 0);
}

void
app_prune_free(struct app_prune **prune)
{
	struct app_prune *p = *prune;

	if (p == NULL)
		return;
	*prune = NULL;
	store_cancel(&p->op);
	if (p->listing != NULL && (p->state != PRUNE_LIST || p->disk_op == NULL))
		listing_free(p->listing);
	disk_cancel(&p->disk_op);
	timer_free(&p->timer);
	free(p);
}
