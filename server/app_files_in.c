/* What goes into a job: each of its caches is looked up and opened, then each artifact of the jobs that it needs is
 * made a tar for its workspace. */
#include "server/app_files_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/cache_key.h"
#include "proto/mem.h"
#include "server/core/loop.h"

enum in_state {
	IN_CACHE, /* the next one */
	IN_KEY,   /* its next checksum */
	IN_FIND,
	IN_OPEN,
	IN_NEED,     /* the next one */
	IN_LIST,     /* its artifacts */
	IN_ARTIFACT, /* the next of those */
	IN_RESTORE,
	IN_DONE,
};

static void enter_cache(struct app_files *f);
static void enter_key(struct app_files *f);
static void enter_find(struct app_files *f);
static void enter_open(struct app_files *f);
static void enter_need(struct app_files *f);
static void enter_list(struct app_files *f);
static void enter_artifact(struct app_files *f);
static void enter_restore(struct app_files *f);
static void enter_done(struct app_files *f);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct app_files *f);
} states[] = {
	[IN_CACHE]    = { "cache",    enter_cache },
	[IN_KEY]      = { "key",      enter_key },
	[IN_FIND]     = { "find",     enter_find },
	[IN_OPEN]     = { "open",     enter_open },
	[IN_NEED]     = { "need",     enter_need },
	[IN_LIST]     = { "list",     enter_list },
	[IN_ARTIFACT] = { "artifact", enter_artifact },
	[IN_RESTORE]  = { "restore",  enter_restore },
	[IN_DONE]     = { "done",     enter_done },
};
/* clang-format on */

static void
in_step(struct app_files *f, enum in_state next)
{
	f->state = next;
	states[next].enter(f);
}

/* The item is done with, well or not. */
static void
next_item(struct app_files *f, enum in_state state)
{
	f->item++;
	in_step(f, state);
}

static void
add_piece(struct app_files *f, int fd, int64_t size)
{
	if (f->piece_count == f->piece_cap) {
		f->piece_cap = f->piece_cap == 0 ? 4 : 2 * f->piece_cap;
		f->pieces = xrealloc(f->pieces, f->piece_cap * sizeof(*f->pieces));
	}
	f->pieces[f->piece_count++] = (struct docker_piece){ fd, size };
}

static unsigned long long
mib(int64_t bytes)
{
	return ((unsigned long long)bytes + (1 << 19)) >> 20;
}

/* --- caches --- */

static const struct cache_spec *
cache_of(const struct app_files *f)
{
	return &f->job.spec->caches[f->item];
}

static void
enter_cache(struct app_files *f)
{
	if (f->item == f->job.spec->cache_count) {
		f->item = 0;
		in_step(f, IN_NEED);
	} else if (f->caches[f->item].is_invalid) {
		app_files_note(f,
		    "cache %s: its paths must name folders of the job's own, below the workspace or absolute",
		    cache_of(f)->key);
		next_item(f, IN_CACHE);
	} else {
		f->key_rest = str_of(cache_of(f)->key);
		buf_reset(&f->caches[f->item].key);
		in_step(f, IN_KEY);
	}
}

static void
on_checksum(void *arg, const char *hex, const struct err *err)
{
	struct app_files *f = arg;
	struct buf *key = &f->caches[f->item].key;

	f->git_op = NULL;
	if (err != NULL) {
		app_files_note(f, "cache %s: %s", cache_of(f)->key, err->text);
		buf_reset(key);
		next_item(f, IN_CACHE);
		return;
	}
	buf_add(key, hex, CACHE_KEY_DIGITS);
	in_step(f, IN_KEY);
}

static void
enter_key(struct app_files *f)
{
	struct buf *key = &f->caches[f->item].key;
	const struct build *build = f->job.build;
	const char *commit = build->built[0] != '\0' ? build->built : build->commit;
	struct str text, pattern;
	char *path;

	while (cache_key_next(&f->key_rest, &text, &pattern)) {
		if (pattern.len > 0) {
			path = str_dup(pattern);
			f->git_op = git_digest(f->deps->git, f->job.job->repo, commit, path, on_checksum, f);
			free(path);
			return;
		}
		buf_addstr(key, text);
	}
	if (key->len > 0 && !buf_failed(key)) {
		in_step(f, IN_FIND);
		return;
	}
	app_files_note(f, "cache: its key is %s", key->len == 0 ? "empty" : "too long");
	buf_reset(key);
	next_item(f, IN_CACHE);
}

static void
on_found(void *arg, struct cache *cache, const struct err *err)
{
	struct app_files *f = arg;

	f->op = NULL;
	if (err != NULL) {
		app_files_end(f, err);
	} else if (cache == NULL) {
		app_files_note(f, "cache %s: there is none yet", f->caches[f->item].key.data);
		next_item(f, IN_CACHE);
	} else if (f->job.is_left) {
		f->caches[f->item].is_exact = strcmp(cache->key, f->caches[f->item].key.data) == 0;
		cache_free(&cache);
		next_item(f, IN_CACHE);
	} else {
		f->found = cache;
		in_step(f, IN_OPEN);
	}
}

