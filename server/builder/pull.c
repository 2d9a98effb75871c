#include "server/builder/pull.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/alias.h"
#include "proto/image.h"
#include "proto/mem.h"
#include "server/builder/puller.h"
#include "server/core/loop.h"

enum pull_state { PULL_LOOK, PULL_FETCH, PULL_LOOK_AGAIN };

enum { KNOWN_MAX = 16 };

struct pulls {
	struct host *host;
	struct {
		char *name; /* whole; NULL: free */
		struct docker_image image;
	} known[KNOWN_MAX];
	size_t known_next; /* the next one to give way */
	uint64_t epoch;    /* changes whenever an image may have changed */
	TAILQ_HEAD(, fetch) fetches;
};

/* One image on its way, for all who want it. */
struct fetch {
	TAILQ_ENTRY(fetch) next;
	struct pulls *pulls;
	char *name;            /* whole */
	struct puller *puller; /* NULL: it has come */
	TAILQ_HEAD(, pull) pulls_waiting;
};

struct pull {
	TAILQ_ENTRY(pull) next; /* in PULL_FETCH */
	struct pulls *pulls;
	enum pull_state state;
	struct docker_op *op;
	uint64_t epoch; /* when the engine was asked */
	struct fetch *fetch;
	struct deferred *begin;
	struct err err; /* of a name that is none */
	bool is_known;
	struct docker_image image; /* then */
	bool is_told;              /* what the aliases made of its name */
	char *asked;
	char *title; /* what the aliases made of it */
	char *name;  /* whole */
	pull_notice_fn *on_notice;
	pull_fn *fn;
	void *arg;
};

struct pulls *
pulls_new(struct host *host)
{
	struct pulls *pulls = xcalloc(1, sizeof(*pulls));

	pulls->host = host;
	TAILQ_INIT(&pulls->fetches);
	return pulls;
}

void
pulls_free(struct pulls **pulls)
{
	if (*pulls == NULL)
		return;
	assert(TAILQ_EMPTY(&(*pulls)->fetches));
	pulls_forget(*pulls);
	free(*pulls);
	*pulls = NULL;
}

/* --- what is known --- */

void
pulls_forget(struct pulls *pulls)
{
	pulls->epoch++;
	for (size_t i = 0; i < KNOWN_MAX; i++) {
		free(pulls->known[i].name);
		pulls->known[i].name = NULL;
	}
}

static const struct docker_image *
find_known(const struct pulls *pulls, const char *name)
{
	for (size_t i = 0; i < KNOWN_MAX; i++)
		if (pulls->known[i].name != NULL && strcmp(pulls->known[i].name, name) == 0)
			return &pulls->known[i].image;
	return NULL;
}

static void
remember(struct pull *p, const struct docker_image *image)
{
	struct pulls *pulls = p->pulls;
	size_t at = pulls->known_next;

	if (p->epoch != pulls->epoch || find_known(pulls, p->name) != NULL)
		return;
	free(pulls->known[at].name);
	pulls->known[at].name = xstrdup(p->name);
	pulls->known[at].image = *image;
	pulls->known_next = (at + 1) % KNOWN_MAX;
}

/* --- fetches --- */

static void
fetch_free(struct fetch *f)
{
	puller_cancel(&f->puller);
	TAILQ_REMOVE(&f->pulls->fetches, f, next);
	free(f->name);
	free(f);
}

void
pull_cancel(struct pull **pull)
{
	struct pull *p = *pull;

	if (p == NULL)
		return;
	*pull = NULL;
	docker_cancel(&p->op);
	deferred_cancel(&p->begin);
	if (p->fetch != NULL) {
		TAILQ_REMOVE(&p->fetch->pulls_waiting, p, next);
		if (TAILQ_EMPTY(&p->fetch->pulls_waiting) && p->fetch->puller != NULL)
			fetch_free(p->fetch);
	}
	free(p->asked);
	free(p->title);
	free(p->name);
	free(p);
}

static void
finish(struct pull *p, const struct docker_image *image, const struct err *err)
{
	pull_fn *fn = p->fn;
	void *arg = p->arg;

	pull_cancel(&p);
	fn(arg, image, err);
}

static void
fail(struct pull *p, const struct err *err)
{
	struct err told = *err;

	if (err->code == ERR_NOT_FOUND || err->code == ERR_AUTH)
		told = err_make(err->code, err->detail, "image %s not found: %s", p->title, err->text);
	else if (err->code != ERR_INPUT)
		told = err_make(err->code, err->detail, "image %s: %s", p->title, err->text);
	finish(p, NULL, &told);
}

