#include "proto/convert_private.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/mem.h"

#define PATTERN_MAX (YML_MAX_BYTES * 8)
#define NOTE_MAX 200 /* notes of one file; what follows them is not noted */

/* clang-format off */
static const struct {
	const char *name;
	const char *file; /* usual names begin so */
	bool (*convert)(struct convert *c, const struct yml_node *root);
} systems[] = {
	[CONVERT_TRAVIS]     = { "travis",     ".travis.",     convert_travis },
	[CONVERT_GITLAB]     = { "gitlab",     ".gitlab-ci.",  convert_gitlab },
	[CONVERT_DRONE]      = { "drone",      ".drone.",      convert_drone },
	[CONVERT_WOODPECKER] = { "woodpecker", ".woodpecker.", convert_woodpecker },
};
/* clang-format on */

#define SYSTEM_COUNT (sizeof(systems) / sizeof(systems[0]))

bool
convert_from_path(const char *path, enum convert_from *ret)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;

	for (size_t i = 0; i < SYSTEM_COUNT; i++)
		if (strncmp(name, systems[i].file, strlen(systems[i].file)) == 0) {
			*ret = (enum convert_from)i;
			return true;
		}
	return false;
}

const char *
convert_from_name(enum convert_from from)
{
	return systems[from].name;
}

bool
convert_from_parse(const char *name, enum convert_from *ret)
{
	for (size_t i = 0; i < SYSTEM_COUNT; i++)
		if (strcmp(name, systems[i].name) == 0) {
			*ret = (enum convert_from)i;
			return true;
		}
	return false;
}

