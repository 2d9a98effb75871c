#include "server/io/registry.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/challenge.h"
#include "proto/crypto.h"
#include "proto/image.h"
#include "proto/image_index.h"
#include "proto/json.h"
#include "proto/manifest.h"
#include "proto/mem.h"
#include "proto/url.h"
#include "server/core/loop.h"
#include "server/io/httpc.h"

#define HUB "registry-1.docker.io" /* of docker.io */

enum { REQUEST_MS = 30000, TOKEN_REPLY_MAX = 64 * 1024 };

enum op_state {
	OP_ASK,
	OP_TOKEN, /* which the registry has asked for */
	OP_AGAIN, /* with that */
};

struct registry {
	struct loop *loop;
	struct image_ref image;
	char *login;
	char *shown;    /* Authorization that it takes; NULL: not known, or none */
	bool may_write; /* that has let something be put */
	bool may_be_clear;
	bool is_clear;       /* the next request goes without TLS */
	struct httpc *httpc; /* of that kind; NULL: none yet */
	bool is_asked;       /* an operation goes on */
};

struct registry_op {
	struct registry *registry;
	enum op_state state;
	const char *method;
	char *reference;
	const char *media_type; /* of manifest; NULL: there is none */
	struct str manifest;
	struct httpc_op *request;
	struct httpc *realm; /* where the token comes from */
	char *realm_path;
	struct deferred *failure;
	struct err err;
	registry_fn *fn;
	void *arg;
};

static void enter_ask(struct registry_op *op);
static void enter_token(struct registry_op *op);

static void
op_free(struct registry_op *op)
{
	httpc_cancel(&op->request);
	httpc_free(&op->realm);
	deferred_cancel(&op->failure);
	op->registry->is_asked = false;
	free(op->realm_path);
	free(op->reference);
	free(op);
}

static void
op_fail(struct registry_op *op, const struct err *err)
{
	registry_fn *fn = op->fn;
	void *arg = op->arg;
	struct err copy = *err;

	op_free(op);
	fn(arg, NULL, &copy);
}

/* The only place where the state changes. */
static void
op_step(struct registry_op *op, enum op_state next)
{
	httpc_cancel(&op->request);
	op->state = next;
	if (next == OP_TOKEN)
		enter_token(op);
	else
		enter_ask(op);
}

static void
on_failure(void *arg)
{
	struct registry_op *op = arg;

	op->failure = NULL;
	op_fail(op, &op->err);
}

/* --- what the registry says --- */

/* {"errors": [{"code": "MANIFEST_INVALID", "message": "manifest invalid"}]} */
static struct err
refusal(enum err_code code, unsigned status, struct str body, const char *what)
{
	struct json *doc = NULL;
	const char *words = "";
	struct err err;

	if (json_parse(body, NULL, &doc, NULL))
		words = json_string(json_get(json_at(json_get(json_root(doc), "errors"), 0), "message"), "");
	err = err_make(code, (int)status, "%s: %u%s%.120s", what, status, words[0] != '\0' ? ", " : "", words);
	json_free(&doc);
	return err;
}

static struct err
judge(const struct registry_op *op, unsigned status, struct str body)
{
	bool has_login = op->registry->login != NULL;

	if (status == 401 || status == 403)
		return refusal(ERR_AUTH, status, body,
		    has_login ? "the registry does not let that login in"
			      : "the registry wants a login (the secret DOCKER_AUTH_CONFIG)");
	if (status == 404)
		return refusal(ERR_NOT_FOUND, status, body, "the registry does not have it");
	if (status >= 500 || status == 429)
		return refusal(ERR_UNAVAILABLE, status, body, "the registry is in trouble");
	return refusal(ERR_INPUT, status, body,
	    op->media_type != NULL ? "the registry does not take the list of platforms" : "the registry refuses");
}

static char *
digest_of(const struct httpc_reply *reply)
{
	return str_dup(http1_value(reply->head, "Docker-Content-Digest"));
}

static void
succeed(struct registry_op *op, const struct httpc_reply *http)
{
	char *digest = digest_of(http);
	struct registry_reply reply = { .digest = digest, .body = http->body };
	registry_fn *fn = op->fn;
	void *arg = op->arg;

	op->registry->may_write = op->registry->may_write || op->media_type != NULL;
	op_free(op);
	fn(arg, &reply, NULL);
	free(digest);
}

