#include "server/mirror/tokens.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <uthash.h>

#include "proto/crypto.h"
#include "proto/mem.h"
#include "proto/url.h"
#include "server/core/loop.h"
#include "server/mirror/upstreams.h"

#define FETCH_MS 10000
#define LIFE_MAX_S 3600 /* of a token that says more */
#define REPLY_MAX (64 * 1024)

enum { TOKENS_MAX = 1024 };

struct token_wait {
	TAILQ_ENTRY(token_wait) link;
	struct token *token;
	token_fn *fn;
	void *arg;
};

TAILQ_HEAD(token_waits, token_wait);

struct token {
	UT_hash_handle hh; /* the oldest first */
	struct tokens *tokens;
	char *scope;
	char *text;        /* of Authorization; NULL: none yet */
	int64_t until;     /* loop_mono_ms */
	const char *login; /* shown for it; NULL: none. Lent */
	struct token_waits waits;
	char *path; /* of the request */
	struct upstream_turn *turn;
	struct httpc_op *op;
	struct deferred *failure;
	struct err err;
};

struct tokens {
	struct loop *loop;
	struct upstreams *upstreams;
	struct token *all;
};

static bool
is_fetched(const struct token *t)
{
	return t->turn != NULL || t->failure != NULL;
}

static void
stop(struct token *t)
{
	httpc_cancel(&t->op);
	upstreams_leave(&t->turn);
	deferred_cancel(&t->failure);
	free(t->path);
	t->path = NULL;
}

static void
token_free(struct token *t)
{
	assert(TAILQ_EMPTY(&t->waits));
	stop(t);
	HASH_DEL(t->tokens->all, t);
	crypto_wipe_free(&t->text);
	free(t->scope);
	free(t);
}

/* Those that wait now; who comes by their callbacks waits for the next. When the last of them has left by another's
 * callback, one of these may hear of it, too: it asks again. */
static void
finish(struct token *t, const struct err *err)
{
	struct err copy = err != NULL ? *err : ERR_OK;
	struct token_wait *w, *last = TAILQ_LAST(&t->waits, token_waits);
	bool is_last = last == NULL;

	stop(t);
	while (!is_last && (w = TAILQ_FIRST(&t->waits)) != NULL) {
		token_fn *fn = w->fn;
		void *arg = w->arg;

		is_last = w == last;
		TAILQ_REMOVE(&t->waits, w, link);
		free(w);
		fn(arg, err != NULL ? &copy : NULL);
	}
}

static bool
take_token(struct token *t, struct str body, struct err *err)
{
	int64_t life;
	char *text = challenge_token(body, &life, err);

	if (text == NULL)
		return false;
	crypto_wipe_free(&t->text);
	t->text = text;
	life = life < LIFE_MAX_S ? life : LIFE_MAX_S;
	t->until = loop_mono_ms() + life * 800; /* four fifths of its life */
	return true;
}

static void
on_done(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct token *t = arg;
	struct err failure = ERR_OK;

	t->op = NULL;
	if (err != NULL) {
		upstreams_failed(t->turn, err);
		failure = *err;
	} else if (upstreams_answered(t->turn, reply->head), reply->status != 200) {
		failure = err_make(ERR_AUTH, (int)reply->status, "the registry gives no token (%u)", reply->status);
	} else if (take_token(t, reply->body, &failure)) {
		failure = ERR_OK;
	}
	finish(t, failure.code != ERR_NONE ? &failure : NULL);
}

static const struct httpc_handler handler = { .on_done = on_done };

static void
on_turn(void *arg, struct httpc *httpc, const struct err *err)
{
	struct token *t = arg;
	const struct httpc_header header = { "Authorization", t->login };
	const struct httpc_request request = { .method = "GET",
		.path = t->path,
		.headers = &header,
		.header_count = t->login != NULL ? 1 : 0,
		.total_ms = FETCH_MS,
		.reply_max = REPLY_MAX };

	if (err != NULL)
		finish(t, err);
	else
		t->op = httpc_request(httpc, &request, &handler, t);
}

static void
on_failure(void *arg)
{
	struct token *t = arg;

	t->failure = NULL;
	finish(t, &t->err);
}

