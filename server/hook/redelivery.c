#include "server/hook/redelivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/deliveries.h"
#include "proto/forge.h"
#include "proto/mem.h"
#include "server/core/log.h"
#include "server/io/httpc.h"

#define PAGES_MAX 10
#define SENT_MAX 200 /* at a time; the next look sees to the rest */
#define TIMEOUT_MS 30000
#define HEADERS 3

enum redelivery_state { REDELIVERY_HOOKS, REDELIVERY_PAGE, REDELIVERY_SEND, REDELIVERY_DONE };

struct redelivery {
	char *repo;
	char *url;
	char *authorization;
	struct forge_repo place;
	struct httpc *httpc;
	struct httpc_op *op;
	struct deferred *begin;
	enum redelivery_state state;
	int64_t hook;
	struct deliveries deliveries;
	char cursor[DELIVERIES_CURSOR_SIZE]; /* of the page that is asked for; "": the first */
	unsigned pages;
	size_t left; /* of the records, those that were not looked at: the oldest stand last */
	size_t sent;
	struct err err;
	redelivery_fn *fn;
	void *arg;
};

static void enter_hooks(struct redelivery *r);
static void enter_page(struct redelivery *r);
static void enter_send(struct redelivery *r);
static void enter_done(struct redelivery *r);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct redelivery *r);
} states[] = {
	[REDELIVERY_HOOKS] = { "webhooks",   enter_hooks },
	[REDELIVERY_PAGE]  = { "deliveries", enter_page },
	[REDELIVERY_SEND]  = { "send again", enter_send },
	[REDELIVERY_DONE]  = { "done",       enter_done },
};
/* clang-format on */

/* The only place where the state changes. r may be gone when it returns. */
static void
redelivery_step(struct redelivery *r, enum redelivery_state next)
{
	r->state = next;
	states[next].enter(r);
}

static void
redelivery_fail(struct redelivery *r, const struct err *err)
{
	r->err = err_prefix(*err, "%s", states[r->state].name);
	redelivery_step(r, REDELIVERY_DONE);
}

static void
ask(struct redelivery *r, const char *method, const char *path, const struct httpc_handler *handler)
{
	const struct httpc_header headers[HEADERS] = { { "Authorization", r->authorization },
		{ "Accept", "application/vnd.github+json" }, { "X-GitHub-Api-Version", "2022-11-28" } };
	const struct httpc_request request = {
		.method = method,
		.path = path,
		.headers = headers,
		.header_count = HEADERS,
		.total_ms = TIMEOUT_MS,
	};

	r->op = httpc_request(r->httpc, &request, handler, r);
}

/* Whether the answer is a good one; else it fails. */
static bool
is_good(struct redelivery *r, const struct httpc_reply *reply, const struct err *err)
{
	struct err no;

	r->op = NULL;
	if (err == NULL && reply->status / 100 == 2)
		return true;
	if (err == NULL) {
		no = err_make(reply->status == 404       ? ERR_NOT_FOUND
			      : reply->status / 100 == 4 ? ERR_AUTH
							 : ERR_UNAVAILABLE,
		    (int)reply->status, "GitHub answers with %u", reply->status);
		err = &no;
	}
	redelivery_fail(r, err);
	return false;
}

/* --- our webhook --- */

static void
on_hooks(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct redelivery *r = arg;
	struct err why = err_make(ERR_NOT_FOUND, 0, "none has our address");

	if (!is_good(r, reply, err))
		return;
	if (deliveries_find_hook(reply->body, r->url, r->repo, &r->hook, &why) && r->hook > 0)
		redelivery_step(r, REDELIVERY_PAGE);
	else
		redelivery_fail(r, &why);
}

static void
enter_hooks(struct redelivery *r)
{
	static const struct httpc_handler handler = { .on_done = on_hooks };
	char *path = xasprintf("/repos/%s/hooks?per_page=100", r->place.path);

	ask(r, "GET", path, &handler);
	free(path);
}

/* --- its deliveries --- */

