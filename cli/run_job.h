/* One attempt of one job of a local run: its environment and files in, its output to a pipe, its reports, artifacts and
 * caches out. What is said on the way is what the server's log of the job would have. */
#ifndef DAVIT_CLI_RUN_JOB_H
#define DAVIT_CLI_RUN_JOB_H

#include <stddef.h>

#include "proto/plan.h"
#include "server/builder/builder.h"

struct loop;
struct run_files;
struct run_images;
struct run_job;
struct run_options;
struct run_pipe;
struct workspace_result;

/* Lent for as long as there are any. */
struct run_job_deps {
	struct loop *loop;
	struct builder *builder;
	const struct run_options *options;
	const struct plan *plan;
	const char *top; /* the working copy */
	const struct workspace_result *workspace;
	struct run_files *files;
	struct run_images *images;
};

struct run_job_result {
	enum builder_state state;
	char reason[256];
	const char *failed_tests; /* lines for people; "" when there are none. Good for the call */
};

/* The job is gone. */
typedef void run_job_fn(void *arg, const struct run_job_result *result);

/* Job `index` (from 0) of the plan, in a slot that is free. pipe is lent. The async contract of core/loop.h holds. */
struct run_job *run_job_start(
    const struct run_job_deps *deps, size_t index, unsigned attempt, struct run_pipe *pipe, run_job_fn *fn, void *arg);
/* fn still follows. */
void run_job_cancel(struct run_job *job, const char *why);

#endif
