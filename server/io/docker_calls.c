/* The calls with a reply that is read when it is whole: images, containers, networks, volumes. */
#include "server/io/docker_private.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

bool
docker_decode_id(struct str body, union docker_result *result, struct err *err)
{
	return docker_reply_id(body, result->id, err);
}

static bool
decode_exit(struct str body, union docker_result *result, struct err *err)
{
	return docker_reply_exit(body, &result->exit, err);
}

static bool
decode_container(struct str body, union docker_result *result, struct err *err)
{
	return docker_reply_container(body, &result->container, err);
}

static bool
decode_list(struct str body, union docker_result *result, struct err *err)
{
	return docker_reply_list(body, &result->list, err);
}

static void
release_list(union docker_result *result)
{
	docker_list_fini(&result->list);
}

struct docker_op *
docker_filtered(struct docker *docker, const struct docker_call *call, const char *path, const char *filters,
    docker_fn *fn, void *arg)
{
	char *encoded = docker_encode(filters), *whole = xasprintf("%s%s", path, encoded);

	free(encoded);
	return docker_plain(docker, call, whole, fn, arg);
}

/* --- images --- */

struct image_inspect {
	struct docker_op op;
	char *name; /* of the repository whose digest is wanted */
};

static void
image_inspect_fini(struct docker_op *op)
{
	free(((struct image_inspect *)op)->name);
}

static void
on_image(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct image_inspect *i = arg;
	union docker_result result;
	struct err failure;
	bool good;

	if (err != NULL || !docker_status_is_good(i->op.call, reply->status)) {
		docker_on_done(arg, reply, err);
		return;
	}
	i->op.http = NULL;
	good = docker_reply_image(reply->body, i->name, &result.image, &failure);
	if (!good)
		failure = err_prefix(failure, "%s", i->op.call->what);
	docker_op_end(&i->op, good ? &result : NULL, good ? NULL : &failure);
}

struct docker_op *
docker_image_inspect(struct docker *docker, const char *image, const char *name, docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "inspect image", .method = "GET", .total_ms = 30000 };
	static const struct httpc_handler handler = { .on_done = on_image };
	struct image_inspect *i = (struct image_inspect *)docker_op_new(docker, sizeof(*i), &call, fn, arg);
	char *encoded = docker_encode(image);

	i->op.fini = image_inspect_fini;
	i->name = xstrdup(name);
	docker_op_send(&i->op, docker_path(&i->op, "/images/%s/json", encoded), NULL, 0, &handler);
	free(encoded);
	return &i->op;
}

/* --- containers --- */

struct create {
	struct docker_op op;
	char *name;
	struct docker_label *labels;
	size_t label_count;
};

static void
create_fini(struct docker_op *op)
{
	struct create *c = (struct create *)op;

	for (size_t i = 0; i < c->label_count; i++) {
		free((char *)c->labels[i].name);
		free((char *)c->labels[i].value);
	}
	free(c->labels);
	free(c->name);
}

static void
keep_labels(struct create *c, const struct docker_label *labels, size_t count)
{
	c->label_count = count;
	c->labels = xcalloc(count, sizeof(*c->labels));
	for (size_t i = 0; i < count; i++)
		c->labels[i] = (struct docker_label){ xstrdup(labels[i].name), xstrdup(labels[i].value) };
}

static void
on_twin(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct create *c = arg;

	if (err == NULL && docker_status_is_good(c->op.call, reply->status) &&
	    !docker_reply_is_twin(reply->body, c->labels, c->label_count)) {
		struct err taken = err_make(ERR_CONFLICT, 409, "create container: the name %s is taken", c->name);

		c->op.http = NULL;
		docker_op_end(&c->op, NULL, &taken);
		return;
	}
	docker_on_done(arg, reply, err);
}

static void
on_created(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	static const struct docker_call inspect = {
		.what = "inspect container", .method = "GET", .total_ms = 30000, .decode = docker_decode_id
	};
	static const struct httpc_handler handler = { .on_done = on_twin };
	struct create *c = arg;

	if (err != NULL || reply->status != 409) {
		docker_on_done(arg, reply, err);
		return;
	}
	c->op.http = NULL;
	c->op.call = &inspect;
	docker_op_send(&c->op, docker_path(&c->op, "/containers/%s/json", c->name), NULL, 0, &handler);
}

