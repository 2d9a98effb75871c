/* Keys of caches: a text in which ${checksum:PATTERN} stands for the content of files at the commit. */
#ifndef DAVIT_PROTO_CACHE_KEY_H
#define DAVIT_PROTO_CACHE_KEY_H

#include <stdbool.h>

#include "proto/change.h"
#include "proto/str.h"

/* Cuts the next part off *rest: plain text (pattern empty), or what stands behind "${checksum:". What does not end is
 * text. False: there is no more. */
bool cache_key_next(struct str *rest, struct str *text, struct str *pattern);
/* Whether that folder may be kept in a cache: absolute, or below the workspace, and none that is the container's own
 * (/, /proc, /sys, /dev, /davit, /tmp). */
bool cache_path_is_valid(const char *path);

#define CACHE_SCOPE_SIZE 32

/* Who else may read what a build of a fork's change saves: nobody but its pull request ("fork-7"), or where no number
 * is known, those of the same place and ref ("fork-x3f9a..."). NULL: whose it is is not known. */
void cache_scope(const struct change *change, char ret[CACHE_SCOPE_SIZE]);

#endif
