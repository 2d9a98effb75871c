/* The pipeline file that a command works on. */
#ifndef DAVIT_CLI_FILE_H
#define DAVIT_CLI_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/err.h"
#include "proto/pipeline.h"
#include "proto/plan.h"

/* *text is the caller's to free; of a file that is too large for a pipeline one byte more than the limit. False when it
 * cannot be read, which is printed to stderr. */
bool file_read(const char *path, char **text, size_t *len);
/* Reads the file, and what it includes from its folder and from that of templates (NULL: there are none), and makes its
 * plan. path NULL: daocloud.yml, or davit.yml when there is none; "-": standard input. context NULL: nothing is known;
 * its includes are not looked at. Prints warnings and the error to stderr. NULL when there was an error. */
struct plan *file_plan(const char *path, const struct pipeline_context *context, const char *templates);

#endif
