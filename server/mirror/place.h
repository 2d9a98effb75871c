/* Where the files of a package repository are stored, by what a version of its root file says of them. Whatever name an
 * index file is asked by, it is stored as that of its digest, so that those of several versions are there beside each
 * other, each verified; a signature as that of the root file that it is beside. */
#ifndef DAVIT_MIRROR_PLACE_H
#define DAVIT_MIRROR_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "server/mirror/snapshot.h"
#include "server/mirror/target.h"

/* What stands at the URL is the root file of a repository. */
bool place_is_root(const struct target *target);
/* Of its path: the folder that the paths of its index files stand below. */
size_t place_folder_len(const struct target *root);
/* The path, below that folder, of the signature beside the root file; NULL: it has none. */
const char *place_signature(const struct target *root);

/* It is worth looking for its root file. */
bool place_may_be_index(const struct target *target);
/* Makes the target the file as the root file tells it. False when that does not know it. */
bool place_put(struct target *target, const struct target *root, size_t folder_len, const struct snapshot *snapshot);

/* *ret is filled; target_fini it. */
void place_of_file(const struct target *root, size_t folder_len, const struct snapshot *snapshot,
    const struct index_file *file, struct target *ret);
void place_of_signature(
    const struct target *root, size_t folder_len, const struct snapshot *snapshot, struct target *ret);

#endif
