/* The forms of a file: one job, test and build, stages with jobs beside them, jobs below jobs:. Each makes drafts. */
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/pipeline_private.h"

/* What is included gives values to jobs of the form: keys that none of them has are mistakes. */
static bool
check_included(struct pipeline *p, unsigned form)
{
	for (size_t i = 1; i < p->layer_count; i++) {
		for (size_t k = 0; k < yml_count(p->layers[i]); k++) {
			const struct yml_node *key = yml_key_at(p->layers[i], k);
			struct nearest near = nearest_to(yml_text(key));

			if (pipeline_is_file_key(yml_text(key)) || pipeline_is_job_key(yml_text(key), form))
				continue;
			if (strcmp(yml_text(key), "jobs") == 0)
				return yml_err(p->doc, key, p->err,
				    "jobs: is included into a file of another form; write that one with jobs: as well");
			pipeline_offer_job_keys(&near, form);
			pipeline_offer_file_keys(&near);
			return pipeline_unknown(p, key, NULL, &near);
		}
	}
	return true;
}

/* --- one job --- */

bool
pipeline_read_flat(struct pipeline *p, const struct yml_node *root)
{
	return check_included(p, FORM_FLAT) && pipeline_add_draft(p, root, "test", root, FORM_FLAT) != NULL;
}

/* --- version 2: test: and build: --- */

static bool
check_halves(struct pipeline *p, const struct yml_node *root, const char *half)
{
	for (size_t i = 0; i < yml_count(root); i++) {
		const struct yml_node *key = yml_key_at(root, i);
		struct nearest near = nearest_to(yml_text(key));

		if (strcmp(yml_text(key), "test") == 0 || strcmp(yml_text(key), "build") == 0 ||
		    pipeline_is_file_key(yml_text(key)))
			continue;
		if (pipeline_is_job_key(yml_text(key), FORM_FLAT))
			return yml_err(
			    p->doc, key, p->err, "%.60s stands beside %s:; put it below test:", yml_text(key), half);
		nearest_offer(&near, "test");
		nearest_offer(&near, "build");
		pipeline_offer_file_keys(&near);
		return pipeline_unknown(p, key, NULL, &near);
	}
	return true;
}

bool
pipeline_read_halves(struct pipeline *p, const struct yml_node *root)
{
	const struct yml_node *test = pipeline_find_key(root, "test"), *build = pipeline_find_key(root, "build");
	struct draft *draft;

	if (!check_included(p, FORM_FLAT) || !check_halves(p, root, test != NULL ? "test" : "build") ||
	    !pipeline_read_notify(p, yml_get(yml_get(root, "test"), "notify")))
		return false;
	if (test != NULL && (build == NULL || yml_type(yml_get(root, "test")) != YML_NULL) &&
	    pipeline_add_draft(p, test, "test", yml_get(root, "test"), FORM_FLAT) == NULL)
		return false;
	if (build == NULL || (p->draft_count > 0 && yml_type(yml_get(root, "build")) == YML_NULL))
		return true;
	draft = pipeline_add_draft(p, build, "build", yml_get(root, "build"), FORM_HALF);
	if (draft == NULL)
		return false;
	draft->kind = JOB_KIND_BUILD;
	if (p->draft_count > 1)
		pipeline_add_need(draft, p->drafts[0].name, build, false);
	return true;
}

/* --- stages --- */

/* What job_type says; those of the web page's exports too. */
static const struct {
	const char *name;
	enum job_kind kind;
} job_types[] = {
	{ "default", JOB_KIND_SCRIPT },
	{ "test", JOB_KIND_SCRIPT },
	{ "maven", JOB_KIND_SCRIPT },
	{ "image_build", JOB_KIND_BUILD },
	{ "lite_image_build", JOB_KIND_BUILD },
	{ "DCS_deploy", JOB_KIND_DEPLOY },
	{ "DCE_deploy", JOB_KIND_DEPLOY },
	{ "DCS_test_deploy", JOB_KIND_DEPLOY },
};

