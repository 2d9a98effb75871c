#include "proto/plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json.h"
#include "proto/mem.h"

/* Above what a pipeline's limits let through. */
#define PLAN_JSON_MAX (16u << 20)

static const char *const when_names[] = {
	[NOTIFY_NEVER] = "never",
	[NOTIFY_ALWAYS] = "always",
	[NOTIFY_CHANGE] = "change",
};

static void
write_strings(struct json_writer *w, const char *key, char **strings, size_t count)
{
	json_write_key(w, key);
	json_write_array_open(w);
	for (size_t i = 0; i < count; i++)
		json_write_string(w, strings[i]);
	json_write_array_close(w);
}

/* "env": ["NAME=value"], as docker has it: in order, and one name may come twice. */
static void
write_env(struct json_writer *w, const struct env *env)
{
	json_write_key(w, "env");
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
	json_write_object_open(w);
	json_member_string(w, "name", service->name);
	json_member_string(w, "image", service->image);
	write_env(w, &service->env);
	json_member_int(w, "ready_port", service->ready_port);
	json_member_int(w, "ready_timeout", service->ready_timeout_s);
	json_write_object_close(w);
}

static void
write_job(struct json_writer *w, const struct job_spec *job)
{
	json_write_object_open(w);
	json_member_string(w, "name", job->name);
	json_member_string(w, "image", job->image);
	write_env(w, &job->env);
	json_write_key(w, "services");
	json_write_array_open(w);
	for (size_t i = 0; i < job->service_count; i++)
		write_service(w, &job->services[i]);
	json_write_array_close(w);
	json_write_key(w, "segments");
	json_write_array_open(w);
	for (size_t i = 0; i < job->segment_count; i++) {
		json_write_object_open(w);
		json_member_string(w, "name", job->segments[i].name);
		write_strings(w, "commands", job->segments[i].commands, job->segments[i].command_count);
		json_write_object_close(w);
	}
	json_write_array_close(w);
	json_member_int(w, "timeout", job->timeout_s);
	json_write_object_close(w);
}

static void
write_notify(struct json_writer *w, const struct notify_spec *notify)
{
	json_write_object_open(w);
	write_strings(w, "recipients", notify->recipients, notify->recipient_count);
	json_member_string(w, "on_success", when_names[notify->on_success]);
	json_member_string(w, "on_failure", when_names[notify->on_failure]);
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

	write_job(w, job);
	return finish(w);
}

char *
notify_spec_to_json(const struct notify_spec *notify)
{
	struct json_writer *w = json_writer_new(PLAN_JSON_MAX);

	write_notify(w, notify);
	return finish(w);
}

char *
plan_to_json(const struct plan *plan)
{
	struct json_writer *w = json_writer_new(PLAN_JSON_MAX);

	json_write_object_open(w);
	json_write_key(w, "jobs");
	json_write_array_open(w);
	for (size_t i = 0; i < plan->job_count; i++)
		write_job(w, &plan->jobs[i]);
	json_write_array_close(w);
	json_write_key(w, "notify");
	write_notify(w, &plan->notify);
	write_strings(w, "warnings", plan->warnings, plan->warning_count);
	json_write_object_close(w);
	return finish(w);
}

static bool
lacks(const char *key, struct err *err)
{
	return err_set(err, ERR_PROTO, 0, "the job's description is damaged at \"%s\"", key);
}

/* A copy of the member, which must be text. */
static bool
read_string(const struct json_value *object, const char *key, char **ret, struct err *err)
{
	const char *text = json_string(json_get(object, key), NULL);

	if (text == NULL)
		return lacks(key, err);
	*ret = xstrdup(text);
	return true;
}

static bool
read_number(const struct json_value *object, const char *key, unsigned *ret, struct err *err)
{
	int64_t n = json_int(json_get(object, key), -1);

	if (n < 0 || n > INT32_MAX)
		return lacks(key, err);
	*ret = (unsigned)n;
	return true;
}

