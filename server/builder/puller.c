#include "server/builder/puller.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/image.h"
#include "proto/mem.h"
#include "proto/registry_login.h"
#include "server/core/crash.h"
#include "server/core/log.h"

enum puller_state { PULLER_MIRROR, PULLER_NAME, PULLER_UNNAME, PULLER_REGISTRY, PULLER_DONE };

struct puller {
	struct host *host;
	enum puller_state state;
	struct docker_op *op;
	char *name;
	char *mirrored; /* its name at the mirror; NULL: it has none */
	char *platform; /* NULL: the engine's */
	bool is_mirrored_only;
	puller_fn *fn;
	void *arg;
	struct err err;
};

static void enter_mirror(struct puller *p);
static void enter_name(struct puller *p);
static void enter_unname(struct puller *p);
static void enter_registry(struct puller *p);
static void enter_done(struct puller *p);

/* Deadlines are those of the calls. */
/* clang-format off */
static const struct {
	void (*enter)(struct puller *p);
	enum puller_state next, failed;
} states[] = {
	[PULLER_MIRROR]   = { enter_mirror,   PULLER_NAME,   PULLER_REGISTRY },
	[PULLER_NAME]     = { enter_name,     PULLER_UNNAME, PULLER_REGISTRY },
	[PULLER_UNNAME]   = { enter_unname,   PULLER_DONE,   PULLER_DONE }, /* the image is there */
	[PULLER_REGISTRY] = { enter_registry, PULLER_DONE,   PULLER_DONE },
	[PULLER_DONE]     = { enter_done,     PULLER_DONE,   PULLER_DONE },
};
/* clang-format on */

static void
puller_step(struct puller *p, enum puller_state next)
{
	p->state = next;
	states[next].enter(p);
}

static void
puller_fail(struct puller *p, const struct err *err)
{
	enum puller_state next = states[p->state].failed;

	if (p->state == PULLER_REGISTRY || (p->is_mirrored_only && next == PULLER_REGISTRY))
		p->err = *err;
	if (p->state != PULLER_REGISTRY)
		log_info("image %s does not come by the mirror: %s", p->name, err->text);
	puller_step(p, p->is_mirrored_only ? PULLER_DONE : next);
}

static void
on_reply(void *arg, const union docker_result *result, const struct err *err)
{
	struct puller *p = arg;

	(void)result;
	p->op = NULL;
	if (err != NULL)
		puller_fail(p, err);
	else
		puller_step(p, states[p->state].next);
}

static void
enter_mirror(struct puller *p)
{
	char *auth = NULL;

	if (p->host->mirror_token != NULL)
		auth = registry_login_print(STR("davit"), p->host->mirror_token, str_of(p->host->mirror));
	p->op = docker_image_pull(p->host->docker, p->mirrored, auth, p->platform, on_reply, p);
	crypto_wipe_free(&auth);
}

static void
enter_name(struct puller *p)
{
	p->op = docker_image_tag(p->host->docker, p->mirrored, p->name, on_reply, p);
}

static void
enter_unname(struct puller *p)
{
	p->op = docker_image_remove(p->host->docker, p->mirrored, on_reply, p);
}

static void
enter_registry(struct puller *p)
{
	p->op = docker_image_pull(p->host->docker, p->name, NULL, NULL, on_reply, p);
}

static void
enter_done(struct puller *p)
{
	puller_fn *fn = p->fn;
	struct err err = p->err;
	void *arg = p->arg;

	CRASH_POINT(pull_ended);
	puller_cancel(&p);
	fn(arg, err.code != ERR_NONE ? &err : NULL);
}

void
puller_cancel(struct puller **puller)
{
	struct puller *p = *puller;

	if (p == NULL)
		return;
	*puller = NULL;
	docker_cancel(&p->op);
	free(p->name);
	free(p->mirrored);
	free(p->platform);
	free(p);
}

/* NULL for what it cannot be asked for: a name has no room for a port, and a tag cannot name what a digest does. */
static char *
name_at_mirror(const struct host *host, const char *name)
{
	struct image_ref ref;
	struct err err;

	if (host->mirror == NULL || !image_parse(str_of(name), &ref, &err) || ref.digest[0] != '\0' ||
	    strchr(ref.registry, ':') != NULL)
		return NULL;
	return xasprintf("%s/%s", host->mirror, name);
}

bool
puller_can_mirror(const struct host *host, const char *name)
{
	char *mirrored = name_at_mirror(host, name);

	free(mirrored);
	return mirrored != NULL;
}

static struct puller *
puller_new(struct host *host, const char *name, puller_fn *fn, void *arg)
{
	struct puller *p = xcalloc(1, sizeof(*p));

	*p = (struct puller){ .host = host, .fn = fn, .arg = arg, .err = ERR_OK };
	p->name = xstrdup(name);
	p->mirrored = name_at_mirror(host, name);
	CRASH_POINT(pull_beginning);
	return p;
}

struct puller *
puller_start(struct host *host, const char *name, puller_fn *fn, void *arg)
{
	struct puller *p = puller_new(host, name, fn, arg);

	puller_step(p, p->mirrored != NULL ? PULLER_MIRROR : PULLER_REGISTRY);
	return p;
}

struct puller *
puller_start_mirrored(struct host *host, const char *name, const char *platform, puller_fn *fn, void *arg)
{
	struct puller *p = puller_new(host, name, fn, arg);

	assert(p->mirrored != NULL);
	p->platform = xstrdup_null(platform);
	p->is_mirrored_only = true;
	puller_step(p, PULLER_MIRROR);
	return p;
}
