/* What is read, written and read again is the same, and what is read has no bad characters and keeps to the limits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json.h"
#include "proto/utf8.h"

static const struct json_limits limits = { .bytes = 1000 * 1000, .depth = 30, .values = 10000 };

static void
must(bool ok)
{
	if (!ok)
		abort();
}

/* Numbers that are no 64-bit integer go through double, which is the same after one round; but for the sign of 0. */
static void
write_number(struct json_writer *w, const struct json_value *v)
{
	int64_t n = json_int(v, INT64_MIN);
	double d = json_double(v, 0);

	if (n != INT64_MIN || d == 0)
		json_write_int(w, d == 0 ? 0 : n);
	else
		json_write_double(w, d);
}

/* As deep as limits. */
static void
write_value(struct json_writer *w, const struct json_value *v)
{
	switch (json_type(v)) {
	case JSON_NULL:
		json_write_null(w);
		break;
	case JSON_BOOL:
		json_write_bool(w, json_bool(v, false));
		break;
	case JSON_NUMBER:
		write_number(w, v);
		break;
	case JSON_STRING:
		must(utf8_valid(str_of(json_string(v, NULL)), NULL));
		json_write_string(w, json_string(v, NULL));
		break;
	case JSON_ARRAY:
		json_write_array_open(w);
		for (size_t i = 0; i < json_count(v); i++)
			write_value(w, json_at(v, i));
		json_write_array_close(w);
		break;
	case JSON_OBJECT:
		json_write_object_open(w);
		for (size_t i = 0; i < json_count(v); i++) {
			must(json_get(v, json_key_at(v, i)) != NULL);
			json_write_key(w, json_key_at(v, i));
			write_value(w, json_at(v, i));
		}
		json_write_object_close(w);
		break;
	}
}

static char *
print(const struct json *doc, size_t *len)
{
	struct json_writer *w = json_writer_new(100 * 1000 * 1000);
	char *text;

	write_value(w, json_root(doc));
	text = json_writer_finish(&w, len);
	must(text != NULL);
	return text;
}

static char *
print_again(struct str text, size_t *len)
{
	const struct json_limits wide = { .bytes = 100 * 1000 * 1000, .depth = 30, .values = 10000 };
	struct json *doc;
	char *again;

	must(json_parse(text, &wide, &doc, NULL));
	again = print(doc, len);
	json_free(&doc);
	return again;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_OK;
	size_t one_len, two_len;
	struct json *doc;
	char *one, *two;

	if (!json_parse((struct str){ (const char *)data, size }, &limits, &doc, &err)) {
		must(doc == NULL && err.code != ERR_NONE && err.text[0] != '\0');
		return 0;
	}
	one = print(doc, &one_len);
	json_free(&doc);
	two = print_again((struct str){ one, one_len }, &two_len);
	must(one_len == two_len && memcmp(one, two, one_len) == 0);
	free(one);
	free(two);
	return 0;
}