static bool
read_job_type(struct pipeline *p, const struct yml_node *node, enum job_kind *kind)
{
	if (yml_type(node) == YML_NULL)
		return true;
	for (size_t i = 0; i < sizeof(job_types) / sizeof(job_types[0]); i++) {
		if (strcmp(yml_text(node), job_types[i].name) == 0) {
			*kind = job_types[i].kind;
			return true;
		}
	}
	return pipeline_wants(p, node, "job_type",
	    "default, test, image_build, lite_image_build, DCS_deploy, DCE_deploy or DCS_test_deploy");
}

static bool
is_staged_job(const struct yml_node *node)
{
	return pipeline_find_key(node, "stage") != NULL || pipeline_find_key(node, "job_type") != NULL;
}

bool
pipeline_has_staged_job(const struct yml_node *root)
{
	for (size_t i = 0; i < yml_count(root); i++)
		if (is_staged_job(yml_at(root, i)))
			return true;
	return false;
}

/* The stages' names, in their order. */
struct stages {
	const char *names[PIPELINE_JOBS_MAX];
	unsigned count;
	bool listed; /* below stages:, not gathered from the jobs */
};

static bool
add_stage(struct pipeline *p, const struct yml_node *node, struct stages *stages)
{
	if (yml_type(node) == YML_NULL)
		return true;
	if (yml_type(node) != YML_SCALAR)
		return pipeline_wants(p, node, "stages", "a list of names");
	for (unsigned i = 0; i < stages->count; i++)
		if (strcmp(stages->names[i], yml_text(node)) == 0)
			return yml_err(p->doc, node, p->err, "two stages have the name \"%.60s\"", yml_text(node));
	if (stages->count == PIPELINE_JOBS_MAX)
		return yml_err(p->doc, node, p->err, "more than %d stages", PIPELINE_JOBS_MAX);
	stages->names[stages->count++] = yml_text(node);
	return true;
}

static bool
read_stage_list(struct pipeline *p, const struct yml_node *root, struct stages *stages)
{
	const struct yml_node *list = yml_get(root, "stages");

	stages->listed = yml_count(list) > 0;
	if (yml_type(list) != YML_SEQUENCE && yml_type(list) != YML_NULL)
		return pipeline_wants(p, list, "stages", "a list of names");
	for (size_t i = 0; i < yml_count(list); i++)
		if (!add_stage(p, yml_at(list, i), stages))
			return false;
	return true;
}

static bool
unknown_stage(struct pipeline *p, const struct yml_node *at, const struct stages *stages)
{
	struct nearest near = nearest_to(yml_text(at));
	char hint[100];

	for (unsigned i = 0; i < stages->count; i++)
		nearest_offer(&near, stages->names[i]);
	return yml_err(
	    p->doc, at, p->err, "there is no stage \"%.60s\" in stages:%s", yml_text(at), nearest_hint(&near, hint));
}

/* Without a list of stages they come as the jobs name them; a job without one is in the first. */
static bool
find_stage(struct pipeline *p, const struct draft *draft, struct stages *stages, unsigned *ret)
{
	const struct yml_node *node = yml_get(draft->node, "stage");

	*ret = 0;
	if (yml_type(node) == YML_NULL) {
		pipeline_warn(p, draft->key, "the job %.60s has no stage; it runs in the first one", draft->name);
		return true;
	}
	if (yml_type(node) != YML_SCALAR)
		return pipeline_wants(p, node, "stage", "the name of a stage");
	while (*ret < stages->count && strcmp(stages->names[*ret], yml_text(node)) != 0)
		(*ret)++;
	if (*ret < stages->count)
		return true;
	return stages->listed ? unknown_stage(p, node, stages) : add_stage(p, node, stages);
}

static bool
add_staged_job(struct pipeline *p, const struct yml_node *key, const struct yml_node *node, struct stages *stages)
{
	const struct yml_node *dependencies = yml_get(node, "dependencies");
	struct draft *draft = pipeline_add_draft(p, key, yml_text(key), node, FORM_STAGES);

	return draft != NULL && read_job_type(p, yml_get(node, "job_type"), &draft->kind) &&
	       find_stage(p, draft, stages, &draft->stage) &&
	       (dependencies == NULL || pipeline_read_needs(p, "dependencies", dependencies, draft));
}

/* What stands at the top beside jobs: keys of the file, and defaults for its jobs. */
static bool
is_top_key(const char *name)
{
	return pipeline_is_file_key(name) || pipeline_is_job_key(name, FORM_TOP);
}

