/* The reader: yajl's callbacks fill a stack of values; when an array or object ends, its members move from the stack's
 * top into the document, side by side, so that an index is an index. Nothing here recurses. */
#include "proto/json.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "proto/mem.h"
#include "proto/utf8.h"

#define NO_PARENT SIZE_MAX
#define BLOCK_VALUES 126 /* of the first block, 4 KiB; each further one is twice as large */

struct json_value {
	enum json_type type;
	uint32_t key_len;
	const char *key; /* NULL unless a member of an object */
	size_t count;    /* bytes of text, or members; while it is open: its parent's index in the stack */
	union {
		const char *text; /* of strings and numbers, NUL-terminated */
		const struct json_value *members;
		bool truth;
	};
};

struct block {
	struct block *next;
	struct json_value values[];
};

struct json {
	struct json_value root;
	struct block *blocks; /* the newest first */
	size_t used;          /* values of blocks */
	size_t size;
	size_t chars_used;
	size_t chars_size;
	char chars[]; /* all keys, strings and numbers */
};

struct parser {
	struct json *doc;
	const struct json_limits *limits;
	struct json_value *stack;
	size_t stack_used;
	size_t stack_size;
	size_t open; /* the innermost open array or object: index in the stack, or NO_PARENT */
	unsigned depth;
	size_t values;
	const char *key; /* read, its value not yet */
	uint32_t key_len;
	struct err err;
};

const struct json_limits json_default_limits = { .bytes = 26 * 1000 * 1000, .depth = 32, .values = 1000 * 1000 };

/* Each text is followed by a NUL in the place of the closing quote or of the byte behind the number, and no escape is
 * shorter than what it stands for: hence the length of the whole text and one byte are always enough. */
static const char *
keep_text(struct json *doc, const void *text, size_t len)
{
	char *kept = doc->chars + doc->chars_used;

	assert(len < doc->chars_size - doc->chars_used);
	if (len > 0)
		memcpy(kept, text, len);
	kept[len] = '\0';
	doc->chars_used += len + 1;
	return kept;
}

static struct json_value *
keep_values(struct json *doc, const struct json_value *values, size_t count)
{
	struct json_value *kept;

	if (count == 0)
		return NULL;
	if (count > doc->size - doc->used) {
		size_t size = doc->size > 0 ? doc->size * 2 : BLOCK_VALUES;
		struct block *block;

		if (size < count)
			size = count;
		block = xrealloc(NULL, sizeof(*block) + size * sizeof(block->values[0]));
		block->next = doc->blocks;
		doc->blocks = block;
		doc->size = size;
		doc->used = 0;
	}
	kept = doc->blocks->values + doc->used;
	memcpy(kept, values, count * sizeof(*values));
	doc->used += count;
	return kept;
}

/* Puts v on the stack, as a member of what is open. */
static int
push(struct parser *p, struct json_value v)
{
	if (++p->values > p->limits->values)
		return err_set(&p->err, ERR_LIMIT, 0, "more than %zu values in the JSON text", p->limits->values);
	if (p->stack_used == p->stack_size) {
		p->stack_size = p->stack_size > 0 ? p->stack_size * 2 : 64;
		p->stack = xrealloc(p->stack, p->stack_size * sizeof(*p->stack));
	}
	v.key = p->key;
	v.key_len = p->key_len;
	p->key = NULL;
	p->key_len = 0;
	p->stack[p->stack_used++] = v;
	return true;
}

static int
push_text(struct parser *p, enum json_type type, const void *text, size_t len)
{
	return push(p, (struct json_value){ .type = type, .count = len, .text = keep_text(p->doc, text, len) });
}

static int
push_open(struct parser *p, enum json_type type)
{
	if (++p->depth > p->limits->depth)
		return err_set(&p->err, ERR_LIMIT, 0, "more than %u levels in the JSON text", p->limits->depth);
	if (!push(p, (struct json_value){ .type = type, .count = p->open }))
		return false;
	p->open = p->stack_used - 1;
	return true;
}

static int
on_null(void *arg)
{
	return push(arg, (struct json_value){ .type = JSON_NULL });
}

static int
on_bool(void *arg, int truth)
{
	return push(arg, (struct json_value){ .type = JSON_BOOL, .truth = truth != 0 });
}

static int
on_number(void *arg, const char *text, size_t len)
{
	return push_text(arg, JSON_NUMBER, text, len);
}

