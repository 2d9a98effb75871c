#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/buf.h"
#include "proto/yaml.h"

static struct yml *
parse(const char *text)
{
	struct yml *doc = NULL;
	struct err err = ERR_OK;

	if (!yml_parse(str_of(text), "t.yml", &doc, &err))
		fail_msg("%s", err.text);
	return doc;
}

static void
refuse_str(struct str text, enum err_code code, const char *message)
{
	struct yml *doc = NULL;
	struct err err = ERR_OK;

	assert_false(yml_parse(text, "t.yml", &doc, &err));
	assert_null(doc);
	assert_string_equal(err.text, message);
	assert_int_equal(err.code, code);
}

static void
refuse(const char *text, const char *message)
{
	refuse_str(str_of(text), ERR_INPUT, message);
}

/* The tree as one line, aliases and merges resolved: {a: [1 "b" ~]}. */
static void
print(struct buf *b, const struct yml_node *node)
{
	switch (yml_type(node)) {
	case YML_NULL:
		buf_addc(b, '~');
		break;
	case YML_SCALAR:
		buf_addf(b, yml_is_plain(node) ? "%s" : "\"%s\"", yml_text(node));
		break;
	case YML_SEQUENCE:
		buf_addc(b, '[');
		for (size_t i = 0; i < yml_count(node); i++) {
			buf_adds(b, i > 0 ? " " : "");
			print(b, yml_at(node, i));
		}
		buf_addc(b, ']');
		break;
	case YML_MAPPING:
		buf_addc(b, '{');
		for (size_t i = 0; i < yml_count(node); i++) {
			buf_addf(b, "%s%s: ", i > 0 ? " " : "", yml_text(yml_key_at(node, i)));
			print(b, yml_at(node, i));
		}
		buf_addc(b, '}');
		break;
	}
}

static void
expect(const char *text, const char *tree)
{
	struct yml *doc = parse(text);
	struct buf b;

	buf_init(&b, 1 << 20);
	print(&b, yml_root(doc));
	assert_string_equal(b.data, tree);
	buf_fini(&b);
	yml_free(&doc);
	assert_null(doc);
}

static void
test_trees(void **state)
{
	(void)state;
	expect("", "~");
	expect("# only a comment\n", "~");
	expect("---\n...\n", "~");
	expect("a: 1\nb: [x, 'y', \"z\", ~, null, ]\nc:\n- d\n- e: f\n", "{a: 1 b: [x \"y\" \"z\" ~ ~] c: [d {e: f}]}");
	expect("a: |\n  one\n  two\nb: >-\n  three\n  four\n", "{a: \"one\ntwo\n\" b: \"three four\"}");
	expect("image:\n  one\n  word\n", "{image: one word}");
	expect("\xef\xbb\xbf"
	       "a: b\r\nc: d\r\n",
	    "{a: b c: d}");
	expect("a: !!str 1\nb: ! x\nc: !!map {d: !!seq [!!int 1]}\n", "{a: \"1\" b: \"x\" c: {d: [\"1\"]}}");
	expect("{}", "{}");
	expect("[]", "[]");
	expect("~: a\n\"\": b\n", "{~: a : b}");
}

static void
test_aliases_and_merges(void **state)
{
	(void)state;
	expect("a: &x [1, 2]\nb: *x\nc: {d: *x}\n", "{a: [1 2] b: [1 2] c: {d: [1 2]}}");
	expect("- &x a\n- *x\n- &x b\n- *x\n", "[a a b b]");
	expect("x: &x {k: 1, l: 2}\ny: {l: 3, <<: *x, m: 4}\n", "{x: {k: 1 l: 2} y: {l: 3 m: 4 k: 1}}");
	expect("x: &x {k: 1}\ny: &y {k: 2, l: 2}\nz: {<<: [*x, *y]}\n", "{x: {k: 1} y: {k: 2 l: 2} z: {k: 1 l: 2}}");
	expect("x: &x {k: 1}\ny: &y {<<: *x, l: 2}\nz: {<<: *y}\n", "{x: {k: 1} y: {l: 2 k: 1} z: {l: 2 k: 1}}");
	expect("z: {<<: {k: 1}}\n", "{z: {k: 1}}");
	expect("'<<': a\n", "{<<: a}");
	refuse("a: *x\n", "t.yml:1:4: the alias *x has no anchor before it");
	refuse("a: &x [*x]\n", "t.yml:1:8: the alias *x stands inside its own anchor");
	refuse("a: &x {b: {<<: *x}}\n", "t.yml:1:16: the alias *x stands inside its own anchor");
	refuse("a: {<<: b}\n", "t.yml:1:9: << merges mappings, not a text");
	refuse("a: {<<: [[]]}\n", "t.yml:1:10: << merges mappings, not a list");
	refuse("a: {<<: {}, <<: {}}\n", "t.yml:1:13: duplicate key \"<<\"; the first one is in line 1");
}