/* body is taken over. */
static struct docker_op *
create(struct docker *docker, const char *name, char *body, size_t len, const struct docker_label *labels, size_t count,
    docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "create container", .method = "POST", .total_ms = 120000, .decode = docker_decode_id
	};
	static const struct httpc_handler handler = { .on_done = on_created };
	struct create *c = (struct create *)docker_op_new(docker, sizeof(*c), &call, fn, arg);

	c->op.fini = create_fini;
	c->name = xstrdup(name);
	keep_labels(c, labels, count);
	docker_op_send(&c->op, docker_path(&c->op, "/containers/create?name=%s", name), body, len, &handler);
	return &c->op;
}

struct docker_op *
docker_create(
    struct docker *docker, const char *name, const struct docker_container_spec *spec, docker_fn *fn, void *arg)
{
	size_t len;
	char *body = docker_container_body(spec, docker->is_podman, &len);

	return create(docker, name, body, len, spec->labels, spec->label_count, fn, arg);
}

struct docker_op *
docker_create_application(
    struct docker *docker, const char *name, const struct docker_application_spec *spec, docker_fn *fn, void *arg)
{
	size_t len;
	char *body = docker_application_body(spec, &len);

	return create(docker, name, body, len, spec->labels, spec->label_count, fn, arg);
}

struct docker_op *
docker_start(struct docker *docker, const char *container, docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "start container", .method = "POST", .also_good = 304, .total_ms = 120000
	};

	return docker_plain(docker, &call, xasprintf("/containers/%s/start", container), fn, arg);
}

struct docker_op *
docker_stop(struct docker *docker, const char *container, unsigned grace_s, docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "stop container", .method = "POST", .also_good = 304 };

	return docker_plain(docker, &call, xasprintf("/containers/%s/stop?t=%u", container, grace_s), fn, arg);
}

struct removal {
	struct docker_op op;
	char *again; /* the path, for a second try; NULL: that is it */
};

static void
removal_fini(struct docker_op *op)
{
	free(((struct removal *)op)->again);
}

/* Podman fails to kill a container that ends just then ("container not running"); the next time it has ended. */
static void
on_removed(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	static const struct httpc_handler handler = { .on_done = on_removed };
	struct removal *r = arg;
	char *path = r->again;

	if (err != NULL || reply->status != 500 || path == NULL || !r->op.docker->is_podman) {
		docker_on_done(arg, reply, err);
		return;
	}
	r->again = NULL;
	r->op.http = NULL;
	docker_op_send(&r->op, path, NULL, 0, &handler);
}

struct docker_op *
docker_remove(struct docker *docker, const char *container, docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "remove container", .method = "DELETE", .also_good = 404, .total_ms = 60000
	};
	static const struct httpc_handler handler = { .on_done = on_removed };
	struct removal *r = (struct removal *)docker_op_new(docker, sizeof(*r), &call, fn, arg);

	r->op.fini = removal_fini;
	r->again = docker_path(&r->op, "/containers/%s?force=1&v=1", container);
	docker_op_send(&r->op, xstrdup(r->again), NULL, 0, &handler);
	return &r->op;
}

struct docker_op *
docker_update(
    struct docker *docker, const char *container, const struct docker_limits *limits, docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "limit container", .method = "POST", .total_ms = 30000 };
	struct docker_op *op = docker_op_new(docker, sizeof(*op), &call, fn, arg);
	size_t len;
	char *body = docker_update_body(limits, &len);

	docker_op_send(op, docker_path(op, "/containers/%s/update", container), body, len, NULL);
	return op;
}

struct docker_op *
docker_rename(struct docker *docker, const char *container, const char *name, docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "rename container", .method = "POST", .total_ms = 30000 };

	return docker_plain(docker, &call, xasprintf("/containers/%s/rename?name=%s", container, name), fn, arg);
}

struct docker_op *
docker_inspect(struct docker *docker, const char *container, docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "inspect container", .method = "GET", .total_ms = 30000, .decode = decode_container
	};

	return docker_plain(docker, &call, xasprintf("/containers/%s/json", container), fn, arg);
}

struct docker_op *
docker_list_containers(struct docker *docker, const char *filters, docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "list containers",
		.method = "GET",
		.total_ms = 60000,
		.decode = decode_list,
		.release = release_list };

	return docker_filtered(docker, &call, "/containers/json?all=1&filters=", filters, fn, arg);
}

struct wait {
	struct docker_op op;
	docker_open_fn *on_registered;
};

