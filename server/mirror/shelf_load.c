#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/mem.h"
#include "server/mirror/shelf_private.h"

enum { USUAL_RECORD = 512 }; /* bytes, rather more than less */

struct slot {
	uint64_t id; /* 0: nothing has been here */
	struct variant *variant;
};

/* Variants by id while the journal is read: a later record of the same id replaces an earlier one. Ids come one after
 * the other, so they are their own hash, and neighbours in the journal are neighbours here. */
struct loader {
	struct shelf *shelf;
	struct slot *slots;
	size_t slot_count; /* a power of 2 */
	size_t used;       /* with those whose variants have gone */
};

/* Its slot, or the one where it would be. */
static struct slot *
find_slot(const struct loader *l, uint64_t id)
{
	size_t i = (size_t)id & (l->slot_count - 1);

	while (l->slots[i].id != 0 && l->slots[i].id != id)
		i = (i + 1) & (l->slot_count - 1);
	return &l->slots[i];
}

static void
grow(struct loader *l)
{
	struct loader bigger = *l;

	bigger.slot_count = l->slot_count * 4;
	bigger.slots = xcalloc(bigger.slot_count, sizeof(*bigger.slots));
	bigger.used = 0;
	for (size_t i = 0; i < l->slot_count; i++)
		if (l->slots[i].variant != NULL) {
			*find_slot(&bigger, l->slots[i].id) = l->slots[i];
			bigger.used++;
		}
	free(l->slots);
	*l = bigger;
}

static uint64_t
read_id(const char *p)
{
	uint64_t id = 0;

	for (int i = 0; i < 8; i++)
		id |= (uint64_t)(unsigned char)p[i] << 8 * i;
	return id;
}

static void
unload(struct loader *l, uint64_t id)
{
	struct slot *slot = find_slot(l, id);

	if (slot->variant != NULL)
		shelf_unlink(l->shelf, slot->variant);
	slot->variant = NULL;
}

static void
put(struct loader *l, struct variant *v)
{
	struct slot *slot = find_slot(l, v->id);

	if (slot->id == 0)
		l->used++;
	*slot = (struct slot){ v->id, v };
	if (l->used * 2 > l->slot_count)
		grow(l);
}

static bool
load_stored(struct loader *l, struct str payload)
{
	struct str key;
	struct variant *v = variant_read_record(payload, &key);

	if (v == NULL)
		return false;
	unload(l, v->id);
	shelf_link(l->shelf, key, v);
	put(l, v);
	if (v->id >= l->shelf->next_id)
		l->shelf->next_id = v->id + 1;
	return true;
}

/* Keys are in no order, and the table is larger than the processor's cache. */
static void
on_ahead(void *arg, unsigned type, struct str payload)
{
	const struct loader *l = arg;
	struct str key;

	if (type == RECORD_STORE && variant_read_key(payload, &key))
		object_table_expect(&l->shelf->objects, key);
}

static bool
load_removed(struct loader *l, struct str payload)
{
	struct shelf *s = l->shelf;
	uint64_t id;

	if (payload.len != 8)
		return false;
	id = read_id(payload.p);
	unload(l, id);
	s->removed[s->removed_count++ % REMOVED_KEPT] = id;
	return true;
}

static bool
load_use(struct loader *l, struct str payload)
{
	struct variant *v;

	if (payload.len != 16)
		return false;
	v = find_slot(l, read_id(payload.p))->variant;
	if (v == NULL)
		return true;
	v->used = v->noted = (int64_t)read_id(payload.p + 8);
	TAILQ_REMOVE(&l->shelf->by_use, v, by_use);
	TAILQ_INSERT_TAIL(&l->shelf->by_use, v, by_use);
	return true;
}

static bool
load_unpinned(struct shelf *s, struct str prefix)
{
	size_t i = shelf_find_pin(s, prefix);

	if (i < s->pin_count)
		shelf_remove_pin(s, i);
	return true;
}

static bool
on_record(void *arg, unsigned type, struct str payload)
{
	struct loader *l = arg;

	switch (type) {
	case RECORD_STORE:
		return load_stored(arg, payload);
	case RECORD_REMOVE:
		return load_removed(arg, payload);
	case RECORD_USE:
		return load_use(arg, payload);
	case RECORD_PIN:
		return shelf_add_pin(l->shelf, payload);
	case RECORD_UNPIN:
		return load_unpinned(l->shelf, payload);
	default:
		return false;
	}
}

/* An id of a file that was removed may have been given again. */
static void
keep_removed(struct shelf *s, const struct loader *l)
{
	unsigned count = s->removed_count < REMOVED_KEPT ? s->removed_count : REMOVED_KEPT;

	s->removed_count = 0;
	for (unsigned i = 0; i < count; i++)
		if (find_slot(l, s->removed[i])->variant == NULL)
			s->removed[s->removed_count++] = s->removed[i];
}

static void
read_journal(struct shelf *s)
{
	struct loader l = { .shelf = s, .slot_count = 1024 };
	char *path = xasprintf("%s/journal", s->folder);
	struct stat st;

	if (stat(path, &st) == 0)
		object_table_reserve(&s->objects, (size_t)st.st_size / USUAL_RECORD);
	l.slots = xcalloc(l.slot_count, sizeof(*l.slots));
	s->extent = journal_read(path, on_ahead, on_record, &l);
	keep_removed(s, &l);
	free(l.slots);
	free(path);
}

static bool
make_folders(struct shelf *s, struct err *err)
{
	char *drafts = xasprintf("%s/drafts", s->folder), *objects = xasprintf("%s/objects", s->folder), id[17];
	bool ok = disk_make_folder(s->folder, 0700, err) && disk_make_folder(drafts, 0700, err) &&
		  disk_make_folder(objects, 0700, err);

	random_hex(id, 8);
	s->drafts = xasprintf("%s/%s", drafts, id);
	ok = ok && disk_make_folder(s->drafts, 0700, err);
	for (int i = 0; ok && i < FOLDERS; i++) {
		char *path = xasprintf("%s/%02x", objects, (unsigned)i);

		ok = disk_make_folder(path, 0700, err);
		free(path);
	}
	free(drafts);
	free(objects);
	return ok;
}

void
shelf_load(void *shelf, struct err *err)
{
	struct shelf *s = shelf;

	if (make_folders(s, err))
		read_journal(s);
}
