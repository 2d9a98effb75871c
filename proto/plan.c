#include "proto/plan.h"

#include <stdlib.h>
#include <string.h>

#include "proto/application.h"
#include "proto/mem.h"
#include "proto/plan_names.h"

/* clang-format off */
const char *const plan_when_names[] = {
	[NOTIFY_NEVER] = "never", [NOTIFY_ALWAYS] = "always", [NOTIFY_CHANGE] = "change",
};
const char *const plan_existing_names[] = { [BUILD_REPLACE] = "replace", [BUILD_KEEP] = "keep", [BUILD_FAIL] = "fail" };

const char *const plan_run_on_names[] = {
	[RUN_ON_SUCCESS] = "success", [RUN_ON_FAILURE] = "failure", [RUN_ALWAYS] = "always",
};
const char *const plan_kind_names[] = {
	[JOB_KIND_SCRIPT] = "script", [JOB_KIND_BUILD] = "build", [JOB_KIND_DEPLOY] = "deploy",
};
/* clang-format on */

void
env_add(struct env *env, const char *name, const char *value)
{
	env->vars = xrealloc(env->vars, (env->count + 1) * sizeof(*env->vars));
	env->vars[env->count++] = (struct env_var){ xstrdup(name), xstrdup(value) };
}

void
env_fini(struct env *env)
{
	for (size_t i = 0; i < env->count; i++) {
		free(env->vars[i].name);
		if (env->vars[i].value != NULL)
			explicit_bzero(env->vars[i].value, strlen(env->vars[i].value));
		free(env->vars[i].value);
	}
	free(env->vars);
	*env = (struct env){ 0 };
}

static void
strings_free(char **strings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(strings[i]);
	free(strings);
}

void
strings_add(struct strings *strings, struct str item)
{
	strings->items = xrealloc(strings->items, (strings->count + 1) * sizeof(*strings->items));
	strings->items[strings->count++] = str_dup(item);
}

bool
strings_have(const struct strings *strings, const char *item)
{
	for (size_t i = 0; i < strings->count; i++)
		if (strcmp(strings->items[i], item) == 0)
			return true;
	return false;
}

void
strings_fini(struct strings *strings)
{
	strings_free(strings->items, strings->count);
	*strings = (struct strings){ 0 };
}

static void
service_spec_fini(struct service_spec *service)
{
	free(service->name);
	free(service->image);
	env_fini(&service->env);
}

static void
segment_spec_fini(struct segment_spec *segment)
{
	free(segment->name);
	free(segment->image);
	env_fini(&segment->env);
	strings_free(segment->commands, segment->command_count);
}

static void
secret_spec_fini(struct secret_spec *secret)
{
	free(secret->name);
	free(secret->variable);
}

static void
cache_spec_fini(struct cache_spec *cache)
{
	free(cache->key);
	strings_fini(&cache->fallbacks);
	strings_fini(&cache->paths);
}

static void
artifact_spec_fini(struct artifact_spec *artifact)
{
	free(artifact->name);
	strings_fini(&artifact->paths);
}

/* A compile has no compile of its own: the depth is two. */
static void
build_spec_free(struct build_spec *build)
{
	if (build == NULL)
		return;
	build_spec_free(build->compile);
	free(build->dockerfile);
	free(build->context);
	env_fini(&build->args);
	free(build->target);
	strings_fini(&build->tags);
	strings_fini(&build->labels);
	strings_fini(&build->extract);
	strings_fini(&build->cache_from);
	free(build->platform);
	strings_fini(&build->platforms);
	free(build);
}

static void
deploy_spec_free(struct deploy_spec *deploy)
{
	if (deploy == NULL)
		return;
	free(deploy->environment);
	free(deploy->image);
	application_free(&deploy->application);
	free(deploy->lacks);
	free(deploy->refused);
	free(deploy);
}

/* Ends each item of a list, then the list. */
#define FREE_EACH(list, count, fini)                 \
	do {                                         \
		for (size_t i = 0; i < (count); i++) \
			fini(&(list)[i]);            \
		free(list);                          \
	} while (0)

static void
need_spec_fini(struct need_spec *need)
{
	free(need->name);
}

void
job_spec_fini(struct job_spec *job)
{
	free(job->name);
	free(job->image);
	env_fini(&job->env);
	FREE_EACH(job->services, job->service_count, service_spec_fini);
	FREE_EACH(job->segments, job->segment_count, segment_spec_fini);
	free(job->skipped);
	FREE_EACH(job->needs, job->need_count, need_spec_fini);
	strings_fini(&job->labels);
	free(job->concurrency.group);
	FREE_EACH(job->secrets, job->secret_count, secret_spec_fini);
	FREE_EACH(job->caches, job->cache_count, cache_spec_fini);
	FREE_EACH(job->artifacts, job->artifact_count, artifact_spec_fini);
	strings_fini(&job->reports.junit);
	free(job->reports.coverage);
	build_spec_free(job->build);
	deploy_spec_free(job->deploy);
	*job = (struct job_spec){ 0 };
}

void
notify_spec_fini(struct notify_spec *notify)
{
	strings_free(notify->recipients, notify->recipient_count);
	*notify = (struct notify_spec){ .on_success = NOTIFY_CHANGE, .on_failure = NOTIFY_ALWAYS };
}

void
parameter_spec_fini(struct parameter_spec *parameter)
{
	free(parameter->name);
	free(parameter->value);
	strings_fini(&parameter->options);
	free(parameter->description);
	*parameter = (struct parameter_spec){ 0 };
}

bool
job_spec_leaves_files(const struct job_spec *job)
{
	for (size_t i = 0; i < job->artifact_count; i++)
		if (job->artifacts[i].on != RUN_ON_SUCCESS)
			return true;
	return job->reports.junit.count > 0;
}

void
plan_free(struct plan **plan)
{
	struct plan *p = *plan;

	*plan = NULL;
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->job_count; i++)
		job_spec_fini(&p->jobs[i]);
	free(p->jobs);
	for (size_t i = 0; i < p->parameter_count; i++)
		parameter_spec_fini(&p->parameters[i]);
	free(p->parameters);
	notify_spec_fini(&p->notify);
	strings_free(p->warnings, p->warning_count);
	free(p);
}
