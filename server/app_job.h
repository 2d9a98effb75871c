/* A claimed job on its way through the components: repository -> workspace -> log and container -> result. This is
 * where store, git, log store and builder meet for one job; app.c owns the list of them.
 *
 * Its result is in Redis before its lease is given back. A job whose lease is lost writes nothing more. */
#ifndef DAVIT_SERVER_APP_JOB_H
#define DAVIT_SERVER_APP_JOB_H

#include <stdbool.h>

#include "server/store/records.h"

struct app_files_deps;
struct disk;
struct app_job;
struct builder;
struct engine;
struct git;
struct log_store;
struct loop;
struct store;
struct destinations;

struct app_job_deps {
	struct loop *loop;
	struct disk *disk;
	struct store *store;
	struct log_store *logs;
	struct git *git;
	struct builder *builder;
	struct destinations *destinations; /* of applications */
	const struct app_files_deps *files;
	const char *url;    /* public address, for the job's environment */
	unsigned timeout_s; /* of a job that names none */
	bool full_clone;    /* else the workspace has the commit alone */
	bool pull_always;
	/* Of an adopted job that is not left: the builder knows of its container, or need not. Once, before on_end. */
	void (*on_placed)(void *arg);
	/* Everything of the job is done with: the app_job is gone when this is called. is_left: it goes on under its
	 * claim, for a later process of this node. */
	void (*on_end)(void *arg, const char *job, bool is_left);
	void *arg;
};

/* Takes over both records and the slot (from builder_take). deps is lent for the job's life. */
struct app_job *app_job_start(
    const struct app_job_deps *deps, struct job *job, struct build *build, struct engine *slot);
/* One that an earlier process of this node has begun. deps->on_placed says when the builder has it. */
struct app_job *app_job_adopt(const struct app_job_deps *deps, struct job *job, struct build *build);
const char *app_job_id(const struct app_job *job);
/* Ends it as cancelled; a second time, what runs always as well. was_told: it may be what it was told before, and then
 * is no second time. */
void app_job_cancel(struct app_job *job, bool was_told);
/* Its lease is not ours any more: ends without a result. */
void app_job_lose(struct app_job *job);
/* The daemon stops, for good: the container goes, the job back into the queue, unless it has come to its result. */
void app_job_suspend(struct app_job *job);
/* Another process is to follow: what it can take up is left as it is, and ends here at once; the rest is suspended. */
void app_job_detach(struct app_job *job);

#endif
