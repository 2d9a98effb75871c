/* One job: the table of its keys, and how a draft becomes the plan's jobs. */
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/pipeline_private.h"
#include "proto/utf8.h"

/* Kinds that a key means something to. */
enum {
	SCRIPT = 1 << JOB_KIND_SCRIPT,
	BUILD = 1 << JOB_KIND_BUILD,
	DEPLOY = 1 << JOB_KIND_DEPLOY,
	RUNS = SCRIPT | DEPLOY, /* something in a container of its image */
	ANY_KIND = SCRIPT | BUILD | DEPLOY,
};

struct job_key {
	const char *name;
	unsigned forms;
	unsigned kinds;
	pipeline_job_fn *read; /* NULL: read with the draft */
};

static bool
read_image(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	return pipeline_read_image_name(p, name, value, &job->image);
}

static bool
read_services(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	(void)name;
	return pipeline_read_services(p, value, job);
}

static bool
read_env(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	(void)name;
	return pipeline_read_env(p, value, PIPELINE_ENV_JOB, &job->env);
}

/* Every key of a job. Read in this order, whatever the file's: conditions first, segments as they run. */
/* clang-format off */
static const struct job_key job_keys[] = {
	{ "when",            FORM_ANY | FORM_TOP,    ANY_KIND,       pipeline_job_when },
	{ "only",            FORM_STAGES,            ANY_KIND,       pipeline_job_only },
	{ "except",          FORM_STAGES,            ANY_KIND,       pipeline_job_except },
	{ "pull_request",    FORM_STAGES,            ANY_KIND,       pipeline_job_pull_request },
	{ "context",         FORM_STAGES,            ANY_KIND,       pipeline_job_changed },
	{ "stage",           FORM_STAGES,            ANY_KIND,       NULL },
	{ "job_type",        FORM_STAGES,            ANY_KIND,       NULL },
	{ "name",            FORM_STAGES,            ANY_KIND,       NULL },
	{ "dependencies",    FORM_STAGES,            ANY_KIND,       NULL },
	{ "needs",           FORM_JOBS,              ANY_KIND,       NULL },
	{ "matrix",          FORM_JOBS | FORM_STAGES | FORM_FLAT, ANY_KIND, NULL },
	{ "image",           FORM_ANY | FORM_TOP,    RUNS,           read_image },
	{ "services",        FORM_ANY | FORM_TOP,    SCRIPT,         read_services },
	{ "env",             FORM_ANY | FORM_TOP,    RUNS,           read_env },
	{ "envs",            FORM_STAGES | FORM_TOP, RUNS,           read_env },
	{ "timeout",         FORM_ANY | FORM_TOP,    ANY_KIND,       pipeline_job_timeout },
	{ "retry",           FORM_ANY | FORM_TOP,    ANY_KIND,       pipeline_job_retry },
	{ "allow_failure",   FORM_ANY | FORM_TOP,    ANY_KIND,       pipeline_job_allow_failure },
	{ "resources",       FORM_ANY | FORM_TOP,    ANY_KIND,       pipeline_job_resources },
	{ "labels",          FORM_ANY | FORM_TOP,    ANY_KIND,       pipeline_job_labels },
	{ "label",           FORM_STAGES,            ANY_KIND,       pipeline_job_old_label },
	{ "concurrency",     FORM_ANY | FORM_TOP,    ANY_KIND,       pipeline_job_concurrency },
	{ "hold_on_failure", FORM_ANY | FORM_TOP,    SCRIPT,         pipeline_job_hold },
	{ "mirror",          FORM_ANY | FORM_TOP,    SCRIPT,         pipeline_job_mirror },
	{ "secrets",         FORM_ANY | FORM_TOP,    ANY_KIND,       pipeline_job_secrets },
	{ "build",           FORM_JOBS,              BUILD,          pipeline_job_build },
	{ "dockerfile_path", FORM_STAGES,            BUILD,          pipeline_job_dockerfile },
	{ "build_dir",       FORM_STAGES,            BUILD,          pipeline_job_build_dir },
	{ "build_args",      FORM_STAGES,            BUILD,          pipeline_job_build_args },
	{ "compile",         FORM_STAGES,            BUILD,          pipeline_job_compile },
	{ "extract",         FORM_STAGES,            BUILD,          pipeline_job_extract },
	{ "package",         FORM_STAGES,            BUILD,          pipeline_job_package },
	{ "cache",           FORM_ANY | FORM_TOP,    SCRIPT | BUILD, pipeline_job_cache },
	{ "artifacts",       FORM_ANY | FORM_TOP,    SCRIPT,         pipeline_job_artifacts },
	{ "reports",         FORM_ANY | FORM_TOP,    SCRIPT,         pipeline_job_reports },
	{ "install",         FORM_ANY | FORM_TOP,    SCRIPT,         pipeline_job_install },
	{ "before_script",   FORM_ANY | FORM_TOP,    SCRIPT,         pipeline_job_segment },
	{ "script",          FORM_ANY,               SCRIPT,         pipeline_job_segment },
	{ "scripts",         FORM_STAGES,            SCRIPT,         pipeline_job_segment },
	{ "steps",           FORM_ANY,               SCRIPT,         pipeline_job_steps },
	{ "after_script",    FORM_ANY | FORM_TOP,    SCRIPT,         pipeline_job_after },
	{ "deploy",          FORM_JOBS,              DEPLOY,         pipeline_job_deploy },
	{ "app_name",        FORM_STAGES,            DEPLOY,         pipeline_job_app },
	{ "cluster_id",      FORM_STAGES,            DEPLOY,         pipeline_job_cluster },
};
/* clang-format on */

