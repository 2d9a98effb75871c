#include "server/store/pack.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/disk.h"

enum {
	LEVEL = 3,                 /* zstd's own default: some 300 MB/s, and far smaller than level 1 */
	OVERSHOOT = 1024 * 1024,   /* of who writes while it is full */
	OUT_SIZE = 128 * 1024,     /* one write(2) */
	READ_SIZE = 128 * 1024,    /* of a file, at a time */
	CONTENT_SIZE = 256 * 1024, /* given out at a time */
	WINDOW_LOG_MAX = 27        /* what a reader takes: 128 MiB; we write far less */
};

/* --- the thread's side of writing --- */

struct pack_work {
	struct disk *disk;
	char *temp;
	int fd;        /* -1: not open yet */
	bool is_named; /* temp is not its name any more: what stands there is somebody else's */
	bool is_last;
	bool is_synced;  /* in the end */
	ZSTD_CCtx *zstd; /* NULL: plain */
	struct buf in;
	char out[OUT_SIZE];
	struct digest *hash;
	struct pack_result result;
};

static bool
write_all(struct pack_work *work, const char *p, size_t len, struct err *err)
{
	digest_add(work->hash, (struct str){ p, len });
	work->result.size += len;
	while (len > 0) {
		ssize_t done = write(work->fd, p, len);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			*err = err_errno("write %s", work->temp);
			return false;
		}
		p += done;
		len -= (size_t)done;
	}
	return true;
}

static bool
compress_all(struct pack_work *work, struct err *err)
{
	ZSTD_inBuffer in = { work->in.data, work->in.len, 0 };
	ZSTD_EndDirective end = work->is_last ? ZSTD_e_end : ZSTD_e_continue;
	size_t left = 1;

	while (in.pos < in.size || (work->is_last && left != 0)) {
		ZSTD_outBuffer out = { work->out, sizeof(work->out), 0 };

		left = ZSTD_compressStream2(work->zstd, &out, &in, end);
		if (ZSTD_isError(left))
			return err_set(err, ERR_IO, 0, "compress %s: %s", work->temp, ZSTD_getErrorName(left));
		if (!write_all(work, work->out, out.pos, err))
			return false;
	}
	return true;
}

static bool
open_temp(struct pack_work *work, struct err *err)
{
	if (work->fd >= 0)
		return true;
	work->fd = open(work->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (work->fd < 0)
		*err = err_errno("create %s", work->temp);
	return work->fd >= 0;
}

static void
pack_run(void *arg, struct err *err)
{
	struct pack_work *work = arg;

	if (!open_temp(work, err) ||
	    !(work->zstd != NULL ? compress_all(work, err) : write_all(work, work->in.data, work->in.len, err)))
		return;
	buf_reset(&work->in);
	if (work->is_last && work->is_synced && fsync(work->fd) != 0)
		*err = err_errno("sync %s", work->temp);
	if (work->is_last)
		digest_finish(&work->hash, work->result.sha256);
}

/* By the loop's thread, when no other one uses it. What stands under the file's own name by then stays. */
static void
work_release(void *arg)
{
	struct pack_work *work = arg;

	if (work->fd >= 0)
		close(work->fd);
	if (work->fd >= 0 && !work->is_named)
		disk_remove_later(work->disk, work->temp);
	ZSTD_freeCCtx(work->zstd);
	digest_free(&work->hash);
	buf_fini(&work->in);
	free(work->temp);
	free(work);
}

/* --- the loop's side of writing --- */

enum pack_state {
	PACK_TAKING,
	PACK_FLUSHING, /* the last bytes, and the sync */
	PACK_NAMING,
	PACK_SYNCING, /* the folder */
	PACK_ENDED,
	PACK_FAILED,
};

struct pack {
	struct disk *disk;
	enum pack_state state;
	char *path;
	struct buf filling;     /* what waits */
	struct pack_work *work; /* NULL: given up */
	struct disk_op *op;     /* while it runs, work is the thread's */
	bool is_finishing;      /* pack_finish was called */
	pack_room_fn *on_room;
	pack_done_fn *done;
	void *arg;
};

static void enter_flushing(struct pack *pack);
static void enter_naming(struct pack *pack);
static void enter_syncing(struct pack *pack);
static void enter_ended(struct pack *pack);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct pack *pack);
	enum pack_state next;
} states[] = {
	[PACK_TAKING]   = { "taking",   NULL,           PACK_FLUSHING },
	[PACK_FLUSHING] = { "flushing", enter_flushing, PACK_NAMING },
	[PACK_NAMING]   = { "naming",   enter_naming,   PACK_SYNCING },
	[PACK_SYNCING]  = { "syncing",  enter_syncing,  PACK_ENDED },
	[PACK_ENDED]    = { "ended",    enter_ended,    PACK_ENDED },
	[PACK_FAILED]   = { "failed",   NULL,           PACK_FAILED },
};
/* clang-format on */

static void
pack_step(struct pack *pack, enum pack_state next)
{
	pack->state = next;
	states[next].enter(pack);
}

