/* Images that are made and sent away: the build call, whose body and reply go on at the same time, and the push. */
#include "server/io/docker_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json.h"
#include "proto/mem.h"
#include "proto/url.h"

enum { QUERY_MAX = 512 * 1024, CPU_PERIOD_US = 100000 };

/* --- build --- */

struct build {
	struct docker_follow follow;
	docker_open_fn *on_drain;
	docker_text_fn *on_text;
	char id[DOCKER_ID_SIZE];
};

static void
add_text(struct buf *query, const char *name, const char *value)
{
	buf_addf(query, "&%s=", name);
	url_encode(query, str_of(value), "");
}

/* {"NAME": "value"}; NULL: there is none. free() it. */
static char *
object_of_env(const struct env *env)
{
	struct json_writer *w;

	if (env == NULL || env->count == 0)
		return NULL;
	w = json_writer_new(QUERY_MAX);
	json_write_object_open(w);
	for (size_t i = 0; i < env->count; i++)
		json_member_string(w, env->vars[i].name, env->vars[i].value);
	json_write_object_close(w);
	return json_writer_finish(&w, NULL);
}

static char *
object_of_labels(const struct strings *labels)
{
	struct env env = { .count = 0 };
	char *text;

	for (size_t i = 0; labels != NULL && i < labels->count; i++) {
		struct str value = str_of(labels->items[i]), name = str_cut(&value, '=');
		char *copy = str_dup(name);

		env_add(&env, copy, value.p);
		free(copy);
	}
	text = object_of_env(&env);
	env_fini(&env);
	return text;
}

/* ["A", "B"]; free() it. */
static char *
list_of(const struct strings *strings)
{
	struct json_writer *w = json_writer_new(QUERY_MAX);

	json_write_array_open(w);
	for (size_t i = 0; i < strings->count; i++)
		json_write_string(w, strings->items[i]);
	json_write_array_close(w);
	return json_writer_finish(&w, NULL);
}

static void
add_object(struct buf *query, const char *name, char *object)
{
	if (object != NULL)
		add_text(query, name, object);
	free(object);
}

/* forcerm: with rm alone the container of a step that failed would stay. */
static void
add_query(struct buf *query, const struct docker_build_spec *spec)
{
	buf_addf(
	    query, "/build?forcerm=1&memory=%" PRIu64 "&memswap=%" PRIu64, spec->limits.memory, spec->limits.memory);
	buf_addf(query, "&cpuperiod=%d&cpuquota=%" PRIu64, CPU_PERIOD_US,
	    spec->limits.nano_cpus / (1000000000 / CPU_PERIOD_US));
	add_text(query, "dockerfile", spec->dockerfile);
	add_text(query, "networkmode", spec->network);
	if (spec->target != NULL)
		add_text(query, "target", spec->target);
	for (size_t i = 0; spec->tags != NULL && i < spec->tags->count; i++)
		add_text(query, "t", spec->tags->items[i]);
	add_object(query, "buildargs", object_of_env(spec->args));
	add_object(query, "labels", object_of_labels(spec->labels));
	if (spec->cache_from != NULL && spec->cache_from->count > 0)
		add_object(query, "cachefrom", list_of(spec->cache_from));
	if (spec->platform != NULL)
		add_text(query, "platform", spec->platform);
	if (spec->no_cache)
		buf_adds(query, "&nocache=1");
	if (spec->pull)
		buf_adds(query, "&pull=1");
}

static bool
on_build_line(struct docker_follow *follow, struct str text, struct err *err)
{
	struct build *b = (struct build *)follow;
	struct docker_build_line line;
	bool good;

	if (!docker_reply_build(text, &line, err))
		return false;
	if (line.id[0] != '\0')
		memcpy(b->id, line.id, sizeof(b->id));
	good = line.error[0] == '\0';
	if (!good)
		err_set(err, line.is_theirs ? ERR_INPUT : docker_registry_error(line.error), 0, "%s", line.error);
	else if (line.text.len > 0)
		b->on_text(b->follow.op.arg, line.text);
	docker_build_line_fini(&line);
	return good;
}

static void
on_build_drain(void *arg)
{
	struct build *b = arg;

	b->on_drain(b->follow.op.arg);
}

static void
on_build_done(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct build *b = arg;
	union docker_result result = { .id = "" };
	struct err failure;

	if (err == NULL && reply->status == 400) { /* a Dockerfile that cannot be read */
		b->follow.op.http = NULL;
		failure = docker_status_error(b->follow.op.call, reply->status, buf_str(&b->follow.trouble));
		failure.code = ERR_INPUT;
		docker_op_end(&b->follow.op, NULL, &failure);
		return;
	}
	if (err != NULL || !b->follow.is_good) {
		docker_follow_on_done(arg, reply, err);
		return;
	}
	b->follow.op.http = NULL;
	memcpy(result.id, b->id, sizeof(b->id));
	failure = err_make(ERR_PROTO, 0, "build image: the engine does not say what it made");
	docker_op_end(&b->follow.op, &result, b->id[0] != '\0' ? NULL : &failure);
}

