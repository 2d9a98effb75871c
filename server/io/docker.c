#include "server/io/docker_private.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/url.h"

/* What these files were written and tested against. Engines that do not go back as far are asked for their oldest: the
 * fields used here are in all of them. */
#define API_MAJOR 1
#define API_MINOR 41
#define API_MINOR_LEAST 40

struct docker *
docker_new(struct loop *loop, const char *url, const struct stream_tls_conf *tls, struct err *err)
{
	struct httpc_conf conf = { .idle_max = 8 };
	struct docker *docker = xcalloc(1, sizeof(*docker));

	if (tls != NULL)
		conf.tls = *tls;
	docker->loop = loop;
	docker->httpc = httpc_new(loop, url, &conf, err);
	if (docker->httpc == NULL) {
		free(docker);
		return NULL;
	}
	return docker;
}

void
docker_free(struct docker **docker)
{
	struct docker *d = *docker;

	if (d == NULL)
		return;
	*docker = NULL;
	assert(d->ops == 0);
	httpc_free(&d->httpc);
	free(d);
}

struct docker_op *
docker_op_new(struct docker *docker, size_t size, const struct docker_call *call, docker_fn *fn, void *arg)
{
	struct docker_op *op = xcalloc(1, size);

	assert(size >= sizeof(*op));
	*op = (struct docker_op){ .docker = docker, .call = call, .fn = fn, .arg = arg };
	docker->ops++;
	return op;
}

static void
op_free(struct docker_op *op)
{
	httpc_cancel(&op->http);
	op->docker->ops--;
	if (op->fini != NULL)
		op->fini(op);
	free(op);
}

void
docker_cancel(struct docker_op **op)
{
	struct docker_op *o = *op;

	*op = NULL;
	if (o != NULL)
		op_free(o);
}

void
docker_op_end(struct docker_op *op, const union docker_result *result, const struct err *err)
{
	docker_fn *fn = op->fn;
	void *arg = op->arg;

	op_free(op);
	fn(arg, result, err);
}

char *
docker_encode(const char *text)
{
	struct buf b;
	char *encoded;

	buf_init(&b, DOCKER_PATH_MAX);
	url_encode(&b, str_of(text), "");
	encoded = buf_take(&b, NULL);
	buf_fini(&b);
	return encoded;
}

char *
docker_path(struct docker_op *op, const char *fmt, ...)
{
	char *path, *whole;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&path, fmt, ap);
	va_end(ap);
	assert(len >= 0);
	whole = xasprintf("%s%s", op->docker->prefix, path);
	free(path);
	return whole;
}

static const struct httpc_handler plain_handler = { .on_done = docker_on_done };

void
docker_op_send(struct docker_op *op, char *path, char *body, size_t body_len, const struct httpc_handler *handler)
{
	docker_op_send_login(op, NULL, path, body, body_len, handler);
}

void
docker_op_send_login(struct docker_op *op, const char *auth, char *path, char *body, size_t body_len,
    const struct httpc_handler *handler)
{
	struct httpc_header headers[2];
	size_t count = 0;
	struct httpc_request request = {
		.method = op->call->method,
		.path = path,
		.headers = headers,
		.body = { body, body_len },
		.reply_max = DOCKER_REPLY_MAX,
		.total_ms = op->call->total_ms,
		.idle_ms = op->call->idle_ms,
	};

	if (body != NULL)
		headers[count++] = (struct httpc_header){ "Content-Type",
			op->call->type != NULL ? op->call->type : "application/json" };
	if (auth != NULL)
		headers[count++] = (struct httpc_header){ "X-Registry-Auth", auth };
	request.header_count = count;
	op->http = httpc_request(op->docker->httpc, &request, handler != NULL ? handler : &plain_handler, op);
	free(path);
	free(body);
}

struct docker_op *
docker_plain(struct docker *docker, const struct docker_call *call, char *path, docker_fn *fn, void *arg)
{
	struct docker_op *op = docker_op_new(docker, sizeof(*op), call, fn, arg);
	char *whole = docker_path(op, "%s", path);

	free(path);
	docker_op_send(op, whole, NULL, 0, NULL);
	return op;
}

