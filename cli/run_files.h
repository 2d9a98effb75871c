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
struct loop;
struct run_files;
struct run_files_op;
struct run_pipe;

/* folder: for the tars. All are lent. */
struct run_files *run_files_new(struct loop *loop, const char *folder, const struct plan *plan);
/* The tars are the folder's owner's to remove. Accepts NULL inside. */
void run_files_free(struct run_files **files);

/* The artifacts of job `index` (from 0), which has ended, as its state wants them; what there is of each is said to
 * pipe. err: as on the server, ERR_LIMIT is the job's own fault. Jobs may be under way side by side. The async contract
 * of core/loop.h holds. */
typedef void run_files_fn(void *arg, const struct err *err);
struct run_files_op *run_files_collect(struct run_files *files, struct builder_run *run, size_t index, bool passed,
    struct run_pipe *pipe, run_files_fn *fn, void *arg);
/* Accepts NULL inside. */
void run_files_cancel(struct run_files_op **op);
/* What job `index` gets of those that it needs, which is said to pipe; free() it, the descriptors are the files'. */
struct docker_piece *run_files_inputs(struct run_files *files, size_t index, struct run_pipe *pipe, size_t *count);

#endif
