#include "server/delivery/probe.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/io/httpc.h"

enum { TIMEOUT_MS = 5000, REPLY_MAX = 1024 * 1024 };

struct probe {
	struct stream *stream; /* of a connection alone */
	struct httpc *httpc;   /* else */
	struct httpc_op *op;
	struct deferred *failed; /* the client could not be made */
	struct err err;
	probe_fn *fn;
	void *arg;
};

static void
probe_end(struct probe *p, const struct err *err)
{
	probe_fn *fn = p->fn;
	struct err copy = err != NULL ? *err : ERR_OK;
	void *arg = p->arg;

	probe_cancel(&p);
	fn(arg, copy.code != ERR_NONE ? &copy : NULL);
}

/* --- a connection --- */

static void
on_open(void *arg)
{
	probe_end(arg, NULL);
}

static void
on_close(void *arg, const struct err *err)
{
	struct probe *p = arg;
	struct err closed = err_make(ERR_UNAVAILABLE, 0, "the connection was closed");

	p->stream = NULL;
	probe_end(p, err != NULL ? err : &closed);
}

static const struct stream_handler stream_handler = { .on_open = on_open, .on_close = on_close };

/* --- a request --- */

/* The status decides; of the body nothing is wanted. */
static void
on_head(void *arg, const struct httpc_reply *reply)
{
	struct err bad = err_make(ERR_REFUSED, (int)reply->status, "the answer is %u", reply->status);

	probe_end(arg, reply->status >= 200 && reply->status < 400 ? NULL : &bad);
}

static void
on_done(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct probe *p = arg;

	(void)reply;
	p->op = NULL;
	probe_end(p, err);
}

static const struct httpc_handler httpc_handler = { .on_head = on_head, .on_done = on_done };

static void
on_failed(void *arg)
{
	struct probe *p = arg;

	p->failed = NULL;
	probe_end(p, &p->err);
}

static void
begin_request(struct loop *loop, struct probe *p, const struct probe_spec *spec)
{
	const struct httpc_conf conf = { .connect_ms = TIMEOUT_MS };
	const struct httpc_request request = {
		.method = "GET", .path = spec->path, .reply_max = REPLY_MAX, .total_ms = TIMEOUT_MS
	};
	bool is_ipv6 = strchr(spec->host, ':') != NULL;
	char *url = xasprintf("http://%s%s%s:%u", is_ipv6 ? "[" : "", spec->host, is_ipv6 ? "]" : "", spec->port);

	p->httpc = httpc_new(loop, url, &conf, &p->err);
	free(url);
	if (p->httpc != NULL)
		p->op = httpc_request(p->httpc, &request, &httpc_handler, p);
	else
		p->failed = deferred_call(loop, on_failed, p);
}

struct probe *
probe_start(struct loop *loop, const struct probe_spec *spec, probe_fn *fn, void *arg)
{
	const struct stream_target target = { .host = spec->host, .port = spec->port, .timeout_ms = TIMEOUT_MS };
	struct probe *p = xcalloc(1, sizeof(*p));

	p->fn = fn;
	p->arg = arg;
	if (spec->path != NULL)
		begin_request(loop, p, spec);
	else
		p->stream = stream_connect(loop, &target, &stream_handler, p);
	return p;
}

void
probe_cancel(struct probe **probe)
{
	struct probe *p = *probe;

	if (p == NULL)
		return;
	*probe = NULL;
	deferred_cancel(&p->failed);
	stream_close(&p->stream);
	httpc_cancel(&p->op);
	httpc_free(&p->httpc);
	free(p);
}
