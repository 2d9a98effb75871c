#include "server/mirror/shelf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/hex.h"
#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/mirror/parts.h"
#include "server/mirror/shelf_private.h"

enum {
	SLICE = 256, /* records of a journal's renewal that are written in one go */
	SLICE_MS = 5,
	SLACK = 10000,      /* records without use before the journal is renewed */
	PURGE_LOOKS = 5000, /* at objects in one go, and how many of their variants go, */
	PURGE_DROPS = 64,   /* each by a job of the disk */
	ROOM_LOOKS = 2000,  /* the same when room is made, and when what is old is looked for */
	ROOM_DROPS = 64,
	ROOM_MS = 10,            /* between two such turns */
	AGE_MS = 10 * 60 * 1000, /* between two looks for what is old */
	NOTE_S = 86400,          /* so exactly the last use is on record */
};

/* A variant whose file is synced and then named. */
struct filing {
	LIST_ENTRY(filing) link;
	struct shelf *shelf;
	struct variant *variant;
	struct disk_op *op;
};

/* --- paths --- */

static char *
path_of(const struct shelf *s, uint64_t id)
{
	return xasprintf("%s/objects/%02x/%016llx", s->folder, (unsigned)(id % FOLDERS), (unsigned long long)id);
}

static char *
draft_path(const struct shelf *s, uint64_t id)
{
	return xasprintf("%s/%016llx", s->drafts, (unsigned long long)id);
}

static void
remove_file(const struct shelf *s, uint64_t id)
{
	char *path = path_of(s, id);

	disk_remove_later(s->conf.disk, path);
	free(path);
}

/* --- the journal --- */

static bool
note(struct shelf *s, unsigned type, struct str payload)
{
	struct err err;
	bool ok = journal_append(s->journal, type, payload, &err);

	if (!ok)
		log_warn("%s", err.text);
	if (s->renewed != NULL && !journal_append(s->renewed, type, payload, &err))
		journal_free(&s->renewed);
	return ok;
}

static void
print_id(struct buf *b, uint64_t id)
{
	for (int i = 0; i < 8; i++)
		buf_addc(b, (char)(id >> 8 * i));
}

static void
print_use(const struct variant *v, struct buf *b)
{
	print_id(b, v->id);
	print_id(b, (uint64_t)v->used);
}

static void
note_use(struct shelf *s, struct variant *v)
{
	struct buf b;

	v->noted = v->used;
	buf_init(&b, 32);
	print_use(v, &b);
	note(s, RECORD_USE, buf_str(&b));
	buf_fini(&b);
}

/* What was fetched for no client's request was not used when it came. */
static bool
note_stored(struct shelf *s, struct variant *v)
{
	struct buf b;
	bool ok;

	buf_init(&b, JOURNAL_RECORD_MAX);
	ok = variant_print_record(&b, v->object->key, v) && note(s, RECORD_STORE, buf_str(&b));
	buf_fini(&b);
	if (ok && v->used < v->times.received)
		note_use(s, v);
	return ok;
}

static void
note_removed(struct shelf *s, uint64_t id)
{
	struct buf b;

	buf_init(&b, 16);
	print_id(&b, id);
	note(s, RECORD_REMOVE, buf_str(&b));
	buf_fini(&b);
}

/* A use is on record once a day. */
static void
use(struct shelf *s, struct variant *v)
{
	TAILQ_REMOVE(&s->by_use, v, by_use);
	TAILQ_INSERT_TAIL(&s->by_use, v, by_use);
	v->used = loop_wall_ms() / 1000;
	if (variant_is_filed(v) && v->used - v->noted >= NOTE_S)
		note_use(s, v);
}

static void
on_renewed(void *arg, const struct err *err)
{
	struct shelf *s = arg;

	if (err != NULL) {
		log_warn("mirror: the journal is not renewed: %s", err->text);
		journal_free(&s->renewed);
		return;
	}
	journal_free(&s->journal);
	s->journal = s->renewed;
	s->renewed = NULL;
}

