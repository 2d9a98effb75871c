#include "server/io/docker_private.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/mem.h"

/* First a request that asks for the connection, then the connection. */
struct docker_attach {
	struct docker *docker;
	struct httpc_op *http;
	struct stream *stream;
	struct docker_frames frames;
	bool *gone; /* set when the attachment ends while one of its callbacks runs */
	const struct docker_attach_handler *handler;
	void *arg;
};

static const struct docker_call attach_call = { .what = "attach to container", .method = "POST", .total_ms = 30000 };

void
docker_attach_close(struct docker_attach **attach)
{
	struct docker_attach *a = *attach;

	if (a == NULL)
		return;
	*attach = NULL;
	if (a->gone != NULL)
		*a->gone = true;
	httpc_cancel(&a->http);
	stream_close(&a->stream);
	a->docker->ops--;
	free(a);
}

static void
end(struct docker_attach *a, const struct err *err)
{
	const struct docker_attach_handler *handler = a->handler;
	void *arg = a->arg;

	docker_attach_close(&a);
	handler->on_close(arg, err);
}

static void
fail(struct docker_attach *a, struct err err)
{
	end(a, &err);
}

static void
on_data(void *arg, struct str in)
{
	struct docker_attach *a = arg;
	enum docker_frames_next next;
	enum docker_stream stream;
	bool gone = false;
	struct str piece;

	a->gone = &gone;
	while ((next = docker_frames_next(&a->frames, &in, &stream, &piece)) == DOCKER_FRAMES_PIECE) {
		a->handler->on_output(a->arg, stream, piece);
		if (gone)
			return;
	}
	a->gone = NULL;
	if (next == DOCKER_FRAMES_BAD)
		fail(a, err_make(ERR_PROTO, 0, "attach to container: the output is not in frames"));
}

static void
on_drain(void *arg)
{
	struct docker_attach *a = arg;

	if (a->handler->on_drain != NULL)
		a->handler->on_drain(a->arg);
}

static void
on_close(void *arg, const struct err *err)
{
	struct docker_attach *a = arg;

	a->stream = NULL;
	if (err != NULL)
		fail(a, err_prefix(*err, "container's output"));
	else if (!docker_frames_at_boundary(&a->frames))
		fail(a, err_make(ERR_PROTO, 0, "container's output: cut off"));
	else
		end(a, NULL);
}

static const struct stream_handler stream_handler = { .on_data = on_data, .on_drain = on_drain, .on_close = on_close };

static void
on_upgrade(void *arg, struct stream *stream, struct str first)
{
	struct docker_attach *a = arg;
	bool gone = false;

	a->http = NULL;
	a->stream = stream;
	stream_set_handler(stream, &stream_handler, a);
	a->gone = &gone;
	a->handler->on_open(a->arg);
	if (gone)
		return;
	a->gone = NULL;
	if (first.len > 0)
		on_data(a, first);
}

/* The engine kept the connection to itself: it says why. */
static void
on_done(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct docker_attach *a = arg;

	a->http = NULL;
	if (err != NULL)
		fail(a, err_prefix(*err, "%s", attach_call.what));
	else
		fail(a, docker_status_error(&attach_call, reply->status, reply->body));
}

struct docker_attach *
docker_attach(
    struct docker *docker, const char *container, bool input, const struct docker_attach_handler *handler, void *arg)
{
	static const struct httpc_handler http_handler = { .on_upgrade = on_upgrade, .on_done = on_done };
	struct docker_attach *a = xcalloc(1, sizeof(*a));
	char *path =
	    xasprintf("%s/containers/%s/attach?stream=1&stdin=%d&stdout=1&stderr=1", docker->prefix, container, input);
	struct httpc_request request = {
		.method = attach_call.method, .path = path, .upgrade = "tcp", .total_ms = attach_call.total_ms
	};

	*a = (struct docker_attach){ .docker = docker, .handler = handler, .arg = arg };
	docker->ops++;
	a->http = httpc_request(docker->httpc, &request, &http_handler, a);
	free(path);
	return a;
}

void
docker_attach_set_handler(struct docker_attach *attach, const struct docker_attach_handler *handler, void *arg)
{
	attach->handler = handler;
	attach->arg = arg;
}

void
docker_attach_write(struct docker_attach *attach, struct str bytes)
{
	assert(attach->stream != NULL);
	stream_write(attach->stream, bytes.p, bytes.len);
}

bool
docker_attach_write_file(struct docker_attach *attach, int fd, int64_t offset, size_t len, struct err *err)
{
	assert(attach->stream != NULL);
	return stream_write_file(attach->stream, fd, offset, len, err);
}

void
docker_attach_end_input(struct docker_attach *attach)
{
	assert(attach->stream != NULL);
	stream_close_write(attach->stream);
}
