/* The pipeline file that a command works on. */
#ifndef DAVIT_CLI_FILE_H
#define DAVIT_CLI_FILE_H

#include <stdbool.h>

#include "proto/err.h"
#include "proto/pipeline.h"
#include "proto/plan.h"

/* Reads the file, and what it includes from its folder and from that of templates (NULL: there are none), and makes its
 * plan. path NULL: daocloud.yml, or davit.yml when there is none; "-": standard input. context NULL: nothing is known;
 * its includes are not looked at. Prints warnings and the error to stderr. NULL when there was an error. */
struct plan *file_plan(const char *path, const struct pipeline_context *context, const char *templates);

#endif
