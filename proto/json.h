/* JSON (RFC 8259): a reader that gives a tree with limits, and the only writer. yajl is known here alone.
 *
 * The reader refuses: invalid UTF-8 (overlong forms and surrogates included), \u0000, lone surrogates, anything behind
 * the value, more than the limits. Duplicate keys: the last one wins, as with the forges' own readers. */
#ifndef DAVIT_PROTO_JSON_H
#define DAVIT_PROTO_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/str.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json; /* a parsed document, owner of all its values */
struct json_value;

struct json_limits {
	size_t bytes;
	unsigned depth;
	size_t values;
};

/* 26 MB, 32 levels, 1,000,000 values: what a forge may send (GitHub caps payloads at 25 MB). */
extern const struct json_limits json_default_limits;

/* limits NULL: the default ones. On failure *err says what and at which byte. Free with json_free. */
bool json_parse(struct str text, const struct json_limits *limits, struct json **ret, struct err *err);
void json_free(struct json **doc);
const struct json_value *json_root(const struct json *doc);

/* All accessors take NULL for "absent", so that a path of them needs one check at its end. */
enum json_type json_type(const struct json_value *v); /* JSON_NULL for NULL */
const struct json_value *json_get(const struct json_value *object, const char *key);
/* Keys joined by dots: json_path(v, "head_commit.author.name"). */
const struct json_value *json_path(const struct json_value *v, const char *path);
/* The string, NUL-terminated, owned by the document; otherwise fallback (also for NULL and other types). */
const char *json_string(const struct json_value *v, const char *fallback);
int64_t json_int(const struct json_value *v, int64_t fallback); /* fallback when not an integer in range */
double json_double(const struct json_value *v, double fallback);
bool json_bool(const struct json_value *v, bool fallback);
/* Members of an array or object; 0 for anything else. */
size_t json_count(const struct json_value *v);
const struct json_value *json_at(const struct json_value *v, size_t index);
/* The key of an object's member; NULL for anything else. */
const char *json_key_at(const struct json_value *object, size_t index);

/* The writer. Strings that are not UTF-8 are written with U+FFFD in the place of each bad byte. Misuse asserts. */
struct json_writer;
struct json_writer *json_writer_new(size_t max);
void json_writer_free(struct json_writer **w);
void json_write_object_open(struct json_writer *w);
void json_write_object_close(struct json_writer *w);
void json_write_array_open(struct json_writer *w);
void json_write_array_close(struct json_writer *w);
void json_write_key(struct json_writer *w, const char *key);
void json_write_string(struct json_writer *w, const char *s); /* NULL is written as null */
void json_write_str(struct json_writer *w, struct str s);
void json_write_int(struct json_writer *w, int64_t n);
void json_write_double(struct json_writer *w, double n);
void json_write_bool(struct json_writer *w, bool b);
void json_write_null(struct json_writer *w);
/* A value that is JSON already (from the reader's or writer's own output). */
void json_write_raw(struct json_writer *w, struct str json);
/* key and value in one call. */
void json_member_string(struct json_writer *w, const char *key, const char *s);
void json_member_int(struct json_writer *w, const char *key, int64_t n);
void json_member_bool(struct json_writer *w, const char *key, bool b);
/* "a,b" as an array of strings, "" as an empty one. */
void json_member_list(struct json_writer *w, const char *key, const char *list);
/* The finished text (free() it) and its length; NULL when the maximum was passed. The writer is gone afterwards. */
char *json_writer_finish(struct json_writer **w, size_t *len);

#endif
