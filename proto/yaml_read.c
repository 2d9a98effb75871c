#include "proto/yaml_private.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "proto/mem.h"
#include "proto/utf8.h"

struct anchor {
	char *name;
	struct yml_node *node;
};

/* A sequence or mapping whose end has not come yet. */
struct frame {
	struct yml_node *node;
	const struct yml_node *key; /* of the pair whose value comes next; NULL: a key comes next */
	const struct yml_node **items;
	struct yml_pair *pairs;
	size_t count;
	size_t cap;
	size_t merges; /* pairs whose key is << */
};

struct reader {
	yaml_parser_t parser;
	struct yml *doc;
	struct str text;
	struct err *err;
	struct frame frames[YML_MAX_DEPTH];
	size_t depth;
	struct anchor *anchors;
	size_t anchor_count;
	size_t anchor_cap;
	unsigned events;
	unsigned aliases;
	size_t values;
};

static bool __attribute__((format(printf, 4, 5)))
fail(struct reader *r, struct yml_mark at, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	yml_fail_at(r->doc->file, at, r->err, code, fmt, ap);
	va_end(ap);
	return false;
}

static struct yml_mark
mark_of(yaml_mark_t mark)
{
	return (struct yml_mark){ (unsigned)mark.line + 1, (unsigned)mark.column + 1 };
}

/* What YAML calls printable (YAML 1.1, 5.1), as libyaml has it. */
static bool
is_allowed(uint32_t c)
{
	return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c <= 0x7e) || c == 0x85 ||
	       (c >= 0xa0 && c <= 0xd7ff) || (c >= 0xe000 && c <= 0xfffd && c != 0xfeff) ||
	       (c >= 0x10000 && c <= 0x10ffff);
}

/* libyaml gives no place for a bad byte, so it is looked for before. */
static bool
check_bytes(struct reader *r, struct str text)
{
	struct yml_mark at = { 1, 1 };
	size_t len;

	for (size_t i = 0; i < text.len; i += len) {
		unsigned char byte = (unsigned char)text.p[i];
		uint32_t c = byte;

		len = 1;
		if (byte >= 0x80) /* the decoder's call would double the time that most files take */
			c = utf8_decode((struct str){ text.p + i, text.len - i }, &len);
		if (c == UTF8_BAD)
			return fail(
			    r, at, ERR_INPUT, "byte 0x%02x is not UTF-8; save the file as UTF-8", (unsigned)byte);
		if (!is_allowed(c))
			return fail(
			    r, at, ERR_INPUT, "character U+%04X is not allowed in YAML; remove it", (unsigned)c);
		if (c == '\n' || (c == '\r' && (i + 1 == text.len || text.p[i + 1] != '\n')))
			at = (struct yml_mark){ at.line + 1, 1 };
		else
			at.column++;
	}
	return true;
}

static bool
parser_failed(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	struct yml_problem problem = {
		.text = p->problem != NULL ? p->problem : "cannot be parsed",
		.at = mark_of(p->problem_mark),
		.context = p->context,
		.context_at = mark_of(p->context_mark),
	};

	return yml_explain(r->doc->file, r->text, &problem, r->err);
}

static struct yml_node *
node_new(struct reader *r, enum yml_type type, struct yml_mark mark)
{
	struct yml_node *node = arena_alloc(&r->doc->arena, sizeof(*node));

	*node = (struct yml_node){ .type = type, .mark = mark, .file = r->doc->file, .values = 1 };
	if (type == YML_SCALAR || type == YML_NULL)
		node->text = "";
	return node;
}

static bool
remember_anchor(struct reader *r, const yaml_char_t *name, struct yml_node *node)
{
	if (name == NULL)
		return true;
	if (r->anchor_count == r->anchor_cap) {
		r->anchor_cap = r->anchor_cap == 0 ? 16 : r->anchor_cap * 2;
		r->anchors = xrealloc(r->anchors, r->anchor_cap * sizeof(*r->anchors));
	}
	r->anchors[r->anchor_count++] = (struct anchor){ arena_str(&r->doc->arena, str_of((const char *)name)), node };
	return true;
}

