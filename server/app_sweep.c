#include "server/app_sweep.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "proto/mem.h"
#include "proto/plan.h"
#include "server/core/crash.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/store/file_store.h"

enum {
	PERIOD_MS = 10 * 60 * 1000,
	SOON_MS = 1000,
	LIST_MAX = 1000,  /* files that are asked about at a time */
	YOUNG_S = 60 * 60 /* a file may be on its way to its record for so long */
};

enum sweep_state {
	SWEEP_REST,
	SWEEP_EXPIRE,
	SWEEP_PRUNE,
	SWEEP_LIST,
	SWEEP_ASK,
};

/* What a disk thread finds: names of caches, without their end. */
struct listing {
	char *path;
	time_t before; /* only what is older */
	struct strings ids;
};

struct app_sweep {
	struct store *store;
	struct file_store *files;
	enum sweep_state state;
	uint64_t cache_bytes;
	int64_t cache_age_ms;
	struct timer *timer;
	struct store_op *op;
	struct disk_op *disk_op;
	struct listing *listing; /* while disk_op runs it is the thread's */
	size_t asked;            /* of the listing */
	bool is_swept;           /* the folder was looked through since the start */
};

static void enter_rest(struct app_sweep *s);
static void enter_expire(struct app_sweep *s);
static void enter_prune(struct app_sweep *s);
static void enter_list(struct app_sweep *s);
static void enter_ask(struct app_sweep *s);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct app_sweep *s);
	enum sweep_state next;
} states[] = {
	[SWEEP_REST]   = { "rest",   enter_rest,   SWEEP_EXPIRE },
	[SWEEP_EXPIRE] = { "expire", enter_expire, SWEEP_PRUNE },
	[SWEEP_PRUNE]  = { "prune",  enter_prune,  SWEEP_LIST },
	[SWEEP_LIST]   = { "list",   enter_list,   SWEEP_ASK },
	[SWEEP_ASK]    = { "ask",    enter_ask,    SWEEP_REST },
};
/* clang-format on */

static void
sweep_step(struct app_sweep *s, enum sweep_state next)
{
	s->state = next;
	states[next].enter(s);
}

/* Later again: Redis is away, or the disk is. */
static void
sweep_fail(struct app_sweep *s, const struct err *err)
{
	log_debug("files: %s: %s", states[s->state].name, err->text);
	sweep_step(s, SWEEP_REST);
}

static void
tell(size_t count, const char *what)
{
	if (count > 0)
		log_info("files: %zu %s", count, what);
}

static void
remove_file(struct app_sweep *s, char *path)
{
	disk_remove_later(file_store_disk(s->files), path);
	free(path);
}

static void
on_timer(void *arg)
{
	struct app_sweep *s = arg;

	sweep_step(s, SWEEP_EXPIRE);
}

static void
enter_rest(struct app_sweep *s)
{
	timer_start(s->timer, PERIOD_MS);
}

static void
on_expired(void *arg, struct artifact_list artifacts, const struct err *err)
{
	struct app_sweep *s = arg;
	bool is_full = artifacts.count == STORE_LIST_MAX;

	s->op = NULL;
	if (artifacts.count > 0)
		CRASH_POINT(artifacts_expired);
	for (size_t i = 0; i < artifacts.count; i++)
		remove_file(s, file_store_artifact(s->files, &artifacts.items[i]));
	tell(artifacts.count, "artifacts have expired");
	artifact_list_fini(&artifacts);
	if (err != NULL)
		sweep_fail(s, err);
	else
		sweep_step(s, is_full ? SWEEP_EXPIRE : SWEEP_PRUNE);
}

static void
enter_expire(struct app_sweep *s)
{
	s->op = store_artifact_expire(s->store, on_expired, s);
}

static void
on_pruned(void *arg, struct id_list ids, const struct err *err)
{
	struct app_sweep *s = arg;
	bool is_full = ids.count == STORE_LIST_MAX;

	s->op = NULL;
	if (ids.count > 0)
		CRASH_POINT(caches_pruned);
	for (size_t i = 0; i < ids.count; i++)
		remove_file(s, file_store_cache(s->files, ids.items[i]));
	tell(ids.count, "caches made room");
	id_list_fini(&ids);
	if (err != NULL)
		sweep_fail(s, err);
	else
		sweep_step(s, is_full ? SWEEP_PRUNE : s->is_swept ? SWEEP_REST : SWEEP_LIST);
}

