#include "server/builder/image_push.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/mem.h"
#include "proto/registry_login.h"
#include "server/builder/host.h"
#include "server/builder/verdict.h"
#include "server/core/crash.h"
#include "server/core/loop.h"

enum {
	TRIES = 6, /* of a name: the first, and those after 1, 2, 4, 8 and 16 s */
	AGAIN_MS = 1000,
};

enum push_state {
	PUSH_BEGIN,   /* of a name */
	PUSH_ASK,     /* what the registry has under it */
	PUSH_COMPARE, /* whether that is our image */
	PUSH_NAME,
	PUSH_SEND,
	PUSH_WAIT,
	PUSH_DONE,
};

struct image_push {
	struct host *host;
	struct image_push_spec spec;
	const struct image_push_handler *handler;
	void *arg;
	enum push_state state;
	size_t at;        /* of the names */
	unsigned failed;  /* attempts at it */
	uint64_t waits_s; /* of the engine's own attempts at a layer within ours, the longest pause before one */
	char there[sizeof(((union docker_result *)0)->digest)]; /* what the registry has under it */
	struct docker_op *op;                                   /* of the state, as the next two */
	struct timer *again;
	struct deferred *begin;
};

static void enter_begin(struct image_push *p);
static void enter_ask(struct image_push *p);
static void enter_compare(struct image_push *p);
static void enter_name(struct image_push *p);
static void enter_send(struct image_push *p);
static void enter_wait(struct image_push *p);
static void enter_done(struct image_push *p);

static void (*const enter[])(struct image_push *p) = {
	[PUSH_BEGIN] = enter_begin,
	[PUSH_ASK] = enter_ask,
	[PUSH_COMPARE] = enter_compare,
	[PUSH_NAME] = enter_name,
	[PUSH_SEND] = enter_send,
	[PUSH_WAIT] = enter_wait,
	[PUSH_DONE] = enter_done,
};

/* The only place where the state changes. p may be gone when it returns. */
static void
push_step(struct image_push *p, enum push_state next)
{
	docker_cancel(&p->op);
	timer_stop(p->again);
	deferred_cancel(&p->begin);
	p->state = next;
	enter[next](p);
}

static const char *
name_of(const struct image_push *p)
{
	return p->spec.names->items[p->at];
}

static void
push_end(struct image_push *p, const struct err *err)
{
	const struct image_push_handler *handler = p->handler;
	void *arg = p->arg;

	image_push_cancel(&p);
	handler->on_done(arg, err);
}

/* A registry that is away may come back; one that says no is not asked again. */
static void
push_fail(struct image_push *p, const struct err *err)
{
	struct err failure = err_prefix(*err, "%s", name_of(p));
	char text[sizeof(failure.text) + 32];

	if (verdict_blame(err) != BUILDER_ERROR || ++p->failed == TRIES) {
		push_end(p, &failure);
		return;
	}
	snprintf(text, sizeof(text), "%s; trying again", failure.text);
	p->handler->on_notice(p->arg, text);
	push_step(p, PUSH_WAIT);
}

static void
on_again(void *arg)
{
	push_step(arg, PUSH_BEGIN);
}

static void
enter_wait(struct image_push *p)
{
	timer_start(p->again, (int64_t)AGAIN_MS << (p->failed - 1));
}

static void
enter_begin(struct image_push *p)
{
	if (p->at == p->spec.names->count)
		push_step(p, PUSH_DONE);
	else
		push_step(p, p->spec.existing == BUILD_REPLACE ? PUSH_NAME : PUSH_ASK);
}

static void
enter_done(struct image_push *p)
{
	push_end(p, NULL);
}

/* The next name. verb: how this one came there. */
static void
is_there(struct image_push *p, const char *verb, const char *digest)
{
	char text[400];

	snprintf(text, sizeof(text), "%s %s %s", verb, name_of(p), digest);
	p->handler->on_notice(p->arg, text);
	p->handler->on_pushed(p->arg, name_of(p), digest);
	p->at++;
	p->failed = 0;
	push_step(p, PUSH_BEGIN);
}

/* --- what is there already --- */

static char *
login(const struct image_push *p)
{
	return registry_login(p->spec.env, name_of(p));
}

