#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/store/log_store_impl.h"

enum {
	SHARE_MS = 50,
	SHARE_BYTES = 65536,
	RECALL_RECORDS = 4096, /* in one go */
	NOTICES_MAX = 4096
};

/* What is stored and will be given again; see log_recall. */
struct recalled {
	uint64_t records;   /* looked at */
	uint64_t text[2];   /* bytes of stdout and stderr to be skipped */
	uint64_t marks;     /* likewise */
	struct buf notices; /* that stand behind the last output or mark */
};

struct log_writer {
	struct log *log;
	int bytes_fd;
	int index_fd;
	uint64_t records;
	uint64_t place;         /* records before that are as they are */
	struct log_record last; /* of records, when that is not 0 */
	bool in_segment;
	struct err failed; /* the first failure */
	struct recalled recalled;
};

/* What the end waits for: both files and their names on disk. */
enum { SYNCS = 3 };

struct log_finish {
	struct log_store *store;
	struct disk_op *ops[SYNCS];
	struct deferred *failed_call;
	struct err err;
	log_done_fn *fn;
	void *arg;
};

/* --- opening, again --- */

/* Whether the bytes that a record stands for are what it was made of. */
static bool
record_matches(const struct log_writer *writer, const struct log_record *record, uint64_t size)
{
	char *scratch = writer->log->store->scratch;
	uint32_t crc = 0;

	if (record->offset + record->length > size)
		return false;
	for (uint64_t done = 0; done < record->length; done += LOG_READ_MAX) {
		size_t want = record->length - done < LOG_READ_MAX ? (size_t)(record->length - done) : LOG_READ_MAX;

		if (log_pread(writer->bytes_fd, scratch, want, record->offset + done) != (ssize_t)want)
			return false;
		crc = log_crc(crc, scratch, want);
	}
	return crc == record->crc;
}

static bool
read_record(const struct log_writer *writer, uint64_t number, struct log_record *ret)
{
	unsigned char bytes[LOG_RECORD_SIZE];

	return log_pread(writer->index_fd, bytes, sizeof(bytes), number * LOG_RECORD_SIZE) == LOG_RECORD_SIZE &&
	       log_record_decode(bytes, ret);
}

/* Back to the last record that both files agree on: whatever follows it is a torn append. */
static bool
recover(struct log_writer *writer)
{
	struct stat bytes;
	struct stat index;
	struct log_record *last = &writer->last;

	if (fstat(writer->bytes_fd, &bytes) != 0 || fstat(writer->index_fd, &index) != 0)
		return false;
	writer->records = (uint64_t)index.st_size / LOG_RECORD_SIZE;
	while (writer->records > 0 && !(read_record(writer, writer->records - 1, last) &&
					  record_matches(writer, last, (uint64_t)bytes.st_size)))
		writer->records--;
	if (writer->records == 0)
		*last = (struct log_record){ .kind = LOG_NOTICE };
	writer->log->size = last->offset + last->length;
	writer->in_segment = last->segment != 0 && last->kind != LOG_END;
	if (last->kind == LOG_FINISH) /* its successor overwrites it; what it counts stays in last */
		writer->records--;
	return ftruncate(writer->index_fd, (off_t)(writer->records * LOG_RECORD_SIZE)) == 0 &&
	       ftruncate(writer->bytes_fd, (off_t)writer->log->size) == 0;
}

static void
writer_free(struct log_writer *writer)
{
	struct log *log = writer->log;

	if (writer->bytes_fd >= 0)
		close(writer->bytes_fd);
	if (writer->index_fd >= 0)
		close(writer->index_fd);
	buf_fini(&writer->recalled.notices);
	free(writer);
	log->writer = NULL;
	log_put(log);
}

struct log_writer *
log_open(struct log_store *store, const struct log_id *id, struct err *err)
{
	struct log *log = log_get(store, id);
	struct log_writer *writer;

	if (log->writer != NULL) {
		err_set(err, ERR_CONFLICT, 0, "the log of job %" PRId64 ".%" PRId64 " is being written already",
		    id->build, id->job);
		return NULL;
	}
	writer = xcalloc(1, sizeof(*writer));
	*writer = (struct log_writer){ .log = log, .bytes_fd = -1, .index_fd = -1 };
	buf_init(&writer->recalled.notices, NOTICES_MAX);
	log->writer = writer;
	log->finished = false;
	log_tail_drop(log);
	writer->bytes_fd = log_open_file(store, id, LOG_FILE_BYTES, O_RDWR | O_CREAT, err);
	if (writer->bytes_fd >= 0)
		writer->index_fd = log_open_file(store, id, LOG_FILE_INDEX, O_RDWR | O_CREAT, err);
	if (writer->index_fd >= 0 && recover(writer))
		return writer;
	if (writer->index_fd >= 0)
		*err = err_errno("open the log of job %" PRId64 ".%" PRId64, id->build, id->job);
	writer_free(writer);
	return NULL;
}

