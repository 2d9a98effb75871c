#include "server/app_rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/hex.h"
#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/state_dir.h"
#include "server/store/store.h"

#define RETRY_MS 5000

enum rotate_state {
	ROTATE_IDLE,
	ROTATE_WRITE,
	ROTATE_KEEP,
	ROTATE_SWITCH,
	ROTATE_SWITCHED, /* until the switch is on disk */
	ROTATE_RESEAL,
	ROTATE_FORGET,
	ROTATE_FORGOTTEN,
};

struct app_rotate {
	struct disk *disk;
	struct store *store;
	struct state_dir *dir;
	enum rotate_state state;
	char *path; /* of seal-key, and of its two companions */
	char *path_old;
	char *path_new;
	unsigned char key[SEAL_KEY_SIZE]; /* the next one */
	struct disk_op *disk_op;
	struct store_reseal *reseal;
	struct timer *retry;
	unsigned sealed;
};

static void enter_idle(struct app_rotate *r);
static void enter_write(struct app_rotate *r);
static void enter_keep(struct app_rotate *r);
static void enter_switch(struct app_rotate *r);
static void enter_switched(struct app_rotate *r);
static void enter_reseal(struct app_rotate *r);
static void enter_forget(struct app_rotate *r);
static void enter_forgotten(struct app_rotate *r);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct app_rotate *r);
	enum rotate_state next;
} states[] = {
	[ROTATE_IDLE]      = { "idle",      enter_idle,      ROTATE_IDLE },
	[ROTATE_WRITE]     = { "write",     enter_write,     ROTATE_KEEP },
	[ROTATE_KEEP]      = { "keep",      enter_keep,      ROTATE_SWITCH },
	[ROTATE_SWITCH]    = { "switch",    enter_switch,    ROTATE_SWITCHED },
	[ROTATE_SWITCHED]  = { "switched",  enter_switched,  ROTATE_RESEAL },
	[ROTATE_RESEAL]    = { "reseal",    enter_reseal,    ROTATE_FORGET },
	[ROTATE_FORGET]    = { "forget",    enter_forget,    ROTATE_FORGOTTEN },
	[ROTATE_FORGOTTEN] = { "forgotten", enter_forgotten, ROTATE_IDLE },
};
/* clang-format on */

/* The only place where the state changes. */
static void
rotate_step(struct app_rotate *r, enum rotate_state next)
{
	log_debug("seal key: %s -> %s", states[r->state].name, states[next].name);
	disk_cancel(&r->disk_op);
	timer_stop(r->retry);
	r->state = next;
	states[next].enter(r);
}

/* Before the switch the old key simply stays; after it, what is left is tried again. */
static void
rotate_fail(struct app_rotate *r, const struct err *err)
{
	if (r->state < ROTATE_SWITCHED) {
		log_error("seal key: it stays as it was: %s: %s", states[r->state].name, err->text);
		rotate_step(r, ROTATE_IDLE);
	} else {
		log_error("seal key: both keys are kept: %s: %s", states[r->state].name, err->text);
		timer_start(r->retry, RETRY_MS);
	}
}

static void
on_retry(void *arg)
{
	struct app_rotate *r = arg;

	rotate_step(r, r->state);
}

static void
on_disk(void *arg, const struct err *err)
{
	struct app_rotate *r = arg;

	r->disk_op = NULL;
	if (err != NULL)
		rotate_fail(r, err);
	else
		rotate_step(r, states[r->state].next);
}

static void
enter_idle(struct app_rotate *r)
{
	explicit_bzero(r->key, sizeof(r->key));
}

/* It is small: only its way to the disk takes time. */
static bool
write_new(struct app_rotate *r, int fd)
{
	char text[2 * SEAL_KEY_SIZE + 2];
	bool ok;

	hex_encode(r->key, sizeof(r->key), text);
	text[2 * SEAL_KEY_SIZE] = '\n';
	ok = write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1;
	explicit_bzero(text, sizeof(text));
	return ok;
}

