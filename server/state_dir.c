#include "server/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/hex.h"
#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/disk.h"
#include "server/core/inherited.h"

#define TOKEN_BYTES 24
#define KEY_FILE_MAX 256

/* Whether it is this folder's lock. */
static bool
is_lock(int fd, const void *arg)
{
	struct stat ours, theirs;

	return stat(arg, &ours) == 0 && fstat(fd, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
	       ours.st_ino == theirs.st_ino;
}

static bool
take_lock(struct state_dir *dir, struct inherited *inherited, struct err *err)
{
	char *path = xasprintf("%s/" STATE_DIR_LOCK, dir->path);
	bool ok = false;

	dir->lock = inherited_take(inherited, STATE_DIR_LOCK, is_lock, path);
	if (dir->lock < 0 && inherited_has(inherited, STATE_DIR_LOCK)) {
		free(path);
		return err_set(err, ERR_CONFLICT, 0,
		    "state_dir: %s is not that of the davitd that runs: restart it instead", dir->path);
	}
	if (dir->lock < 0)
		dir->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (dir->lock < 0)
		*err = err_errno("state_dir: open %s", path);
	else if (flock(dir->lock, LOCK_EX | LOCK_NB) == 0) /* the descriptor has it already, if it was handed over */
		ok = true;
	else
		err_set(err, ERR_CONFLICT, errno, "state_dir: another davitd uses %s", dir->path);
	free(path);
	return ok;
}

/* So that the file's name lasts too. */
static bool
sync_folder(const char *path, struct err *err)
{
	char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (!ok)
		*err = err_errno("state_dir: sync %s", folder);
	if (fd >= 0)
		close(fd);
	free(folder);
	return ok;
}

/* A new file that is whole and on disk, or not there: a crash at the first start leaves no half key. */
static bool
write_key(const char *path, const char *text, struct err *err)
{
	char *temporary = xasprintf("%s.new", path);
	size_t len = strlen(text);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write(fd, text, len) == (ssize_t)len && write(fd, "\n", 1) == 1 && fsync(fd) == 0;

	CRASH_POINT(key_written);
	ok = ok && rename(temporary, path) == 0;
	if (!ok)
		*err = err_errno("state_dir: write %s", path);
	if (fd >= 0)
		close(fd);
	free(temporary);
	return ok && sync_folder(path, err);
}

static char *
read_key(const char *path)
{
	char text[KEY_FILE_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	char *key = NULL;

	if (len >= 0) {
		text[len] = '\0';
		text[strcspn(text, "\r\n")] = '\0';
		key = xstrdup(text);
		explicit_bzero(text, sizeof(text));
	}
	if (fd >= 0)
		close(fd);
	return key;
}

/* The file's text; a missing one is made of fresh random hex digits. */
static bool
load_key(const struct state_dir *dir, const char *name, size_t bytes, char **ret, struct err *err)
{
	char *path = xasprintf("%s/%s", dir->path, name);
	char fresh[2 * 64 + 1];
	bool ok;

	*ret = read_key(path);
	ok = *ret != NULL;
	if (!ok && errno == ENOENT) {
		random_hex(fresh, bytes);
		ok = write_key(path, fresh, err);
		*ret = xstrdup(fresh);
		explicit_bzero(fresh, sizeof(fresh));
	} else if (!ok) {
		*err = err_errno("state_dir: read %s", path);
	}
	free(path);
	return ok;
}

static bool
decode_key(const struct state_dir *dir, const char *name, char **hex, unsigned char ret[SEAL_KEY_SIZE], struct err *err)
{
	bool ok = hex_decode(str_of(*hex), ret, SEAL_KEY_SIZE);

	if (!ok)
		err_set(err, ERR_INPUT, 0, "state_dir: %s/%s is not %d hex digits", dir->path, name, 2 * SEAL_KEY_SIZE);
	crypto_wipe_free(hex);
	return ok;
}

/* It is there while values are left that it has sealed. */
static bool
load_old_key(struct state_dir *dir, struct err *err)
{
	char *path = xasprintf("%s/" STATE_DIR_OLD_SEAL_KEY, dir->path);
	char *old = read_key(path);
	bool ok = old != NULL || errno == ENOENT;

	if (!ok)
		*err = err_errno("state_dir: read %s", path);
	dir->has_old_seal_key = old != NULL;
	if (old != NULL)
		ok = decode_key(dir, STATE_DIR_OLD_SEAL_KEY, &old, dir->old_seal_key, err);
	free(path);
	return ok;
}

static bool
load_keys(struct state_dir *dir, struct err *err)
{
	char *seal = NULL;

	if (!load_key(dir, "admin-token", TOKEN_BYTES, &dir->admin_token, err))
		return false;
	if (strlen(dir->admin_token) < 16)
		return err_set(err, ERR_INPUT, 0, "state_dir: %s/admin-token holds less than 16 characters", dir->path);
	return load_key(dir, STATE_DIR_SEAL_KEY, SEAL_KEY_SIZE, &seal, err) &&
	       decode_key(dir, STATE_DIR_SEAL_KEY, &seal, dir->seal_key, err) && load_old_key(dir, err);
}

bool
state_dir_open(const char *path, struct inherited *inherited, struct state_dir *ret, struct err *err)
{
	*ret = (struct state_dir){ .path = xstrdup(path), .lock = -1 };
	if (disk_make_folder(path, 0750, err) && take_lock(ret, inherited, err)) {
		CRASH_POINT(state_locked);
		if (load_keys(ret, err))
			return true;
	}
	state_dir_close(ret);
	return false;
}

void
state_dir_close(struct state_dir *dir)
{
	if (dir->lock >= 0)
		close(dir->lock);
	crypto_wipe_free(&dir->admin_token);
	explicit_bzero(dir->seal_key, sizeof(dir->seal_key));
	explicit_bzero(dir->old_seal_key, sizeof(dir->old_seal_key));
	free(dir->path);
	*dir = (struct state_dir){ .lock = -1 };
}
