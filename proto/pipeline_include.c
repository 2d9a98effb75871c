/* include: the names of further texts: PATH, {file: PATH}, {template: NAME}, or a list of them. */
#include "proto/pipeline_private.h"

#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

/* A file's path below the repository's root: no way out of it, nothing that git would read as an option. */
static bool
is_path(const char *path)
{
	struct str rest = str_of(path);

	if (path[0] == '\0' || path[0] == '/' || path[0] == '-' || strlen(path) > 255 ||
	    strpbrk(path, "\\:\n\r\t") != NULL)
		return false;
	while (rest.len > 0) {
		struct str part = str_cut(&rest, '/');

		if (part.len == 0 || str_is(part, ".") || str_is(part, ".."))
			return false;
	}
	return path[strlen(path) - 1] != '/';
}

/* A template's name is a file's name without its folder: letters, digits, and - _ . within. */
static bool
is_template_name(const char *name)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return len > 0 && len <= 64 && name[len] == '\0' && name[0] != '.' && name[0] != '-';
}

static bool
has(const struct pipeline_includes *includes, const struct pipeline_include *wanted)
{
	for (size_t i = 0; i < includes->count; i++)
		if (includes->items[i].is_template == wanted->is_template &&
		    includes->items[i].is_application == wanted->is_application &&
		    strcmp(includes->items[i].name, wanted->name) == 0)
			return true;
	return false;
}

/* name is copied. */
static bool
append(
    struct pipeline *p, const struct yml_node *node, struct pipeline_include item, struct pipeline_includes *includes)
{
	if (includes->count == PIPELINE_INCLUDE_MAX)
		return yml_err(p->doc, node, p->err,
		    "more than %d files are included or named by application:", PIPELINE_INCLUDE_MAX);
	includes->items = xrealloc(includes->items, (includes->count + 1) * sizeof(*includes->items));
	item.name = xstrdup(item.name);
	includes->items[includes->count++] = item;
	return true;
}

static bool
add(struct pipeline *p, const struct yml_node *node, bool is_template, struct pipeline_includes *includes)
{
	const char *name = yml_text(node);
	const struct pipeline_include item = { .name = (char *)name, .is_template = is_template };

	if (is_template && !is_template_name(name))
		return pipeline_wants(p, node, "template", "the name of one of the server's templates, such as golang");
	if (!is_template && !is_path(name))
		return pipeline_wants(p, node, "include", "a path below the repository's root, such as ci/common.yml");
	if (has(includes, &item))
		return yml_err(p->doc, node, p->err, "\"%.60s\" is included twice", name);
	return append(p, node, item, includes);
}

static bool
add_application(struct pipeline *p, const struct yml_node *node, struct pipeline_includes *includes)
{
	const struct pipeline_include item = { .name = (char *)yml_text(node), .is_application = true };

	if (!is_path(item.name))
		return pipeline_wants(
		    p, node, "application", "a path below the repository's root, such as compose.yml");
	return has(includes, &item) || append(p, node, item, includes);
}

bool
pipeline_read_application_files(struct pipeline *p, const struct yml_node *root, struct pipeline_includes *includes)
{
	const struct yml_node *jobs = yml_get(root, "jobs");

	for (size_t i = 0; yml_type(jobs) == YML_MAPPING && i < yml_count(jobs); i++) {
		const struct yml_node *application = yml_get(yml_get(yml_at(jobs, i), "deploy"), "application");

		if (yml_type(application) == YML_SCALAR && !add_application(p, application, includes))
			return false;
	}
	return true;
}

static bool
read_item(struct pipeline *p, const struct yml_node *node, struct pipeline_includes *includes)
{
	const char *key = yml_text(yml_key_at(node, 0));
	bool is_template = strcmp(key, "template") == 0;

	if (yml_type(node) == YML_NULL)
		return true;
	if (yml_type(node) == YML_SCALAR)
		return add(p, node, false, includes);
	if (yml_type(node) != YML_MAPPING || yml_count(node) != 1)
		return pipeline_wants(p, node, "include", "a path, {file: PATH} or {template: NAME}");
	if (!is_template && strcmp(key, "file") != 0)
		return yml_err(
		    p->doc, yml_key_at(node, 0), p->err, "unknown key \"%.60s\"; include has file and template", key);
	return add(p, yml_at(node, 0), is_template, includes);
}

bool
pipeline_read_includes(struct pipeline *p, const struct yml_node *node, struct pipeline_includes *includes)
{
	if (yml_type(node) != YML_SEQUENCE)
		return read_item(p, node, includes);
	for (size_t i = 0; i < yml_count(node); i++)
		if (!read_item(p, yml_at(node, i), includes))
			return false;
	return true;
}

/* The text that the caller read for it. */
static const struct pipeline_include *
find_text(const struct pipeline *p, const struct pipeline_include *wanted)
{
	const struct pipeline_includes *read = p->context->includes;

	for (size_t i = 0; read != NULL && i < read->count; i++)
		if (read->items[i].is_template == wanted->is_template &&
		    read->items[i].is_application == wanted->is_application &&
		    strcmp(read->items[i].name, wanted->name) == 0 && read->items[i].text != NULL)
			return &read->items[i];
	return NULL;
}

