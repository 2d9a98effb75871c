#include "server/store/log_store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/loop.h"
#include "server/store/log_store_impl.h"

struct log_store *
log_store_new(struct loop *loop, struct disk *disk, const char *state_dir)
{
	struct log_store *store = xcalloc(1, sizeof(*store));

	store->loop = loop;
	store->disk = disk;
	store->dir = xasprintf("%s/log", state_dir);
	for (unsigned i = 0; i < LOG_BUCKETS; i++)
		LIST_INIT(&store->logs[i]);
	TAILQ_INIT(&store->wake);
	store->wake_timer = timer_new(loop, log_on_wake, store);
	return store;
}

void
log_store_free(struct log_store **store)
{
	struct log_store *s = *store;

	if (s == NULL)
		return;
	*store = NULL;
	for (unsigned i = 0; i < LOG_BUCKETS; i++)
		assert(LIST_EMPTY(&s->logs[i]));
	timer_free(&s->wake_timer);
	free(s->dir);
	free(s);
}

/* --- files --- */

bool
log_path(const struct log_store *store, const struct log_id *id, enum log_file file, char *path)
{
	int len = snprintf(path, LOG_PATH_MAX, "%s/%" PRId64 "/%" PRId64 ".%" PRId64 ".%s", store->dir, id->build,
	    id->job, id->attempt, file == LOG_FILE_BYTES ? "log" : "idx");

	return len > 0 && len < LOG_PATH_MAX;
}

/* The folder of a path below the store's, and the store's own. */
static void
make_folders(const struct log_store *store, const char *path)
{
	char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));

	mkdir(store->dir, 0750); /* open() will tell when they are not there */
	mkdir(folder, 0750);
	free(folder);
}

int
log_open_file(const struct log_store *store, const struct log_id *id, enum log_file file, int flags, struct err *err)
{
	char path[LOG_PATH_MAX];
	int fd;

	if (!log_path(store, id, file, path)) {
		err_set(err, ERR_LIMIT, 0, "the path of the state folder is too long");
		return -1;
	}
	flags |= O_CLOEXEC | O_NOFOLLOW;
	fd = open(path, flags, 0640);
	if (fd < 0 && errno == ENOENT && (flags & O_CREAT) != 0) {
		make_folders(store, path);
		fd = open(path, flags, 0640);
	}
	if (fd < 0 && err != NULL) {
		*err = err_errno("open %s", path);
		if (err->detail == ENOENT)
			err->code = ERR_NOT_FOUND;
	}
	return fd;
}

ssize_t
log_pread(int fd, void *p, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t got = pread(fd, (char *)p + done, len - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

/* --- logs in memory --- */

static unsigned
bucket(const struct log_id *id)
{
	return (unsigned)(id->build * 31 + id->job) % LOG_BUCKETS;
}

struct log *
log_find(struct log_store *store, const struct log_id *id)
{
	struct log *log;

	LIST_FOREACH(log, &store->logs[bucket(id)], link)
	if (log->id.build == id->build && log->id.job == id->job && log->id.attempt == id->attempt)
		return log;
	return NULL;
}

struct log *
log_get(struct log_store *store, const struct log_id *id)
{
	struct log *log = log_find(store, id);

	if (log != NULL)
		return log;
	log = xcalloc(1, sizeof(*log));
	log->store = store;
	log->id = *id;
	TAILQ_INIT(&log->waiting);
	TAILQ_INIT(&log->called);
	TAILQ_INIT(&log->tail);
	if (!log_stat(store, id, &log->size, &log->finished, NULL))
		log->size = 0;
	LIST_INSERT_HEAD(&store->logs[bucket(id)], log, link);
	return log;
}

void
log_put(struct log *log)
{
	if (log->writer != NULL || log->follower_count > 0)
		return;
	assert(log->due == 0);
	log_tail_drop(log);
	LIST_REMOVE(log, link);
	free(log);
}

/* --- reading --- */

/* The last whole record; false: there is none that can be trusted. */
static bool
read_last_record(struct log_store *store, const struct log_id *id, struct log_record *ret)
{
	unsigned char bytes[LOG_RECORD_SIZE];
	int fd = log_open_file(store, id, LOG_FILE_INDEX, O_RDONLY, NULL);
	struct stat st;
	bool ok;

	if (fd < 0)
		return false;
	ok = fstat(fd, &st) == 0 && st.st_size >= LOG_RECORD_SIZE &&
	     log_pread(fd, bytes, sizeof(bytes), (uint64_t)(st.st_size / LOG_RECORD_SIZE - 1) * LOG_RECORD_SIZE) ==
		 LOG_RECORD_SIZE &&
	     log_record_decode(bytes, ret);
	close(fd);
	return ok;
}

bool
log_stat(struct log_store *store, const struct log_id *id, uint64_t *size, bool *finished, struct err *err)
{
	struct log *log = log_find(store, id);
	struct log_record last;
	struct stat st;
	int fd;

	if (log != NULL && log->writer != NULL) {
		*size = log->size;
		*finished = false;
		return true;
	}
	fd = log_open_file(store, id, LOG_FILE_BYTES, O_RDONLY, err);
	if (fd < 0)
		return false;
	*size = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
	*finished = read_last_record(store, id, &last) && last.kind == LOG_FINISH && last.offset == *size;
	close(fd);
	return true;
}

bool
log_read(struct log_store *store, const struct log_id *id, uint64_t offset, char *p, size_t max, size_t *len,
    struct err *err)
{
	int fd = log_open_file(store, id, LOG_FILE_BYTES, O_RDONLY, err);
	ssize_t got;

	*len = 0;
	if (fd < 0)
		return false;
	got = offset > INT64_MAX ? 0 : log_pread(fd, p, max < LOG_READ_MAX ? max : LOG_READ_MAX, offset);
	if (got < 0 && err != NULL)
		*err = err_errno("read the log of job %" PRId64 ".%" PRId64, id->build, id->job);
	close(fd);
	*len = got < 0 ? 0 : (size_t)got;
	return got >= 0;
}

bool
log_read_index(struct log_store *store, const struct log_id *id, uint64_t first, struct log_record *records, size_t max,
    size_t *count, struct err *err)
{
	unsigned char bytes[LOG_RECORD_SIZE];
	int fd = log_open_file(store, id, LOG_FILE_INDEX, O_RDONLY, err);

	*count = 0;
	if (fd < 0)
		return false;
	while (*count < max && first + *count <= LOG_RECORDS_MAX) {
		uint64_t at = (first + *count) * LOG_RECORD_SIZE;

		if (log_pread(fd, bytes, sizeof(bytes), at) != LOG_RECORD_SIZE ||
		    !log_record_decode(bytes, &records[*count]))
			break; /* what follows is a torn tail at most */
		++*count;
	}
	close(fd);
	return true;
}

/* --- removing --- */

const char *
log_store_folder(const struct log_store *store)
{
	return store->dir;
}

struct disk_op *
log_remove_build(struct log_store *store, int64_t build, disk_done_fn *fn, void *arg)
{
	char *path = xasprintf("%s/%" PRId64, store->dir, build);
	struct disk_op *op = disk_remove_tree(store->disk, path, fn, arg);

	free(path);
	return op;
}
