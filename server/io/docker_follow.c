/* The calls whose reply is taken as it comes: lines of JSON (pull, import, events) and frames (logs). */
#include "server/io/docker_private.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

enum { LINE_MAX_BYTES = 1024 * 1024 };

static void
follow_fini(struct docker_op *op)
{
	struct docker_follow *f = (struct docker_follow *)op;

	if (f->gone != NULL)
		*f->gone = true;
	buf_fini(&f->trouble);
	docker_lines_fini(&f->lines);
}

struct docker_follow *
docker_follow_new(struct docker *docker, size_t size, const struct docker_call *call, docker_fn *fn, void *arg)
{
	struct docker_follow *f = (struct docker_follow *)docker_op_new(docker, size, call, fn, arg);

	f->op.fini = follow_fini;
	buf_init(&f->trouble, DOCKER_TROUBLE_MAX);
	docker_lines_init(&f->lines, LINE_MAX_BYTES);
	return f;
}

static void
fail(struct docker_follow *f, struct err err)
{
	err = err_prefix(err, "%s", f->op.call->what);
	docker_op_end(&f->op, NULL, &err);
}

void
docker_follow_on_head(void *arg, const struct httpc_reply *reply)
{
	struct docker_follow *f = arg;

	f->is_good = docker_status_is_good(f->op.call, reply->status);
	if (f->is_good && f->on_open != NULL)
		f->on_open(f->op.arg);
}

static void
take_lines(struct docker_follow *f, struct str in)
{
	bool gone = false;
	struct str line;
	struct err err;

	f->gone = &gone;
	while (docker_lines_next(&f->lines, &in, &line)) {
		bool good = f->on_line(f, line, &err);

		if (gone)
			return;
		if (!good) {
			fail(f, err);
			return;
		}
	}
	f->gone = NULL;
	if (docker_lines_failed(&f->lines))
		fail(f, err_make(ERR_LIMIT, 0, "a line of the reply is longer than %d bytes", LINE_MAX_BYTES));
}

static void
take_frames(struct docker_follow *f, struct str in)
{
	enum docker_frames_next next;
	enum docker_stream stream;
	bool gone = false;
	struct str piece;

	f->gone = &gone;
	while ((next = docker_frames_next(&f->frames, &in, &stream, &piece)) == DOCKER_FRAMES_PIECE) {
		f->on_output(f->op.arg, stream, piece);
		if (gone)
			return;
	}
	f->gone = NULL;
	if (next == DOCKER_FRAMES_BAD)
		fail(f, err_make(ERR_PROTO, 0, "the output is not in frames"));
}

void
docker_follow_on_body(void *arg, struct str bytes)
{
	struct docker_follow *f = arg;

	if (!f->is_good)
		buf_addstr(&f->trouble, bytes); /* its beginning is enough */
	else if (f->on_output != NULL)
		take_frames(f, bytes);
	else
		take_lines(f, bytes);
}

void
docker_follow_on_done(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	static const union docker_result nothing;
	struct docker_follow *f = arg;
	struct err failure;

	f->op.http = NULL;
	if (err != NULL) {
		fail(f, *err);
	} else if (!f->is_good) {
		failure = docker_status_error(f->op.call, reply->status, buf_str(&f->trouble));
		docker_op_end(&f->op, NULL, &failure);
	} else if (!docker_frames_at_boundary(&f->frames)) {
		fail(f, err_make(ERR_PROTO, 0, "the output was cut off"));
	} else {
		docker_op_end(&f->op, &nothing, NULL);
	}
}

static const struct httpc_handler follow_handler = {
	.on_head = docker_follow_on_head, .on_body = docker_follow_on_body, .on_done = docker_follow_on_done
};

/* --- pull and import: status 200, and the error in a line --- */

enum err_code
docker_registry_error(const char *text)
{
	static const char *const missing[] = { "not found", "does not exist", "manifest unknown",
		"no matching manifest" };
	static const char *const denied[] = { "denied", "unauthorized", "authentication required",
		"no basic auth credentials" };

	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
		if (strstr(text, denied[i]) != NULL)
			return ERR_AUTH;
	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
		if (strstr(text, missing[i]) != NULL)
			return ERR_NOT_FOUND;
	return ERR_UNAVAILABLE;
}

bool
docker_on_progress(struct docker_follow *f, struct str line, struct err *err)
{
	struct docker_progress progress;

	if (!docker_reply_progress(line, &progress, err))
		return false;
	if (progress.error[0] != '\0')
		return err_set(err, docker_registry_error(progress.error), 0, "%.200s", progress.error);
	if (f->on_progress != NULL)
		f->on_progress(f->op.arg, &progress);
	return true;
}

