#include "proto/yaml_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

void
yml_free(struct yml **doc)
{
	struct yml *d = *doc;

	*doc = NULL;
	if (d == NULL)
		return;
	arena_fini(&d->arena);
	free(d->file);
	free(d);
}

const struct yml_node *
yml_root(const struct yml *doc)
{
	return doc->root;
}

const char *
yml_file(const struct yml *doc)
{
	return doc->file;
}

enum yml_type
yml_type(const struct yml_node *node)
{
	return node != NULL ? node->type : YML_NULL;
}

const char *
yml_type_name(const struct yml_node *node)
{
	static const char *const names[] = {
		[YML_NULL] = "nothing",
		[YML_SCALAR] = "a text",
		[YML_SEQUENCE] = "a list",
		[YML_MAPPING] = "a mapping",
	};

	return names[yml_type(node)];
}

struct yml_mark
yml_mark(const struct yml_node *node)
{
	return node != NULL ? node->mark : (struct yml_mark){ 1, 1 };
}

const char *
yml_text(const struct yml_node *node)
{
	return node != NULL && (node->type == YML_SCALAR || node->type == YML_NULL) ? node->text : "";
}

bool
yml_is_plain(const struct yml_node *node)
{
	return node != NULL && node->plain;
}

bool
yml_to_bool(const struct yml_node *node, bool *ret)
{
	static const char *const words[][2] = {
		{ "false", "true" },
		{ "False", "True" },
		{ "FALSE", "TRUE" },
		{ "no", "yes" },
		{ "No", "Yes" },
		{ "NO", "YES" },
		{ "off", "on" },
		{ "Off", "On" },
		{ "OFF", "ON" },
	};

	for (size_t i = 0; yml_is_plain(node) && i < sizeof(words) / sizeof(words[0]); i++) {
		for (int value = 0; value < 2; value++) {
			if (strcmp(node->text, words[i][value]) == 0) {
				*ret = value != 0;
				return true;
			}
		}
	}
	return false;
}

bool
yml_to_u64(const struct yml_node *node, uint64_t max, uint64_t *ret)
{
	return yml_is_plain(node) && str_to_u64(str_of(node->text), max, ret);
}

size_t
yml_count(const struct yml_node *node)
{
	return node != NULL ? node->count : 0;
}

const struct yml_node *
yml_at(const struct yml_node *node, size_t index)
{
	if (index >= yml_count(node))
		return NULL;
	return node->type == YML_MAPPING ? node->pairs[index].value : node->items[index];
}

const struct yml_node *
yml_key_at(const struct yml_node *mapping, size_t index)
{
	if (yml_type(mapping) != YML_MAPPING || index >= mapping->count)
		return NULL;
	return mapping->pairs[index].key;
}

const struct yml_node *
yml_get(const struct yml_node *mapping, const char *key)
{
	for (size_t i = 0; yml_type(mapping) == YML_MAPPING && i < mapping->count; i++)
		if (strcmp(mapping->pairs[i].key->text, key) == 0)
			return mapping->pairs[i].value;
	return NULL;
}

bool
yml_fail_at(const char *file, struct yml_mark at, struct err *err, enum err_code code, const char *fmt, va_list ap)
{
	char text[sizeof(err->text)];

	vsnprintf(text, sizeof(text), fmt, ap);
	return err_set(err, code, 0, "%s:%u:%u: %s", file, at.line, at.column, text);
}

static const char *
file_of(const struct yml *doc, const struct yml_node *at)
{
	return at != NULL ? at->file : doc->file;
}

bool
yml_err(const struct yml *doc, const struct yml_node *at, struct err *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	yml_fail_at(file_of(doc, at), yml_mark(at), err, ERR_INPUT, fmt, ap);
	va_end(ap);
	return false;
}

char *
yml_message(const struct yml *doc, const struct yml_node *at, const char *fmt, ...)
{
	struct yml_mark mark = yml_mark(at);
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return xasprintf("%s:%u:%u: %s", file_of(doc, at), mark.line, mark.column, text);
}
