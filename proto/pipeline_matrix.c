/* matrix: {AXIS: [values], include: [...], exclude: [...]}: a job for each combination of the axes' values. */
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "proto/pipeline_private.h"

#define AXIS_MAX 16
#define PRODUCT_MAX 1024 /* combinations that are looked at, as exclude may leave few of them */
#define ITEM_MAX 256     /* of include and of exclude */

struct axis {
	const char *name;
	const struct yml_node *values;
	size_t at; /* the value of the combination in hand */
};

struct matrix {
	struct pipeline *p;
	struct axis axes[AXIS_MAX];
	size_t axis_count;
	const struct yml_node *include, *exclude;
	bool *used; /* items of include that extended a combination */
	pipeline_combination_fn *fn;
};

static const struct axis *
find_axis(const struct matrix *m, const char *name)
{
	for (size_t i = 0; i < m->axis_count; i++)
		if (strcmp(m->axes[i].name, name) == 0)
			return &m->axes[i];
	return NULL;
}

static bool
add_axis(struct matrix *m, const struct yml_node *key, const struct yml_node *values)
{
	struct pipeline *p = m->p;

	if (!pipeline_is_variable(yml_text(key)))
		return yml_err(p->doc, key, p->err,
		    "\"%.60s\" is no name for an axis of a matrix: letters, digits and _", yml_text(key));
	if (yml_type(values) != YML_SEQUENCE || yml_count(values) == 0)
		return pipeline_wants(p, values, yml_text(key), "a list of values");
	for (size_t i = 0; i < yml_count(values); i++)
		if (yml_type(yml_at(values, i)) != YML_SCALAR)
			return pipeline_wants(p, yml_at(values, i), yml_text(key), "a text");
	if (m->axis_count == AXIS_MAX)
		return yml_err(p->doc, key, p->err, "more than %d axes", AXIS_MAX);
	m->axes[m->axis_count++] = (struct axis){ .name = yml_text(key), .values = values };
	return true;
}

/* A list of mappings of texts; those of exclude name axes only. */
static bool
check_items(struct matrix *m, const char *name, const struct yml_node *list)
{
	struct pipeline *p = m->p;

	if (yml_type(list) != YML_SEQUENCE && yml_type(list) != YML_NULL)
		return pipeline_wants(p, list, name, "a list of mappings");
	if (yml_count(list) > ITEM_MAX)
		return yml_err(p->doc, list, p->err, "%s has more than %d items", name, ITEM_MAX);
	for (size_t i = 0; i < yml_count(list); i++) {
		const struct yml_node *item = yml_at(list, i);

		if (yml_type(item) != YML_MAPPING || yml_count(item) == 0)
			return pipeline_wants(p, item, name, "mappings such as {go: \"1.22\"}");
		for (size_t k = 0; k < yml_count(item); k++) {
			const struct yml_node *key = yml_key_at(item, k);
			struct nearest near = nearest_to(yml_text(key));

			if (yml_type(yml_at(item, k)) != YML_SCALAR)
				return pipeline_wants(p, yml_at(item, k), yml_text(key), "a text");
			if (list == m->include || find_axis(m, yml_text(key)) != NULL)
				continue;
			for (size_t n = 0; n < m->axis_count; n++)
				nearest_offer(&near, m->axes[n].name);
			return pipeline_unknown(p, key, "exclude, which names axes", &near);
		}
	}
	return true;
}

static bool
read_axes(struct matrix *m, const struct yml_node *node)
{
	size_t product = 1;

	for (size_t i = 0; i < yml_count(node); i++) {
		const struct yml_node *key = yml_key_at(node, i), *value = yml_at(node, i);

		if (strcmp(yml_text(key), "include") == 0)
			m->include = value;
		else if (strcmp(yml_text(key), "exclude") == 0)
			m->exclude = value;
		else if (!add_axis(m, key, value))
			return false;
	}
	for (size_t i = 0; i < m->axis_count; i++) {
		product *= yml_count(m->axes[i].values);
		if (product > PRODUCT_MAX)
			return yml_err(
			    m->p->doc, node, m->p->err, "the matrix has more than %d combinations", PRODUCT_MAX);
	}
	if (m->axis_count == 0 && yml_count(m->include) == 0)
		return yml_err(
		    m->p->doc, node, m->p->err, "the matrix is empty; write an axis, as in go: [\"1.21\", \"1.22\"]");
	return check_items(m, "include", m->include) && check_items(m, "exclude", m->exclude);
}

static const char *
value_of(const struct axis *axis)
{
	return yml_text(yml_at(axis->values, axis->at));
}

