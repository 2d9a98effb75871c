#include "proto/plan.h"

#include <stdlib.h>
#include <string.h>

#include "proto/application.h"
#include "proto/json.h"
#include "proto/mem.h"
#include "proto/plan_names.h"

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

/* As above, but it may be missing. */
static bool
read_text(const struct json_value *object, const char *key, char **ret, struct err *err)
{
	return json_get(object, key) == NULL || read_string(object, key, ret, err);
}

/* Missing is 0. */
static bool
read_u64(const struct json_value *object, const char *key, uint64_t max, uint64_t *ret, struct err *err)
{
	int64_t n = json_int(json_get(object, key), json_get(object, key) == NULL ? 0 : -1);

	if (n < 0 || (uint64_t)n > max)
		return lacks(key, err);
	*ret = (uint64_t)n;
	return true;
}

static bool
read_number(const struct json_value *object, const char *key, unsigned *ret, struct err *err)
{
	uint64_t n = 0;

	if (!read_u64(object, key, INT32_MAX, &n, err))
		return false;
	*ret = (unsigned)n;
	return true;
}

static bool
read_flag(const struct json_value *object, const char *key)
{
	return json_bool(json_get(object, key), false);
}

/* One of the words of a table; missing is the first. */
static bool
read_word(const struct json_value *object, const char *key, const char *const *words, unsigned count, unsigned *ret,
    struct err *err)
{
	const char *text = json_string(json_get(object, key), json_get(object, key) == NULL ? words[0] : "");

	for (*ret = 0; *ret < count; (*ret)++)
		if (strcmp(text, words[*ret]) == 0)
			return true;
	return lacks(key, err);
}

