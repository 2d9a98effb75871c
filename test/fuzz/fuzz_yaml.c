/* Any bytes as YAML: a tree within the limits, or an error with a place. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/utf8.h"
#include "proto/yaml.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_OK;
	unsigned line, column;
	struct yml *doc = NULL;

	if (yml_parse((struct str){ (const char *)data, size }, "f", &doc, &err)) {
		must(walk(yml_root(doc), 1) <= YML_MAX_VALUES);
		yml_free(&doc);
		return 0;
	}
	must(doc == NULL && (err.code == ERR_INPUT || err.code == ERR_LIMIT));
	must(sscanf(err.text, "f:%u:%u: ", &line, &column) == 2 && line > 0 && column > 0);
	return 0;
}
