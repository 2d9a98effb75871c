#include "server/controller/build_feed.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/json.h"
#include "proto/mem.h"
#include "server/controller/api_json.h"
#include "server/store/store.h"

#define CHANGED_MAX 256         /* builds that wait to be asked for; more is a reload */
#define HIGH_WATER (256 * 1024) /* of one listener's output; more is a reload for it */

struct feed_listener {
	TAILQ_ENTRY(feed_listener) link;
	struct build_feed *feed;
	struct sse *sse;
	bool missed; /* events, since its output was full */
};

struct build_feed {
	struct store *store;
	struct sse_hub *hub;
	TAILQ_HEAD(, feed_listener) listeners;
	int64_t changed[CHANGED_MAX]; /* in order, without repetition */
	size_t changed_count;
	struct store_op *op; /* asks for a build that is not among them any more */
};

static void ask_next(struct build_feed *feed);

/* --- sending --- */

static struct sse_block *
block_of(const char *event, const char *json)
{
	struct buf text;
	size_t len;
	char *taken;

	buf_init(&text, 2 * API_JSON_MAX);
	buf_addf(&text, "event: %s\ndata: %s\n\n", event, json);
	taken = buf_take(&text, &len);
	buf_fini(&text);
	return sse_block_new(taken, len);
}

static void
send_all(struct build_feed *feed, const char *event, const char *json)
{
	struct sse_block *block = block_of(event, json);
	struct feed_listener *l;

	TAILQ_FOREACH(l, &feed->listeners, link)
	{
		l->missed = l->missed || sse_pending(l->sse) > HIGH_WATER;
		if (!l->missed)
			sse_send(l->sse, block);
	}
	sse_block_unref(&block);
}

static void
on_ready(void *arg)
{
	struct feed_listener *l = arg;
	struct sse_block *block;

	if (!l->missed)
		return;
	l->missed = false;
	block = block_of("reload", "{}");
	sse_send(l->sse, block);
	sse_block_unref(&block);
}

static void
on_gone(void *arg)
{
	struct feed_listener *l = arg;

	TAILQ_REMOVE(&l->feed->listeners, l, link);
	free(l);
}

void
build_feed_open(struct build_feed *feed, struct http_reply **reply)
{
	struct feed_listener *l = xcalloc(1, sizeof(*l));

	l->feed = feed;
	l->sse = sse_open(feed->hub, reply, on_ready, on_gone, l);
	if (l->sse == NULL)
		free(l);
	else
		TAILQ_INSERT_TAIL(&feed->listeners, l, link);
}

/* --- asking --- */

static void
on_build(void *arg, struct build *build, const struct err *err)
{
	struct build_feed *feed = arg;
	char *json;

	feed->op = NULL;
	json = build != NULL ? api_build_text(build) : NULL;
	if (json != NULL)
		send_all(feed, "build", json);
	else if (err != NULL && err->code != ERR_NOT_FOUND)
		send_all(feed, "reload", "{}");
	free(json);
	build_free(&build);
	ask_next(feed);
}

static void
ask_next(struct build_feed *feed)
{
	int64_t build;

	if (feed->op != NULL || feed->changed_count == 0)
		return;
	build = feed->changed[0];
	feed->changed_count--;
	memmove(&feed->changed[0], &feed->changed[1], feed->changed_count * sizeof(feed->changed[0]));
	feed->op = store_build_get(feed->store, build, on_build, feed);
}

void
build_feed_changed(struct build_feed *feed, int64_t build)
{
	if (TAILQ_EMPTY(&feed->listeners))
		return;
	for (size_t i = 0; i < feed->changed_count; i++)
		if (feed->changed[i] == build)
			return;
	if (feed->changed_count == CHANGED_MAX) {
		build_feed_reload(feed);
		return;
	}
	feed->changed[feed->changed_count++] = build;
	ask_next(feed);
}

void
build_feed_reload(struct build_feed *feed)
{
	feed->changed_count = 0;
	send_all(feed, "reload", "{}");
}

/* --- life --- */

struct build_feed *
build_feed_new(struct store *store, struct sse_hub *hub)
{
	struct build_feed *feed = xcalloc(1, sizeof(*feed));

	feed->store = store;
	feed->hub = hub;
	TAILQ_INIT(&feed->listeners);
	return feed;
}

void
build_feed_free(struct build_feed **feed)
{
	struct build_feed *f = *feed;

	if (f == NULL)
		return;
	*feed = NULL;
	assert(TAILQ_EMPTY(&f->listeners));
	store_cancel(&f->op);
	free(f);
}
