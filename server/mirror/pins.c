#include "server/mirror/pins.h"

#include <stdlib.h>
#include <uthash.h>

#include "proto/mem.h"
#include "server/core/loop.h"

struct pin {
	UT_hash_handle hh; /* the first is the oldest */
	struct pin_key {
		uint64_t connection;
		const void *repository;
	} key;
	struct snapshot *snapshot;
	int64_t at; /* loop_mono_ms() */
};

static void
pin_free(struct pins *pins, struct pin *pin)
{
	HASH_DEL(pins->table, pin);
	snapshot_unref(&pin->snapshot);
	free(pin);
}

void
pins_fini(struct pins *pins)
{
	while (pins->table != NULL)
		pin_free(pins, pins->table);
}

static struct pin *
find(const struct pins *pins, uint64_t connection, const void *repository)
{
	struct pin_key key;
	struct pin *pin;

	memset(&key, 0, sizeof(key)); /* it is compared byte by byte */
	key.connection = connection;
	key.repository = repository;
	HASH_FIND(hh, pins->table, &key, sizeof(key), pin);
	return pin;
}

static void
drop_old(struct pins *pins)
{
	while (pins->table != NULL &&
	       (HASH_COUNT(pins->table) >= PINS_MAX || loop_mono_ms() - pins->table->at > PIN_S * 1000))
		pin_free(pins, pins->table);
}

void
pins_put(struct pins *pins, uint64_t connection, const void *repository, struct snapshot *snapshot)
{
	struct pin *pin = find(pins, connection, repository);

	if (pin != NULL)
		pin_free(pins, pin);
	drop_old(pins);
	if (snapshot == NULL)
		return;
	pin = xcalloc(1, sizeof(*pin));
	pin->key.connection = connection;
	pin->key.repository = repository;
	pin->snapshot = snapshot_ref(snapshot);
	pin->at = loop_mono_ms();
	HASH_ADD(hh, pins->table, key, sizeof(pin->key), pin);
}

struct snapshot *
pins_find(const struct pins *pins, uint64_t connection, const void *repository)
{
	struct pin *pin = find(pins, connection, repository);

	return pin != NULL ? pin->snapshot : NULL;
}

void
pins_drop(struct pins *pins, const void *repository)
{
	struct pin *pin, *next;

	HASH_ITER(hh, pins->table, pin, next)
	if (pin->key.repository == repository)
		pin_free(pins, pin);
}
