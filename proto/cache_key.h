/* Keys of caches: a text in which ${checksum:PATTERN} stands for the content of files at the commit. */
#ifndef DAVIT_PROTO_CACHE_KEY_H
#define DAVIT_PROTO_CACHE_KEY_H

#include <stdbool.h>

#include "proto/change.h"
#include "proto/plan.h"
#include "proto/str.h"

struct digest;

enum { CACHE_KEY_MAX = 512, CACHE_KEY_DIGITS = 16 /* of a checksum, that stand in a key */ };

/* Cuts the next part off *rest: plain text (pattern empty), or what stands behind "${checksum:". What does not end is
 * text. False: there is no more. */
bool cache_key_next(struct str *rest, struct str *text, struct str *pattern);
/* A file's part of a checksum: git's name of its content, and its path. In the order of the paths. */
void cache_key_add_file(struct digest *hash, struct str id, struct str path);
/* Whether that folder may be kept in a cache: absolute, or below the workspace, and none that is the container's own
 * (/, /proc, /sys, /dev, /davit, /tmp). */
bool cache_path_is_valid(const char *path);
/* Whether there are paths, and all may. */
bool cache_paths_are_valid(const struct strings *paths);

#define CACHE_SCOPE_SIZE 32

/* Who else may read what a build of a fork's change saves: nobody but its pull request ("fork-7"), or where no number
 * is known, those of the same place and ref ("fork-x3f9a..."). NULL: whose it is is not known. */
void cache_scope(const struct change *change, char ret[CACHE_SCOPE_SIZE]);

#endif
