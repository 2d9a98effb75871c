#include "server/core/disk_work.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "proto/mem.h"

enum { COPY_CHUNK = 1 << 20, DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

static const char *const verbs[] = {
	[DISK_SYNC] = "sync",
	[DISK_DATASYNC] = "sync",
	[DISK_SYNC_DIR] = "sync",
	[DISK_RENAME] = "rename",
	[DISK_UNLINK] = "remove",
	[DISK_REMOVE_TREE] = "remove",
	[DISK_MKDIR] = "make directory",
	[DISK_COPY] = "copy",
	[DISK_OPEN] = "open",
	[DISK_SPACE] = "free space of",
};

/* work->err from errno. */
static void
fail(struct disk_work *work)
{
	int error = errno;

	if (work->to != NULL)
		work->err = err_errno("%s %s to %s", verbs[work->kind], work->path, work->to);
	else
		work->err = err_errno("%s %s", verbs[work->kind], work->path == NULL ? "a file" : work->path);
	if (error == ENOENT)
		work->err.code = ERR_NOT_FOUND;
	if (error == EEXIST)
		work->err.code = ERR_CONFLICT;
}

static void
check(struct disk_work *work, bool ok)
{
	if (!ok)
		fail(work);
}

static bool
sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return ok;
}

static bool
make_dirs(char *path, mode_t mode)
{
	struct stat st;

	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, mode); /* what matters is the last one */
		*slash = '/';
	}
	if (mkdir(path, mode) == 0)
		return true;
	return errno == EEXIST && stat(path, &st) == 0 && (S_ISDIR(st.st_mode) || (errno = ENOTDIR, false));
}

static bool
open_file(struct disk_work *work)
{
	work->fd = open(work->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return work->fd >= 0 && fstat(work->fd, &work->st) == 0;
}

static bool
copy_bytes(int from, int to)
{
	char *chunk = xcalloc(1, COPY_CHUNK);
	ssize_t got;

	while ((got = read(from, chunk, COPY_CHUNK)) > 0)
		for (ssize_t put = 0, n; put < got; put += n)
			if ((n = write(to, chunk + put, (size_t)(got - put))) < 0) {
				free(chunk);
				return false;
			}
	free(chunk);
	return got == 0 && fsync(to) == 0;
}

static bool
copy_file(struct disk_work *work)
{
	int to;
	int error;
	bool ok;

	if (!open_file(work))
		return false;
	if (!S_ISREG(work->st.st_mode)) {
		errno = EINVAL;
		return false;
	}
	to = open(work->to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, work->mode);
	if (to < 0)
		return false;
	ok = copy_bytes(work->fd, to);
	error = errno;
	close(to);
	if (!ok)
		unlink(work->to);
	errno = error;
	return ok;
}

static bool
measure_space(struct disk_work *work)
{
	struct statvfs fs;

	if (statvfs(work->path, &fs) != 0)
		return false;
	work->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	work->total_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
	return true;
}

/* --- removing a tree ---
 * One directory is open at a time, however deep the tree is: down by openat, up by "..", which must be the directory
 * that we came from. Nothing is followed, no file system is entered from another one. */

struct level {
	SLIST_ENTRY(level) link;
	dev_t dev;
	ino_t ino;
	char *name; /* in its parent */
};

SLIST_HEAD(level_list, level);

static bool
push_level(struct level_list *levels, int fd, const char *name)
{
	struct level *level;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	if (!SLIST_EMPTY(levels) && SLIST_FIRST(levels)->dev != st.st_dev) {
		errno = EXDEV;
		return false;
	}
	level = xcalloc(1, sizeof(*level));
	*level = (struct level){ .dev = st.st_dev, .ino = st.st_ino, .name = xstrdup(name) };
	SLIST_INSERT_HEAD(levels, level, link);
	return true;
}

static void
pop_level(struct level_list *levels)
{
	struct level *level = SLIST_FIRST(levels);

	SLIST_REMOVE_HEAD(levels, link);
	free(level->name);
	free(level);
}

static bool
is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Removes what is no directory. *child: a directory found, still open; -1: none is left. Takes fd. */
static bool
empty_level(struct level_list *levels, int fd, int *child)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	bool ok = true;
	int error;

	*child = -1;
	if (dir == NULL) {
		close(fd);
		return false;
	}
	while (ok && *child < 0 && (errno = 0, entry = readdir(dir)) != NULL) {
		if (is_dot(entry->d_name) || unlinkat(fd, entry->d_name, 0) == 0 || errno == ENOENT)
			continue;
		ok = errno == EISDIR || errno == EPERM; /* EPERM is what POSIX says for a directory */
		if (ok) {
			*child = openat(fd, entry->d_name, DIR_FLAGS);
			ok = *child >= 0 && push_level(levels, *child, entry->d_name);
		}
	}
	ok = ok && (*child >= 0 || errno == 0);
	if (!ok && *child >= 0)
		close(*child);
	error = errno;
	closedir(dir);
	errno = error;
	return ok;
}

