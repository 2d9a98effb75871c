#include "proto/yaml_write.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <yaml.h>

#include "proto/arena.h"
#include "proto/buf.h"
#include "proto/mem.h"

#define PRINT_MAX (4u << 20) /* more than a pipeline may have, a few times */

struct ymlw_node {
	STAILQ_ENTRY(ymlw_node) link;
	enum yml_type type;
	char *key; /* in a mapping */
	char *text;
	bool is_plain;
	bool is_flow;
	STAILQ_HEAD(, ymlw_node) members;
	size_t count;
};

struct ymlw {
	struct arena arena;
	struct ymlw_node *root;
};

static struct ymlw_node *
node_new(struct ymlw *doc, enum yml_type type)
{
	struct ymlw_node *node = arena_alloc(&doc->arena, sizeof(*node));

	node->type = type;
	STAILQ_INIT(&node->members);
	return node;
}

struct ymlw *
ymlw_new(void)
{
	struct ymlw *doc = xcalloc(1, sizeof(*doc));

	doc->root = ymlw_mapping(doc);
	return doc;
}

void
ymlw_free(struct ymlw **doc)
{
	struct ymlw *d = *doc;

	*doc = NULL;
	if (d == NULL)
		return;
	arena_fini(&d->arena);
	free(d);
}

struct ymlw_node *
ymlw_root(struct ymlw *doc)
{
	return doc->root;
}

struct ymlw_node *
ymlw_mapping(struct ymlw *doc)
{
	return node_new(doc, YML_MAPPING);
}

struct ymlw_node *
ymlw_list(struct ymlw *doc)
{
	return node_new(doc, YML_SEQUENCE);
}

struct ymlw_node *
ymlw_text(struct ymlw *doc, struct str text)
{
	struct ymlw_node *node = node_new(doc, YML_SCALAR);

	node->text = arena_str(&doc->arena, text);
	return node;
}

struct ymlw_node *
ymlw_plain(struct ymlw *doc, const char *text)
{
	struct ymlw_node *node = ymlw_text(doc, str_of(text));

	node->is_plain = true;
	return node;
}

static void
append(struct ymlw *doc, struct ymlw_node *node, const char *key, struct ymlw_node *member)
{
	if (node->type == YML_MAPPING)
		member->key = arena_str(&doc->arena, str_of(key));
	STAILQ_INSERT_TAIL(&node->members, member, link);
	node->count++;
}

/* The reader saw to it that keys are unique. */
struct ymlw_node *
ymlw_copy(struct ymlw *doc, const struct yml_node *source)
{
	struct ymlw_node *node;

	if (yml_type(source) == YML_NULL)
		return ymlw_plain(doc, "~"); /* also of no text at all, which would be printed as an empty one */
	if (yml_type(source) == YML_SCALAR) {
		node = ymlw_text(doc, str_of(yml_text(source)));
		node->is_plain = yml_is_plain(source);
		return node;
	}
	node = node_new(doc, yml_type(source));
	for (size_t i = 0; i < yml_count(source); i++)
		append(doc, node, yml_text(yml_key_at(source, i)), ymlw_copy(doc, yml_at(source, i)));
	return node;
}

struct ymlw_node *
ymlw_flow(struct ymlw_node *node)
{
	node->is_flow = true;
	return node;
}

void
ymlw_add(struct ymlw *doc, struct ymlw_node *list, struct ymlw_node *item)
{
	assert(list->type == YML_SEQUENCE);
	append(doc, list, NULL, item);
}

struct ymlw_node *
ymlw_get(const struct ymlw_node *mapping, const char *key)
{
	struct ymlw_node *node;

	STAILQ_FOREACH(node, &mapping->members, link)
	if (strcmp(node->key, key) == 0)
		return node;
	return NULL;
}

void
ymlw_set(struct ymlw *doc, struct ymlw_node *mapping, const char *key, struct ymlw_node *value)
{
	struct ymlw_node *old = ymlw_get(mapping, key);

	assert(mapping->type == YML_MAPPING);
	if (old == NULL) {
		append(doc, mapping, key, value);
		return;
	}
	value->key = old->key;
	STAILQ_INSERT_AFTER(&mapping->members, old, value, link);
	STAILQ_REMOVE(&mapping->members, old, ymlw_node, link);
}

