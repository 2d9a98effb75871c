/* A job that brings something to an environment: deploy:, and app_name of the form with stages. What an application is,
 * pipeline_application.c reads. */
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/pipeline_private.h"

/* Its name is a key elsewhere: a word of letters, digits, - _ . and whatever people call their systems. */
static bool
read_environment(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	char **ret = at;

	if (!pipeline_read_text(p, name, value, at))
		return false;
	return ((*ret)[0] != '\0' && strlen(*ret) <= PIPELINE_NAME_MAX) ||
	       pipeline_wants(p, value, name, "the name of an environment of at most 100 bytes");
}

/* The job is the last of the plan so far; at is that of no member. */
static bool
read_command(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	(void)at;
	return pipeline_job_segment(p, name, value, &p->plan->jobs[p->plan->job_count - 1]);
}

/* Read when the rest is: a service without an image has that of deploy:. */
static bool
read_application(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	(void)at;
	return yml_type(value) == YML_MAPPING || yml_type(value) == YML_SCALAR ||
	       pipeline_wants(p, value, name,
		   "a mapping with image: and ports:, or with services:, or the path of a compose file");
}

static const struct pipeline_field deploy_fields[] = {
	{ "environment", read_environment, offsetof(struct deploy_spec, environment) },
	{ "image", pipeline_read_image_name, offsetof(struct deploy_spec, image) },
	{ "command", read_command, 0 },
	{ "application", read_application, 0 },
	{ "approve", pipeline_read_bool, offsetof(struct deploy_spec, approve) },
};

/* deploy: ENVIRONMENT, or a mapping. */
bool
pipeline_job_deploy(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	const struct yml_node *application;

	if (yml_type(value) == YML_SCALAR)
		return read_environment(p, name, value, &job->deploy->environment);
	if (yml_type(value) != YML_MAPPING)
		return pipeline_wants(
		    p, value, name, "an environment's name, or a mapping with environment:, image: and command:");
	if (!PIPELINE_READ_FIELDS(p, value, name, deploy_fields, job->deploy))
		return false;
	application = yml_get(value, "application");
	if (application != NULL && pipeline_find_key(value, "command") != NULL)
		return yml_err(p->doc, pipeline_find_key(value, "command"), p->err,
		    "command stands beside application; the server itself deploys an application");
	if (yml_type(application) == YML_SCALAR && (application = pipeline_open_application(p, application)) == NULL)
		return false;
	if (application != NULL && !pipeline_read_application(p, application, job->deploy))
		return false;
	return job->deploy->environment != NULL ||
	       yml_err(p->doc, value, p->err, "deploy needs environment:, the name of one that the server has");
}

bool
pipeline_job_app(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	return read_environment(p, name, value, &job->deploy->environment);
}

/* cluster_id: the environment says where it is. */
bool
pipeline_job_cluster(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	(void)job;
	if (yml_type(value) != YML_SCALAR && yml_type(value) != YML_NULL)
		return pipeline_wants(p, value, name, "a text");
	pipeline_warn(p, value, "cluster_id says nothing here; the environment of app_name says where it runs");
	return true;
}
