#include "server/mirror/parts.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "proto/crypto.h"
#include "proto/http_vary.h"
#include "proto/mem.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define NOTE_MAX (512 * 1024)
#define SLICE (4 * 1024 * 1024) /* of a file that is read, in one go */
#define PIECE (64 * 1024)
#define ID_LEN 16
#define NOTE_SUFFIX ".part"

enum { BOOT_LEN = 36, FOUND_MAX = 4 * PARTS_MAX, KEPT_S = 86400 };

struct part {
	UT_hash_handle hh;
	char *key;
	struct variant *variant; /* its size: of the whole body */
};

struct parts {
	struct disk *disk;
	char *drafts;
	char boot[BOOT_LEN + 1]; /* "": it is not known, and there are no parts */
	struct part *by_key;
};

/* What a thread of the disk has. */
struct work {
	char *path;
	int fd;
	uint64_t total;
	uint64_t at; /* all in front of it is in hash */
	uint64_t size;
	struct digest *hash;
};

struct part_reading {
	struct parts *parts;
	struct part *part;
	struct work *work;
	struct disk_op *op;
	part_fn *fn;
	void *arg;
};

/* --- paths and notes --- */

static char *
draft_path(const struct parts *ps, uint64_t id)
{
	return xasprintf("%s/%0*llx", ps->drafts, ID_LEN, (unsigned long long)id);
}

static char *
note_path(const struct parts *ps, uint64_t id)
{
	return xasprintf("%s/%0*llx" NOTE_SUFFIX, ps->drafts, ID_LEN, (unsigned long long)id);
}

