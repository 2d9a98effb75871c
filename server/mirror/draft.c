#include "server/mirror/draft.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
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
};

static struct draft *
draft_make(int fd, enum draft_state state, uint64_t size, uint64_t total)
{
	struct draft *d = xcalloc(1, sizeof(*d));

	*d = (struct draft){ .state = state, .refs = 1, .fd = fd, .size = size, .total = total };
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

struct draft *
draft_of_file(int fd, uint64_t size)
{
	return draft_make(fd, DRAFT_WHOLE, size, size);
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
		ssize_t n = pwrite(d->fd, bytes.p, bytes.len, (off_t)d->size);

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
	LIST_INSERT_HEAD(&d->readers, reader, link);
}

void
draft_unwatch(struct draft_reader *reader)
{
	LIST_REMOVE(reader, link);
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

	return d->size > held ? d->size - held : 0;
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
