#include "cli/run_caches.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/checksum.h"
#include "cli/run_output.h"
#include "cli/take.h"
#include "proto/buf.h"
#include "proto/cache_key.h"
#include "proto/crypto.h"
#include "proto/mem.h"

enum { MEMBERS_MAX = 100000, DAY_S = 24 * 60 * 60, AGE_MAX_S = 30 * DAY_S, DIGITS = 16, NAME_SIZE = 64 };

/* As caches.size of the server, and what all take together. */
#define CACHE_MAX ((uint64_t)5 << 30)
#define TOTAL_MAX ((uint64_t)10 << 30)

#define TAR ".tar"
#define KEY ".key"    /* what the key of the tar of that name is: the name is its digest */
#define NEW ".XXXXXX" /* a tar that grows */

struct one {
	struct buf key; /* empty: it is left alone */
	bool is_exact;
};

struct run_caches {
	struct run_pipe *pipe;
	char *folder; /* NULL: there is none */
	char top[DIGITS + 1];
	const struct job_spec *spec;
	struct one *list; /* of its caches */
	struct docker_piece *pieces;
	size_t piece_count;

	/* What is being saved. */
	struct builder_run *run;
	size_t item;
	struct take *take;
	FILE *out;
	char *out_path;
	run_caches_fn *fn;
	void *arg;
};

/* --- the folder --- */

static void
digest(const char *text, char ret[DIGITS + 1])
{
	char hex[SHA256_HEX_SIZE];

	sha256_hex(str_of(text), hex);
	memcpy(ret, hex, DIGITS);
	ret[DIGITS] = '\0';
}

/* free() it. */
static char *
path_of(const struct run_caches *c, const char *key, const char *ending)
{
	char name[DIGITS + 1];

	digest(key, name);
	return xasprintf("%s/%s-%s%s", c->folder, c->top, name, ending);
}

/* With its parents; what is wrong shows when the first file is made. */
static void
make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	mkdir(path, 0700);
}

struct run_caches *
run_caches_new(const char *top, struct run_pipe *pipe)
{
	struct run_caches *c = xcalloc(1, sizeof(*c));
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	c->pipe = pipe;
	digest(top, c->top);
	if (cache != NULL && cache[0] == '/')
		c->folder = xasprintf("%s/davit", cache);
	else if (home != NULL && home[0] == '/')
		c->folder = xasprintf("%s/.cache/davit", home);
	return c;
}

static void
forget_job(struct run_caches *c)
{
	for (size_t i = 0; i < c->piece_count; i++)
		close(c->pieces[i].fd);
	for (size_t i = 0; c->list != NULL && i < c->spec->cache_count; i++)
		buf_fini(&c->list[i].key);
	free(c->list);
	free(c->pieces);
	c->list = NULL;
	c->pieces = NULL;
	c->piece_count = 0;
}

void
run_caches_stop(struct run_caches *c)
{
	take_cancel(&c->take);
	if (c->out == NULL)
		return;
	fclose(c->out);
	unlink(c->out_path);
	free(c->out_path);
	c->out = NULL;
	c->out_path = NULL;
}

void
run_caches_free(struct run_caches **caches)
{
	struct run_caches *c = *caches;

	*caches = NULL;
	if (c == NULL)
		return;
	run_caches_stop(c);
	forget_job(c);
	free(c->folder);
	free(c);
}

/* --- what goes in --- */

/* False: it has none, and why has been said. */
static bool
make_key(struct run_caches *c, struct one *one, const struct cache_spec *spec, const char *workspace)
{
	struct str rest = str_of(spec->key), text, pattern;
	char hex[SHA256_HEX_SIZE];
	struct err err;

	while (cache_key_next(&rest, &text, &pattern)) {
		char *glob = str_dup(pattern);
		bool ok = pattern.len == 0 || checksum_make(workspace, glob, hex, &err);

		free(glob);
		if (!ok) {
			run_pipe_print(c->pipe, "davit: cache %s: %s\n", spec->key, err.text);
			return false;
		}
		buf_addstr(&one->key, text);
		buf_add(&one->key, hex, pattern.len > 0 ? CACHE_KEY_DIGITS : 0);
	}
	if (one->key.len > 0 && !buf_failed(&one->key))
		return true;
	run_pipe_print(c->pipe, "davit: cache: its key is %s\n", one->key.len == 0 ? "empty" : "too long");
	return false;
}

