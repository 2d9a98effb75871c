#include "server/mirror/draft.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/mem.h"

enum draft_state { DRAFT_GROWING, DRAFT_WHOLE, DRAFT_FAILED };

struct draft {
	enum draft_state state;
	unsigned refs;
	int fd;
	uint64_t size;
	uint64_t total;
	uint64_t held; /* of the end, while it grows */
	LIST_HEAD(, draft_reader) readers;
	char *text; /* of a small file, all of it, size bytes; NULL: it is not here */

	int memory; /* has the bytes from memory_from on; -1: none */
	uint64_t memory_from;
	uint64_t dropped; /* of memory, those in front of this are gone */
	void (*on_room)(void *arg);
	void *arg;
};

/* What is given back at a time, whole pages alone: the rest of a page would be set to zero, while the kernel may still
 * have it to send. */
#define DROP_STEP (256 * 1024)

static struct draft *
draft_make(int fd, enum draft_state state, uint64_t size, uint64_t total)
{
	struct draft *d = xcalloc(1, sizeof(*d));

	*d = (struct draft){ .state = state, .refs = 1, .fd = fd, .size = size, .total = total, .memory = -1 };
	LIST_INIT(&d->readers);
	return d;
}

struct draft *
draft_new(const char *path, uint64_t total, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0)
		return draft_make(fd, DRAFT_GROWING, 0, total);
	*err = err_errno("mirror: make %s", path);
	return NULL;
}

/* NULL: what is wrong with the file shows when it is sent. */
static char *
read_small(int fd, size_t size)
{
	char *text = xcalloc(1, size);
	ssize_t n = pread(fd, text, size, 0);

	if (n >= 0 && (size_t)n == size)
		return text;
	free(text);
	return NULL;
}

struct draft *
draft_of_file(int fd, uint64_t size)
{
	struct draft *d = draft_make(fd, DRAFT_WHOLE, size, size);

	if (size > 0 && size <= DRAFT_SMALL)
		d->text = read_small(fd, (size_t)size);
	return d;
}

struct draft *
draft_of_part(int fd, uint64_t size, uint64_t total)
{
	return draft_make(fd, DRAFT_GROWING, size, total);
}

struct draft *
draft_ref(struct draft *d)
{
	d->refs++;
	return d;
}

void
draft_unref(struct draft **draft)
{
	struct draft *d = *draft;

	*draft = NULL;
	if (d == NULL || --d->refs > 0)
		return;
	assert(LIST_EMPTY(&d->readers));
	close(d->fd);
	if (d->memory >= 0)
		close(d->memory);
	free(d->text);
	free(d);
}

unsigned
draft_refs(const struct draft *d)
{
	return d->refs;
}

static void
tell_readers(struct draft *d)
{
	struct draft_reader *reader;

	LIST_FOREACH(reader, &d->readers, link)
	reader->fn(reader->arg);
}

bool
draft_append(struct draft *d, struct str bytes, struct err *err)
{
	assert(d->state == DRAFT_GROWING);
	if (bytes.len > d->total - d->size)
		return err_set(err, ERR_LIMIT, 0, "mirror: a body is longer than its length says");
	while (bytes.len > 0) {
		ssize_t n = pwrite(d->memory >= 0 ? d->memory : d->fd, bytes.p, bytes.len, (off_t)d->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			*err = err_errno("mirror: write a body");
			return false;
		}
		d->size += (uint64_t)n;
		bytes = (struct str){ bytes.p + n, bytes.len - (size_t)n };
	}
	tell_readers(d);
	return true;
}

void
draft_end(struct draft *d)
{
	assert(d->state == DRAFT_GROWING);
	d->state = DRAFT_WHOLE;
	d->total = d->size;
	tell_readers(d);
}

void
draft_fail(struct draft *d)
{
	assert(d->state == DRAFT_GROWING);
	d->state = DRAFT_FAILED;
	tell_readers(d);
}

void
draft_watch(struct draft *d, struct draft_reader *reader)
{
	reader->draft = d;
	LIST_INSERT_HEAD(&d->readers, reader, link);
}

void
draft_unwatch(struct draft_reader *reader)
{
	struct draft *d = reader->draft;

	LIST_REMOVE(reader, link);
	if (d->on_room != NULL && d->state == DRAFT_GROWING)
		d->on_room(d->arg);
}

bool
draft_pass_on(struct draft *d, void (*on_room)(void *arg), void *arg)
{
	assert(d->state == DRAFT_GROWING && d->memory < 0);
	d->memory = memfd_create("davit-mirror", MFD_CLOEXEC);
	d->memory_from = d->size;
	d->dropped = (d->size + DROP_STEP - 1) / DROP_STEP * DROP_STEP;
	d->on_room = on_room;
	d->arg = arg;
	return d->memory >= 0;
}

static uint64_t
slowest(const struct draft *d)
{
	const struct draft_reader *reader;
	uint64_t at = d->size;

	LIST_FOREACH(reader, &d->readers, link)
	if (reader->at < at)
		at = reader->at;
	return at;
}

bool
draft_has_room(const struct draft *d)
{
	return d->memory < 0 || d->size - slowest(d) < DRAFT_WINDOW;
}

void
draft_advance(struct draft_reader *reader, uint64_t at)
{
	struct draft *d = reader->draft;
	uint64_t all;

	reader->at = at;
	if (d->memory < 0)
		return;
	all = slowest(d) / DROP_STEP * DROP_STEP;
	if (all <= d->dropped)
		return;
	fallocate(d->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)d->dropped, (off_t)(all - d->dropped));
	d->dropped = all;
	if (d->state == DRAFT_GROWING && draft_has_room(d))
		d->on_room(d->arg);
}

int
draft_fd_at(const struct draft *d, uint64_t at, uint64_t *end)
{
	if (d->memory < 0)
		return d->fd;
	if (at >= d->memory_from)
		return d->memory;
	if (*end > d->memory_from)
		*end = d->memory_from;
	return d->fd;
}

const char *
draft_text(const struct draft *d)
{
	return d->text;
}

int
draft_fd(const struct draft *d)
{
	return d->fd;
}

uint64_t
draft_size(const struct draft *d)
{
	uint64_t held = d->state == DRAFT_WHOLE ? 0 : d->held;
	uint64_t end = d->total != DRAFT_UNKNOWN ? d->total : d->size;

	end = end > held ? end - held : 0;
	return d->size < end ? d->size : end;
}

uint64_t
draft_written(const struct draft *d)
{
	return d->size;
}

void
draft_hold_back(struct draft *d, uint64_t len)
{
	d->held = len;
}

uint64_t
draft_total(const struct draft *d)
{
	return d->total;
}

bool
draft_is_whole(const struct draft *d)
{
	return d->state == DRAFT_WHOLE;
}

bool
draft_has_failed(const struct draft *d)
{
	return d->state == DRAFT_FAILED;
}
