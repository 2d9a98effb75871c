/* Mappings with fixed keys, and the simple values in them. */
#include <stdlib.h>
#include <string.h>

#include "proto/image.h"
#include "proto/mem.h"
#include "proto/pipeline_private.h"
#include "proto/units.h"

static const struct pipeline_field *
find(const struct pipeline_field *fields, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, fields[i].name) == 0)
			return &fields[i];
	return NULL;
}

bool
pipeline_read_fields(struct pipeline *p, const struct yml_node *node, const char *where,
    const struct pipeline_field *fields, size_t count, void *target)
{
	for (size_t i = 0; i < yml_count(node); i++) {
		const struct yml_node *key = yml_key_at(node, i);
		const struct pipeline_field *field = find(fields, count, yml_text(key));
		struct nearest near = nearest_to(yml_text(key));

		if (field == NULL) {
			for (size_t k = 0; k < count; k++)
				nearest_offer(&near, fields[k].name);
			return pipeline_unknown(p, key, where, &near);
		}
		if (!field->read(p, field->name, yml_at(node, i), (char *)target + field->offset))
			return false;
	}
	return true;
}

void *
pipeline_append(void *list, size_t *count, size_t size)
{
	char **items = list;

	*items = xrealloc(*items, (*count + 1) * size);
	memset(*items + *count * size, 0, size);
	return *items + (*count)++ * size;
}

/* Text without line ends and other control characters, that a terminal or a header could take for something. */
static bool
is_line(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

static bool
read_line(struct pipeline *p, const char *name, const struct yml_node *value, enum pipeline_text kind, const char **ret)
{
	if (yml_type(value) != YML_SCALAR)
		return pipeline_wants(p, value, name, "a text");
	if (!pipeline_text(p, value, kind, ret))
		return false;
	if (!is_line(*ret))
		return yml_err(p->doc, value, p->err, "%s is one line", name);
	return pipeline_count(p, value, strlen(*ret));
}

bool
pipeline_read_text(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	char **ret = at;
	const char *text;

	if (!read_line(p, name, value, TEXT_VALUE, &text))
		return false;
	free(*ret);
	*ret = xstrdup(text);
	return true;
}

static bool
add_text(struct pipeline *p, const char *name, const struct yml_node *value, struct strings *list)
{
	const char *text;

	if (yml_type(value) == YML_NULL)
		return true;
	if (!read_line(p, name, value, TEXT_VALUE, &text))
		return false;
	if (text[0] == '\0')
		return yml_err(p->doc, value, p->err, "%s has an empty item", name);
	if (list->count == PIPELINE_LIST_MAX)
		return yml_err(p->doc, value, p->err, "%s has more than %d items", name, PIPELINE_LIST_MAX);
	strings_add(list, str_of(text));
	return true;
}

bool
pipeline_read_texts(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	if (yml_type(value) == YML_MAPPING)
		return pipeline_wants(p, value, name, "a text or a list of texts");
	if (yml_type(value) != YML_SEQUENCE)
		return add_text(p, name, value, at);
	for (size_t i = 0; i < yml_count(value); i++)
		if (!add_text(p, name, yml_at(value, i), at))
			return false;
	return true;
}

bool
pipeline_read_bool(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	return yml_to_bool(value, at) || pipeline_wants(p, value, name, "true or false");
}

/* Whether every variable that has a value got it, so that what looks like one is none. */
static bool
is_settled(const struct pipeline *p)
{
	const struct pipeline_context *context = p->context;

	return !p->skipped && p->missing == NULL && context->event != NULL && context->commit != NULL &&
	       context->repo != NULL && context->ref != NULL;
}

bool
pipeline_has_fullwidth(const struct yml_node *node)
{
	const char *at = strstr(yml_text(node), "\xef\xbc\x83");

	return at != NULL && (at == yml_text(node) || at[-1] == ' ' || at[-1] == '\t');
}

/* A name whose variables are not known yet is taken as it stands. */
bool
pipeline_read_image_name(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	char **ret = at;
	struct image_ref ref;
	const char *text;
	struct str image;
	struct err err;

	if (yml_type(value) != YML_SCALAR)
		return pipeline_wants(p, value, name, "an image such as debian:bookworm");
	if (pipeline_has_fullwidth(value))
		return yml_err(p->doc, value, p->err,
		    "the fullwidth \xef\xbc\x83 (U+FF03) in %s does not begin a comment; write #", name);
	if (!pipeline_text(p, value, TEXT_IMAGE, &text))
		return false;
	image = str_trim(str_of(text));
	if ((strstr(text, "${") == NULL || is_settled(p)) && !image_parse(image, &ref, &err))
		return yml_err(p->doc, value, p->err, "%s: %s", name, err.text);
	if (!pipeline_count(p, value, image.len))
		return false;
	free(*ret);
	*ret = str_dup(image);
	return true;
}

bool
pipeline_duration(const struct yml_node *value, uint64_t max_s, unsigned *ret)
{
	uint64_t seconds;

	if (!units_duration(str_of(yml_text(value)), max_s, &seconds) || seconds == 0)
		return false;
	*ret = (unsigned)seconds;
	return true;
}

/* Its parts without empty ones and dots; NULL when one leads out of the repository. */
static char *
normalize(const char *path)
{
	struct str rest = str_of(path);
	char *out = xcalloc(1, strlen(path) + 2);
	size_t len = 0;

	while (rest.len > 0) {
		struct str part = str_cut(&rest, '/');

		if (part.len == 0 || str_is(part, "."))
			continue;
		if (str_is(part, "..")) {
			free(out);
			return NULL;
		}
		if (len > 0)
			out[len++] = '/';
		memcpy(out + len, part.p, part.len);
		len += part.len;
	}
	return out;
}

bool
pipeline_read_path(struct pipeline *p, const char *name, const struct yml_node *value, void *at)
{
	char **ret = at, *path;
	const char *text;

	if (!read_line(p, name, value, TEXT_VALUE, &text))
		return false;
	path = normalize(text);
	if (path == NULL)
		return yml_err(p->doc, value, p->err, "%s: \"%.60s\" leads out of the repository", name, text);
	free(*ret);
	*ret = path;
	return true;
}