uint64_t
log_writer_size(const struct log_writer *writer)
{
	return writer->log->size;
}

uint64_t
log_raw(const struct log_writer *writer, enum log_kind stream)
{
	assert(stream == LOG_STDOUT || stream == LOG_STDERR);
	return writer->last.raw[stream == LOG_STDERR];
}

const char *
log_segment(const struct log_writer *writer)
{
	return writer->in_segment ? writer->last.name : "";
}

/* --- what is given again --- */

static void
recall_record(struct log_writer *writer, const struct log_record *record)
{
	struct recalled *r = &writer->recalled;
	char *scratch = writer->log->store->scratch;
	size_t len = record->length < LOG_READ_MAX ? record->length : LOG_READ_MAX;

	if (record->kind == LOG_NOTICE) {
		if (log_pread(writer->bytes_fd, scratch, len, record->offset) == (ssize_t)len)
			buf_add(&r->notices, scratch, len);
		return;
	}
	buf_reset(&r->notices);
	if (record->kind == LOG_STDOUT || record->kind == LOG_STDERR)
		r->text[record->kind == LOG_STDERR] += record->length;
	else
		r->marks++;
}

uint64_t
log_place(struct log_writer *writer)
{
	writer->place = writer->records;
	return writer->records;
}

bool
log_recall(struct log_writer *writer, uint64_t place)
{
	struct recalled *r = &writer->recalled;
	struct log_record record;

	if (r->records < place)
		r->records = place < writer->records ? place : writer->records;
	for (unsigned i = 0; i < RECALL_RECORDS && r->records < writer->records; i++, r->records++)
		if (read_record(writer, r->records, &record))
			recall_record(writer, &record);
	return r->records == writer->records;
}

/* Cuts off what is stored of it. */
static bool
is_recalled(struct log_writer *writer, enum log_kind kind, struct str *text)
{
	struct recalled *r = &writer->recalled;
	uint64_t *left = &r->text[kind == LOG_STDERR];
	size_t cut = text->len < *left ? text->len : (size_t)*left;

	if (kind == LOG_NOTICE)
		return r->notices.len > 0 && memmem(r->notices.data, r->notices.len, text->p, text->len) != NULL;
	if (text->len == 0)
		return *left > 0 || r->marks > 0;
	*left -= cut;
	text->p += cut;
	text->len -= cut;
	if (text->len > 0)
		buf_reset(&r->notices);
	return text->len == 0;
}

/* --- appending --- */

static bool
pwrite_all(int fd, const void *p, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t put = pwrite(fd, (const char *)p + done, len - done, (off_t)(offset + done));

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return false;
		done += (size_t)put;
	}
	return true;
}

/* false after a failure, which is given again. */
static bool
writer_check(const struct log_writer *writer, struct err *err)
{
	if (writer->failed.code == ERR_NONE)
		return true;
	if (err != NULL)
		*err = writer->failed;
	return false;
}

/* The files go back to what was stored before; should that fail too, the next log_open cuts them. */
static bool
writer_fail(struct log_writer *writer, struct err failed, struct err *err)
{
	writer->failed = failed;
	if (ftruncate(writer->index_fd, (off_t)(writer->records * LOG_RECORD_SIZE)) != 0 ||
	    ftruncate(writer->bytes_fd, (off_t)writer->log->size) != 0)
		log_warn("the log of job %" PRId64 ".%" PRId64 " has a torn end", writer->log->id.build,
		    writer->log->id.job);
	return writer_check(writer, err);
}

static bool
write_failed(struct log_writer *writer, struct err *err)
{
	const struct log_id *id = &writer->log->id;

	return writer_fail(
	    writer, err_errno("the log of job %" PRId64 ".%" PRId64 " cannot be written", id->build, id->job), err);
}

/* Writes record as number `number`, behind or over the last one. */
static bool
write_record(struct log_writer *writer, uint64_t number, const struct log_record *record, struct err *err)
{
	unsigned char bytes[LOG_RECORD_SIZE];

	if (number >= LOG_RECORDS_MAX)
		return writer_fail(writer,
		    err_make(ERR_LIMIT, 0, "the job's output comes in too many pieces (more than %d)", LOG_RECORDS_MAX),
		    err);
	log_record_encode(record, bytes);
	if (!pwrite_all(writer->index_fd, bytes, sizeof(bytes), number * LOG_RECORD_SIZE))
		return write_failed(writer, err);
	writer->records = number + 1;
	writer->last = *record;
	return true;
}

/* A record for what comes now, with all that lives on from the last one. */
static struct log_record
next_record(const struct log_writer *writer, enum log_kind kind)
{
	struct log_record record = writer->last;

	record.kind = kind;
	record.offset = writer->log->size;
	record.length = 0;
	record.crc = 0;
	record.exit_code = 0;
	record.wall_ms = loop_wall_ms();
	if (!writer->in_segment) {
		record.segment = 0;
		memset(record.name, 0, sizeof(record.name));
	}
	return record;
}

