/* Writes tar archives (POSIX.1-1988 ustar, uncompressed) into a buffer. Owner and group are root, since the engine and
 * a job's own tar unpack as root. Names are relative, of at most 100 bytes: ours, not users'. */
#ifndef DAVIT_PROTO_TAR_H
#define DAVIT_PROTO_TAR_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/str.h"

#define TAR_BLOCK 512

/* Both return false, b failed, when the archive passes b's maximum. mode: permission bits; mtime: seconds since 1970.
 */
bool tar_add_dir(struct buf *b, const char *name, unsigned mode, int64_t mtime);
bool tar_add_file(struct buf *b, const char *name, unsigned mode, int64_t mtime, struct str content);
/* The two empty blocks that end an archive. Without them another archive's bytes may follow, and the two are one. */
bool tar_end(struct buf *b);

#endif
