#include "test/unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/json.h"
#include "proto/mem.h"
#include "proto/utf8.h"

static struct json *
parse(const char *text)
{
	struct json *doc;
	struct err err = ERR_OK;

	if (!json_parse(str_of(text), NULL, &doc, &err))
		fail_msg("%s: %s", text, err.text);
	return doc;
}

static void
refuse(struct str text, const char *words)
{
	struct json *doc;
	struct err err = ERR_OK;

	if (json_parse(text, NULL, &doc, &err))
		fail_msg("accepted: %.*s", (int)text.len, text.p);
	assert_null(doc);
	assert_int_equal(err.code, ERR_INPUT);
	if (strstr(err.text, words) == NULL)
		fail_msg("%.*s: \"%s\" does not say \"%s\"", (int)text.len, text.p, err.text, words);
}

static void
test_tree_and_accessors(void **state)
{
	struct json *doc =
	    parse("{\"a\":{\"b\":[1,\"two\",null,true,{}]},\"a.b\":7,\"d\":\"x\",\"d\":\"y\",\"\":\"empty\"}");
	const struct json_value *root = json_root(doc), *list = json_path(root, "a.b");

	(void)state;
	assert_int_equal(json_type(root), JSON_OBJECT);
	assert_int_equal(json_count(root), 5);
	assert_string_equal(json_key_at(root, 1), "a.b");
	assert_null(json_key_at(root, 5));
	assert_int_equal(json_count(list), 5);
	assert_int_equal(json_int(json_at(list, 0), -1), 1);
	assert_string_equal(json_string(json_at(list, 1), ""), "two");
	assert_int_equal(json_type(json_at(list, 2)), JSON_NULL);
	assert_true(json_bool(json_at(list, 3), false));
	assert_int_equal(json_type(json_at(list, 4)), JSON_OBJECT);
	assert_null(json_at(list, 5));
	assert_null(json_key_at(list, 0));
	assert_string_equal(json_string(json_get(root, "d"), ""), "y");
	assert_string_equal(json_string(json_get(root, ""), ""), "empty");
	json_free(&doc);
	assert_null(doc);
	json_free(&doc);
}

static void
test_absent_and_wrong_types_give_the_fallback(void **state)
{
	struct json *doc = parse("{\"s\":\"x\",\"n\":1.5}");
	const struct json_value *root = json_root(doc);

	(void)state;
	assert_null(json_path(root, "no.such.thing"));
	assert_null(json_path(root, "s.x"));
	assert_null(json_get(NULL, "x"));
	assert_int_equal(json_type(NULL), JSON_NULL);
	assert_string_equal(json_string(json_get(root, "n"), "fallback"), "fallback");
	assert_null(json_string(NULL, NULL));
	assert_int_equal(json_int(json_get(root, "n"), 9), 9);
	assert_int_equal(json_int(json_get(root, "s"), 9), 9);
	assert_true(json_double(json_get(root, "n"), 0) == 1.5);
	assert_true(json_double(json_get(root, "s"), 3) == 3);
	assert_false(json_bool(json_get(root, "s"), false));
	assert_int_equal(json_count(json_get(root, "s")), 0);
	json_free(&doc);
}

static void
test_numbers(void **state)
{
	struct json *doc = parse("[9223372036854775807,-9223372036854775808,9223372036854775808,-9223372036854775809,"
				 "18446744073709551616,-0,1e3,1e400,-1.25e-3]");
	const struct json_value *list = json_root(doc);

	(void)state;
	assert_true(json_int(json_at(list, 0), 1) == INT64_MAX);
	assert_true(json_int(json_at(list, 1), 1) == INT64_MIN);
	for (size_t i = 2; i < 5; i++)
		assert_int_equal(json_int(json_at(list, i), 77), 77);
	assert_int_equal(json_int(json_at(list, 5), 77), 0);
	assert_int_equal(json_int(json_at(list, 6), 77), 77);
	assert_true(json_double(json_at(list, 6), 0) == 1000);
	assert_true(json_double(json_at(list, 7), 5) == 5);
	assert_true(json_double(json_at(list, 8), 0) == -0.00125);
	json_free(&doc);
}

