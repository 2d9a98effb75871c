#include "server/builder/services.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/link.h"
#include "proto/mem.h"
#include "server/builder/left.h"

struct entry {
	struct services *all;
	struct service *service; /* NULL: it has ended */
};

struct services {
	struct entry *entries;
	size_t count;
	size_t alive;
	size_t starting; /* not ready yet */
	struct err err;  /* the first cause */
	const struct service_handler *handler;
	void *arg;
};

static void
on_notice(void *arg, const char *text)
{
	struct entry *e = arg;

	e->all->handler->on_notice(e->all->arg, text);
}

static void
on_ready(void *arg)
{
	struct entry *e = arg;

	if (--e->all->starting == 0)
		e->all->handler->on_ready(e->all->arg);
}

static void
services_free(struct services *services)
{
	const struct service_handler *handler = services->handler;
	struct err err = services->err;
	void *arg = services->arg;

	free(services->entries);
	free(services);
	handler->on_end(arg, err.code != ERR_NONE ? &err : NULL);
}

static void
on_end(void *arg, const struct err *err)
{
	struct entry *e = arg;
	struct services *services = e->all;

	e->service = NULL;
	services->alive--;
	if (err != NULL && services->err.code == ERR_NONE)
		services->err = *err;
	if (services->alive == 0)
		services_free(services);
	else
		services_end(services);
}

static const struct service_handler own_handler = { .on_notice = on_notice, .on_ready = on_ready, .on_end = on_end };

static struct services *
services_new(const struct job_spec *spec, const struct service_handler *handler, void *arg)
{
	struct services *services = xcalloc(1, sizeof(*services));

	assert(spec->service_count > 0);
	*services = (struct services){ .count = spec->service_count, .handler = handler, .arg = arg };
	services->alive = spec->service_count;
	services->entries = xcalloc(spec->service_count, sizeof(*services->entries));
	for (size_t i = 0; i < services->count; i++)
		services->entries[i].all = services;
	return services;
}

struct services *
services_start(struct host *host, struct pulls *pulls, const struct job_spec *spec, const struct host_labels *labels,
    const char *network, const struct service_handler *handler, void *arg)
{
	struct services *services = services_new(spec, handler, arg);

	services->starting = services->count;
	for (size_t i = 0; i < services->count; i++) {
		struct service_start start = { .spec = &spec->services[i], .labels = labels, .network = network };

		services->entries[i].service = service_start(host, pulls, &start, &own_handler, &services->entries[i]);
	}
	return services;
}

struct services *
services_adopt(struct host *host, const struct job_spec *spec, const struct left_service *left,
    const struct service_handler *handler, void *arg)
{
	struct services *services = services_new(spec, handler, arg);

	for (size_t i = 0; i < services->count; i++) {
		struct entry *e = &services->entries[i];

		e->service = service_adopt(host, &spec->services[i], &left[i], &own_handler, e);
		if (e->service == NULL) {
			services_detach(&services);
			return NULL;
		}
	}
	return services;
}

void
services_detach(struct services **services)
{
	struct services *s = *services;

	if (s == NULL)
		return;
	*services = NULL;
	for (size_t i = 0; i < s->count; i++)
		service_detach(&s->entries[i].service);
	free(s->entries);
	free(s);
}

void
services_end(struct services *services)
{
	for (size_t i = 0; i < services->count; i++)
		if (services->entries[i].service != NULL)
			service_end(services->entries[i].service);
}

void
services_env(const struct services *services, struct env *env)
{
	for (size_t i = 0; i < services->count; i++) {
		const struct service *service = services->entries[i].service;

		assert(service != NULL);
		link_env(env, service_spec(service)->name, service_address(service), service_spec(service)->ready_port);
	}
}

void
services_hosts(const struct services *services, struct env *hosts)
{
	for (size_t i = 0; i < services->count; i++) {
		const struct service *service = services->entries[i].service;

		assert(service != NULL);
		env_add(hosts, service_spec(service)->name, service_address(service));
	}
}
