/* YAML that Davit writes for people: a tree of mappings, lists and texts is made, then printed in block style, with
 * quotes where a reader of any kind (YAML 1.1 or 1.2) would take a text for something else, and with | for several
 * lines. The document owns all its nodes. libyaml's emitter is known here alone. */
#ifndef DAVIT_PROTO_YAML_WRITE_H
#define DAVIT_PROTO_YAML_WRITE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/str.h"
#include "proto/yaml.h"

struct ymlw; /* the document */
struct ymlw_node;

struct ymlw *ymlw_new(void);
void ymlw_free(struct ymlw **doc);
/* The document's own mapping. */
struct ymlw_node *ymlw_root(struct ymlw *doc);

struct ymlw_node *ymlw_mapping(struct ymlw *doc);
struct ymlw_node *ymlw_list(struct ymlw *doc);
/* The text is copied. */
struct ymlw_node *ymlw_text(struct ymlw *doc, struct str text);
/* A number or boolean in its own notation: 4, true. */
struct ymlw_node *ymlw_plain(struct ymlw *doc, const char *text);
/* The whole tree below a node of a parsed document. */
struct ymlw_node *ymlw_copy(struct ymlw *doc, const struct yml_node *node);
/* A list or mapping on one line: [a, b]. */
struct ymlw_node *ymlw_flow(struct ymlw_node *node);

/* Puts value under key, in the place of what was there. The key is copied. A node may stand in one place only. */
void ymlw_set(struct ymlw *doc, struct ymlw_node *mapping, const char *key, struct ymlw_node *value);
/* NULL when it has none. */
struct ymlw_node *ymlw_get(const struct ymlw_node *mapping, const char *key);
void ymlw_add(struct ymlw *doc, struct ymlw_node *list, struct ymlw_node *item);
/* Members of a list or a mapping; 0 for a text. */
size_t ymlw_count(const struct ymlw_node *node);

/* free() the text. */
char *ymlw_print(const struct ymlw *doc);

#endif
