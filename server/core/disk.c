#include "server/core/disk.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/disk_work.h"
#include "server/core/log.h"
#include "server/core/loop.h"

enum { WAITING_MAX = 4096, STACK_SIZE = 256 * 1024 };

enum op_state { OP_WAITING, OP_RUNNING, OP_DONE };

struct disk_op {
	TAILQ_ENTRY(disk_op) link;
	struct disk *disk;
	enum op_state state; /* guarded by the queue's lock */
	bool cancelled;      /* the loop's thread alone looks at what follows, but for the work while it runs */
	struct disk_work work;
	union {
		disk_done_fn *done;
		disk_open_fn *open;
		disk_space_fn *space;
	} fn;
	void *arg;
};

TAILQ_HEAD(op_list, disk_op);

struct disk {
	struct loop *loop;
	int wake; /* eventfd: an operation is in done */
	struct event *event;
	pthread_t threads[DISK_THREADS];
	unsigned ops;         /* alive */
	pthread_mutex_t lock; /* guards all below, and the states of operations */
	pthread_cond_t work;
	struct op_list waiting;
	unsigned waiting_count;
	struct op_list done;
	bool stopping;
};

/* --- the threads --- */

/* The next operation to carry out; NULL: the thread ends. */
static struct disk_op *
take_waiting(struct disk *disk)
{
	struct disk_op *op = NULL;

	pthread_mutex_lock(&disk->lock);
	while (!disk->stopping && TAILQ_EMPTY(&disk->waiting))
		pthread_cond_wait(&disk->work, &disk->lock);
	if (!disk->stopping) {
		op = TAILQ_FIRST(&disk->waiting);
		TAILQ_REMOVE(&disk->waiting, op, link);
		disk->waiting_count--;
		op->state = OP_RUNNING;
	}
	pthread_mutex_unlock(&disk->lock);
	return op;
}

static void
put_done(struct disk *disk, struct disk_op *op)
{
	uint64_t one = 1;

	pthread_mutex_lock(&disk->lock);
	op->state = OP_DONE;
	TAILQ_INSERT_TAIL(&disk->done, op, link);
	pthread_mutex_unlock(&disk->lock);
	while (write(disk->wake, &one, sizeof(one)) < 0)
		if (errno != EINTR) /* only when the counter is full, and then it is readable already */
			return;
}

static void *
thread_main(void *arg)
{
	struct disk *disk = arg;
	struct disk_op *op;

	while ((op = take_waiting(disk)) != NULL) {
		disk_work_run(&op->work);
		put_done(disk, op);
	}
	return NULL;
}

/* --- the loop's side --- */

static void
op_free(struct disk_op *op)
{
	op->disk->ops--;
	disk_work_fini(&op->work);
	free(op);
}

static void
op_end(struct disk_op *op)
{
	struct disk_op ended = *op;
	struct disk_work *work = &ended.work;
	const struct err *err = work->err.code == ERR_NONE ? NULL : &work->err;
	int fd = work->fd;

	if (ended.cancelled) {
		op_free(op);
		return;
	}
	if (work->kind == DISK_OPEN)
		op->work.fd = -1; /* the callback's now */
	op->work.call = NULL;     /* likewise */
	op_free(op);
	if (work->kind == DISK_OPEN)
		ended.fn.open(ended.arg, fd, &work->st, err);
	else if (work->kind == DISK_SPACE)
		ended.fn.space(ended.arg, work->free_bytes, work->total_bytes, err);
	else
		ended.fn.done(ended.arg, err);
}

static struct disk_op *
take_done(struct disk *disk)
{
	struct disk_op *op;

	pthread_mutex_lock(&disk->lock);
	op = TAILQ_FIRST(&disk->done);
	if (op != NULL)
		TAILQ_REMOVE(&disk->done, op, link);
	pthread_mutex_unlock(&disk->lock);
	return op;
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct disk *disk = arg;
	struct disk_op *op;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0)
		return;
	loop_enter(disk->loop, "disk", NULL);
	while ((op = take_done(disk)) != NULL)
		op_end(op);
	loop_leave(disk->loop);
}

