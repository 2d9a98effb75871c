/* env: in all the ways in which people wrote it: NAME=value, NAME = "value", several on one line, mappings. */
#include "proto/pipeline_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "proto/script.h"

#define VALUE_MAX (128u * 1024) /* what Linux lets through to a program */
#define ENV_MAX 1000

/* One line of assignments. */
struct line {
	struct pipeline *pipeline;
	const struct yml_node *node;
	enum pipeline_env whose;
	struct env *env;
	size_t count; /* assignments read so far */
};

static const char *
skip_blanks(const char *s)
{
	return s + strspn(s, " \t\r\n");
}

/* Whether NAME= or NAME = begins at s. */
static bool
is_assignment(const char *s)
{
	size_t len = script_name_len(s);

	return len > 0 && *skip_blanks(s + len) == '=';
}

static bool
add(struct pipeline *p, const struct yml_node *at, struct env *env, const char *name, const char *value)
{
	if (!script_may_set(name))
		return yml_err(p->doc, at, p->err, "a shell cannot set a variable of the name \"%.60s\"", name);
	if (env->count == ENV_MAX)
		return yml_err(p->doc, at, p->err, "more than %d variables", ENV_MAX);
	if (strlen(value) >= VALUE_MAX)
		return yml_err(p->doc, at, p->err, "the value of %.60s is longer than %u bytes", name, VALUE_MAX);
	if (!pipeline_count(p, at, strlen(name) + strlen(value)))
		return false;
	env_add(env, name, value);
	return true;
}

static enum pipeline_text
text_kind(enum pipeline_env whose)
{
	switch (whose) {
	case PIPELINE_ENV_JOB:
		return TEXT_SHELL;
	case PIPELINE_ENV_SERVICE:
		return TEXT_LITERAL;
	case PIPELINE_ENV_BUILD:
		break;
	}
	return TEXT_VALUE;
}

/* A dollar sign that is to stay one. */
static void
add_dollar(const struct line *line, struct buf *value)
{
	buf_adds(value, line->whose == PIPELINE_ENV_JOB ? "$$" : "$");
}

/* The text behind the quote that ends here; NULL when there is none. */
static const char *
read_single_quoted(const struct line *line, const char *s, struct buf *value)
{
	for (; *s != '\0' && *s != '\''; s++) {
		if (*s == '$')
			add_dollar(line, value);
		else
			buf_addc(value, *s);
	}
	return *s == '\'' ? s + 1 : NULL;
}

static const char *
read_double_quoted(const struct line *line, const char *s, struct buf *value)
{
	for (; *s != '\0' && *s != '"'; s++) {
		if (*s == '\\' && s[1] == '$') {
			add_dollar(line, value);
			s++;
		} else if (*s == '\\' && s[1] != '\0' && strchr("\"\\`", s[1]) != NULL) {
			buf_addc(value, *++s);
		} else {
			buf_addc(value, *s);
		}
	}
	return *s == '"' ? s + 1 : NULL;
}

/* A word as a shell reads it, up to a blank; NULL when a quote in it does not end. */
static const char *
read_word(const struct line *line, const char *s, struct buf *value)
{
	while (s != NULL && *s != '\0' && !isspace((unsigned char)*s)) {
		if (*s == '\'') {
			s = read_single_quoted(line, s + 1, value);
		} else if (*s == '"') {
			s = read_double_quoted(line, s + 1, value);
		} else if (*s == '\\' && s[1] == '$') {
			add_dollar(line, value);
			s += 2;
		} else {
			s += *s == '\\' && s[1] != '\0';
			buf_addc(value, *s++);
		}
	}
	return s;
}

/* Where the value begins: NAME = value has blanks around the sign, "NAME= OTHER=x" an empty value. */
static const char *
value_start(const char *name_end)
{
	const char *sign = skip_blanks(name_end), *value = skip_blanks(sign + 1);

	return sign == name_end && value > sign + 1 && is_assignment(value) ? sign + 1 : value;
}

