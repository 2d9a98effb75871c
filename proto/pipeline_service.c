/* services: a list of names, or of mappings {name, image, env, ready}. */
#include "proto/pipeline_private.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

#define SERVICE_MAX 16
#define READY_TIMEOUT_S 60
#define READY_TIMEOUT_MAX_S 3600

/* What a bare name stands for: the versions that the files of the time still work with. */
static const struct {
	const char *name;
	const char *image;
	unsigned port; /* accepts when the service is ready */
} known[] = {
	{ "mysql", "mysql:5.7", 3306 },
	{ "mariadb", "mariadb:10", 3306 },
	{ "postgres", "postgres:16", 5432 },
	{ "postgresql", "postgres:16", 5432 },
	{ "redis", "redis:7", 6379 },
	{ "mongodb", "mongo:4.4", 27017 },
	{ "mongo", "mongo:4.4", 27017 },
	{ "memcached", "memcached:1", 11211 },
	{ "rabbitmq", "rabbitmq:3", 5672 },
	{ "influxdb", "influxdb:1.8", 8086 },
};

/* What an image wants to hear before it starts without questions: an open door, as nobody but the job reaches it. */
static const struct {
	const char *image;
	const char *name;
	const char *value;
	const char *unless; /* the user's own choice of another way */
} defaults[] = {
	{ "mysql", "MYSQL_ALLOW_EMPTY_PASSWORD", "yes", "MYSQL_ROOT_PASSWORD" },
	{ "mysql", "MYSQL_DATABASE", "test", "MYSQL_DATABASE" },
	{ "mariadb", "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD", "yes", "MARIADB_ROOT_PASSWORD" },
	{ "mariadb", "MARIADB_DATABASE", "test", "MARIADB_DATABASE" },
	{ "postgres", "POSTGRES_HOST_AUTH_METHOD", "trust", "POSTGRES_PASSWORD" },
};

/* The last part of an image's name without tag and digest: "mysql" of "registry:5000/library/mysql:5.6". */
static struct str
base_name(const char *image)
{
	const char *slash = strrchr(image, '/'), *base = slash != NULL ? slash + 1 : image;

	return (struct str){ base, strcspn(base, ":@") };
}

/* The row of known[]; its size: none. */
static size_t
find_known(struct str name)
{
	size_t i = 0;

	while (i < sizeof(known) / sizeof(known[0]) && !str_is(name, known[i].name))
		i++;
	return i;
}

static bool
is_known(size_t row)
{
	return row < sizeof(known) / sizeof(known[0]);
}

static bool
has_var(const struct env *env, const char *name)
{
	for (size_t i = 0; i < env->count; i++)
		if (strcmp(env->vars[i].name, name) == 0)
			return true;
	return false;
}

static void
add_defaults(struct service_spec *service)
{
	struct str image = base_name(service->image);

	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		if (str_is(image, defaults[i].image) && !has_var(&service->env, defaults[i].name) &&
		    !has_var(&service->env, defaults[i].unless))
			env_add(&service->env, defaults[i].name, defaults[i].value);
}

/* A host name that containers' resolvers take. */
static bool
is_host_name(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return len > 0 && len <= 63 && name[len] == '\0' && strchr("._-", name[0]) == NULL &&
	       strchr("._-", name[len - 1]) == NULL;
}

/* Whether the service says that its image knows when it is ready. */
static bool
has_healthcheck(const struct yml_node *service)
{
	const struct yml_node *ready = yml_get(service, "ready");
	bool on = false;

	return strcmp(yml_text(ready), "healthcheck") == 0 || (yml_to_bool(yml_get(ready, "healthcheck"), &on) && on);
}

/* Fills what was not written, and checks the name. */
static bool
complete(struct pipeline *p, const struct yml_node *node, struct job_spec *job)
{
	struct service_spec *service = &job->services[job->service_count - 1];
	size_t row;

	if (!is_host_name(service->name))
		return yml_err(p->doc, node, p->err,
		    "\"%.60s\" is no host name for a service; use a-z, 0-9, -, or write name: and image:",
		    service->name);
	for (size_t i = 0; i + 1 < job->service_count; i++)
		if (strcmp(job->services[i].name, service->name) == 0)
			return yml_err(p->doc, node, p->err,
			    "two services have the name \"%.60s\"; write name: and image: apart", service->name);
	if (service->ready_port == 0 && !has_healthcheck(node)) {
		row = find_known(base_name(service->image));
		if (!is_known(row))
			row = find_known(str_of(service->name));
		if (is_known(row))
			service->ready_port = known[row].port;
	}
	if (str_is(base_name(service->image), "docker"))
		pipeline_warn(p, node,
		    "a Docker daemon needs privileges that no container has here; a job with build: makes images");
	add_defaults(service);
	return true;
}