/* "!" and the core schema's own tags say what we assume anyway. */
static bool
check_tag(struct reader *r, const yaml_char_t *tag, enum yml_type type, struct yml_mark mark)
{
	static const struct {
		const char *name;
		enum yml_type type;
	} core[] = {
		{ YAML_STR_TAG, YML_SCALAR },
		{ YAML_INT_TAG, YML_SCALAR },
		{ YAML_FLOAT_TAG, YML_SCALAR },
		{ YAML_BOOL_TAG, YML_SCALAR },
		{ YAML_NULL_TAG, YML_SCALAR },
		{ YAML_SEQ_TAG, YML_SEQUENCE },
		{ YAML_MAP_TAG, YML_MAPPING },
	};
	struct str name = str_of((const char *)tag);

	if (tag == NULL || str_is(name, "!"))
		return true;
	for (size_t i = 0; i < sizeof(core) / sizeof(core[0]); i++)
		if (core[i].type == type && str_is(name, core[i].name))
			return true;
	return fail(r, mark, ERR_INPUT, "the tag %.60s is not supported here; remove it", name.p);
}

static struct frame *
top(struct reader *r)
{
	return r->depth > 0 ? &r->frames[r->depth - 1] : NULL;
}

static bool
is_merge_key(const struct yml_node *key)
{
	return key->plain && strcmp(key->text, "<<") == 0;
}

static void
grow(struct frame *f)
{
	if (f->count < f->cap)
		return;
	f->cap = f->cap == 0 ? 8 : f->cap * 2;
	if (f->node->type == YML_MAPPING)
		f->pairs = xrealloc(f->pairs, f->cap * sizeof(*f->pairs));
	else
		f->items = xrealloc(f->items, f->cap * sizeof(*f->items));
}

static void
push_pair(struct frame *f, const struct yml_node *key, const struct yml_node *value, bool merged)
{
	grow(f);
	f->pairs[f->count] = (struct yml_pair){ key, value, f->count, merged };
	f->count++;
}

/* A finished value, or one that begins, takes its place below its parent. */
static bool
place(struct reader *r, const struct yml_node *node, struct yml_mark mark)
{
	struct frame *f = top(r);

	if (f == NULL) {
		r->doc->root = node;
		return true;
	}
	if (f->node->type == YML_SEQUENCE) {
		grow(f);
		f->items[f->count++] = node;
		return true;
	}
	if (f->key == NULL) {
		if (node->type != YML_SCALAR && node->type != YML_NULL)
			return fail(r, mark, ERR_INPUT, "a key must be text, not %s", yml_type_name(node));
		f->key = node;
		return true;
	}
	push_pair(f, f->key, node, false);
	f->merges += is_merge_key(f->key);
	f->key = NULL;
	return true;
}

static bool
count_values(struct reader *r, size_t more, struct yml_mark mark)
{
	if (more > YML_MAX_VALUES - r->values)
		return fail(r, mark, ERR_LIMIT, "more than %d values after the expansion of aliases", YML_MAX_VALUES);
	r->values += more;
	return true;
}

static int
by_key(const void *a, const void *b)
{
	const struct yml_pair *x = a, *y = b;
	int order = strcmp(x->key->text, y->key->text);

	if (order != 0)
		return order;
	return x->order < y->order ? -1 : 1;
}

static int
by_order(const void *a, const void *b)
{
	const struct yml_pair *x = a, *y = b;

	return x->order < y->order ? -1 : 1;
}

static bool
merge_one(struct reader *r, struct frame *f, const struct yml_node *from)
{
	if (from->type != YML_MAPPING)
		return fail(r, from->mark, ERR_INPUT, "<< merges mappings, not %s", yml_type_name(from));
	if (!count_values(r, from->values, from->mark))
		return false;
	for (size_t i = 0; i < from->count; i++)
		push_pair(f, from->pairs[i].key, from->pairs[i].value, true);
	return true;
}

/* Puts the pairs of the mappings named by << behind the frame's own. */
static bool
merge_all(struct reader *r, struct frame *f)
{
	size_t own = f->count;

	for (size_t i = 0; i < own; i++) {
		const struct yml_node *value = f->pairs[i].value;

		if (!is_merge_key(f->pairs[i].key))
			continue;
		if (value->type != YML_SEQUENCE) {
			if (!merge_one(r, f, value))
				return false;
			continue;
		}
		for (size_t k = 0; k < value->count; k++)
			if (!merge_one(r, f, value->items[k]))
				return false;
	}
	return true;
}