static void
test_marks_count_characters_from_one(void **state)
{
	struct yml *doc = parse("a: b\nä: [ü, {ö: x}]\n");
	const struct yml_node *list = yml_get(yml_root(doc), "ä");
	const struct yml_node *key = yml_key_at(yml_at(list, 1), 0);

	(void)state;
	assert_int_equal(yml_mark(yml_root(doc)).line, 1);
	assert_int_equal(yml_mark(list).line, 2);
	assert_int_equal(yml_mark(list).column, 4);
	assert_int_equal(yml_mark(yml_at(list, 1)).column, 8);
	assert_int_equal(yml_mark(key).column, 9);
	assert_int_equal(yml_mark(yml_get(yml_at(list, 1), "ö")).column, 12);
	yml_free(&doc);
}

static void
test_scalars_are_text_until_asked(void **state)
{
	struct yml *doc = parse("[yes, 'yes', ON, Off, y, true, 0, 007, 12, 13, -1, '1', 99999999999999999999]");
	const struct yml_node *root = yml_root(doc);
	uint64_t n = 77;
	bool b;

	(void)state;
	assert_true(yml_to_bool(yml_at(root, 0), &b) && b);
	assert_false(yml_to_bool(yml_at(root, 1), &b));
	assert_true(yml_to_bool(yml_at(root, 2), &b) && b);
	assert_true(yml_to_bool(yml_at(root, 3), &b) && !b);
	assert_false(yml_to_bool(yml_at(root, 4), &b));
	assert_true(yml_to_bool(yml_at(root, 5), &b) && b);
	assert_true(yml_to_u64(yml_at(root, 6), 12, &n) && n == 0);
	assert_true(yml_to_u64(yml_at(root, 7), 12, &n) && n == 7);
	assert_true(yml_to_u64(yml_at(root, 8), 12, &n) && n == 12);
	for (size_t i = 9; i < 13; i++)
		assert_false(yml_to_u64(yml_at(root, i), 12, &n));
	assert_int_equal(n, 12);
	yml_free(&doc);
}

static void
test_absent_nodes_are_harmless(void **state)
{
	struct yml *doc = parse("a: b");
	const struct yml_node *none = yml_get(yml_root(doc), "x");
	uint64_t n;
	bool b;

	(void)state;
	assert_null(none);
	assert_null(yml_get(none, "x"));
	assert_null(yml_at(none, 0));
	assert_null(yml_at(yml_root(doc), 1));
	assert_null(yml_key_at(none, 0));
	assert_null(yml_key_at(yml_root(doc), 1));
	assert_int_equal(yml_type(none), YML_NULL);
	assert_string_equal(yml_text(none), "");
	assert_string_equal(yml_type_name(none), "nothing");
	assert_int_equal(yml_count(none), 0);
	assert_int_equal(yml_mark(none).line, 1);
	assert_false(yml_to_bool(none, &b));
	assert_false(yml_to_u64(none, 1, &n));
	assert_string_equal(yml_file(doc), "t.yml");
	yml_free(&doc);
	yml_free(&doc);
}

