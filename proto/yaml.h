/* YAML: a reader that gives a tree with the place of every value, for files that people write. libyaml is known here
 * alone; our names begin with yml, since libyaml exports yaml_free and the like.
 *
 * Refused, each with "FILE:LINE:COLUMN: ..." in the error: bytes that are not UTF-8, control characters, duplicate
 * keys, keys that are not scalars, tags beyond YAML's core schema, a second document, an alias inside its own anchor,
 * and more than the limits: 256 kB, depth 64, 100,000 parser events, 100 aliases, 100,000 values after the aliases'
 * expansion. Merge keys (<<) are resolved: the mapping's own keys win, then those of the earlier merged mapping. Lines
 * and columns count from 1, columns in characters. */
#ifndef DAVIT_PROTO_YAML_H
#define DAVIT_PROTO_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/str.h"

enum {
	YML_MAX_BYTES = 256 * 1024,
	YML_MAX_DEPTH = 64,
	YML_MAX_EVENTS = 100000,
	YML_MAX_ALIASES = 100,
	YML_MAX_VALUES = 100000
};

enum yml_type {
	YML_NULL, /* also an absent node */
	YML_SCALAR,
	YML_SEQUENCE,
	YML_MAPPING,
};

struct yml; /* a parsed document, owner of all its nodes and texts */
struct yml_node;

struct yml_mark {
	unsigned line;
	unsigned column;
};

/* file is the name used in errors. An empty text is a document whose root is null. Free with yml_free. */
bool yml_parse(struct str text, const char *file, struct yml **ret, struct err *err);
void yml_free(struct yml **doc);
/* Never NULL. */
const struct yml_node *yml_root(const struct yml *doc);
const char *yml_file(const struct yml *doc);

/* Accessors take NULL for "absent". */
enum yml_type yml_type(const struct yml_node *node);
const char *yml_type_name(const struct yml_node *node); /* "a list", for messages */
struct yml_mark yml_mark(const struct yml_node *node);
/* The scalar's text as written, without quotes; "" for anything else. A scalar is text whatever it looks like. */
const char *yml_text(const struct yml_node *node);
/* Written without quotes and without a tag, so that it may stand for a number, a boolean or null. */
bool yml_is_plain(const struct yml_node *node);
/* YAML 1.1's booleans: true, yes, on, false, no, off; first letter or all letters in capitals too. */
bool yml_to_bool(const struct yml_node *node, bool *ret);
/* Decimal digits, not above max. */
bool yml_to_u64(const struct yml_node *node, uint64_t max, uint64_t *ret);
/* Items of a sequence or pairs of a mapping; 0 for anything else. */
size_t yml_count(const struct yml_node *node);
/* The item, or the pair's value, in the order of the file. */
const struct yml_node *yml_at(const struct yml_node *node, size_t index);
/* The pair's key, a scalar; NULL for anything but a mapping. */
const struct yml_node *yml_key_at(const struct yml_node *mapping, size_t index);
/* The value of a key; NULL when the mapping has none, or when it is no mapping. */
const struct yml_node *yml_get(const struct yml_node *mapping, const char *key);

/* Sets *err to "FILE:LINE:COLUMN: ..." with ERR_INPUT; returns false. The file is the node's own; doc's for NULL. */
bool yml_err(const struct yml *doc, const struct yml_node *at, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same text as yml_err's, for warnings; free() it. */
char *yml_message(const struct yml *doc, const struct yml_node *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
