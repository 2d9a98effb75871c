#include "server/builder/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/mem.h"
#include "server/core/log.h"
#include "server/core/loop.h"

enum {
	RETRY_MS = 60000, /* an image whose box failed is left alone for so long */
	TAKEN_MS = 200    /* the job whose box was taken comes first: its pool_note is a few milliseconds away */
};

struct warm_image;

struct warm_box {
	TAILQ_ENTRY(warm_box) next;
	struct pool *pool;
	struct warm_image *image; /* NULL: it is ending */
	struct box *box;
};

struct warm_image {
	TAILQ_ENTRY(warm_image) next;
	char *id;
	char *title;
	unsigned count; /* of its boxes */
	int64_t not_before_ms;
};

struct pool {
	struct host *host;
	struct sandboxes *sandboxes;
	TAILQ_HEAD(warm_images, warm_image) images; /* the last used first */
	TAILQ_HEAD(, warm_box) boxes;               /* the oldest first */
	struct deferred *fill;
	struct timer *later; /* fills */
	pool_done_fn *done;  /* NULL until it is ending */
	void *arg;
};

static void fill_soon(struct pool *pool);

static struct warm_image *
find(struct pool *pool, const char *id)
{
	struct warm_image *image;

	TAILQ_FOREACH(image, &pool->images, next)
	if (strcmp(image->id, id) == 0)
		return image;
	return NULL;
}

/* The box is no longer counted for its image. */
static void
leave_image(struct warm_box *w)
{
	if (w->image != NULL)
		w->image->count--;
	w->image = NULL;
}

static void
warm_box_free(struct warm_box *w)
{
	leave_image(w);
	TAILQ_REMOVE(&w->pool->boxes, w, next);
	free(w);
}

static void
image_free(struct pool *pool, struct warm_image *image)
{
	struct warm_box *w;

	TAILQ_FOREACH(w, &pool->boxes, next)
	{
		if (w->image != image)
			continue;
		leave_image(w);
		box_end(w->box);
	}
	TAILQ_REMOVE(&pool->images, image, next);
	free(image->id);
	free(image->title);
	free(image);
}

static void
on_ready(void *arg)
{
	struct warm_box *w = arg;

	fill_soon(w->pool); /* one at a time */
}

/* It has no work yet: what the shell says is of no interest. */
static void
on_output(void *arg, enum builder_stream stream, struct str bytes, uint64_t raw)
{
	(void)arg;
	(void)stream;
	(void)bytes;
	(void)raw;
}

static void
on_end(void *arg, struct sandbox *sandbox, const struct box_result *result, const struct err *err)
{
	struct warm_box *w = arg;

	if (w->image != NULL) {
		log_info(
		    "warm container of image %s: %s", w->image->title, err != NULL ? err->text : "it ended by itself");
		w->image->not_before_ms = loop_mono_ms() + RETRY_MS;
	}
	sandbox_put(&sandbox, result->is_removed);
	fill_soon(w->pool);
	warm_box_free(w);
}

static void
warm_up(struct pool *pool, struct warm_image *image)
{
	static const struct box_handler handler = { .on_ready = on_ready, .on_output = on_output, .on_end = on_end };
	struct box_spec spec = { .image = image->id, .title = image->title, .input = BOX_STDIN };
	struct warm_box *w = xcalloc(1, sizeof(*w));

	*w = (struct warm_box){ .pool = pool, .image = image };
	image->count++;
	TAILQ_INSERT_TAIL(&pool->boxes, w, next);
	w->box = box_start(pool->host, pool->sandboxes, &spec, &handler, w);
}

static bool
is_warming_up(const struct pool *pool)
{
	const struct warm_box *w;

	TAILQ_FOREACH(w, &pool->boxes, next)
	if (w->image != NULL && !box_is_ready(w->box))
		return true;
	return false;
}

static void
pool_free(struct pool *pool)
{
	pool_done_fn *done = pool->done;
	void *arg = pool->arg;

	timer_free(&pool->later);
	free(pool);
	done(arg);
}

static void
on_fill(void *arg)
{
	int64_t now = loop_mono_ms(), wait = INT64_MAX;
	struct pool *pool = arg;
	struct warm_image *image;

	pool->fill = NULL;
	if (pool->done != NULL) {
		if (TAILQ_EMPTY(&pool->boxes))
			pool_free(pool);
		return;
	}
	if (is_warming_up(pool))
		return;
	TAILQ_FOREACH(image, &pool->images, next)
	{
		if (image->count >= pool->host->conf->warm_per_image)
			continue;
		if (image->not_before_ms <= now) {
			warm_up(pool, image);
			return;
		}
		if (image->not_before_ms - now < wait)
			wait = image->not_before_ms - now;
	}
	if (wait != INT64_MAX)
		timer_start(pool->later, wait);
}

static void
fill_soon(struct pool *pool)
{
	if (pool->fill == NULL)
		pool->fill = deferred_call(pool->host->loop, on_fill, pool);
}

static void
on_later(void *arg)
{
	fill_soon(arg);
}

struct pool *
pool_new(struct host *host, struct sandboxes *sandboxes)
{
	struct pool *pool = xcalloc(1, sizeof(*pool));

	*pool = (struct pool){ .host = host, .sandboxes = sandboxes };
	TAILQ_INIT(&pool->images);
	TAILQ_INIT(&pool->boxes);
	pool->later = timer_new(host->loop, on_later, pool);
	return pool;
}

void
pool_end(struct pool **pool, pool_done_fn *done, void *arg)
{
	struct pool *p = *pool;
	struct warm_image *image;

	*pool = NULL;
	p->done = done;
	p->arg = arg;
	while ((image = TAILQ_FIRST(&p->images)) != NULL)
		image_free(p, image);
	fill_soon(p);
}

struct box *
pool_take(struct pool *pool, const char *image)
{
	struct warm_image *known = find(pool, image);
	struct warm_box *w, *best = NULL;
	struct box *box;

	if (known == NULL)
		return NULL;
	TAILQ_FOREACH(w, &pool->boxes, next)
	if (w->image == known && (best == NULL || (box_is_ready(w->box) && !box_is_ready(best->box))))
		best = w;
	if (best == NULL)
		return NULL;
	box = best->box;
	warm_box_free(best);
	timer_start(pool->later, TAKEN_MS);
	return box;
}

void
pool_note(struct pool *pool, const char *id, const char *title)
{
	struct warm_image *image = find(pool, id);
	unsigned count = 0;

	if (pool->host->conf->warm_images == 0 || pool->host->conf->warm_per_image == 0)
		return;
	if (image == NULL) {
		image = xcalloc(1, sizeof(*image));
		image->id = xstrdup(id);
		image->title = xstrdup(title);
	} else {
		TAILQ_REMOVE(&pool->images, image, next);
	}
	TAILQ_INSERT_HEAD(&pool->images, image, next);
	TAILQ_FOREACH(image, &pool->images, next)
	count++;
	if (count > pool->host->conf->warm_images)
		image_free(pool, TAILQ_LAST(&pool->images, warm_images));
	fill_soon(pool);
}

unsigned
pool_ready(const struct pool *pool)
{
	const struct warm_box *w;
	unsigned count = 0;

	TAILQ_FOREACH(w, &pool->boxes, next)
	count += w->image != NULL && box_is_ready(w->box);
	return count;
}
