/* The jobs that this node has claimed: between the scheduler that claims them and app_job, which carries each through.
 */
#ifndef DAVIT_SERVER_APP_JOBS_H
#define DAVIT_SERVER_APP_JOBS_H

#include <stdbool.h>

#include "server/app_job.h"
#include "server/scheduler/scheduler.h"

struct app_jobs;

struct app_jobs_deps {
	struct app_job_deps job; /* but on_placed, on_end and arg, which are ours */
	/* The job is done with, its slot is free; its lease may be dropped, unless it is left. */
	void (*on_end)(void *arg, const char *job, bool is_left);
	/* No adopted job is left whose container the builder does not know yet. */
	void (*on_placed)(void *arg);
	void *arg;
};

struct app_jobs *app_jobs_new(const struct app_jobs_deps *deps);
/* None may be left. Accepts NULL. */
void app_jobs_free(struct app_jobs **jobs);
/* Takes over both records and the slot. */
void app_jobs_start(struct app_jobs *jobs, struct job *job, struct build *build, struct engine *slot);
/* Takes over both records of a job that an earlier process has begun. */
void app_jobs_adopt(struct app_jobs *jobs, struct job *job, struct build *build);
/* Whether there are adopted jobs whose container the builder does not know yet. */
bool app_jobs_are_placed(const struct app_jobs *jobs);
/* See app_job_cancel and app_job_lose; nothing happens when the job is not here. */
void app_jobs_stop(struct app_jobs *jobs, const char *id, enum scheduler_stop why);
bool app_jobs_has(const struct app_jobs *jobs, const char *id);
/* All of them, see app_job_suspend and app_job_detach. */
void app_jobs_suspend(struct app_jobs *jobs);
void app_jobs_detach(struct app_jobs *jobs);
unsigned app_jobs_count(const struct app_jobs *jobs);

#endif