static void
on_page(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct redelivery *r = arg;
	struct err why;
	bool missed;

	if (!is_good(r, reply, err))
		return;
	if (!deliveries_take(&r->deliveries, reply->body, &missed, &why)) {
		redelivery_fail(r, &why);
		return;
	}
	r->left = r->deliveries.count;
	if (missed && ++r->pages < PAGES_MAX && deliveries_cursor(http1_value(reply->head, "Link"), r->cursor))
		redelivery_step(r, REDELIVERY_PAGE);
	else
		redelivery_step(r, REDELIVERY_SEND);
}

static void
enter_page(struct redelivery *r)
{
	static const struct httpc_handler handler = { .on_done = on_page };
	char *path = xasprintf("/repos/%s/hooks/%lld/deliveries?per_page=100%s%s", r->place.path, (long long)r->hook,
	    r->cursor[0] != '\0' ? "&cursor=" : "", r->cursor);

	ask(r, "GET", path, &handler);
	free(path);
}

/* --- send again --- */

static void
on_sent(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct redelivery *r = arg;

	if (!is_good(r, reply, err))
		return;
	r->sent++;
	redelivery_step(r, REDELIVERY_SEND);
}

static void
enter_send(struct redelivery *r)
{
	static const struct httpc_handler handler = { .on_done = on_sent };
	char *path;

	while (r->left > 0 && !delivery_is_missed(&r->deliveries.items[r->left - 1]))
		r->left--;
	if (r->left == 0 || r->sent == SENT_MAX) {
		redelivery_step(r, REDELIVERY_DONE);
		return;
	}
	path = xasprintf("/repos/%s/hooks/%lld/deliveries/%lld/attempts", r->place.path, (long long)r->hook,
	    (long long)r->deliveries.items[--r->left].id);
	ask(r, "POST", path, &handler);
	free(path);
}

/* --- life --- */

static void
redelivery_free(struct redelivery *r)
{
	httpc_cancel(&r->op);
	httpc_free(&r->httpc);
	deferred_cancel(&r->begin);
	deliveries_fini(&r->deliveries);
	forge_repo_fini(&r->place);
	if (r->authorization != NULL)
		explicit_bzero(r->authorization, strlen(r->authorization));
	free(r->authorization);
	free(r->url);
	free(r->repo);
	free(r);
}

static void
enter_done(struct redelivery *r)
{
	redelivery_fn *fn = r->fn;
	void *arg = r->arg;
	size_t sent = r->sent;
	struct err err = r->err;

	redelivery_free(r);
	fn(arg, sent, err.code == ERR_NONE ? NULL : &err);
}

static void
on_begin(void *arg)
{
	struct redelivery *r = arg;

	r->begin = NULL;
	redelivery_step(r, r->err.code == ERR_NONE ? REDELIVERY_HOOKS : REDELIVERY_DONE);
}

bool
redelivery_takes(const struct repo *repo)
{
	enum forge_kind kind;

	return forge_from_name(repo->forge, &kind) && kind == FORGE_GITHUB && repo->token[0] != '\0';
}

struct redelivery *
redelivery_start(
    struct loop *loop, const struct redelivery_conf *conf, const struct repo *repo, redelivery_fn *fn, void *arg)
{
	struct redelivery *r = xcalloc(1, sizeof(*r));
	const struct httpc_conf httpc = { .tls = { .ca_file = conf->ca_file } };

	*r = (struct redelivery){ .repo = xstrdup(repo->id),
		.url = xstrdup(conf->url),
		.authorization = xasprintf("Bearer %s", repo->token),
		.fn = fn,
		.arg = arg };
	if (strpbrk(repo->token, "\r\n") != NULL)
		err_set(&r->err, ERR_INPUT, 0, "the repository's token has a line break");
	else if (forge_locate_named(FORGE_GITHUB, repo->name, repo->url, repo->api, &r->place, &r->err))
		r->httpc = httpc_new(loop, r->place.api, &httpc, &r->err);
	r->begin = deferred_call(loop, on_begin, r);
	return r;
}

void
redelivery_cancel(struct redelivery **redelivery)
{
	if (*redelivery != NULL)
		redelivery_free(*redelivery);
	*redelivery = NULL;
}
