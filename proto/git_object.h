/* A commit as git keeps it: headers ("tree ID", "author NAME <EMAIL> TIME ZONE", "committer ..."), an empty line, the
 * message. */
#ifndef DAVIT_PROTO_GIT_OBJECT_H
#define DAVIT_PROTO_GIT_OBJECT_H

#include <stdint.h>

#include "proto/str.h"

/* When it was made, by its committer: milliseconds since 1970. 0: it does not say. */
int64_t git_object_time_ms(struct str commit);

#endif
