/* An append-only file of records, read whole at the start: len | crc32c | type | payload, the first two of 4 bytes,
 * little-endian; len is that of type and payload, which the sum is of. It may end anywhere: what stands behind the last
 * whole record is cut off. Records reach the kernel at once (a killed process loses none) and the disk within a second
 * (a power cut may lose the last ones). */
#ifndef DAVIT_MIRROR_JOURNAL_H
#define DAVIT_MIRROR_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/str.h"
#include "server/core/disk.h"

#define JOURNAL_RECORD_MAX (256 * 1024)

struct journal;
struct loop;

/* A record of an earlier process; payload is good during the call. False: it makes no sense, and nothing behind it is
 * read. */
typedef bool journal_fn(void *arg, unsigned type, struct str payload);
/* A record that will be given soon, if none in front of it is wrong: to have ready what it needs. */
typedef void journal_ahead_fn(void *arg, unsigned type, struct str payload);

/* How far a file is whole. */
struct journal_extent {
	uint64_t size; /* bytes; 0: it is none of ours, or of another version */
	uint64_t count;
};

/* Reads the file, if there is one, in the caller's thread, which may be any. ahead: NULL: none. */
struct journal_extent journal_read(const char *path, journal_ahead_fn *ahead, journal_fn *fn, void *arg);
/* Opens or makes the file; what stands behind what was read is cut off. extent NULL: it is made anew. */
struct journal *journal_open(
    struct loop *loop, struct disk *disk, const char *path, const struct journal_extent *extent, struct err *err);
/* Accepts NULL inside. */
void journal_free(struct journal **journal);
/* False with a word in *err when the disk does not take it; the file is then as before. */
bool journal_append(struct journal *journal, unsigned type, struct str payload, struct err *err);
/* Records in the file. */
uint64_t journal_count(const struct journal *journal);

/* Syncs this journal and gives it that name, on which another may stand; then fn. */
void journal_rename(struct journal *journal, const char *path, disk_done_fn *fn, void *arg);

#endif