#define JOB_KEY_COUNT (sizeof(job_keys) / sizeof(job_keys[0]))

static const struct job_key *
find_job_key(const char *name)
{
	for (size_t i = 0; i < JOB_KEY_COUNT; i++)
		if (strcmp(name, job_keys[i].name) == 0)
			return &job_keys[i];
	return NULL;
}

bool
pipeline_is_job_key(const char *name, unsigned form)
{
	const struct job_key *key = find_job_key(name);

	return key != NULL && (key->forms & form) != 0;
}

void
pipeline_offer_job_keys(struct nearest *near, unsigned form)
{
	for (size_t i = 0; i < JOB_KEY_COUNT; i++)
		if ((job_keys[i].forms & form) != 0)
			nearest_offer(near, job_keys[i].name);
}

const char *
pipeline_key_name(size_t i)
{
	return i < JOB_KEY_COUNT ? job_keys[i].name : pipeline_file_key_name(i - JOB_KEY_COUNT);
}

/* --- drafts --- */

/* Names stand in logs and pages: no control characters, not too long. */
static bool
is_name(const char *name)
{
	struct str rest = str_of(name);
	size_t len;

	if (rest.len == 0 || rest.len > PIPELINE_NAME_MAX || name[0] == ' ' || name[rest.len - 1] == ' ')
		return false;
	for (; rest.len > 0; rest.p += len, rest.len -= len) {
		uint32_t c = utf8_decode(rest, &len);

		if (c < ' ' || (c >= 0x7f && c < 0xa0) || c == UTF8_BAD)
			return false;
	}
	return true;
}

struct draft *
pipeline_add_draft(
    struct pipeline *p, const struct yml_node *key, const char *name, const struct yml_node *node, unsigned form)
{
	struct draft *draft;

	if (!is_name(name)) {
		yml_err(p->doc, key, p->err, "\"%.60s\" is no name for a job: 1 to %d bytes in one line", name,
		    PIPELINE_NAME_MAX);
		return NULL;
	}
	if (p->draft_count == PIPELINE_JOBS_MAX) {
		yml_err(p->doc, key, p->err, "more than %d jobs", PIPELINE_JOBS_MAX);
		return NULL;
	}
	if (yml_type(node) != YML_MAPPING && yml_type(node) != YML_NULL) {
		pipeline_wants(p, node, name,
		    form == FORM_HALF ? "a mapping with image: or lite_image:" : "a mapping with image: and script:");
		return NULL;
	}
	draft = pipeline_append(&p->drafts, &p->draft_count, sizeof(*p->drafts));
	*draft = (struct draft){ .name = name, .key = key, .node = node, .form = form };
	return draft;
}

