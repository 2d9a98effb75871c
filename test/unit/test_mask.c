#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/base64.h"
#include "proto/buf.h"
#include "proto/mask.h"
#include "proto/mask_forms.h"
#include "proto/mem.h"
#include "proto/url.h"

/* A mask of these values, the list ends with NULL. */
static struct mask *
make(const char *const *values)
{
	struct mask *mask = mask_new();

	for (; *values != NULL; values++)
		assert_true(mask_add(mask, str_of(*values)));
	mask_close(mask);
	return mask;
}

static void
feed(const struct mask *mask, struct str stream, size_t piece, struct buf *out)
{
	struct mask_stream s;

	mask_stream_init(&s, mask);
	for (size_t at = 0; at < stream.len; at += piece) {
		size_t len = stream.len - at < piece ? stream.len - at : piece;

		mask_feed(&s, (struct str){ stream.p + at, len }, out);
	}
	mask_finish(&s, out);
	assert_int_equal(mask_held(&s), 0);
}

/* The stream comes out so, however it is cut. */
static void
expect(const char *const *values, struct str stream, struct str want)
{
	struct mask *mask = make(values);

	for (size_t piece = 1; piece <= stream.len; piece++) {
		struct buf out;

		buf_init(&out, stream.len + 2 * MASK_HELD_MAX);
		feed(mask, stream, piece, &out);
		assert_string_equal(out.data, want.p);
		assert_int_equal(out.len, want.len);
		buf_fini(&out);
	}
	mask_free(&mask);
}

#define EXPECT(stream, want, ...) expect((const char *const[]){ __VA_ARGS__, NULL }, STR(stream), STR(want))

static void
test_a_value_is_hidden_wherever_it_is_cut(void **state)
{
	(void)state;
	EXPECT("hunter22\n", "***\n", "hunter22");
	EXPECT("login hunter22, and hunter22", "login ***, and ***", "hunter22");
	EXPECT("hunter2 hunter23 hhunter22", "hunter2 hunter23 h***", "hunter22");
	EXPECT("huhunter2hunter22hunter22hunter22x", "huhunter2***x", "hunter22");
	EXPECT("bytes \0\xff hunter22\0", "bytes \0\xff ***\0", "hunter22");
	EXPECT("no secret at all\n", "no secret at all\n", "hunter22");
}

static void
test_overlapping_values_are_hidden_whole(void **state)
{
	(void)state;
	EXPECT("xabcdefghijklmnopy", "x***y", "abcdefghijkl", "ijklmnop");
	EXPECT("abcdefghij", "***", "abcdefghij", "cdef");
	EXPECT("abcdefghix", "ab***ghix", "abcdefghij", "cdef");
	EXPECT("abcdefgh ijklmnop", "*** ***", "abcdefgh", "ijklmnop");
	EXPECT("abcdefghijklmnop", "***", "abcdefgh", "ijklmnop");
	EXPECT("aaaaaaaaaaaaaaaaaaab", "***b", "aaaa");
	EXPECT("passpassword", "***", "pass", "password");
	EXPECT("passpasswor!", "***wor!", "pass", "password");
}

static void
test_an_end_within_a_value_hides_what_is_there(void **state)
{
	(void)state;
	EXPECT("key: hunter22-very-lo", "key: ***", "hunter22-very-long");
	EXPECT("key: hunt", "key: ***", "hunter22-very-long");
	EXPECT("key: hun", "key: hun", "hunter22-very-long");
}

static void
test_short_values_are_refused(void **state)
{
	struct mask *mask = mask_new();

	(void)state;
	assert_false(mask_add(mask, STR("")));
	assert_false(mask_add(mask, STR("abc")));
	assert_false(mask_add(mask, STR(" \n abc\n\n")));
	assert_true(mask_is_empty(mask));
	mask_close(mask);
	mask_free(&mask);
	EXPECT("echo 1234", "echo ***", "1234");
}

/* This form of the value, between these, comes out so. */
static void
hidden(const char *value, const char *before, const char *form, const char *behind, const char *want)
{
	char *stream = xasprintf("%s%s%s", before, form, behind);

	expect((const char *const[]){ value, NULL }, str_of(stream), str_of(want));
	free(stream);
}

static char *
base64(const char *before, const char *value, const char *behind, enum base64_form form)
{
	char *clear = xasprintf("%s%s%s", before, value, behind);
	struct buf out;
	char *text;

	buf_init(&out, 4096);
	base64_encode(str_of(clear), form, &out);
	text = buf_take(&out, NULL);
	buf_fini(&out);
	free(clear);
	return text;
}

