/* Any bytes as YAML: a tree within the limits, or an error with a place. What the writer prints of the tree, with all
 * its aliases and merges resolved and in a style of its own, is read as the same tree. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/utf8.h"
#include "proto/yaml.h"
#include "proto/yaml_write.h"

static void
must(bool ok)
{
	if (!ok)
		abort();
}

/* Counts the values, and checks each. */
static size_t
walk(const struct yml_node *node, unsigned depth)
{
	size_t count = 1;
	uint64_t n;
	bool b;

	must(depth <= YML_MAX_DEPTH + 1);
	must(yml_mark(node).line > 0 && yml_mark(node).column > 0);
	must(utf8_valid(str_of(yml_text(node)), NULL));
	must(!yml_to_bool(node, &b) || yml_is_plain(node));
	must(!yml_to_u64(node, 100, &n) || n <= 100);
	for (size_t i = 0; i < yml_count(node); i++) {
		const struct yml_node *key = yml_key_at(node, i);

		must((yml_type(node) == YML_MAPPING) == (key != NULL));
		if (key != NULL && i < 100)
			must(yml_get(node, yml_text(key)) == yml_at(node, i));
		count += walk(yml_at(node, i), depth + 1) + (key != NULL);
	}
	return count;
}

static bool
is_same(const struct yml_node *a, const struct yml_node *b)
{
	bool one = false, other = false;

	if (yml_type(a) == YML_NULL && yml_type(b) == YML_NULL)
		return true;
	if (yml_type(a) != yml_type(b) || yml_count(a) != yml_count(b) || strcmp(yml_text(a), yml_text(b)) != 0 ||
	    yml_to_bool(a, &one) != yml_to_bool(b, &other) || one != other)
		return false;
	for (size_t i = 0; i < yml_count(a); i++)
		if (strcmp(yml_text(yml_key_at(a, i)), yml_text(yml_key_at(b, i))) != 0 ||
		    !is_same(yml_at(a, i), yml_at(b, i)))
			return false;
	return true;
}

/* A tree that takes more than a file may when nothing of it is said by alias is no file again. */
static void
check_printed(const struct yml *doc)
{
	struct ymlw *out = ymlw_new();
	struct yml *again = NULL;
	struct err err;
	char *text;

	ymlw_set(out, ymlw_root(out), "all", ymlw_copy(out, yml_root(doc)));
	text = ymlw_print(out);
	if (text[0] != '\0' && yml_parse(str_of(text), "again", &again, &err))
		must(is_same(yml_root(doc), yml_get(yml_root(again), "all")));
	else
		must(text[0] == '\0' || err.code == ERR_LIMIT);
	yml_free(&again);
	ymlw_free(&out);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_OK;
	unsigned line, column;
	struct yml *doc = NULL;

	if (yml_parse((struct str){ (const char *)data, size }, "f", &doc, &err)) {
		must(walk(yml_root(doc), 1) <= YML_MAX_VALUES);
		check_printed(doc);
		yml_free(&doc);
		return 0;
	}
	must(doc == NULL && (err.code == ERR_INPUT || err.code == ERR_LIMIT));
	must(sscanf(err.text, "f:%u:%u: ", &line, &column) == 2 && line > 0 && column > 0);
	return 0;
}