static void
pack_fail(struct pack *pack, const struct err *err)
{
	pack->state = PACK_FAILED;
	if (pack->is_finishing)
		pack->done(pack->arg, NULL, err);
	else
		pack->on_room(pack->arg, err);
}

static void
on_stepped(void *arg, const struct err *err)
{
	struct pack *pack = arg;

	pack->op = NULL;
	if (err != NULL)
		pack_fail(pack, err);
	else
		pack_step(pack, states[pack->state].next);
}

static void pass_on(struct pack *pack);

static void
on_written(void *arg, const struct err *err)
{
	struct pack *pack = arg;
	bool was_full = pack_is_full(pack);

	pack->op = NULL;
	if (err != NULL) {
		pack_fail(pack, err);
	} else if (pack->is_finishing) {
		pack_step(pack, PACK_FLUSHING);
	} else {
		pass_on(pack);
		if (was_full && !pack_is_full(pack))
			pack->on_room(pack->arg, NULL);
	}
}

static void
swap(struct pack *pack)
{
	struct buf empty = pack->work->in;

	pack->work->in = pack->filling;
	pack->filling = empty;
}

/* To the thread, when there is enough of it and the thread has none. */
static void
pass_on(struct pack *pack)
{
	if (pack->op != NULL || pack->filling.len < PACK_ROOM)
		return;
	swap(pack);
	pack->op = disk_call(pack->disk, pack_run, work_release, pack->work, on_written, pack);
}

struct pack *
pack_open(struct disk *disk, const char *temp, const char *path, enum pack_form form, pack_room_fn *on_room, void *arg)
{
	struct pack *pack = xcalloc(1, sizeof(*pack));
	struct pack_work *work = xcalloc(1, sizeof(*work));

	work->disk = disk;
	work->temp = xstrdup(temp);
	work->is_synced = path != NULL;
	work->fd = -1;
	work->hash = digest_new(DIGEST_SHA256);
	if (form == PACK_ZSTD) {
		work->zstd = ZSTD_createCCtx();
		assert(work->zstd != NULL);
		ZSTD_CCtx_setParameter(work->zstd, ZSTD_c_compressionLevel, LEVEL);
		ZSTD_CCtx_setParameter(work->zstd, ZSTD_c_checksumFlag, 1);
	}
	*pack = (struct pack){ .disk = disk, .work = work, .on_room = on_room, .arg = arg };
	pack->path = xstrdup_null(path);
	buf_init(&work->in, PACK_ROOM + OVERSHOOT);
	buf_init(&pack->filling, PACK_ROOM + OVERSHOOT);
	return pack;
}

void
pack_write(struct pack *pack, struct str bytes)
{
	if (pack->state == PACK_FAILED)
		return; /* its owner has been told */
	assert(pack->state == PACK_TAKING && !pack->is_finishing);
	buf_addstr(&pack->filling, bytes);
	assert(!buf_failed(&pack->filling));
	pass_on(pack);
}

bool
pack_is_full(const struct pack *pack)
{
	return pack->op != NULL && pack->filling.len >= PACK_ROOM;
}

void
pack_finish(struct pack *pack, pack_done_fn *fn, void *arg)
{
	assert(pack->state == PACK_TAKING && !pack->is_finishing);
	pack->is_finishing = true;
	pack->done = fn;
	pack->arg = arg;
	if (pack->op == NULL)
		pack_step(pack, PACK_FLUSHING);
}

static void
enter_flushing(struct pack *pack)
{
	swap(pack);
	pack->work->is_last = true;
	pack->op = disk_call(pack->disk, pack_run, work_release, pack->work, on_stepped, pack);
}

static void
enter_naming(struct pack *pack)
{
	if (pack->path == NULL) {
		pack_step(pack, PACK_ENDED);
		return;
	}
	CRASH_POINT(file_written);
	pack->op = disk_rename(pack->disk, pack->work->temp, pack->path, on_stepped, pack);
}

static void
enter_syncing(struct pack *pack)
{
	char *folder = xstrndup(pack->path, (size_t)(strrchr(pack->path, '/') - pack->path));

	CRASH_POINT(file_named);
	pack->work->is_named = true;
	pack->op = disk_sync_dir(pack->disk, folder, on_stepped, pack);
	free(folder);
}

static void
enter_ended(struct pack *pack)
{
	pack->done(pack->arg, &pack->work->result, NULL); /* last: pack may be gone */
}

int
pack_fd(const struct pack *pack)
{
	assert(pack->state == PACK_ENDED);
	return fcntl(pack->work->fd, F_DUPFD_CLOEXEC, 0);
}

void
pack_abort(struct pack **pack)
{
	struct pack *p = *pack;
	bool is_lent;

	if (p == NULL)
		return;
	*pack = NULL;
	is_lent = p->op != NULL && (p->state == PACK_TAKING || p->state == PACK_FLUSHING);
	disk_cancel(&p->op); /* releases what is lent */
	if (!is_lent)
		work_release(p->work);
	buf_fini(&p->filling);
	free(p->path);
	free(p);
}