static void
end_renewal(struct shelf *s)
{
	char *path = xasprintf("%s/journal", s->folder);

	journal_rename(s->renewed, path, on_renewed, s);
	free(path);
}

/* What changes meanwhile is written into both: see note. */
static void
on_renewal(void *arg)
{
	struct shelf *s = arg;
	struct buf b;
	struct err err;
	bool ok = s->renewed != NULL;

	buf_init(&b, JOURNAL_RECORD_MAX);
	for (int i = 0; ok && i < SLICE && s->cursor != NULL; i++) {
		const struct variant *v = s->cursor;

		s->cursor = TAILQ_NEXT(s->cursor, by_age);
		if (!variant_is_filed(v))
			continue; /* is noted when it is */
		buf_reset(&b);
		ok = variant_print_record(&b, v->object->key, v) &&
		     journal_append(s->renewed, RECORD_STORE, buf_str(&b), &err);
		if (!ok || v->used == v->times.received)
			continue;
		buf_reset(&b);
		print_use(v, &b);
		ok = journal_append(s->renewed, RECORD_USE, buf_str(&b), &err);
	}
	buf_fini(&b);
	if (!ok)
		journal_free(&s->renewed);
	else if (s->cursor == NULL)
		end_renewal(s);
	else
		timer_start(s->renewal, SLICE_MS);
}

/* Most of the journal may be about what is no more. */
static void
renew_when_due(struct shelf *s)
{
	char *path;
	struct err err;

	if (s->renewed != NULL || journal_count(s->journal) < 2 * s->figures.variants + SLACK)
		return;
	path = xasprintf("%s/journal.new", s->folder);
	s->renewed = journal_open(s->conf.loop, s->conf.disk, path, NULL, &err);
	free(path);
	if (s->renewed == NULL) {
		log_warn("%s", err.text);
		return;
	}
	for (size_t i = 0; i < s->pin_count && s->renewed != NULL; i++)
		if (!journal_append(s->renewed, RECORD_PIN, str_of(s->pins[i]), &err))
			journal_free(&s->renewed);
	s->cursor = TAILQ_FIRST(&s->by_age);
	timer_start(s->renewal, SLICE_MS);
}

/* --- objects --- */

/* What it takes in memory, about: its object may have others. */
static size_t
memory_of(const struct variant *v)
{
	return sizeof(*v) + sizeof(*v->object) + v->head_len + strlen(v->selection) + v->object->key_len;
}

static void
count_memory(struct shelf *s, struct variant *v)
{
	s->memory -= v->memory;
	v->memory = memory_of(v);
	s->memory += v->memory;
}

void
shelf_link(struct shelf *s, struct str key, struct variant *v)
{
	v->object = object_table_get(&s->objects, key);
	LIST_INSERT_HEAD(&v->object->variants, v, of_object);
	TAILQ_INSERT_TAIL(&s->by_use, v, by_use);
	TAILQ_INSERT_TAIL(&s->by_age, v, by_age);
	count_memory(s, v);
	s->figures.variants++;
	if (variant_is_filed(v))
		s->figures.bytes += v->size;
}

static void
close_file(struct shelf *s, struct variant *v)
{
	if (v->open == NULL)
		return;
	TAILQ_REMOVE(&s->by_open, v, by_open);
	s->open_count--;
	draft_unref(&v->open);
}

void
shelf_keep_open(struct shelf *s, struct variant *v, struct draft *file)
{
	if (v->object == NULL || v->open != NULL)
		return;
	if (s->open_count == SHELF_OPEN_MAX)
		close_file(s, TAILQ_FIRST(&s->by_open));
	v->open = draft_ref(file);
	TAILQ_INSERT_TAIL(&s->by_open, v, by_open);
	s->open_count++;
}

static void
leave_object(struct shelf *s, struct variant *v)
{
	struct object *o = v->object;

	LIST_REMOVE(v, of_object);
	v->object = NULL;
	if (LIST_EMPTY(&o->variants))
		object_table_remove(&s->objects, o);
}

