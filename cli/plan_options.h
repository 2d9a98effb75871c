/* The options of lint, plan and run: for which change a file is planned. */
#ifndef DAVIT_CLI_PLAN_OPTIONS_H
#define DAVIT_CLI_PLAN_OPTIONS_H

#include <stdbool.h>

#include "proto/plan.h"

#define PLAN_OPTIONS                                                                                            \
	"[--event EVENT] [--branch NAME] [--tag NAME] [--path FILE ...] [--param NAME=VALUE ...] [--templates " \
	"FOLDER] "                                                                                              \
	"[FILE]"

/* Reads the arguments and makes the plan of the file that they name. *usage: they are no options of these commands.
 * Prints warnings and the error to stderr. NULL when there was one. */
struct plan *plan_options_run(int argc, char **argv, bool *usage);

#endif
