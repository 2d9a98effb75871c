/* The container of an application's service, as the engine wants to hear it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/application.h"
#include "proto/docker_parts.h"
#include "proto/docker_spec.h"
#include "proto/json.h"
#include "proto/mem.h"

enum { BODY_MAX = 8 * 1024 * 1024 };

#define DEFAULT_NETWORK "default"

/* --- ports: {"80/tcp": ...} --- */

static bool
read_port(const struct application_service *service, size_t i, struct application_port *port, char key[16])
{
	if (!application_port(service->ports.items[i], port, NULL))
		return false;
	snprintf(key, 16, "%u/%s", port->port, port->protocol);
	return true;
}

/* Whether a port before the i-th has the same key, which has them all. */
static bool
is_written(const struct application_service *service, size_t i, const char *key)
{
	struct application_port port;
	char other[16];

	for (size_t k = 0; k < i; k++)
		if (read_port(service, k, &port, other) && strcmp(other, key) == 0)
			return true;
	return false;
}

static void
write_exposed(struct json_writer *w, const struct application_service *service)
{
	struct application_port port;
	char key[16];

	json_write_key(w, "ExposedPorts");
	json_write_object_open(w);
	for (size_t i = 0; i < service->ports.count; i++) {
		if (!read_port(service, i, &port, key) || is_written(service, i, key))
			continue;
		json_write_key(w, key);
		json_write_object_open(w);
		json_write_object_close(w);
	}
	json_write_object_close(w);
}

static void
write_binding(struct json_writer *w, const struct application_port *port, unsigned replica)
{
	char number[8] = "";

	if (port->first != 0)
		snprintf(number, sizeof(number), "%u", port->first + replica - 1);
	json_write_object_open(w);
	json_member_string(w, "HostIp", port->address);
	json_member_string(w, "HostPort", number);
	json_write_object_close(w);
}

static void
write_bindings(struct json_writer *w, const struct docker_application_spec *spec)
{
	const struct application_service *service = spec->service;
	struct application_port port;
	char key[16], other[16];

	json_write_key(w, "PortBindings");
	json_write_object_open(w);
	for (size_t i = 0; i < service->ports.count; i++) {
		if (!read_port(service, i, &port, key) || is_written(service, i, key))
			continue;
		json_write_key(w, key);
		json_write_array_open(w);
		for (size_t k = i; k < service->ports.count; k++)
			if (read_port(service, k, &port, other) && strcmp(other, key) == 0)
				write_binding(w, &port, spec->replica);
		json_write_array_close(w);
	}
	json_write_object_close(w);
}

/* --- what belongs to the machine --- */

static void
write_tmpfs(struct json_writer *w, const struct strings *tmpfs)
{
	json_write_key(w, "Tmpfs");
	json_write_object_open(w);
	for (size_t i = 0; i < tmpfs->count; i++) {
		struct str options = str_of(tmpfs->items[i]), path = str_cut(&options, ':');
		char *copy = str_dup(path);

		json_member_string(w, copy, options.p);
		free(copy);
	}
	json_write_object_close(w);
}

/* It runs again after the engine's own end, unless it is said that it should not. */
static void
write_restart(struct json_writer *w, const struct application_service *service)
{
	json_write_key(w, "RestartPolicy");
	json_write_object_open(w);
	json_member_string(w, "Name", service->restart != NULL ? service->restart : "unless-stopped");
	json_write_object_close(w);
}

static void
write_host_config(struct json_writer *w, const struct docker_application_spec *spec)
{
	const struct application_service *service = spec->service;
	char *network = docker_application_network(spec, 0);

	json_write_key(w, "HostConfig");
	json_write_object_open(w);
	json_member_bool(w, "Privileged", false);
	json_member_string(w, "NetworkMode", network);
	write_bindings(w, spec);
	write_restart(w, service);
	json_member_int(w, "Memory", (int64_t)service->memory);
	json_member_int(w, "MemorySwap", (int64_t)service->memory);
	json_member_int(w, "NanoCpus", (int64_t)service->nano_cpus);
	json_member_bool(w, "Init", service->init);
	json_member_bool(w, "ReadonlyRootfs", service->read_only);
	write_tmpfs(w, &service->tmpfs);
	json_write_key(w, "Mounts");
	json_write_array_open(w);
	for (size_t i = 0; i < service->volumes.count; i++)
		docker_write_mount(w, spec->prefix, service->volumes.items[i]);
	json_write_array_close(w);
	json_write_object_close(w);
	free(network);
}

char *
docker_application_network(const struct docker_application_spec *spec, size_t i)
{
	const struct strings *networks = &spec->service->networks;

	if (i >= networks->count)
		return i == 0 ? xasprintf("%s" DEFAULT_NETWORK, spec->prefix) : NULL;
	return xasprintf("%s%s", spec->prefix, networks->items[i]);
}

static void
write_endpoint(struct json_writer *w, const char *alias)
{
	json_write_object_open(w);
	json_write_key(w, "Aliases");
	json_write_array_open(w);
	json_write_string(w, alias);
	json_write_array_close(w);
	json_write_object_close(w);
}

static void
write_networking(struct json_writer *w, const struct docker_application_spec *spec)
{
	char *network = docker_application_network(spec, 0);

	json_write_key(w, "NetworkingConfig");
	json_write_object_open(w);
	json_write_key(w, "EndpointsConfig");
	json_write_object_open(w);
	json_write_key(w, network);
	write_endpoint(w, spec->service->name);
	json_write_object_close(w);
	json_write_object_close(w);
	free(network);
}

char *
docker_application_body(const struct docker_application_spec *spec, size_t *len)
{
	const struct application_service *service = spec->service;
	struct json_writer *w = json_writer_new(BODY_MAX);

	json_write_object_open(w);
	json_member_string(w, "Image", spec->image);
	docker_write_list(w, "Entrypoint", &service->entrypoint);
	docker_write_list(w, "Cmd", &service->command);
	docker_write_env(w, spec->env);
	docker_write_labels(w, spec);
	docker_write_text(w, "User", service->user);
	docker_write_text(w, "WorkingDir", service->workdir);
	docker_write_text(w, "Hostname", service->hostname);
	docker_write_text(w, "StopSignal", service->stop_signal);
	json_member_int(w, "StopTimeout", service->grace_s);
	docker_write_health(w, service);
	write_exposed(w, service);
	write_host_config(w, spec);
	write_networking(w, spec);
	json_write_object_close(w);
	return json_writer_finish(&w, len);
}

char *
docker_connect_body(const char *container, const char *alias, size_t *len)
{
	struct json_writer *w = json_writer_new(BODY_MAX);

	json_write_object_open(w);
	json_member_string(w, "Container", container);
	json_write_key(w, "EndpointConfig");
	write_endpoint(w, alias);
	json_write_object_close(w);
	return json_writer_finish(&w, len);
}
