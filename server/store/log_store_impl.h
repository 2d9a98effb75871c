/* What the files of the log store share: the log as it stands in memory while it is written or followed.
 * log_store.c finds and reads, log_writer.c appends, log_follow.c tells. */
#ifndef DAVIT_STORE_LOG_STORE_IMPL_H
#define DAVIT_STORE_LOG_STORE_IMPL_H

#include <sys/queue.h>

#include "server/store/log_record.h"
#include "server/store/log_store.h"

enum { LOG_BUCKETS = 256, LOG_PATH_MAX = 512 };

struct timer;

struct log_block {
	TAILQ_ENTRY(log_block) link;
	unsigned refs;
	uint64_t offset; /* of its first byte in the log */
	size_t len;      /* filled; what is filled never changes */
	char *bytes;
};

struct log {
	LIST_ENTRY(log) link;
	TAILQ_ENTRY(log) wake_link;
	struct log_store *store;
	struct log_id id;
	uint64_t size;
	bool finished;
	struct log_writer *writer; /* NULL: none */
	TAILQ_HEAD(, log_follower) waiting;
	TAILQ_HEAD(, log_follower) called;
	unsigned waiting_count;
	unsigned follower_count;
	unsigned due; /* of the waiting ones, counted from the first: to be looked at; the log is in store->wake */
	TAILQ_HEAD(log_block_list, log_block) tail; /* the log's end, up to size; empty without followers */
	unsigned tail_count;
};

struct log_store {
	struct loop *loop;
	struct disk *disk;
	char *dir;
	LIST_HEAD(, log) logs[LOG_BUCKETS];
	unsigned followers;
	unsigned writers;
	TAILQ_HEAD(, log) wake;
	struct timer *wake_timer;
	char scratch[LOG_READ_MAX];
};

enum log_file { LOG_FILE_BYTES, LOG_FILE_INDEX };

/* Into path, which has LOG_PATH_MAX bytes; false when that is not enough. */
bool log_path(const struct log_store *store, const struct log_id *id, enum log_file file, char *path);
/* A descriptor, or -1 and *err. flags as for open(2). */
int log_open_file(
    const struct log_store *store, const struct log_id *id, enum log_file file, int flags, struct err *err);
/* All len bytes, or until the file's end; -1: errno. */
ssize_t log_pread(int fd, void *p, size_t len, uint64_t offset);

/* The log in memory; NULL: it is not there. */
struct log *log_find(struct log_store *store, const struct log_id *id);
/* The log in memory, put there if need be: with the files' size, if there are files. */
struct log *log_get(struct log_store *store, const struct log_id *id);
/* Frees it when nobody writes or follows it. */
void log_put(struct log *log);

/* Bytes were stored behind log->size: takes them into the tail, moves the size, and wakes the followers. */
void log_grew(struct log *log, struct str text);
/* Wakes them as the log has ended. */
void log_ended(struct log *log);
void log_tail_drop(struct log *log);
/* The store's timer. */
void log_on_wake(void *arg);

#endif