static void
test_errors_have_a_place_and_an_advice(void **state)
{
	(void)state;
	refuse("a: 1\nb: 2\na: 3\n", "t.yml:3:1: duplicate key \"a\"; the first one is in line 1");
	refuse("a: b\n--- \nc: d\n", "t.yml:2:1: a second document begins here; one file holds one");
	refuse("{[a]: b}", "t.yml:1:2: a key must be text, not a list");
	refuse("a: !!python/object:os.system x",
	    "t.yml:1:4: the tag tag:yaml.org,2002:python/object:os.system is not supported here; remove it");
	refuse("a: !!seq x", "t.yml:1:4: the tag tag:yaml.org,2002:seq is not supported here; remove it");
	refuse("a: !own x", "t.yml:1:4: the tag !own is not supported here; remove it");
	refuse("image: x\n＃ note\nscript:\n- a\n",
	    "t.yml:2:1: the fullwidth ＃ (U+FF03) does not begin a comment; write #");
	refuse("script:\n\t- a\n", "t.yml:2:1: a tab cannot indent in YAML; write spaces");
	refuse("script:\n  - a\n \t- b\n", "t.yml:3:2: a tab cannot indent in YAML; write spaces");
	refuse("a: \"open\nb: c\n", "t.yml:1:4: what begins here does not end: a quote is missing");
	refuse("a: [\nb: c\n",
	    "t.yml:1:4: what a bracket begins here does not end; put quotes around a text that has one");
	refuse("a: b: c", "t.yml:1:5: a colon and a blank cannot stand here; quote a text that has them, and look at "
			  "the indentation");
	refuse("x\nä\x80", "t.yml:2:2: byte 0x80 is not UTF-8; save the file as UTF-8");
	refuse("a: \xc0\x80", "t.yml:1:4: byte 0xc0 is not UTF-8; save the file as UTF-8");
	refuse("a: \xed\xa0\x80", "t.yml:1:4: byte 0xed is not UTF-8; save the file as UTF-8");
	refuse("\xff\xfe"
	       "a",
	    "t.yml:1:1: byte 0xff is not UTF-8; save the file as UTF-8");
	refuse("a\r\nb\rc\n\x07", "t.yml:4:1: character U+0007 is not allowed in YAML; remove it");
	refuse("a: \xef\xbb\xbf", "t.yml:1:4: character U+FEFF is not allowed in YAML; remove it");
	refuse_str(STR("a: b\0c"), ERR_INPUT, "t.yml:1:5: character U+0000 is not allowed in YAML; remove it");
	refuse("a: \"\\0\"", "t.yml:1:4: a text cannot hold the character U+0000");
}

static void
test_what_people_did(void **state)
{
	(void)state;
	refuse("image\xef\xbc\x9a golang\nscript:\n  - a\n",
	    "t.yml:1:6: the fullwidth \xef\xbc\x9a (U+FF1A) is no colon of YAML; write : and a blank");
	refuse("image:golang\nscript:\n  - a\n", "t.yml:1:6: a blank is missing behind this colon");
	refuse("a: - b\n", "t.yml:1:4: a list cannot begin here; put each - ITEM in a line of its own, below the key");
	refuse("a: b\nc\nd: e\n", "t.yml:2:1: this line is neither KEY: VALUE nor - ITEM");
	refuse("a: b\n\xc3\x9f\n", "t.yml:2:1: this line is neither KEY: VALUE nor - ITEM");
	refuse("a:\n  - `b`\n", "t.yml:2:5: this sign cannot begin a text in YAML; put quotes around the whole text");
	refuse("a:\n  - \"b\" && c\n", "t.yml:2:9: & and * begin names in YAML; put quotes around the whole text");
	refuse("a:\n  - 'it's'\n",
	    "t.yml:2:9: this fits neither the list before it nor what is around that; look at the indentation, and put "
	    "quotes around the whole of a text that begins with one");
	refuse("a: 'b' c\n", "t.yml:1:8: this fits neither the mapping before it nor what is around that; look at the "
			     "indentation, and put "
			     "quotes around the whole of a text that begins with one");
	refuse("a: | b\n  c\n", "t.yml:1:6: text behind | or > begins in the next line");
}

/* n times what, between begin and end. free() it. */
static char *
repeat(const char *begin, const char *what, size_t n, const char *end)
{
	struct buf b;

	buf_init(&b, 1 << 22);
	buf_adds(&b, begin);
	for (size_t i = 0; i < n; i++)
		buf_adds(&b, what);
	buf_adds(&b, end);
	assert_false(buf_failed(&b));
	return b.data;
}

static void
refuse_repeated(const char *begin, const char *what, size_t n, const char *end, const char *message)
{
	char *text = repeat(begin, what, n, end);

	refuse_str(str_of(text), ERR_LIMIT, message);
	free(text);
}

static void
accept_repeated(const char *begin, const char *what, size_t n, const char *end)
{
	char *text = repeat(begin, what, n, end);
	struct yml *doc = parse(text);

	yml_free(&doc);
	free(text);
}

