/* A pipeline's text on its way to a plan, with all that it is planned for: own copies, so that a thread may work on it.
 * parsing_list and parsing_run are made for disk_call (core/disk.h), and may be called as well; err stays as it is. */
#ifndef DAVIT_SCHEDULER_PARSING_H
#define DAVIT_SCHEDULER_PARSING_H

#include "proto/pipeline.h"

struct parsing;

/* name: of the file, and stays; text is copied. */
struct parsing *parsing_new(const char *name, struct str text);
/* Accepts NULL inside. */
void parsing_free(struct parsing **parsing);
/* The same, for disk_call. */
void parsing_release(void *parsing);

/* Whether it may take longer than the loop is to be held. */
bool parsing_is_large(const struct parsing *parsing);
/* What is included. */
void parsing_list(void *parsing, struct err *err);
/* That list, to be filled by the caller. */
struct pipeline_includes *parsing_includes(struct parsing *parsing);
/* The changed files; copied. */
void parsing_set_paths(struct parsing *parsing, const struct strings *paths);
bool parsing_knows_paths(const struct parsing *parsing);
/* What is planned for: copied. Paths, parameters and includes are the parsing's own. params as in struct change. */
void parsing_set(struct parsing *parsing, const struct pipeline_context *context, const char *params);
/* The plan. */
void parsing_run(void *parsing, struct err *err);
/* What was wrong with the text; NULL: nothing. */
const struct err *parsing_error(const struct parsing *parsing);
/* The caller's. */
struct plan *parsing_plan(struct parsing *parsing);

#endif
