/* A tar out of a container, as it comes: its reader may make the engine wait. */
#include "server/io/docker_private.h"

#include <stdlib.h>

struct download {
	struct docker_op op;
	bool is_good;       /* the reply's status */
	struct buf trouble; /* the body of a bad reply */
	docker_bytes_fn *on_bytes;
};

static void
download_fini(struct docker_op *op)
{
	buf_fini(&((struct download *)op)->trouble);
}

static void
on_head(void *arg, const struct httpc_reply *reply)
{
	struct download *d = arg;

	d->is_good = docker_status_is_good(d->op.call, reply->status);
}

static void
on_body(void *arg, struct str bytes)
{
	struct download *d = arg;

	if (d->is_good)
		d->on_bytes(d->op.arg, bytes);
	else
		buf_addstr(&d->trouble, bytes); /* its beginning is enough */
}

static void
on_done(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	static const union docker_result nothing;
	struct download *d = arg;
	struct err failure;

	d->op.http = NULL;
	if (err == NULL && d->is_good) {
		docker_op_end(&d->op, &nothing, NULL);
		return;
	}
	failure = err != NULL ? err_prefix(*err, "%s", d->op.call->what)
			      : docker_status_error(d->op.call, reply->status, buf_str(&d->trouble));
	docker_op_end(&d->op, NULL, &failure);
}

struct docker_op *
docker_download(
    struct docker *docker, const char *container, const char *path, docker_bytes_fn *on_bytes, docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "download from container", .method = "GET", .total_ms = 3600000, .idle_ms = 120000
	};
	static const struct httpc_handler handler = { .on_head = on_head, .on_body = on_body, .on_done = on_done };
	struct download *d = (struct download *)docker_op_new(docker, sizeof(*d), &call, fn, arg);
	char *encoded = docker_encode(path);

	d->op.fini = download_fini;
	d->on_bytes = on_bytes;
	buf_init(&d->trouble, DOCKER_TROUBLE_MAX);
	docker_op_send(
	    &d->op, docker_path(&d->op, "/containers/%s/archive?path=%s", container, encoded), NULL, 0, &handler);
	free(encoded);
	return &d->op;
}

void
docker_download_pause(struct docker_op *op)
{
	httpc_pause(op->http);
}

void
docker_download_resume(struct docker_op *op)
{
	httpc_resume(op->http);
}