void
docker_follow_post(struct docker_follow *f, const struct docker_call *call, const char *auth, char *path,
    const struct httpc_handler *handler)
{
	const struct httpc_header header = { "X-Registry-Auth", auth };
	const struct httpc_request request = { .method = call->method,
		.path = path,
		.headers = &header,
		.header_count = auth != NULL ? 1 : 0,
		.total_ms = call->total_ms,
		.idle_ms = call->idle_ms };

	f->op.http = httpc_request(f->op.docker->httpc, &request, handler, f);
	free(path);
}

/* Docker asks registries of this machine without TLS by itself, Podman when it is told so in its own API. */
static char *
pull_path(struct docker_op *op, const char *image, const char *platform)
{
	char *name = docker_encode(image), *wanted = docker_encode(platform != NULL ? platform : ""), *path;
	struct str arch = str_of(platform != NULL ? platform : ""), os = str_cut(&arch, '/');

	if (!op->docker->is_podman || strncmp(image, "127.", strlen("127.")) != 0)
		path = docker_path(op, "/images/create?fromImage=%s&platform=%s", name, wanted);
	else if (platform != NULL)
		path = xasprintf("/v4.0.0/libpod/images/pull?reference=%s&tlsVerify=false&OS=%.*s&Arch=%.*s", name,
		    (int)os.len, os.p, (int)str_cut(&arch, '/').len, arch.p);
	else
		path = xasprintf("/v4.0.0/libpod/images/pull?reference=%s&tlsVerify=false", name);
	free(wanted);
	free(name);
	return path;
}

struct docker_op *
docker_image_pull(
    struct docker *docker, const char *image, const char *auth, const char *platform, docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "pull image", .method = "POST", .total_ms = 3600000, .idle_ms = 300000
	};
	struct docker_follow *f = docker_follow_new(docker, sizeof(*f), &call, fn, arg);

	f->on_line = docker_on_progress;
	docker_follow_post(f, &call, auth, pull_path(&f->op, image, platform), &follow_handler);
	return &f->op;
}

/* repo has the tag, since Podman does not look at the parameter of that name. */
struct docker_op *
docker_image_import(struct docker *docker, const char *image, struct str tar, docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "import image", .method = "POST", .type = "application/x-tar", .total_ms = 120000
	};
	struct docker_follow *f = docker_follow_new(docker, sizeof(*f), &call, fn, arg);
	char *encoded = docker_encode(image);

	f->on_line = docker_on_progress;
	docker_op_send(&f->op, docker_path(&f->op, "/images/create?fromSrc=-&repo=%s", encoded),
	    memcpy(xcalloc(1, tar.len), tar.p, tar.len), tar.len, &follow_handler);
	free(encoded);
	return &f->op;
}

/* --- events --- */

static bool
on_event_line(struct docker_follow *f, struct str line, struct err *err)
{
	struct docker_event event;

	if (!docker_reply_event(line, &event, err))
		return false;
	f->on_event(f->op.arg, &event);
	return true;
}

struct docker_op *
docker_events(struct docker *docker, const char *filters, docker_open_fn *on_open, docker_event_fn *on_event,
    docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "follow the engine's events", .method = "GET" };
	struct docker_follow *f = docker_follow_new(docker, sizeof(*f), &call, fn, arg);
	char *encoded = docker_encode(filters);

	f->on_line = on_event_line;
	f->on_open = on_open;
	f->on_event = on_event;
	docker_op_send(&f->op, docker_path(&f->op, "/events?filters=%s", encoded), NULL, 0, &follow_handler);
	free(encoded);
	return &f->op;
}

/* --- logs --- */

struct docker_op *
docker_last_lines(struct docker *docker, const struct docker_call *call, char *path, unsigned lines,
    docker_output_fn *on_output, docker_fn *fn, void *arg)
{
	struct docker_follow *f = docker_follow_new(docker, sizeof(*f), call, fn, arg);

	f->on_output = on_output;
	docker_op_send(
	    &f->op, docker_path(&f->op, "%s/logs?stdout=1&stderr=1&tail=%u", path, lines), NULL, 0, &follow_handler);
	free(path);
	return &f->op;
}

struct docker_op *
docker_logs(
    struct docker *docker, const char *container, unsigned lines, docker_output_fn *on_output, docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "read a container's output", .method = "GET", .total_ms = 60000
	};

	return docker_last_lines(docker, &call, xasprintf("/containers/%s", container), lines, on_output, fn, arg);
}

struct docker_op *
docker_logs_follow(struct docker *docker, const char *container, docker_open_fn *on_open, docker_output_fn *on_output,
    docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "follow a container's output", .method = "GET" };
	struct docker_follow *f = docker_follow_new(docker, sizeof(*f), &call, fn, arg);

	f->on_open = on_open;
	f->on_output = on_output;
	docker_op_send(&f->op, docker_path(&f->op, "/containers/%s/logs?stdout=1&stderr=1&follow=1", container), NULL,
	    0, &follow_handler);
	return &f->op;
}