/* "mysql", or an image: "mysql:5.6". */
static bool
read_bare(struct pipeline *p, const struct yml_node *node, struct service_spec *service)
{
	size_t row;

	if (!pipeline_read_image_name(p, "services", node, &service->image))
		return false;
	service->name = str_dup(base_name(service->image));
	if (strcmp(service->name, service->image) != 0)
		return true; /* with a tag or a path: the image that is meant */
	free(service->image);
	row = find_known(str_of(service->name));
	service->image = is_known(row) ? xstrdup(known[row].image) : xasprintf("%s:latest", service->name);
	if (!is_known(row))
		pipeline_warn(p, node,
		    "no service \"%.60s\" is known; its image is %.60s:latest, and it counts as ready once it runs",
		    service->name, service->name);
	return true;
}

static bool
read_port(struct pipeline *p, const char *name, const struct yml_node *node, void *at)
{
	struct service_spec *service = at;
	uint64_t n;

	(void)name;
	if (!yml_to_u64(node, 65535, &n) || n == 0)
		return pipeline_wants(p, node, "ready", "a TCP port such as 5432, or healthcheck");
	service->ready_port = (unsigned)n;
	return true;
}

static bool
read_ready_timeout(struct pipeline *p, const char *name, const struct yml_node *node, void *at)
{
	struct service_spec *service = at;

	return pipeline_duration(node, READY_TIMEOUT_MAX_S, &service->ready_timeout_s) ||
	       pipeline_wants(p, node, name, "a duration from 1s to 1h");
}

/* true: what the image says itself, which is what no port means. */
static bool
read_healthcheck(struct pipeline *p, const char *name, const struct yml_node *node, void *at)
{
	bool on;

	(void)at;
	return pipeline_read_bool(p, name, node, &on);
}

static const struct pipeline_field ready_fields[] = {
	{ "tcp", read_port, 0 },
	{ "healthcheck", read_healthcheck, 0 },
	{ "timeout", read_ready_timeout, 0 },
};

/* ready: 5432, healthcheck, or {tcp: 5432, timeout: 30s}. */
static bool
read_ready(struct pipeline *p, const char *name, const struct yml_node *node, void *at)
{
	if (strcmp(yml_text(node), "healthcheck") == 0)
		return true;
	if (yml_type(node) != YML_MAPPING)
		return read_port(p, name, node, at);
	return PIPELINE_READ_FIELDS(p, node, "ready", ready_fields, at);
}

static bool
read_service_env(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	(void)name;
	return pipeline_read_env(p, value, PIPELINE_ENV_SERVICE, at);
}

static const struct pipeline_field service_fields[] = {
	{ "name", pipeline_read_text, offsetof(struct service_spec, name) },
	{ "image", pipeline_read_image_name, offsetof(struct service_spec, image) },
	{ "env", read_service_env, offsetof(struct service_spec, env) },
	{ "ready", read_ready, 0 },
};

static bool
read_mapping(struct pipeline *p, const struct yml_node *node, struct service_spec *service)
{
	size_t row;

	const char *only = yml_count(node) == 1 ? yml_text(yml_key_at(node, 0)) : "";

	if (is_known(find_known(str_of(only))))
		return yml_err(p->doc, node, p->err,
		    "a service is written \"%s\", \"%s:TAG\" or {name: %s, image: IMAGE}", only, only, only);
	if (!PIPELINE_READ_FIELDS(p, node, "a service", service_fields, service))
		return false;
	if (service->name == NULL && service->image == NULL)
		return yml_err(p->doc, node, p->err, "a service needs name: or image:");
	if (service->name == NULL)
		service->name = str_dup(base_name(service->image));
	if (service->image == NULL) {
		row = find_known(str_of(service->name));
		if (!is_known(row))
			return yml_err(
			    p->doc, node, p->err, "no service \"%.60s\" is known; write its image:", service->name);
		service->image = xstrdup(known[row].image);
	}
	return true;
}

static bool
read_service(struct pipeline *p, const struct yml_node *node, struct job_spec *job)
{
	struct service_spec *service;
	bool ok;

	if (yml_type(node) == YML_NULL)
		return true;
	if (yml_type(node) == YML_SEQUENCE)
		return pipeline_wants(p, node, "services", "a name or a mapping");
	if (job->service_count == SERVICE_MAX)
		return yml_err(p->doc, node, p->err, "more than %d services", SERVICE_MAX);
	job->services = xrealloc(job->services, (job->service_count + 1) * sizeof(*job->services));
	service = &job->services[job->service_count++];
	*service = (struct service_spec){ .ready_timeout_s = READY_TIMEOUT_S };
	ok = yml_type(node) == YML_MAPPING ? read_mapping(p, node, service) : read_bare(p, node, service);
	return ok && complete(p, node, job);
}

bool
pipeline_read_services(struct pipeline *p, const struct yml_node *node, struct job_spec *job)
{
	if (yml_type(node) == YML_MAPPING)
		return yml_err(p->doc, node, p->err,
		    "services is a list here, not the mapping of a compose file; write - {name: %.40s, image: ...}",
		    yml_count(node) > 0 ? yml_text(yml_key_at(node, 0)) : "db");
	if (yml_type(node) == YML_SCALAR)
		return read_service(p, node, job);
	for (size_t i = 0; i < yml_count(node); i++)
		if (!read_service(p, yml_at(node, i), job))
			return false;
	return true;
}
