#include "proto/docker_swarm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/docker_parts.h"
#include "proto/json.h"
#include "proto/mem.h"

enum { BODY_MAX = 8 * 1024 * 1024, DIGEST_LEN = 8 };

/* --- names --- */

static bool
is_word(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len && text[0] != '-' &&
	       text[len - 1] != '-' && strstr(text, "--") == NULL;
}

/* Its letters, as far as they may be in a name, and the digest. */
static char *
digest_name(const char *whole)
{
	char hex[SHA256_HEX_SIZE], kept[DOCKER_SERVICE_NAME_MAX - DIGEST_LEN];
	size_t len = 0;

	sha256_hex(str_of(whole), hex);
	for (; *whole != '\0' && len < sizeof(kept) - 1; whole++) {
		bool is_letter = strchr("abcdefghijklmnopqrstuvwxyz0123456789", *whole) != NULL;

		if (is_letter || (len > 0 && kept[len - 1] != '-'))
			kept[len++] = is_letter ? *whole : '-';
	}
	while (len > 0 && kept[len - 1] == '-')
		len--;
	return xasprintf("%s%.*s-%.*s", len == 0 ? "app" : "", (int)len, kept, DIGEST_LEN, hex);
}

char *
docker_swarm_name(const char *repo, const char *environment, const char *name)
{
	char *plain = xasprintf("%s_%s_%s", repo, environment, name), *whole, *digest;

	if (is_word(repo) && is_word(environment) && is_word(name) && strlen(plain) <= DOCKER_SERVICE_NAME_MAX)
		return plain;
	free(plain);
	whole = xasprintf("%s\n%s\n%s", repo, environment, name); /* what none of them has in it */
	digest = digest_name(whole);
	free(whole);
	return digest;
}

char *
docker_swarm_network(const char *repo, const char *environment, const struct application_service *service, size_t i)
{
	if (i < service->networks.count)
		return docker_swarm_name(repo, environment, service->networks.items[i]);
	return i == 0 ? docker_swarm_name(repo, environment, "default") : NULL;
}

/* --- what a swarm cannot do --- */

static bool
check_port(const struct application_service *service, const char *text, struct err *err)
{
	struct application_port port;

	if (!application_port(text, &port, err))
		return false;
	if (port.address[0] != '\0')
		return err_set(err, ERR_INPUT, 0,
		    "%s: a swarm publishes a port on all addresses of its nodes, so %s cannot be had; leave the "
		    "address "
		    "out",
		    service->name, text);
	if (port.first != port.last)
		return err_set(err, ERR_INPUT, 0,
		    "%s: in a swarm one port is for all replicas, so %s cannot be had; write {published: %u, target: "
		    "%u, "
		    "mode: ingress}",
		    service->name, text, port.first, port.port);
	return true;
}

/* "/run", "/run:size=1048576" */
static bool
read_tmpfs(const char *text, struct str *path, uint64_t *size)
{
	struct str rest = str_of(text);

	*path = str_cut(&rest, ':');
	*size = 0;
	if (rest.len == 0)
		return true;
	return str_has_prefix(rest, "size=") && str_to_u64((struct str){ rest.p + 5, rest.len - 5 }, INT64_MAX, size);
}

bool
docker_service_check(const struct application_service *service, struct err *err)
{
	struct str path;
	uint64_t size;

	if (service->probe_port != 0)
		return err_set(err, ERR_INPUT, 0,
		    "%s: gate: a container of a swarm cannot be reached from here; use healthcheck:, which runs in it",
		    service->name);
	for (size_t i = 0; i < service->ports.count; i++)
		if (!check_port(service, service->ports.items[i], err))
			return false;
	for (size_t i = 0; i < service->tmpfs.count; i++)
		if (!read_tmpfs(service->tmpfs.items[i], &path, &size))
			return err_set(err, ERR_INPUT, 0,
			    "%s: tmpfs: %.60s cannot be had in a swarm; write /path or /path:size=BYTES", service->name,
			    service->tmpfs.items[i]);
	return true;
}

/* --- a service --- */

