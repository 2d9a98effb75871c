/* Files that jobs of a local run hand over: the artifacts of each are taken out of its container into a tar, and put
 * into the workspace of those that need it. */
#ifndef DAVIT_CLI_RUN_FILES_H
#define DAVIT_CLI_RUN_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/err.h"
#include "proto/plan.h"
#include "server/io/docker.h"

struct builder_run;
struct run_files;

/* folder: for the tars. Both are lent. */
struct run_files *run_files_new(const char *folder, const struct plan *plan);
/* Accepts NULL inside. The tars are the folder's owner's to remove. */
void run_files_free(struct run_files **files);

/* The artifacts of job `index` (from 0), which has ended, as its state wants them. The async contract of core/loop.h
 * holds, but that fn is called at once when there are none. */
typedef void run_files_fn(void *arg, const struct err *err);
void run_files_collect(
    struct run_files *files, struct builder_run *run, size_t index, bool passed, run_files_fn *fn, void *arg);
/* The run is over, whatever it was doing. */
void run_files_stop(struct run_files *files);
/* What job `index` gets of those that it needs; the descriptors are the files'. */
const struct docker_piece *run_files_inputs(struct run_files *files, size_t index, size_t *count);

#endif
