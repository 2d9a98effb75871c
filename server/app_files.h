/* The files of one job, on their way in and out: caches and the artifacts of jobs that it needs go into its workspace;
 * reports, artifacts and caches come out when its script has ended. This is where git, the stores and the builder meet
 * for them; app_job.c owns one struct app_files per job.
 *
 * A cache that cannot be restored or saved is a note in the log, no failure: the job can do without. A missing artifact
 * of a needed job is a failure, as is an artifact of its own that is too large. Nothing partial is ever recorded. */
#ifndef DAVIT_SERVER_APP_FILES_H
#define DAVIT_SERVER_APP_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/plan.h"
#include "server/io/docker.h"
#include "server/store/records.h"

struct app_files;
struct file_store;
struct git;
struct loop;
struct builder_run;
struct store;

/* Lent for as long as there are any. */
struct app_files_deps {
	struct loop *loop;
	struct store *store;
	struct git *git;
	struct file_store *files;
	uint64_t artifact_max;       /* bytes of one artifact's files */
	uint64_t artifact_job_max;   /* of all of a job */
	uint64_t artifact_repo_max;  /* what a repository's may take on disk */
	unsigned artifact_expire_s;  /* of an artifact that says nothing else */
	uint64_t cache_max;          /* bytes of one cache */
	void (*on_cache)(void *arg); /* one was saved: there may be too many now */
	void *arg;
};

/* What is lent for the job's life. */
struct app_files_job {
	const struct job *job;
	const struct build *build;
	const struct job_spec *spec;
	bool is_left; /* by an earlier process: everything has gone in; what is to be saved has to be known again */
	/* A line for the job's log. */
	void (*note)(void *arg, const char *text);
	/* Takes out of a text, in place, what nobody must see. */
	void (*hide)(void *arg, char *text);
	void *arg;
};

struct app_files *app_files_new(const struct app_files_deps *deps, const struct app_files_job *job);
/* At any time; no callback follows. Accepts NULL inside. */
void app_files_free(struct app_files **files);

/* err: the job cannot run; ERR_UNAVAILABLE, ERR_TIMEOUT: try again later. */
typedef void app_files_fn(void *arg, const struct err *err);

/* Before the run: gathers what goes in. The commit has been fetched. */
void app_files_gather(struct app_files *files, app_files_fn *fn, void *arg);
/* Good until app_files_free. */
const struct docker_piece *app_files_pieces(const struct app_files *files, size_t *count);

/* Between the run's ended and builder_leave. err: the job has not done what it should: ERR_LIMIT is its own fault. */
void app_files_collect(struct app_files *files, struct builder_run *run, bool passed, app_files_fn *fn, void *arg);
/* The run is over, whatever it was doing. */
void app_files_stop(struct app_files *files);

#endif
