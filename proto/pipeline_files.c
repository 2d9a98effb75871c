/* What a job takes in and gives out beside its script: secrets, cache, artifacts, reports. */
#include <stdlib.h>
#include <string.h>

#include "proto/glob.h"
#include "proto/mem.h"
#include "proto/pipeline_private.h"
#include "proto/script.h"

#define EXPIRE_MAX_S (3650u * 86400)
#define CACHE_MAX 16
#define ARTIFACT_MAX 16
#define SECRET_MAX 100

/* --- secrets --- */

bool
pipeline_is_variable(const char *name)
{
	return script_may_set(name) && strlen(name) <= PIPELINE_NAME_MAX;
}

static const struct pipeline_field secret_fields[] = {
	{ "name", pipeline_read_text, offsetof(struct secret_spec, name) },
	{ "as", pipeline_read_text, offsetof(struct secret_spec, variable) },
};

static bool
check_secret(struct pipeline *p, const struct yml_node *node, const struct job_spec *job)
{
	const char *variable = job->secrets[job->secret_count - 1].variable;

	if (!pipeline_is_variable(variable))
		return yml_err(p->doc, node, p->err,
		    "a secret becomes a variable, and \"%.60s\" is no name for one; write {name: ..., as: NAME}",
		    variable);
	for (size_t i = 0; i + 1 < job->secret_count; i++) {
		const char *other = job->secrets[i].variable;

		if (strcmp(other, variable) == 0)
			return yml_err(p->doc, node, p->err, "two secrets have the variable %.60s", variable);
	}
	return true;
}

static bool
add_secret(struct pipeline *p, const struct yml_node *node, struct job_spec *job)
{
	struct secret_spec *secret;

	if (yml_type(node) == YML_NULL)
		return true;
	if (job->secret_count == SECRET_MAX)
		return yml_err(p->doc, node, p->err, "more than %d secrets", SECRET_MAX);
	secret = pipeline_append(&job->secrets, &job->secret_count, sizeof(*job->secrets));
	if (yml_type(node) == YML_MAPPING ? !PIPELINE_READ_FIELDS(p, node, "a secret", secret_fields, secret)
					  : !pipeline_read_text(p, "secrets", node, &secret->name))
		return false;
	if (secret->name == NULL || secret->name[0] == '\0')
		return yml_err(p->doc, node, p->err, "a secret needs name:");
	if (secret->variable == NULL)
		secret->variable = xstrdup(secret->name);
	return check_secret(p, node, job);
}

bool
pipeline_job_secrets(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	if (yml_type(value) == YML_MAPPING)
		return pipeline_wants(p, value, name, "a list of names, or of {name: SECRET, as: VARIABLE}");
	if (yml_type(value) != YML_SEQUENCE)
		return add_secret(p, value, job);
	for (size_t i = 0; i < yml_count(value); i++)
		if (!add_secret(p, yml_at(value, i), job))
			return false;
	return true;
}

/* --- paths --- */

/* Patterns of files below the workspace; those of a cache may be absolute. */
static bool
check_paths(struct pipeline *p, const struct yml_node *at, const struct strings *paths, bool absolute)
{
	struct err err;

	for (size_t i = 0; i < paths->count; i++) {
		struct str rest = str_of(paths->items[i]);

		if (!absolute && rest.p[0] == '/')
			return yml_err(p->doc, at, p->err,
			    "\"%.60s\" is absolute; paths begin at the workspace, where the repository is", rest.p);
		if (!glob_check(rest.p, &err))
			return yml_err(p->doc, at, p->err, "%s", err.text);
		while (rest.len > 0)
			if (str_is(str_cut(&rest, '/'), ".."))
				return yml_err(
				    p->doc, at, p->err, "\"%.60s\" leads out of the workspace", paths->items[i]);
	}
	return true;
}

static bool
read_paths(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return pipeline_read_texts(p, name, value, at) && check_paths(p, value, at, false);
}

static bool
read_cache_paths(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return pipeline_read_texts(p, name, value, at) && check_paths(p, value, at, true);
}

/* --- cache --- */

/* A key's text: one line, in which ${checksum:FILE} stays. */
static bool
read_key(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	char **ret = at;
	const char *text;

	if (yml_type(value) != YML_SCALAR)
		return pipeline_wants(p, value, name, "a text such as go-${checksum:go.sum}");
	if (!pipeline_text(p, value, TEXT_CACHE, &text))
		return false;
	if (text[0] == '\0' || strlen(text) > 512 || strpbrk(text, "\r\n\t") != NULL)
		return yml_err(p->doc, value, p->err, "%s is one line of 1 to 512 bytes", name);
	free(*ret);
	*ret = xstrdup(text);
	return pipeline_count(p, value, strlen(text));
}