static void
test_every_scalar_may_be_the_whole_text(void **state)
{
	static const char *const texts[] = { "1", "-12.5", "\"\"", "\"x\"", "true", "null", "[]", "{}", " 7 ",
		"[[[]]]" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct json *doc = parse(texts[i]);

		assert_non_null(json_root(doc));
		json_free(&doc);
	}
}

static void
test_escapes_become_utf8(void **state)
{
	struct json *doc = parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20ac\\ud83d\\ude80\\\\u0000\"");

	(void)state;
	assert_string_equal(
	    json_string(json_root(doc), ""), "\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\x80\\u0000");
	json_free(&doc);
}

static void
test_refuses_what_is_not_json(void **state)
{
	static const char *const texts[] = { "", " ", "{", "[1,]", "{\"a\":1,}", "{\"a\"}", "{a:1}", "[1] 2", "{}{}",
		"nul", "NaN", "Infinity", "01", "+1", "1.", ".5", "1e", "'a'", "\"a", "\"\\x\"", "\"\\u12g4\"", "\"\\",
		"[\"a\\\"]", "// c\n1", "[1}", "\xef\xbb\xbf{}", "\"\n\"", "\\u0041", "{1:2}", "]", "," };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		refuse(str_of(texts[i]), "invalid JSON at byte ");
	refuse(STR("{\"a\":tru}"), "at byte 8");
	refuse((struct str){ "\"a\0b\"", 5 }, "invalid JSON");
	refuse((struct str){ "1\0", 2 }, "invalid JSON");
}