static void look(struct pull *p, enum pull_state state);

static void
on_fetched(void *arg, const struct err *err)
{
	struct fetch *f = arg;
	struct pull *p;

	f->puller = NULL;
	while ((p = TAILQ_FIRST(&f->pulls_waiting)) != NULL) {
		TAILQ_REMOVE(&f->pulls_waiting, p, next);
		p->fetch = NULL;
		if (err != NULL)
			fail(p, err);
		else
			look(p, PULL_LOOK_AGAIN);
	}
	fetch_free(f);
}

static struct fetch *
fetch_of(struct pulls *pulls, const char *name)
{
	struct fetch *f;

	TAILQ_FOREACH(f, &pulls->fetches, next)
	if (strcmp(f->name, name) == 0 && f->puller != NULL)
		return f;
	f = xcalloc(1, sizeof(*f));
	f->pulls = pulls;
	f->name = xstrdup(name);
	TAILQ_INIT(&f->pulls_waiting);
	TAILQ_INSERT_TAIL(&pulls->fetches, f, next);
	f->puller = puller_start(pulls->host, name, on_fetched, f);
	return f;
}

/* p may be gone when it returns. */
static void
notice(struct pull *p, const char *what)
{
	char text[700];

	if (strcmp(p->asked, p->title) != 0)
		snprintf(text, sizeof(text), "%s %.250s (instead of %.250s)", what, p->title, p->asked);
	else
		snprintf(text, sizeof(text), "%s %.250s", what, p->title);
	if (p->on_notice != NULL)
		p->on_notice(p->arg, text);
}

static void
fetch(struct pull *p)
{
	p->state = PULL_FETCH;
	p->is_told = true;
	p->fetch = fetch_of(p->pulls, p->name);
	TAILQ_INSERT_TAIL(&p->fetch->pulls_waiting, p, next);
	notice(p, "pulling image");
}

static void on_begin(void *arg);

/* Its log says what runs, where that is not what was asked for. p may be gone when it returns. */
static void
succeed(struct pull *p, const struct docker_image *image)
{
	if (p->is_told || strcmp(p->asked, p->title) == 0) {
		finish(p, image, NULL);
		return;
	}
	p->is_told = p->is_known = true;
	p->image = *image;
	p->begin = deferred_call(p->pulls->host->loop, on_begin, p);
	notice(p, "image");
}

static void
on_look(void *arg, const union docker_result *result, const struct err *err)
{
	struct pull *p = arg;

	p->op = NULL;
	if (err == NULL) {
		remember(p, &result->image);
		succeed(p, &result->image);
	} else if (err->code == ERR_NOT_FOUND && p->state == PULL_LOOK) {
		fetch(p);
	} else {
		fail(p, err);
	}
}

static void
look(struct pull *p, enum pull_state state)
{
	p->state = state;
	p->epoch = p->pulls->epoch;
	p->op = docker_image_inspect(p->pulls->host->docker, p->name, p->name, on_look, p);
}

static void
on_begin(void *arg)
{
	struct pull *p = arg;
	struct docker_image known = p->image;

	p->begin = NULL;
	if (p->err.code != ERR_NONE)
		fail(p, &p->err);
	else if (p->is_known)
		succeed(p, &known);
	else
		fetch(p);
}

/* The first alias that fits; an image without a tag is the one called latest. */
static char *
resolve(const struct builder_conf *conf, const char *image)
{
	char *to = NULL;

	for (size_t i = 0; i < conf->alias_count && to == NULL; i++)
		to = alias_apply(conf->aliases[i].pattern, conf->aliases[i].replacement, image);
	return to != NULL ? to : xstrdup(image);
}

struct pull *
pull_start(struct pulls *pulls, const char *image, bool always, pull_notice_fn *on_notice, pull_fn *fn, void *arg)
{
	struct pull *p = xcalloc(1, sizeof(*p));
	char *resolved = resolve(pulls->host->conf, image);
	const struct docker_image *known;
	struct image_ref ref;

	*p = (struct pull){ .pulls = pulls, .on_notice = on_notice, .fn = fn, .arg = arg };
	p->asked = xstrdup(image);
	p->title = resolved;
	if (image_parse(str_of(resolved), &ref, &p->err))
		p->name = image_print(&ref);
	known = p->name != NULL && !always ? find_known(pulls, p->name) : NULL;
	p->is_known = known != NULL;
	if (known != NULL)
		p->image = *known;
	if (p->name == NULL || always || known != NULL)
		p->begin = deferred_call(pulls->host->loop, on_begin, p);
	else
		look(p, PULL_LOOK);
	return p;
}
