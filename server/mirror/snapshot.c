#include "server/mirror/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/disk.h"

/* Of the thread, until it is done. */
struct work {
	int fd;
	uint64_t size;
	enum package_kind kind;
	struct snapshot *snapshot;
};

struct snapshot_reading {
	struct disk_op *op;
	struct work *work;
	snapshot_read_fn *fn;
	void *arg;
};

struct snapshot *
snapshot_ref(struct snapshot *s)
{
	s->refs++;
	return s;
}

void
snapshot_unref(struct snapshot **snapshot)
{
	struct snapshot *s = *snapshot;

	*snapshot = NULL;
	if (s == NULL || --s->refs > 0)
		return;
	index_files_fini(&s->files);
	free(s);
}

static void
work_free(void *work)
{
	struct work *w = work;

	snapshot_unref(&w->snapshot);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}

static bool
read_whole(int fd, char *text, size_t size, struct err *err)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, text + done, size - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(err, ERR_IO, n < 0 ? errno : 0, "the root file cannot be read");
		done += (size_t)n;
	}
	return true;
}

/* Some milliseconds for the largest that distributions have. */
static void
run(void *work, struct err *err)
{
	struct work *w = work;
	struct str all = { NULL, (size_t)w->size };
	char *text;

	if (w->size > SNAPSHOT_SIZE_MAX) {
		err_set(err, ERR_LIMIT, 0, "the root file is larger than %d bytes", SNAPSHOT_SIZE_MAX);
		return;
	}
	all.p = text = xcalloc(1, all.len + 1);
	w->snapshot = xcalloc(1, sizeof(*w->snapshot));
	w->snapshot->refs = 1;
	if (read_whole(w->fd, text, all.len, err)) {
		sha256_hex(all, w->snapshot->digest);
		if (w->kind == PACKAGE_RPM)
			index_files_read_repomd(all, &w->snapshot->files, err);
		else
			index_files_read_release(all, &w->snapshot->files, err);
	}
	free(text);
}

static void
on_run(void *arg, const struct err *err)
{
	struct snapshot_reading *r = arg;
	snapshot_read_fn *fn = r->fn;
	struct snapshot *snapshot = NULL;

	if (err == NULL) {
		snapshot = r->work->snapshot;
		r->work->snapshot = NULL;
	}
	work_free(r->work);
	arg = r->arg;
	free(r);
	fn(arg, snapshot, err);
}

struct snapshot_reading *
snapshot_read(struct disk *disk, int fd, uint64_t size, enum package_kind kind, snapshot_read_fn *fn, void *arg)
{
	struct snapshot_reading *r = xcalloc(1, sizeof(*r));

	*r = (struct snapshot_reading){ .fn = fn, .arg = arg };
	r->work = xcalloc(1, sizeof(*r->work));
	*r->work = (struct work){ .fd = fd, .size = size, .kind = kind };
	r->op = disk_call(disk, run, work_free, r->work, on_run, r);
	return r;
}

void
snapshot_stop(struct snapshot_reading **reading)
{
	struct snapshot_reading *r = *reading;

	if (r == NULL)
		return;
	*reading = NULL;
	disk_cancel(&r->op);
	free(r);
}