static void
write_tmpfs(struct json_writer *w, const char *text)
{
	struct str path;
	uint64_t size;
	char *target;

	if (!read_tmpfs(text, &path, &size))
		return;
	target = str_dup(path);
	json_write_object_open(w);
	json_member_string(w, "Type", "tmpfs");
	json_member_string(w, "Target", target);
	if (size != 0) {
		json_write_key(w, "TmpfsOptions");
		json_write_object_open(w);
		json_member_int(w, "SizeBytes", (int64_t)size);
		json_write_object_close(w);
	}
	json_write_object_close(w);
	free(target);
}

static void
write_mounts(struct json_writer *w, const struct docker_application_spec *spec)
{
	json_write_key(w, "Mounts");
	json_write_array_open(w);
	for (size_t i = 0; i < spec->service->volumes.count; i++)
		docker_write_mount(w, spec->prefix, spec->service->volumes.items[i]);
	for (size_t i = 0; i < spec->service->tmpfs.count; i++)
		write_tmpfs(w, spec->service->tmpfs.items[i]);
	json_write_array_close(w);
}

/* A swarm's Command is the image's entrypoint, its Args the image's command. */
static void
write_container(struct json_writer *w, const struct docker_application_spec *spec)
{
	const struct application_service *service = spec->service;

	json_write_key(w, "ContainerSpec");
	json_write_object_open(w);
	json_member_string(w, "Image", spec->image);
	docker_write_list(w, "Command", &service->entrypoint);
	docker_write_list(w, "Args", &service->command);
	docker_write_env(w, spec->env);
	docker_write_labels(w, spec);
	docker_write_text(w, "User", service->user);
	docker_write_text(w, "Dir", service->workdir);
	docker_write_text(w, "Hostname", service->hostname);
	docker_write_text(w, "StopSignal", service->stop_signal);
	docker_write_seconds(w, "StopGracePeriod", service->grace_s);
	json_member_bool(w, "Init", service->init);
	json_member_bool(w, "ReadOnly", service->read_only);
	docker_write_health(w, service);
	write_mounts(w, spec);
	json_write_object_close(w);
}

static void
write_resources(struct json_writer *w, const struct application_service *service)
{
	json_write_key(w, "Resources");
	json_write_object_open(w);
	json_write_key(w, "Limits");
	json_write_object_open(w);
	if (service->memory != 0)
		json_member_int(w, "MemoryBytes", (int64_t)service->memory);
	if (service->nano_cpus != 0)
		json_member_int(w, "NanoCPUs", (int64_t)service->nano_cpus);
	json_write_object_close(w);
	json_write_object_close(w);
}

static void
write_restart(struct json_writer *w, const struct application_service *service)
{
	const char *restart = service->restart != NULL ? service->restart : "always";
	bool is_known = strcmp(restart, "on-failure") == 0;

	json_write_key(w, "RestartPolicy");
	json_write_object_open(w);
	json_member_string(w, "Condition", is_known ? restart : strcmp(restart, "no") == 0 ? "none" : "any");
	json_write_object_close(w);
}

static void
write_networks(struct json_writer *w, const struct docker_service_spec *spec)
{
	char *name;

	json_write_key(w, "Networks");
	json_write_array_open(w);
	for (size_t i = 0;
	     (name = docker_swarm_network(spec->repo, spec->environment, spec->container.service, i)) != NULL; i++) {
		json_write_object_open(w);
		json_member_string(w, "Target", name);
		json_write_key(w, "Aliases");
		json_write_array_open(w);
		json_write_string(w, spec->container.service->name);
		json_write_array_close(w);
		json_write_object_close(w);
		free(name);
	}
	json_write_array_close(w);
}

/* Its number in ForceUpdate has the containers made anew, also where nothing else differs. */
static void
write_task(struct json_writer *w, const struct docker_service_spec *spec)
{
	json_write_key(w, "TaskTemplate");
	json_write_object_open(w);
	write_container(w, &spec->container);
	write_resources(w, spec->container.service);
	write_restart(w, spec->container.service);
	write_networks(w, spec);
	json_member_int(w, "ForceUpdate", spec->deployment);
	json_write_object_close(w);
}

