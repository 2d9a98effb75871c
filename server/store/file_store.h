/* Where the files of artifacts and caches lie below the state folder, and nothing about what is in them:
 *   artifacts/BUILD/JOB.ATTEMPT.NUMBER.tar.zst     caches/ID.tar     incoming/PROCESS/NUMBER (what grows)
 * No part of a path is a text of a user's. What an earlier process left in incoming/ is removed. */
#ifndef DAVIT_STORE_FILE_STORE_H
#define DAVIT_STORE_FILE_STORE_H

#include <stdint.h>

#include "proto/err.h"
#include "server/core/disk.h"
#include "server/store/files.h"

struct file_store;

/* Blocks, at the start of the process. */
struct file_store *file_store_new(struct disk *disk, const char *state_dir, struct err *err);
/* Removes what other processes left on its way. They must have ended. */
void file_store_sweep(struct file_store *files);
/* Accepts NULL. What is still incoming is removed by the next start. */
void file_store_free(struct file_store **files);
struct disk *file_store_disk(const struct file_store *files);

/* All free() them. */
char *file_store_incoming(struct file_store *files); /* another one each time */
char *file_store_artifact(const struct file_store *files, const struct artifact *artifact);
char *file_store_artifact_folder(const struct file_store *files, int64_t build);
char *file_store_cache(const struct file_store *files, const char *id);
const char *file_store_caches(const struct file_store *files);

#endif