/* "" when the kernel does not say. */
static void
read_boot(char ret[BOOT_LEN + 1])
{
	int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, ret, BOOT_LEN) : -1;

	ret[n == BOOT_LEN ? BOOT_LEN : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

static bool
write_whole(const char *path, struct str text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write(fd, text.p, text.len) == (ssize_t)text.len;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Not synced: what it is for is not, either. */
void
parts_note(struct parts *ps, const char *key, const struct variant *v)
{
	struct variant copy = *v;
	char *path;
	struct buf note;

	if (ps->boot[0] == '\0' || draft_total(v->draft) < PART_SIZE_MIN)
		return;
	copy.size = draft_total(v->draft);
	path = note_path(ps, v->id);
	buf_init(&note, NOTE_MAX);
	buf_adds(&note, ps->boot);
	if (!variant_print_record(&note, key, &copy) || !write_whole(path, buf_str(&note)))
		disk_remove_later(ps->disk, path);
	buf_fini(&note);
	free(path);
}

void
parts_forget(struct parts *ps, uint64_t id)
{
	char *path = note_path(ps, id);

	if (access(path, F_OK) == 0)
		disk_remove_later(ps->disk, path);
	free(path);
}

/* --- the table --- */

static void
part_free(struct part *p)
{
	variant_unref(&p->variant);
	free(p->key);
	free(p);
}

/* It and its files. */
static void
part_drop(struct parts *ps, struct part *p)
{
	char *path = draft_path(ps, p->variant->id);

	disk_remove_later(ps->disk, path);
	free(path);
	parts_forget(ps, p->variant->id);
	part_free(p);
}

/* The newest of a key is its part. */
static void
add(struct parts *ps, struct part *p)
{
	struct part *old;

	HASH_FIND_STR(ps->by_key, p->key, old);
	if (old != NULL) {
		HASH_DEL(ps->by_key, old);
		part_drop(ps, old);
	}
	HASH_ADD_KEYPTR(hh, ps->by_key, p->key, strlen(p->key), p);
}

/* --- the start --- */

struct found {
	char *path; /* of the note */
	struct timespec changed;
	uint64_t have; /* bytes of its draft */
};

struct search {
	struct found list[FOUND_MAX];
	size_t count;
};

static int
by_age(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->changed.tv_sec != y->changed.tv_sec)
		return x->changed.tv_sec > y->changed.tv_sec ? -1 : 1;
	return x->changed.tv_nsec > y->changed.tv_nsec ? -1 : x->changed.tv_nsec < y->changed.tv_nsec;
}

/* Without its suffix a note's name is its draft's. */
static char *
draft_of_note(const char *path)
{
	return xstrndup(path, strlen(path) - strlen(NOTE_SUFFIX));
}

static void
search_file(struct search *s, const char *folder, const char *name)
{
	struct found *f = &s->list[s->count];
	char *draft;
	struct stat st;

	if (s->count == FOUND_MAX || strlen(name) != ID_LEN + strlen(NOTE_SUFFIX) ||
	    strcmp(name + ID_LEN, NOTE_SUFFIX) != 0)
		return;
	f->path = xasprintf("%s/%s", folder, name);
	draft = draft_of_note(f->path);
	if (lstat(draft, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	    loop_wall_ms() / 1000 - st.st_mtim.tv_sec < KEPT_S) {
		f->changed = st.st_mtim;
		f->have = (uint64_t)st.st_size;
		s->count++;
	} else {
		free(f->path);
	}
	free(draft);
}

static void
search_folder(struct search *s, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		search_file(s, folder, entry->d_name);
	if (dir != NULL)
		closedir(dir);
}

static void
search_neighbours(struct search *s, const char *own)
{
	char *root = xstrndup(own, (size_t)(strrchr(own, '/') - own));
	DIR *dir = opendir(root);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char *folder = xasprintf("%s/%s", root, entry->d_name);

		if (entry->d_name[0] != '.' && strcmp(folder, own) != 0)
			search_folder(s, folder);
		free(folder);
	}
	if (dir != NULL)
		closedir(dir);
	free(root);
}

static struct str
read_note(const char *path, char *room, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd >= 0 ? read(fd, room, size) : 0;

	if (fd >= 0)
		close(fd);
	return (struct str){ room, n > 0 ? (size_t)n : 0 };
}

/* NULL: of another boot, or not whole. */
static struct part *
part_read(const struct parts *ps, const struct found *f, char *room, size_t size)
{
	struct str note = read_note(f->path, room, size);
	struct variant *v;
	struct part *p;
	struct str key;

	if (note.len <= BOOT_LEN || memcmp(note.p, ps->boot, BOOT_LEN) != 0)
		return NULL;
	v = variant_read_record((struct str){ note.p + BOOT_LEN, note.len - BOOT_LEN }, &key);
	if (v == NULL)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	*p = (struct part){ .key = str_dup(key), .variant = v };
	if (f->have <= v->size && variant_is_clean(v))
		return p;
	part_free(p);
	return NULL;
}

/* Gives it a name of this process's. */
static bool
take_over(struct parts *ps, const struct found *f, struct part *p, uint64_t id)
{
	char *old_draft = draft_of_note(f->path), *draft = draft_path(ps, id), *note = note_path(ps, id);
	bool ok = rename(old_draft, draft) == 0 && rename(f->path, note) == 0;

	p->variant->id = id;
	free(old_draft);
	free(draft);
	free(note);
	return ok;
}

static void
take_newest(struct parts *ps, const struct search *s, uint64_t room, uint64_t *next_id)
{
	char *note = xcalloc(1, NOTE_MAX);
	uint64_t bytes = 0;

	for (size_t i = 0; i < s->count && HASH_COUNT(ps->by_key) < PARTS_MAX; i++) {
		struct part *p = bytes + s->list[i].have <= room ? part_read(ps, &s->list[i], note, NOTE_MAX) : NULL;
		struct part *newer = NULL;

		if (p == NULL)
			continue;
		HASH_FIND_STR(ps->by_key, p->key, newer);
		if (newer != NULL || !take_over(ps, &s->list[i], p, (*next_id)++)) {
			part_free(p);
			continue;
		}
		bytes += s->list[i].have;
		add(ps, p);
	}
	free(note);
}

struct parts *
parts_open(struct disk *disk, const char *drafts, uint64_t room, uint64_t *next_id)
{
	struct parts *ps = xcalloc(1, sizeof(*ps));
	struct search *s = xcalloc(1, sizeof(*s));

	ps->disk = disk;
	ps->drafts = xstrdup(drafts);
	read_boot(ps->boot);
	if (ps->boot[0] != '\0')
		search_neighbours(s, drafts);
	qsort(s->list, s->count, sizeof(s->list[0]), by_age);
	take_newest(ps, s, room, next_id);
	if (ps->by_key != NULL)
		log_info("mirror: %u bodies that broke off with the process before can be continued",
		    HASH_COUNT(ps->by_key));
	for (size_t i = 0; i < s->count; i++)
		free(s->list[i].path);
	free(s);
	return ps;
}

void
parts_free(struct parts **parts)
{
	struct parts *ps = *parts;
	struct part *p, *next;

	*parts = NULL;
	if (ps == NULL)
		return;
	HASH_ITER(hh, ps->by_key, p, next)
	{
		HASH_DEL(ps->by_key, p);
		part_free(p);
	}
	free(ps->drafts);
	free(ps);
}

void
parts_drop(struct parts *ps, bool (*is_meant)(const char *key, const char *prefix), const char *prefix)
{
	struct part *p, *next;

	HASH_ITER(hh, ps->by_key, p, next)
	if (is_meant(p->key, prefix)) {
		HASH_DEL(ps->by_key, p);
		part_drop(ps, p);
	}
}

/* --- reading --- */

static void
work_free(void *work)
{
	struct work *w = work;

	if (w->fd >= 0)
		close(w->fd);
	digest_free(&w->hash);
	free(w->path);
	free(w);
}

static bool
open_draft(struct work *w, struct err *err)
{
	struct stat st;

	w->fd = open(w->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (w->fd < 0 || fstat(w->fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > w->total) {
		err_set(err, ERR_IO, errno, "mirror: %s cannot be continued", w->path);
		return false;
	}
	w->size = (uint64_t)st.st_size;
	if (w->size == w->total) /* the upstream's word is wanted all the same */
		w->size--;
	return true;
}

static void
run(void *work, struct err *err)
{
	struct work *w = work;
	char piece[PIECE];
	uint64_t end = w->at + SLICE;

	if (w->fd < 0 && !open_draft(w, err))
		return;
	while (w->hash != NULL && w->at < w->size && w->at < end) {
		size_t len = w->size - w->at < sizeof(piece) ? (size_t)(w->size - w->at) : sizeof(piece);
		ssize_t n = pread(w->fd, piece, len, (off_t)w->at);

		if (n <= 0) {
			*err = err_errno("mirror: read %s", w->path);
			return;
		}
		digest_add(w->hash, (struct str){ piece, (size_t)n });
		w->at += (uint64_t)n;
	}
}

static void
reading_free(struct part_reading *r)
{
	if (r->work != NULL)
		work_free(r->work);
	free(r);
}

static void
finish(struct part_reading *r, const struct err *err)
{
	struct digest *hash = r->work->hash;
	struct variant *v = NULL;
	part_fn *fn = r->fn;
	void *arg = r->arg;

	r->work->hash = NULL;
	if (err != NULL) {
		log_warn("%s", err->text);
		digest_free(&hash);
		part_drop(r->parts, r->part);
	} else {
		v = variant_ref(r->part->variant);
		v->draft = draft_of_part(r->work->fd, r->work->size, r->work->total);
		v->size = 0;
		r->work->fd = -1;
		part_free(r->part);
	}
	reading_free(r);
	fn(arg, v, hash);
}

static void
on_slice(void *arg, const struct err *err)
{
	struct part_reading *r = arg;
	const struct work *w = r->work;

	r->op = NULL;
	if (err == NULL && w->hash != NULL && w->at < w->size)
		r->op = disk_call(r->parts->disk, run, work_free, r->work, on_slice, r);
	else
		finish(r, err);
}

struct part_reading *
parts_take(
    struct parts *ps, const char *key, const struct http1_head *request, enum digest_kind kind, part_fn *fn, void *arg)
{
	struct part_reading *r;
	struct part *p;

	HASH_FIND_STR(ps->by_key, key, p);
	if (p == NULL || !http_vary_matches(str_of(p->variant->selection), request))
		return NULL;
	HASH_DEL(ps->by_key, p);
	r = xcalloc(1, sizeof(*r));
	*r = (struct part_reading){ .parts = ps, .part = p, .fn = fn, .arg = arg };
	r->work = xcalloc(1, sizeof(*r->work));
	*r->work = (struct work){
		.path = draft_path(ps, p->variant->id), .fd = -1, .total = p->variant->size, .hash = digest_new(kind)
	};
	r->op = disk_call(ps->disk, run, work_free, r->work, on_slice, r);
	return r;
}

void
parts_cancel(struct part_reading **reading)
{
	struct part_reading *r = *reading;

	*reading = NULL;
	if (r == NULL)
		return;
	disk_cancel(&r->op);
	r->work = NULL; /* the disk's, which releases it */
	add(r->parts, r->part);
	reading_free(r);
}

void
parts_put_back(struct parts *ps, const char *key, struct variant **variant)
{
	struct variant *v = *variant;
	struct part *p;

	*variant = NULL;
	v->size = draft_total(v->draft);
	draft_unref(&v->draft);
	p = xcalloc(1, sizeof(*p));
	*p = (struct part){ .key = xstrdup(key), .variant = v };
	add(ps, p);
}
