#include "server/notify/forges.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/io/httpc.h"

#define CLIENTS_MAX (FORGES_OPS_MAX + 1) /* hence one without an op can always be found */
#define REPLY_MAX (64 * 1024)

/* One server. */
struct client {
	char *api;
	struct httpc *httpc;
	unsigned ops;
	uint64_t used; /* when, by the count of posts */
};

struct forges {
	struct loop *loop;
	char *ca_file;
	int64_t timeout_ms;
	struct client clients[CLIENTS_MAX];
	uint64_t posts;
	unsigned ops;
};

struct forges_op {
	struct forges *forges;
	enum forge_kind kind;
	struct client *client; /* NULL: nothing could be sent, because of failure */
	struct httpc_op *request;
	struct deferred *begin;
	struct err failure;
	forges_fn *fn;
	void *arg;
};

struct forges *
forges_new(struct loop *loop, const char *ca_file, int64_t timeout_ms, struct err *err)
{
	struct stream_tls *trial = stream_tls_new(&(struct stream_tls_conf){ .ca_file = ca_file }, err);
	struct forges *forges;

	if (trial == NULL)
		return NULL;
	stream_tls_free(&trial);
	forges = xcalloc(1, sizeof(*forges));
	*forges = (struct forges){ .loop = loop, .ca_file = xstrdup_null(ca_file), .timeout_ms = timeout_ms };
	return forges;
}

static void
client_fini(struct client *client)
{
	assert(client->ops == 0);
	httpc_free(&client->httpc);
	free(client->api);
	*client = (struct client){ 0 };
}

void
forges_free(struct forges **forges)
{
	struct forges *f = *forges;

	if (f == NULL)
		return;
	*forges = NULL;
	assert(f->ops == 0);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		client_fini(&f->clients[i]);
	free(f->ca_file);
	free(f);
}

bool
forges_takes(const struct repo *repo)
{
	enum forge_kind kind;

	return forge_from_name(repo->forge, &kind) && kind != FORGE_GENERIC && repo->token[0] != '\0';
}

/* The client of that server, or the place for one: the one that was not used for longest. */
static struct client *
find_client(struct forges *forges, const char *api)
{
	struct client *oldest = NULL;

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &forges->clients[i];

		if (client->api != NULL && strcmp(client->api, api) == 0)
			return client;
		if (client->ops == 0 && (oldest == NULL || client->used < oldest->used))
			oldest = client;
	}
	assert(oldest != NULL);
	client_fini(oldest);
	return oldest;
}

static struct client *
client_for(struct forges *forges, const char *api, struct err *err)
{
	struct client *client = find_client(forges, api);
	struct httpc_conf conf = { .tls = { .ca_file = forges->ca_file } };

	client->used = ++forges->posts;
	if (client->httpc != NULL)
		return client;
	client->httpc = httpc_new(forges->loop, api, &conf, err);
	if (client->httpc == NULL)
		return NULL;
	client->api = xstrdup(api);
	return client;
}

static void
op_free(struct forges_op *op)
{
	httpc_cancel(&op->request);
	deferred_cancel(&op->begin);
	if (op->client != NULL)
		op->client->ops--;
	op->forges->ops--;
	free(op);
}

static void
op_end(struct forges_op *op, struct status_judgement judgement)
{
	forges_fn *fn = op->fn;
	void *arg = op->arg;

	op_free(op);
	fn(arg, &judgement);
}

static void
on_reply(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct forges_op *op = arg;

	op->request = NULL;
	if (err != NULL)
		op_end(op, (struct status_judgement){ STATUS_RETRY, 0, err_prefix(*err, "forge") });
	else
		op_end(op, status_judge(op->kind, reply->head, reply->body, loop_wall_ms() / 1000));
}

static void
on_failure(void *arg)
{
	struct forges_op *op = arg;

	op->begin = NULL;
	op_end(op, (struct status_judgement){ STATUS_STOP, 0, op->failure });
}

static void
send_request(struct forges_op *op, const struct status_request *request)
{
	static const struct httpc_handler handler = { .on_done = on_reply };
	struct httpc_header headers[STATUS_HEADERS];

	for (size_t i = 0; i < request->header_count; i++)
		headers[i] = (struct httpc_header){ request->headers[i].name, request->headers[i].value };
	op->client->ops++;
	op->request = httpc_request(op->client->httpc,
	    &(struct httpc_request){
		.method = request->method,
		.path = request->path,
		.headers = headers,
		.header_count = request->header_count,
		.body = { request->body, request->body_len },
		.reply_max = REPLY_MAX,
		.total_ms = op->forges->timeout_ms,
	    },
	    &handler, op);
}

/* Everything that can go wrong before the first byte. */
static bool
post(struct forges_op *op, const struct repo *repo, const struct status *status, struct err *err)
{
	struct status_request request;
	struct forge_repo place;
	bool ok;

	if (!forge_from_name(repo->forge, &op->kind))
		return err_set(err, ERR_INPUT, 0, "the repository's forge is of an unknown kind");
	if (!forge_locate_named(op->kind, repo->name, repo->url, repo->api, &place, err))
		return false;
	ok = status_encode(op->kind, &place, status, repo->token, &request, err);
	if (ok) {
		op->client = client_for(op->forges, place.api, err);
		ok = op->client != NULL;
		if (ok)
			send_request(op, &request);
		status_request_fini(&request);
	}
	forge_repo_fini(&place);
	return ok;
}

struct forges_op *
forges_post(struct forges *forges, const struct repo *repo, const struct status *status, forges_fn *fn, void *arg)
{
	struct forges_op *op = xcalloc(1, sizeof(*op));

	assert(forges->ops < FORGES_OPS_MAX);
	*op = (struct forges_op){ .forges = forges, .fn = fn, .arg = arg };
	forges->ops++;
	if (!post(op, repo, status, &op->failure))
		op->begin = deferred_call(forges->loop, on_failure, op);
	return op;
}

void
forges_cancel(struct forges_op **op)
{
	if (*op != NULL)
		op_free(*op);
	*op = NULL;
}