static void
test_every_limit_and_one_below_it(void **state)
{
	char *deep, *ends;

	(void)state;
	accept_repeated("", "#", YML_MAX_BYTES, "");
	refuse_repeated(
	    "", "#", YML_MAX_BYTES + 1, "", "t.yml:1:1: the file has 262145 bytes; at most 262144 are read");
	deep = repeat("", "]", YML_MAX_DEPTH, "");
	accept_repeated("", "[", YML_MAX_DEPTH, deep);
	free(deep);
	refuse_repeated("", "[", YML_MAX_DEPTH + 1, "", "t.yml:1:65: nested deeper than 64 levels");
	/* A stream, a document and a sequence begin and end: five events before the last item, which is the 100,000th.
	 */
	accept_repeated("[", "a,", YML_MAX_EVENTS - 6, "]");
	refuse_repeated("[", "a,", YML_MAX_EVENTS - 2, "]", "t.yml:1:199996: more than 100000 parts");
	accept_repeated("a: &a x\nb:\n", "- *a\n", YML_MAX_ALIASES, "");
	refuse_repeated("a: &a x\nb:\n", "- *a\n", YML_MAX_ALIASES + 1, "", "t.yml:103:3: more than 100 aliases");
	/* Depth is counted through aliases too. */
	ends = repeat("*a", "]", 53, "");
	deep = repeat("]]]]]]]]]]\nb: ", "[", 53, ends);
	accept_repeated("a: &a ", "[", 10, deep);
	free(deep);
	deep = repeat("]]]]]]]]]]\nb: ", "[", 54, ends);
	refuse_repeated("a: &a ", "[", 10, deep, "t.yml:2:58: nested deeper than 64 levels");
	free(deep);
	free(ends);
}

/* Each level names the one before nine times: 9^9 values in 300 bytes. */
static void
test_billion_laughs(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	buf_adds(&b, "a0: &a0 x\n");
	for (int i = 1; i < 10; i++) {
		buf_addf(&b, "a%d: &a%d [", i, i);
		for (int k = 0; k < 9; k++)
			buf_addf(&b, "*a%d, ", i - 1);
		buf_adds(&b, "]\n");
	}
	refuse_str(buf_str(&b), ERR_LIMIT, "t.yml:7:10: more than 100000 values after the expansion of aliases");
	buf_fini(&b);
}

static void
test_merges_are_counted(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_adds(&b, "a: &a {");
	for (int i = 0; i < 600; i++)
		buf_addf(&b, "k%d: v, ", i);
	buf_adds(&b, "}\nb: {<<: [");
	for (int i = 0; i < 50; i++)
		buf_adds(&b, "*a, ");
	buf_adds(&b, "]}\n");
	refuse_str(buf_str(&b), ERR_LIMIT, "t.yml:1:4: more than 100000 values after the expansion of aliases");
	buf_fini(&b);
}

/* CPU milliseconds of one parse, whatever it gives. */
static double
parse_ms(struct str text)
{
	struct timespec from, to;
	struct yml *doc = NULL;
	struct err err;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	if (yml_parse(text, "t.yml", &doc, &err))
		yml_free(&doc);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	return (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
}

/* The parser's own time grows with the square of the nesting: 100 kB of "[" took it seconds. With sanitizers the times
 * are some four times those of a release; the bounds leave room for that and for a busy machine. */
static void
test_hostile_text_is_refused_fast(void **state)
{
	static const char *const texts[] = { "[", "{", "- ", "? ", "a: {", "&a ", "!", "[a]: ", "%", "a:\n", "- |\n",
		"''" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *text = repeat("", texts[i], 100000 / strlen(texts[i]), "");
		double ms = parse_ms(str_of(text));

		if (ms > 500)
			fail_msg("\"%s\" took %.1f ms", texts[i], ms);
		free(text);
	}
}

/* Every prefix of a text with all that YAML has: an error or a tree, never more. */
static void
test_every_cut(void **state)
{
	static const char text[] = "# comment\nimage: &i \"a\\u00e4b\"\nenv: {A: 'x y', <<: &m {B: !!str 1}}\n"
				   "script:\n- |\n  one\n  two\n- >\n  three\n- [*i, *m]\n- ? ü\n  : ~\n";
	struct err err;

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		struct yml *doc = NULL;

		if (yml_parse((struct str){ text, len }, "t.yml", &doc, &err))
			yml_free(&doc);
		else
			assert_int_equal(strncmp(err.text, "t.yml:", 6), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trees),
		cmocka_unit_test(test_aliases_and_merges),
		cmocka_unit_test(test_marks_count_characters_from_one),
		cmocka_unit_test(test_scalars_are_text_until_asked),
		cmocka_unit_test(test_absent_nodes_are_harmless),
		cmocka_unit_test(test_errors_have_a_place_and_an_advice),
		cmocka_unit_test(test_what_people_did),
		cmocka_unit_test(test_every_limit_and_one_below_it),
		cmocka_unit_test(test_billion_laughs),
		cmocka_unit_test(test_merges_are_counted),
		cmocka_unit_test(test_hostile_text_is_refused_fast),
		cmocka_unit_test(test_every_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
