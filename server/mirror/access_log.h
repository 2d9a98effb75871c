/* The mirror's access log: lines (proto/access_line.h) at the end of a file, which disk threads write. A file that
 * another program has renamed is made anew; one that has reached its size is renamed to PATH.1, in the place of an
 * older one. Lines that come faster than the disk takes them are left out, and the daemon's log says how many. */
#ifndef DAVIT_MIRROR_ACCESS_LOG_H
#define DAVIT_MIRROR_ACCESS_LOG_H

#include "proto/access_line.h"

#define ACCESS_LOG_PENDING_MAX (1024 * 1024) /* bytes that wait */
#define ACCESS_LOG_DELAY_MS 1000             /* before they are written, unless they are many */

struct access_log;
struct disk;
struct loop;

/* path and disk are lent. size: bytes. */
struct access_log *access_log_new(struct loop *loop, struct disk *disk, const char *path, uint64_t size);
/* Writes what waits, in the caller's thread. Accepts NULL inside. */
void access_log_free(struct access_log **log);
void access_log_add(struct access_log *log, const struct access_line *line);

#endif