bool
docker_status_is_good(const struct docker_call *call, unsigned status)
{
	return (status >= 200 && status < 300) || (status == call->also_good && status != 0);
}

static enum err_code
status_code(unsigned status)
{
	switch (status) {
	case 401:
	case 403:
		return ERR_AUTH;
	case 404:
		return ERR_NOT_FOUND;
	case 409:
		return ERR_CONFLICT;
	case 503:
		return ERR_UNAVAILABLE;
	default:
		return ERR_REFUSED;
	}
}

struct err
docker_status_error(const struct docker_call *call, unsigned status, struct str body)
{
	char message[200];

	docker_reply_message(body, message, sizeof(message));
	return err_make(status_code(status), (int)status, "%s: %s", call->what, message);
}

void
docker_on_done(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct docker_op *op = arg;
	const struct docker_call *call = op->call;
	union docker_result result;
	struct err failure;

	op->http = NULL;
	memset(&result, 0, sizeof(result));
	if (err != NULL) {
		failure = err_prefix(*err, "%s", op->call->what);
	} else if (!docker_status_is_good(op->call, reply->status)) {
		failure = docker_status_error(op->call, reply->status, reply->body);
	} else if (op->call->decode == NULL || op->call->decode(reply->body, &result, &failure)) {
		docker_op_end(op, &result, NULL);
		if (call->release != NULL)
			call->release(&result);
		return;
	} else {
		failure = err_prefix(failure, "%s", op->call->what);
	}
	docker_op_end(op, NULL, &failure);
}

/* --- the engine --- */

static bool
parse_api(const char *text, unsigned *major, unsigned *minor)
{
	return sscanf(text, "%3u.%3u", major, minor) == 2;
}

/* The version in paths: the one these files know, or the nearest that the engine has. */
static bool
choose_api(struct docker *docker, const struct docker_version *version, struct err *err)
{
	unsigned major, minor, min_major = API_MAJOR, min_minor = 0;

	if (!parse_api(version->api, &major, &minor) || major != API_MAJOR || minor < API_MINOR_LEAST)
		return err_set(err, ERR_REFUSED, 0, "the engine speaks API %s; %d.%d or later is needed", version->api,
		    API_MAJOR, API_MINOR_LEAST);
	if (!parse_api(version->min_api, &min_major, &min_minor))
		min_minor = 0;
	if (minor > API_MINOR)
		minor = min_major == API_MAJOR && min_minor > API_MINOR ? min_minor : API_MINOR;
	docker->is_podman = version->is_podman;
	snprintf(docker->prefix, sizeof(docker->prefix), "/v%d.%u", API_MAJOR, minor);
	return true;
}

static bool
decode_version(struct str body, union docker_result *result, struct err *err)
{
	return docker_reply_version(body, &result->version, err);
}

static void
on_version(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct docker_op *op = arg;
	struct docker_version version;
	struct err failure;

	if (err == NULL && docker_status_is_good(op->call, reply->status) &&
	    docker_reply_version(reply->body, &version, &failure) && !choose_api(op->docker, &version, &failure)) {
		op->http = NULL;
		docker_op_end(op, NULL, &failure);
		return;
	}
	docker_on_done(arg, reply, err);
}

bool
docker_is_podman(const struct docker *docker)
{
	return docker->is_podman;
}

/* Podman has the package manager look for each of its programs first, which takes long on a busy machine. */
struct docker_op *
docker_version(struct docker *docker, docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "ask for the engine's version", .method = "GET", .total_ms = 60000, .decode = decode_version
	};
	static const struct httpc_handler handler = { .on_done = on_version };
	struct docker_op *op = docker_op_new(docker, sizeof(*op), &call, fn, arg);

	docker_op_send(op, xstrdup("/version"), NULL, 0, &handler);
	return op;
}