/* Sorts by key; of equal keys the first stays, unless both are the mapping's own. */
static bool
settle_pairs(struct reader *r, struct frame *f)
{
	size_t kept = 0;

	if (f->count > 1)
		qsort(f->pairs, f->count, sizeof(*f->pairs), by_key);
	for (size_t i = 0; i < f->count; i++) {
		struct yml_pair *pair = &f->pairs[i];

		if (i > 0 && !pair->merged && strcmp(f->pairs[kept - 1].key->text, pair->key->text) == 0)
			return fail(r, pair->key->mark, ERR_INPUT,
			    "duplicate key \"%.60s\"; the first one is in line %u", pair->key->text,
			    f->pairs[kept - 1].key->mark.line);
		if (kept == 0 || strcmp(f->pairs[kept - 1].key->text, pair->key->text) != 0)
			f->pairs[kept++] = *pair;
	}
	f->count = kept;
	if (kept > 1)
		qsort(f->pairs, kept, sizeof(*f->pairs), by_order);
	return true;
}

static void
drop_merge_keys(struct frame *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->count; i++)
		if (f->pairs[i].merged || !is_merge_key(f->pairs[i].key))
			f->pairs[kept++] = f->pairs[i];
	f->count = kept;
}

/* Copies what the frame gathered into the document. */
static void
store(struct reader *r, struct frame *f)
{
	struct yml_node *node = f->node;

	node->count = (uint32_t)f->count;
	if (node->type == YML_MAPPING) {
		node->pairs = arena_alloc(&r->doc->arena, f->count * sizeof(*f->pairs) + 1);
		if (f->count > 0)
			memcpy(node->pairs, f->pairs, f->count * sizeof(*f->pairs));
	} else {
		node->items = arena_alloc(&r->doc->arena, f->count * sizeof(*f->items) + 1);
		if (f->count > 0)
			memcpy(node->items, f->items, f->count * sizeof(*f->items));
	}
	for (size_t i = 0; i < f->count; i++) {
		const struct yml_node *child = yml_at(node, i);

		node->values += child->values + (node->type == YML_MAPPING);
		if (child->height >= node->height)
			node->height = child->height + 1;
	}
	node->open = false;
}

static void
frame_fini(struct frame *f)
{
	free(f->items);
	free(f->pairs);
	*f = (struct frame){ 0 };
}

static bool
on_end(struct reader *r)
{
	struct frame *f = top(r);

	if (f->node->type == YML_MAPPING) {
		if (f->merges > 0 && !merge_all(r, f))
			return false;
		if (!settle_pairs(r, f))
			return false;
		if (f->merges > 0)
			drop_merge_keys(f);
	}
	store(r, f);
	frame_fini(f);
	r->depth--;
	return true;
}

static bool
is_null_text(const char *text)
{
	switch (text[0]) {
	case '\0':
		return true;
	case '~':
		return text[1] == '\0';
	case 'n':
		return strcmp(text, "null") == 0;
	case 'N':
		return strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0;
	default:
		return false;
	}
}

static bool
on_scalar(struct reader *r, const yaml_event_t *event)
{
	struct yml_mark mark = mark_of(event->start_mark);
	struct str text = { (const char *)event->data.scalar.value, event->data.scalar.length };
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && event->data.scalar.tag == NULL;
	struct yml_node *node = node_new(r, YML_SCALAR, mark);

	if (memchr(text.p, '\0', text.len) != NULL)
		return fail(r, mark, ERR_INPUT, "a text cannot hold the character U+0000");
	node->text = arena_str(&r->doc->arena, text);
	node->plain = plain;
	if (plain && is_null_text(node->text))
		node->type = YML_NULL;
	return check_tag(r, event->data.scalar.tag, YML_SCALAR, mark) && count_values(r, 1, mark) &&
	       remember_anchor(r, event->data.scalar.anchor, node) && place(r, node, mark);
}

