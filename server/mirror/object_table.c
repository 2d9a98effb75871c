#include "server/mirror/object_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "proto/crypto.h"
#include "proto/mem.h"

enum { SLOTS = 1024 };
#define LARGE_PAGE ((uintptr_t)2 << 20)

/* Open addressing; the hash beside the pointer spares most looks at objects that are not meant. */
struct object_slot {
	uint64_t hash;
	struct object *object;
};

/* A large table is looked at all over: with small pages, to find a slot's address takes longer than to read it. */
static struct object_slot *
make_slots(size_t count)
{
	struct object_slot *slots = xcalloc(count, sizeof(*slots));
	uintptr_t from = ((uintptr_t)slots + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);
	uintptr_t end = (uintptr_t)(slots + count) & ~(LARGE_PAGE - 1);

	if (from < end)
		madvise((void *)from, end - from, MADV_HUGEPAGE); /* else it goes without */
	return slots;
}

void
object_table_init(struct object_table *t)
{
	*t = (struct object_table){ .slot_count = SLOTS };
	t->slots = make_slots(t->slot_count);
	random_bytes(&t->seed, sizeof(t->seed));
	TAILQ_INIT(&t->all);
}

void
object_table_fini(struct object_table *t)
{
	assert(t->count == 0);
	free(t->slots);
	t->slots = NULL;
}

static uint64_t
mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

static uint64_t
hash_of(const struct object_table *t, struct str key)
{
	uint64_t hash = mix(t->seed, key.len), word;

	for (; key.len >= sizeof(word); key = (struct str){ key.p + sizeof(word), key.len - sizeof(word) }) {
		memcpy(&word, key.p, sizeof(word));
		hash = mix(hash, word);
	}
	word = 0;
	if (key.len > 0)
		memcpy(&word, key.p, key.len);
	hash = mix(hash, word) * 0xbf58476d1ce4e5b9u;
	return hash ^ hash >> 32;
}

static bool
is_key(const struct object *o, struct str key)
{
	return o->key_len == key.len && memcmp(o->key, key.p, key.len) == 0;
}

/* Where it is, or would be. */
static struct object_slot *
find_slot(const struct object_table *t, struct str key, uint64_t hash)
{
	size_t i = (size_t)hash & (t->slot_count - 1);

	while (t->slots[i].object != NULL && (t->slots[i].hash != hash || !is_key(t->slots[i].object, key)))
		i = (i + 1) & (t->slot_count - 1);
	return &t->slots[i];
}

static bool
has_room(const struct object_table *t, size_t count)
{
	return count <= t->slot_count / 4 * 3;
}

/* Reads the slots in their order and no object. */
static void
grow(struct object_table *t, size_t slot_count)
{
	struct object_slot *old = t->slots;
	size_t old_count = t->slot_count;

	t->slot_count = slot_count;
	t->slots = make_slots(t->slot_count);
	for (size_t i = 0; i < old_count; i++) {
		size_t at = (size_t)old[i].hash & (t->slot_count - 1);

		if (old[i].object == NULL)
			continue;
		while (t->slots[at].object != NULL)
			at = (at + 1) & (t->slot_count - 1);
		t->slots[at] = old[i];
	}
	free(old);
}

void
object_table_reserve(struct object_table *t, size_t count)
{
	struct object_table wanted = *t;

	while (!has_room(&wanted, count))
		wanted.slot_count *= 2;
	if (wanted.slot_count > t->slot_count)
		grow(t, wanted.slot_count);
}

void
object_table_expect(const struct object_table *t, struct str key)
{
	__builtin_prefetch(&t->slots[hash_of(t, key) & (t->slot_count - 1)]);
}

struct object *
object_table_find(const struct object_table *t, struct str key)
{
	return find_slot(t, key, hash_of(t, key))->object;
}

struct object *
object_table_get(struct object_table *t, struct str key)
{
	uint64_t hash = hash_of(t, key);
	struct object_slot *slot = find_slot(t, key, hash);
	struct object *o = slot->object;

	if (o != NULL)
		return o;
	if (!has_room(t, t->count + 1)) {
		grow(t, t->slot_count * 2);
		slot = find_slot(t, key, hash);
	}
	o = xcalloc(1, sizeof(*o) + key.len + 1);
	memcpy(o->key, key.p, key.len);
	o->key_len = key.len;
	LIST_INIT(&o->variants);
	TAILQ_INSERT_TAIL(&t->all, o, link);
	*slot = (struct object_slot){ hash, o };
	t->count++;
	return o;
}

/* What stands behind it moves up, where it is not at its place already. */
static void
close_gap(struct object_table *t, size_t gap)
{
	size_t mask = t->slot_count - 1;

	for (size_t i = (gap + 1) & mask; t->slots[i].object != NULL; i = (i + 1) & mask) {
		size_t home = (size_t)t->slots[i].hash & mask;

		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		t->slots[gap] = t->slots[i];
		gap = i;
	}
	t->slots[gap].object = NULL;
}

void
object_table_remove(struct object_table *t, struct object *o)
{
	struct str key = { o->key, o->key_len };
	struct object_slot *slot = find_slot(t, key, hash_of(t, key));

	assert(slot->object == o);
	close_gap(t, (size_t)(slot - t->slots));
	TAILQ_REMOVE(&t->all, o, link);
	t->count--;
	free(o);
}
