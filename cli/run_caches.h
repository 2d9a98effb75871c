/* Caches of local runs: tars in a folder of the user's ($XDG_CACHE_HOME/davit), one working copy's apart from
 * another's. Keys, fallbacks and what is said about them are the server's; what was not used for long goes. */
#ifndef DAVIT_CLI_RUN_CACHES_H
#define DAVIT_CLI_RUN_CACHES_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/plan.h"
#include "server/io/docker.h"

struct builder_run;
struct run_caches;
struct run_pipe;

/* Of one job. top: the working copy's folder. What is said goes to pipe, which is lent. */
struct run_caches *run_caches_new(const char *top, struct run_pipe *pipe);
/* Accepts NULL inside. */
void run_caches_free(struct run_caches **caches);

/* Looks for what the job gets, once; spec is lent. workspace: the tar whose checksums go into keys. */
void run_caches_begin(struct run_caches *caches, const struct job_spec *spec, const char *workspace);
/* That, good until run_caches_free. */
const struct docker_piece *run_caches_inputs(const struct run_caches *caches, size_t *count);
/* Between the run's ended and builder_leave. The async contract of core/loop.h holds, but that fn is called at once
 * when there is nothing to save. */
typedef void run_caches_fn(void *arg);
void run_caches_save(struct run_caches *caches, struct builder_run *run, bool passed, run_caches_fn *fn, void *arg);
/* The run is over, whatever it was doing. */
void run_caches_stop(struct run_caches *caches);

#endif
