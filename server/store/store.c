#include "server/store/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/store/op.h"

#define LEASE_DEFAULT_MS 30000
#define MAX_PLANNING_DEFAULT 10000

static void
store_wake(struct store *store, const char *line)
{
	if (store->wake != NULL)
		store->wake(store->wake_arg, line);
}

static void
on_expected_planning(void *arg)
{
	struct store *store = arg;

	store->expected[STORE_EXPECT_PLANNING] = NULL;
	store_wake(store, "planning");
}

static void
on_expected_queue(void *arg)
{
	struct store *store = arg;

	store->expected[STORE_EXPECT_QUEUE] = NULL;
	store_wake(store, "queue");
}

void
store_fenced(struct store *store)
{
	if (store->is_fenced)
		return;
	store->is_fenced = true;
	store_wake(store, "fenced");
}

void
store_expect(struct store *store, enum store_expectation expectation)
{
	static loop_fn *const calls[STORE_EXPECTATIONS] = {
		[STORE_EXPECT_PLANNING] = on_expected_planning,
		[STORE_EXPECT_QUEUE] = on_expected_queue,
	};

	if (store->expected[expectation] == NULL)
		store->expected[expectation] = deferred_call(store->loop, calls[expectation], store);
}

static void
on_message(void *arg, struct str message)
{
	struct store *store = arg;
	char *line = str_dup(message);

	if (strncmp(line, "repo ", 5) == 0)
		cache_drop(store, line + 5);
	store_wake(store, line);
	free(line);
}

static void
on_redis_state(void *arg, bool up, const struct err *err)
{
	struct store *store = arg;

	cache_drop(store, NULL);
	if (up)
		log_info("Redis is connected");
	else
		log_warn("%s", err->text);
	store_wake(store, up ? "up" : "down");
}

struct store *
store_new(struct loop *loop, struct redis *redis, const struct store_conf *conf)
{
	struct store *store = xcalloc(1, sizeof(*store));

	assert(repo_id_is_valid(conf->node));
	*store = (struct store){ .loop = loop, .redis = redis, .conf = *conf };
	store->conf.node = xstrdup(conf->node);
	store->node_key = xasprintf("davit:node:%s", conf->node);
	random_hex(store->process, (NONCE_HEX_SIZE - 1) / 2);
	if (conf->lease_ms == 0)
		store->conf.lease_ms = LEASE_DEFAULT_MS;
	if (conf->max_planning == 0)
		store->conf.max_planning = MAX_PLANNING_DEFAULT;
	store->watch = redis_watch(redis, on_redis_state, store);
	redis_subscribe(redis, "davit:wake", on_message, store);
	return store;
}

void
store_free(struct store **store)
{
	struct store *s = *store;

	if (s == NULL)
		return;
	*store = NULL;
	assert(s->ops == 0);
	for (size_t i = 0; i < STORE_EXPECTATIONS; i++)
		deferred_cancel(&s->expected[i]);
	redis_unsubscribe(s->redis);
	redis_unwatch(&s->watch);
	cache_drop(s, NULL);
	explicit_bzero(s->conf.seal_key, sizeof(s->conf.seal_key));
	explicit_bzero(s->conf.old_seal_key, sizeof(s->conf.old_seal_key));
	free((char *)s->conf.node);
	free(s->node_key);
	free(s);
}

void
store_refuse(struct store *store, const char *why)
{
	store->refusal = why;
}

const char *
store_process(const struct store *store)
{
	return store->process;
}

bool
store_is_up(const struct store *store)
{
	return redis_is_up(store->redis);
}

void
store_on_wake(struct store *store, store_wake_fn *fn, void *arg)
{
	store->wake = fn;
	store->wake_arg = arg;
}
