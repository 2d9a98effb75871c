/* What is in an artifact's file: a tar, compressed with zstd, of names relative to the workspace. */
#ifndef DAVIT_STORE_ARTIFACT_TAR_H
#define DAVIT_STORE_ARTIFACT_TAR_H

#include <stdint.h>

#include "proto/err.h"
#include "proto/str.h"

struct artifact_restore;
struct artifact_file;
struct file_store;

/* All of it as an uncompressed tar without an end, each name behind prefix ("workspace/"): a descriptor of the
 * callback's, of a file that has no name any more. */
typedef void artifact_restore_fn(void *arg, int fd, int64_t size, const struct err *err);
struct artifact_restore *artifact_restore_start(
    struct file_store *files, const char *path, const char *prefix, artifact_restore_fn *fn, void *arg);
/* Accepts NULL inside. */
void artifact_restore_cancel(struct artifact_restore **restore);

/* One file of it, as it is asked for. */
struct artifact_file *artifact_file_open(struct file_store *files, const char *path, const char *name);
/* fn: there is more of it to read; the first time also, that the file is there at all. ERR_NOT_FOUND: it is not. */
typedef void artifact_file_fn(void *arg, const struct err *err);
void artifact_file_wait(struct artifact_file *file, artifact_file_fn *fn, void *arg);
/* Bytes that were not read yet; of all the file after the first wait. */
uint64_t artifact_file_left(const struct artifact_file *file);
/* The next bytes that are there, good until the next call; none: wait. */
struct str artifact_file_read(struct artifact_file *file);
/* Accepts NULL inside. */
void artifact_file_close(struct artifact_file **file);

#endif
