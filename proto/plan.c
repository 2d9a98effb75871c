#include "proto/plan.h"

#include <stdlib.h>

#include "proto/mem.h"

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

static void
service_spec_fini(struct service_spec *service)
{
	free(service->name);
	free(service->image);
	env_fini(&service->env);
}

void
job_spec_fini(struct job_spec *job)
{
	free(job->name);
	free(job->image);
	env_fini(&job->env);
	for (size_t i = 0; i < job->service_count; i++)
		service_spec_fini(&job->services[i]);
	free(job->services);
	for (size_t i = 0; i < job->segment_count; i++) {
		free(job->segments[i].name);
		strings_free(job->segments[i].commands, job->segments[i].command_count);
	}
	free(job->segments);
	*job = (struct job_spec){ 0 };
}

void
notify_spec_fini(struct notify_spec *notify)
{
	strings_free(notify->recipients, notify->recipient_count);
	*notify = (struct notify_spec){ .on_success = NOTIFY_CHANGE, .on_failure = NOTIFY_ALWAYS };
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
	notify_spec_fini(&p->notify);
	strings_free(p->warnings, p->warning_count);
	free(p);
}
