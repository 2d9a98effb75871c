/* A process beside a container's own: made, started on a connection that becomes its input and output, and at the end
 * asked for its exit code. */
#include "server/io/docker_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/core/loop.h"

enum { ASK_AGAIN_MS = 100, ASK_MAX = 50, RESIZE_AGAIN_MS = 50, RESIZE_MAX = 40 };

enum exec_state {
	EXEC_CREATE,
	EXEC_START,
	EXEC_OPEN,
	EXEC_ASK, /* how it ended; again while the engine says that it runs */
};

struct docker_exec {
	struct docker *docker;
	enum exec_state state;
	struct docker_op *op; /* of EXEC_CREATE and EXEC_ASK */
	struct docker_op *resize;
	struct httpc_op *http; /* of EXEC_START */
	struct stream *stream; /* of EXEC_OPEN */
	struct timer *again;
	unsigned asked;
	char id[DOCKER_ID_SIZE];
	char *start_body;
	size_t start_len;
	bool *gone; /* set when it ends while on_open runs */
	struct timer *resize_again;
	unsigned rows, columns;
	unsigned resized;     /* in vain */
	bool is_resized_anew; /* while a size is being set */
	const struct docker_exec_handler *handler;
	void *arg;
};

static const struct docker_call start_call = { .what = "start process", .method = "POST", .total_ms = 30000 };

void
docker_exec_close(struct docker_exec **exec)
{
	struct docker_exec *e = *exec;

	if (e == NULL)
		return;
	*exec = NULL;
	if (e->gone != NULL)
		*e->gone = true;
	docker_cancel(&e->op);
	docker_cancel(&e->resize);
	httpc_cancel(&e->http);
	stream_close(&e->stream);
	timer_free(&e->again);
	timer_free(&e->resize_again);
	e->docker->ops--;
	free(e->start_body);
	free(e);
}

static void
end(struct docker_exec *e, int exit_code, const struct err *err)
{
	const struct docker_exec_handler *handler = e->handler;
	struct err copy = err != NULL ? *err : ERR_OK;
	void *arg = e->arg;

	docker_exec_close(&e);
	handler->on_close(arg, exit_code, err != NULL ? &copy : NULL);
}

static void
fail(struct docker_exec *e, struct err err)
{
	end(e, -1, &err);
}

/* --- the end --- */

static bool
decode_end(struct str body, union docker_result *result, struct err *err)
{
	return docker_reply_exec(body, &result->exec, err);
}

static void
on_asked(void *arg, const union docker_result *result, const struct err *err)
{
	struct docker_exec *e = arg;

	e->op = NULL;
	if (err != NULL)
		fail(e, *err);
	else if (result->exec.running && ++e->asked < ASK_MAX)
		timer_start(e->again, ASK_AGAIN_MS);
	else if (result->exec.running)
		fail(e, err_make(ERR_PROTO, 0, "the engine does not say how the process ended"));
	else
		end(e, result->exec.exit_code, NULL);
}

static void
ask(void *arg)
{
	static const struct docker_call call = {
		.what = "inspect process", .method = "GET", .total_ms = 30000, .decode = decode_end
	};
	struct docker_exec *e = arg;

	e->state = EXEC_ASK;
	e->op = docker_plain(e->docker, &call, xasprintf("/exec/%s/json", e->id), on_asked, e);
}

/* --- while it runs --- */

static void
on_data(void *arg, struct str bytes)
{
	struct docker_exec *e = arg;

	if (e->handler->on_output != NULL)
		e->handler->on_output(e->arg, bytes);
}

static void
on_drain(void *arg)
{
	struct docker_exec *e = arg;

	if (e->handler->on_drain != NULL)
		e->handler->on_drain(e->arg);
}

static void
on_close(void *arg, const struct err *err)
{
	struct docker_exec *e = arg;

	e->stream = NULL;
	if (err != NULL)
		fail(e, err_prefix(*err, "the process's output"));
	else
		ask(e);
}

static void
on_upgrade(void *arg, struct stream *stream, struct str first)
{
	static const struct stream_handler handler = { .on_data = on_data, .on_drain = on_drain, .on_close = on_close };
	struct docker_exec *e = arg;
	bool gone = false;

	e->http = NULL;
	e->stream = stream;
	e->state = EXEC_OPEN;
	stream_set_handler(stream, &handler, e);
	e->gone = &gone;
	e->handler->on_open(e->arg);
	if (gone)
		return;
	e->gone = NULL;
	if (first.len > 0)
		on_data(e, first);
}

