#include "server/mirror/shown.h"

#include <stdlib.h>
#include <uthash.h>

#include "proto/mem.h"
#include "server/core/loop.h"

struct view {
	UT_hash_handle hh; /* the first is the oldest */
	struct view_key {
		uint64_t connection;
		const void *repository;
	} key;
	struct snapshot *snapshot;
	int64_t at; /* loop_mono_ms() */
};

static void
view_free(struct shown *shown, struct view *view)
{
	HASH_DEL(shown->table, view);
	snapshot_unref(&view->snapshot);
	free(view);
}

void
shown_fini(struct shown *shown)
{
	while (shown->table != NULL)
		view_free(shown, shown->table);
}

static struct view *
find(const struct shown *shown, uint64_t connection, const void *repository)
{
	struct view_key key;
	struct view *view;

	memset(&key, 0, sizeof(key)); /* it is compared byte by byte */
	key.connection = connection;
	key.repository = repository;
	HASH_FIND(hh, shown->table, &key, sizeof(key), view);
	return view;
}

static void
drop_old(struct shown *shown)
{
	while (shown->table != NULL &&
	       (HASH_COUNT(shown->table) >= SHOWN_MAX || loop_mono_ms() - shown->table->at > SHOWN_S * 1000))
		view_free(shown, shown->table);
}

void
shown_put(struct shown *shown, uint64_t connection, const void *repository, struct snapshot *snapshot)
{
	struct view *view = find(shown, connection, repository);

	if (view != NULL)
		view_free(shown, view);
	drop_old(shown);
	if (snapshot == NULL)
		return;
	view = xcalloc(1, sizeof(*view));
	view->key.connection = connection;
	view->key.repository = repository;
	view->snapshot = snapshot_ref(snapshot);
	view->at = loop_mono_ms();
	HASH_ADD(hh, shown->table, key, sizeof(view->key), view);
}

struct snapshot *
shown_find(const struct shown *shown, uint64_t connection, const void *repository)
{
	struct view *view = find(shown, connection, repository);

	return view != NULL ? view->snapshot : NULL;
}

void
shown_drop(struct shown *shown, const void *repository)
{
	struct view *view, *next;

	HASH_ITER(hh, shown->table, view, next)
	if (view->key.repository == repository)
		view_free(shown, view);
}
