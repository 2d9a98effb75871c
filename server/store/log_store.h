/* The logs of jobs: one file of bytes and one index per attempt, below state_dir/log/BUILD/JOB.ATTEMPT.{log,idx}
 * (doc/log-format.md). A log has one writer (the builder's side) and any number of readers and followers, which see
 * bytes in the turn in which they were appended.
 *
 * A log exists in memory while it is written or followed. Followers share the bytes of its end; one that lags behind
 * reads the file and loses nothing. Reads and writes are small and go straight to the page cache; syncing and removing
 * is done by core/disk. Output that comes in crumbs shares records (up to 50 ms and 64 KiB of one stream in each), and
 * a log has at most 500,000 of them, so that an index stays below 64 MB. */
#ifndef DAVIT_STORE_LOG_STORE_H
#define DAVIT_STORE_LOG_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/str.h"
#include "server/core/disk.h"

struct log_block;
struct log_follower;
struct log_store;
struct log_writer;
struct loop;

enum { LOG_READ_MAX = 65536, LOG_NAME_MAX = 64, LOG_RECORDS_MAX = 500000 };

/* Which attempt of which job: job 2 of build 17, attempt 1. */
struct log_id {
	int64_t build;
	int64_t job;
	int64_t attempt;
};

/* In the files: do not renumber. */
enum log_kind {
	LOG_STDOUT = 1,
	LOG_STDERR = 2,
	LOG_NOTICE = 3, /* Davit's own words */
	LOG_BEGIN = 4,  /* a segment begins */
	LOG_END = 5,    /* a segment ended */
	LOG_FINISH = 6, /* nothing follows */
};

/* One record of the index. */
struct log_record {
	enum log_kind kind;
	uint64_t offset;   /* in the log: of its first byte */
	uint32_t length;   /* bytes of the log that it stands for; 0 for marks */
	uint32_t crc;      /* CRC-32C of these bytes */
	unsigned segment;  /* 1, 2, ...; 0: outside of any */
	unsigned segments; /* begun so far */
	int64_t wall_ms;   /* when its first byte came */
	uint64_t raw[2];   /* bytes that the engine had delivered of stdout and stderr when its last byte came */
	int exit_code;     /* of LOG_END; else 0 */
	char name[LOG_NAME_MAX + 1]; /* of the segment; "" outside of any */
};

struct log_store *log_store_new(struct loop *loop, struct disk *disk, const char *state_dir);
/* All writers closed, all followers ended, no removal in flight. */
void log_store_free(struct log_store **store);

/* --- writing --- */

/* Creates the log, or opens it again where it was left: then a tail of the files that does not match (a crash in the
 * middle of an append) is cut off; see log_recall. ERR_CONFLICT while it has a writer. */
struct log_writer *log_open(struct log_store *store, const struct log_id *id, struct err *err)
    __attribute__((warn_unused_result));
/* Bytes stored. */
uint64_t log_writer_size(const struct log_writer *writer);
/* How many bytes of the engine's stdout (LOG_STDOUT) or stderr are taken in. */
uint64_t log_raw(const struct log_writer *writer, enum log_kind stream);
/* How many records there are; what follows gets records of its own. */
uint64_t log_place(struct log_writer *writer);
/* Before anything is appended to a log that was opened again: from now on the output is given once more from the place
 * on, and what is stored of it already is skipped, byte by byte and mark by mark; so are notices that stand at its end.
 * False: not yet, call it again on a later turn of the loop. */
bool log_recall(struct log_writer *writer, uint64_t place);
/* The segment that has begun and not ended: "" for none. */
const char *log_segment(const struct log_writer *writer);
/* raw: the engine's bytes of that stream up to here (builder.h's output); ignored for LOG_NOTICE. Text may be empty.
 * After a failure (disk full) the writer stays failed with the same error, what was stored before stays readable. */
bool log_append(struct log_writer *writer, enum log_kind kind, struct str text, uint64_t raw, struct err *err);
/* exit_code -1: it begins. name is cut at LOG_NAME_MAX. */
bool log_mark(struct log_writer *writer, const char *name, int exit_code, struct err *err);

typedef void log_done_fn(void *arg, const struct err *err);
/* Marks the end, tells the followers, closes, and syncs: then fn is called (not after log_finish_cancel).
 * The writer is gone at once. */
struct log_finish;
struct log_finish *log_finish(struct log_writer **writer, log_done_fn *fn, void *arg);
void log_finish_cancel(struct log_finish **op);
/* Without an end: the daemon stops and the job lives on. Followers stay. Accepts NULL inside. */
void log_close(struct log_writer **writer);

/* --- reading --- */

/* ERR_NOT_FOUND when there is no such log. finished: LOG_FINISH is its last record. */
bool log_stat(struct log_store *store, const struct log_id *id, uint64_t *size, bool *finished, struct err *err);
/* At most LOG_READ_MAX bytes from offset on into p; *len is 0 at its present end. */
bool log_read(struct log_store *store, const struct log_id *id, uint64_t offset, char *p, size_t max, size_t *len,
    struct err *err);
/* At most max records from number `first` on; *count is 0 at its present end. */
bool log_read_index(struct log_store *store, const struct log_id *id, uint64_t first, struct log_record *records,
    size_t max, size_t *count, struct err *err);

/* --- following --- */

/* fn: there are bytes behind the follower's offset, or the log has ended. It is called once; then log_follow_read until
 * that gives nothing, which makes the follower wait again. Never called from within a function of this file; it may do
 * anything but free the store. The log need not exist yet, and may never do so: end the follower with its job. */
typedef void log_follow_fn(void *arg);
struct log_follower *log_follow(
    struct log_store *store, const struct log_id *id, uint64_t offset, log_follow_fn *fn, void *arg);
/* Accepts NULL inside. */
void log_unfollow(struct log_follower **follower);
/* The next bytes (at most LOG_READ_MAX), good until the next call of this function for any follower; the follower's
 * offset moves behind them. Empty: it waits from now on, or the log has ended. When the bytes are shared, *block is
 * theirs: log_block_ref it to keep them longer without a copy; else NULL. block may be NULL. */
struct str log_follow_read(struct log_follower *follower, struct log_block **block);
uint64_t log_follow_offset(const struct log_follower *follower);
/* It has read everything, and nothing follows. Also when the files cannot be read (log_follow_error says why). */
bool log_follow_is_ended(const struct log_follower *follower);
const char *log_follow_error(const struct log_follower *follower); /* NULL: none */
/* How many there are, of all logs. */
unsigned log_followers(const struct log_store *store);

/* Immutable shared bytes. */
struct log_block *log_block_ref(struct log_block *block);
void log_block_unref(struct log_block **block);

/* --- removing --- */

/* Where the folders of the builds are, named by number. */
const char *log_store_folder(const struct log_store *store);
/* All logs of a build, by a disk thread; none may be written or followed. No error when there is none. */
struct disk_op *log_remove_build(struct log_store *store, int64_t build, disk_done_fn *fn, void *arg);

#endif
