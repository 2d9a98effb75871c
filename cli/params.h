/* NAME=VALUE of an option such as --param, as often as wanted, among options that come in pairs. */
#ifndef DAVIT_CLI_PARAMS_H
#define DAVIT_CLI_PARAMS_H

#include <stdbool.h>

#include "proto/json.h"

/* The member of that name with those of the option among argv; nothing when there are none. false after saying what is
 * wrong. */
bool params_write(struct json_writer *w, const char *option, const char *member, int argc, char **argv);

#endif
