#include "cli/plan_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/file.h"
#include "proto/mem.h"
#include "proto/str.h"

struct options {
	struct pipeline_context context;
	struct strings paths;
	struct env parameters;
	const char *templates;
	const char *file;
};

static bool
set_event(struct options *o, const char *value)
{
	o->context.event = value;
	return true;
}

static bool
set_branch(struct options *o, const char *value)
{
	o->context.branch = value;
	return true;
}

static bool
set_tag(struct options *o, const char *value)
{
	o->context.tag = value;
	return true;
}

static bool
add_path(struct options *o, const char *value)
{
	strings_add(&o->paths, str_of(value));
	return true;
}

static bool
add_parameter(struct options *o, const char *value)
{
	const char *sign = strchr(value, '=');
	char *name;

	if (sign == NULL || sign == value)
		return false;
	name = xstrndup(value, (size_t)(sign - value));
	env_add(&o->parameters, name, sign + 1);
	free(name);
	return true;
}

static bool
set_templates(struct options *o, const char *value)
{
	o->templates = value;
	return true;
}

static const struct {
	const char *name;
	bool (*take)(struct options *o, const char *value);
} options[] = {
	{ "--event", set_event },
	{ "--branch", set_branch },
	{ "--tag", set_tag },
	{ "--path", add_path },
	{ "--param", add_parameter },
	{ "--templates", set_templates },
};

/* Each option takes one value; --path and --param may come again. */
static bool
read_option(struct options *o, const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (strcmp(name, options[i].name) == 0)
			return value != NULL && options[i].take(o, value);
	return false;
}

static bool
read_arguments(struct options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) == 0) {
			if (!read_option(o, argv[i], argv[i + 1]))
				return false;
			i++;
		} else if (o->file != NULL) {
			return false;
		} else {
			o->file = argv[i];
		}
	}
	return true;
}

/* A branch is pushed, a tag too: nobody who names one means that the rest is not known. */
static void
settle(struct options *o)
{
	if (o->context.event == NULL && o->context.tag != NULL)
		o->context.event = "tag";
	if (o->context.event == NULL && o->context.branch != NULL)
		o->context.event = "push";
	if (o->paths.count > 0)
		o->context.paths = &o->paths;
	if (o->parameters.count > 0)
		o->context.parameters = &o->parameters;
}

struct plan *
plan_options_run(int argc, char **argv, bool *usage)
{
	struct options o = { 0 };
	struct plan *plan = NULL;

	*usage = !read_arguments(&o, argc, argv);
	if (!*usage) {
		settle(&o);
		plan = file_plan(o.file, &o.context, o.templates);
	}
	strings_fini(&o.paths);
	env_fini(&o.parameters);
	return plan;
}