void
shelf_unlink(struct shelf *s, struct variant *v)
{
	if (s->cursor == v)
		s->cursor = TAILQ_NEXT(v, by_age);
	if (s->old == v)
		s->old = TAILQ_NEXT(v, by_age);
	leave_object(s, v);
	TAILQ_REMOVE(&s->by_use, v, by_use);
	TAILQ_REMOVE(&s->by_age, v, by_age);
	close_file(s, v);
	s->memory -= v->memory;
	v->memory = 0;
	s->figures.variants--;
	if (variant_is_filed(v))
		s->figures.bytes -= v->size;
	variant_unref(&v);
}

struct variant *
shelf_find(struct shelf *s, const char *key, const struct http1_head *request)
{
	struct object *o = object_table_find(&s->objects, str_of(key));
	struct variant *v;

	v = o != NULL ? object_select(o, request) : NULL;
	if (v == NULL)
		return NULL;
	use(s, v);
	return v;
}

struct variant *
shelf_peek(const struct shelf *s, const char *key)
{
	struct object *o = object_table_find(&s->objects, str_of(key));

	return o != NULL ? LIST_FIRST(&o->variants) : NULL;
}

void
shelf_drop(struct shelf *s, struct variant *v)
{
	uint64_t id = v->id;
	bool is_filed = variant_is_filed(v);

	if (v->object == NULL)
		return;
	shelf_unlink(s, v);
	if (!is_filed) {
		shelf_forget_draft(s, id);
		return;
	}
	note_removed(s, id);
	remove_file(s, id);
	renew_when_due(s);
}

static unsigned
drop_all(struct shelf *s, struct object *o)
{
	struct variant *v, *next;
	unsigned dropped = 0;

	for (v = LIST_FIRST(&o->variants); v != NULL; v = next, dropped++) {
		next = LIST_NEXT(v, of_object);
		shelf_drop(s, v); /* with the last one the object goes, too */
	}
	return dropped;
}

void
shelf_invalidate(struct shelf *s, const char *key)
{
	struct object *o = object_table_find(&s->objects, str_of(key));

	if (o != NULL)
		drop_all(s, o);
}

/* A key has words in front of the URL where that alone does not tell the object (target.c). */
static bool
is_below(const char *key, const char *prefix)
{
	const char *space = strrchr(key, ' ');

	return strncmp(space != NULL ? space + 1 : key, prefix, strlen(prefix)) == 0;
}

unsigned
shelf_purge(struct shelf *s, const char *prefix, char **cursor)
{
	struct object *o, *next;
	unsigned dropped = 0;

	if (**cursor == '\0')
		parts_drop(s->parts, is_below, prefix);
	o = object_table_find(&s->objects, str_of(*cursor));
	free(*cursor);
	*cursor = NULL;
	o = o != NULL ? o : TAILQ_FIRST(&s->objects.all);
	for (unsigned n = 0; o != NULL && n < PURGE_LOOKS && dropped < PURGE_DROPS; n++, o = next) {
		next = TAILQ_NEXT(o, link);
		if (is_below(o->key, prefix))
			dropped += drop_all(s, o);
	}
	*cursor = o != NULL ? xstrdup(o->key) : NULL;
	return dropped;
}

/* --- what gives way --- */

static bool
is_pinned(const struct shelf *s, const struct variant *v)
{
	for (size_t i = 0; i < s->pin_count; i++)
		if (is_below(v->object->key, s->pins[i]))
			return true;
	return false;
}

static bool
lacks_room(const struct shelf *s)
{
	return s->figures.bytes > s->conf.size || s->memory > s->conf.memory;
}

/* What may not go is behind all others then, which is no harm to it. */
static bool
drop_first(struct shelf *s)
{
	struct variant *v = TAILQ_FIRST(&s->by_use);

	if (variant_is_filed(v) && !is_pinned(s, v)) {
		s->figures.evicted++;
		s->looked = 0;
		shelf_drop(s, v);
		return true;
	}
	TAILQ_REMOVE(&s->by_use, v, by_use);
	TAILQ_INSERT_TAIL(&s->by_use, v, by_use);
	s->looked++;
	return false;
}

