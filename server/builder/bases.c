#include "server/builder/bases.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/dockerfile_bases.h"
#include "proto/image.h"
#include "proto/mem.h"
#include "server/builder/puller.h"
#include "server/core/loop.h"

struct bases {
	struct host *host;
	struct dockerfile_bases all;
	size_t next;
	size_t fresh;         /* how many came */
	const char *platform; /* lent */
	bool always;
	char *name; /* of the one at hand, whole */
	struct docker_op *op;
	struct puller *puller;
	struct deferred *begin;
	bases_notice_fn *on_notice;
	bases_done_fn *fn;
	void *arg;
};

static void step(struct bases *b);

static void
finish(struct bases *b)
{
	bool are_fresh = b->fresh == b->all.count && b->fresh > 0;
	bases_done_fn *fn = b->fn;
	void *arg = b->arg;

	bases_cancel(&b);
	fn(arg, are_fresh);
}

static void
on_pulled(void *arg, const struct err *err)
{
	struct bases *b = arg;

	b->puller = NULL;
	b->fresh += err == NULL;
	step(b);
}

static const char *
platform_of_this(const struct bases *b)
{
	const char *own = b->all.items[b->next - 1].platform;

	return own != NULL ? own : b->platform;
}

static void
pull(struct bases *b)
{
	const char *platform = platform_of_this(b);
	char text[400];

	snprintf(text, sizeof(text), "pulling image %.300s", b->name);
	b->on_notice(b->arg, text);
	b->puller = puller_start_mirrored(b->host, b->name, platform, on_pulled, b);
}

static void
on_looked(void *arg, const union docker_result *result, const struct err *err)
{
	struct bases *b = arg;

	(void)result;
	b->op = NULL;
	if (err != NULL)
		pull(b);
	else
		step(b);
}

/* Whole, as the engine and the mirror call it; NULL: only the engine knows what is meant. free() it. */
static char *
whole_name(const struct bases *b, const char *image)
{
	struct image_ref ref;
	struct err ignored;
	char *name;

	if (!image_parse(str_of(image), &ref, &ignored))
		return NULL;
	name = image_print(&ref);
	if (puller_can_mirror(b->host, name))
		return name;
	free(name);
	return NULL;
}

/* The next one that the mirror may have. What is there of another platform the engine alone can tell. */
static void
step(struct bases *b)
{
	do {
		free(b->name);
		b->name = b->next < b->all.count ? whole_name(b, b->all.items[b->next].image) : NULL;
	} while (b->next++ < b->all.count && b->name == NULL);
	if (b->name == NULL)
		finish(b);
	else if (b->always || platform_of_this(b) != NULL)
		pull(b);
	else
		b->op = docker_image_inspect(b->host->docker, b->name, b->name, on_looked, b);
}

static void
on_begin(void *arg)
{
	struct bases *b = arg;

	b->begin = NULL;
	step(b);
}

struct bases *
bases_start(
    struct host *host, const struct bases_request *request, bases_notice_fn *on_notice, bases_done_fn *fn, void *arg)
{
	struct bases *b = xcalloc(1, sizeof(*b));

	*b = (struct bases){ .host = host,
		.platform = request->platform,
		.always = request->always,
		.on_notice = on_notice,
		.fn = fn,
		.arg = arg };
	if (host->mirror != NULL)
		dockerfile_bases_find(request->dockerfile, &request->build->args, request->build->target, &b->all);
	b->begin = deferred_call(host->loop, on_begin, b);
	return b;
}

void
bases_cancel(struct bases **bases)
{
	struct bases *b = *bases;

	if (b == NULL)
		return;
	*bases = NULL;
	deferred_cancel(&b->begin);
	docker_cancel(&b->op);
	puller_cancel(&b->puller);
	dockerfile_bases_fini(&b->all);
	free(b->name);
	free(b);
}
