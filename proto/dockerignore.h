/* .dockerignore: which files of a build's context are left out (docs.docker.com/build/concepts/context, "Filename and
 * location"). One pattern a line, as proto/glob.h has them for paths; # begins a comment, ! takes what fits back in,
 * and the last line that fits a path, or a folder above it, decides. */
#ifndef DAVIT_PROTO_DOCKERIGNORE_H
#define DAVIT_PROTO_DOCKERIGNORE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/err.h"
#include "proto/str.h"

enum { DOCKERIGNORE_MAX_PATTERNS = 256, DOCKERIGNORE_MAX_BYTES = 64 * 1024 };

struct dockerignore;

/* file: its name, for messages. ERR_INPUT with "FILE:LINE: " for a pattern that is none; ERR_LIMIT. The text of a file
 * that does not exist is empty. Free with dockerignore_free. */
bool dockerignore_parse(struct str text, const char *file, struct dockerignore **ret, struct err *err);
/* Accepts NULL inside. */
void dockerignore_free(struct dockerignore **ignore);
/* path: below the context's root, without a slash at either end. */
bool dockerignore_excludes(const struct dockerignore *ignore, const char *path);

#endif