/* The rest in later turns, until there is room, or nothing that may go. */
static void
make_room(struct shelf *s)
{
	unsigned dropped = 0;

	for (unsigned n = 0; n < ROOM_LOOKS && dropped < ROOM_DROPS && lacks_room(s) && s->looked < s->figures.variants;
	     n++)
		dropped += drop_first(s) ? 1 : 0;
	if (lacks_room(s) && s->looked < s->figures.variants)
		timer_start(s->room, ROOM_MS);
	else
		s->looked = 0;
}

static void
on_room(void *arg)
{
	make_room(arg);
}

/* Some of all, then the next ones; when all were looked at, after a while from the beginning. */
static void
on_age(void *arg)
{
	struct shelf *s = arg;
	int64_t limit = loop_wall_ms() / 1000 - s->conf.age_s;
	unsigned dropped = 0;

	if (s->old == NULL)
		s->old = TAILQ_FIRST(&s->by_age);
	for (unsigned n = 0; n < ROOM_LOOKS && dropped < ROOM_DROPS && s->old != NULL; n++) {
		struct variant *v = s->old;

		s->old = TAILQ_NEXT(v, by_age);
		if (v->used >= limit || !variant_is_filed(v) || is_pinned(s, v))
			continue;
		s->figures.evicted++;
		dropped++;
		shelf_drop(s, v);
	}
	timer_start(s->age, s->old != NULL ? ROOM_MS : AGE_MS);
}

size_t
shelf_find_pin(const struct shelf *s, struct str prefix)
{
	size_t i = 0;

	while (i < s->pin_count && !str_is(prefix, s->pins[i]))
		i++;
	return i;
}

bool
shelf_add_pin(struct shelf *s, struct str prefix)
{
	if (s->pin_count == SHELF_PINS_MAX || prefix.len > SHELF_PIN_SIZE_MAX)
		return false;
	if (shelf_find_pin(s, prefix) == s->pin_count)
		s->pins[s->pin_count++] = str_dup(prefix);
	return true;
}

void
shelf_remove_pin(struct shelf *s, size_t i)
{
	free(s->pins[i]);
	s->pins[i] = s->pins[--s->pin_count];
}

bool
shelf_pin(struct shelf *s, const char *prefix, struct err *err)
{
	size_t count = s->pin_count;

	if (!shelf_add_pin(s, str_of(prefix)))
		return err_set(err, ERR_LIMIT, 0, "more than %d URLs, or one of more than %d bytes, cannot be pinned",
		    SHELF_PINS_MAX, SHELF_PIN_SIZE_MAX);
	if (s->pin_count == count || note(s, RECORD_PIN, str_of(prefix)))
		return true;
	shelf_remove_pin(s, count);
	return err_set(err, ERR_IO, 0, "the mirror's journal does not take it; is the disk full?");
}

bool
shelf_unpin(struct shelf *s, const char *prefix, struct err *err)
{
	size_t i = shelf_find_pin(s, str_of(prefix));

	if (i == s->pin_count)
		return err_set(err, ERR_NOT_FOUND, 0, "%.200s is not pinned", prefix);
	if (!note(s, RECORD_UNPIN, str_of(prefix)))
		return err_set(err, ERR_IO, 0, "the mirror's journal does not take it; is the disk full?");
	shelf_remove_pin(s, i);
	make_room(s);
	return true;
}

const char *
shelf_pin_at(const struct shelf *s, size_t index)
{
	return index < s->pin_count ? s->pins[index] : NULL;
}

/* --- a body that arrives --- */

struct draft *
shelf_draft(struct shelf *s, uint64_t total, uint64_t *id, struct err *err)
{
	char *path;
	struct draft *draft;

	*id = s->next_id++;
	path = draft_path(s, *id);
	draft = draft_new(path, total, err);
	free(path);
	return draft;
}

void
shelf_forget_draft(struct shelf *s, uint64_t id)
{
	char *path = draft_path(s, id);

	parts_forget(s->parts, id);
	disk_remove_later(s->conf.disk, path);
	free(path);
}

