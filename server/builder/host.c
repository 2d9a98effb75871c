#include "server/builder/host.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/loop.h"

/* Of the clouds: it gives the machine's own keys to whoever asks. */
#define METADATA "169.254.169.254"

struct owned {
	TAILQ_ENTRY(owned) next;
	char *name;
};

static const struct builder_limits default_limits = {
	.memory = 2ULL << 30,
	.pids = 512,
	.log_bytes = 64 << 20,
};

/* One core is left to the machine where there are more. */
static uint64_t
default_cpus(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	return (cores > 2 ? (uint64_t)cores - 1 : (uint64_t)(cores > 0 ? cores : 1)) * 1000000000;
}

static void
fill_limits(struct builder_limits *to, const struct builder_limits *from)
{
	*to = *from;
	if (to->memory == 0)
		to->memory = default_limits.memory;
	if (to->nano_cpus == 0)
		to->nano_cpus = default_cpus();
	if (to->pids == 0)
		to->pids = default_limits.pids;
	if (to->log_bytes == 0)
		to->log_bytes = default_limits.log_bytes;
}

void
host_init(struct host *host, struct loop *loop, const struct builder_conf *conf)
{
	*host = (struct host){ .loop = loop, .conf = conf };
	fill_limits(&host->limits, &conf->limits);
	snprintf(
	    host->boot, sizeof(host->boot), "%" PRIx64, (uint64_t)loop_wall_ms() << 16 | ((uint64_t)getpid() & 0xffff));
	TAILQ_INIT(&host->owned);
	LIST_INIT(&host->terminals);
	TAILQ_INIT(&host->listeners);
	host_block(host, METADATA);
	for (size_t i = 0; i < conf->blocked_count; i++)
		host_block(host, conf->blocked[i]);
}

void
host_fini(struct host *host)
{
	assert(TAILQ_EMPTY(&host->owned) && TAILQ_EMPTY(&host->listeners) && LIST_EMPTY(&host->terminals));
}

size_t
host_blocked_first(const struct host *host)
{
	return host->blocked_count > HOST_BLOCKED_MAX ? host->blocked_count - HOST_BLOCKED_MAX : 0;
}

const char *
host_blocked(const struct host *host, size_t number)
{
	return host->blocked[number % HOST_BLOCKED_MAX];
}

void
host_block(struct host *host, const char *address)
{
	struct host_listener *listener;
	char *slot;

	for (size_t n = host_blocked_first(host); n < host->blocked_count; n++)
		if (strcmp(host_blocked(host, n), address) == 0)
			return;
	slot = host->blocked[host->blocked_count++ % HOST_BLOCKED_MAX];
	snprintf(slot, HOST_ADDRESS_SIZE, "%s", address);
	TAILQ_FOREACH(listener, &host->listeners, next)
	listener->on_blocked(listener->arg, slot);
}

void
host_listen(struct host *host, struct host_listener *listener)
{
	TAILQ_INSERT_TAIL(&host->listeners, listener, next);
}

void
host_unlisten(struct host *host, struct host_listener *listener)
{
	TAILQ_REMOVE(&host->listeners, listener, next);
}

const char *
host_own(struct host *host, const char *fmt, ...)
{
	struct owned *owned = xcalloc(1, sizeof(*owned));
	va_list ap;
	char *rest;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&rest, fmt, ap);
	va_end(ap);
	assert(len >= 0);
	owned->name = xasprintf("davit-%s-%s", host->conf->node, rest);
	free(rest);
	TAILQ_INSERT_TAIL(&host->owned, owned, next);
	return owned->name;
}

void
host_disown(struct host *host, const char **name)
{
	struct owned *owned;

	if (*name == NULL)
		return;
	TAILQ_FOREACH(owned, &host->owned, next)
	if (owned->name == *name)
		break;
	assert(owned != NULL);
	*name = NULL;
	TAILQ_REMOVE(&host->owned, owned, next);
	free(owned->name);
	free(owned);
}

bool
host_owns(const struct host *host, const char *name)
{
	const struct owned *owned;

	TAILQ_FOREACH(owned, &host->owned, next)
	if (strcmp(owned->name, name) == 0)
		return true;
	return false;
}

const char *
host_foreign(const struct host *host, const char *platform)
{
	return platform == NULL || strcmp(platform, host->platform.text) == 0 ? NULL : platform;
}

unsigned
host_serial(struct host *host)
{
	return ++host->serial;
}

const char *
host_own_new(struct host *host, const char *role)
{
	return host_own(host, "%s-%s-%u", host->boot, role, host_serial(host));
}

const char *
host_adopt(struct host *host, const char *name)
{
	char *prefix = xasprintf("davit-%s-", host->conf->node);
	const char *rest = strncmp(name, prefix, strlen(prefix)) == 0 ? name + strlen(prefix) : NULL;

	free(prefix);
	return rest != NULL ? host_own(host, "%s", rest) : NULL;
}

static void
add_label(struct host_labels *labels, const char *name, const char *value)
{
	assert(labels->count < sizeof(labels->list) / sizeof(labels->list[0]));
	labels->list[labels->count++] = (struct docker_label){ name, value };
}

void
host_labels_init(struct host_labels *labels, const struct host *host, const char *role)
{
	labels->count = 0;
	add_label(labels, "davit.node", host->conf->node);
	add_label(labels, "davit.boot", host->boot);
	add_label(labels, "davit.role", role);
}

void
host_labels_job(struct host_labels *labels, const struct builder_job *job, int64_t deadline_ms)
{
	snprintf(labels->build, sizeof(labels->build), "%.*s", (int)strcspn(job->id, "."), job->id);
	snprintf(labels->attempt, sizeof(labels->attempt), "%u", job->attempt);
	snprintf(labels->deadline, sizeof(labels->deadline), "%" PRId64, deadline_ms);
	add_label(labels, "davit.build", labels->build);
	add_label(labels, "davit.job", job->id);
	add_label(labels, "davit.attempt", labels->attempt);
	add_label(labels, "davit.deadline", labels->deadline);
}