/* --- the way in --- */

/* The realm would get the login: it must not be less safe than the registry, nor anybody's. */
static bool
may_have_login(const struct registry_op *op, const struct url *realm, struct err *err)
{
	const struct registry *r = op->registry;
	struct str host = str_of(r->image.registry), name;
	unsigned port;

	if (strcmp(r->image.registry, "docker.io") == 0)
		host = STR(HUB);
	if (realm->scheme != URL_HTTPS && !r->is_clear)
		return err_set(
		    err, ERR_REFUSED, 0, "the registry wants its login shown without TLS, at %.80s", realm->host);
	return (url_split_host(host, &name, &port) && realm_is_of(str_of(realm->host), name)) ||
	       err_set(err, ERR_REFUSED, 0,
		   "the registry wants its login shown at %.80s, which is not of its own domain", realm->host);
}

/* Of the reply's challenge: the client and the path that give the token. */
static bool
find_realm(struct registry_op *op, const struct challenge *challenge, struct err *err)
{
	struct url url;
	struct buf base;
	bool ok;

	if (!challenge_parse_realm(challenge, &url, err))
		return false;
	ok = op->registry->login == NULL || may_have_login(op, &url, err);
	buf_init(&base, URL_MAX);
	buf_addf(&base, "%s://", url_scheme_name(url.scheme));
	if (ok && url_print_host(&base, &url))
		op->realm = httpc_new(op->registry->loop, base.data, NULL, err);
	op->realm_path = xstrdup(url.path[0] != '\0' ? url.path : "/");
	buf_fini(&base);
	url_fini(&url);
	return op->realm != NULL;
}

/* It has refused us once: with what it asks for it is asked again. False: it asks for nothing that we have. */
static bool
answer_challenge(struct registry_op *op, const struct http1_head *head, struct err *err)
{
	struct registry *r = op->registry;
	struct challenge challenge;

	if (challenge_read(head, &challenge)) {
		if (!find_realm(op, &challenge, err))
			return false;
		op_step(op, OP_TOKEN);
		return true;
	}
	if (!challenge_is_basic(head) || r->login == NULL)
		return false;
	crypto_wipe_free(&r->shown);
	r->shown = xstrdup(r->login);
	op_step(op, OP_AGAIN);
	return true;
}

static void
on_token(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct registry_op *op = arg;
	struct registry *r = op->registry;
	struct err failure = err != NULL ? *err : ERR_OK;
	int64_t life_s;
	char *token = NULL;

	op->request = NULL;
	if (err == NULL && reply->status != 200)
		failure = refusal(reply->status >= 500 ? ERR_UNAVAILABLE : ERR_AUTH, reply->status, reply->body,
		    "the registry gives no token");
	else if (err == NULL)
		token = challenge_token(reply->body, &life_s, &failure);
	if (token == NULL) {
		op_fail(op, &failure);
		return;
	}
	crypto_wipe_free(&r->shown);
	r->shown = token;
	op_step(op, OP_AGAIN);
}

static void
enter_token(struct registry_op *op)
{
	static const struct httpc_handler handler = { .on_done = on_token };
	const struct httpc_header header = { "Authorization", op->registry->login };
	const struct httpc_request request = { .method = "GET",
		.path = op->realm_path,
		.headers = &header,
		.header_count = op->registry->login != NULL,
		.reply_max = TOKEN_REPLY_MAX,
		.total_ms = REQUEST_MS };

	op->request = httpc_request(op->realm, &request, &handler, op);
}

/* --- the request --- */

static void
switch_clear(struct registry *r)
{
	httpc_free(&r->httpc);
	r->is_clear = !r->is_clear;
}

/* One that does not answer by TLS is asked without, where that is allowed; the next request begins with TLS again,
 * unless that went well. */
static void
take_failure(struct registry_op *op, const struct err *err)
{
	struct registry *r = op->registry;
	bool is_last = r->is_clear || !r->may_be_clear;

	if (r->may_be_clear)
		switch_clear(r);
	if (is_last)
		op_fail(op, err);
	else
		op_step(op, op->state);
}

