#include "server/mirror/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/crc32.h"
#include "proto/mem.h"
#include "server/core/log.h"
#include "server/core/loop.h"

#define FRAME 8 /* len and sum */
#define SYNC_MS 1000

static const char magic[8] = "davitmj1";

struct journal {
	struct disk *disk;
	int fd;
	char *path;
	uint64_t size;
	uint64_t count;
	struct timer *timer;
	struct disk_op *sync;
	bool is_dirty; /* since the sync began */
	char *rename_to;
	struct disk_op *rename; /* the sync before it, then itself */
	disk_done_fn *fn;
	void *arg;
};

/* --- numbers --- */

static void
put_u32(unsigned char *p, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(n >> 8 * i);
}

static uint32_t
get_u32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* --- reading --- */

#define READ_SIZE (256 * 1024) /* stays in the processor's cache until it is understood */

enum { BATCH = 16 };

/* What was read of the file and not yet understood. */
struct input {
	int fd;
	char *text; /* READ_SIZE and a record */
	size_t at, end;
	bool is_over; /* what stands here is no whole record */
};

/* More bytes behind those that are left. False: there are none. */
static bool
read_more(struct input *in)
{
	ssize_t n;

	memmove(in->text, in->text + in->at, in->end - in->at);
	in->end -= in->at;
	in->at = 0;
	do
		n = read(in->fd, in->text + in->end, READ_SIZE);
	while (n < 0 && errno == EINTR);
	in->end += n > 0 ? (size_t)n : 0;
	return n > 0;
}

static bool
has_bytes(struct input *in, size_t len)
{
	while (in->end - in->at < len)
		if (!read_more(in))
			return false;
	return true;
}

/* The next record's type and payload, good until the next call. False: there is no whole one. */
static bool
read_record(struct input *in, struct str *record)
{
	const unsigned char *frame;
	uint32_t len;

	if (!has_bytes(in, FRAME))
		return false;
	len = get_u32((const unsigned char *)in->text + in->at);
	if (len < 1 || len > JOURNAL_RECORD_MAX || !has_bytes(in, FRAME + len))
		return false;
	frame = (const unsigned char *)in->text + in->at; /* which may have moved */
	*record = (struct str){ in->text + in->at + FRAME, len };
	in->at += FRAME + len;
	return crc32c(*record) == get_u32(frame + 4);
}

/* Whether the next record needs no more of the file. */
static bool
is_at_hand(const struct input *in)
{
	size_t have = in->end - in->at;

	return have >= FRAME && have - FRAME >= get_u32((const unsigned char *)in->text + in->at);
}

/* The next records, as many as there are in one place, good until the next call. 0: there are no more. */
static size_t
read_batch(struct input *in, struct str records[BATCH])
{
	size_t count = 0;

	while (count < BATCH && !in->is_over && (count == 0 || is_at_hand(in))) {
		in->is_over = !read_record(in, &records[count]);
		count += in->is_over ? 0 : 1;
	}
	return count;
}

static unsigned
type_of(struct str record)
{
	return (unsigned char)record.p[0];
}

static struct str
payload_of(struct str record)
{
	return (struct str){ record.p + 1, record.len - 1 };
}

/* What is not ours, or of another version, is begun anew: it is a cache. */
static struct journal_extent
read_all(struct input *in, journal_ahead_fn *ahead, journal_fn *fn, void *arg)
{
	struct journal_extent extent = { 0 };
	struct str records[BATCH];
	size_t count;

	if (!has_bytes(in, sizeof(magic)) || memcmp(in->text, magic, sizeof(magic)) != 0)
		return extent;
	in->at = extent.size = sizeof(magic);
	while ((count = read_batch(in, records)) > 0) {
		for (size_t i = 0; ahead != NULL && i < count; i++)
			ahead(arg, type_of(records[i]), payload_of(records[i]));
		for (size_t i = 0; i < count; i++) {
			if (!fn(arg, type_of(records[i]), payload_of(records[i])))
				return extent;
			extent.size += FRAME + records[i].len;
			extent.count++;
		}
	}
	return extent;
}

struct journal_extent
journal_read(const char *path, journal_ahead_fn *ahead, journal_fn *fn, void *arg)
{
	struct input in = { .fd = open(path, O_RDONLY | O_CLOEXEC) };
	struct journal_extent extent = { 0 };

	if (in.fd < 0)
		return extent;
	in.text = xcalloc(1, READ_SIZE + FRAME + JOURNAL_RECORD_MAX);
	extent = read_all(&in, ahead, fn, arg);
	free(in.text);
	close(in.fd);
	return extent;
}

/* --- writing --- */

