#include "proto/params.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/script.h"

#define TEXT_MAX (PARAMS_MAX * (PARAMS_NAME_MAX + 2 * PARAMS_VALUE_MAX))

static bool
name_is_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= PARAMS_NAME_MAX && script_name_len(name) == len;
}

static bool
value_is_valid(const char *value)
{
	if (strlen(value) > PARAMS_VALUE_MAX)
		return false;
	for (; *value != '\0'; value++)
		if (((unsigned char)*value < ' ' && strchr("\t\r\n", *value) == NULL) || *value == 0x7f)
			return false;
	return true;
}

/* As text; NULL: it is a list, an object or nothing. number has room for one. */
static const char *
value_text(const struct json_value *value, char number[32])
{
	switch (json_type(value)) {
	case JSON_STRING:
		return json_string(value, "");
	case JSON_BOOL:
		return json_bool(value, false) ? "true" : "false";
	case JSON_NUMBER:
		if (json_int(value, INT64_MIN) != INT64_MIN)
			snprintf(number, 32, "%" PRId64, json_int(value, 0));
		else
			snprintf(number, 32, "%.15g", json_double(value, 0));
		return number;
	case JSON_NULL:
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	return NULL;
}

static bool
write_member(struct json_writer *w, const char *name, const struct json_value *value, struct err *err)
{
	char number[32];
	const char *text = value_text(value, number);

	if (!name_is_valid(name))
		return err_set(err, ERR_INPUT, 0,
		    "parameters: \"%.64s\" is no name: at most %d letters, digits and _, no digit first", name,
		    PARAMS_NAME_MAX);
	if (text == NULL || !value_is_valid(text))
		return err_set(err, ERR_INPUT, 0,
		    "parameters: %s must be a text of at most %d bytes without control characters, a number, true or "
		    "false",
		    name, PARAMS_VALUE_MAX);
	json_member_string(w, name, text);
	return true;
}

bool
params_read(const struct json_value *object, char **ret, struct err *err)
{
	struct json_writer *w;

	*ret = NULL;
	if (json_type(object) == JSON_NULL || (json_type(object) == JSON_OBJECT && json_count(object) == 0))
		return true;
	if (json_type(object) != JSON_OBJECT || json_count(object) > PARAMS_MAX)
		return err_set(err, ERR_INPUT, 0, "parameters must be an object of at most %d members", PARAMS_MAX);
	w = json_writer_new(TEXT_MAX);
	json_write_object_open(w);
	for (size_t i = 0; i < json_count(object); i++)
		if (!write_member(w, json_key_at(object, i), json_at(object, i), err)) {
			json_writer_free(&w);
			return false;
		}
	json_write_object_close(w);
	*ret = json_writer_finish(&w, NULL);
	return *ret != NULL || err_set(err, ERR_LIMIT, 0, "the parameters are too long");
}

void
params_env(const char *text, struct env *ret)
{
	struct json *doc = NULL;
	const struct json_value *root;

	*ret = (struct env){ 0 };
	if (text == NULL || !json_parse(str_of(text), NULL, &doc, NULL))
		return;
	root = json_root(doc);
	for (size_t i = 0; i < json_count(root); i++)
		if (json_key_at(root, i) != NULL)
			env_add(ret, json_key_at(root, i), json_string(json_at(root, i), ""));
	json_free(&doc);
}
