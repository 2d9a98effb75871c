/* How a job is run: timeout, retry, allow_failure, resources, labels, concurrency, hold_on_failure, mirror. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/pipeline_private.h"
#include "proto/units.h"

#define TIMEOUT_MAX_S (7u * 86400)
#define HOLD_MAX_S (24u * 3600)
#define HOLD_DEFAULT_S 600
#define RETRY_MAX 10
#define CPUS_MAX 1024
#define LABEL_MAX 20

bool
pipeline_job_timeout(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	return pipeline_duration(value, TIMEOUT_MAX_S, &job->timeout_s) ||
	       pipeline_wants(p, value, name, "a duration such as 90s, 20m or 1h30m, at most 7d");
}

bool
pipeline_job_allow_failure(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	return pipeline_read_bool(p, name, value, &job->allow_failure);
}

bool
pipeline_job_mirror(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	bool on = true;

	if (!pipeline_read_bool(p, name, value, &on))
		return false;
	job->no_mirror = !on;
	return true;
}

/* yes: as long as the default says. */
bool
pipeline_job_hold(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	bool on;

	if (yml_to_bool(value, &on)) {
		job->hold_s = on ? HOLD_DEFAULT_S : 0;
		return true;
	}
	return pipeline_duration(value, HOLD_MAX_S, &job->hold_s) ||
	       pipeline_wants(p, value, name, "true, or a duration such as 10m, at most 24h");
}

/* --- retry --- */

static bool
add_outcome(struct pipeline *p, const char *name, const struct yml_node *node, struct retry_spec *retry)
{
	static const struct {
		const char *name;
		unsigned bit;
	} outcomes[] = {
		{ "infrastructure", RETRY_INFRASTRUCTURE },
		{ "failure", RETRY_FAILURE },
		{ "timeout", RETRY_TIMEOUT },
		{ "always", RETRY_INFRASTRUCTURE | RETRY_FAILURE | RETRY_TIMEOUT },
	};

	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		if (strcmp(yml_text(node), outcomes[i].name) == 0) {
			retry->on |= outcomes[i].bit;
			return true;
		}
	}
	return pipeline_wants(p, node, name, "infrastructure, failure, timeout, always, or a list of them");
}

static bool
read_outcomes(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	if (yml_type(value) != YML_SEQUENCE)
		return add_outcome(p, name, value, at);
	for (size_t i = 0; i < yml_count(value); i++)
		if (!add_outcome(p, name, yml_at(value, i), at))
			return false;
	return true;
}

static bool
read_retry_max(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	struct retry_spec *retry = at;
	uint64_t n;

	if (!yml_to_u64(value, RETRY_MAX, &n))
		return pipeline_wants(p, value, name, "a number from 0 to 10");
	retry->max = (unsigned)n;
	return true;
}

static const struct pipeline_field retry_fields[] = {
	{ "max", read_retry_max, 0 },
	{ "on", read_outcomes, 0 },
};

bool
pipeline_job_retry(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	struct retry_spec *retry = &job->retry;

	if (yml_type(value) != YML_MAPPING) {
		if (!read_retry_max(p, name, value, retry))
			return false;
	} else if (!PIPELINE_READ_FIELDS(p, value, name, retry_fields, retry)) {
		return false;
	} else if (yml_get(value, "max") == NULL) {
		retry->max = 1;
	}
	if (retry->on == 0 && retry->max > 0)
		retry->on = RETRY_INFRASTRUCTURE | RETRY_FAILURE | RETRY_TIMEOUT;
	return true;
}

/* --- resources --- */

/* 2, 0.5, 1.25: up to nine places behind the dot. */
static bool
parse_cpus(struct str text, uint64_t *nano)
{
	struct str rest = text, whole = str_cut(&rest, '.');
	uint64_t cores, part = 0;

	if (!str_to_u64(whole, CPUS_MAX, &cores) || rest.len > 9)
		return false;
	if (whole.len < text.len && !str_to_u64(rest, 999999999, &part))
		return false;
	for (size_t i = rest.len; i < 9; i++)
		part *= 10;
	*nano = cores * 1000000000 + part;
	return *nano > 0;
}

bool
pipeline_read_cpus(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return parse_cpus(str_of(yml_text(value)), at) ||
	       pipeline_wants(p, value, name, "a number of cores such as 2 or 0.5");
}