#define VALUE "p?ss>word~\xc3\xbf\xbf 42"

/* Alone, behind one and two bytes, and between others; what remains depends on the neighbours. */
static void
test_base64_at_each_place(void **state)
{
	static const struct {
		const char *before, *behind, *want;
	} cases[] = {
		{ "", "", "[***]" },
		{ "", "\n", "[***]" },
		{ "a", "", "[YX***]" },
		{ "ab", "", "[YWJ***]" },
		{ "abc", "", "[YWJj***]" },
		{ "user:", "\n", "[dXNlcjp***]" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int form = BASE64_STANDARD; form <= BASE64_URL; form++) {
			char *text = base64(cases[i].before, VALUE, cases[i].behind, (enum base64_form)form);

			hidden(VALUE, "[", text, "]", cases[i].want);
			free(text);
		}
}

static void
test_base64_of_base64_and_in_lines(void **state)
{
	static const char value[] = "a value that is long enough to be cut into lines by base64 and its relatives, "
				    "whatever their width";
	char *once = base64("", "hunter22", "\n", BASE64_STANDARD), *twice = base64("", once, "\n", BASE64_STANDARD);
	char *text = base64("", value, "\n", BASE64_STANDARD);
	char *lines64 = xasprintf("%.64s\n%.64s\n%s\n", text, text + 64, text + 128);
	char *lines76 = xasprintf("%.76s\n%s\n", text, text + 76);

	(void)state;
	hidden("hunter22", "", twice, "\n", "***\n");
	hidden(value, "", lines64, "", "***\n***\n");
	hidden(value, "", lines76, "", "***\n");
	free(once);
	free(twice);
	free(text);
	free(lines64);
	free(lines76);
}

static void
test_the_other_encodings(void **state)
{
	static const char value[] = "a\"b\\c/d'e$f`g&h i\xc3\xa9+\tj";

	(void)state;
	hidden("hunter22", "", "68756e7465723232 ", "", "*** ");
	hidden("hunter2z!", "",
	    "68756E7465723"
	    "27A21",
	    "", "***");
	hidden(value, "x=", "a%22b%5Cc%2Fd%27e%24f%60g%26h%20i%C3%A9%2B%09j", "&", "x=***&");
	hidden(value, "x=", "a%22b%5cc%2fd%27e%24f%60g%26h%20i%c3%a9%2b%09j", "&", "x=***&");
	hidden(value, "x=", "a%22b%5Cc%2Fd%27e%24f%60g%26h+i%C3%A9%2B%09j", "&", "x=***&");
	hidden(value, "x=", "a%22b%5Cc/d'e$f%60g&h%20i%C3%A9+%09j", "#", "x=***#");
	hidden(value, "\"", "a\\\"b\\\\c/d'e$f`g&h i\xc3\xa9+\\tj", "\"", "\"***\"");
	hidden(value, "\"", "a\\\"b\\\\c\\/d'e$f`g\\u0026h i\\u00e9+\\tj", "\"", "\"***\"");
	hidden(value, "'", "a\"b\\c/d'\\''e$f`g&h i\xc3\xa9+\tj", "'", "'***'");
	hidden(value, "'", "a\"b\\c/d'\"'\"'e$f`g&h i\xc3\xa9+\tj", "'", "'***'");
	hidden(value, "\"", "a\\\"b\\\\c/d'e\\$f\\`g&h i\xc3\xa9+\tj", "\"", "\"***\"");
	hidden(value, "$'", "a\"b\\\\c/d\\'e$f`g&h i\xc3\xa9+\\tj", "'", "$'***'");
	hidden("two words!$x", "", "two\\ words\\!\\$x", "", "***");
	hidden("\xf0\x9f\x98\x80smile", "\"", "\\ud83d\\ude00smile", "\"", "\"***\"");
}

static void
test_values_of_several_lines(void **state)
{
	static const char pem[] = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\nq83v\n-----END KEY-----\n";

	(void)state;
	hidden(pem, "", pem, "", "***\n");
	hidden(pem, "+ key='", "-----BEGIN KEY-----\r\nMIIEowIBAAKCAQEA\r\n", "'", "+ key='***\r\n***\r\n'");
	hidden(pem, "only ", "MIIEowIBAAKCAQEA", " of it, q83v", "only *** of it, q83v");
	hidden(pem, "", "-----BEGIN KEY-----\\nMIIEowIBAAKCAQEA\\nq83v\\n-----END KEY-----", "\\n", "***\\n");
	hidden("value-with-newline\n\n", "", "value-with-newline", "\n\n", "***\n\n");
}

/* Longer than a piece: hidden whole, and what is held back stays bounded. */
static void
test_long_values(void **state)
{
	char value[1001], *stream;
	struct mask *mask;
	struct mask_stream s;
	struct buf out;

	(void)state;
	for (size_t i = 0; i < sizeof(value) - 1; i++)
		value[i] = (char)('!' + (i * i * 7 + i / 9) % 90);
	value[sizeof(value) - 1] = '\0';
	mask = make((const char *const[]){ value, NULL });
	stream = xasprintf("before %s%s behind", value, value);
	for (size_t piece = 1; piece < strlen(stream); piece += 13) {
		buf_init(&out, strlen(stream) + MASK_HELD_MAX);
		feed(mask, str_of(stream), piece, &out);
		assert_string_equal(out.data, "before *** behind");
		buf_fini(&out);
	}
	buf_init(&out, 4096);
	mask_stream_init(&s, mask);
	for (size_t i = 0; i < strlen(stream); i++) {
		mask_feed(&s, (struct str){ stream + i, 1 }, &out);
		assert_true(s.held_len <= MASK_HELD_MAX);
	}
	mask_finish(&s, &out);
	buf_fini(&out);
	free(stream);
	mask_free(&mask);
}

/* Output is not delayed: only what a value may begin with is held back. */
static void
test_what_is_held_back(void **state)
{
	static const struct {
		const char *in;
		size_t held;
	} cases[] = { { "done\n", 0 }, { "Password: ", 0 }, { "hunt", 4 }, { "the hunt", 4 }, { "hunter22", 0 },
		{ "hunter21", 0 }, { "hunter2hu", 2 } };
	struct mask *mask = make((const char *const[]){ "hunter22", NULL });

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mask_stream s;
		struct buf out;

		buf_init(&out, 4096);
		mask_stream_init(&s, mask);
		mask_feed(&s, str_of(cases[i].in), &out);
		assert_int_equal(mask_held(&s), cases[i].held);
		mask_finish(&s, &out);
		buf_fini(&out);
	}
	mask_free(&mask);
}