static bool
read_run_on(const struct json_value *object, const char *key, enum run_on *ret, struct err *err)
{
	unsigned word;

	if (!read_word(object, key, plan_run_on_names, 3, &word, err))
		return false;
	*ret = (enum run_on)word;
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

/* Missing is empty. */
static bool
read_list(const struct json_value *object, const char *key, struct strings *ret, struct err *err)
{
	return json_get(object, key) == NULL || read_strings(object, key, &ret->items, &ret->count, err);
}

static bool
read_env(const struct json_value *object, const char *key, struct env *env, struct err *err)
{
	const struct json_value *list = json_get(object, key);

	if (list == NULL)
		return true;
	if (json_type(list) != JSON_ARRAY)
		return lacks(key, err);
	for (size_t i = 0; i < json_count(list); i++) {
		struct str value = str_of(json_string(json_at(list, i), ""));
		struct str name = str_cut(&value, '=');
		char *copy;

		if (name.len == 0)
			return lacks(key, err);
		copy = str_dup(name);
		env_add(env, copy, value.p);
		free(copy);
	}
	return true;
}

/* The list of objects `key`, each read by `read` into the next item; missing is empty. In a function that returns false
 * when something is damaged: what has been read is the caller's to end. */
#define READ_EACH(object, key, list, count, read, err)                          \
	do {                                                                    \
		const struct json_value *values = json_get(object, key);        \
                                                                                \
		if (values == NULL)                                             \
			break;                                                  \
		if (json_type(values) != JSON_ARRAY)                            \
			return lacks(key, err);                                 \
		(list) = xcalloc(json_count(values), sizeof(*(list)));          \
		for (size_t i = 0; i < json_count(values); i++)                 \
			if (!read(json_at(values, i), &(list)[(count)++], err)) \
				return false;                                   \
	} while (0)

static bool
read_service(const struct json_value *item, struct service_spec *service, struct err *err)
{
	return read_string(item, "name", &service->name, err) && read_string(item, "image", &service->image, err) &&
	       read_env(item, "env", &service->env, err) &&
	       read_number(item, "ready_port", &service->ready_port, err) &&
	       read_number(item, "ready_timeout", &service->ready_timeout_s, err);
}

static bool
read_segment(const struct json_value *item, struct segment_spec *segment, struct err *err)
{
	segment->always = read_flag(item, "always");
	return read_string(item, "name", &segment->name, err) && read_text(item, "image", &segment->image, err) &&
	       read_env(item, "env", &segment->env, err) &&
	       read_strings(item, "commands", &segment->commands, &segment->command_count, err);
}

static bool
read_need(const struct json_value *item, struct need_spec *need, struct err *err)
{
	need->files = read_flag(item, "files");
	return read_number(item, "job", &need->job, err) && read_string(item, "name", &need->name, err);
}

static bool
read_secret(const struct json_value *item, struct secret_spec *secret, struct err *err)
{
	return read_string(item, "name", &secret->name, err) && read_string(item, "variable", &secret->variable, err);
}

static bool
read_cache(const struct json_value *item, struct cache_spec *cache, struct err *err)
{
	return read_string(item, "key", &cache->key, err) && read_list(item, "fallbacks", &cache->fallbacks, err) &&
	       read_list(item, "paths", &cache->paths, err);
}

static bool
read_artifact(const struct json_value *item, struct artifact_spec *artifact, struct err *err)
{
	return read_text(item, "name", &artifact->name, err) && read_list(item, "paths", &artifact->paths, err) &&
	       read_number(item, "expire", &artifact->expire_s, err) && read_run_on(item, "on", &artifact->on, err);
}

static bool
read_existing(const struct json_value *object, const char *key, enum build_existing *ret, struct err *err)
{
	unsigned word = BUILD_REPLACE;

	if (json_get(object, key) != NULL && !read_word(object, key, plan_existing_names, 3, &word, err))
		return false;
	*ret = (enum build_existing)word;
	return true;
}

static bool
read_build(const struct json_value *object, const char *key, struct build_spec **ret, struct err *err)
{
	const struct json_value *item = json_get(object, key);
	struct build_spec *build;

	if (item == NULL)
		return true;
	build = *ret = xcalloc(1, sizeof(*build));
	build->push = read_flag(item, "push");
	build->no_cache = read_flag(item, "no_cache");
	return read_text(item, "dockerfile", &build->dockerfile, err) &&
	       read_text(item, "context", &build->context, err) && read_env(item, "args", &build->args, err) &&
	       read_text(item, "target", &build->target, err) && read_list(item, "tags", &build->tags, err) &&
	       read_list(item, "labels", &build->labels, err) && read_list(item, "extract", &build->extract, err) &&
	       read_existing(item, "existing", &build->existing, err) &&
	       read_list(item, "cache_from", &build->cache_from, err) &&
	       read_text(item, "platform", &build->platform, err) &&
	       read_list(item, "platforms", &build->platforms, err) &&
	       read_build(item, "compile", &build->compile, err);
}

static bool
read_deploy(const struct json_value *object, struct deploy_spec **ret, struct err *err)
{
	const struct json_value *item = json_get(object, "deploy");

	if (item == NULL)
		return true;
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->approve = read_flag(item, "approve");
	if (json_get(item, "application") != NULL &&
	    !application_read(json_get(item, "application"), &(*ret)->application, err))
		return false;
	return read_string(item, "environment", &(*ret)->environment, err) &&
	       read_text(item, "image", &(*ret)->image, err) && read_text(item, "lacks", &(*ret)->lacks, err);
}

static bool
read_conditions(const struct json_value *root, struct job_spec *job, struct err *err)
{
	READ_EACH(root, "needs", job->needs, job->need_count, read_need, err);
	job->allow_failure = read_flag(root, "allow_failure");
	job->concurrency.cancel = read_flag(root, "group_cancel");
	return read_text(root, "skipped", &job->skipped, err) && read_run_on(root, "run_on", &job->run_on, err) &&
	       read_number(root, "retry_max", &job->retry.max, err) &&
	       read_number(root, "retry_on", &job->retry.on, err) &&
	       read_u64(root, "memory", INT64_MAX, &job->resources.memory, err) &&
	       read_u64(root, "nano_cpus", INT64_MAX, &job->resources.nano_cpus, err) &&
	       read_list(root, "labels", &job->labels, err) && read_text(root, "group", &job->concurrency.group, err);
}

static bool
read_files(const struct json_value *root, struct job_spec *job, struct err *err)
{
	READ_EACH(root, "secrets", job->secrets, job->secret_count, read_secret, err);
	READ_EACH(root, "caches", job->caches, job->cache_count, read_cache, err);
	READ_EACH(root, "artifacts", job->artifacts, job->artifact_count, read_artifact, err);
	job->no_mirror = read_flag(root, "no_mirror");
	return read_list(root, "junit", &job->reports.junit, err) &&
	       read_text(root, "coverage", &job->reports.coverage, err) && read_number(root, "hold", &job->hold_s, err);
}

static bool
read_job(const struct json_value *root, struct job_spec *job, struct err *err)
{
	unsigned kind;

	if (!read_string(root, "name", &job->name, err) || !read_word(root, "kind", plan_kind_names, 3, &kind, err) ||
	    !read_text(root, "image", &job->image, err) || !read_env(root, "env", &job->env, err))
		return false;
	job->kind = (enum job_kind)kind;
	if (job->kind == JOB_KIND_SCRIPT && job->image == NULL)
		return lacks("image", err);
	READ_EACH(root, "services", job->services, job->service_count, read_service, err);
	READ_EACH(root, "segments", job->segments, job->segment_count, read_segment, err);
	return read_number(root, "timeout", &job->timeout_s, err) && read_conditions(root, job, err) &&
	       read_files(root, job, err) && read_build(root, "build", &job->build, err) &&
	       read_deploy(root, &job->deploy, err);
}

bool
job_spec_from_json(struct str text, struct job_spec *ret, struct err *err)
{
	struct job_spec job = { 0 };
	struct json *doc;
	bool ok;

	if (!json_parse(text, NULL, &doc, err))
		return false;
	ok = read_job(json_root(doc), &job, err);
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
	unsigned word;

	if (json_get(object, key) == NULL)
		return lacks(key, err);
	if (!read_word(object, key, plan_when_names, 3, &word, err))
		return false;
	*ret = (enum notify_when)word;
	return true;
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
