/* A tar into a container that was never started: the head from memory, the rest from files, with back-pressure. */
#include "server/io/docker_private.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/tar.h"

struct upload {
	struct docker_op op;
	char *head; /* NULL: it is sent */
	size_t head_len;
	const struct docker_piece *pieces;
	size_t piece, count;
	int64_t offset;    /* in the piece */
	bool has_sent_end; /* of the archive */
};

static void
upload_fini(struct docker_op *op)
{
	free(((struct upload *)op)->head);
}

static void
send_end(struct upload *u)
{
	struct buf end;

	buf_init(&end, 2 * TAR_BLOCK);
	tar_end(&end);
	httpc_send(u->op.http, buf_str(&end));
	buf_fini(&end);
	u->has_sent_end = true;
}

static void
send_piece(struct upload *u)
{
	const struct docker_piece *piece = &u->pieces[u->piece];
	int64_t left = piece->size - u->offset;
	size_t len = left < STREAM_FILE_SEGMENT ? (size_t)left : STREAM_FILE_SEGMENT;
	struct err err;

	if (!httpc_send_file(u->op.http, piece->fd, u->offset, len, &err)) {
		docker_op_end(&u->op, NULL, &err);
		return;
	}
	u->offset += (int64_t)len;
	if (u->offset == piece->size) {
		u->piece++;
		u->offset = 0;
	}
}

static void
on_drain(void *arg)
{
	struct upload *u = arg;

	while (u->piece < u->count && u->pieces[u->piece].size == 0)
		u->piece++;
	if (u->head != NULL) {
		httpc_send(u->op.http, (struct str){ u->head, u->head_len });
		free(u->head);
		u->head = NULL;
	} else if (u->piece < u->count) {
		send_piece(u);
	} else if (!u->has_sent_end) {
		send_end(u);
	} else {
		httpc_end(u->op.http);
	}
}

struct docker_op *
docker_upload(struct docker *docker, const char *container, struct str head, const struct docker_piece *pieces,
    size_t count, docker_fn *fn, void *arg)
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
	u->pieces = pieces;
	u->count = count;
	request.length = (int64_t)head.len + 2 * TAR_BLOCK;
	for (size_t i = 0; i < count; i++)
		request.length += pieces[i].size;
	u->op.http = httpc_request(docker->httpc, &request, &handler, u);
	free(path);
	return &u->op;
}