static bool
read_key(const char *path, char key[CACHE_KEY_MAX + 1])
{
	FILE *file = fopen(path, "re");
	size_t len = file != NULL ? fread(key, 1, CACHE_KEY_MAX, file) : 0;

	if (file != NULL)
		fclose(file);
	key[len] = '\0';
	return len > 0;
}

static bool
is_called(const char *name, const char *ending)
{
	const char *dot = strchr(name, '.');

	return dot != NULL && strcmp(dot, ending) == 0;
}

/* The newest whose key begins so; false: none does. */
static bool
find_newest(const struct run_caches *c, const char *beginning, char ret[CACHE_KEY_MAX + 1])
{
	DIR *dir = opendir(c->folder);
	struct timespec best = { .tv_sec = -1 };
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char *path = xasprintf("%s/%s", c->folder, entry->d_name), key[CACHE_KEY_MAX + 1];
		struct stat st;

		if (strncmp(entry->d_name, c->top, DIGITS) == 0 && is_called(entry->d_name, KEY) &&
		    stat(path, &st) == 0 && read_key(path, key) && strncmp(key, beginning, strlen(beginning)) == 0 &&
		    (st.st_mtim.tv_sec > best.tv_sec ||
			(st.st_mtim.tv_sec == best.tv_sec && st.st_mtim.tv_nsec > best.tv_nsec))) {
			best = st.st_mtim;
			memcpy(ret, key, sizeof(key));
		}
		free(path);
	}
	if (dir != NULL)
		closedir(dir);
	return best.tv_sec >= 0;
}

/* False: there is no such cache. */
static bool
restore(struct run_caches *c, const char *key)
{
	char *path = path_of(c, key, TAR);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	free(path);
	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	futimens(fd, NULL); /* it was used */
	c->pieces[c->piece_count++] = (struct docker_piece){ fd, st.st_size };
	return true;
}

static unsigned long long
mib(int64_t bytes)
{
	return ((unsigned long long)bytes + (1 << 19)) >> 20;
}

static void
find(struct run_caches *c, struct one *one, const struct cache_spec *spec)
{
	char other[CACHE_KEY_MAX + 1];

	one->is_exact = restore(c, one->key.data);
	if (one->is_exact) {
		run_pipe_print(c->pipe, "davit: cache %s: restored, %llu MiB\n", one->key.data,
		    mib(c->pieces[c->piece_count - 1].size));
		return;
	}
	for (size_t i = 0; i < spec->fallbacks.count; i++)
		if (find_newest(c, spec->fallbacks.items[i], other) && restore(c, other)) {
			run_pipe_print(c->pipe, "davit: cache %s: restored from %s, %llu MiB\n", one->key.data, other,
			    mib(c->pieces[c->piece_count - 1].size));
			return;
		}
	run_pipe_print(c->pipe, "davit: cache %s: there is none yet\n", one->key.data);
}

void
run_caches_begin(struct run_caches *c, const struct job_spec *spec, const char *workspace)
{
	c->spec = spec;
	c->list = xcalloc(spec->cache_count + 1, sizeof(*c->list));
	c->pieces = xcalloc(spec->cache_count + 1, sizeof(*c->pieces));
	for (size_t i = 0; i < spec->cache_count; i++) {
		struct one *one = &c->list[i];

		buf_init(&one->key, CACHE_KEY_MAX);
		if (c->folder == NULL)
			continue;
		if (!cache_paths_are_valid(&spec->caches[i].paths))
			run_pipe_print(c->pipe,
			    "davit: cache %s: its paths must name folders of the job's own, below the workspace or "
			    "absolute\n",
			    spec->caches[i].key);
		else if (make_key(c, one, &spec->caches[i], workspace))
			find(c, one, &spec->caches[i]);
		else
			buf_reset(&one->key);
	}
}

const struct docker_piece *
run_caches_inputs(const struct run_caches *c, size_t *count)
{
	*count = c->piece_count;
	return c->pieces;
}

/* --- what comes out --- */

struct kept {
	char name[NAME_SIZE];
	int64_t size;
	time_t used;
};

static int
by_use(const void *a, const void *b)
{
	time_t one = ((const struct kept *)a)->used, other = ((const struct kept *)b)->used;

	return one < other ? 1 : one > other ? -1 : 0;
}

static void
remove_kept(const struct run_caches *c, const char *name)
{
	char *path = xasprintf("%s/%s", c->folder, name);

	unlink(path);
	if (is_called(name, TAR)) {
		memcpy(strrchr(path, '.'), KEY, strlen(KEY));
		unlink(path);
	}
	free(path);
}

