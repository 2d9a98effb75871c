/* Parameters of a build by hand or by the clock: names and values, kept as one JSON object {"NAME": "VALUE"} with the
 * change. Whether the pipeline knows them is asked when it is planned. A job has NAME as a variable. */
#ifndef DAVIT_PROTO_PARAMS_H
#define DAVIT_PROTO_PARAMS_H

#include <stdbool.h>

#include "proto/err.h"
#include "proto/json.h"
#include "proto/plan.h"

enum { PARAMS_MAX = 64, PARAMS_NAME_MAX = 64, PARAMS_VALUE_MAX = 4096 };

/* Of an object of texts, numbers and booleans, as API and people write them; absent: NULL. Free *ret. ERR_INPUT when a
 * name is none ([A-Za-z_][A-Za-z0-9_]*) or a value has a control character other than a tab or line break. */
bool params_read(const struct json_value *object, char **ret, struct err *err);
/* What params_read made, into an empty env. NULL, "" and what is no such text: none. */
void params_env(const char *text, struct env *ret);

#endif