static bool
read_fallbacks(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	struct strings *list = at;
	char *key = NULL;
	size_t count = yml_type(value) == YML_SEQUENCE ? yml_count(value) : yml_type(value) != YML_NULL;

	if (count > CACHE_MAX)
		return yml_err(p->doc, value, p->err, "%s has more than %d items", name, CACHE_MAX);
	for (size_t i = 0; i < count; i++) {
		bool ok = read_key(p, name, yml_type(value) == YML_SEQUENCE ? yml_at(value, i) : value, &key);

		if (ok)
			strings_add(list, str_of(key));
		free(key);
		key = NULL;
		if (!ok)
			return false;
	}
	return true;
}

static const struct pipeline_field cache_fields[] = {
	{ "key", read_key, offsetof(struct cache_spec, key) },
	{ "fallback", read_fallbacks, offsetof(struct cache_spec, fallbacks) },
	{ "paths", read_cache_paths, offsetof(struct cache_spec, paths) },
};

static struct cache_spec *
add_cache(struct pipeline *p, const struct yml_node *at, struct job_spec *job)
{
	if (job->cache_count == CACHE_MAX) {
		yml_err(p->doc, at, p->err, "more than %d caches", CACHE_MAX);
		return NULL;
	}
	return pipeline_append(&job->caches, &job->cache_count, sizeof(*job->caches));
}

/* Without a key it is the job's own, whatever its matrix. */
static bool
finish_cache(struct pipeline *p, const struct yml_node *at, struct cache_spec *cache)
{
	if (cache->key == NULL)
		cache->key = xstrdup(p->draft->name);
	return cache->paths.count > 0 || yml_err(p->doc, at, p->err, "a cache needs paths:");
}

static bool
read_cache(struct pipeline *p, const struct yml_node *node, struct job_spec *job)
{
	struct cache_spec *cache = add_cache(p, node, job);
	bool ok;

	if (cache == NULL)
		return false;
	ok = PIPELINE_READ_FIELDS(p, node, "a cache", cache_fields, cache);
	return ok && finish_cache(p, node, cache);
}

/* A list of paths alone is one cache. */
static bool
read_cached_paths(struct pipeline *p, const struct yml_node *node, struct job_spec *job)
{
	struct cache_spec *cache = add_cache(p, node, job);
	bool ok;

	if (cache == NULL)
		return false;
	ok = read_cache_paths(p, "cache", node, &cache->paths);
	return ok && finish_cache(p, node, cache);
}

bool
pipeline_job_cache(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	bool on;

	if (p->draft->kind == JOB_KIND_BUILD) { /* the layers of the image */
		if (!pipeline_read_bool(p, name, value, &on))
			return false;
		job->build->no_cache = !on;
		return true;
	}
	if (yml_type(value) == YML_NULL || (p->draft->form != FORM_JOBS && yml_to_bool(value, &on)))
		return true;
	if (yml_type(value) == YML_MAPPING)
		return read_cache(p, value, job);
	if (yml_type(value) != YML_SEQUENCE || yml_type(yml_at(value, 0)) != YML_MAPPING)
		return read_cached_paths(p, value, job);
	for (size_t i = 0; i < yml_count(value); i++) {
		if (yml_type(yml_at(value, i)) != YML_MAPPING)
			return pipeline_wants(p, yml_at(value, i), name, "a mapping with key: and paths:");
		if (!read_cache(p, yml_at(value, i), job))
			return false;
	}
	return true;
}

/* --- artifacts --- */

static bool
read_expire(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return pipeline_duration(value, EXPIRE_MAX_S, at) ||
	       pipeline_wants(p, value, name, "a duration such as 12h or 30d");
}

static bool
read_on(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	static const char *const words[] = {
		[RUN_ON_SUCCESS] = "success", [RUN_ON_FAILURE] = "failure", [RUN_ALWAYS] = "always"
	};
	enum run_on *ret = at;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(yml_text(value), words[i]) == 0) {
			*ret = (enum run_on)i;
			return true;
		}
	}
	return pipeline_wants(p, value, name, "success, failure or always");
}