static void
enter_prune(struct app_sweep *s)
{
	s->op = store_cache_prune(s->store, (int64_t)s->cache_bytes, s->cache_age_ms, on_pruned, s);
}

/* --- files that no record knows --- */

static void
listing_free(void *arg)
{
	struct listing *listing = arg;

	strings_fini(&listing->ids);
	free(listing->path);
	free(listing);
}

static bool
is_old(const struct listing *listing, const char *name)
{
	char *path = xasprintf("%s/%s", listing->path, name);
	struct stat st;
	bool ok = lstat(path, &st) == 0 && st.st_mtime < listing->before;

	free(path);
	return ok;
}

/* In a disk's thread. */
static void
list_run(void *arg, struct err *err)
{
	struct listing *listing = arg;
	DIR *dir = opendir(listing->path);
	struct dirent *entry;

	if (dir == NULL) {
		*err = err_errno("open %s", listing->path);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		struct str name = str_of(entry->d_name);

		if (name.len == 32 + 4 && strcmp(name.p + 32, ".tar") == 0 && is_old(listing, name.p))
			strings_add(&listing->ids, (struct str){ name.p, 32 });
	}
	closedir(dir);
}

static void
on_listed(void *arg, const struct err *err)
{
	struct app_sweep *s = arg;

	s->disk_op = NULL;
	s->asked = 0;
	if (err != NULL)
		sweep_fail(s, err);
	else
		sweep_step(s, SWEEP_ASK);
}

static void
enter_list(struct app_sweep *s)
{
	if (s->listing != NULL)
		listing_free(s->listing);
	s->listing = xcalloc(1, sizeof(*s->listing));
	s->listing->path = xstrdup(file_store_caches(s->files));
	s->listing->before = (time_t)(loop_wall_ms() / 1000 - YOUNG_S);
	s->disk_op = disk_call(file_store_disk(s->files), list_run, listing_free, s->listing, on_listed, s);
}

static void
on_unknown(void *arg, struct id_list ids, const struct err *err)
{
	struct app_sweep *s = arg;

	s->op = NULL;
	for (size_t i = 0; i < ids.count; i++)
		remove_file(s, file_store_cache(s->files, ids.items[i]));
	tell(ids.count, "files without a record are removed");
	id_list_fini(&ids);
	if (err != NULL)
		sweep_fail(s, err);
	else
		sweep_step(s, SWEEP_ASK);
}

static void
enter_ask(struct app_sweep *s)
{
	const struct strings *all = &s->listing->ids;
	size_t count = all->count - s->asked < LIST_MAX ? all->count - s->asked : LIST_MAX;
	const char *const *ids = (const char *const *)all->items + s->asked;

	if (count == 0) {
		s->is_swept = true;
		sweep_step(s, SWEEP_REST);
		return;
	}
	s->asked += count;
	s->op = store_cache_unknown(s->store, ids, count, on_unknown, s);
}

/* --- for the owner --- */

struct app_sweep *
app_sweep_new(
    struct loop *loop, struct store *store, struct file_store *files, uint64_t cache_bytes, unsigned cache_age_s)
{
	struct app_sweep *s = xcalloc(1, sizeof(*s));

	*s = (struct app_sweep){
		.store = store, .files = files, .cache_bytes = cache_bytes, .cache_age_ms = (int64_t)cache_age_s * 1000
	};
	s->timer = timer_new(loop, on_timer, s);
	return s;
}

void
app_sweep_free(struct app_sweep **sweep)
{
	struct app_sweep *s = *sweep;

	if (s == NULL)
		return;
	*sweep = NULL;
	store_cancel(&s->op);
	if (s->listing != NULL && s->disk_op == NULL)
		listing_free(s->listing);
	disk_cancel(&s->disk_op);
	timer_free(&s->timer);
	free(s);
}

void
app_sweep_soon(struct app_sweep *sweep)
{
	if (sweep->state == SWEEP_REST)
		timer_start(sweep->timer, SOON_MS);
}