static void
write_mode(struct json_writer *w, unsigned replicas)
{
	json_write_key(w, "Mode");
	json_write_object_open(w);
	json_write_key(w, "Replicated");
	json_write_object_open(w);
	json_member_int(w, "Replicas", replicas);
	json_write_object_close(w);
	json_write_object_close(w);
}

static void
write_order(struct json_writer *w, const struct application_service *service)
{
	json_member_string(w, "Order", service->order == APPLICATION_STOP_FIRST ? "stop-first" : "start-first");
}

/* One replica after the other. The first that fails holds the update up: what follows from it is for the server to
 * say, since the application may have further services. On the way back nothing holds. */
static void
write_updates(struct json_writer *w, const struct application_service *service)
{
	json_write_key(w, "UpdateConfig");
	json_write_object_open(w);
	json_member_int(w, "Parallelism", 1);
	docker_write_seconds(w, "Delay", service->drain_s);
	docker_write_seconds(w, "Monitor", service->stable_s);
	json_member_string(w, "FailureAction", "pause");
	json_member_int(w, "MaxFailureRatio", 0);
	write_order(w, service);
	json_write_object_close(w);
	json_write_key(w, "RollbackConfig");
	json_write_object_open(w);
	json_member_int(w, "Parallelism", 1);
	docker_write_seconds(w, "Monitor", 1);
	json_member_string(w, "FailureAction", "continue");
	write_order(w, service);
	json_write_object_close(w);
}

static void
write_port(struct json_writer *w, const struct application_service *service, const char *text)
{
	struct application_port port;

	if (!application_port(text, &port, NULL))
		return;
	json_write_object_open(w);
	json_member_string(w, "Protocol", port.protocol);
	json_member_int(w, "TargetPort", port.port);
	if (port.first != 0)
		json_member_int(w, "PublishedPort", port.first);
	json_member_string(w, "PublishMode", service->publish == APPLICATION_PUBLISH_HOST ? "host" : "ingress");
	json_write_object_close(w);
}

static void
write_endpoint(struct json_writer *w, const struct application_service *service)
{
	json_write_key(w, "EndpointSpec");
	json_write_object_open(w);
	json_member_string(w, "Mode", service->dnsrr ? "dnsrr" : "vip");
	json_write_key(w, "Ports");
	json_write_array_open(w);
	for (size_t i = 0; i < service->ports.count; i++)
		write_port(w, service, service->ports.items[i]);
	json_write_array_close(w);
	json_write_object_close(w);
}

char *
docker_service_body(const struct docker_service_spec *spec, size_t *len)
{
	const struct application_service *service = spec->container.service;
	char *name = docker_swarm_name(spec->repo, spec->environment, service->name);
	struct json_writer *w = json_writer_new(BODY_MAX);

	json_write_object_open(w);
	json_member_string(w, "Name", name);
	docker_write_labels(w, &spec->container);
	write_task(w, spec);
	write_mode(w, service->replicas);
	write_updates(w, service);
	write_endpoint(w, service);
	json_write_object_close(w);
	free(name);
	return json_writer_finish(&w, len);
}

char *
docker_service_back_body(const char *name, size_t *len)
{
	struct json_writer *w = json_writer_new(BODY_MAX);

	json_write_object_open(w);
	json_member_string(w, "Name", name);
	json_write_key(w, "TaskTemplate");
	json_write_object_open(w);
	json_write_key(w, "ContainerSpec");
	json_write_object_open(w);
	json_member_string(w, "Image", "none");
	json_write_object_close(w);
	json_write_object_close(w);
	write_mode(w, 1);
	json_write_object_close(w);
	return json_writer_finish(&w, len);
}

char *
docker_task_filter(const char *service)
{
	struct json_writer *w = json_writer_new(BODY_MAX);

	json_write_object_open(w);
	json_member_list(w, "service", service);
	json_write_object_close(w);
	return json_writer_finish(&w, NULL);
}
