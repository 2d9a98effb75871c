#include "server/mirror/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"

#define LINE_MAX_BYTES (128 * 1024)
#define WRITE_AT (32 * 1024) /* bytes that are not left waiting */

/* What a disk thread writes, and where. */
struct writing {
	char *path;
	char *old_path;
	uint64_t size;
	int fd; /* -1: not open */
	struct buf text;
};

struct access_log {
	struct disk *disk;
	struct buf line;
	struct buf pending;
	uint64_t lost;
	struct timer *timer;
	struct writing *writing;
	struct disk_op *op; /* the writing is the disk's meanwhile */
	bool has_failed;    /* which was told */
};

static void
close_file(struct writing *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

/* Whether the name still leads to the file, and there is room in it. */
static bool
is_current(struct writing *w)
{
	struct stat ours, named;

	if (w->fd < 0 || fstat(w->fd, &ours) != 0 || stat(w->path, &named) != 0)
		return false;
	return ours.st_ino == named.st_ino && ours.st_dev == named.st_dev && (uint64_t)ours.st_size < w->size;
}

static bool
open_file(struct writing *w, struct err *err)
{
	struct stat st;

	close_file(w);
	if (stat(w->path, &st) == 0 && (uint64_t)st.st_size >= w->size && rename(w->path, w->old_path) != 0) {
		*err = err_errno("rename %s", w->path);
		return false;
	}
	w->fd = open(w->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (w->fd < 0)
		*err = err_errno("open %s", w->path);
	return w->fd >= 0;
}

static void
write_text(void *work, struct err *err)
{
	struct writing *w = work;
	size_t at = 0;

	if (!is_current(w) && !open_file(w, err))
		return;
	while (at < w->text.len) {
		ssize_t n = write(w->fd, w->text.data + at, w->text.len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			*err = err_errno("write %s", w->path);
			return;
		}
		at += (size_t)n;
	}
}

static void
release(void *work)
{
	struct writing *w = work;

	close_file(w);
	buf_fini(&w->text);
	free(w->path);
	free(w->old_path);
	free(w);
}

static void start_writing(struct access_log *log);

/* What could not be written is lost: the log is no reason to stop serving. */
static void
on_written(void *arg, const struct err *err)
{
	struct access_log *log = arg;

	log->op = NULL;
	if (err != NULL && !log->has_failed)
		log_error("mirror: access log: %s", err->text);
	log->has_failed = err != NULL;
	buf_reset(&log->writing->text);
	if (log->lost > 0)
		log_warn("mirror: access log: %llu lines were left out, the disk is too slow",
		    (unsigned long long)log->lost);
	log->lost = 0;
	if (log->pending.len > 0)
		start_writing(log);
}

static void
start_writing(struct access_log *log)
{
	struct buf text = log->writing->text;

	timer_stop(log->timer);
	log->writing->text = log->pending;
	log->pending = text;
	log->op = disk_call(log->disk, write_text, release, log->writing, on_written, log);
}

static void
on_timer(void *arg)
{
	struct access_log *log = arg;

	if (log->op == NULL && log->pending.len > 0)
		start_writing(log);
}

void
access_log_add(struct access_log *log, const struct access_line *line)
{
	buf_reset(&log->line);
	if (access_line_print(&log->line, line) && log->line.len <= log->pending.max - log->pending.len)
		buf_addstr(&log->pending, buf_str(&log->line));
	else
		log->lost++;
	if (log->op != NULL)
		return;
	if (log->pending.len >= WRITE_AT)
		start_writing(log);
	else if (!timer_is_running(log->timer))
		timer_start(log->timer, ACCESS_LOG_DELAY_MS);
}

static struct writing *
writing_new(const char *path, uint64_t size)
{
	struct writing *w = xcalloc(1, sizeof(*w));

	*w = (struct writing){ .path = xstrdup(path), .old_path = xasprintf("%s.1", path), .size = size, .fd = -1 };
	buf_init(&w->text, ACCESS_LOG_PENDING_MAX);
	return w;
}

struct access_log *
access_log_new(struct loop *loop, struct disk *disk, const char *path, uint64_t size)
{
	struct access_log *log = xcalloc(1, sizeof(*log));

	log->disk = disk;
	log->writing = writing_new(path, size);
	log->timer = timer_new(loop, on_timer, log);
	buf_init(&log->line, LINE_MAX_BYTES);
	buf_init(&log->pending, ACCESS_LOG_PENDING_MAX);
	return log;
}

/* One that a thread writes meanwhile has a file of its own. */
static void
write_rest(struct access_log *log)
{
	struct writing *w = writing_new(log->writing->path, log->writing->size);
	struct err err = ERR_OK;

	buf_addstr(&w->text, buf_str(&log->pending));
	write_text(w, &err);
	if (err.code != ERR_NONE)
		log_error("mirror: access log: %s", err.text);
	release(w);
}

void
access_log_free(struct access_log **access_log)
{
	struct access_log *log = *access_log;

	if (log == NULL)
		return;
	*access_log = NULL;
	if (log->pending.len > 0)
		write_rest(log);
	if (log->op != NULL)
		disk_cancel(&log->op);
	else
		release(log->writing);
	timer_free(&log->timer);
	buf_fini(&log->line);
	buf_fini(&log->pending);
	free(log);
}