/* A value with blanks that nobody quoted: the rest of the line is meant. */
static const char *
take_rest(const struct line *line, const char *name, const char *start, struct buf *value)
{
	size_t len = strlen(start);

	pipeline_warn(line->pipeline, line->node,
	    "%s: the value has blanks; it is taken to the line's end, better quote it", name);
	while (len > 0 && isspace((unsigned char)start[len - 1]))
		len--;
	buf_reset(value);
	buf_add(value, start, len);
	return start + strlen(start);
}

/* One assignment at s; the text behind it in *rest. */
static bool
read_assignment(struct line *line, const char *s, const char **rest)
{
	struct pipeline *p = line->pipeline;
	size_t len = script_name_len(s);
	const char *start = value_start(s + len);
	char *name = xstrndup(s, len);
	struct buf value;
	bool ok;

	buf_init(&value, 2 * YML_MAX_BYTES);
	*rest = read_word(line, start, &value);
	if (*rest != NULL) {
		*rest = skip_blanks(*rest);
		if (**rest != '\0' && !is_assignment(*rest))
			*rest = take_rest(line, name, start, &value);
		ok = add(p, line->node, line->env, name, value.data);
	} else {
		ok = yml_err(p->doc, line->node, p->err, "the quote in the value of %.60s does not end", name);
	}
	buf_fini(&value);
	free(name);
	return ok;
}

/* Several lines that each set the same variables were one job each elsewhere; here the last one wins. */
static void
warn_of_matrix(struct line *line, size_t before)
{
	const struct env *env = line->env;

	for (size_t i = 0; line->count > 1 && i + 1 < before; i++) {
		if (strcmp(env->vars[i].name, env->vars[before].name) == 0 &&
		    strcmp(env->vars[i + 1].name, env->vars[before + 1].name) == 0) {
			pipeline_warn(line->pipeline, line->node,
			    "env looks like a matrix; all lines set variables of one job, and the last one wins");
			return;
		}
	}
}

static bool
read_line(struct pipeline *p, const struct yml_node *node, enum pipeline_env whose, struct env *env)
{
	struct line line = { .pipeline = p, .node = node, .whose = whose, .env = env };
	size_t before = env->count;
	const char *s;

	if (!pipeline_text(p, node, text_kind(whose), &s))
		return false;
	s = skip_blanks(s);
	while (*s != '\0') {
		if (!is_assignment(s))
			return yml_err(p->doc, node, p->err, "\"%.60s\" is no assignment; write NAME=value", s);
		if (!read_assignment(&line, s, &s))
			return false;
		line.count++;
	}
	warn_of_matrix(&line, before);
	return true;
}

/* {NAME: value}: the value is text as it stands, null an empty one. */
static bool
read_mapping(struct pipeline *p, const struct yml_node *node, enum pipeline_env whose, struct env *env)
{
	for (size_t i = 0; i < yml_count(node); i++) {
		const struct yml_node *key = yml_key_at(node, i), *value = yml_at(node, i);
		const char *text;

		if (yml_type(value) != YML_SCALAR && yml_type(value) != YML_NULL)
			return pipeline_wants(p, value, yml_text(key), "a text");
		if (!pipeline_text(p, value, text_kind(whose), &text) ||
		    !add(p, key, env, yml_text(key), yml_type(value) == YML_NULL ? "" : text))
			return false;
	}
	return true;
}

static bool
read_item(struct pipeline *p, const struct yml_node *node, enum pipeline_env whose, struct env *env)
{
	switch (yml_type(node)) {
	case YML_NULL:
		return true;
	case YML_SCALAR:
		return read_line(p, node, whose, env);
	case YML_MAPPING:
		return read_mapping(p, node, whose, env);
	case YML_SEQUENCE:
		break;
	}
	return pipeline_wants(p, node, "env", "NAME=value");
}

bool
pipeline_read_env(struct pipeline *p, const struct yml_node *node, enum pipeline_env whose, struct env *env)
{
	if (yml_type(node) != YML_SEQUENCE)
		return read_item(p, node, whose, env);
	for (size_t i = 0; i < yml_count(node); i++)
		if (!read_item(p, yml_at(node, i), whose, env))
			return false;
	return true;
}