struct docker_op *
docker_image_build(struct docker *docker, const struct docker_build_spec *spec, docker_open_fn *on_drain,
    docker_text_fn *on_text, docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "build image", .method = "POST", .idle_ms = 1800000 };
	static const struct httpc_handler handler = { .on_head = docker_follow_on_head,
		.on_body = docker_follow_on_body,
		.on_drain = on_build_drain,
		.on_done = on_build_done };
	static const struct httpc_header type = { "Content-Type", "application/x-tar" };
	struct build *b = (struct build *)docker_follow_new(docker, sizeof(*b), &call, fn, arg);
	struct httpc_request request = { .method = call.method,
		.headers = &type,
		.header_count = 1,
		.streamed = true,
		.length = -1,
		.idle_ms = call.idle_ms };
	struct buf query;
	char *path;

	b->follow.on_line = on_build_line;
	b->on_drain = on_drain;
	b->on_text = on_text;
	buf_init(&query, QUERY_MAX);
	add_query(&query, spec);
	path = docker_path(&b->follow.op, "%s", query.data);
	request.path = path;
	b->follow.op.http = httpc_request(docker->httpc, &request, &handler, b);
	free(path);
	buf_fini(&query);
	return &b->follow.op;
}

void
docker_build_send(struct docker_op *op, struct str bytes)
{
	httpc_send(op->http, bytes);
}

void
docker_build_end(struct docker_op *op)
{
	httpc_end(op->http);
}

/* --- push, remove --- */

struct push {
	struct docker_follow follow;
	char digest[128];
};

static bool
on_push_line(struct docker_follow *follow, struct str line, struct err *err)
{
	struct push *p = (struct push *)follow;
	struct docker_progress progress;

	if (!docker_reply_progress(line, &progress, err))
		return false;
	if (progress.digest[0] != '\0')
		memcpy(p->digest, progress.digest, sizeof(p->digest));
	return docker_on_progress(follow, line, err);
}

static void
on_push_done(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	union docker_result result = { .digest = "" };
	struct push *p = arg;

	if (err != NULL || !p->follow.is_good) {
		docker_follow_on_done(arg, reply, err);
		return;
	}
	p->follow.op.http = NULL;
	memcpy(result.digest, p->digest, sizeof(p->digest));
	docker_op_end(&p->follow.op, &result, NULL);
}

/* "registry:5000/a/b:tag" to the name without its tag and the tag. */
static char *
cut_tag(const char *image, const char **tag)
{
	const char *colon = strrchr(image, ':'), *slash = strrchr(image, '/');

	if (colon == NULL || (slash != NULL && colon < slash)) {
		*tag = "latest";
		return xstrdup(image);
	}
	*tag = colon + 1;
	return xstrndup(image, (size_t)(colon - image));
}

struct docker_op *
docker_image_push(struct docker *docker, const char *image, const char *auth, docker_progress_fn *on_progress,
    docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "push image", .method = "POST", .total_ms = 3600000, .idle_ms = 300000
	};
	static const struct httpc_handler handler = {
		.on_head = docker_follow_on_head, .on_body = docker_follow_on_body, .on_done = on_push_done
	};
	struct push *p = (struct push *)docker_follow_new(docker, sizeof(*p), &call, fn, arg);
	const char *tag;
	char *name = cut_tag(image, &tag), *encoded = docker_encode(name);

	p->follow.on_line = on_push_line;
	p->follow.on_progress = on_progress;
	/* The header must be there; {} is nobody. */
	docker_follow_post(&p->follow, &call,
	    auth != NULL ? auth : "e30=", docker_path(&p->follow.op, "/images/%s/push?tag=%s", encoded, tag), &handler);
	free(encoded);
	free(name);
	return &p->follow.op;
}

static bool
decode_remote(struct str body, union docker_result *result, struct err *err)
{
	return docker_reply_remote(body, result->digest, err);
}

/* What the registry said counts, not what the engine made of it. */
static void
on_remote(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct docker_op *op = arg;
	struct err failure;

	if (err != NULL || docker_status_is_good(op->call, reply->status)) {
		docker_on_done(arg, reply, err);
		return;
	}
	op->http = NULL;
	failure = docker_status_error(op->call, reply->status, reply->body);
	failure.code = docker_registry_error(failure.text);
	docker_op_end(op, NULL, &failure);
}

struct docker_op *
docker_image_remote(struct docker *docker, const char *image, const char *auth, docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "ask the registry", .method = "GET", .total_ms = 60000, .decode = decode_remote
	};
	static const struct httpc_handler handler = { .on_done = on_remote };
	const struct httpc_header header = { "X-Registry-Auth", auth };
	struct docker_op *op = docker_op_new(docker, sizeof(*op), &call, fn, arg);
	char *encoded = docker_encode(image), *path = docker_path(op, "/distribution/%s/json", encoded);
	const struct httpc_request request = { .method = call.method,
		.path = path,
		.headers = &header,
		.header_count = auth != NULL ? 1 : 0,
		.reply_max = DOCKER_REPLY_MAX,
		.total_ms = call.total_ms };

	op->http = httpc_request(docker->httpc, &request, &handler, op);
	free(path);
	free(encoded);
	return op;
}

struct docker_op *
docker_image_remove(struct docker *docker, const char *image, docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "remove image", .method = "DELETE", .also_good = 404, .total_ms = 60000
	};
	char *encoded = docker_encode(image);
	struct docker_op *op = docker_plain(docker, &call, xasprintf("/images/%s", encoded), fn, arg);

	free(encoded);
	return op;
}

struct docker_op *
docker_image_tag(struct docker *docker, const char *image, const char *name, docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "name image", .method = "POST", .total_ms = 60000 };
	const char *tag = strrchr(name, ':');
	char *encoded = docker_encode(image), *repository = xstrndup(name, (size_t)(tag - name)),
	     *encoded_repository = docker_encode(repository);
	struct docker_op *op = docker_plain(
	    docker, &call, xasprintf("/images/%s/tag?repo=%s&tag=%s", encoded, encoded_repository, tag + 1), fn, arg);

	free(encoded_repository);
	free(repository);
	free(encoded);
	return op;
}