/* Whether the item names no other value of an axis than the combination has; and one at least. */
static bool
item_fits(const struct matrix *m, const struct yml_node *item)
{
	bool any = false;

	for (size_t i = 0; i < yml_count(item); i++) {
		const struct axis *axis = find_axis(m, yml_text(yml_key_at(item, i)));

		if (axis == NULL)
			continue;
		if (strcmp(value_of(axis), yml_text(yml_at(item, i))) != 0)
			return false;
		any = true;
	}
	return any;
}

static bool
is_excluded(const struct matrix *m)
{
	for (size_t i = 0; i < yml_count(m->exclude); i++)
		if (item_fits(m, yml_at(m->exclude, i)))
			return true;
	return false;
}

static void
add_value(struct matrix *m, struct buf *suffix, const char *name, const char *value)
{
	env_add(&m->p->matrix, name, value);
	buf_addf(suffix, "%s%s=%s", suffix->len > 0 ? ", " : " (", name, value);
}

/* The item's values beside the axes, and allow_failure, which is the job's. */
static bool
add_extras(struct matrix *m, const struct yml_node *item, struct buf *suffix, bool *allow_failure)
{
	for (size_t i = 0; i < yml_count(item); i++) {
		const char *name = yml_text(yml_key_at(item, i));

		if (strcmp(name, "allow_failure") == 0) {
			if (!pipeline_read_bool(m->p, name, yml_at(item, i), allow_failure))
				return false;
		} else if (suffix != NULL) {
			add_value(m, suffix, name, yml_text(yml_at(item, i)));
		} else if (find_axis(m, name) == NULL) {
			env_add(&m->p->matrix, name, yml_text(yml_at(item, i)));
		}
	}
	return true;
}

static bool
finish(struct matrix *m, struct buf *suffix, bool allow_failure)
{
	bool ok;

	if (suffix->len > 0)
		buf_addc(suffix, ')');
	ok = m->fn(m->p, suffix->data, allow_failure);
	buf_fini(suffix);
	env_fini(&m->p->matrix);
	return ok;
}

/* The combination in hand, with what include adds to it. */
static bool
take_combination(struct matrix *m)
{
	bool allow_failure = false;
	struct buf suffix;

	if (is_excluded(m))
		return true;
	buf_init(&suffix, YML_MAX_BYTES);
	for (size_t i = 0; i < m->axis_count; i++)
		add_value(m, &suffix, m->axes[i].name, value_of(&m->axes[i]));
	for (size_t i = 0; i < yml_count(m->include); i++) {
		if (!item_fits(m, yml_at(m->include, i)))
			continue;
		m->used[i] = true;
		if (!add_extras(m, yml_at(m->include, i), NULL, &allow_failure)) {
			buf_fini(&suffix);
			return false;
		}
	}
	return finish(m, &suffix, allow_failure);
}

/* To the next combination, the last axis first; false: that was the last one. */
static bool
advance(struct matrix *m)
{
	for (size_t i = m->axis_count; i-- > 0;) {
		if (++m->axes[i].at < yml_count(m->axes[i].values))
			return true;
		m->axes[i].at = 0;
	}
	return false;
}

/* An item of include that fitted none is a combination of its own. */
static bool
take_item(struct matrix *m, const struct yml_node *item)
{
	bool allow_failure = false;
	struct buf suffix;

	for (size_t i = 0; i < m->axis_count; i++)
		if (yml_get(item, m->axes[i].name) == NULL)
			return yml_err(m->p->doc, item, m->p->err,
			    "this item fits no combination, and to be one of its own it lacks %.60s", m->axes[i].name);
	buf_init(&suffix, YML_MAX_BYTES);
	if (!add_extras(m, item, &suffix, &allow_failure)) {
		buf_fini(&suffix);
		return false;
	}
	return finish(m, &suffix, allow_failure);
}

static bool
take_all(struct matrix *m)
{
	if (m->axis_count > 0) {
		do {
			if (!take_combination(m))
				return false;
		} while (advance(m));
	}
	for (size_t i = 0; i < yml_count(m->include); i++)
		if (!m->used[i] && !take_item(m, yml_at(m->include, i)))
			return false;
	return true;
}

bool
pipeline_each_combination(struct pipeline *p, const struct yml_node *node, pipeline_combination_fn *fn)
{
	struct matrix m = { .p = p, .fn = fn };
	bool ok;

	if (yml_type(node) == YML_NULL)
		return fn(p, "", false);
	if (yml_type(node) != YML_MAPPING)
		return pipeline_wants(p, node, "matrix", "a mapping such as {go: [\"1.21\", \"1.22\"]}");
	if (!read_axes(&m, node))
		return false;
	m.used = xcalloc(yml_count(m.include) + 1, sizeof(*m.used));
	ok = take_all(&m);
	env_fini(&p->matrix);
	free(m.used);
	return ok;
}
