/* The objects by their keys: a hash table of our own, as a start fills it with a million of them, and as to grow it
 * must not touch each of them while the loop waits. In the order in which they came they are a list, too. */
#ifndef DAVIT_MIRROR_OBJECT_TABLE_H
#define DAVIT_MIRROR_OBJECT_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "server/mirror/object.h"

TAILQ_HEAD(object_list, object);

struct object_table {
	struct object_slot *slots;
	size_t slot_count; /* a power of 2 */
	size_t count;
	uint64_t seed; /* nobody outside knows which keys fall together */
	struct object_list all;
};

void object_table_init(struct object_table *table);
/* Its objects must have been removed. */
void object_table_fini(struct object_table *table);
/* So many in all come without its growing, which takes about 32 bytes for each. */
void object_table_reserve(struct object_table *table, size_t count);
/* That key will be asked for soon: gets its place into the processor's cache, which is most of what finding it takes.
 */
void object_table_expect(const struct object_table *table, struct str key);
/* NULL: there is none. */
struct object *object_table_find(const struct object_table *table, struct str key);
/* The one that is there, or a new one. */
struct object *object_table_get(struct object_table *table, struct str key);
/* It goes. */
void object_table_remove(struct object_table *table, struct object *object);

#endif