static void
on_done(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct registry_op *op = arg;
	struct err failure;

	op->request = NULL;
	if (err != NULL) {
		take_failure(op, err);
		return;
	}
	if (reply->status >= 200 && reply->status < 300) {
		succeed(op, reply);
		return;
	}
	failure = judge(op, reply->status, reply->body);
	if (reply->status == 401 && op->state == OP_ASK && answer_challenge(op, reply->head, &failure))
		return;
	op_fail(op, &failure);
}

static bool
make_client(struct registry *r, struct err *err)
{
	const char *name = strcmp(r->image.registry, "docker.io") == 0 ? HUB : r->image.registry;
	char *base = xasprintf("%s://%s", r->is_clear ? "http" : "https", name);

	if (r->httpc == NULL)
		r->httpc = httpc_new(r->loop, base, NULL, err);
	free(base);
	return r->httpc != NULL;
}

static void
enter_ask(struct registry_op *op)
{
	static const struct httpc_handler handler = { .on_done = on_done };
	struct registry *r = op->registry;
	char *path = xasprintf("/v2/%s/manifests/%s", r->image.repository, op->reference);
	struct httpc_header headers[3] = { { "Accept", IMAGE_INDEX_ACCEPT } };
	struct httpc_request request = { .method = op->method,
		.path = path,
		.headers = headers,
		.header_count = 1,
		.body = op->manifest,
		.reply_max = MANIFEST_SIZE_MAX,
		.total_ms = REQUEST_MS };

	if (op->media_type != NULL)
		headers[request.header_count++] = (struct httpc_header){ "Content-Type", op->media_type };
	if (r->shown != NULL)
		headers[request.header_count++] = (struct httpc_header){ "Authorization", r->shown };
	if (make_client(r, &op->err))
		op->request = httpc_request(r->httpc, &request, &handler, op);
	else
		op->failure = deferred_call(r->loop, on_failure, op);
	free(path);
}

/* --- begin and end --- */

static struct registry_op *
op_new(struct registry *r, const char *method, const char *reference, registry_fn *fn, void *arg)
{
	struct registry_op *op = xcalloc(1, sizeof(*op));

	*op = (struct registry_op){
		.registry = r, .method = method, .reference = xstrdup(reference), .fn = fn, .arg = arg
	};
	assert(!r->is_asked);
	r->is_asked = true;
	return op;
}

struct registry_op *
registry_head(struct registry *registry, const char *reference, registry_fn *fn, void *arg)
{
	struct registry_op *op = op_new(registry, "HEAD", reference, fn, arg);

	op_step(op, OP_ASK);
	return op;
}

struct registry_op *
registry_get(struct registry *registry, const char *reference, registry_fn *fn, void *arg)
{
	struct registry_op *op = op_new(registry, "GET", reference, fn, arg);

	op_step(op, OP_ASK);
	return op;
}

struct registry_op *
registry_put(
    struct registry *registry, const char *tag, const char *media_type, struct str manifest, registry_fn *fn, void *arg)
{
	struct registry_op *op = op_new(registry, "PUT", tag, fn, arg);

	if (!registry
		 ->may_write) /* a token for reading may be none for writing, and not every registry asks for another */
		crypto_wipe_free(&registry->shown);
	op->media_type = media_type;
	op->manifest = manifest;
	op_step(op, OP_ASK);
	return op;
}

void
registry_cancel(struct registry_op **op)
{
	if (*op != NULL)
		op_free(*op);
	*op = NULL;
}

struct registry *
registry_new(struct loop *loop, const struct registry_conf *conf)
{
	struct registry *r = xcalloc(1, sizeof(*r));
	bool ok = image_parse(str_of(conf->image), &r->image, NULL);

	assert(ok);
	r->loop = loop;
	r->login = conf->login != NULL ? xstrdup(conf->login) : NULL;
	r->may_be_clear = conf->may_be_clear;
	return r;
}

void
registry_free(struct registry **registry)
{
	struct registry *r = *registry;

	if (r == NULL)
		return;
	*registry = NULL;
	assert(!r->is_asked);
	httpc_free(&r->httpc);
	crypto_wipe_free(&r->login);
	crypto_wipe_free(&r->shown);
	free(r);
}