static bool
may_share(const struct log_writer *writer, enum log_kind kind, size_t len)
{
	const struct log_record *last = &writer->last;
	int64_t age = loop_wall_ms() - last->wall_ms;

	return writer->records > writer->place && last->kind == kind && age >= 0 && age < SHARE_MS &&
	       last->length + len <= SHARE_BYTES;
}

bool
log_append(struct log_writer *writer, enum log_kind kind, struct str text, uint64_t raw, struct err *err)
{
	bool known = is_recalled(writer, kind, &text);
	bool share = may_share(writer, kind, text.len);
	struct log_record record = share ? writer->last : next_record(writer, kind);

	assert(kind == LOG_STDOUT || kind == LOG_STDERR || kind == LOG_NOTICE);
	assert(text.len <= UINT32_MAX);
	if (!writer_check(writer, err))
		return false;
	if (known)
		return true;
	if (!pwrite_all(writer->bytes_fd, text.p, text.len, writer->log->size))
		return write_failed(writer, err);
	CRASH_POINT(log_text_written);
	record.length += (uint32_t)text.len;
	record.crc = log_crc(record.crc, text.p, text.len);
	if (kind != LOG_NOTICE)
		record.raw[kind == LOG_STDERR] = raw;
	if (!write_record(writer, share ? writer->records - 1 : writer->records, &record, err))
		return false;
	CRASH_POINT(log_text_indexed);
	log_grew(writer->log, text);
	return true;
}

bool
log_mark(struct log_writer *writer, const char *name, int exit_code, struct err *err)
{
	struct log_record record = next_record(writer, exit_code < 0 ? LOG_BEGIN : LOG_END);

	if (!writer_check(writer, err))
		return false;
	if (writer->recalled.marks > 0) {
		writer->recalled.marks--;
		return true;
	}
	if (exit_code < 0)
		record.segment = ++record.segments;
	else
		record.exit_code = exit_code;
	memset(record.name, 0, sizeof(record.name));
	memcpy(record.name, name, strnlen(name, LOG_NAME_MAX));
	writer->in_segment = exit_code < 0;
	if (!write_record(writer, writer->records, &record, err))
		return false;
	CRASH_POINT(segment_marked);
	return true;
}

/* --- the end --- */

void
log_close(struct log_writer **writer)
{
	struct log_writer *w = *writer;

	*writer = NULL;
	if (w != NULL)
		writer_free(w);
}

static void
finish_end(struct log_finish *op)
{
	struct err err = op->err;
	log_done_fn *fn = op->fn;
	void *arg = op->arg;

	free(op);
	fn(arg, err.code == ERR_NONE ? NULL : &err);
}

static void
finish_arrived(struct log_finish *op, unsigned which, const struct err *err)
{
	op->ops[which] = NULL;
	if (err != NULL && op->err.code == ERR_NONE)
		op->err = *err;
	for (unsigned i = 0; i < SYNCS; i++)
		if (op->ops[i] != NULL)
			return;
	finish_end(op);
}

static void
on_bytes_synced(void *arg, const struct err *err)
{
	finish_arrived(arg, 0, err);
}

static void
on_index_synced(void *arg, const struct err *err)
{
	finish_arrived(arg, 1, err);
}

static void
on_names_synced(void *arg, const struct err *err)
{
	finish_arrived(arg, 2, err);
}

static void
on_failed(void *arg)
{
	struct log_finish *op = arg;

	op->failed_call = NULL;
	finish_end(op);
}

static void
sync_folder(struct log_finish *op, const struct log *log)
{
	char *folder = xasprintf("%s/%" PRId64, log->store->dir, log->id.build);

	op->ops[2] = disk_sync_dir(log->store->disk, folder, on_names_synced, op);
	free(folder);
}

struct log_finish *
log_finish(struct log_writer **writer, log_done_fn *fn, void *arg)
{
	struct log_writer *w = *writer;
	struct log_finish *op = xcalloc(1, sizeof(*op));
	struct log *log = w->log;
	struct log_record record = next_record(w, LOG_FINISH);

	*writer = NULL;
	*op = (struct log_finish){ .store = log->store, .fn = fn, .arg = arg, .err = w->failed };
	if (w->failed.code != ERR_NONE || !write_record(w, w->records, &record, &op->err)) {
		op->failed_call = deferred_call(log->store->loop, on_failed, op);
	} else {
		CRASH_POINT(log_finishing);
		op->ops[0] = disk_datasync(log->store->disk, w->bytes_fd, on_bytes_synced, op);
		op->ops[1] = disk_datasync(log->store->disk, w->index_fd, on_index_synced, op);
		sync_folder(op, log);
	}
	log_ended(log);
	writer_free(w);
	return op;
}

void
log_finish_cancel(struct log_finish **op)
{
	struct log_finish *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	for (unsigned i = 0; i < SYNCS; i++)
		disk_cancel(&o->ops[i]);
	deferred_cancel(&o->failed_call);
	free(o);
}