static void
test_refuses_bad_characters(void **state)
{
	static const char *const bytes[] = { "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
		"\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe2\x82", "\xf0\x9f\x9a",
		"\xc3" };
	static const char *const escapes[] = { "\\u0000", "\\ud800", "\\udc00", "\\ud800\\u0041", "\\ud800\\ud800",
		"\\ud800x", "\\udfff\\ud800", "\\ud83d\\n" };
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		snprintf(text, sizeof(text), "[\"0123456789%s\"]", bytes[i]);
		refuse(str_of(text), "at byte 12: invalid UTF-8");
		assert_false(utf8_valid(str_of(bytes[i]), NULL));
	}
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		snprintf(text, sizeof(text), "{\"%s\":1}", escapes[i]);
		refuse(str_of(text), "at byte 2: an escape that stands for no character");
	}
	assert_true(utf8_valid(
	    STR("a\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), NULL));
}

/* A text that ends in mid-character must not be read past its end: the copies are exactly as long as they are. */
static void
test_every_cut_is_refused(void **state)
{
	static const char text[] = "{\"k\\ud83d\\ude80\":[1.5e3,true,null,\"\xf0\x9f\x9a\x80\"],\"l\":{\"m\":false}}";

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		char *cut = xrealloc(NULL, len);

		memcpy(cut, text, len);
		refuse((struct str){ cut, len }, "invalid JSON");
		free(cut);
	}
}

static void
assert_over_limit(const char *text, struct json_limits limits, const char *words)
{
	struct json *doc;
	struct err err = ERR_OK;

	assert_false(json_parse(str_of(text), &limits, &doc, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.text, words));
}

static void
test_limits(void **state)
{
	const struct json_limits exact = { .bytes = 11, .depth = 2, .values = 4 };
	struct json *doc;
	char *deep = xcalloc(1, 5 * 1000 * 1000 + 1);

	(void)state;
	assert_true(json_parse(STR("[[1],\"abc\"]"), &exact, &doc, NULL));
	json_free(&doc);
	assert_over_limit("[[1],\"abcd\"]", exact, "bytes");
	assert_over_limit("[[[]]]", exact, "levels");
	assert_over_limit("[1,2,3,4]", exact, "values");
	memset(deep, '[', 5 * 1000 * 1000);
	assert_over_limit(deep, json_default_limits, "32 levels");
	free(deep);
}

static void
test_large_documents_grow(void **state)
{
	struct json_writer *w = json_writer_new(10 * 1000 * 1000);
	const struct json_value *list;
	struct json *doc;
	char *text;

	(void)state;
	json_write_array_open(w);
	for (int i = 0; i < 100000; i++) {
		json_write_object_open(w);
		json_member_int(w, "i", i);
		json_write_object_close(w);
	}
	json_write_array_close(w);
	text = json_writer_finish(&w, NULL);
	doc = parse(text);
	list = json_root(doc);
	assert_int_equal(json_count(list), 100000);
	for (size_t i = 0; i < 100000; i += 777)
		assert_int_equal(json_int(json_get(json_at(list, i), "i"), -1), i);
	json_free(&doc);
	free(text);
}

static void
test_writer_writes_all_types(void **state)
{
	struct json_writer *w = json_writer_new(1000);
	size_t len;
	char *text;

	(void)state;
	json_write_object_open(w);
	json_member_string(w, "s", "a\"\\\n\r\t\x01\x1f\x7f\xc3\xa9");
	json_member_string(w, "none", NULL);
	json_member_int(w, "i", INT64_MIN);
	json_member_bool(w, "b", true);
	json_write_key(w, "l");
	json_write_array_open(w);
	json_write_double(w, 0.1);
	json_write_double(w, 1e300);
	json_write_double(w, (double)NAN);
	json_write_bool(w, false);
	json_write_raw(w, STR("{\"raw\":[]}"));
	json_write_array_open(w);
	json_write_array_close(w);
	json_write_str(w, (struct str){ "\0x", 2 });
	json_write_array_close(w);
	json_write_key(w, "o");
	json_write_object_open(w);
	json_write_object_close(w);
	json_member_list(w, "two", "a,b c");
	json_member_list(w, "none", "");
	json_write_object_close(w);
	text = json_writer_finish(&w, &len);
	assert_null(w);
	assert_string_equal(text,
	    "{\"s\":\"a\\\"\\\\\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9\",\"none\":null,\"i\":-9223372036854775808,"
	    "\"b\":true,\"l\":[0.1,1e+300,null,false,{\"raw\":[]},[],\"\\u0000x\"],\"o\":{},\"two\":[\"a\",\"b "
	    "c\"],\"none\":[]}");
	assert_int_equal(len, strlen(text));
	free(text);
}

static void
test_writer_replaces_bad_bytes(void **state)
{
	struct json_writer *w = json_writer_new(100);
	char *text;

	(void)state;
	json_write_string(w, "a\x80z\xc3\xe2\x82\xac\xf0\x9f\x9a");
	text = json_writer_finish(&w, NULL);
	assert_string_equal(text, "\"a\xef\xbf\xbdz\xef\xbf\xbd\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	free(text);
}

static void
test_writer_has_a_maximum(void **state)
{
	struct json_writer *w = json_writer_new(10);

	(void)state;
	json_write_string(w, "0123456789");
	assert_null(json_writer_finish(&w, NULL));
	assert_null(w);
}

static void
test_what_is_written_is_read_back(void **state)
{
	char every[0x101];
	struct json_writer *w = json_writer_new(10000);
	struct json *doc;
	char *text;

	(void)state;
	for (int i = 1; i < 0x80; i++)
		every[i - 1] = (char)i;
	every[0x7f] = '\0';
	json_write_string(w, every);
	text = json_writer_finish(&w, NULL);
	doc = parse(text);
	assert_string_equal(json_string(json_root(doc), ""), every);
	json_free(&doc);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree_and_accessors),
		cmocka_unit_test(test_absent_and_wrong_types_give_the_fallback),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_every_scalar_may_be_the_whole_text),
		cmocka_unit_test(test_escapes_become_utf8),
		cmocka_unit_test(test_refuses_what_is_not_json),
		cmocka_unit_test(test_refuses_bad_characters),
		cmocka_unit_test(test_every_cut_is_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_large_documents_grow),
		cmocka_unit_test(test_writer_writes_all_types),
		cmocka_unit_test(test_writer_replaces_bad_bytes),
		cmocka_unit_test(test_writer_has_a_maximum),
		cmocka_unit_test(test_what_is_written_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
