#include "proto/docker_spec.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/json.h"
#include "proto/mem.h"

enum { BODY_MAX = 8 * 1024 * 1024 };

/* What installing packages and switching users needs. Not: NET_RAW, MKNOD, SETFCAP, SYS_CHROOT, AUDIT_WRITE,
 * NET_BIND_SERVICE (the engine lets all users bind low ports), which Docker gives by default. */
static const char *const job_caps[] = { "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", NULL };
static const char *const network_caps[] = { "NET_ADMIN", NULL };

static void
write_strings(struct json_writer *w, const char *key, const char *const *strings)
{
	json_write_key(w, key);
	json_write_array_open(w);
	for (; *strings != NULL; strings++)
		json_write_string(w, *strings);
	json_write_array_close(w);
}

static void
write_labels(struct json_writer *w, const struct docker_label *labels, size_t count)
{
	json_write_key(w, "Labels");
	json_write_object_open(w);
	for (size_t i = 0; i < count; i++)
		json_member_string(w, labels[i].name, labels[i].value);
	json_write_object_close(w);
}

/* NAME=VALUE */
static void
write_env(struct json_writer *w, const struct env *env)
{
	json_write_key(w, "Env");
	json_write_array_open(w);
	for (size_t i = 0; env != NULL && i < env->count; i++) {
		char *text = xasprintf("%s=%s", env->vars[i].name, env->vars[i].value);
		json_write_string(w, text);
		free(text);
	}
	json_write_array_close(w);
}

/* No swap beside the memory: a job that needs more ends at once and says why. */
static void
write_limits(struct json_writer *w, const struct docker_limits *limits)
{
	json_member_int(w, "Memory", (int64_t)limits->memory);
	json_member_int(w, "MemorySwap", (int64_t)limits->memory);
	json_member_int(w, "NanoCpus", (int64_t)limits->nano_cpus);
	json_member_int(w, "PidsLimit", limits->pids);
}

static void
write_ulimit(struct json_writer *w, const char *name, int64_t n)
{
	json_write_object_open(w);
	json_member_string(w, "Name", name);
	json_member_int(w, "Soft", n);
	json_member_int(w, "Hard", n);
	json_write_object_close(w);
}

/* The engine's own copy, read after a restart of ours: byte-exact (json-file is not) and never rotated away below the
 * budget; two times that for the driver's own framing. */
static void
write_log(struct json_writer *w, const struct docker_container_spec *spec, bool for_podman)
{
	const char *driver = for_podman ? "k8s-file" : "local";
	const uint64_t least = 1024 * 1024 * 1024;
	uint64_t size = spec->limits.log_bytes > least / 2 ? spec->limits.log_bytes * 2 : least;
	char text[32];

	json_write_key(w, "LogConfig");
	json_write_object_open(w);
	json_member_string(w, "Type", spec->role == DOCKER_NETWORK ? "none" : driver);
	json_write_key(w, "Config");
	json_write_object_open(w);
	if (spec->role != DOCKER_NETWORK) {
		snprintf(text, sizeof(text), "%" PRIu64, size);
		json_member_string(w, "max-size", text);
	}
	if (spec->role != DOCKER_NETWORK && !for_podman) {
		json_member_string(w, "max-file", "1");
		json_member_string(w, "compress", "false");
	}
	json_write_object_close(w);
	json_write_object_close(w);
}

/* exec: configure scripts run what they compile in /tmp; the engine's default forbids it. What comes by standard input
 * (script and secrets) stays off the disk; without it they are uploaded before the start, which no tmpfs takes. */
static void
write_tmpfs(struct json_writer *w, bool has_input)
{
	json_write_key(w, "Tmpfs");
	json_write_object_open(w);
	json_member_string(w, "/tmp", "rw,exec,nosuid,nodev,mode=1777,size=512m");
	if (has_input)
		json_member_string(w, "/davit", "rw,noexec,nosuid,nodev,mode=0700,size=8m");
	json_write_object_close(w);
}

