/* A tar into a container that was never started: the head from memory, the rest from a file, with back-pressure. */
#include "server/io/docker_private.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

struct upload {
	struct docker_op op;
	char *head; /* NULL: it is sent */
	size_t head_len;
	int fd;
	int64_t offset;
	int64_t size;
};

static void
upload_fini(struct docker_op *op)
{
	free(((struct upload *)op)->head);
}

static void
on_drain(void *arg)
{
	struct upload *u = arg;
	int64_t left = u->size - u->offset;
	size_t len = left < STREAM_FILE_SEGMENT ? (size_t)left : STREAM_FILE_SEGMENT;
	struct err err;

	if (u->head != NULL) {
		httpc_send(u->op.http, (struct str){ u->head, u->head_len });
		free(u->head);
		u->head = NULL;
	} else if (left == 0) {
		httpc_end(u->op.http);
	} else if (httpc_send_file(u->op.http, u->fd, u->offset, len, &err)) {
		u->offset += (int64_t)len;
	} else {
		docker_op_end(&u->op, NULL, &err);
	}
}

struct docker_op *
docker_upload(
    struct docker *docker, const char *container, struct str head, int fd, int64_t fd_size, docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "upload to container", .method = "PUT", .total_ms = 1800000, .idle_ms = 120000
	};
	static const struct httpc_handler handler = { .on_drain = on_drain, .on_done = docker_on_done };
	static const struct httpc_header type = { "Content-Type", "application/x-tar" };
	struct upload *u = (struct upload *)docker_op_new(docker, sizeof(*u), &call, fn, arg);
	char *path = docker_path(&u->op, "/containers/%s/archive?path=%%2F", container);
	struct httpc_request request = { .method = "PUT",
		.path = path,
		.headers = &type,
		.header_count = 1,
		.streamed = true,
		.total_ms = call.total_ms,
		.idle_ms = call.idle_ms };

	u->op.fini = upload_fini;
	u->head = memcpy(xcalloc(1, head.len), head.p, head.len);
	u->head_len = head.len;
	u->fd = fd;
	u->size = fd >= 0 ? fd_size : 0;
	request.length = (int64_t)head.len + u->size;
	u->op.http = httpc_request(docker->httpc, &request, &handler, u);
	free(path);
	return &u->op;
}