/* A stream that goes on elsewhere, behind the bytes that have come out, gives the rest: as after a restart. */
static void
test_a_stream_goes_on_behind_what_came_out(void **state)
{
	static const char stream[] = "x abcdefghijklmnop ijklmnopq abcdabcdefghabcdefghijkl\nend abcdefgh";
	struct mask *mask = make((const char *const[]){ "abcdefghijkl", "ijklmnop", "efgh", NULL });
	struct buf whole, parts;

	(void)state;
	buf_init(&whole, 4096);
	feed(mask, STR(stream), sizeof(stream), &whole);
	for (size_t cut = 0; cut < sizeof(stream); cut++) {
		struct mask_stream s;
		size_t again;

		buf_init(&parts, 4096);
		mask_stream_init(&s, mask);
		mask_feed(&s, (struct str){ stream, cut }, &parts);
		again = cut - mask_held(&s);
		if (parts.len > 0 &&
		    parts.data[parts.len - 1] == '*') { /* adjacent runs become one only within a stream */
			buf_fini(&parts);
			continue;
		}
		feed(mask, (struct str){ stream + again, sizeof(stream) - 1 - again }, 3, &parts);
		assert_string_equal(parts.data, whole.data);
		buf_fini(&parts);
	}
	buf_fini(&whole);
	mask_free(&mask);
}

static void
test_text_in_place(void **state)
{
	struct mask *mask = make((const char *const[]){ "hunter22", "1234", NULL });
	char text[] = "fetch: https://u:hunter22@h/1234: refused";

	(void)state;
	mask_text(mask, text);
	assert_string_equal(text, "fetch: https://u:***@h/***: refused");
	mask_free(&mask);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_value_is_hidden_wherever_it_is_cut),
		cmocka_unit_test(test_overlapping_values_are_hidden_whole),
		cmocka_unit_test(test_an_end_within_a_value_hides_what_is_there),
		cmocka_unit_test(test_short_values_are_refused),
		cmocka_unit_test(test_base64_at_each_place),
		cmocka_unit_test(test_base64_of_base64_and_in_lines),
		cmocka_unit_test(test_the_other_encodings),
		cmocka_unit_test(test_values_of_several_lines),
		cmocka_unit_test(test_long_values),
		cmocka_unit_test(test_what_is_held_back),
		cmocka_unit_test(test_a_stream_goes_on_behind_what_came_out),
		cmocka_unit_test(test_text_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