/* The engine kept the connection to itself: it says why. */
static void
on_done(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct docker_exec *e = arg;

	e->http = NULL;
	if (err != NULL)
		fail(e, err_prefix(*err, "%s", start_call.what));
	else
		fail(e, docker_status_error(&start_call, reply->status, reply->body));
}

static void
start(struct docker_exec *e)
{
	static const struct httpc_handler handler = { .on_upgrade = on_upgrade, .on_done = on_done };
	static const struct httpc_header type = { "Content-Type", "application/json" };
	char *path = xasprintf("%s/exec/%s/start", e->docker->prefix, e->id);
	struct httpc_request request = { .method = start_call.method,
		.path = path,
		.headers = &type,
		.header_count = 1,
		.body = { e->start_body, e->start_len },
		.upgrade = "tcp",
		.total_ms = start_call.total_ms };

	e->state = EXEC_START;
	e->http = httpc_request(e->docker->httpc, &request, &handler, e);
	free(path);
}

static void
on_created(void *arg, const union docker_result *result, const struct err *err)
{
	struct docker_exec *e = arg;

	e->op = NULL;
	if (err != NULL) {
		fail(e, *err);
		return;
	}
	memcpy(e->id, result->id, sizeof(e->id));
	start(e);
}

static void set_size(void *arg);

struct docker_exec *
docker_exec(struct docker *docker, const char *container, const struct docker_exec_spec *spec,
    const struct docker_exec_handler *handler, void *arg)
{
	static const struct docker_call call = {
		.what = "create process", .method = "POST", .total_ms = 30000, .decode = docker_decode_id
	};
	struct docker_exec *e = xcalloc(1, sizeof(*e));
	size_t len;
	char *body = docker_exec_body(spec, &len);

	*e = (struct docker_exec){ .docker = docker, .handler = handler, .arg = arg };
	docker->ops++;
	e->again = timer_new(docker->loop, ask, e);
	e->resize_again = timer_new(docker->loop, set_size, e);
	e->start_body = docker_exec_start_body(spec, &e->start_len);
	e->op = docker_op_new(docker, sizeof(*e->op), &call, on_created, e);
	docker_op_send(e->op, docker_path(e->op, "/containers/%s/exec", container), body, len, NULL);
	return e;
}

void
docker_exec_write(struct docker_exec *exec, struct str bytes)
{
	if (exec->state == EXEC_OPEN)
		stream_write(exec->stream, bytes.p, bytes.len);
}

size_t
docker_exec_pending(const struct docker_exec *exec)
{
	return exec->state == EXEC_OPEN ? stream_pending(exec->stream) : 0;
}

void
docker_exec_pause(struct docker_exec *exec)
{
	if (exec->state == EXEC_OPEN)
		stream_pause(exec->stream);
}

void
docker_exec_resume(struct docker_exec *exec)
{
	if (exec->state == EXEC_OPEN)
		stream_resume(exec->stream);
}

/* --- the terminal's size --- */

/* The engine answers to the start before there is a terminal whose size could be set, so it is asked again. */
static void
on_resized(void *arg, const union docker_result *result, const struct err *err)
{
	struct docker_exec *e = arg;

	(void)result;
	e->resize = NULL;
	if (err != NULL && e->resized < RESIZE_MAX) {
		e->resized++;
		timer_start(e->resize_again, RESIZE_AGAIN_MS);
	} else if (e->is_resized_anew) {
		set_size(e);
	} else if (e->handler->on_resized != NULL) {
		e->handler->on_resized(e->arg);
	}
}

static void
set_size(void *arg)
{
	static const struct docker_call call = { .what = "resize terminal", .method = "POST", .total_ms = 10000 };
	struct docker_exec *e = arg;

	e->is_resized_anew = false;
	e->resize = docker_plain(
	    e->docker, &call, xasprintf("/exec/%s/resize?h=%u&w=%u", e->id, e->rows, e->columns), on_resized, e);
}

/* One call at a time: of those that come meanwhile the last counts. */
void
docker_exec_resize(struct docker_exec *exec, unsigned rows, unsigned columns)
{
	if (exec->state != EXEC_OPEN || rows == 0 || columns == 0)
		return;
	exec->rows = rows;
	exec->columns = columns;
	exec->resized = 0;
	if (exec->resize != NULL)
		exec->is_resized_anew = true;
	else if (!timer_is_running(exec->resize_again))
		set_size(exec);
}