/* From an emptied directory to its parent, which then removes it. *fd becomes the parent's. */
static bool
climb(struct level_list *levels, int *fd)
{
	struct level *emptied = SLIST_FIRST(levels);
	struct level *parent = SLIST_NEXT(emptied, link);
	int up = openat(*fd, "..", DIR_FLAGS);
	struct stat st;

	close(*fd);
	*fd = up;
	if (up < 0 || fstat(up, &st) != 0)
		return false;
	if (st.st_dev != parent->dev || st.st_ino != parent->ino) {
		errno = ESTALE; /* somebody moved it: what would be removed now is not ours */
		return false;
	}
	if (unlinkat(up, emptied->name, AT_REMOVEDIR) != 0)
		return false;
	pop_level(levels);
	return true;
}

/* fd is the directory at the top of levels; it is taken. */
static bool
remove_below(struct level_list *levels, int fd)
{
	for (;;) {
		int child;
		int again = dup(fd); /* empty_level closes the one that it reads */
		bool ok = again >= 0 && lseek(again, 0, SEEK_SET) == 0 && empty_level(levels, again, &child);

		if (!ok) {
			close(fd);
			return false;
		}
		if (child >= 0) {
			close(fd);
			fd = child;
		} else if (SLIST_NEXT(SLIST_FIRST(levels), link) == NULL) {
			close(fd);
			return true;
		} else if (!climb(levels, &fd)) {
			if (fd >= 0)
				close(fd);
			return false;
		}
	}
}

static bool
remove_tree(const char *path)
{
	struct level_list levels = SLIST_HEAD_INITIALIZER(levels);
	bool ok;
	int fd;
	int error;

	if (unlink(path) == 0 || errno == ENOENT)
		return true;
	if (errno != EISDIR && errno != EPERM)
		return false;
	fd = open(path, DIR_FLAGS);
	if (fd < 0)
		return false;
	ok = push_level(&levels, fd, path);
	if (ok)
		ok = remove_below(&levels, fd);
	else
		close(fd);
	error = errno;
	while (!SLIST_EMPTY(&levels))
		pop_level(&levels);
	errno = error;
	return ok && rmdir(path) == 0;
}

void
disk_work_run(struct disk_work *work)
{
	switch (work->kind) {
	case DISK_SYNC:
		check(work, fsync(work->fd) == 0);
		break;
	case DISK_DATASYNC:
		check(work, fdatasync(work->fd) == 0);
		break;
	case DISK_SYNC_DIR:
		check(work, sync_dir(work->path));
		break;
	case DISK_RENAME:
		check(work, rename(work->path, work->to) == 0);
		break;
	case DISK_UNLINK:
		check(work, unlink(work->path) == 0);
		break;
	case DISK_REMOVE_TREE:
		check(work, remove_tree(work->path));
		break;
	case DISK_MKDIR:
		check(work, make_dirs(work->path, work->mode));
		break;
	case DISK_COPY:
		check(work, copy_file(work));
		break;
	case DISK_OPEN:
		check(work, open_file(work));
		break;
	case DISK_SPACE:
		check(work, measure_space(work));
		break;
	case DISK_CALL:
		work->run(work->call, &work->err);
		break;
	}
	if (work->err.code != ERR_NONE && work->fd >= 0) {
		close(work->fd);
		work->fd = -1;
	}
}

void
disk_work_fini(struct disk_work *work)
{
	if (work->fd >= 0)
		close(work->fd);
	if (work->call != NULL)
		work->release(work->call);
	free(work->path);
	free(work->to);
}