/* Of all mounts there are only this kind: nothing of the machine's own files. */
static void
write_volume(struct json_writer *w, const struct docker_container_spec *spec)
{
	json_write_key(w, "Mounts");
	json_write_array_open(w);
	json_write_object_open(w);
	json_member_string(w, "Type", "volume");
	json_member_string(w, "Source", spec->volume);
	json_member_string(w, "Target", spec->volume_path);
	json_write_object_close(w);
	json_write_array_close(w);
}

static void
write_host_config(struct json_writer *w, const struct docker_container_spec *spec, bool for_podman)
{
	static const char *const all[] = { "ALL", NULL };
	static const char *const security[] = { "no-new-privileges", NULL };

	json_write_key(w, "HostConfig");
	json_write_object_open(w);
	json_member_bool(w, "Privileged", false);
	write_strings(w, "CapDrop", all);
	write_strings(w, "CapAdd", spec->role == DOCKER_NETWORK ? network_caps : job_caps);
	write_strings(w, "SecurityOpt", security);
	write_limits(w, &spec->limits);
	json_write_key(w, "Ulimits");
	json_write_array_open(w);
	write_ulimit(w, "nofile", 4096);
	write_ulimit(w, "core", 0);
	write_ulimit(w, "memlock", 65536);
	json_write_array_close(w);
	if (spec->role == DOCKER_NETWORK)
		json_member_bool(w, "ReadonlyRootfs", true);
	else
		write_tmpfs(w, spec->open_stdin);
	if (spec->volume != NULL)
		write_volume(w, spec);
	json_member_bool(w, "Init", spec->role == DOCKER_JOB);
	json_member_int(w, "OomScoreAdj", 500);
	write_log(w, spec, for_podman);
	json_member_string(w, "NetworkMode", spec->network);
	json_write_object_close(w);
}

static void
write_alias(struct json_writer *w, const struct docker_container_spec *spec)
{
	const char *const aliases[] = { spec->alias, NULL };

	json_write_key(w, "NetworkingConfig");
	json_write_object_open(w);
	json_write_key(w, "EndpointsConfig");
	json_write_object_open(w);
	json_write_key(w, spec->network);
	json_write_object_open(w);
	write_strings(w, "Aliases", aliases);
	json_write_object_close(w);
	json_write_object_close(w);
	json_write_object_close(w);
}

/* A job is no service: the image's check would only run beside it. A service's is asked often enough that "healthy"
 * comes soon after it is true; test and retries stay the image's. */
static void
write_health(struct json_writer *w, const struct docker_container_spec *spec)
{
	static const char *const none[] = { "NONE", NULL };

	json_write_key(w, "Healthcheck");
	json_write_object_open(w);
	if (spec->health_often)
		json_member_int(w, "Interval", 1000 * 1000 * 1000);
	else
		write_strings(w, "Test", none);
	json_write_object_close(w);
}

char *
docker_container_body(const struct docker_container_spec *spec, bool for_podman, size_t *len)
{
	struct json_writer *w = json_writer_new(BODY_MAX);

	assert(spec->limits.pids > 0 && spec->network != NULL);
	json_write_object_open(w);
	json_member_string(w, "Image", spec->image);
	if (spec->command != NULL) {
		write_strings(w, "Entrypoint", spec->command);
		write_strings(w, "Cmd", &(const char *const){ NULL });
	}
	write_env(w, spec->env);
	if (spec->role == DOCKER_JOB)
		json_member_string(w, "User", "0:0");
	if (spec->workdir != NULL)
		json_member_string(w, "WorkingDir", spec->workdir);
	if (spec->hostname != NULL)
		json_member_string(w, "Hostname", spec->hostname);
	json_member_bool(w, "Tty", false);
	json_member_bool(w, "OpenStdin", spec->open_stdin);
	json_member_bool(w, "StdinOnce", spec->open_stdin);
	json_member_bool(w, "AttachStdin", spec->open_stdin);
	write_health(w, spec);
	write_labels(w, spec->labels, spec->label_count);
	write_host_config(w, spec, for_podman);
	if (spec->alias != NULL)
		write_alias(w, spec);
	json_write_object_close(w);
	return json_writer_finish(&w, len);
}