/* Signals belong to the loop's thread. */
static void
start_threads(struct disk *disk)
{
	pthread_attr_t attr;
	sigset_t all;
	sigset_t old;

#ifdef M_ARENA_MAX /* glibc: a heap of a thread's own would grow page by page, with a call to the kernel for each */
	mallopt(M_ARENA_MAX, 1);
#endif
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	for (unsigned i = 0; i < DISK_THREADS; i++) {
		int error = pthread_create(&disk->threads[i], &attr, thread_main, disk);

		if (error != 0) {
			errno = error;
			log_error("the system gives no thread: %s", err_errno("pthread_create").text);
			abort();
		}
	}
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

struct disk *
disk_new(struct loop *loop)
{
	struct disk *disk = xcalloc(1, sizeof(*disk));

	disk->loop = loop;
	TAILQ_INIT(&disk->waiting);
	TAILQ_INIT(&disk->done);
	pthread_mutex_init(&disk->lock, NULL);
	pthread_cond_init(&disk->work, NULL);
	disk->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert(disk->wake >= 0);
	disk->event = event_new(loop_base(loop), disk->wake, EV_READ | EV_PERSIST, on_wake, disk);
	assert(disk->event != NULL);
	event_add(disk->event, NULL);
	start_threads(disk);
	return disk;
}

static void
drop_list(struct op_list *list)
{
	struct disk_op *op;

	while ((op = TAILQ_FIRST(list)) != NULL) {
		assert(op->cancelled);
		TAILQ_REMOVE(list, op, link);
		op_free(op);
	}
}

void
disk_free(struct disk **disk)
{
	struct disk *d = *disk;

	if (d == NULL)
		return;
	*disk = NULL;
	pthread_mutex_lock(&d->lock);
	d->stopping = true;
	pthread_cond_broadcast(&d->work);
	pthread_mutex_unlock(&d->lock);
	for (unsigned i = 0; i < DISK_THREADS; i++)
		pthread_join(d->threads[i], NULL);
	drop_list(&d->waiting);
	drop_list(&d->done);
	assert(d->ops == 0);
	event_free(d->event);
	close(d->wake);
	pthread_cond_destroy(&d->work);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

void
disk_cancel(struct disk_op **op)
{
	struct disk_op *o = *op;
	bool waiting;

	*op = NULL;
	if (o == NULL)
		return;
	o->cancelled = true;
	pthread_mutex_lock(&o->disk->lock);
	waiting = o->state == OP_WAITING;
	if (waiting) {
		TAILQ_REMOVE(&o->disk->waiting, o, link);
		o->disk->waiting_count--;
	}
	pthread_mutex_unlock(&o->disk->lock);
	if (waiting)
		op_free(o);
}

/* One that failed before it began goes straight to its end, by the loop as all others. */
static struct disk_op *
submit(struct disk_op *op)
{
	struct disk *disk = op->disk;
	bool failed;

	pthread_mutex_lock(&disk->lock);
	if (op->work.err.code == ERR_NONE && disk->waiting_count == WAITING_MAX)
		op->work.err = err_make(ERR_LIMIT, 0, "%d disk operations wait already", WAITING_MAX);
	failed = op->work.err.code != ERR_NONE;
	if (!failed) {
		TAILQ_INSERT_TAIL(&disk->waiting, op, link);
		disk->waiting_count++;
		pthread_cond_signal(&disk->work);
	}
	pthread_mutex_unlock(&disk->lock);
	if (failed)
		put_done(disk, op);
	return op;
}

static struct disk_op *
op_new(struct disk *disk, enum disk_kind kind, const char *path, const char *to, void *arg)
{
	struct disk_op *op = xcalloc(1, sizeof(*op));

	op->disk = disk;
	op->work.kind = kind;
	op->work.path = xstrdup_null(path);
	op->work.to = xstrdup_null(to);
	op->work.fd = -1;
	op->arg = arg;
	disk->ops++;
	return op;
}

static struct disk_op *
start(
    struct disk *disk, enum disk_kind kind, const char *path, const char *to, mode_t mode, disk_done_fn *fn, void *arg)
{
	struct disk_op *op = op_new(disk, kind, path, to, arg);

	op->work.mode = mode;
	op->fn.done = fn;
	return submit(op);
}

static struct disk_op *
start_sync(struct disk *disk, enum disk_kind kind, int fd, disk_done_fn *fn, void *arg)
{
	struct disk_op *op = op_new(disk, kind, NULL, NULL, arg);

	op->fn.done = fn;
	op->work.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (op->work.fd < 0)
		op->work.err = err_errno("sync");
	return submit(op);
}

struct disk_op *
disk_sync(struct disk *disk, int fd, disk_done_fn *fn, void *arg)
{
	return start_sync(disk, DISK_SYNC, fd, fn, arg);
}

struct disk_op *
disk_datasync(struct disk *disk, int fd, disk_done_fn *fn, void *arg)
{
	return start_sync(disk, DISK_DATASYNC, fd, fn, arg);
}

struct disk_op *
disk_sync_dir(struct disk *disk, const char *path, disk_done_fn *fn, void *arg)
{
	return start(disk, DISK_SYNC_DIR, path, NULL, 0, fn, arg);
}

struct disk_op *
disk_rename(struct disk *disk, const char *from, const char *to, disk_done_fn *fn, void *arg)
{
	return start(disk, DISK_RENAME, from, to, 0, fn, arg);
}

struct disk_op *
disk_unlink(struct disk *disk, const char *path, disk_done_fn *fn, void *arg)
{
	return start(disk, DISK_UNLINK, path, NULL, 0, fn, arg);
}

void
disk_remove_later(struct disk *disk, const char *path)
{
	struct disk_op *op;

	if (disk->stopping) /* the loop's thread alone sets it */
		return;
	op = op_new(disk, DISK_REMOVE_TREE, path, NULL, NULL);
	op->cancelled = true; /* its callback, that is */
	submit(op);
}

void
disk_remove_beside(struct disk *disk, const char *path)
{
	const char *own = strrchr(path, '/') + 1;
	char *folder = xstrndup(path, (size_t)(own - 1 - path));
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char *other = xasprintf("%s/%s", folder, entry->d_name);

		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    strcmp(entry->d_name, own) != 0)
			disk_remove_later(disk, other);
		free(other);
	}
	if (dir != NULL)
		closedir(dir);
	free(folder);
}

