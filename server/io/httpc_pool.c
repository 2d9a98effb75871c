#include "server/io/httpc_pool.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "proto/mem.h"

struct idle {
	TAILQ_ENTRY(idle) link;
	struct httpc_pool *pool;
	struct stream *stream;
	struct timer *timer;
};

struct httpc_pool {
	struct loop *loop;
	unsigned max;
	int64_t ms;
	unsigned count;
	TAILQ_HEAD(idle_list, idle) idles; /* the oldest first */
};

struct httpc_pool *
httpc_pool_new(struct loop *loop, unsigned max, int64_t ms)
{
	struct httpc_pool *pool = xcalloc(1, sizeof(*pool));

	assert(max > 0);
	*pool = (struct httpc_pool){ .loop = loop, .max = max, .ms = ms };
	TAILQ_INIT(&pool->idles);
	return pool;
}

/* Off the list, the stream left to the caller. */
static struct stream *
remove_idle(struct idle *idle)
{
	struct stream *stream = idle->stream;

	TAILQ_REMOVE(&idle->pool->idles, idle, link);
	idle->pool->count--;
	timer_free(&idle->timer);
	free(idle);
	return stream;
}

static void
drop(struct idle *idle)
{
	struct stream *stream = remove_idle(idle);

	stream_close(&stream);
}

static void
on_timeout(void *arg)
{
	drop(arg);
}

static void
on_data(void *arg, struct str bytes)
{
	(void)bytes;
	drop(arg);
}

static void
on_close(void *arg, const struct err *err)
{
	struct idle *idle = arg;

	(void)err; /* that an idle connection ends is how such connections end */
	idle->stream = NULL;
	remove_idle(idle);
}

void
httpc_pool_free(struct httpc_pool **pool)
{
	struct httpc_pool *p = *pool;

	if (p == NULL)
		return;
	*pool = NULL;
	while (!TAILQ_EMPTY(&p->idles))
		drop(TAILQ_FIRST(&p->idles));
	free(p);
}

void
httpc_pool_put(struct httpc_pool *pool, struct stream *stream)
{
	static const struct stream_handler handler = { .on_data = on_data, .on_close = on_close };
	struct idle *idle = xcalloc(1, sizeof(*idle));

	if (pool->count == pool->max)
		drop(TAILQ_FIRST(&pool->idles));
	*idle = (struct idle){ .pool = pool, .stream = stream, .timer = timer_new(pool->loop, on_timeout, idle) };
	timer_start(idle->timer, pool->ms);
	TAILQ_INSERT_TAIL(&pool->idles, idle, link);
	pool->count++;
	stream_set_handler(stream, &handler, idle);
}

struct stream *
httpc_pool_take(struct httpc_pool *pool)
{
	struct idle *idle = TAILQ_LAST(&pool->idles, idle_list);

	return idle != NULL ? remove_idle(idle) : NULL;
}
