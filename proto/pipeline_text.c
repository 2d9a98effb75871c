/* ${...} in a pipeline's texts: values of the change, of the matrix, of parameters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "proto/pipeline_private.h"
#include "proto/slug.h"

#define SHORT_COMMIT 7

static const char *
branch_slug(struct pipeline *p)
{
	char slug[SLUG_MAX + 1];

	if (p->context->branch == NULL)
		return NULL;
	slug_make(p->context->branch, slug);
	return arena_str(&p->arena, str_of(slug));
}

static const char *
short_commit(struct pipeline *p)
{
	const char *commit = p->context->commit;

	return commit != NULL ? arena_str(&p->arena, (struct str){ commit, strnlen(commit, SHORT_COMMIT) }) : NULL;
}

static const char *
pull_number(struct pipeline *p)
{
	char text[24];

	if (p->context->pull_number == 0)
		return NULL;
	snprintf(text, sizeof(text), "%lld", (long long)p->context->pull_number);
	return arena_str(&p->arena, str_of(text));
}

/* What each name stands for; make, or the member of the context. */
static const struct {
	const char *name;
	size_t offset;
	const char *(*make)(struct pipeline *p);
	bool always; /* every change has one, so that without it is not known */
} variables[] = {
	{ "event", offsetof(struct pipeline_context, event), NULL, false },
	{ "repo", offsetof(struct pipeline_context, repo), NULL, true },
	{ "ref", offsetof(struct pipeline_context, ref), NULL, true },
	{ "branch", offsetof(struct pipeline_context, branch), NULL, false },
	{ "branch_slug", 0, branch_slug, false },
	{ "tag", offsetof(struct pipeline_context, tag), NULL, false },
	{ "commit", offsetof(struct pipeline_context, commit), NULL, true },
	{ "short_commit", 0, short_commit, true },
	{ "author", offsetof(struct pipeline_context, author), NULL, false },
	{ "environment", offsetof(struct pipeline_context, environment), NULL, false },
	{ "pull_number", 0, pull_number, false },
};

#define VARIABLE_COUNT (sizeof(variables) / sizeof(variables[0]))

/* One text being made. */
struct maker {
	struct pipeline *p;
	const struct yml_node *at;
	enum pipeline_text kind;
	struct buf out;
};

static const struct env_var *
find(const struct env *env, struct str name)
{
	for (size_t i = 0; i < env->count; i++)
		if (str_is(name, env->vars[i].name))
			return &env->vars[i];
	return NULL;
}

static bool
unknown_member(struct maker *m, const struct env *env, const char *what, struct str name)
{
	char *word = str_dup(name), hint[100];
	struct nearest near = nearest_to(word);

	for (size_t i = 0; i < env->count; i++)
		nearest_offer(&near, env->vars[i].name);
	yml_err(m->p->doc, m->at, m->p->err, "there is no %s \"%.60s\"%s", what, word, nearest_hint(&near, hint));
	free(word);
	return false;
}

/* ${matrix.X}, ${parameters.X}. In a shell's text a parameter comes by its variable: what somebody wrote into a form is
 * never read as a command. */
static bool
add_member(struct maker *m, const struct env *env, const char *what, struct str name)
{
	const struct env_var *var = find(env, name);

	if (var == NULL)
		return unknown_member(m, env, what, name);
	if (m->kind == TEXT_SHELL && env == &m->p->parameters)
		buf_addf(&m->out, "${%s}", var->name);
	else
		buf_adds(&m->out, var->value);
	return true;
}

/* Stays as it is written: a name that means something elsewhere, or has no value yet. */
static bool
keep(struct maker *m, struct str name)
{
	buf_addf(&m->out, "${%.*s}", (int)name.len, name.p);
	return true;
}

static bool
unknown_variable(struct maker *m, struct str name)
{
	char *word = str_dup(name), hint[100];
	struct nearest near = nearest_to(word);

	for (size_t i = 0; i < VARIABLE_COUNT; i++)
		nearest_offer(&near, variables[i].name);
	yml_err(m->p->doc, m->at, m->p->err, "${%.60s} is no variable of the plan ($${ stands for ${ itself)%s", word,
	    nearest_hint(&near, hint));
	free(word);
	return false;
}

static bool
add_variable(struct maker *m, struct str name)
{
	const struct pipeline_context *context = m->p->context;
	const char *value;
	size_t i = 0;

	while (i < VARIABLE_COUNT && !str_is(name, variables[i].name))
		i++;
	if (i == VARIABLE_COUNT)
		return unknown_variable(m, name);
	if (variables[i].make != NULL)
		value = variables[i].make(m->p);
	else
		memcpy(&value, (const char *)context + variables[i].offset, sizeof(value));
	if (value == NULL && (variables[i].always || context->event == NULL))
		return keep(m, name);
	if (value == NULL && (m->p->skipped || m->kind == TEXT_IMAGE))
		m->p->lacks = variables[i].name;
	if (value == NULL && m->p->skipped)
		return keep(m, name);
	if (value == NULL && m->kind == TEXT_IMAGE) {
		m->p->missing = variables[i].name;
		return keep(m, name);
	}
	buf_adds(&m->out, value != NULL ? value : "");
	return true;
}

static bool
add_reference(struct maker *m, struct str name)
{
	struct str rest = name, head = str_cut(&rest, '.');

	if (str_is(head, "matrix") && head.len < name.len)
		return add_member(m, &m->p->matrix, "matrix", rest);
	if (str_is(head, "parameters") && head.len < name.len)
		return add_member(m, &m->p->parameters, "parameter", rest);
	if (m->kind == TEXT_LITERAL || m->kind == TEXT_SHELL ||
	    (m->kind == TEXT_CACHE && str_has_prefix(name, "checksum:")))
		return keep(m, name);
	return add_variable(m, name);
}

static bool
make(struct maker *m, const char *s)
{
	bool escapes = m->kind != TEXT_LITERAL && m->kind != TEXT_SHELL;
	const char *end;

	for (; *s != '\0'; s++) {
		if (escapes && strncmp(s, "$${", 3) == 0) {
			buf_adds(&m->out, "${");
			s += 2;
		} else if (strncmp(s, "${", 2) == 0 && (end = strchr(s, '}')) != NULL) {
			if (!add_reference(m, (struct str){ s + 2, (size_t)(end - s - 2) }))
				return false;
			s = end;
		} else {
			buf_addc(&m->out, *s);
		}
	}
	return !buf_failed(&m->out) ||
	       yml_err(m->p->doc, m->at, m->p->err, "this text is too long once its variables are replaced");
}

bool
pipeline_text(struct pipeline *p, const struct yml_node *node, enum pipeline_text kind, const char **ret)
{
	struct maker m = { .p = p, .at = node, .kind = kind };
	bool ok;

	*ret = yml_text(node);
	if (yml_type(node) != YML_SCALAR || strstr(*ret, "${") == NULL)
		return true;
	buf_init(&m.out, 2 * YML_MAX_BYTES);
	ok = make(&m, *ret) && pipeline_count(p, node, m.out.len);
	if (ok)
		*ret = arena_str(&p->arena, buf_str(&m.out));
	buf_fini(&m.out);
	return ok;
}