static void
enter_write(struct app_rotate *r)
{
	int fd = open(r->path_new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct err err;

	random_bytes(r->key, sizeof(r->key));
	if (fd >= 0 && write_new(r, fd)) {
		r->disk_op = disk_sync(r->disk, fd, on_disk, r);
	} else {
		err = err_errno("%s", r->path_new);
		rotate_fail(r, &err);
	}
	if (fd >= 0)
		close(fd);
}

static void
enter_keep(struct app_rotate *r)
{
	struct err err;

	CRASH_POINT(key_changing);
	/* One that is there already is left from an attempt of this process that came to nothing: it is the present key. */
	if (link(r->path, r->path_old) == 0 ||
	    (errno == EEXIST && unlink(r->path_old) == 0 && link(r->path, r->path_old) == 0)) {
		r->disk_op = disk_sync_dir(r->disk, r->dir->path, on_disk, r);
		return;
	}
	err = err_errno("%s", r->path_old);
	rotate_fail(r, &err);
}

static void
on_switched(void *arg, const struct err *err)
{
	struct app_rotate *r = arg;

	if (err == NULL) {
		memcpy(r->dir->old_seal_key, r->dir->seal_key, SEAL_KEY_SIZE);
		memcpy(r->dir->seal_key, r->key, SEAL_KEY_SIZE);
		r->dir->has_old_seal_key = true;
	}
	on_disk(r, err);
}

static void
enter_switch(struct app_rotate *r)
{
	CRASH_POINT(key_kept);
	r->disk_op = disk_rename(r->disk, r->path_new, r->path, on_switched, r);
}

static void
enter_switched(struct app_rotate *r)
{
	CRASH_POINT(key_changed);
	r->disk_op = disk_sync_dir(r->disk, r->dir->path, on_disk, r);
}

static void
on_resealed(void *arg, unsigned sealed, unsigned lost, const struct err *err)
{
	struct app_rotate *r = arg;

	r->reseal = NULL;
	r->sealed += sealed;
	if (lost > 0)
		log_warn("seal key: %u values open with neither key: set them again", lost);
	if (err != NULL)
		rotate_fail(r, err);
	else
		rotate_step(r, states[r->state].next);
}

static void
enter_reseal(struct app_rotate *r)
{
	CRASH_POINT(key_resealing);
	store_set_seal_keys(r->store, r->dir->seal_key, r->dir->old_seal_key);
	r->reseal = store_reseal_start(r->store, on_resealed, r);
}

static void
enter_forget(struct app_rotate *r)
{
	CRASH_POINT(key_resealed);
	r->disk_op = disk_remove_tree(r->disk, r->path_old, on_disk, r);
}

static void
on_forgotten(void *arg, const struct err *err)
{
	struct app_rotate *r = arg;
	unsigned sealed = r->sealed;

	on_disk(r, err);
	if (err == NULL)
		log_info("seal key: %u values are sealed anew; the old key is removed", sealed);
}

static void
enter_forgotten(struct app_rotate *r)
{
	CRASH_POINT(key_forgotten);
	r->dir->has_old_seal_key = false;
	explicit_bzero(r->dir->old_seal_key, SEAL_KEY_SIZE);
	store_set_seal_keys(r->store, r->dir->seal_key, NULL);
	r->disk_op = disk_sync_dir(r->disk, r->dir->path, on_forgotten, r);
}

struct app_rotate *
app_rotate_new(struct loop *loop, struct disk *disk, struct store *store, struct state_dir *dir)
{
	struct app_rotate *r = xcalloc(1, sizeof(*r));

	*r = (struct app_rotate){ .disk = disk, .store = store, .dir = dir };
	r->path = xasprintf("%s/" STATE_DIR_SEAL_KEY, dir->path);
	r->path_old = xasprintf("%s/" STATE_DIR_OLD_SEAL_KEY, dir->path);
	r->path_new = xasprintf("%s/" STATE_DIR_SEAL_KEY ".new", dir->path);
	r->retry = timer_new(loop, on_retry, r);
	return r;
}

void
app_rotate_resume(struct app_rotate *rotate)
{
	if (rotate->state == ROTATE_IDLE && rotate->dir->has_old_seal_key)
		rotate_step(rotate, ROTATE_RESEAL);
}

void
app_rotate_free(struct app_rotate **rotate)
{
	struct app_rotate *r = *rotate;

	if (r == NULL)
		return;
	*rotate = NULL;
	disk_cancel(&r->disk_op);
	store_reseal_cancel(&r->reseal);
	timer_free(&r->retry);
	explicit_bzero(r->key, sizeof(r->key));
	free(r->path);
	free(r->path_old);
	free(r->path_new);
	free(r);
}

bool
app_rotate_is_active(const struct app_rotate *rotate)
{
	return rotate->state != ROTATE_IDLE;
}

bool
app_rotate_begin(struct app_rotate *rotate, struct err *err)
{
	/* One that a process before has begun goes on once Redis is there: until then its old key is the only one that
	 * opens anything. */
	if (app_rotate_is_active(rotate) || rotate->dir->has_old_seal_key)
		return err_set(err, ERR_CONFLICT, 0, "a change of the seal key is under way already");
	rotate->sealed = 0;
	rotate_step(rotate, ROTATE_WRITE);
	return true;
}
