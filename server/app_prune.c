#include "server/app_prune.h"

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

struct app_prune {
	struct store *store;
	struct log_store *logs;
	struct file_store *files;
	unsigned keep;
	struct timer *timer;
	struct store_op *op;
	struct disk_op *disk_op;
	int64_t builds[STORE_LIST_MAX]; /* gone from Redis, their logs are still there */
	size_t count;
	bool more; /* the last answer was full */
};

static void remove_next(struct app_prune *p);

static void
remove_artifacts(struct app_prune *p, int64_t build)
{
	char *folder = file_store_artifact_folder(p->files, build);

	disk_remove_later(file_store_disk(p->files), folder);
	free(folder);
}

static void
on_removed(void *arg, const struct err *err)
{
	struct app_prune *p = arg;

	p->disk_op = NULL;
	CRASH_POINT(logs_removed);
	remove_artifacts(p, p->builds[p->count - 1]);
	if (err != NULL)
		log_warn("build %lld: its logs stay: %s", (long long)p->builds[p->count - 1], err->text);
	p->count--;
	remove_next(p);
}

static void
remove_next(struct app_prune *p)
{
	if (p->count > 0)
		p->disk_op = log_remove_build(p->logs, p->builds[p->count - 1], on_removed, p);
	else
		timer_start(p->timer, p->more ? 0 : PERIOD_MS);
}

static void
on_pruned(void *arg, const struct store_pruned *pruned, size_t count, const struct err *err)
{
	struct app_prune *p = arg;

	p->op = NULL;
	CRASH_POINT(pruned);
	p->more = err == NULL && count == STORE_LIST_MAX;
	for (p->count = 0; err == NULL && p->count < count; p->count++)
		p->builds[p->count] = pruned[p->count].build;
	remove_next(p);
}

static void
on_period(void *arg)
{
	struct app_prune *p = arg;

	CRASH_POINT(pruning);
	p->op = store_prune(p->store, p->keep, on_pruned, p);
}

struct app_prune *
app_prune_new(struct loop *loop, struct store *store, struct log_store *logs, struct file_store *files, unsigned keep)
{
	struct app_prune *p = xcalloc(1, sizeof(*p));

	*p = (struct app_prune){ .store = store, .logs = logs, .files = files, .keep = keep };
	p->timer = timer_new(loop, on_period, p);
	timer_start(p->timer, PERIOD_MS);
	return p;
}

void
app_prune_free(struct app_prune **prune)
{
	struct app_prune *p = *prune;

	if (p == NULL)
		return;
	*prune = NULL;
	store_cancel(&p->op);
	disk_cancel(&p->disk_op);
	timer_free(&p->timer);
	free(p);
}
