#include "server/builder/container.h"

#include "server/builder/box.h"

bool
container_limits(
    const struct resources_spec *wanted, const struct builder_limits *most, struct builder_limits *ret, struct err *err)
{
	*ret = *most;
	if (wanted->memory > most->memory)
		return err_set(err, ERR_INPUT, 0,
		    "resources: %llu MiB of memory are more than the %llu MiB that a job gets here (builder.memory)",
		    (unsigned long long)(wanted->memory >> 20), (unsigned long long)(most->memory >> 20));
	if (wanted->nano_cpus > most->nano_cpus)
		return err_set(err, ERR_INPUT, 0,
		    "resources: %g CPUs are more than the %g that a job gets here (builder.cpus)",
		    (double)wanted->nano_cpus / 1e9, (double)most->nano_cpus / 1e9);
	if (wanted->memory != 0)
		ret->memory = wanted->memory;
	if (wanted->nano_cpus != 0)
		ret->nano_cpus = wanted->nano_cpus;
	return true;
}

struct docker_limits
container_docker_limits(const struct builder_limits *limits)
{
	return (struct docker_limits){ limits->memory, limits->nano_cpus, limits->pids, limits->log_bytes };
}

struct docker_container_spec
container_of_job(
    const struct container_place *place, const char *const *command, bool by_stdin, const struct builder_limits *limits)
{
	return (struct docker_container_spec){ .role = DOCKER_JOB,
		.image = place->image,
		.command = command,
		.workdir = "/",
		.open_stdin = by_stdin,
		.network = place->network,
		.volume = place->volume,
		.volume_path = BOX_WORKSPACE,
		.labels = place->labels,
		.label_count = place->label_count,
		.limits = container_docker_limits(limits) };
}

struct docker_container_spec
container_of_service(const struct container_place *place, const struct service_spec *service, bool by_health,
    const struct builder_limits *limits)
{
	return (struct docker_container_spec){ .role = DOCKER_SERVICE,
		.image = place->image,
		.env = &service->env,
		.health_often = by_health,
		.network = place->network,
		.labels = place->labels,
		.label_count = place->label_count,
		.limits = container_docker_limits(limits) };
}

struct docker_container_spec
container_of_holder(const struct container_place *place, const char *alias, const char *const *command)
{
	return (struct docker_container_spec){ .role = DOCKER_NETWORK,
		.image = place->image,
		.command = command,
		.open_stdin = true,
		.network = place->network,
		.alias = alias,
		.hostname = alias != NULL ? alias : "davit",
		.labels = place->labels,
		.label_count = place->label_count,
		.limits = { .memory = 32 << 20, .pids = 32 } };
}

struct docker_container_spec
container_of_relay(const struct container_place *place, const char *alias, const char *const *command)
{
	struct docker_container_spec spec = container_of_holder(place, alias, command);

	spec.open_stdin = false;
	spec.limits = (struct docker_limits){ .memory = 128 << 20, .pids = 512 };
	return spec;
}
