#include "server/controller/sse.h"

#include <assert.h>
#include <event2/buffer.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "proto/mem.h"
#include "server/core/loop.h"

#define STALLED_ROUNDS 4
#define COPY_MAX 1024 /* a shorter text is copied: a reference costs more */

struct sse {
	TAILQ_ENTRY(sse) link;
	struct sse_hub *hub;
	struct reply_stream *stream;
	sse_ready_fn *ready;
	sse_gone_fn *gone;
	void *arg;
	unsigned stalled; /* rounds in which nothing was read */
};

struct sse_hub {
	struct loop *loop;
	TAILQ_HEAD(, sse) followers;
	unsigned count;
	int64_t heartbeat_ms;
	struct timer *timer;
	struct deferred *round;
	unsigned round_left; /* followers that this round has not reached */
};

struct sse_block {
	unsigned refs;
	size_t len;
	char *text;
};

/* --- blocks --- */

struct sse_block *
sse_block_new(char *text, size_t len)
{
	struct sse_block *block = xcalloc(1, sizeof(*block));

	*block = (struct sse_block){ .refs = 1, .len = len, .text = text };
	return block;
}

struct sse_block *
sse_block_ref(struct sse_block *block)
{
	block->refs++;
	return block;
}

void
sse_block_unref(struct sse_block **block)
{
	struct sse_block *b = *block;

	*block = NULL;
	if (b == NULL || --b->refs > 0)
		return;
	free(b->text);
	free(b);
}

size_t
sse_block_len(const struct sse_block *block)
{
	return block->len;
}

static void
on_block_sent(const void *text, size_t len, void *arg)
{
	struct sse_block *block = arg;

	(void)text;
	(void)len;
	sse_block_unref(&block);
}

void
sse_send(struct sse *sse, struct sse_block *block)
{
	if (block->len < COPY_MAX)
		reply_stream_write(sse->stream, block->text, block->len);
	else
		evbuffer_add_reference(
		    reply_stream_output(sse->stream), block->text, block->len, on_block_sent, sse_block_ref(block));
}

/* --- followers --- */

static void
sse_free(struct sse *sse)
{
	TAILQ_REMOVE(&sse->hub->followers, sse, link);
	sse->hub->count--;
	free(sse);
}

static void
on_stream_ready(void *arg)
{
	struct sse *sse = arg;

	sse->stalled = 0;
	sse->ready(sse->arg);
}

static void
on_stream_gone(void *arg)
{
	struct sse *sse = arg;
	sse_gone_fn *gone = sse->gone;
	void *gone_arg = sse->arg;

	sse_free(sse);
	gone(gone_arg);
}

struct sse *
sse_open(struct sse_hub *hub, struct http_reply **reply, sse_ready_fn *ready, sse_gone_fn *gone, void *arg)
{
	struct sse *sse = xcalloc(1, sizeof(*sse));

	*sse = (struct sse){ .hub = hub, .ready = ready, .gone = gone, .arg = arg };
	reply_header(*reply, "Cache-Control", "no-store");
	reply_header(*reply, "X-Accel-Buffering", "no"); /* nginx passes on what comes at once */
	sse->stream =
	    reply_open(reply, 200, "text/event-stream", REPLY_UNTIL_CLOSE, on_stream_ready, on_stream_gone, sse);
	if (sse->stream == NULL) {
		free(sse);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&hub->followers, sse, link);
	if (hub->count++ == 0)
		timer_start(hub->timer, hub->heartbeat_ms);
	return sse;
}

void
sse_end(struct sse **sse)
{
	struct sse *s = *sse;

	*sse = NULL;
	reply_stream_end(&s->stream);
	sse_free(s);
}

size_t
sse_pending(const struct sse *sse)
{
	return reply_stream_pending(sse->stream);
}

/* --- all of them --- */

/* Ended by us: its owner hears that it is gone. */
static void
drop(struct sse *sse)
{
	reply_stream_end(&sse->stream);
	on_stream_gone(sse);
}

static void
beat(struct sse *sse)
{
	if (sse_pending(sse) == 0)
		reply_stream_write(sse->stream, ":\n\n", 3);
	else if (++sse->stalled >= STALLED_ROUNDS)
		drop(sse);
}

static void
on_round(void *arg)
{
	struct sse_hub *hub = arg;
	struct sse *sse;

	hub->round = NULL;
	if (hub->round_left > hub->count)
		hub->round_left = hub->count;
	for (unsigned i = 0; i < SSE_BATCH && hub->round_left > 0 && hub->count > 0; i++) {
		sse = TAILQ_FIRST(&hub->followers);
		TAILQ_REMOVE(&hub->followers, sse, link);
		TAILQ_INSERT_TAIL(&hub->followers, sse, link);
		hub->round_left--;
		beat(sse);
	}
	if (hub->round_left > 0 && hub->count > 0)
		hub->round = deferred_call(hub->loop, on_round, hub);
}

static void
on_heartbeat(void *arg)
{
	struct sse_hub *hub = arg;

	if (hub->count == 0)
		return;
	hub->round_left = hub->count;
	if (hub->round == NULL)
		hub->round = deferred_call(hub->loop, on_round, hub);
	timer_start(hub->timer, hub->heartbeat_ms);
}

struct sse_hub *
sse_hub_new(struct loop *loop, int64_t heartbeat_ms)
{
	struct sse_hub *hub = xcalloc(1, sizeof(*hub));

	hub->loop = loop;
	hub->heartbeat_ms = heartbeat_ms;
	TAILQ_INIT(&hub->followers);
	hub->timer = timer_new(loop, on_heartbeat, hub);
	return hub;
}

void
sse_hub_end_all(struct sse_hub *hub)
{
	while (!TAILQ_EMPTY(&hub->followers))
		drop(TAILQ_FIRST(&hub->followers));
}

void
sse_hub_free(struct sse_hub **hub)
{
	struct sse_hub *h = *hub;

	if (h == NULL)
		return;
	*hub = NULL;
	assert(h->count == 0);
	deferred_cancel(&h->round);
	timer_free(&h->timer);
	free(h);
}

unsigned
sse_hub_count(const struct sse_hub *hub)
{
	return hub->count;
}
