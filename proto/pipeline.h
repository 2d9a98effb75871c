/* daocloud.yml -> plan. The form is recognised by the file's structure, never by its version number: flat (one job with
 * image, services, env, install, before_script, script), or the same below test:.
 *
 * Every error and warning begins with "FILE:LINE:COLUMN: " and says what to write instead; an unknown key is an error
 * that names the nearest known one. Pure: equal bytes give equal plans. */
#ifndef DAVIT_PROTO_PIPELINE_H
#define DAVIT_PROTO_PIPELINE_H

#include <stdbool.h>

#include "proto/err.h"
#include "proto/plan.h"
#include "proto/str.h"
#include "proto/yaml.h"

/* file is the name used in messages. Free with plan_free. */
bool pipeline_parse(struct str text, const char *file, struct plan **ret, struct err *err);
bool pipeline_from_yml(const struct yml *doc, struct plan **ret, struct err *err);

#endif
