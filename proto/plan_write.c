#include "proto/plan.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/application.h"
#include "proto/json.h"
#include "proto/mem.h"
#include "proto/plan_names.h"

/* Above what a pipeline's limits let through. */
#define PLAN_JSON_MAX (64u << 20)

static void
write_strings(struct json_writer *w, const char *key, char **strings, size_t count)
{
	json_write_key(w, key);
	json_write_array_open(w);
	for (size_t i = 0; i < count; i++)
		json_write_string(w, strings[i]);
	json_write_array_close(w);
}

static void
write_list(struct json_writer *w, const char *key, const struct strings *list)
{
	if (list->count > 0)
		write_strings(w, key, list->items, list->count);
}

static void
write_text(struct json_writer *w, const char *key, const char *text)
{
	if (text != NULL)
		json_member_string(w, key, text);
}

static void
write_number(struct json_writer *w, const char *key, uint64_t n)
{
	if (n != 0)
		json_member_int(w, key, (int64_t)n);
}

static void
write_flag(struct json_writer *w, const char *key, bool flag)
{
	if (flag)
		json_member_bool(w, key, true);
}

/* ["NAME=value"], as docker has it: in order, and one name may come twice. */
static void
write_env(struct json_writer *w, const char *key, const struct env *env)
{
	json_write_key(w, key);
	json_write_array_open(w);
	for (size_t i = 0; i < env->count; i++) {
		char *text = xasprintf("%s=%s", env->vars[i].name, env->vars[i].value);

		json_write_string(w, text);
		free(text);
	}
	json_write_array_close(w);
}

static void
write_service(struct json_writer *w, const struct service_spec *service)
{
	json_member_string(w, "name", service->name);
	json_member_string(w, "image", service->image);
	write_env(w, "env", &service->env);
	json_member_int(w, "ready_port", service->ready_port);
	json_member_int(w, "ready_timeout", service->ready_timeout_s);
}

static void
write_segment(struct json_writer *w, const struct segment_spec *segment)
{
	json_member_string(w, "name", segment->name);
	write_text(w, "image", segment->image);
	if (segment->env.count > 0)
		write_env(w, "env", &segment->env);
	write_strings(w, "commands", segment->commands, segment->command_count);
	write_flag(w, "always", segment->always);
}

static void
write_need(struct json_writer *w, const struct need_spec *need)
{
	json_member_int(w, "job", need->job);
	json_member_string(w, "name", need->name);
	write_flag(w, "files", need->files);
}

static void
write_secret(struct json_writer *w, const struct secret_spec *secret)
{
	json_member_string(w, "name", secret->name);
	json_member_string(w, "variable", secret->variable);
}

static void
write_cache(struct json_writer *w, const struct cache_spec *cache)
{
	json_member_string(w, "key", cache->key);
	write_list(w, "fallbacks", &cache->fallbacks);
	write_list(w, "paths", &cache->paths);
}

static void
write_artifact(struct json_writer *w, const struct artifact_spec *artifact)
{
	write_text(w, "name", artifact->name);
	write_list(w, "paths", &artifact->paths);
	write_number(w, "expire", artifact->expire_s);
	json_member_string(w, "on", plan_run_on_names[artifact->on]);
}

/* Each item of a list as an object; an empty list is left out. */
#define WRITE_EACH(w, key, list, count, write)         \
	do {                                           \
		if ((count) == 0)                      \
			break;                         \
		json_write_key(w, key);                \
		json_write_array_open(w);              \
		for (size_t i = 0; i < (count); i++) { \
			json_write_object_open(w);     \
			write(w, &(list)[i]);          \
			json_write_object_close(w);    \
		}                                      \
		json_write_array_close(w);             \
	} while (0)

static void
write_build(struct json_writer *w, const char *key, const struct build_spec *build)
{
	if (build == NULL)
		return;
	json_write_key(w, key);
	json_write_object_open(w);
	write_text(w, "dockerfile", build->dockerfile);
	write_text(w, "context", build->context);
	write_env(w, "args", &build->args);
	write_text(w, "target", build->target);
	write_list(w, "tags", &build->tags);
	write_list(w, "labels", &build->labels);
	write_flag(w, "push", build->push);
	if (build->existing != BUILD_REPLACE)
		json_member_string(w, "existing", plan_existing_names[build->existing]);
	write_list(w, "cache_from", &build->cache_from);
	write_text(w, "platform", build->platform);
	write_list(w, "platforms", &build->platforms);
	write_flag(w, "no_cache", build->no_cache);
	write_list(w, "extract", &build->extract);
	write_build(w, "compile", build->compile);
	json_write_object_close(w);
}

static void
write_deploy(struct json_writer *w, const struct deploy_spec *deploy)
{
	if (deploy == NULL)
		return;
	json_write_key(w, "deploy");
	json_write_object_open(w);
	json_member_string(w, "environment", deploy->environment);
	write_text(w, "image", deploy->image);
	write_flag(w, "approve", deploy->approve);
	if (deploy->application != NULL) {
		json_write_key(w, "application");
		application_write(w, deploy->application);
	}
	write_text(w, "lacks", deploy->lacks);
	json_write_object_close(w);
}

