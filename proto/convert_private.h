/* What the converters share: a file of another system is walked key by key, by a table that says what each becomes. */
#ifndef DAVIT_PROTO_CONVERT_PRIVATE_H
#define DAVIT_PROTO_CONVERT_PRIVATE_H

#include "proto/convert.h"
#include "proto/yaml.h"
#include "proto/yaml_write.h"

enum { CONVERT_DOCUMENTS_MAX = 50 };

struct convert {
	struct yml *documents[CONVERT_DOCUMENTS_MAX];
	size_t document_count;
	const struct yml *in; /* the one that is being converted */
	struct ymlw *out;
	struct strings *notes;
	struct err *err;
	unsigned looks;        /* into what is extended, so far */
	struct ymlw_node *job; /* whose secrets those are that steps name; NULL: of whatever is written */
};

struct convert_key {
	const char *name;
	/* NULL: not carried over, for the reason in note; with note NULL too it needs no counterpart. */
	void (*take)(struct convert *c, const struct yml_node *value, struct ymlw_node *to);
	const char *note;
};

/* NULL when the table has none of that name. */
const struct convert_key *convert_find(const struct convert_key *keys, size_t count, const char *name);
/* Notes a key that is not carried over; key NULL: it is not known at all. */
void convert_note_key(struct convert *c, const struct yml_node *name, const struct convert_key *key);
/* Each key of the mapping by the table; one that is not in it is noted. */
void convert_keys(struct convert *c, const struct yml_node *mapping, const struct convert_key *keys, size_t count,
    struct ymlw_node *to);
void convert_note(struct convert *c, const struct yml_node *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A text in printf's manner. */
struct ymlw_node *convert_text(struct convert *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds one text, a list of them, or lists of lists, each through `change` (NULL: as it is), to the list under key,
 * which is made when there is none. */
typedef struct ymlw_node *convert_item_fn(struct convert *c, const struct yml_node *item);
void convert_add(
    struct convert *c, struct ymlw_node *to, const char *key, const struct yml_node *value, convert_item_fn *change);
/* For tables: lists of commands under their own names. */
void convert_take_before_script(struct convert *c, const struct yml_node *value, struct ymlw_node *job);
void convert_take_script(struct convert *c, const struct yml_node *value, struct ymlw_node *job);
void convert_take_after_script(struct convert *c, const struct yml_node *value, struct ymlw_node *job);
/* Adds a text to the list under key. */
void convert_add_text(struct convert *c, struct ymlw_node *to, const char *key, const char *text);
/* The list or mapping under key, made when there is none. */
struct ymlw_node *convert_list(struct convert *c, struct ymlw_node *to, const char *key);
struct ymlw_node *convert_mapping(struct convert *c, struct ymlw_node *to, const char *key);
/* A branch or tag pattern: /regex/, which is searched for there, becomes one of the whole; a name stays. prefix: "!" or
 * "". */
void convert_add_pattern(
    struct convert *c, struct ymlw_node *to, const char *key, struct str pattern, const char *prefix);
/* NAME: value of a mapping, or of a list of NAME=value, into the mapping env of `to`. */
void convert_env(struct convert *c, const struct yml_node *value, struct ymlw_node *to);
/* "1 hour 30 minutes", "90m", "2 weeks", 30 (with the unit that a bare number has) -> "1h30m"; NULL: it is none of
 * these. free() it. */
char *convert_duration(const char *text, unsigned bare_unit_s);

bool convert_travis(struct convert *c, const struct yml_node *root);
bool convert_gitlab(struct convert *c, const struct yml_node *root);
bool convert_drone(struct convert *c, const struct yml_node *root);
bool convert_woodpecker(struct convert *c, const struct yml_node *root);

#endif