struct disk_op *
disk_remove_tree(struct disk *disk, const char *path, disk_done_fn *fn, void *arg)
{
	return start(disk, DISK_REMOVE_TREE, path, NULL, 0, fn, arg);
}

struct disk_op *
disk_mkdir(struct disk *disk, const char *path, mode_t mode, disk_done_fn *fn, void *arg)
{
	return start(disk, DISK_MKDIR, path, NULL, mode, fn, arg);
}

bool
disk_make_folder(const char *path, mode_t mode, struct err *err)
{
	if (mkdir(path, mode) == 0 || errno == EEXIST)
		return true;
	*err = err_errno("make directory %s", path);
	return false;
}

struct disk_op *
disk_copy(struct disk *disk, const char *from, const char *to, mode_t mode, disk_done_fn *fn, void *arg)
{
	return start(disk, DISK_COPY, from, to, mode, fn, arg);
}

struct disk_op *
disk_open(struct disk *disk, const char *path, disk_open_fn *fn, void *arg)
{
	struct disk_op *op = op_new(disk, DISK_OPEN, path, NULL, arg);

	op->fn.open = fn;
	return submit(op);
}

struct disk_op *
disk_space(struct disk *disk, const char *path, disk_space_fn *fn, void *arg)
{
	struct disk_op *op = op_new(disk, DISK_SPACE, path, NULL, arg);

	op->fn.space = fn;
	return submit(op);
}

struct disk_op *
disk_call(struct disk *disk, disk_run_fn *run, disk_release_fn *release, void *work, disk_done_fn *fn, void *arg)
{
	struct disk_op *op = op_new(disk, DISK_CALL, NULL, NULL, arg);

	op->work.run = run;
	op->work.release = release;
	op->work.call = work;
	op->fn.done = fn;
	return submit(op);
}