static bool
write_all(int fd, const void *p, size_t len, uint64_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, (const char *)p + done, len - done, (off_t)(at + done));

		if (n < 0 && errno != EINTR)
			return false;
		done += n > 0 ? (size_t)n : 0;
	}
	return true;
}

static bool
cut_to_whole(struct journal *j, struct err *err)
{
	bool ok = true;

	if (j->size == 0) {
		ok = ftruncate(j->fd, 0) == 0 && write_all(j->fd, magic, sizeof(magic), 0);
		j->size = sizeof(magic);
	}
	ok = ok && ftruncate(j->fd, (off_t)j->size) == 0;
	if (!ok)
		*err = err_errno("mirror: write %s", j->path);
	return ok;
}

/* --- syncing --- */

static void on_timer(void *arg);

static void
on_synced(void *arg, const struct err *err)
{
	struct journal *j = arg;

	j->sync = NULL;
	if (err != NULL)
		log_warn("mirror: %s: %s", j->path, err->text);
	if (j->is_dirty)
		timer_start(j->timer, SYNC_MS);
}

static void
on_timer(void *arg)
{
	struct journal *j = arg;

	j->is_dirty = false;
	j->sync = disk_datasync(j->disk, j->fd, on_synced, j);
}

static void
mark_dirty(struct journal *j)
{
	j->is_dirty = true;
	if (j->sync == NULL && !timer_is_running(j->timer))
		timer_start(j->timer, SYNC_MS);
}

/* --- life --- */

struct journal *
journal_open(
    struct loop *loop, struct disk *disk, const char *path, const struct journal_extent *extent, struct err *err)
{
	struct journal *j;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (extent == NULL ? O_TRUNC : 0), 0600);

	if (fd < 0) {
		*err = err_errno("mirror: open %s", path);
		return NULL;
	}
	j = xcalloc(1, sizeof(*j));
	*j = (struct journal){ .disk = disk, .fd = fd, .path = xstrdup(path) };
	j->timer = timer_new(loop, on_timer, j);
	if (extent != NULL) {
		j->size = extent->size;
		j->count = extent->count;
	}
	if (!cut_to_whole(j, err))
		journal_free(&j);
	return j;
}

void
journal_free(struct journal **journal)
{
	struct journal *j = *journal;

	if (j == NULL)
		return;
	*journal = NULL;
	disk_cancel(&j->sync);
	disk_cancel(&j->rename);
	timer_free(&j->timer);
	close(j->fd);
	free(j->rename_to);
	free(j->path);
	free(j);
}

bool
journal_append(struct journal *j, unsigned type, struct str payload, struct err *err)
{
	struct buf b;
	unsigned char frame[FRAME + 1] = { 0 };
	bool ok;

	buf_init(&b, FRAME + JOURNAL_RECORD_MAX);
	frame[FRAME] = (unsigned char)type;
	buf_add(&b, frame, sizeof(frame));
	buf_addstr(&b, payload);
	if (buf_failed(&b)) {
		buf_fini(&b);
		return err_set(err, ERR_LIMIT, 0, "mirror: a record is larger than %d bytes", JOURNAL_RECORD_MAX);
	}
	put_u32((unsigned char *)b.data, (uint32_t)(b.len - FRAME));
	put_u32((unsigned char *)b.data + 4, crc32c((struct str){ b.data + FRAME, b.len - FRAME }));
	ok = write_all(j->fd, b.data, b.len, j->size);
	if (ok) {
		j->size += b.len;
		j->count++;
		mark_dirty(j);
	} else {
		*err = err_errno("mirror: write %s", j->path);
		if (ftruncate(j->fd, (off_t)j->size) != 0)
			log_warn("mirror: %s has a torn end", j->path); /* which the next start cuts off */
	}
	buf_fini(&b);
	return ok;
}

uint64_t
journal_count(const struct journal *j)
{
	return j->count;
}

static void
on_renamed(void *arg, const struct err *err)
{
	struct journal *j = arg;

	j->rename = NULL;
	if (err == NULL) {
		free(j->path);
		j->path = j->rename_to;
		j->rename_to = NULL;
	}
	j->fn(j->arg, err);
}

static void
on_rename_synced(void *arg, const struct err *err)
{
	struct journal *j = arg;

	j->rename = NULL;
	if (err == NULL)
		j->rename = disk_rename(j->disk, j->path, j->rename_to, on_renamed, j);
	else
		j->fn(j->arg, err);
}

void
journal_rename(struct journal *j, const char *path, disk_done_fn *fn, void *arg)
{
	assert(j->rename == NULL && j->rename_to == NULL);
	j->rename_to = xstrdup(path);
	j->fn = fn;
	j->arg = arg;
	j->rename = disk_datasync(j->disk, j->fd, on_rename_synced, j);
}