/* Keys that stand in another place, or have another name, than in this form. */
static const char *
place_of(const char *name, unsigned form)
{
	static const struct {
		const char *name;
		unsigned form;
		const char *place;
	} places[] = {
		{ "needs", FORM_STAGES, "the order of stages, and dependencies: for files" },
		{ "needs", FORM_FLAT, "a key of a job below jobs:" },
		{ "build", FORM_STAGES, "a job with job_type: image_build" },
		{ "build", FORM_FLAT, "a key beside test:, or of a job below jobs:" },
		{ "deploy", FORM_STAGES, "a job with job_type: DCS_deploy" },
		{ "deploy", FORM_FLAT, "a key of a job below jobs:" },
		{ "stages", FORM_FLAT, "a key of the file's top" },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (places[i].form == form && strcmp(name, places[i].name) == 0)
			return places[i].place;
	return NULL;
}

static bool
unknown_job_key(struct pipeline *p, const struct yml_node *key, const struct draft *draft, bool is_file)
{
	struct nearest near = nearest_to(yml_text(key));
	const char *place = place_of(yml_text(key), draft->form);

	if (place != NULL)
		return yml_err(p->doc, key, p->err, "%s cannot stand here; it is %s", yml_text(key), place);

	pipeline_offer_job_keys(&near, draft->form);
	if (is_file)
		pipeline_offer_file_keys(&near);
	return pipeline_unknown(p, key, NULL, &near);
}

/* What the kind of job has no use for: an error in the modern form, which has no past. */
static bool
check_kind(struct pipeline *p, const struct yml_node *key, const struct draft *draft, const struct job_key *known)
{
	static const char *const what[] = {
		[JOB_KIND_SCRIPT] = "that runs a script",
		[JOB_KIND_BUILD] = "that builds an image",
		[JOB_KIND_DEPLOY] = "that deploys",
	};

	if ((known->kinds & (1u << draft->kind)) != 0)
		return true;
	if (draft->form == FORM_JOBS)
		return yml_err(p->doc, key, p->err,
		    "%s means nothing in a job %s; put it into a job of its own and name that in needs:", known->name,
		    what[draft->kind]);
	pipeline_warn(p, key, "%s means nothing in a job %s", known->name, what[draft->kind]);
	return true;
}

/* What stands below test: was once a file of its own. */
static bool
is_moved_key(const struct draft *draft, const char *name)
{
	return draft->form == FORM_FLAT && (strcmp(name, "notify") == 0 || strcmp(name, "version") == 0);
}

static bool
check_job_keys(struct pipeline *p, const struct draft *draft)
{
	bool is_file = draft->node == p->layers[0]; /* which is its own and only job */

	for (size_t i = 0; i < yml_count(draft->node); i++) {
		const struct yml_node *key = yml_key_at(draft->node, i);
		const struct job_key *known = find_job_key(yml_text(key));

		if (is_file ? pipeline_is_file_key(yml_text(key)) : is_moved_key(draft, yml_text(key)))
			continue;
		if (known == NULL || (known->forms & draft->form) == 0)
			return unknown_job_key(p, key, draft, is_file);
		if (!check_kind(p, key, draft, known))
			return false;
	}
	return true;
}

/* --- values from the layers --- */

/* A flat file is its only job, so that what it includes is all there is above it. */
static size_t
first_layer(const struct draft *draft)
{
	return draft->form == FORM_FLAT ? 1 : 0;
}

static bool
comes_from_layers(const struct draft *draft, const struct job_key *key)
{
	return (key->forms & (draft->form == FORM_FLAT ? FORM_FLAT : FORM_TOP)) != 0;
}

/* The job's own value, else the strongest layer's; NULL: none has one. */
static const struct yml_node *
find_value(const struct pipeline *p, const struct draft *draft, const struct job_key *key)
{
	const struct yml_node *value = yml_get(draft->node, key->name);

	for (size_t i = first_layer(draft); value == NULL && comes_from_layers(draft, key) && i < p->layer_count; i++)
		value = yml_get(p->layers[i], key->name);
	return value;
}

/* Variables add up: those of the layers, the weakest first, then the job's. */
static bool
read_layered_env(struct pipeline *p, const struct draft *draft, const struct job_key *key, struct job_spec *job)
{
	for (size_t i = p->layer_count; comes_from_layers(draft, key) && i-- > first_layer(draft);)
		if (!read_env(p, key->name, yml_get(p->layers[i], key->name), job))
			return false;
	return read_env(p, key->name, yml_get(draft->node, key->name), job);
}

static bool
read_keys(struct pipeline *p, const struct draft *draft, struct job_spec *job)
{
	for (size_t i = 0; i < JOB_KEY_COUNT; i++) {
		const struct job_key *key = &job_keys[i];
		const struct yml_node *value;

		if (key->read == NULL || (key->kinds & (1u << draft->kind)) == 0)
			continue;
		if (key->read == read_env) {
			if (!read_layered_env(p, draft, key, job))
				return false;
			continue;
		}
		value = find_value(p, draft, key);
		if (value != NULL && !key->read(p, key->name, value, job))
			return false;
	}
	return true;
}

/* --- a job --- */

/* Parameters are variables of every job; a dollar sign in them is one. */
static void
add_parameters(struct pipeline *p, struct job_spec *job)
{
	for (size_t i = 0; i < p->parameters.count; i++) {
		const char *value = p->parameters.vars[i].value;
		char *doubled = xcalloc(1, 2 * strlen(value) + 1), *end = doubled;

		for (; *value != '\0'; value++) {
			if (*value == '$')
				*end++ = '$';
			*end++ = *value;
		}
		env_add(&job->env, p->parameters.vars[i].name, doubled);
		free(doubled);
	}
}

static bool
check_script(struct pipeline *p, const struct yml_node *at, const struct draft *draft, struct job_spec *job)
{
	const struct yml_node *script = pipeline_find_key(draft->node, "script");
	bool does = false, has_script = pipeline_find_key(draft->node, "steps") != NULL;

	for (size_t i = 0; i < job->segment_count; i++) {
		const struct segment_spec *segment = &job->segments[i];
		bool prepares = strcmp(segment->name, "install") == 0 || strcmp(segment->name, "before_script") == 0;

		does = does || !segment->always;
		has_script = has_script || (!segment->always && !prepares);
		if (job->image == NULL && segment->image != NULL)
			job->image = xstrdup(segment->image);
	}
	if (job->image == NULL)
		return yml_err(p->doc, at, p->err,
		    "the job %.60s has no image; write image: NAME, as in image: debian:bookworm", job->name);
	if (!does)
		return yml_err(p->doc, script != NULL ? script : at, p->err,
		    "the job %.60s has no script; write script: and a list of commands", job->name);
	if (!has_script)
		pipeline_warn(p, script != NULL ? script : at,
		    "the job %.60s has no script; what stands before it is all that runs", job->name);
	return true;
}

static bool
finish_job(struct pipeline *p, const struct draft *draft, struct job_spec *job)
{
	const struct yml_node *at = yml_type(draft->node) == YML_MAPPING ? draft->node : draft->key;

	if (at == NULL)
		at = draft->node;
	switch (draft->kind) {
	case JOB_KIND_SCRIPT:
		if (draft->form != FORM_JOBS)
			pipeline_add_old_reports(job);
		return check_script(p, at, draft, job);
	case JOB_KIND_BUILD:
		return pipeline_finish_build(p, at, job);
	case JOB_KIND_DEPLOY:
		break;
	}
	return job->deploy->environment != NULL ||
	       yml_err(p->doc, at, p->err, "the job %.60s does not say where to deploy to; write app_name: ENVIRONMENT",
		   job->name);
}

static struct job_spec *
add_job(struct pipeline *p, struct draft *draft, const char *suffix)
{
	struct plan *plan = p->plan;
	struct job_spec *job;

	p->owners = xrealloc(p->owners, (plan->job_count + 1) * sizeof(*p->owners));
	p->owners[plan->job_count] = (size_t)(draft - p->drafts);
	job = pipeline_append(&plan->jobs, &plan->job_count, sizeof(*plan->jobs));
	job->name = xasprintf("%s%s", draft->name, suffix);
	job->kind = draft->kind;
	if (draft->kind == JOB_KIND_BUILD)
		job->build = xcalloc(1, sizeof(*job->build));
	if (draft->kind == JOB_KIND_DEPLOY)
		job->deploy = xcalloc(1, sizeof(*job->deploy));
	draft->count++;
	return job;
}

/* The draft's job for the combination in p->matrix. */
static bool
read_one(struct pipeline *p)
{
	struct draft *draft = p->draft;
	struct job_spec *job;

	if (p->plan->job_count == PIPELINE_JOBS_MAX)
		return yml_err(
		    p->doc, draft->key, p->err, "more than %d jobs once matrices are expanded", PIPELINE_JOBS_MAX);
	if (strlen(p->suffix) > 2 * PIPELINE_NAME_MAX)
		return yml_err(p->doc, draft->key, p->err, "the values of the matrix make a name of more than %d bytes",
		    2 * PIPELINE_NAME_MAX);
	job = add_job(p, draft, p->suffix);
	p->job_bytes = 0;
	p->skipped = false;
	p->missing = p->lacks = NULL;
	if (draft->kind != JOB_KIND_BUILD)
		add_parameters(p, job);
	if (draft->form == FORM_HALF ? !pipeline_read_old_build(p, draft->node, job) : !read_keys(p, draft, job))
		return false;
	job->allow_failure = job->allow_failure || p->allow_failure;
	if (job->deploy != NULL && p->lacks != NULL)
		job->deploy->lacks = xstrdup(p->lacks);
	if (p->missing != NULL && job->skipped == NULL)
		job->skipped = xasprintf(
		    "an image's name wants ${%s}, which the event %.20s does not have", p->missing, p->context->event);
	return finish_job(p, draft, job);
}

static bool
read_combination(struct pipeline *p, const char *suffix, bool allow_failure)
{
	p->suffix = suffix;
	p->allow_failure = allow_failure;
	return read_one(p) &&
	       (p->draft->kind != JOB_KIND_BUILD || pipeline_expand_platforms(p, p->draft->node, read_one));
}

bool
pipeline_read_job(struct pipeline *p, struct draft *draft)
{
	const struct yml_node *matrix = yml_get(draft->node, "matrix");

	p->draft = draft;
	draft->first = p->plan->job_count;
	if (draft->form == FORM_HALF)
		return read_combination(p, "", false);
	return check_job_keys(p, draft) && pipeline_each_combination(p, matrix, read_combination);
}