struct parts *
shelf_parts(struct shelf *s)
{
	return s->parts;
}

void
shelf_add(struct shelf *s, const char *key, struct variant *v)
{
	assert(v->object == NULL && v->draft != NULL);
	shelf_link(s, str_of(key), variant_ref(v));
}

static void
filing_free(struct filing *f)
{
	disk_cancel(&f->op);
	LIST_REMOVE(f, link);
	variant_unref(&f->variant);
	free(f);
}

/* Variants of the same selection that were there before. */
static void
drop_older(struct shelf *s, struct variant *v)
{
	struct variant *old, *next;

	for (old = LIST_NEXT(v, of_object); old != NULL; old = next) {
		next = LIST_NEXT(old, of_object);
		if (strcmp(old->selection, v->selection) == 0 && variant_is_filed(old))
			shelf_drop(s, old);
	}
}

/* It may be on its way to its name: a record more is that of no file for as long. */
void
shelf_rename(struct shelf *s, const char *key, struct variant *v)
{
	if (v->object == NULL)
		return;
	leave_object(s, v);
	v->object = object_table_get(&s->objects, str_of(key));
	LIST_INSERT_HEAD(&v->object->variants, v, of_object);
	count_memory(s, v);
	if (v->draft != NULL)
		v->size = draft_size(v->draft);
	note_stored(s, v);
	if (variant_is_filed(v))
		drop_older(s, v);
}

static void
on_named(void *arg, const struct err *err)
{
	struct filing *f = arg;
	struct shelf *s = f->shelf;
	struct variant *v = f->variant;

	f->op = NULL;
	parts_forget(s->parts, v->id);
	if (err != NULL) {
		log_warn("mirror: %s", err->text);
		shelf_drop(s, v);
	} else if (v->object == NULL) { /* dropped meanwhile */
		note_removed(s, v->id);
		remove_file(s, v->id);
	} else {
		v->size = draft_size(v->draft);
		draft_unref(&v->draft);
		s->figures.bytes += v->size;
		drop_older(s, v);
		make_room(s);
	}
	filing_free(f);
	renew_when_due(s);
}

/* First the record, then the name: a file without a record would be nobody's, a record without a file is dropped at its
 * first use. */
static void
on_body_synced(void *arg, const struct err *err)
{
	struct filing *f = arg;
	struct shelf *s = f->shelf;
	char *from, *to;

	f->op = NULL;
	if (err != NULL || f->variant->object == NULL) {
		if (err != NULL)
			log_warn("mirror: a body is not stored: %s", err->text);
		shelf_drop(s, f->variant);
		filing_free(f);
		return;
	}
	f->variant->size = draft_size(f->variant->draft);
	if (!note_stored(s, f->variant)) {
		shelf_drop(s, f->variant);
		filing_free(f);
		return;
	}
	from = draft_path(s, f->variant->id);
	to = path_of(s, f->variant->id);
	f->op = disk_rename(s->conf.disk, from, to, on_named, f);
	free(from);
	free(to);
}

void
shelf_publish(struct shelf *s, struct variant *v)
{
	struct filing *f;

	if (v->object == NULL)
		return;
	f = xcalloc(1, sizeof(*f));
	*f = (struct filing){ .shelf = s, .variant = variant_ref(v) };
	LIST_INSERT_HEAD(&s->filings, f, link);
	f->op = disk_datasync(s->conf.disk, draft_fd(v->draft), on_body_synced, f);
}

void
shelf_update(struct shelf *s, struct variant *v)
{
	if (v->object == NULL || !variant_is_filed(v))
		return;
	count_memory(s, v);
	note_stored(s, v);
	renew_when_due(s);
}

void
shelf_set_used(struct shelf *s, struct variant *v, int64_t used)
{
	if (v->object == NULL)
		return;
	v->used = used;
	note_use(s, v); /* of no effect where the variant itself is not on record yet */
}

