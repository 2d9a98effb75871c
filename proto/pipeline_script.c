/* What a job's shells run: install, before_script, script, steps, after_script. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/marker.h"
#include "proto/mem.h"
#include "proto/pipeline_private.h"

#define STEP_MAX 50

static bool
add_command(struct pipeline *p, const struct yml_node *node, struct segment_spec *segment)
{
	const char *command;
	struct str text;

	if (!pipeline_text(p, node, TEXT_SHELL, &command))
		return false;
	text = str_of(command);
	while (text.len > 0 && strchr(" \t\n", text.p[text.len - 1]) != NULL)
		text.len--;
	if (text.len == 0)
		return true;
	if (!pipeline_count(p, node, text.len))
		return false;
	if (pipeline_has_fullwidth(node))
		pipeline_warn(
		    p, node, "the fullwidth \xef\xbc\x83 (U+FF03) is part of this text; a comment begins with #");
	*(char **)pipeline_append(&segment->commands, &segment->command_count, sizeof(char *)) = str_dup(text);
	return true;
}

/* One text, or a list of them, or of lists that aliases brought in. */
static bool
add_commands(struct pipeline *p, const char *name, const struct yml_node *node, struct segment_spec *segment)
{
	switch (yml_type(node)) {
	case YML_NULL:
		return true;
	case YML_SCALAR:
		return add_command(p, node, segment);
	case YML_MAPPING:
		return yml_err(p->doc, node, p->err,
		    "%s: a command is text, not a mapping; quote the line with \": \" in it", name);
	case YML_SEQUENCE:
		break;
	}
	for (size_t i = 0; i < yml_count(node); i++)
		if (!add_commands(p, name, yml_at(node, i), segment))
			return false;
	return true;
}

static struct segment_spec *
add_segment(struct job_spec *job, const char *name)
{
	struct segment_spec *segment = pipeline_append(&job->segments, &job->segment_count, sizeof(*job->segments));

	segment->name = xstrdup(name);
	return segment;
}

/* "-make": no command begins with the sign of a list that lacks its blank. */
static bool
check_text(struct pipeline *p, const char *name, const struct yml_node *value)
{
	static const char *const signs[] = { "-", "\xef\xbc\x8d", "\xe2\x80\x94", "\xe2\x80\x93" };

	for (size_t i = 0; yml_is_plain(value) && i < sizeof(signs) / sizeof(signs[0]); i++)
		if (strncmp(yml_text(value), signs[i], strlen(signs[i])) == 0)
			return yml_err(p->doc, value, p->err,
			    "%s: an item of a list begins with - and a blank; this is one text that begins with %s",
			    name, signs[i]);
	return true;
}

bool
pipeline_job_segment(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	struct segment_spec *segment = add_segment(job, strcmp(name, "scripts") == 0 ? "script" : name);

	if (!check_text(p, name, value))
		return false;
	if (!add_commands(p, name, value, segment))
		return false;
	if (segment->command_count == 0) {
		free(segment->name);
		job->segment_count--;
	}
	return true;
}

bool
pipeline_job_after(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	size_t before = job->segment_count;

	if (!pipeline_job_segment(p, name, value, job))
		return false;
	if (job->segment_count > before)
		job->segments[before].always = true;
	return true;
}

/* Whether the command reads files of the checkout: the usual ones, by their beginning. */
static bool
needs_checkout(const char *command)
{
	static const char *const beginnings[] = { "./", "make", "npm ci", "pip install -r", "pip install .",
		"pip3 install -r", "bundle install", "composer install", "dotnet restore", "mvn ", "gradle ",
		"go get ./", "go build" };
	static const char *const wholes[] = { "npm install", "npm i", "yarn", "yarn install", "bundle", "mvn",
		"gradle" };

	if (strncmp(command, "sudo ", 5) == 0)
		command += 5;
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (strncmp(command, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	for (size_t i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++)
		if (strcmp(command, wholes[i]) == 0)
			return true;
	return false;
}

bool
pipeline_job_install(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	size_t before = job->segment_count;

	if (!pipeline_job_segment(p, name, value, job))
		return false;
	if (p->draft->form == FORM_JOBS) /* which DaoCloud never ran */
		return true;
	for (size_t i = 0; job->segment_count > before && i < job->segments[before].command_count; i++) {
		const char *command = job->segments[before].commands[i];

		if (needs_checkout(command)) {
			pipeline_warn(p, value,
			    "install: \"%.40s\" needs the checkout, which is there, but on DaoCloud came after "
			    "install; "
			    "before_script is its place",
			    command);
			break;
		}
	}
	return true;
}

/* --- steps --- */

static bool
read_step_env(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	(void)name;
	return pipeline_read_env(p, value, PIPELINE_ENV_JOB, at);
}

static bool
read_step_script(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return add_commands(p, name, value, at);
}

static const struct pipeline_field step_fields[] = {
	{ "name", pipeline_read_text, offsetof(struct segment_spec, name) },
	{ "image", pipeline_read_image_name, offsetof(struct segment_spec, image) },
	{ "env", read_step_env, offsetof(struct segment_spec, env) },
	{ "script", read_step_script, 0 },
	{ "always", pipeline_read_bool, offsetof(struct segment_spec, always) },
};

/* The name as it stands in a log's marks: letters, digits, - _ . */
static void
settle_name(struct segment_spec *step, size_t number)
{
	char name[MARKER_NAME_MAX + 1];
	size_t len = 0;

	for (const char *s = step->name; s != NULL && *s != '\0' && len < MARKER_NAME_MAX; s++) {
		if (isascii((unsigned char)*s) && (isalnum((unsigned char)*s) || strchr("_.-", *s) != NULL))
			name[len++] = *s;
		else if (len > 0 && name[len - 1] != '-')
			name[len++] = '-';
	}
	while (len > 0 && name[len - 1] == '-')
		len--;
	if (len == 0)
		len = (size_t)snprintf(name, sizeof(name), "step-%zu", number);
	free(step->name);
	step->name = xstrndup(name, len);
}

static bool
read_step(struct pipeline *p, const struct yml_node *node, struct job_spec *job, size_t number)
{
	struct segment_spec *step = pipeline_append(&job->segments, &job->segment_count, sizeof(*job->segments));
	bool ok = yml_type(node) == YML_MAPPING ? PIPELINE_READ_FIELDS(p, node, "a step", step_fields, step)
						: add_commands(p, "steps", node, step);

	settle_name(step, number);
	if (ok && step->command_count == 0)
		return yml_err(p->doc, node, p->err, "this step has no script; write script: and a list of commands");
	return ok;
}

bool
pipeline_job_steps(struct pipeline *p, const char *name, const struct yml_node *value, struct job_spec *job)
{
	if (pipeline_find_key(p->draft->node, "script") != NULL)
		return yml_err(p->doc, value, p->err, "steps stand in the place of script; write one of them");
	if (yml_type(value) != YML_SEQUENCE && yml_type(value) != YML_NULL)
		return pipeline_wants(p, value, name, "a list of steps such as {name: build, script: [make]}");
	if (yml_count(value) > STEP_MAX)
		return yml_err(p->doc, value, p->err, "more than %d steps", STEP_MAX);
	for (size_t i = 0; i < yml_count(value); i++)
		if (!read_step(p, yml_at(value, i), job, i + 1))
			return false;
	return true;
}