void
convert_note(struct convert *c, const struct yml_node *at, const char *fmt, ...)
{
	char text[300], *message;
	va_list ap;

	if (c->notes->count == NOTE_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	message = yml_message(c->in, at, "%s", text);
	if (!strings_have(c->notes, message)) /* what several jobs take from one place is noted once */
		strings_add(c->notes, str_of(message));
	free(message);
}

const struct convert_key *
convert_find(const struct convert_key *keys, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

void
convert_note_key(struct convert *c, const struct yml_node *name, const struct convert_key *key)
{
	if (key == NULL)
		convert_note(c, name, "%.60s is not carried over", yml_text(name));
	else if (key->note != NULL)
		convert_note(c, name, "%.60s is not carried over: %s", yml_text(name), key->note);
}

void
convert_keys(struct convert *c, const struct yml_node *mapping, const struct convert_key *keys, size_t count,
    struct ymlw_node *to)
{
	for (size_t i = 0; i < yml_count(mapping); i++) {
		const struct yml_node *name = yml_key_at(mapping, i);
		const struct convert_key *key = convert_find(keys, count, yml_text(name));

		if (key != NULL && key->take != NULL)
			key->take(c, yml_at(mapping, i), to);
		else
			convert_note_key(c, name, key);
	}
}

struct ymlw_node *
convert_text(struct convert *c, const char *fmt, ...)
{
	struct ymlw_node *node;
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	node = ymlw_text(c->out, str_of(text));
	free(text);
	return node;
}

struct ymlw_node *
convert_list(struct convert *c, struct ymlw_node *to, const char *key)
{
	struct ymlw_node *list = ymlw_get(to, key);

	if (list == NULL)
		ymlw_set(c->out, to, key, list = ymlw_list(c->out));
	return list;
}

/* The names by which both systems know these lists. */
void
convert_take_before_script(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	convert_add(c, job, "before_script", value, NULL);
}

void
convert_take_script(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	convert_add(c, job, "script", value, NULL);
}

void
convert_take_after_script(struct convert *c, const struct yml_node *value, struct ymlw_node *job)
{
	convert_add(c, job, "after_script", value, NULL);
}

struct ymlw_node *
convert_mapping(struct convert *c, struct ymlw_node *to, const char *key)
{
	struct ymlw_node *mapping = ymlw_get(to, key);

	if (mapping == NULL)
		ymlw_set(c->out, to, key, mapping = ymlw_mapping(c->out));
	return mapping;
}

void
convert_add(
    struct convert *c, struct ymlw_node *to, const char *key, const struct yml_node *value, convert_item_fn *change)
{
	struct ymlw_node *item;

	if (yml_type(value) == YML_SEQUENCE) {
		for (size_t i = 0; i < yml_count(value); i++)
			convert_add(c, to, key, yml_at(value, i), change);
		return;
	}
	if (yml_type(value) == YML_NULL)
		return;
	item = change != NULL ? change(c, value) : ymlw_text(c->out, str_of(yml_text(value)));
	if (item != NULL)
		ymlw_add(c->out, convert_list(c, to, key), item);
}

void
convert_add_text(struct convert *c, struct ymlw_node *to, const char *key, const char *text)
{
	ymlw_add(c->out, convert_list(c, to, key), ymlw_text(c->out, str_of(text)));
}

/* A search becomes a match of the whole. */
static void
add_search(struct buf *to, struct str regex)
{
	if (regex.len == 0 || regex.p[0] != '^')
		buf_adds(to, "^.*");
	for (size_t i = 0; i < regex.len; i++) /* the slash needs no escape here */
		if (regex.p[i] != '\\' || i + 1 == regex.len || regex.p[i + 1] != '/')
			buf_addc(to, regex.p[i]);
	if (regex.len == 0 || regex.p[regex.len - 1] != '$')
		buf_adds(to, ".*$");
}

void
convert_add_pattern(struct convert *c, struct ymlw_node *to, const char *key, struct str pattern, const char *prefix)
{
	struct buf text;

	buf_init(&text, PATTERN_MAX);
	buf_adds(&text, prefix);
	if (pattern.len > 2 && pattern.p[0] == '/' && pattern.p[pattern.len - 1] == '/')
		add_search(&text, (struct str){ pattern.p + 1, pattern.len - 2 });
	else
		buf_addstr(&text, pattern);
	ymlw_add(c->out, convert_list(c, to, key), ymlw_text(c->out, buf_str(&text)));
	buf_fini(&text);
}

static void
set_env(struct convert *c, struct ymlw_node *to, const char *name, struct str value)
{
	ymlw_set(c->out, convert_mapping(c, to, "env"), name, ymlw_text(c->out, value));
}

/* {from_secret: name}: the server's secret of that name, as this variable. */
static void
add_secret(struct convert *c, struct ymlw_node *to, const char *name, const char *variable)
{
	struct ymlw_node *secret = ymlw_mapping(c->out);

	ymlw_set(c->out, secret, "name", ymlw_text(c->out, str_of(name)));
	ymlw_set(c->out, secret, "as", ymlw_text(c->out, str_of(variable)));
	ymlw_add(c->out, convert_list(c, c->job != NULL ? c->job : to, "secrets"), ymlw_flow(secret));
}

void
convert_env(struct convert *c, const struct yml_node *value, struct ymlw_node *to)
{
	if (yml_type(value) == YML_MAPPING) {
		for (size_t i = 0; i < yml_count(value); i++) {
			const struct yml_node *key = yml_key_at(value, i), *item = yml_at(value, i);

			if (yml_get(item, "value") != NULL)
				item = yml_get(item, "value");
			if (yml_get(item, "from_secret") != NULL)
				add_secret(c, to, yml_text(yml_get(item, "from_secret")), yml_text(key));
			else
				set_env(c, to, yml_text(key), str_of(yml_text(item)));
		}
		return;
	}
	for (size_t i = 0; i < yml_count(value); i++) {
		struct str rest = str_of(yml_text(yml_at(value, i))), name = str_cut(&rest, '=');
		char *copy = str_dup(name);

		set_env(c, to, copy, rest);
		free(copy);
	}
}

/* The seconds of "hours", "h", "minutes" ...; 0: no unit is called so. */
static unsigned
unit_seconds(struct str unit)
{
	static const struct {
		const char *word;
		unsigned seconds;
	} units[] = { { "s", 1 }, { "sec", 1 }, { "second", 1 }, { "m", 60 }, { "min", 60 }, { "minute", 60 },
		{ "h", 3600 }, { "hr", 3600 }, { "hour", 3600 }, { "d", 86400 }, { "day", 86400 }, { "w", 604800 },
		{ "week", 604800 } };

	if (unit.len > 2 && unit.p[unit.len - 1] == 's') /* of several */
		unit.len--;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (str_is(unit, units[i].word))
			return units[i].seconds;
	return 0;
}

static char *
print_duration(uint64_t seconds)
{
	static const struct {
		const char *letter;
		unsigned seconds;
	} units[] = { { "d", 86400 }, { "h", 3600 }, { "m", 60 }, { "s", 1 } };
	struct buf text;
	char *ret;

	buf_init(&text, 64);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (seconds >= units[i].seconds)
			buf_addf(&text, "%llu%s", (unsigned long long)(seconds / units[i].seconds), units[i].letter);
		seconds %= units[i].seconds;
	}
	ret = buf_take(&text, NULL);
	buf_fini(&text);
	return ret;
}

char *
convert_duration(const char *text, unsigned bare_unit_s)
{
	uint64_t seconds = 0;
	bool any = false;

	for (const char *s = text; *s != '\0';) {
		struct str number, unit;
		uint64_t n;
		unsigned each;

		s += strspn(s, " ,");
		number = (struct str){ s, strspn(s, "0123456789") };
		s += number.len;
		s += strspn(s, " ");
		unit = (struct str){ s, strcspn(s, " ,0123456789") };
		s += unit.len;
		each = unit.len == 0 ? bare_unit_s : unit_seconds(unit);
		if (!str_to_u64(number, 1000000, &n) || each == 0)
			return NULL;
		seconds += n * each;
		any = true;
	}
	return any && seconds > 0 ? print_duration(seconds) : NULL;
}

/* --- documents --- */

/* Where the document that begins at `at` ends: at the next line that begins with ---, or the text's end. */
static size_t
document_end(struct str text, size_t at)
{
	for (size_t i = at + 1; i + 3 <= text.len; i++)
		if (text.p[i - 1] == '\n' && memcmp(text.p + i, "---", 3) == 0 &&
		    (i + 3 == text.len || strchr(" \t\r\n", text.p[i + 3]) != NULL))
			return i;
	return text.len;
}

/* The text with all but one document blank, so that lines and columns are those of the file. */
static char *
alone(struct str text, size_t from, size_t to)
{
	char *copy = xcalloc(1, text.len + 1);

	memcpy(copy, text.p, text.len);
	for (size_t i = 0; i < text.len; i++)
		if ((i < from || i >= to) && copy[i] != '\n')
			copy[i] = ' ';
	return copy;
}

/* One document of a file that has several; those without a word in them count for nothing. */
static bool
parse_document(struct convert *c, struct str text, size_t from, size_t to, const char *file)
{
	char *copy = alone(text, from, to);
	struct yml *doc;
	bool ok = yml_parse((struct str){ copy, text.len }, file, &doc, c->err);

	free(copy);
	if (!ok)
		return false;
	if (yml_type(yml_root(doc)) == YML_NULL)
		yml_free(&doc);
	else
		c->documents[c->document_count++] = doc;
	return true;
}

/* Drone's files have several, each a pipeline; elsewhere a second one is an error. */
static bool
parse_documents(struct convert *c, enum convert_from from, struct str text, const char *file)
{
	size_t at = 0, end;

	if (from != CONVERT_DRONE || document_end(text, 0) == text.len) {
		c->document_count = yml_parse(text, file, &c->documents[0], c->err);
		return c->document_count > 0;
	}
	for (; at < text.len; at = end) {
		end = document_end(text, at);
		if (c->document_count == CONVERT_DOCUMENTS_MAX)
			return err_set(c->err, ERR_LIMIT, 0, "%s: more than %d documents", file, CONVERT_DOCUMENTS_MAX);
		if (!parse_document(c, text, at, end, file))
			return false;
	}
	return c->document_count > 0 || err_set(c->err, ERR_INPUT, 0, "%s: there is nothing in this file", file);
}

static bool
convert_documents(struct convert *c, enum convert_from from)
{
	for (size_t i = 0; i < c->document_count; i++) {
		const struct yml_node *root = yml_root(c->documents[i]);

		c->in = c->documents[i];
		if (yml_type(root) != YML_MAPPING)
			return yml_err(
			    c->in, root, c->err, "a pipeline file is a mapping, not %s", yml_type_name(root));
		if (!systems[from].convert(c, root))
			return false;
	}
	return true;
}

bool
convert_pipeline(
    enum convert_from from, struct str text, const char *file, char **ret, struct strings *notes, struct err *err)
{
	struct convert c = { .notes = notes, .err = err, .out = ymlw_new() };
	bool ok = parse_documents(&c, from, text, file) && convert_documents(&c, from);

	if (ok)
		*ret = ymlw_print(c.out);
	ymlw_free(&c.out);
	for (size_t i = 0; i < c.document_count; i++)
		yml_free(&c.documents[i]);
	return ok;
}