struct disk_op *
shelf_read(struct shelf *s, const struct variant *v, disk_open_fn *fn, void *arg)
{
	char *path = path_of(s, v->id);
	struct disk_op *op = disk_open(s->conf.disk, path, fn, arg);

	free(path);
	return op;
}

bool
shelf_is_file_of(const struct variant *v, const struct stat *st)
{
	return S_ISREG(st->st_mode) && (uint64_t)st->st_size == v->size;
}

struct shelf_figures
shelf_figures(const struct shelf *s)
{
	return s->figures;
}

/* --- start and end --- */

struct shelf_opening {
	struct shelf *shelf;
	struct disk_op *op;
	shelf_open_fn *fn;
	void *arg;
};

static struct shelf *
shelf_new(const struct shelf_conf *conf)
{
	struct shelf *s = xcalloc(1, sizeof(*s));

	s->conf = *conf;
	s->conf.memory = conf->memory != 0 ? conf->memory : SHELF_MEMORY;
	s->folder = xstrdup(conf->folder);
	s->next_id = 1;
	object_table_init(&s->objects);
	TAILQ_INIT(&s->by_use);
	TAILQ_INIT(&s->by_age);
	TAILQ_INIT(&s->by_open);
	LIST_INIT(&s->filings);
	s->renewal = timer_new(conf->loop, on_renewal, s);
	s->room = timer_new(conf->loop, on_room, s);
	s->age = timer_new(conf->loop, on_age, s);
	return s;
}

/* What the thread has not done: all that the loop takes part in. */
static bool
begin(struct shelf *s, struct err *err)
{
	char *path = xasprintf("%s/journal", s->folder);

	s->journal = journal_open(s->conf.loop, s->conf.disk, path, &s->extent, err);
	free(path);
	if (s->journal == NULL)
		return false;
	for (unsigned i = 0; i < s->removed_count; i++)
		remove_file(s, s->removed[i]);
	s->parts = parts_open(s->conf.disk, s->drafts, s->conf.size, &s->next_id);
	disk_remove_beside(s->conf.disk, s->drafts);
	make_room(s);
	renew_when_due(s);
	if (s->conf.age_s > 0)
		timer_start(s->age, ROOM_MS);
	return true;
}

static void
on_loaded(void *arg, const struct err *err)
{
	struct shelf_opening *o = arg;
	struct shelf *s = o->shelf;
	shelf_open_fn *fn = o->fn;
	struct err why;

	arg = o->arg;
	free(o);
	if (err == NULL && !begin(s, &why))
		err = &why;
	if (err != NULL)
		shelf_free(&s);
	fn(arg, s, err);
}

static void
release(void *work)
{
	struct shelf *s = work;

	shelf_free(&s);
}

struct shelf_opening *
shelf_open(const struct shelf_conf *conf, shelf_open_fn *fn, void *arg)
{
	struct shelf_opening *o = xcalloc(1, sizeof(*o));

	*o = (struct shelf_opening){ .shelf = shelf_new(conf), .fn = fn, .arg = arg };
	o->op = disk_call(conf->disk, shelf_load, release, o->shelf, on_loaded, o);
	return o;
}

void
shelf_open_cancel(struct shelf_opening **opening)
{
	struct shelf_opening *o = *opening;

	if (o == NULL)
		return;
	*opening = NULL;
	disk_cancel(&o->op);
	free(o);
}

void
shelf_free(struct shelf **shelf)
{
	struct shelf *s = *shelf;
	struct filing *f;

	if (s == NULL)
		return;
	*shelf = NULL;
	while ((f = LIST_FIRST(&s->filings)) != NULL)
		filing_free(f);
	while (!TAILQ_EMPTY(&s->by_age))
		shelf_unlink(s, TAILQ_FIRST(&s->by_age));
	object_table_fini(&s->objects);
	parts_free(&s->parts);
	timer_free(&s->renewal);
	timer_free(&s->room);
	timer_free(&s->age);
	while (s->pin_count > 0)
		shelf_remove_pin(s, 0);
	journal_free(&s->renewed);
	journal_free(&s->journal);
	free(s->drafts);
	free(s->folder);
	free(s);
}