static void
enter_find(struct app_files *f)
{
	const struct strings *fallbacks = &cache_of(f)->fallbacks;
	struct cache_query query = { .repo = f->job.job->repo,
		.trust = f->trust,
		.key = f->caches[f->item].key.data,
		.beginnings = (const char *const *)fallbacks->items,
		.beginning_count = fallbacks->count };

	f->op = store_cache_find(f->deps->store, &query, on_found, f);
}

static void
on_dropped(void *arg, const struct err *err)
{
	struct app_files *f = arg;

	f->op = NULL;
	if (err != NULL)
		app_files_end(f, err);
	else
		next_item(f, IN_CACHE);
}

/* The save of this job takes the place of a cache whose file is gone. */
static void
on_opened(void *arg, int fd, const struct stat *st, const struct err *err)
{
	struct app_files *f = arg;
	struct app_cache *cache = &f->caches[f->item];

	f->disk_op = NULL;
	if (err == NULL && st->st_size != f->found->size) {
		close(fd);
		fd = -1;
	}
	if (fd < 0) {
		app_files_note(f, "cache %s: its file is lost", f->found->key);
		f->op = store_cache_drop(f->deps->store, f->found->id, on_dropped, f);
		cache_free(&f->found);
		return;
	}
	add_piece(f, fd, st->st_size);
	cache->is_exact = strcmp(f->found->key, cache->key.data) == 0;
	app_files_note(f, "cache %s: restored%s%s, %llu MiB", cache->key.data, cache->is_exact ? "" : " from ",
	    cache->is_exact ? "" : f->found->key, mib(st->st_size));
	cache_free(&f->found);
	next_item(f, IN_CACHE);
}

static void
enter_open(struct app_files *f)
{
	char *path = file_store_cache(f->deps->files, f->found->id);

	f->disk_op = disk_open(file_store_disk(f->deps->files), path, on_opened, f);
	free(path);
}

/* --- artifacts of needed jobs --- */

static const struct need_spec *
need_of(const struct app_files *f)
{
	return &f->job.spec->needs[f->item];
}

static void
enter_need(struct app_files *f)
{
	while (f->item < f->job.spec->need_count && !need_of(f)->files)
		f->item++;
	in_step(f, f->item < f->job.spec->need_count && !f->job.is_left ? IN_LIST : IN_DONE);
}

static void
on_listed(void *arg, struct artifact_list artifacts, const struct err *err)
{
	struct app_files *f = arg;

	f->op = NULL;
	if (err != NULL) {
		app_files_end(f, err);
		return;
	}
	f->artifacts = artifacts;
	f->artifact = 0;
	in_step(f, IN_ARTIFACT);
}

static void
enter_list(struct app_files *f)
{
	f->op = store_artifact_list(f->deps->store, f->job.build->build, need_of(f)->job, on_listed, f);
}

static void
enter_artifact(struct app_files *f)
{
	if (f->artifact < f->artifacts.count) {
		in_step(f, IN_RESTORE);
		return;
	}
	artifact_list_fini(&f->artifacts);
	next_item(f, IN_NEED);
}

static void
on_restored(void *arg, int fd, int64_t size, const struct err *err)
{
	struct app_files *f = arg;
	const struct artifact *artifact = &f->artifacts.items[f->artifact];
	struct err failure;

	f->restore = NULL;
	if (err != NULL) {
		failure =
		    err->code == ERR_NOT_FOUND ? err_make(ERR_NOT_FOUND, 0, "it lies on %s", artifact->node) : *err;
		failure = err_prefix(failure, "artifact %.60s of %s", artifact->name, need_of(f)->name);
		failure.code = ERR_IO;
		app_files_end(f, &failure);
		return;
	}
	add_piece(f, fd, size);
	app_files_note(f, "artifact %s of %s: %lld file%s", artifact->name, need_of(f)->name,
	    (long long)artifact->files, artifact->files == 1 ? "" : "s");
	f->artifact++;
	in_step(f, IN_ARTIFACT);
}

static void
enter_restore(struct app_files *f)
{
	char *path = file_store_artifact(f->deps->files, &f->artifacts.items[f->artifact]);

	f->restore = artifact_restore_start(f->deps->files, path, "workspace/", on_restored, f);
	free(path);
}

/* --- the way --- */

static void
enter_done(struct app_files *f)
{
	app_files_end(f, NULL);
}

static void
on_begin(void *arg)
{
	struct app_files *f = arg;

	f->begin = NULL;
	f->item = 0;
	in_step(f, IN_CACHE);
}

void
app_files_gather(struct app_files *files, app_files_fn *fn, void *arg)
{
	for (size_t i = 0; i < files->piece_count; i++) /* of an attempt that failed */
		close(files->pieces[i].fd);
	files->piece_count = 0;
	files->fn = fn;
	files->arg = arg;
	files->begin = deferred_call(files->deps->loop, on_begin, files);
}
