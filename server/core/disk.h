/* Disk work that blocks, away from the reactor: a few threads take jobs from one bounded queue and complete them
 * through the loop. A thread touches nothing but its job. No order is promised, not even for one path: start the next
 * step from the callback of the one before. The async contract of core/loop.h holds, but for deadlines: the kernel
 * offers none for disks.
 *
 * Paths are copied. Errors are ERR_IO (detail: errno), ERR_NOT_FOUND (ENOENT), ERR_CONFLICT (EEXIST), and ERR_LIMIT
 * when more than 4,096 jobs wait. */
#ifndef DAVIT_CORE_DISK_H
#define DAVIT_CORE_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "proto/err.h"

struct disk;
struct disk_op;
struct loop;

enum { DISK_THREADS = 3 };

struct disk *disk_new(struct loop *loop);
/* Waits for the jobs that run, drops those that wait. All operations must have ended or been cancelled. Not to be
 * called from a callback of this file. */
void disk_free(struct disk **disk);
/* The callback is never called. A job that has begun is carried out, one that waits is not. Accepts NULL inside. */
void disk_cancel(struct disk_op **op);

typedef void disk_done_fn(void *arg, const struct err *err);

/* fsync, or fdatasync. The descriptor is duplicated: the caller may close its own at once. */
struct disk_op *disk_sync(struct disk *disk, int fd, disk_done_fn *fn, void *arg);
struct disk_op *disk_datasync(struct disk *disk, int fd, disk_done_fn *fn, void *arg);
/* fsync of a directory, so that names made or removed in it last. */
struct disk_op *disk_sync_dir(struct disk *disk, const char *path, disk_done_fn *fn, void *arg);
struct disk_op *disk_rename(struct disk *disk, const char *from, const char *to, disk_done_fn *fn, void *arg);
struct disk_op *disk_unlink(struct disk *disk, const char *path, disk_done_fn *fn, void *arg);
/* A file or a whole tree, without following a symbolic link; no error when it does not exist. */
struct disk_op *disk_remove_tree(struct disk *disk, const char *path, disk_done_fn *fn, void *arg);
/* The same; nobody waits for it, and nobody hears whether it worked. What waits when the disk is freed is not carried
 * out. */
void disk_remove_later(struct disk *disk, const char *path);
/* The same for everything else in the folder in which path stands. Reads that folder at once: for the start. */
void disk_remove_beside(struct disk *disk, const char *path);
/* With all parents; no error when it exists as a directory. */
struct disk_op *disk_mkdir(struct disk *disk, const char *path, mode_t mode, disk_done_fn *fn, void *arg);
/* Now, in the caller's thread: for the start, before the loop turns. Not its parents; no error when it exists. */
bool disk_make_folder(const char *path, mode_t mode, struct err *err);
/* A regular file's bytes into a new file (ERR_CONFLICT when it exists) of that mode; synced when it is done. */
struct disk_op *disk_copy(
    struct disk *disk, const char *from, const char *to, mode_t mode, disk_done_fn *fn, void *arg);

/* Opens for reading (O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); the descriptor is the callback's, -1 on error. */
typedef void disk_open_fn(void *arg, int fd, const struct stat *st, const struct err *err);
struct disk_op *disk_open(struct disk *disk, const char *path, disk_open_fn *fn, void *arg);

/* Work of the caller's own, in slices of at most some milliseconds each (a large request's digest and parse takes some
 * tens, as there is a bound on such bodies): run gets work in a thread, and touches nothing
 * else. Until fn is called work is the disk's; after disk_cancel it stays so, and release gets it from the loop's
 * thread when nothing uses it any more. */
typedef void disk_run_fn(void *work, struct err *err);
typedef void disk_release_fn(void *work);
struct disk_op *disk_call(
    struct disk *disk, disk_run_fn *run, disk_release_fn *release, void *work, disk_done_fn *fn, void *arg);

/* Of the file system that path lies on: what an unprivileged process may still use, and all there is. */
typedef void disk_space_fn(void *arg, uint64_t free_bytes, uint64_t total_bytes, const struct err *err);
struct disk_op *disk_space(struct disk *disk, const char *path, disk_space_fn *fn, void *arg);

#endif