/* The engine sends the head when it has begun to wait, the body at the container's end. */
static void
on_wait_head(void *arg, const struct httpc_reply *reply)
{
	struct wait *w = arg;

	if (docker_status_is_good(w->op.call, reply->status) && w->on_registered != NULL)
		w->on_registered(w->op.arg);
}

static struct docker_op *
wait_for(struct docker *docker, const char *container, const char *condition, docker_open_fn *on_registered,
    docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "wait for container", .method = "POST", .decode = decode_exit
	};
	static const struct httpc_handler handler = { .on_head = on_wait_head, .on_done = docker_on_done };
	struct wait *w = (struct wait *)docker_op_new(docker, sizeof(*w), &call, fn, arg);

	w->on_registered = on_registered;
	docker_op_send(
	    &w->op, docker_path(&w->op, "/containers/%s/wait?condition=%s", container, condition), NULL, 0, &handler);
	return &w->op;
}

struct docker_op *
docker_wait(struct docker *docker, const char *container, docker_open_fn *on_registered, docker_fn *fn, void *arg)
{
	return wait_for(docker, container, "next-exit", on_registered, fn, arg);
}

struct docker_op *
docker_wait_started(
    struct docker *docker, const char *container, docker_open_fn *on_registered, docker_fn *fn, void *arg)
{
	return wait_for(docker, container, "not-running", on_registered, fn, arg);
}

/* --- networks --- */

struct docker_op *
docker_network_create(
    struct docker *docker, const char *name, const struct docker_label *labels, size_t count, docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "create network", .method = "POST", .total_ms = 60000, .decode = docker_decode_id
	};
	struct docker_op *op = docker_op_new(docker, sizeof(*op), &call, fn, arg);
	size_t len;
	char *body = docker_network_body(name, labels, count, &len);

	docker_op_send(op, docker_path(op, "/networks/create"), body, len, NULL);
	return op;
}

/* 403: it is in it. */
struct docker_op *
docker_network_connect(
    struct docker *docker, const char *network, const char *container, const char *alias, docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "connect to network", .method = "POST", .also_good = 403, .total_ms = 60000
	};
	struct docker_op *op = docker_op_new(docker, sizeof(*op), &call, fn, arg);
	size_t len;
	char *body = docker_connect_body(container, alias, &len);

	docker_op_send(op, docker_path(op, "/networks/%s/connect", network), body, len, NULL);
	return op;
}

struct docker_op *
docker_network_remove(struct docker *docker, const char *network, docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "remove network", .method = "DELETE", .also_good = 404, .total_ms = 60000
	};

	return docker_plain(docker, &call, xasprintf("/networks/%s", network), fn, arg);
}

struct docker_op *
docker_list_networks(struct docker *docker, const char *filters, docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "list networks",
		.method = "GET",
		.total_ms = 60000,
		.decode = decode_list,
		.release = release_list };

	return docker_filtered(docker, &call, "/networks?filters=", filters, fn, arg);
}

/* --- the engine itself --- */

static bool
decode_registries(struct str body, union docker_result *result, struct err *err)
{
	return clear_registries_read(body, &result->registries, err);
}

struct docker_op *
docker_clear_registries(struct docker *docker, docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "ask what the engine is", .method = "GET", .total_ms = 60000, .decode = decode_registries
	};

	return docker_plain(docker, &call, xstrdup("/info"), fn, arg);
}

/* --- volumes --- */

struct docker_op *
docker_volume_create(
    struct docker *docker, const char *name, const struct docker_label *labels, size_t count, docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "create volume", .method = "POST", .total_ms = 60000 };
	struct docker_op *op = docker_op_new(docker, sizeof(*op), &call, fn, arg);
	size_t len;
	char *body = docker_volume_body(name, labels, count, &len);

	docker_op_send(op, docker_path(op, "/volumes/create"), body, len, NULL);
	return op;
}

struct docker_op *
docker_volume_remove(struct docker *docker, const char *volume, docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "remove volume", .method = "DELETE", .also_good = 404, .total_ms = 600000
	};

	return docker_plain(docker, &call, xasprintf("/volumes/%s", volume), fn, arg);
}

struct docker_op *
docker_list_volumes(struct docker *docker, const char *filters, docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "list volumes",
		.method = "GET",
		.total_ms = 60000,
		.decode = decode_list,
		.release = release_list };

	return docker_filtered(docker, &call, "/volumes?filters=", filters, fn, arg);
}
