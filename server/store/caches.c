#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/store/files.h"
#include "server/store/op.h"

enum { UNKNOWN_MAX = 1000 };

/* clang-format off */
static const struct field cache_fields[] = {
	{ "cache",      FIELD_TEXT, offsetof(struct cache, id) },
	{ "node",       FIELD_TEXT, offsetof(struct cache, node) },
	{ "repo",       FIELD_TEXT, offsetof(struct cache, repo) },
	{ "trust",      FIELD_TEXT, offsetof(struct cache, trust) },
	{ "key",        FIELD_TEXT, offsetof(struct cache, key) },
	{ "size",       FIELD_INT,  offsetof(struct cache, size) },
	{ "created_ms", FIELD_INT,  offsetof(struct cache, created_ms) },
	{ "used_ms",    FIELD_INT,  offsetof(struct cache, used_ms) },
};
/* clang-format on */

static const struct record cache_record = { cache_fields, 8 };

void
cache_free(struct cache **cache)
{
	if (*cache == NULL)
		return;
	record_fini(&cache_record, *cache);
	free(*cache);
	*cache = NULL;
}

void
id_list_fini(struct id_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct id_list){ 0 };
}

static void
answer_find(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct cache *cache = NULL;
	struct err failure;

	if (err == NULL && str_is(reply_word(reply), "none")) {
		op->fn.cache(op->arg, NULL, NULL);
		return;
	}
	if ((err = op_failure(op, reply, err, &failure)) == NULL) {
		cache = xcalloc(1, sizeof(*cache));
		record_read(&cache_record, redis_reply_at(reply, 1), cache);
		record_no_nulls(&cache_record, cache);
	}
	op->fn.cache(op->arg, cache, err);
}

struct store_op *
store_cache_find(struct store *store, const struct cache_query *query, store_cache_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_find, arg, "cache");
	bool is_trusted = strcmp(query->trust, CACHE_TRUSTED) == 0;
	struct args args = { 0 };

	assert(repo_id_is_valid(query->repo));
	op->fn.cache = fn;
	args_text(&args, store->conf.node);
	args_text(&args, query->repo);
	args_int(&args, is_trusted ? 1 : 2);
	args_text(&args, query->trust);
	if (!is_trusted)
		args_text(&args, CACHE_TRUSTED);
	args_text(&args, query->key);
	for (size_t i = 0; i < query->beginning_count; i++)
		args_text(&args, query->beginnings[i]);
	op_send(op, &script_cache_find, &args, STORE_TIMEOUT_MS);
	return op;
}

static void
answer_put(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct err known;

	if (err == NULL && str_is(reply_word(reply), "known")) {
		known = err_make(ERR_CONFLICT, 0, "another job has saved this cache");
		op->fn.done(op->arg, &known);
	} else {
		answer_done(op, reply, err);
	}
}

struct store_op *
store_cache_put(struct store *store, const struct cache *cache, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_put, arg, "cache");
	struct args args = { 0 };

	assert(repo_id_is_valid(cache->repo));
	op->fn.done = fn;
	args_text(&args, cache->id);
	args_text(&args, store->conf.node);
	args_text(&args, cache->repo);
	args_text(&args, cache->trust);
	args_text(&args, cache->key);
	args_int(&args, cache->size);
	op_send(op, &script_cache_put, &args, STORE_TIMEOUT_MS);
	return op;
}

static void
answer_ids(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct id_list list = { 0 };
	struct err failure;

	if ((err = op_failure(op, NULL, err, &failure)) == NULL) {
		list.items = xcalloc(redis_reply_count(reply) + 1, sizeof(*list.items));
		for (; list.count < redis_reply_count(reply); list.count++)
			list.items[list.count] = str_dup(redis_reply_str(redis_reply_at(reply, list.count)));
	}
	op->fn.ids(op->arg, list, err);
}

struct store_op *
store_cache_prune(struct store *store, int64_t max_bytes, int64_t max_age_ms, store_ids_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_ids, arg, "caches");
	struct args args = { 0 };

	op->fn.ids = fn;
	args_text(&args, store->conf.node);
	args_int(&args, max_bytes);
	args_int(&args, max_age_ms);
	args_int(&args, STORE_LIST_MAX);
	op_send(op, &script_cache_prune, &args, STORE_TIMEOUT_MS);
	return op;
}

struct store_op *
store_cache_drop(struct store *store, const char *id, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "cache");
	struct args args = { 0 };

	op->fn.done = fn;
	args_text(&args, id);
	op_send(op, &script_cache_drop, &args, STORE_TIMEOUT_MS);
	return op;
}

struct store_op *
store_cache_unknown(struct store *store, const char *const *ids, size_t count, store_ids_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_ids, arg, "caches");
	struct args args = { 0 };

	assert(count <= UNKNOWN_MAX);
	op->fn.ids = fn;
	args_text(&args, store->conf.node);
	for (size_t i = 0; i < count; i++)
		args_text(&args, ids[i]);
	op_send(op, &script_cache_unknown, &args, STORE_TIMEOUT_MS);
	return op;
}