static int
on_string(void *arg, const unsigned char *text, size_t len)
{
	return push_text(arg, JSON_STRING, text, len);
}

static int
on_key(void *arg, const unsigned char *text, size_t len)
{
	struct parser *p = arg;

	p->key = keep_text(p->doc, text, len);
	p->key_len = (uint32_t)len;
	return true;
}

static int
on_object(void *arg)
{
	return push_open(arg, JSON_OBJECT);
}

static int
on_array(void *arg)
{
	return push_open(arg, JSON_ARRAY);
}

static int
on_end(void *arg)
{
	struct parser *p = arg;
	struct json_value *v = &p->stack[p->open];
	size_t count = p->stack_used - p->open - 1;

	p->stack_used -= count;
	p->open = v->count;
	p->depth--;
	v->members = keep_values(p->doc, v + 1, count);
	v->count = count;
	return true;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_bool,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_object,
	.yajl_map_key = on_key,
	.yajl_end_map = on_end,
	.yajl_start_array = on_array,
	.yajl_end_array = on_end,
};

static bool
read_hex4(struct str s, unsigned *ret)
{
	unsigned n = 0;

	if (s.len < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c >= '0' && c <= '9')
			n = n * 16 + (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			n = n * 16 + ((c | 0x20) - 'a' + 10);
		else
			return false;
	}
	*ret = n;
	return true;
}

/* s stands on a backslash. Returns how many bytes to pass over; 0 when yajl would let a wrong character through: it
 * replaces a lone surrogate by '?', joins a high one with anything, and gives \u0000 as a NUL byte. */
static size_t
check_escape(struct str s)
{
	unsigned high, low;

	if (s.len < 2 || s.p[1] != 'u' || !read_hex4((struct str){ s.p + 2, s.len - 2 }, &high))
		return s.len < 2 ? 1 : 2; /* yajl says what is wrong with it, if anything is */
	if (high == 0 || (high & 0xfc00) == 0xdc00)
		return 0;
	if ((high & 0xfc00) != 0xd800)
		return 6;
	if (s.len < 8 || s.p[6] != '\\' || s.p[7] != 'u' || !read_hex4((struct str){ s.p + 8, s.len - 8 }, &low))
		return 0;
	return (low & 0xfc00) == 0xdc00 ? 12 : 0;
}

/* How many of the first bytes are plain: ASCII and no backslash; at least eight at a time, as most text is. */
static size_t
skip_plain(struct str s)
{
	const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;
	size_t at = 0;
	uint64_t word, slash;

	for (; s.len - at >= sizeof(word); at += sizeof(word)) {
		memcpy(&word, s.p + at, sizeof(word));
		slash = word ^ (ones * '\\');
		if (((word | ((slash - ones) & ~slash)) & tops) != 0)
			break;
	}
	return at;
}

/* What yajl does not see: characters that no JSON text may hold. A backslash outside of strings is yajl's to refuse. */
static bool
check_characters(struct str text, struct err *err)
{
	struct str rest = text;

	while (rest.len > 0) {
		size_t len = skip_plain(rest);
		const char *what = "invalid UTF-8";

		if (len == 0 && rest.p[0] == '\\') {
			what = "an escape that stands for no character";
			len = check_escape(rest);
		} else if (len == 0) {
			len = utf8_decode(rest, &len) != UTF8_BAD ? len : 0;
		}
		if (len == 0)
			return err_set(err, ERR_INPUT, 0, "invalid JSON at byte %zu: %s", text.len - rest.len, what);
		rest.p += len;
		rest.len -= len;
	}
	return true;
}

/* yajl's words, as one line: "invalid JSON at byte 7: lexical error: invalid char in json text". */
static void
explain(yajl_handle yajl, struct str text, size_t at, struct err *err)
{
	unsigned char *words = yajl_get_error(yajl, 0, (const unsigned char *)text.p, text.len);
	size_t len = words != NULL ? strcspn((const char *)words, "\n") : 0;

	while (len > 0 && (words[len - 1] == '.' || words[len - 1] == ' '))
		len--;
	err_set(err, ERR_INPUT, 0, "invalid JSON at byte %zu: %.*s", at, (int)len, (const char *)words);
	yajl_free_error(yajl, words);
}

