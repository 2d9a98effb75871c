#include "server/app_deploy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/params.h"
#include "server/store/store.h"

static void
set_image(struct job_spec *spec, const char *image)
{
	if (image[0] == '\0')
		return;
	free(spec->image);
	spec->image = xstrdup(image);
}

static void
add_command(struct job_spec *spec, const char *command)
{
	struct segment_spec *segment = xcalloc(1, sizeof(*segment));

	segment->name = xstrdup("command");
	segment->commands = xcalloc(1, sizeof(*segment->commands));
	segment->commands[segment->command_count++] = xstrdup(command);
	spec->segments = segment;
	spec->segment_count = 1;
}

/* An own command wants its own image: which tools are there is known to who wrote it. */
static bool
complete(const struct environment *environment, struct job_spec *spec, struct err *err)
{
	bool is_own = spec->segment_count > 0;

	if (!is_own && environment->command[0] == '\0')
		return err_set(err, ERR_REFUSED, 0,
		    "neither the pipeline nor the environment %.60s has a command that deploys; write deploy: "
		    "{command: ...}, or \"davit environment set\" one",
		    environment->name);
	if (!is_own)
		add_command(spec, environment->command);
	if (!is_own || spec->image == NULL)
		set_image(spec, environment->image);
	return spec->image != NULL ||
	       err_set(err, ERR_REFUSED, 0,
		   "neither the pipeline nor the environment %.60s names an image in which the command runs",
		   environment->name);
}

bool
app_deploy_is_application(const struct job_spec *spec)
{
	return spec->deploy != NULL && spec->deploy->application != NULL;
}

const char *
app_deploy_kind(const struct app_deploy_target *target)
{
	return target->is_swarm ? "swarm" : "engine";
}

bool
app_deploy_keep_kind(const struct job *job, struct app_deploy_target *target, struct err *err)
{
	bool was_swarm = strcmp(job->kind, "swarm") == 0, is_swarm = target->is_swarm;

	if (job->kind[0] == '\0') /* of an older version */
		return true;
	target->is_swarm = was_swarm;
	return is_swarm == was_swarm ||
	       err_set(err, ERR_REFUSED, 0,
		   "its environment was of the kind %s when it began, and is of the kind %s now", job->kind,
		   is_swarm ? "swarm" : "engine");
}

static bool
takes_applications(const struct environment *environment)
{
	return strcmp(environment->kind, "engine") == 0 || strcmp(environment->kind, "swarm") == 0;
}

/* What the pipeline says has to be what the environment takes. */
static bool
complete_application(const struct environment *environment, struct app_deploy_target *target, struct err *err)
{
	if (!takes_applications(environment))
		return err_set(err, ERR_REFUSED, 0,
		    "the environment %.60s takes no applications; \"davit environment set --kind engine\" (or swarm) "
		    "makes it one that does",
		    environment->name);
	target->is_swarm = strcmp(environment->kind, "swarm") == 0;
	snprintf(target->engine, sizeof(target->engine), "%s", environment->engine);
	return true;
}

static bool
complete_command(const struct environment *environment, struct job_spec *spec, struct err *err)
{
	if (takes_applications(environment))
		return err_set(err, ERR_REFUSED, 0,
		    "the environment %.60s takes applications alone; write deploy: {environment: %.60s, application: "
		    "{...}}",
		    environment->name, environment->name);
	if (!complete(environment, spec, err))
		return false;
	spec->kind = JOB_KIND_SCRIPT;
	return true;
}

bool
app_deploy_begin(const struct environment *environment, const struct build *build, struct job_spec *spec,
    struct env *env, struct app_deploy_target *target, struct err *err)
{
	struct env variables;

	target->previous = environment->deployed;
	if (!environment_takes(environment, build, err) ||
	    !(app_deploy_is_application(spec) ? complete_application(environment, target, err)
					      : complete_command(environment, spec, err)))
		return false;
	params_env(environment->variables, &variables);
	for (size_t i = 0; i < variables.count; i++)
		env_add(env, variables.vars[i].name, variables.vars[i].value);
	env_fini(&variables);
	return true;
}