static char *
network_body(const char *driver, const char *name, const struct docker_label *labels, size_t count, size_t *len)
{
	struct json_writer *w = json_writer_new(BODY_MAX);

	json_write_object_open(w);
	json_member_string(w, "Name", name);
	json_member_bool(w, "CheckDuplicate", true);
	json_member_string(w, "Driver", driver);
	json_member_bool(w, "EnableIPv6", false);
	write_labels(w, labels, count);
	json_write_object_close(w);
	return json_writer_finish(&w, len);
}

char *
docker_network_body(const char *name, const struct docker_label *labels, size_t count, size_t *len)
{
	return network_body("bridge", name, labels, count, len);
}

char *
docker_overlay_body(const char *name, const struct docker_label *labels, size_t count, size_t *len)
{
	return network_body("overlay", name, labels, count, len);
}

char *
docker_volume_body(const char *name, const struct docker_label *labels, size_t count, size_t *len)
{
	struct json_writer *w = json_writer_new(BODY_MAX);

	json_write_object_open(w);
	json_member_string(w, "Name", name);
	json_member_string(w, "Driver", "local");
	write_labels(w, labels, count);
	json_write_object_close(w);
	return json_writer_finish(&w, len);
}

char *
docker_update_body(const struct docker_limits *limits, size_t *len)
{
	struct json_writer *w = json_writer_new(BODY_MAX);

	json_write_object_open(w);
	write_limits(w, limits);
	json_write_object_close(w);
	return json_writer_finish(&w, len);
}

char *
docker_exec_body(const struct docker_exec_spec *spec, size_t *len)
{
	struct json_writer *w = json_writer_new(BODY_MAX);

	json_write_object_open(w);
	json_member_bool(w, "AttachStdin", true);
	json_member_bool(w, "AttachStdout", true);
	json_member_bool(w, "AttachStderr", true);
	json_member_bool(w, "Tty", spec->tty);
	json_member_bool(w, "Privileged", false);
	write_strings(w, "Cmd", spec->command);
	if (spec->env != NULL)
		write_strings(w, "Env", spec->env);
	if (spec->workdir != NULL)
		json_member_string(w, "WorkingDir", spec->workdir);
	json_write_object_close(w);
	return json_writer_finish(&w, len);
}

char *
docker_exec_start_body(const struct docker_exec_spec *spec, size_t *len)
{
	struct json_writer *w = json_writer_new(BODY_MAX);

	json_write_object_open(w);
	json_member_bool(w, "Detach", false);
	json_member_bool(w, "Tty", spec->tty);
	json_write_object_close(w);
	return json_writer_finish(&w, len);
}

char *
docker_label_filter(const char *name, const char *value)
{
	struct json_writer *w = json_writer_new(BODY_MAX);
	char *label = value != NULL ? xasprintf("%s=%s", name, value) : xstrdup(name);
	const char *const labels[] = { label, NULL };

	json_write_object_open(w);
	write_strings(w, "label", labels);
	json_write_object_close(w);
	free(label);
	return json_writer_finish(&w, NULL);
}

char *
docker_event_filter(const char *container, const char *event)
{
	struct json_writer *w = json_writer_new(BODY_MAX);
	const char *const containers[] = { container, NULL };
	const char *const events[] = { event, NULL };

	json_write_object_open(w);
	write_strings(w, "container", containers);
	write_strings(w, "event", events);
	json_write_object_close(w);
	return json_writer_finish(&w, NULL);
}

char *
docker_image_event_filter(void)
{
	static const char *const types[] = { "image", NULL };
	struct json_writer *w = json_writer_new(BODY_MAX);

	json_write_object_open(w);
	write_strings(w, "type", types);
	json_write_object_close(w);
	return json_writer_finish(&w, NULL);
}