static bool
on_begin(struct reader *r, enum yml_type type, const yaml_char_t *anchor, const yaml_char_t *tag, struct yml_mark mark)
{
	struct yml_node *node = node_new(r, type, mark);

	if (r->depth == YML_MAX_DEPTH)
		return fail(r, mark, ERR_LIMIT, "nested deeper than %d levels", YML_MAX_DEPTH);
	node->open = true;
	node->height = 1;
	if (!check_tag(r, tag, type, mark) || !count_values(r, 1, mark) || !remember_anchor(r, anchor, node) ||
	    !place(r, node, mark))
		return false;
	r->frames[r->depth++] = (struct frame){ .node = node };
	return true;
}

static bool
on_alias(struct reader *r, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;
	struct yml_mark mark = mark_of(event->start_mark);
	size_t i = r->anchor_count;

	if (++r->aliases > YML_MAX_ALIASES)
		return fail(r, mark, ERR_LIMIT, "more than %d aliases", YML_MAX_ALIASES);
	while (i > 0 && strcmp(r->anchors[i - 1].name, name) != 0)
		i--;
	if (i == 0)
		return fail(r, mark, ERR_INPUT, "the alias *%.60s has no anchor before it", name);
	if (r->anchors[i - 1].node->open)
		return fail(r, mark, ERR_INPUT, "the alias *%.60s stands inside its own anchor", name);
	if (r->depth + r->anchors[i - 1].node->height > YML_MAX_DEPTH)
		return fail(r, mark, ERR_LIMIT, "nested deeper than %d levels", YML_MAX_DEPTH);
	return count_values(r, r->anchors[i - 1].node->values, mark) && place(r, r->anchors[i - 1].node, mark);
}

static bool
on_event(struct reader *r, const yaml_event_t *event)
{
	struct yml_mark mark = mark_of(event->start_mark);

	if (++r->events > YML_MAX_EVENTS)
		return fail(r, mark, ERR_LIMIT, "more than %d parts", YML_MAX_EVENTS);
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return r->doc->root == NULL ||
		       fail(r, mark, ERR_INPUT, "a second document begins here; one file holds one");
	case YAML_SCALAR_EVENT:
		return on_scalar(r, event);
	case YAML_SEQUENCE_START_EVENT:
		return on_begin(
		    r, YML_SEQUENCE, event->data.sequence_start.anchor, event->data.sequence_start.tag, mark);
	case YAML_MAPPING_START_EVENT:
		return on_begin(r, YML_MAPPING, event->data.mapping_start.anchor, event->data.mapping_start.tag, mark);
	case YAML_ALIAS_EVENT:
		return on_alias(r, event);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_end(r);
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
	return true;
}

static bool
read_events(struct reader *r)
{
	yaml_event_t event;
	bool more = true, ok = true;

	while (ok && more) {
		if (yaml_parser_parse(&r->parser, &event) == 0)
			return parser_failed(r);
		more = event.type != YAML_STREAM_END_EVENT;
		ok = on_event(r, &event);
		yaml_event_delete(&event);
	}
	return ok;
}

static bool
read_text(struct reader *r)
{
	struct yml_mark start = { 1, 1 };
	bool ok;

	if (r->text.len > YML_MAX_BYTES)
		return fail(
		    r, start, ERR_LIMIT, "the file has %zu bytes; at most %d are read", r->text.len, YML_MAX_BYTES);
	if (str_has_prefix(r->text, "\xef\xbb\xbf")) {
		r->text.p += 3;
		r->text.len -= 3;
	}
	if (!check_bytes(r, r->text))
		return false;
	if (yaml_parser_initialize(&r->parser) == 0)
		abort(); /* out of memory */
	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)r->text.p, r->text.len);
	ok = read_events(r);
	yaml_parser_delete(&r->parser);
	return ok;
}

static void
reader_fini(struct reader *r)
{
	for (size_t i = 0; i < r->depth; i++)
		frame_fini(&r->frames[i]);
	free(r->anchors);
}

bool
yml_parse(struct str text, const char *file, struct yml **ret, struct err *err)
{
	struct yml *doc = xcalloc(1, sizeof(*doc));
	struct reader r = { .doc = doc, .text = text, .err = err };
	bool ok;

	doc->file = xstrdup(file);
	ok = read_text(&r);
	if (ok && doc->root == NULL)
		doc->root = node_new(&r, YML_NULL, (struct yml_mark){ 1, 1 });
	reader_fini(&r);
	if (ok)
		*ret = doc;
	else
		yml_free(&doc);
	return ok;
}