/* Each tar, and what a run that was killed left of one; *count of them, newest use first. */
static struct kept *
list_kept(const struct run_caches *c, size_t *count)
{
	DIR *dir = opendir(c->folder);
	struct kept *list = NULL;
	struct dirent *entry;

	*count = 0;
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char *path = xasprintf("%s/%s", c->folder, entry->d_name);
		struct stat st;

		if (!is_called(entry->d_name, KEY) && strlen(entry->d_name) < NAME_SIZE && stat(path, &st) == 0 &&
		    S_ISREG(st.st_mode)) {
			list = xrealloc(list, (*count + 1) * sizeof(*list));
			list[*count] = (struct kept){ .size = st.st_size, .used = st.st_mtime };
			memcpy(list[(*count)++].name, entry->d_name, strlen(entry->d_name) + 1);
		}
		free(path);
	}
	if (dir != NULL)
		closedir(dir);
	if (*count > 0)
		qsort(list, *count, sizeof(*list), by_use);
	return list;
}

static void
prune(const struct run_caches *c)
{
	size_t count;
	struct kept *list = list_kept(c, &count);
	uint64_t total = 0;

	for (size_t i = 0; i < count; i++) {
		total += (uint64_t)list[i].size;
		if (total > TOTAL_MAX || list[i].used < time(NULL) - AGE_MAX_S)
			remove_kept(c, list[i].name);
	}
	free(list);
}

static bool
write_key(const struct run_caches *c, const struct one *one)
{
	char *path = path_of(c, one->key.data, KEY);
	FILE *file = fopen(path, "we");
	bool ok = file != NULL && fwrite(one->key.data, 1, one->key.len, file) == one->key.len;

	ok = file != NULL && fclose(file) == 0 && ok;
	free(path);
	return ok;
}

static bool
keep(struct run_caches *c, const struct one *one)
{
	char *path = path_of(c, one->key.data, TAR);
	bool ok = fsync(fileno(c->out)) == 0 && write_key(c, one) && rename(c->out_path, path) == 0;

	free(path);
	return ok;
}

static void save_next(struct run_caches *c);

static void
on_taken(void *arg, const struct take_result *result, const struct err *err)
{
	struct run_caches *c = arg;
	const struct one *one = &c->list[c->item];
	long size = ftell(c->out);

	c->take = NULL;
	if (err != NULL)
		run_pipe_print(c->pipe, "davit: cache %s: not saved: %s\n", one->key.data, err->text);
	else if (result->members == 0)
		run_pipe_print(c->pipe, "davit: cache %s: not saved: there are no such files\n", one->key.data);
	else if (!keep(c, one))
		run_pipe_print(
		    c->pipe, "davit: cache %s: not saved: %s: %s\n", one->key.data, c->folder, strerror(errno));
	else
		run_pipe_print(c->pipe, "davit: cache %s: saved, %llu MiB\n", one->key.data, mib(size));
	run_caches_stop(c);
	c->item++;
	save_next(c);
}

static bool
open_out(struct run_caches *c, const struct one *one)
{
	char *path = path_of(c, one->key.data, NEW);
	int fd;

	make_folders(c->folder);
	fd = mkostemp(path, O_CLOEXEC);
	c->out = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (c->out == NULL)
		free(path);
	else
		c->out_path = path;
	return c->out != NULL;
}

static void
save_next(struct run_caches *c)
{
	static const struct collect_limits limits = { MEMBERS_MAX, CACHE_MAX };

	for (; c->item < c->spec->cache_count; c->item++) {
		const struct one *one = &c->list[c->item];

		if (one->key.len == 0 || one->is_exact)
			continue;
		if (open_out(c, one)) {
			c->take = take_start(
			    c->run, TAKE_CACHE, &c->spec->caches[c->item].paths, &limits, c->out, on_taken, c);
			return;
		}
		run_pipe_print(
		    c->pipe, "davit: cache %s: not saved: %s: %s\n", one->key.data, c->folder, strerror(errno));
	}
	if (c->spec->cache_count > 0 && c->folder != NULL)
		prune(c);
	c->fn(c->arg);
}

void
run_caches_save(struct run_caches *c, struct builder_run *run, bool passed, run_caches_fn *fn, void *arg)
{
	c->run = run;
	c->item = passed ? 0 : c->spec->cache_count;
	c->fn = fn;
	c->arg = arg;
	save_next(c);
}