static bool
unknown_top_key(struct pipeline *p, const struct yml_node *key, const char *form)
{
	struct nearest near = nearest_to(yml_text(key));

	nearest_offer(&near, form);
	pipeline_offer_file_keys(&near);
	pipeline_offer_job_keys(&near, FORM_TOP);
	return pipeline_unknown(p, key, NULL, &near);
}

bool
pipeline_read_stages(struct pipeline *p, const struct yml_node *root)
{
	struct stages stages = { .count = 0 };

	if (!check_included(p, FORM_TOP) || !read_stage_list(p, root, &stages))
		return false;
	if (!stages.listed)
		pipeline_warn(p, pipeline_find_key(root, "stages"),
		    "there is no list of stages; they come in the order in which the jobs name them");
	for (size_t i = 0; i < yml_count(root); i++) {
		const struct yml_node *key = yml_key_at(root, i), *value = yml_at(root, i);
		bool is_job = is_staged_job(value);

		if (strcmp(yml_text(key), "stages") == 0 || (!is_job && is_top_key(yml_text(key))))
			continue;
		if (!is_job && yml_type(value) != YML_MAPPING)
			return unknown_top_key(p, key, "stages");
		if (!add_staged_job(p, key, value, &stages))
			return false;
	}
	return p->draft_count > 0 || yml_err(p->doc, pipeline_find_key(root, "stages"), p->err,
					 "there are stages, but no job; write NAME: with stage: and script: below it");
}

/* --- jobs: --- */

static bool
has_draft(const struct pipeline *p, const char *name)
{
	for (size_t i = 0; i < p->draft_count; i++)
		if (strcmp(p->drafts[i].name, name) == 0)
			return true;
	return false;
}

static bool
settle_kind(struct pipeline *p, struct draft *draft)
{
	const struct yml_node *build = pipeline_find_key(draft->node, "build"),
			      *deploy = pipeline_find_key(draft->node, "deploy");

	if (build != NULL && deploy != NULL)
		return yml_err(p->doc, deploy, p->err,
		    "deploy stands beside build; make two jobs, and name the first in needs: of the second");
	if (build != NULL)
		draft->kind = JOB_KIND_BUILD;
	if (deploy != NULL)
		draft->kind = JOB_KIND_DEPLOY;
	return true;
}

static bool
add_job(struct pipeline *p, const struct yml_node *key, const struct yml_node *node)
{
	const struct yml_node *needs = yml_get(node, "needs");
	struct draft *draft;

	if (has_draft(p, yml_text(key)))
		return true; /* a stronger layer has it */
	draft = pipeline_add_draft(p, key, yml_text(key), node, FORM_JOBS);
	return draft != NULL && settle_kind(p, draft) &&
	       (needs == NULL || pipeline_read_needs(p, "needs", needs, draft));
}

static bool
read_layer(struct pipeline *p, const struct yml_node *layer)
{
	const struct yml_node *jobs = yml_get(layer, "jobs");

	for (size_t i = 0; i < yml_count(layer); i++) {
		const struct yml_node *key = yml_key_at(layer, i);

		if (strcmp(yml_text(key), "jobs") == 0 || is_top_key(yml_text(key)))
			continue;
		if (pipeline_is_job_key(yml_text(key), FORM_JOBS))
			return yml_err(
			    p->doc, key, p->err, "%s stands beside jobs:; put it into one of the jobs", yml_text(key));
		return unknown_top_key(p, key, "jobs");
	}
	if (yml_type(jobs) != YML_MAPPING && yml_type(jobs) != YML_NULL)
		return pipeline_wants(p, jobs, "jobs", "a mapping such as {test: {script: [make check]}}");
	for (size_t i = 0; i < yml_count(jobs); i++)
		if (!add_job(p, yml_key_at(jobs, i), yml_at(jobs, i)))
			return false;
	return true;
}

bool
pipeline_read_jobs(struct pipeline *p, const struct yml_node *root)
{
	for (size_t i = 0; i < p->layer_count; i++)
		if (!read_layer(p, p->layers[i]))
			return false;
	return p->draft_count > 0 || yml_err(p->doc, pipeline_find_key(root, "jobs"), p->err,
					 "jobs: has no job; write NAME: with script: below it");
}
