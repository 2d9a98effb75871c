#include "server/app_jobs.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/mem.h"

struct item {
	LIST_ENTRY(item) link;
	char id[JOB_ID_MAX];
	struct app_job *job;
};

struct app_jobs {
	struct app_jobs_deps deps;
	LIST_HEAD(, item) items; /* as many as there are slots */
	unsigned count;
	unsigned unplaced; /* adopted ones */
};

static struct item *
find(const struct app_jobs *jobs, const char *id)
{
	struct item *item;

	LIST_FOREACH(item, &jobs->items, link)
	if (strcmp(item->id, id) == 0)
		return item;
	return NULL;
}

static void
on_job_end(void *arg, const char *id, bool is_left)
{
	struct app_jobs *jobs = arg;
	struct item *item = find(jobs, id);

	assert(item != NULL);
	LIST_REMOVE(item, link);
	free(item);
	jobs->count--;
	jobs->deps.on_end(jobs->deps.arg, id, is_left);
}

static void
on_job_placed(void *arg)
{
	struct app_jobs *jobs = arg;

	if (--jobs->unplaced == 0)
		jobs->deps.on_placed(jobs->deps.arg);
}

struct app_jobs *
app_jobs_new(const struct app_jobs_deps *deps)
{
	struct app_jobs *jobs = xcalloc(1, sizeof(*jobs));

	jobs->deps = *deps;
	jobs->deps.job.on_end = on_job_end;
	jobs->deps.job.on_placed = on_job_placed;
	jobs->deps.job.arg = jobs;
	LIST_INIT(&jobs->items);
	return jobs;
}

void
app_jobs_free(struct app_jobs **jobs)
{
	struct app_jobs *j = *jobs;

	if (j == NULL)
		return;
	*jobs = NULL;
	assert(LIST_EMPTY(&j->items));
	free(j);
}

static struct item *
add(struct app_jobs *jobs, const char *id)
{
	struct item *item = xcalloc(1, sizeof(*item));

	snprintf(item->id, sizeof(item->id), "%s", id);
	LIST_INSERT_HEAD(&jobs->items, item, link);
	jobs->count++;
	return item;
}

void
app_jobs_start(struct app_jobs *jobs, struct job *job, struct build *build, struct engine *slot)
{
	struct item *item = add(jobs, job->id);

	item->job = app_job_start(&jobs->deps.job, job, build, slot);
}

void
app_jobs_adopt(struct app_jobs *jobs, struct job *job, struct build *build)
{
	struct item *item = add(jobs, job->id);

	jobs->unplaced++;
	item->job = app_job_adopt(&jobs->deps.job, job, build);
}

bool
app_jobs_are_placed(const struct app_jobs *jobs)
{
	return jobs->unplaced == 0;
}

void
app_jobs_stop(struct app_jobs *jobs, const char *id, enum scheduler_stop why)
{
	struct item *item = find(jobs, id);

	if (item == NULL)
		return;
	if (why == SCHEDULER_LOST)
		app_job_lose(item->job);
	else
		app_job_cancel(item->job, why == SCHEDULER_CANCELLED);
}

bool
app_jobs_has(const struct app_jobs *jobs, const char *id)
{
	return find(jobs, id) != NULL;
}

/* A job may end, and leave the list, within its call. */
static void
tell_all(struct app_jobs *jobs, void (*tell)(struct app_job *job))
{
	struct item *item = LIST_FIRST(&jobs->items);

	while (item != NULL) {
		struct item *next = LIST_NEXT(item, link);

		tell(item->job);
		item = next;
	}
}

void
app_jobs_suspend(struct app_jobs *jobs)
{
	tell_all(jobs, app_job_suspend);
}

void
app_jobs_detach(struct app_jobs *jobs)
{
	tell_all(jobs, app_job_detach);
}

unsigned
app_jobs_count(const struct app_jobs *jobs)
{
	return jobs->count;
}