static void
on_asked(void *arg, const union docker_result *result, const struct err *err)
{
	struct image_push *p = arg;

	p->op = NULL;
	if (err == NULL) {
		memcpy(p->there, result->digest, sizeof(p->there));
		push_step(p, PUSH_COMPARE);
	} else if (err->code == ERR_NOT_FOUND) {
		push_step(p, PUSH_NAME);
	} else {
		push_fail(p, err);
	}
}

static void
enter_ask(struct image_push *p)
{
	char *auth = login(p);

	p->op = docker_image_remote(p->host->docker, name_of(p), auth, on_asked, p);
	crypto_wipe_free(&auth);
}

/* Another image has the name. */
static void
differs(struct image_push *p)
{
	struct err err =
	    err_make(ERR_INPUT, 0, "the registry has another image under this name, %s; existing: fail", p->there);
	char text[400];

	if (p->spec.existing == BUILD_FAIL) {
		push_fail(p, &err);
		return;
	}
	snprintf(text, sizeof(text), "kept %s %s, which is another image", name_of(p), p->there);
	p->handler->on_notice(p->arg, text);
	p->at++;
	p->failed = 0;
	push_step(p, PUSH_BEGIN);
}

static void
on_compared(void *arg, const union docker_result *result, const struct err *err)
{
	struct image_push *p = arg;

	p->op = NULL;
	if (err == NULL && strcmp(result->image.id, p->spec.image) == 0)
		is_there(p, "there already:", p->there);
	else if (err == NULL || err->code == ERR_NOT_FOUND)
		differs(p);
	else
		push_fail(p, err);
}

/* The engine knows the digests under which it has pushed or pulled its images. */
static void
enter_compare(struct image_push *p)
{
	const char *name = name_of(p), *tag = strrchr(name, ':');
	char *reference = xasprintf("%.*s@%s", (int)(tag - name), name, p->there);

	p->op = docker_image_inspect(p->host->docker, reference, name, on_compared, p);
	free(reference);
}

/* --- name and push --- */

static void
on_named(void *arg, const union docker_result *result, const struct err *err)
{
	struct image_push *p = arg;

	(void)result;
	p->op = NULL;
	if (err != NULL)
		push_fail(p, err);
	else
		push_step(p, PUSH_SEND);
}

/* Right before it is sent: meanwhile another job may have given the name to an image of its own. */
static void
enter_name(struct image_push *p)
{
	p->op = docker_image_tag(p->host->docker, p->spec.image, name_of(p), on_named, p);
}

static void
on_sent(void *arg, const union docker_result *result, const struct err *err)
{
	struct image_push *p = arg;

	p->op = NULL;
	if (err != NULL) {
		push_fail(p, err);
		return;
	}
	CRASH_POINT(image_pushed);
	is_there(p, "pushed", result->digest);
}

/* The engine begins a layer again by itself, four times with a longer pause before each, which it counts down. */
static void
on_progress(void *arg, const struct docker_progress *progress)
{
	struct image_push *p = arg;
	char text[400];

	if (progress->again_s <= p->waits_s)
		return;
	p->waits_s = progress->again_s;
	snprintf(text, sizeof(text),
	    "%s: the registry did not take layer %s; the engine is trying again in %" PRIu64 " s", name_of(p),
	    progress->layer, progress->again_s);
	p->handler->on_notice(p->arg, text);
}

static void
enter_send(struct image_push *p)
{
	char *auth = login(p);

	p->waits_s = 0;
	p->op = docker_image_push(p->host->docker, name_of(p), auth, on_progress, on_sent, p);
	crypto_wipe_free(&auth);
}

/* --- begin and end --- */

static void
on_begin(void *arg)
{
	struct image_push *p = arg;

	p->begin = NULL;
	push_step(p, PUSH_BEGIN);
}

struct image_push *
image_push_start(
    struct host *host, const struct image_push_spec *spec, const struct image_push_handler *handler, void *arg)
{
	struct image_push *p = xcalloc(1, sizeof(*p));

	*p = (struct image_push){ .host = host, .spec = *spec, .handler = handler, .arg = arg };
	p->again = timer_new(host->loop, on_again, p);
	p->begin = deferred_call(host->loop, on_begin, p);
	return p;
}

void
image_push_cancel(struct image_push **push)
{
	struct image_push *p = *push;

	*push = NULL;
	if (p == NULL)
		return;
	docker_cancel(&p->op);
	deferred_cancel(&p->begin);
	timer_free(&p->again);
	free(p);
}
