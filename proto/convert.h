/* Other systems' pipeline files -> the modern form of daocloud.yml: .travis.yml, .gitlab-ci.yml, .drone.yml and
 * .woodpecker.yml, as far as they say the same things. What cannot be carried over is named in a note, and never left
 * out in silence. Formats: docs.travis-ci.com/user, docs.gitlab.com/ci/yaml, docs.drone.io/pipeline/docker,
 * woodpecker-ci.org/docs/usage. Pure: equal bytes give equal texts. */
#ifndef DAVIT_PROTO_CONVERT_H
#define DAVIT_PROTO_CONVERT_H

#include <stdbool.h>

#include "proto/err.h"
#include "proto/plan.h"
#include "proto/str.h"

enum convert_from { CONVERT_TRAVIS, CONVERT_GITLAB, CONVERT_DRONE, CONVERT_WOODPECKER };

/* By the last part of the path: "dir/.travis.yml". */
bool convert_from_path(const char *path, enum convert_from *ret);
/* "travis", "gitlab", "drone", "woodpecker" */
const char *convert_from_name(enum convert_from from);
bool convert_from_parse(const char *name, enum convert_from *ret);

/* *ret is the new file (free() it); a note is "FILE:LINE:COLUMN: ..."; strings_fini them, also after an error. */
bool convert_pipeline(
    enum convert_from from, struct str text, const char *file, char **ret, struct strings *notes, struct err *err);

#endif