bool
pipeline_read_memory(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	uint64_t *ret = at;

	return (units_size(str_of(yml_text(value)), (uint64_t)1 << 50, ret) && *ret > 0) ||
	       pipeline_wants(p, value, name, "a size such as 512m or 2g");
}

static const struct pipeline_field resource_fields[] = {
	{ "cpus", pipeline_read_cpus, offsetof(struct resources_spec, nano_cpus) },
	{ "memory", pipeline_read_memory, offsetof(struct resources_spec, memory) },
};

bool
pipeline_job_resources(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	if (yml_type(value) != YML_MAPPING && yml_type(value) != YML_NULL)
		return pipeline_wants(p, value, name, "a mapping with cpus: and memory:");
	return PIPELINE_READ_FIELDS(p, value, name, resource_fields, &job->resources);
}

/* --- labels --- */

static bool
is_label(const char *s)
{
	if (s[0] == '\0' || strlen(s) > PIPELINE_NAME_MAX)
		return false;
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr("_.-/=", *s) == NULL)
			return false;
	return true;
}

static bool
add_label(struct pipeline *p, const struct yml_node *at, struct job_spec *job, const char *label)
{
	if (!is_label(label))
		return yml_err(p->doc, at, p->err,
		    "\"%.60s\" is no label of an engine; write NAME: VALUE of letters, digits, - _ . /", label);
	if (job->labels.count == LABEL_MAX)
		return yml_err(p->doc, at, p->err, "more than %d labels", LABEL_MAX);
	strings_add(&job->labels, str_of(label));
	return true;
}

/* {arch: arm64} */
static bool
read_label_mapping(struct pipeline *p, const char *name, const struct yml_node *node, struct job_spec *job)
{
	for (size_t i = 0; i < yml_count(node); i++) {
		const struct yml_node *key = yml_key_at(node, i), *value = yml_at(node, i);
		const char *text;
		char *label;
		bool ok;

		if (yml_type(value) != YML_SCALAR)
			return pipeline_wants(p, value, name, "NAME: VALUE");
		if (!pipeline_text(p, value, TEXT_VALUE, &text))
			return false;
		label = xasprintf("%s=%s", yml_text(key), text);
		ok = add_label(p, key, job, label);
		free(label);
		if (!ok)
			return false;
	}
	return true;
}

bool
pipeline_job_labels(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	struct strings list = { 0 };
	bool ok;

	if (yml_type(value) == YML_MAPPING)
		return read_label_mapping(p, name, value, job);
	ok = pipeline_read_texts(p, name, value, &list);
	for (size_t i = 0; ok && i < list.count; i++)
		ok = add_label(p, value, job, list.items[i]);
	strings_fini(&list);
	return ok;
}

/* label: of the form with stages named a node of DaoCloud's. */
bool
pipeline_job_old_label(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	(void)job;
	if (yml_type(value) == YML_NULL)
		return true;
	if (yml_type(value) != YML_SCALAR)
		return pipeline_wants(p, value, name, "a text");
	pipeline_warn(p, value,
	    "label: %.60s named a machine of DaoCloud and chooses nothing here; labels: {NAME: VALUE} chooses an "
	    "engine",
	    yml_text(value));
	return true;
}

/* --- concurrency --- */

static const struct pipeline_field concurrency_fields[] = {
	{ "group", pipeline_read_text, offsetof(struct concurrency_spec, group) },
	{ "cancel", pipeline_read_bool, offsetof(struct concurrency_spec, cancel) },
};

/* Jobs that deploy have the group of their environment: no other job holds them up or cancels them. */
static bool
check_group(struct pipeline *p, const struct yml_node *at, const char *group)
{
	return strncmp(group, "environment:", strlen("environment:")) != 0 ||
	       yml_err(
		   p->doc, at, p->err, "the group %.60s is for the jobs that deploy there; choose another name", group);
}

bool
pipeline_job_concurrency(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	struct concurrency_spec *concurrency = &job->concurrency;

	if (yml_type(value) != YML_MAPPING)
		return pipeline_read_text(p, name, value, &concurrency->group) &&
		       check_group(p, value, concurrency->group);
	if (!PIPELINE_READ_FIELDS(p, value, name, concurrency_fields, concurrency))
		return false;
	if (concurrency->group != NULL && !check_group(p, value, concurrency->group))
		return false;
	if (concurrency->group == NULL)
		return yml_err(
		    p->doc, value, p->err, "concurrency needs group:, as in {group: \"${branch}\", cancel: true}");
	return true;
}