/* --- reading --- */

struct unpack_work {
	char *path;
	int fd; /* -1: not open yet */
	off_t start;
	ZSTD_DCtx *zstd; /* NULL: plain */
	char *file;      /* READ_SIZE bytes: what was read of it */
	size_t file_at, file_len;
	bool in_frame; /* the end of the file would come too early */
	char *content; /* CONTENT_SIZE bytes */
	size_t len;
};

struct unpack {
	struct disk *disk;
	struct unpack_work *work;
	struct disk_op *op; /* while it runs, work is the thread's */
	unpack_fn *fn;
	void *arg;
};

static bool
open_for_reading(struct unpack_work *work, struct err *err)
{
	if (work->fd >= 0)
		return true;
	work->fd = open(work->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (work->fd < 0) {
		*err = err_errno("open %s", work->path);
		if (err->detail == ENOENT)
			err->code = ERR_NOT_FOUND;
		return false;
	}
	if (work->start == 0 || lseek(work->fd, work->start, SEEK_SET) == work->start)
		return true;
	*err = err_errno("seek %s", work->path);
	return false;
}

static bool
read_some(struct unpack_work *work, char *to, size_t size, size_t *ret, struct err *err)
{
	ssize_t len;

	do
		len = read(work->fd, to, size);
	while (len < 0 && errno == EINTR);
	*ret = len > 0 ? (size_t)len : 0;
	if (len < 0)
		*err = err_errno("read %s", work->path);
	return len >= 0;
}

/* One turn of the decompressor. False at the file's end, or with *err set. */
static bool
decompress_some(struct unpack_work *work, struct err *err)
{
	ZSTD_outBuffer out = { work->content, CONTENT_SIZE, work->len };
	ZSTD_inBuffer in;
	size_t left;

	if (work->file_at == work->file_len) {
		work->file_at = 0;
		if (!read_some(work, work->file, READ_SIZE, &work->file_len, err))
			return false;
		if (work->file_len == 0)
			return work->in_frame && err_set(err, ERR_PROTO, 0, "%s is cut off", work->path);
	}
	in = (ZSTD_inBuffer){ work->file, work->file_len, work->file_at };
	left = ZSTD_decompressStream(work->zstd, &out, &in);
	if (ZSTD_isError(left))
		return err_set(err, ERR_PROTO, 0, "%s is damaged: %s", work->path, ZSTD_getErrorName(left));
	work->in_frame = left != 0;
	work->file_at = in.pos;
	work->len = out.pos;
	return true;
}

static void
unpack_run(void *arg, struct err *err)
{
	struct unpack_work *work = arg;

	work->len = 0;
	if (!open_for_reading(work, err))
		return;
	if (work->zstd == NULL)
		read_some(work, work->content, CONTENT_SIZE, &work->len, err);
	else
		while (work->len < CONTENT_SIZE && decompress_some(work, err))
			;
}

static void
unpack_release(void *arg)
{
	struct unpack_work *work = arg;

	if (work->fd >= 0)
		close(work->fd);
	ZSTD_freeDCtx(work->zstd);
	free(work->file);
	free(work->content);
	free(work->path);
	free(work);
}

struct unpack *
unpack_open(struct disk *disk, const char *path, enum pack_form form)
{
	struct unpack *unpack = xcalloc(1, sizeof(*unpack));
	struct unpack_work *work = xcalloc(1, sizeof(*work));

	work->path = xstrdup(path);
	work->fd = -1;
	work->content = xcalloc(1, CONTENT_SIZE);
	if (form == PACK_ZSTD) {
		work->file = xcalloc(1, READ_SIZE);
		work->zstd = ZSTD_createDCtx();
		assert(work->zstd != NULL);
		ZSTD_DCtx_setParameter(work->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	}
	*unpack = (struct unpack){ .disk = disk, .work = work };
	return unpack;
}

void
unpack_seek(struct unpack *unpack, uint64_t offset)
{
	assert(unpack->op == NULL && unpack->work->fd < 0 && unpack->work->zstd == NULL);
	unpack->work->start = (off_t)offset;
}

static void
on_unpacked(void *arg, const struct err *err)
{
	struct unpack *unpack = arg;
	struct str bytes = { unpack->work->content, err == NULL ? unpack->work->len : 0 };

	unpack->op = NULL;
	unpack->fn(unpack->arg, bytes, err);
}

void
unpack_next(struct unpack *unpack, unpack_fn *fn, void *arg)
{
	assert(unpack->op == NULL);
	unpack->fn = fn;
	unpack->arg = arg;
	unpack->op = disk_call(unpack->disk, unpack_run, unpack_release, unpack->work, on_unpacked, unpack);
}

void
unpack_close(struct unpack **unpack)
{
	struct unpack *u = *unpack;

	if (u == NULL)
		return;
	*unpack = NULL;
	if (u->op != NULL)
		disk_cancel(&u->op);
	else
		unpack_release(u->work);
	free(u);
}
