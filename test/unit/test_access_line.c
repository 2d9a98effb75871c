#include "test/unit/unit.h"

#include <stdio.h>

#include "proto/access_line.h"

static void
expect(const struct access_line *line, const char *text)
{
	struct buf b;

	buf_init(&b, 4096);
	assert_true(access_line_print(&b, line));
	assert_string_equal(b.data, text);
	buf_fini(&b);
}

static struct access_line
line_of(const char *request)
{
	return (struct access_line){ .peer = "10.0.0.7",
		.user = "",
		.when = 951782400,
		.request = str_of(request),
		.status = 200,
		.source = "" };
}

static void
test_combined(void **state)
{
	struct access_line line = line_of("GET /v2/a/manifests/1 HTTP/1.1");

	(void)state;
	expect(&line,
	    "10.0.0.7 - - [29/Feb/2000:00:00:00 +0000] \"GET /v2/a/manifests/1 HTTP/1.1\" 200 0 \"-\" \"-\" \"-\"\n");
	line.peer = "fd00::1";
	line.user = "builds";
	line.status = 206;
	line.bytes = 1ull << 40;
	line.referer = STR("https://example.org/list");
	line.agent = STR("curl/8");
	line.source = "davit; hit";
	expect(&line,
	    "fd00::1 - builds [29/Feb/2000:00:00:00 +0000] \"GET /v2/a/manifests/1 HTTP/1.1\" 206 1099511627776 "
	    "\"https://example.org/list\" \"curl/8\" \"davit; hit\"\n");
}

/* Neither secrets nor what would look like another line or field. */
static void
test_what_is_left_out(void **state)
{
	static const struct {
		const char *request, *shown;
	} cases[] = {
		{ "GET /a?X-Amz-Signature=secret&b HTTP/1.1", "GET /a?... HTTP/1.1" },
		{ "GET http://user:secret@host/a?b HTTP/1.0", "GET http://host/a?... HTTP/1.0" },
		{ "GET http://a@b:c@host HTTP/1.0", "GET http://host HTTP/1.0" },
		{ "GET http://host/a@b HTTP/1.0", "GET http://host/a@b HTTP/1.0" },
		{ "GET /\"\\\t\xc3 HTTP/1.1", "GET /\\x22\\x5C\\x09\\xC3 HTTP/1.1" },
		{ "", "" },
		{ "garbage", "garbage" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct access_line line = line_of(cases[i].request);
		char text[256];

		snprintf(text, sizeof(text),
		    "10.0.0.7 - - [29/Feb/2000:00:00:00 +0000] \"%s\" 200 0 \"-\" \"-\" \"-\"\n", cases[i].shown);
		expect(&line, text);
	}
}

static void
test_referers(void **state)
{
	struct access_line line = line_of("GET / HTTP/1.1");

	(void)state;
	line.referer = STR("https://u:secret@h/x?token=secret");
	line.agent = STR("a\"b");
	expect(&line, "10.0.0.7 - - [29/Feb/2000:00:00:00 +0000] \"GET / HTTP/1.1\" 200 0 \"https://h/x?...\" "
		      "\"a\\x22b\" \"-\"\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_combined),
		cmocka_unit_test(test_what_is_left_out),
		cmocka_unit_test(test_referers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
