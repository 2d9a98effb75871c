/* The jobs of a local run, as the server would take them: each when those that it needs have ended, side by side as far
 * as there are slots, one at a time of a concurrency group or an environment, and again as its retry says. */
#ifndef DAVIT_CLI_RUN_JOBS_H
#define DAVIT_CLI_RUN_JOBS_H

#include <stdbool.h>

#include "cli/run_job.h"

struct run_jobs;
struct run_output;

/* No job goes on, and none will: later, and once. */
typedef void run_jobs_fn(void *arg);

/* deps and output are lent. */
struct run_jobs *run_jobs_new(const struct run_job_deps *deps, struct run_output *output, run_jobs_fn *fn, void *arg);
/* After fn, or before run_jobs_go. Accepts NULL inside. */
void run_jobs_free(struct run_jobs **jobs);
/* Begins what can begin: at first, and whenever a slot has become free. */
void run_jobs_go(struct run_jobs *jobs);
/* Nothing runs, since there is no slot for what could. */
bool run_jobs_are_stuck(const struct run_jobs *jobs);
/* Nothing more begins, and what runs is cancelled. fn still follows. */
void run_jobs_cancel(struct run_jobs *jobs, const char *why);
/* The state of a build that had these jobs, and why, as the server has it: "failed: test: exit code 1 in script".
 * Returns whether it has passed. */
bool run_jobs_print_verdict(const struct run_jobs *jobs);

#endif
