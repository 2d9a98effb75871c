/* A local run from its beginning to its end: the workspace is made, the engine is waited for, the jobs run
 * (run_jobs.h), and nothing of it stays on the engine. */
#ifndef DAVIT_CLI_RUN_LOCAL_H
#define DAVIT_CLI_RUN_LOCAL_H

#include <stdbool.h>

#include "cli/run_options.h"

/* plan is settled by run_options_settle. Returns whether everything that matters has passed, which was said. */
bool run_local(const struct run_options *options, const struct plan *plan);

#endif