/* Whoever the registry names would get the login: it must not be less safe than the registry, nor anybody's. */
static bool
may_have_login(const struct token_request *request, const struct url *url, struct err *err)
{
	const struct upstream_rule *as = request->as;

	if (url->scheme != URL_HTTPS && request->registry->is_tls)
		return err_set(
		    err, ERR_REFUSED, 0, "the registry wants its login shown without TLS, at %.80s", url->host);
	if (realm_is_of(str_of(url->host), str_of(request->registry->host)) ||
	    (as->realm != NULL && strcasecmp(as->realm, url->host) == 0))
		return true;
	return err_set(err, ERR_REFUSED, 0,
	    "the registry wants its login shown at %.80s; if that is right, name it as realm in mirror.upstreams",
	    url->host);
}

static void
fetch(struct token *t, const struct token_request *request)
{
	struct origin origin;
	struct url url;
	bool ok = challenge_parse_realm(request->challenge, &url, &t->err);

	if (ok && request->as != NULL && !may_have_login(request, &url, &t->err)) {
		url_fini(&url);
		ok = false;
	}
	if (!ok) {
		t->failure = deferred_call(t->tokens->loop, on_failure, t);
		return;
	}
	t->login = request->as != NULL ? request->as->authorization : NULL;
	origin = (struct origin){ .is_tls = url.scheme == URL_HTTPS, .host = url.host, .port = url.port };
	t->path = xstrdup(url.path[0] != '\0' ? url.path : "/");
	t->turn = upstreams_enter(t->tokens->upstreams, &origin, on_turn, t);
	url_fini(&url);
}

static struct token *
token_of(struct tokens *ts, const char *scope)
{
	struct token *t, *next;

	HASH_FIND_STR(ts->all, scope, t);
	if (t != NULL)
		return t;
	HASH_ITER(hh, ts->all, t, next)
	if (HASH_COUNT(ts->all) >= TOKENS_MAX && !is_fetched(t) && TAILQ_EMPTY(&t->waits))
		token_free(t);
	t = xcalloc(1, sizeof(*t));
	t->tokens = ts;
	t->scope = xstrdup(scope);
	TAILQ_INIT(&t->waits);
	HASH_ADD_KEYPTR(hh, ts->all, t->scope, strlen(t->scope), t);
	return t;
}

const char *
tokens_find(struct tokens *ts, const char *scope)
{
	struct token *t;

	HASH_FIND_STR(ts->all, scope, t);
	return t != NULL && loop_mono_ms() < t->until ? t->text : NULL;
}

void
tokens_keep_login(struct tokens *ts, const char *scope, const char *authorization)
{
	struct token *t = token_of(ts, scope);

	crypto_wipe_free(&t->text);
	t->text = xstrdup(authorization);
	t->until = INT64_MAX;
}

struct token_wait *
tokens_fetch(struct tokens *ts, const struct token_request *request, token_fn *fn, void *arg)
{
	struct token *t = token_of(ts, request->scope);
	struct token_wait *w = xcalloc(1, sizeof(*w));

	*w = (struct token_wait){ .token = t, .fn = fn, .arg = arg };
	TAILQ_INSERT_TAIL(&t->waits, w, link);
	if (!is_fetched(t))
		fetch(t, request);
	return w;
}

void
tokens_leave(struct token_wait **wait)
{
	struct token_wait *w = *wait;

	*wait = NULL;
	if (w == NULL)
		return;
	assert(w->token != NULL);
	TAILQ_REMOVE(&w->token->waits, w, link);
	free(w);
}

struct tokens *
tokens_new(struct loop *loop, struct upstreams *upstreams)
{
	struct tokens *ts = xcalloc(1, sizeof(*ts));

	ts->loop = loop;
	ts->upstreams = upstreams;
	return ts;
}

void
tokens_free(struct tokens **tokens)
{
	struct tokens *ts = *tokens;
	struct token *t, *next;

	if (ts == NULL)
		return;
	*tokens = NULL;
	HASH_ITER(hh, ts->all, t, next)
	token_free(t);
	free(ts);
}
