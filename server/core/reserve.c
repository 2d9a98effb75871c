#include "server/core/reserve.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"

enum { LOOK_MS = 2000, SHARE = 32 };

enum reserve_state { RESERVE_WAIT, RESERVE_LOOK, RESERVE_GIVE, RESERVE_MAKE };

struct reserve {
	struct disk *disk;
	char *dir;
	char *path;
	reserve_fn *fn;
	void *arg;
	enum reserve_state state;
	uint64_t size;
	bool is_kept;    /* the file is there */
	bool is_given;   /* what was told last */
	bool look_again; /* asked for while an operation was on its way */
	struct disk_op *op;
	struct making *making; /* the thread's while op is on its way, ours when it has come */
	struct timer *timer;
};

static void enter_wait(struct reserve *r);
static void enter_look(struct reserve *r);
static void enter_give(struct reserve *r);
static void enter_make(struct reserve *r);

static void (*const states[])(struct reserve *r) = {
	[RESERVE_WAIT] = enter_wait,
	[RESERVE_LOOK] = enter_look,
	[RESERVE_GIVE] = enter_give,
	[RESERVE_MAKE] = enter_make,
};

/* The only place where the state changes. */
static void
reserve_step(struct reserve *r, enum reserve_state next)
{
	timer_stop(r->timer);
	r->state = next;
	states[next](r);
}

static void
on_time(void *arg)
{
	reserve_step(arg, RESERVE_LOOK);
}

static void
enter_wait(struct reserve *r)
{
	timer_start(r->timer, r->look_again ? 0 : LOOK_MS);
}

static void
tell(struct reserve *r, bool is_given)
{
	if (r->is_given == is_given)
		return;
	r->is_given = is_given;
	r->fn(r->arg, is_given);
}

/* --- looking --- */

static void
on_space(void *arg, uint64_t free_bytes, uint64_t total_bytes, const struct err *err)
{
	struct reserve *r = arg;

	r->op = NULL;
	if (err != NULL) {
		log_debug("reserve: %s", err->text);
		reserve_step(r, RESERVE_WAIT);
		return;
	}
	r->size = total_bytes / SHARE < RESERVE_MAX ? total_bytes / SHARE : RESERVE_MAX;
	if (r->is_kept && free_bytes < r->size / 2) {
		reserve_step(r, RESERVE_GIVE);
	} else if (!r->is_kept && free_bytes >= r->size * 2) {
		reserve_step(r, RESERVE_MAKE);
	} else {
		tell(r, !r->is_kept);
		reserve_step(r, RESERVE_WAIT);
	}
}

static void
enter_look(struct reserve *r)
{
	r->look_again = false;
	r->op = disk_space(r->disk, r->dir, on_space, r);
}

/* --- giving it back --- */

static void
on_given(void *arg, const struct err *err)
{
	struct reserve *r = arg;

	r->op = NULL;
	if (err == NULL || err->code == ERR_NOT_FOUND)
		r->is_kept = false;
	else
		log_warn("reserve: %s", err->text);
	tell(r, true);
	reserve_step(r, RESERVE_WAIT);
}

static void
enter_give(struct reserve *r)
{
	r->op = disk_unlink(r->disk, r->path, on_given, r);
}

/* --- making it --- */

struct making {
	char *path;
	uint64_t size;
};

/* In a thread of the disk's. */
static void
make_file(void *work, struct err *err)
{
	const struct making *making = work;
	int fd = open(making->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int failed = fd < 0 ? -1 : posix_fallocate(fd, 0, (off_t)making->size);

	if (failed != 0) {
		*err = err_make(ERR_IO, failed, "%s cannot be made", making->path);
		unlink(making->path);
	}
	if (fd >= 0)
		close(fd);
}

static void
making_free(void *work)
{
	struct making *making = work;

	free(making->path);
	free(making);
}

/* A file system may have less for us than it says: then it is as if it had less. */
static void
on_made(void *arg, const struct err *err)
{
	struct reserve *r = arg;

	r->op = NULL;
	making_free(r->making);
	r->is_kept = err == NULL;
	if (err != NULL)
		log_debug("reserve: %s", err->text);
	tell(r, !r->is_kept);
	reserve_step(r, RESERVE_WAIT);
}

static void
enter_make(struct reserve *r)
{
	r->making = xcalloc(1, sizeof(*r->making));
	*r->making = (struct making){ .path = xstrdup(r->path), .size = r->size };
	r->op = disk_call(r->disk, make_file, making_free, r->making, on_made, r);
}

/* --- from outside --- */

struct reserve *
reserve_new(struct loop *loop, struct disk *disk, const char *dir, reserve_fn *fn, void *arg)
{
	struct reserve *r = xcalloc(1, sizeof(*r));

	*r = (struct reserve){ .disk = disk, .dir = xstrdup(dir), .fn = fn, .arg = arg, .look_again = true };
	r->path = xasprintf("%s/reserve", dir);
	r->is_kept = access(r->path, F_OK) == 0;
	r->timer = timer_new(loop, on_time, r);
	reserve_step(r, RESERVE_WAIT);
	return r;
}

void
reserve_look(struct reserve *r)
{
	r->look_again = true;
	if (r->state == RESERVE_WAIT)
		reserve_step(r, RESERVE_LOOK);
}

bool
reserve_is_given(const struct reserve *r)
{
	return r != NULL && r->is_given;
}

void
reserve_free(struct reserve **reserve)
{
	struct reserve *r = *reserve;

	if (r == NULL)
		return;
	*reserve = NULL;
	disk_cancel(&r->op);
	timer_free(&r->timer);
	free(r->path);
	free(r->dir);
	free(r);
}