static bool
read_strings(const struct json_value *object, const char *key, char ***ret, size_t *ret_count, struct err *err)
{
	const struct json_value *list = json_get(object, key);

	if (json_type(list) != JSON_ARRAY)
		return lacks(key, err);
	*ret = xcalloc(json_count(list), sizeof(**ret));
	for (size_t i = 0; i < json_count(list); i++) {
		const char *text = json_string(json_at(list, i), NULL);

		if (text == NULL)
			return lacks(key, err);
		(*ret)[(*ret_count)++] = xstrdup(text);
	}
	return true;
}

static bool
read_env(const struct json_value *object, struct env *env, struct err *err)
{
	const struct json_value *list = json_get(object, "env");

	if (json_type(list) != JSON_ARRAY)
		return lacks("env", err);
	for (size_t i = 0; i < json_count(list); i++) {
		struct str value = str_of(json_string(json_at(list, i), ""));
		struct str name = str_cut(&value, '=');
		char *copy;

		if (name.len == 0)
			return lacks("env", err);
		copy = str_dup(name);
		env_add(env, copy, value.p);
		free(copy);
	}
	return true;
}

static bool
read_services(const struct json_value *object, struct job_spec *job, struct err *err)
{
	const struct json_value *list = json_get(object, "services");

	if (json_type(list) != JSON_ARRAY)
		return lacks("services", err);
	job->services = xcalloc(json_count(list), sizeof(*job->services));
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json_value *item = json_at(list, i);
		struct service_spec *service = &job->services[job->service_count++];

		if (!read_string(item, "name", &service->name, err) ||
		    !read_string(item, "image", &service->image, err) || !read_env(item, &service->env, err) ||
		    !read_number(item, "ready_port", &service->ready_port, err) ||
		    !read_number(item, "ready_timeout", &service->ready_timeout_s, err))
			return false;
	}
	return true;
}

static bool
read_segments(const struct json_value *object, struct job_spec *job, struct err *err)
{
	const struct json_value *list = json_get(object, "segments");

	if (json_type(list) != JSON_ARRAY)
		return lacks("segments", err);
	job->segments = xcalloc(json_count(list), sizeof(*job->segments));
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json_value *item = json_at(list, i);
		struct segment_spec *segment = &job->segments[job->segment_count++];

		if (!read_string(item, "name", &segment->name, err) ||
		    !read_strings(item, "commands", &segment->commands, &segment->command_count, err))
			return false;
	}
	return true;
}

bool
job_spec_from_json(struct str text, struct job_spec *ret, struct err *err)
{
	struct job_spec job = { 0 };
	const struct json_value *root;
	struct json *doc;
	bool ok;

	if (!json_parse(text, NULL, &doc, err))
		return false;
	root = json_root(doc);
	ok = read_string(root, "name", &job.name, err) && read_string(root, "image", &job.image, err) &&
	     read_env(root, &job.env, err) && read_services(root, &job, err) && read_segments(root, &job, err) &&
	     read_number(root, "timeout", &job.timeout_s, err);
	json_free(&doc);
	if (ok)
		*ret = job;
	else
		job_spec_fini(&job);
	return ok;
}

static bool
read_when(const struct json_value *object, const char *key, enum notify_when *ret, struct err *err)
{
	const char *text = json_string(json_get(object, key), "");

	for (size_t i = 0; i < sizeof(when_names) / sizeof(when_names[0]); i++) {
		if (strcmp(text, when_names[i]) == 0) {
			*ret = (enum notify_when)i;
			return true;
		}
	}
	return lacks(key, err);
}

bool
notify_spec_from_json(struct str text, struct notify_spec *ret, struct err *err)
{
	struct notify_spec notify = { 0 };
	const struct json_value *root;
	struct json *doc;
	bool ok;

	if (!json_parse(text, NULL, &doc, err))
		return false;
	root = json_root(doc);
	ok = read_strings(root, "recipients", &notify.recipients, &notify.recipient_count, err) &&
	     read_when(root, "on_success", &notify.on_success, err) &&
	     read_when(root, "on_failure", &notify.on_failure, err);
	json_free(&doc);
	if (ok)
		*ret = notify;
	else
		notify_spec_fini(&notify);
	return ok;
}
