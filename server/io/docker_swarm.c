/* The calls that a swarm's manager takes. */
#include <inttypes.h>
#include <stdlib.h>

#include "proto/mem.h"
#include "server/io/docker_private.h"

enum { LIST_MS = 30000, CHANGE_MS = 60000, LOGS_MS = 15000 };

static bool
decode_services(struct str body, union docker_result *result, struct err *err)
{
	return docker_reply_services(body, &result->services, err);
}

static void
release_services(union docker_result *result)
{
	docker_services_fini(&result->services);
}

static bool
decode_tasks(struct str body, union docker_result *result, struct err *err)
{
	return docker_reply_tasks(body, &result->tasks, err);
}

static void
release_tasks(union docker_result *result)
{
	docker_tasks_fini(&result->tasks);
}

struct docker_op *
docker_overlay_create(
    struct docker *docker, const char *name, const struct docker_label *labels, size_t count, docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "create network", .method = "POST", .total_ms = CHANGE_MS };
	struct docker_op *op = docker_op_new(docker, sizeof(*op), &call, fn, arg);
	size_t len;
	char *body = docker_overlay_body(name, labels, count, &len);

	docker_op_send(op, docker_path(op, "/networks/create"), body, len, NULL);
	return op;
}

struct docker_op *
docker_list_services(struct docker *docker, const char *filters, docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "list services",
		.method = "GET",
		.total_ms = LIST_MS,
		.decode = decode_services,
		.release = release_services };

	return docker_filtered(docker, &call, "/services?filters=", filters, fn, arg);
}

static struct docker_op *
send_spec(struct docker *docker, const struct docker_call *call, char *path, const struct docker_service_spec *spec,
    const char *auth, docker_fn *fn, void *arg)
{
	struct docker_op *op = docker_op_new(docker, sizeof(*op), call, fn, arg);
	size_t len;
	char *body = docker_service_body(spec, &len), *whole = docker_path(op, "%s", path);

	free(path);
	docker_op_send_login(op, auth, whole, body, len, NULL);
	return op;
}

struct docker_op *
docker_service_create(
    struct docker *docker, const struct docker_service_spec *spec, const char *auth, docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "create service", .method = "POST", .total_ms = CHANGE_MS };

	return send_spec(docker, &call, xstrdup("/services/create"), spec, auth, fn, arg);
}

struct docker_op *
docker_service_update(struct docker *docker, const struct docker_service *service,
    const struct docker_service_spec *spec, const char *auth, docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "update service", .method = "POST", .total_ms = CHANGE_MS };
	char *path = xasprintf("/services/%s/update?version=%" PRId64, service->id, service->version);

	return send_spec(docker, &call, path, spec, auth, fn, arg);
}

struct docker_op *
docker_service_back(struct docker *docker, const struct docker_service *service, docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "roll back service", .method = "POST", .total_ms = CHANGE_MS };
	struct docker_op *op = docker_op_new(docker, sizeof(*op), &call, fn, arg);
	size_t len;
	char *body = docker_service_back_body(service->name, &len);

	docker_op_send(op,
	    docker_path(op, "/services/%s/update?version=%" PRId64 "&rollback=previous", service->id, service->version),
	    body, len, NULL);
	return op;
}

struct docker_op *
docker_service_remove(struct docker *docker, const char *service, docker_fn *fn, void *arg)
{
	static const struct docker_call call = {
		.what = "remove service", .method = "DELETE", .also_good = 404, .total_ms = CHANGE_MS
	};

	return docker_plain(docker, &call, xasprintf("/services/%s", service), fn, arg);
}

struct docker_op *
docker_list_tasks(struct docker *docker, const char *service, docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "list tasks",
		.method = "GET",
		.total_ms = LIST_MS,
		.decode = decode_tasks,
		.release = release_tasks };
	char *filters = docker_task_filter(service);
	struct docker_op *op = docker_filtered(docker, &call, "/tasks?filters=", filters, fn, arg);

	free(filters);
	return op;
}

/* A node that is not there would be waited for. */
struct docker_op *
docker_task_logs(
    struct docker *docker, const char *task, unsigned lines, docker_output_fn *on_output, docker_fn *fn, void *arg)
{
	static const struct docker_call call = { .what = "read a task's output", .method = "GET", .total_ms = LOGS_MS };

	return docker_last_lines(docker, &call, xasprintf("/tasks/%s", task), lines, on_output, fn, arg);
}
