/* parameters: {NAME: DEFAULT}, or {NAME: {default, options, description, required}}: what somebody who starts a build
 * by hand may choose. Every job has them as variables. */
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/pipeline_private.h"

#define PARAMETER_MAX 50
#define VALUE_MAX 4096

static bool
read_default(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	char **ret = at;

	if (yml_type(value) != YML_SCALAR && yml_type(value) != YML_NULL)
		return pipeline_wants(p, value, name, "a text");
	free(*ret);
	*ret = xstrdup(yml_type(value) == YML_SCALAR ? yml_text(value) : "");
	return true;
}

static const struct pipeline_field parameter_fields[] = {
	{ "default", read_default, offsetof(struct parameter_spec, value) },
	{ "options", pipeline_read_texts, offsetof(struct parameter_spec, options) },
	{ "description", pipeline_read_text, offsetof(struct parameter_spec, description) },
	{ "required", pipeline_read_bool, offsetof(struct parameter_spec, required) },
};

/* What was given for it; NULL: nothing. */
static const char *
given(const struct pipeline *p, const char *name)
{
	const struct env *env = p->context->parameters;
	const char *value = NULL;

	for (size_t i = 0; env != NULL && i < env->count; i++)
		if (strcmp(env->vars[i].name, name) == 0)
			value = env->vars[i].value;
	return value;
}

static bool
is_option(const struct parameter_spec *parameter, const char *value)
{
	for (size_t i = 0; i < parameter->options.count; i++)
		if (strcmp(parameter->options.items[i], value) == 0)
			return true;
	return parameter->options.count == 0;
}

/* Somebody starts the build by hand, and could have said it. */
static bool
is_asked(const struct pipeline_context *context)
{
	return context->event != NULL && (strcmp(context->event, "manual") == 0 || strcmp(context->event, "api") == 0);
}

static bool
settle(struct pipeline *p, const struct yml_node *key, const struct parameter_spec *parameter)
{
	const char *name = yml_text(key), *own = given(p, name), *value = own != NULL ? own : parameter->value;

	if (value == NULL && parameter->required && is_asked(p->context))
		return yml_err(p->doc, key, p->err, "the parameter %s is required, and has no value", name);
	if (value == NULL)
		value = parameter->options.count > 0 ? parameter->options.items[0] : "";
	if (!is_option(parameter, value))
		return yml_err(p->doc, key, p->err,
		    "the parameter %s has no option \"%.60s\"; the first one is \"%.60s\"", name, value,
		    parameter->options.items[0]);
	if (strlen(value) > VALUE_MAX)
		return yml_err(
		    p->doc, key, p->err, "the value of the parameter %s is longer than %d bytes", name, VALUE_MAX);
	env_add(&p->parameters, name, value);
	return true;
}

static bool
is_known(const struct pipeline *p, const char *name)
{
	for (size_t i = 0; i < p->parameters.count; i++)
		if (strcmp(p->parameters.vars[i].name, name) == 0)
			return true;
	return false;
}

/* For who wants to start a build by hand. */
static void
add_to_plan(struct plan *plan, const struct parameter_spec *parameter)
{
	plan->parameters = xrealloc(plan->parameters, (plan->parameter_count + 1) * sizeof(*plan->parameters));
	plan->parameters[plan->parameter_count++] = *parameter;
}

static bool
read_parameter(struct pipeline *p, const struct yml_node *key, const struct yml_node *value)
{
	struct parameter_spec parameter = { 0 };
	bool ok;

	if (!pipeline_is_variable(yml_text(key)))
		return yml_err(p->doc, key, p->err, "a parameter becomes a variable, and \"%.60s\" is no name for one",
		    yml_text(key));
	if (is_known(p, yml_text(key)))
		return true; /* a stronger layer has it */
	if (p->parameters.count == PARAMETER_MAX)
		return yml_err(p->doc, key, p->err, "more than %d parameters", PARAMETER_MAX);
	parameter.name = xstrdup(yml_text(key));
	if (yml_type(value) == YML_MAPPING)
		ok = PIPELINE_READ_FIELDS(p, value, "a parameter", parameter_fields, &parameter);
	else
		ok = yml_type(value) == YML_NULL || read_default(p, yml_text(key), value, &parameter.value);
	ok = ok && settle(p, key, &parameter);
	if (ok)
		add_to_plan(p->plan, &parameter);
	else
		parameter_spec_fini(&parameter);
	return ok;
}

bool
pipeline_read_parameters(struct pipeline *p, const struct yml_node *node)
{
	if (yml_type(node) != YML_MAPPING && yml_type(node) != YML_NULL)
		return pipeline_wants(p, node, "parameters", "a mapping such as {target: {default: staging}}");
	for (size_t i = 0; i < yml_count(node); i++)
		if (!read_parameter(p, yml_key_at(node, i), yml_at(node, i)))
			return false;
	return true;
}

/* A value for what the file does not ask is a mistake of who started the build. */
bool
pipeline_check_parameters(struct pipeline *p, const struct yml_node *root)
{
	const struct env *env = p->context->parameters;

	for (size_t i = 0; env != NULL && i < env->count; i++) {
		struct nearest near = nearest_to(env->vars[i].name);
		char hint[100];

		if (is_known(p, env->vars[i].name))
			continue;
		for (size_t k = 0; k < p->parameters.count; k++)
			nearest_offer(&near, p->parameters.vars[k].name);
		return yml_err(p->doc, root, p->err, "the file has no parameter \"%.60s\"%s", env->vars[i].name,
		    nearest_hint(&near, hint));
	}
	return true;
}
