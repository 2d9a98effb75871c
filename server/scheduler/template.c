#include "server/scheduler/template.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/disk.h"
#include "server/core/loop.h"

/* What the thread works on. */
struct template_work {
	char *path;
	char *text; /* room for max + 1 bytes */
	size_t max;
	size_t len;
};

struct template_op {
	struct disk_op *disk_op;
	struct deferred *absent; /* there is no folder */
	struct template_work *work;
	template_fn *fn;
	void *arg;
};

static void
template_read_fd(struct template_work *work, int fd, struct err *err)
{
	ssize_t n = 1;

	while (n > 0 && work->len <= work->max) {
		n = read(fd, work->text + work->len, work->max + 1 - work->len);
		if (n > 0)
			work->len += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	if (n < 0)
		*err = err_errno("%s", work->path);
	else if (work->len > work->max)
		*err = err_make(ERR_LIMIT, 0, "the template has more than %zu bytes", work->max);
}

static void
template_run(void *arg, struct err *err)
{
	struct template_work *work = arg;
	int fd = open(work->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		*err = errno == ENOENT ? err_make(ERR_NOT_FOUND, 0, "there is no such template")
				       : err_errno("%s", work->path);
		return;
	}
	template_read_fd(work, fd, err);
	close(fd);
}

static void
work_release(void *arg)
{
	struct template_work *work = arg;

	free(work->path);
	free(work->text);
	free(work);
}

static void
on_read(void *arg, const struct err *err)
{
	struct template_op *op = arg;
	struct template_work *work = op->work; /* ours again */
	template_fn *fn = op->fn;
	void *fn_arg = op->arg;

	free(op);
	fn(fn_arg, (struct str){ work->text, work->len }, err);
	work_release(work);
}

static void
on_absent(void *arg)
{
	struct template_op *op = arg;
	struct err err = err_make(ERR_NOT_FOUND, 0, "the server has no templates");
	template_fn *fn = op->fn;
	void *fn_arg = op->arg;

	free(op);
	fn(fn_arg, (struct str){ "", 0 }, &err);
}

struct template_op *
template_read(
    struct loop *loop, struct disk *disk, const char *folder, const char *name, size_t max, template_fn *fn, void *arg)
{
	struct template_op *op = xcalloc(1, sizeof(*op));

	*op = (struct template_op){ .fn = fn, .arg = arg };
	if (folder[0] == '\0') {
		op->absent = deferred_call(loop, on_absent, op);
		return op;
	}
	op->work = xcalloc(1, sizeof(*op->work));
	*op->work = (struct template_work){
		.path = xasprintf("%s/%s.yml", folder, name), .text = xcalloc(1, max + 1), .max = max
	};
	op->disk_op = disk_call(disk, template_run, work_release, op->work, on_read, op);
	return op;
}

void
template_cancel(struct template_op **op)
{
	struct template_op *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	disk_cancel(&o->disk_op);
	deferred_cancel(&o->absent);
	free(o);
}