/* When it runs and where: what the scheduler decides by. */
static void
write_conditions(struct json_writer *w, const struct job_spec *job)
{
	write_text(w, "skipped", job->skipped);
	WRITE_EACH(w, "needs", job->needs, job->need_count, write_need);
	if (job->run_on != RUN_ON_SUCCESS)
		json_member_string(w, "run_on", plan_run_on_names[job->run_on]);
	write_flag(w, "allow_failure", job->allow_failure);
	write_number(w, "retry_max", job->retry.max);
	write_number(w, "retry_on", job->retry.on);
	write_number(w, "memory", job->resources.memory);
	write_number(w, "nano_cpus", job->resources.nano_cpus);
	write_list(w, "labels", &job->labels);
	write_text(w, "group", job->concurrency.group);
	write_flag(w, "group_cancel", job->concurrency.cancel);
}

/* What goes in and comes out beside the script. */
static void
write_files(struct json_writer *w, const struct job_spec *job)
{
	WRITE_EACH(w, "secrets", job->secrets, job->secret_count, write_secret);
	WRITE_EACH(w, "caches", job->caches, job->cache_count, write_cache);
	WRITE_EACH(w, "artifacts", job->artifacts, job->artifact_count, write_artifact);
	write_list(w, "junit", &job->reports.junit);
	write_text(w, "coverage", job->reports.coverage);
	write_number(w, "hold", job->hold_s);
	write_flag(w, "no_mirror", job->no_mirror);
}

static void
write_job(struct json_writer *w, const struct job_spec *job)
{
	json_member_string(w, "name", job->name);
	if (job->kind != JOB_KIND_SCRIPT)
		json_member_string(w, "kind", plan_kind_names[job->kind]);
	write_text(w, "image", job->image);
	write_env(w, "env", &job->env);
	WRITE_EACH(w, "services", job->services, job->service_count, write_service);
	WRITE_EACH(w, "segments", job->segments, job->segment_count, write_segment);
	json_member_int(w, "timeout", job->timeout_s);
	write_conditions(w, job);
	write_files(w, job);
	write_build(w, "build", job->build);
	write_deploy(w, job->deploy);
}

static void
write_notify(struct json_writer *w, const struct notify_spec *notify)
{
	json_write_object_open(w);
	write_strings(w, "recipients", notify->recipients, notify->recipient_count);
	json_member_string(w, "on_success", plan_when_names[notify->on_success]);
	json_member_string(w, "on_failure", plan_when_names[notify->on_failure]);
	json_write_object_close(w);
}

static char *
finish(struct json_writer *w)
{
	char *text = json_writer_finish(&w, NULL);

	assert(text != NULL);
	return text;
}

char *
job_spec_to_json(const struct job_spec *job)
{
	struct json_writer *w = json_writer_new(PLAN_JSON_MAX);

	json_write_object_open(w);
	write_job(w, job);
	json_write_object_close(w);
	return finish(w);
}

char *
notify_spec_to_json(const struct notify_spec *notify)
{
	struct json_writer *w = json_writer_new(PLAN_JSON_MAX);

	write_notify(w, notify);
	return finish(w);
}

static void
write_parameter(struct json_writer *w, const struct parameter_spec *parameter)
{
	json_write_object_open(w);
	json_member_string(w, "name", parameter->name);
	json_member_string(w, "default", parameter->value);
	json_member_string(w, "description", parameter->description);
	json_member_bool(w, "required", parameter->required);
	write_strings(w, "options", parameter->options.items, parameter->options.count);
	json_write_object_close(w);
}

static void
write_parameters(struct json_writer *w, const struct plan *plan)
{
	json_write_array_open(w);
	for (size_t i = 0; i < plan->parameter_count; i++)
		write_parameter(w, &plan->parameters[i]);
	json_write_array_close(w);
}

char *
parameters_to_json(const struct plan *plan)
{
	struct json_writer *w;

	if (plan->parameter_count == 0)
		return xstrdup("");
	w = json_writer_new(PLAN_JSON_MAX);
	write_parameters(w, plan);
	return finish(w);
}

char *
plan_to_json(const struct plan *plan)
{
	struct json_writer *w = json_writer_new(PLAN_JSON_MAX);

	json_write_object_open(w);
	if (plan->parameter_count > 0) {
		json_write_key(w, "parameters");
		write_parameters(w, plan);
	}
	WRITE_EACH(w, "jobs", plan->jobs, plan->job_count, write_job);
	json_write_key(w, "notify");
	write_notify(w, &plan->notify);
	write_strings(w, "warnings", plan->warnings, plan->warning_count);
	json_write_object_close(w);
	return finish(w);
}