size_t
ymlw_count(const struct ymlw_node *node)
{
	return node->count;
}

/* --- printing --- */

/* Whether some reader takes the bare text for a number, a boolean or nothing. */
static bool
looks_like_more(const char *text)
{
	static const char *const words[] = { "", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_is_nocase(str_of(text), words[i]))
			return true;
	if (strncmp(text, "0x", 2) == 0 || strncmp(text, "0o", 2) == 0)
		return true;
	return strchr("+-.0123456789", text[0]) != NULL && strspn(text, "+-.0123456789_:eE") == strlen(text);
}

static yaml_scalar_style_t
style_of(const struct ymlw_node *node)
{
	if (node->is_plain)
		return YAML_PLAIN_SCALAR_STYLE;
	if (strchr(node->text, '\n') != NULL)
		return YAML_LITERAL_SCALAR_STYLE;
	return looks_like_more(node->text) ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_ANY_SCALAR_STYLE;
}

/* libyaml owns the event once it is made; what cannot be printed (bytes that are not UTF-8) makes it fail. */
static bool
emit(yaml_emitter_t *emitter, int made, yaml_event_t *event)
{
	return made == 1 && yaml_emitter_emit(emitter, event) == 1;
}

static bool
emit_text(yaml_emitter_t *emitter, const char *text, yaml_scalar_style_t style)
{
	yaml_event_t event;

	return emit(emitter,
	    yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)strlen(text), 1, 1, style),
	    &event);
}

static bool
emit_begin(yaml_emitter_t *emitter, const struct ymlw_node *node)
{
	yaml_event_t event;
	int made;

	if (node->type == YML_MAPPING)
		made = yaml_mapping_start_event_initialize(
		    &event, NULL, NULL, 1, node->is_flow ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE);
	else
		made = yaml_sequence_start_event_initialize(
		    &event, NULL, NULL, 1, node->is_flow ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE);
	return emit(emitter, made, &event);
}

static bool
emit_end(yaml_emitter_t *emitter, const struct ymlw_node *node)
{
	yaml_event_t event;

	return emit(emitter,
	    node->type == YML_MAPPING ? yaml_mapping_end_event_initialize(&event)
				      : yaml_sequence_end_event_initialize(&event),
	    &event);
}

static bool
emit_node(yaml_emitter_t *emitter, const struct ymlw_node *node)
{
	const struct ymlw_node *member;

	if (node->type == YML_SCALAR)
		return emit_text(emitter, node->text, style_of(node));
	if (!emit_begin(emitter, node))
		return false;
	STAILQ_FOREACH(member, &node->members, link)
	{
		if (node->type == YML_MAPPING && !emit_text(emitter, member->key, YAML_ANY_SCALAR_STYLE))
			return false;
		if (!emit_node(emitter, member))
			return false;
	}
	return emit_end(emitter, node);
}

static int
on_write(void *arg, unsigned char *bytes, size_t len)
{
	return buf_add(arg, bytes, len);
}

char *
ymlw_print(const struct ymlw *doc)
{
	yaml_emitter_t emitter;
	yaml_event_t event;
	struct buf out;
	char *text;

	buf_init(&out, PRINT_MAX);
	if (yaml_emitter_initialize(&emitter) != 1)
		abort();
	yaml_emitter_set_output(&emitter, on_write, &out);
	yaml_emitter_set_unicode(&emitter, 1);
	yaml_emitter_set_width(&emitter, -1);
	if (!emit(&emitter, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING), &event) ||
	    !emit(&emitter, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1), &event) ||
	    !emit_node(&emitter, doc->root) || !emit(&emitter, yaml_document_end_event_initialize(&event, 1), &event) ||
	    !emit(&emitter, yaml_stream_end_event_initialize(&event), &event))
		buf_reset(&out);
	yaml_emitter_delete(&emitter);
	if (out.len > 0 && out.data[out.len - 1] != '\n') /* libyaml leaves it out behind a quoted text */
		buf_addc(&out, '\n');
	text = buf_take(&out, NULL);
	buf_fini(&out);
	return text;
}