static bool
run_yajl(struct parser *p, struct str text, struct err *err)
{
	yajl_handle yajl = yajl_alloc(&callbacks, NULL, p);
	size_t at = text.len;
	yajl_status status;

	assert(yajl != NULL);
	yajl_config(yajl, yajl_dont_validate_strings, 1); /* check_characters has done it, and strictly */
	status = yajl_parse(yajl, (const unsigned char *)text.p, text.len);
	if (status != yajl_status_ok)
		at = yajl_get_bytes_consumed(yajl);
	else
		status = yajl_complete_parse(yajl);
	if (status != yajl_status_ok && p->err.code == ERR_NONE)
		explain(yajl, text, at, &p->err);
	yajl_free(yajl);
	if (status != yajl_status_ok && err != NULL)
		*err = p->err;
	return status == yajl_status_ok;
}

bool
json_parse(struct str text, const struct json_limits *limits, struct json **ret, struct err *err)
{
	struct parser p = { .limits = limits != NULL ? limits : &json_default_limits, .open = NO_PARENT };
	bool ok;

	assert(p.limits->bytes < UINT32_MAX);
	*ret = NULL;
	if (text.len > p.limits->bytes)
		return err_set(
		    err, ERR_LIMIT, 0, "the JSON text has %zu bytes, more than %zu", text.len, p.limits->bytes);
	if (!check_characters(text, err))
		return false;
	p.doc = xrealloc(NULL, sizeof(*p.doc) + text.len + 1);
	*p.doc = (struct json){ .chars_size = text.len + 1 };
	ok = run_yajl(&p, text, err);
	if (ok) {
		assert(p.stack_used == 1 && p.open == NO_PARENT);
		p.doc->root = p.stack[0];
		*ret = p.doc;
	} else {
		json_free(&p.doc);
	}
	free(p.stack);
	return ok;
}

void
json_free(struct json **doc)
{
	struct block *block, *next;

	if (*doc == NULL)
		return;
	for (block = (*doc)->blocks; block != NULL; block = next) {
		next = block->next;
		free(block);
	}
	free(*doc);
	*doc = NULL;
}

const struct json_value *
json_root(const struct json *doc)
{
	return &doc->root;
}

enum json_type
json_type(const struct json_value *v)
{
	return v != NULL ? v->type : JSON_NULL;
}

static const struct json_value *
get(const struct json_value *object, struct str key)
{
	if (json_type(object) != JSON_OBJECT)
		return NULL;
	for (size_t i = object->count; i-- > 0;) {
		const struct json_value *member = &object->members[i];

		if (member->key_len == key.len && memcmp(member->key, key.p, key.len) == 0)
			return member;
	}
	return NULL;
}

const struct json_value *
json_get(const struct json_value *object, const char *key)
{
	return get(object, str_of(key));
}

const struct json_value *
json_path(const struct json_value *v, const char *path)
{
	struct str rest = str_of(path);

	while (rest.len > 0)
		v = get(v, str_cut(&rest, '.'));
	return v;
}

const char *
json_string(const struct json_value *v, const char *fallback)
{
	return json_type(v) == JSON_STRING ? v->text : fallback;
}

int64_t
json_int(const struct json_value *v, int64_t fallback)
{
	struct str digits;
	bool negative;
	uint64_t n;

	if (json_type(v) != JSON_NUMBER)
		return fallback;
	digits = (struct str){ v->text, v->count };
	negative = str_has_prefix(digits, "-");
	if (negative) {
		digits.p++;
		digits.len--;
	}
	if (!str_to_u64(digits, (uint64_t)INT64_MAX + negative, &n))
		return fallback;
	return negative ? (int64_t)-n : (int64_t)n;
}

double
json_double(const struct json_value *v, double fallback)
{
	double n = json_type(v) == JSON_NUMBER ? strtod(v->text, NULL) : NAN;

	return isfinite(n) ? n : fallback;
}

bool
json_bool(const struct json_value *v, bool fallback)
{
	return json_type(v) == JSON_BOOL ? v->truth : fallback;
}

size_t
json_count(const struct json_value *v)
{
	return json_type(v) == JSON_ARRAY || json_type(v) == JSON_OBJECT ? v->count : 0;
}

const struct json_value *
json_at(const struct json_value *v, size_t index)
{
	return index < json_count(v) ? &v->members[index] : NULL;
}

const char *
json_key_at(const struct json_value *object, size_t index)
{
	const struct json_value *member = json_type(object) == JSON_OBJECT ? json_at(object, index) : NULL;

	return member != NULL ? member->key : NULL;
}