/* A further layer. What is included includes nothing itself: so it has an end. */
static bool
open_text(struct pipeline *p, const struct pipeline_include *include)
{
	char *file = include->is_template ? xasprintf("templates/%s.yml", include->name) : xstrdup(include->name);
	struct yml **doc = &p->included[p->included_count];
	bool ok = yml_parse((struct str){ include->text, include->len }, file, doc, p->err);
	const struct yml_node *root, *nested;

	free(file);
	if (!ok)
		return false;
	p->included_count++;
	root = yml_root(*doc);
	nested = pipeline_find_key(root, "include");
	if (nested != NULL)
		return yml_err(p->doc, nested, p->err, "a file that is included cannot include others");
	if (yml_type(root) != YML_MAPPING)
		return yml_err(p->doc, root, p->err, "what is included must be a mapping, not %s", yml_type_name(root));
	p->layers[p->layer_count++] = root;
	return true;
}

/* So many bytes as one file may have, all together: reading them is one go. */
static bool
check_bytes(struct pipeline *p, const struct yml_node *node, const struct pipeline_includes *wanted)
{
	size_t bytes = 0;

	for (size_t i = 0; i < wanted->count; i++) {
		const struct pipeline_include *found = find_text(p, &wanted->items[i]);

		bytes += found != NULL ? found->len : 0;
	}
	return bytes <= YML_MAX_BYTES ||
	       yml_err(
		   p->doc, node, p->err, "what is included has %zu bytes; at most %d are read", bytes, YML_MAX_BYTES);
}

/* The last one named is the strongest. */
static bool
open_all(struct pipeline *p, const struct yml_node *node, const struct pipeline_includes *wanted)
{
	for (size_t i = wanted->count; i-- > 0;) {
		const struct pipeline_include *found = find_text(p, &wanted->items[i]);

		if (found == NULL && wanted->items[i].is_template)
			return yml_err(
			    p->doc, node, p->err, "the server has no template \"%.60s\"", wanted->items[i].name);
		if (found == NULL)
			return yml_err(
			    p->doc, node, p->err, "there is no file %.100s to include", wanted->items[i].name);
		if (!open_text(p, found))
			return false;
	}
	return true;
}

bool
pipeline_open_includes(struct pipeline *p, const struct yml_node *node)
{
	struct pipeline_includes wanted = { 0 };
	bool ok =
	    pipeline_read_includes(p, node, &wanted) && check_bytes(p, node, &wanted) && open_all(p, node, &wanted);

	pipeline_includes_fini(&wanted);
	return ok;
}

/* One that another job has named is not read twice. */
static const struct yml_node *
find_open(const struct pipeline *p, const char *file)
{
	for (size_t i = 0; i < p->included_count; i++)
		if (strcmp(yml_file(p->included[i]), file) == 0)
			return yml_root(p->included[i]);
	return NULL;
}

/* As of what is included: so many bytes all together. */
static bool
are_applications_small(const struct pipeline *p)
{
	const struct pipeline_includes *read = p->context->includes;
	size_t bytes = 0;

	for (size_t i = 0; read != NULL && i < read->count; i++)
		bytes += read->items[i].is_application ? read->items[i].len : 0;
	return bytes <= YML_MAX_BYTES;
}

const struct yml_node *
pipeline_open_application(struct pipeline *p, const struct yml_node *node)
{
	const struct pipeline_include wanted = { .name = (char *)yml_text(node), .is_application = true };
	const struct pipeline_include *found = find_text(p, &wanted);
	const struct yml_node *root = find_open(p, wanted.name);
	struct yml **doc = &p->included[p->included_count];

	if (root == NULL && found == NULL) {
		yml_err(p->doc, node, p->err, "there is no file %.100s, which describes the application", wanted.name);
		return NULL;
	}
	if (!are_applications_small(p)) {
		yml_err(
		    p->doc, node, p->err, "the files of applications have more than %d bytes together", YML_MAX_BYTES);
		return NULL;
	}
	if (root == NULL) {
		if (!yml_parse((struct str){ found->text, found->len }, wanted.name, doc, p->err))
			return NULL;
		p->included_count++;
		root = yml_root(*doc);
	}
	if (yml_type(root) == YML_MAPPING)
		return root;
	yml_err(p->doc, root, p->err, "an application is a mapping with services:, not %s", yml_type_name(root));
	return NULL;
}

void
pipeline_includes_fini(struct pipeline_includes *includes)
{
	for (size_t i = 0; i < includes->count; i++) {
		free(includes->items[i].name);
		free(includes->items[i].text);
	}
	free(includes->items);
	*includes = (struct pipeline_includes){ 0 };
}

bool
pipeline_includes(struct str text, const char *file, struct pipeline_includes *ret, struct err *err)
{
	struct pipeline_includes includes = { 0 };
	struct pipeline p = { .err = err };
	struct yml *doc;
	bool ok;

	if (!yml_parse(text, file, &doc, err))
		return false;
	p.doc = doc;
	ok = pipeline_read_includes(&p, yml_get(yml_root(doc), "include"), &includes) &&
	     pipeline_read_application_files(&p, yml_root(doc), &includes);
	yml_free(&doc);
	if (ok)
		*ret = includes;
	else
		pipeline_includes_fini(&includes);
	return ok;
}
