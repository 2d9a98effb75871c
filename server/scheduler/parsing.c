#include "server/scheduler/parsing.h"

#include <stdlib.h>

#include "proto/mem.h"
#include "proto/params.h"

/* A thousand parts of nested text take half a millisecond, a change of many files as long for each pattern. */
enum { LARGE_BYTES = 8 * 1024, MANY_PATHS = 100 };

struct parsing {
	const char *name;
	char *text;
	size_t len;
	struct pipeline_includes includes;
	struct strings paths;
	bool knows_paths;
	struct env parameters;
	struct pipeline_context context; /* its texts are ours */
	struct plan *plan;
	struct err err;
};

struct parsing *
parsing_new(const char *name, struct str text)
{
	struct parsing *p = xcalloc(1, sizeof(*p));

	*p = (struct parsing){ .name = name, .text = xstrndup(text.p, text.len), .len = text.len };
	return p;
}

/* The texts of the context, one after the other. */
static const char **
text_of(struct pipeline_context *c, size_t i)
{
	const char **const texts[] = { &c->event, &c->repo, &c->ref, &c->branch, &c->tag, &c->commit, &c->message,
		&c->author, &c->environment };

	return i < sizeof(texts) / sizeof(*texts) ? texts[i] : NULL;
}

static void
forget_context(struct parsing *p)
{
	const char **text;

	for (size_t i = 0; (text = text_of(&p->context, i)) != NULL; i++)
		free((char *)*text);
	p->context = (struct pipeline_context){ .event = NULL };
	env_fini(&p->parameters);
}

void
parsing_free(struct parsing **parsing)
{
	struct parsing *p = *parsing;

	*parsing = NULL;
	if (p == NULL)
		return;
	forget_context(p);
	pipeline_includes_fini(&p->includes);
	strings_fini(&p->paths);
	plan_free(&p->plan);
	free(p->text);
	free(p);
}

void
parsing_release(void *parsing)
{
	struct parsing *p = parsing;

	parsing_free(&p);
}

bool
parsing_is_large(const struct parsing *p)
{
	size_t len = p->len;

	for (size_t i = 0; i < p->includes.count; i++)
		len += p->includes.items[i].len;
	return len > LARGE_BYTES || p->paths.count > MANY_PATHS;
}

void
parsing_list(void *parsing, struct err *err)
{
	struct parsing *p = parsing;

	(void)err;
	p->err = ERR_OK;
	pipeline_includes((struct str){ p->text, p->len }, p->name, &p->includes, &p->err);
}

struct pipeline_includes *
parsing_includes(struct parsing *p)
{
	return &p->includes;
}

void
parsing_set_paths(struct parsing *p, const struct strings *paths)
{
	p->knows_paths = true;
	for (size_t i = 0; i < paths->count; i++)
		strings_add(&p->paths, str_of(paths->items[i]));
}

bool
parsing_knows_paths(const struct parsing *p)
{
	return p->knows_paths;
}

void
parsing_set(struct parsing *p, const struct pipeline_context *context, const char *params)
{
	const char **text;

	forget_context(p);
	p->context = *context;
	for (size_t i = 0; (text = text_of(&p->context, i)) != NULL; i++)
		*text = *text != NULL ? xstrdup(*text) : NULL;
	params_env(params, &p->parameters);
	p->context.paths = p->knows_paths ? &p->paths : NULL;
	p->context.parameters = p->parameters.count > 0 ? &p->parameters : NULL;
	p->context.includes = &p->includes;
}

void
parsing_run(void *parsing, struct err *err)
{
	struct parsing *p = parsing;

	(void)err;
	p->err = ERR_OK;
	plan_free(&p->plan);
	pipeline_parse((struct str){ p->text, p->len }, p->name, &p->context, &p->plan, &p->err);
}

const struct err *
parsing_error(const struct parsing *p)
{
	return p->err.code != ERR_NONE ? &p->err : NULL;
}

struct plan *
parsing_plan(struct parsing *p)
{
	struct plan *plan = p->plan;

	p->plan = NULL;
	return plan;
}