/* The name becomes a file's name where somebody loads it down. */
static bool
read_artifact_name(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	char **ret = at;
	size_t len;

	if (!pipeline_read_text(p, name, value, at))
		return false;
	len = strlen(*ret);
	return (len > 0 && len <= PIPELINE_NAME_MAX && strchr(*ret, '/') == NULL && (*ret)[0] != '.') ||
	       pipeline_wants(p, value, name, "a name without / and without a dot before it");
}

static const struct pipeline_field artifact_fields[] = {
	{ "name", read_artifact_name, offsetof(struct artifact_spec, name) },
	{ "paths", read_paths, offsetof(struct artifact_spec, paths) },
	{ "expire", read_expire, offsetof(struct artifact_spec, expire_s) },
	{ "on", read_on, offsetof(struct artifact_spec, on) },
};

static bool
check_artifact(struct pipeline *p, const struct yml_node *at, const struct job_spec *job)
{
	const struct artifact_spec *artifact = &job->artifacts[job->artifact_count - 1];
	const char *name = artifact->name != NULL ? artifact->name : "artifacts";

	if (artifact->paths.count == 0)
		return yml_err(p->doc, at, p->err, "an artifact needs paths:");
	for (size_t i = 0; i + 1 < job->artifact_count; i++)
		if (strcmp(job->artifacts[i].name != NULL ? job->artifacts[i].name : "artifacts", name) == 0)
			return yml_err(p->doc, at, p->err, "two artifacts have the name \"%.60s\"; write name:", name);
	return true;
}

/* A mapping, or paths alone. */
static bool
read_artifact(struct pipeline *p, const struct yml_node *node, struct job_spec *job)
{
	struct artifact_spec *artifact;
	bool ok;

	if (job->artifact_count == ARTIFACT_MAX)
		return yml_err(p->doc, node, p->err, "more than %d artifacts", ARTIFACT_MAX);
	artifact = pipeline_append(&job->artifacts, &job->artifact_count, sizeof(*job->artifacts));
	if (yml_type(node) == YML_MAPPING)
		ok = PIPELINE_READ_FIELDS(p, node, "an artifact", artifact_fields, artifact);
	else
		ok = read_paths(p, "artifacts", node, &artifact->paths);
	return ok && check_artifact(p, node, job);
}

bool
pipeline_job_artifacts(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	if (yml_type(value) == YML_NULL)
		return true;
	if (yml_type(value) != YML_SEQUENCE || yml_type(yml_at(value, 0)) != YML_MAPPING)
		return read_artifact(p, value, job);
	for (size_t i = 0; i < yml_count(value); i++) {
		if (yml_type(yml_at(value, i)) != YML_MAPPING)
			return pipeline_wants(p, yml_at(value, i), name, "a mapping with paths:");
		if (!read_artifact(p, yml_at(value, i), job))
			return false;
	}
	return true;
}

/* --- reports --- */

static bool
read_coverage(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	struct strings one = { 0 };
	char **ret = at;
	bool ok;

	if (!pipeline_read_text(p, name, value, at))
		return false;
	strings_add(&one, str_of(*ret));
	ok = check_paths(p, value, &one, false);
	strings_fini(&one);
	return ok;
}

static const struct pipeline_field report_fields[] = {
	{ "junit", read_paths, offsetof(struct report_spec, junit) },
	{ "coverage", read_coverage, offsetof(struct report_spec, coverage) },
};

bool
pipeline_job_reports(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	if (yml_type(value) != YML_MAPPING && yml_type(value) != YML_NULL)
		return pipeline_wants(p, value, name, "a mapping with junit: or coverage:");
	return PIPELINE_READ_FIELDS(p, value, name, report_fields, &job->reports);
}

/* Whether a command names the text. */
static bool
mentions(const struct job_spec *job, const char *text)
{
	for (size_t i = 0; i < job->segment_count; i++)
		for (size_t k = 0; k < job->segments[i].command_count; k++)
			if (strstr(job->segments[i].commands[k], text) != NULL)
				return true;
	return false;
}

/* What $TEST_RESULT and $TEST_COVERAGE name is known to whoever sets them. */
void
pipeline_add_old_reports(struct job_spec *job)
{
	if (job->reports.junit.count > 0 || job->reports.coverage != NULL)
		return;
	if (mentions(job, "daocloud/testresults"))
		strings_add(&job->reports.junit, STR("daocloud/testresults/*.xml"));
	if (mentions(job, "daocloud/codecoverage"))
		job->reports.coverage = xstrdup("daocloud/codecoverage/*.xml");
}
