#include "test/unit/unit.h"

#include <stdlib.h>

#include "proto/mem.h"
#include "proto/report.h"
#include "proto/xml.h"

static bool
read_in_steps(struct report *report, struct str text, size_t step, struct err *err)
{
	struct report_reader *reader = report_reader_new(report);
	bool ok = true;

	while (ok && text.len > 0) {
		struct str piece = { text.p, text.len < step ? text.len : step };

		text = (struct str){ text.p + piece.len, text.len - piece.len };
		ok = report_reader_feed(reader, piece, err);
	}
	ok = ok && report_reader_finish(reader, err);
	report_reader_free(&reader);
	return ok;
}

static void
read_good(struct report *report, const char *text, size_t step)
{
	struct err err = ERR_OK;

	*report = (struct report){ 0 };
	if (!read_in_steps(report, str_of(text), step, &err))
		fail_msg("%s", err.text);
}

static void
expect_bad(const char *text, enum err_code code, const char *words)
{
	struct report report = { 0 };
	struct err err = ERR_OK;

	assert_false(read_in_steps(&report, str_of(text), 10, &err));
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.text, words));
	report_fini(&report);
}

static const char junit[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<testsuites tests=\"99\"><properties><property name=\"x\" value=\"y\"/></properties>\n"
    "<testsuite name=\"s\" tests=\"99\" failures=\"99\" time=\"7\">"
    "<testcase classname=\"a.B\" name=\"good\" time=\"1.25\"/>"
    "<testcase name=\"bad\" time=\"1,000.5\"><failure message=\"1 != 2\" type=\"X\">at line 3</failure></testcase>"
    "<testcase name=\"worse\"><failure>\n  first\xc3\xa9\n</failure><error message=\"then\"/></testcase>"
    "<testcase name=\"none\"><skipped/></testcase>"
    "<testcase name=\"flaky\"><flakyFailure "
    "message=\"once\"/><system-out><![CDATA[<failure/>]]></system-out></testcase>"
    "</testsuite></testsuites>";

static void
test_junit(void **state)
{
	struct report r;
	char *json;

	(void)state;
	for (size_t step = 1; step < sizeof(junit); step = step * 3 + 1) {
		read_good(&r, junit, step);
		assert_int_equal(r.tests, 5);
		assert_int_equal(r.failures, 1);
		assert_int_equal(r.errors, 1);
		assert_int_equal(r.skipped, 1);
		assert_int_equal(r.time_ms, 1001750);
		assert_int_equal(report_coverage(&r), -1);
		json = report_failed_to_json(&r);
		assert_string_equal(json, "[{\"name\":\"bad\",\"message\":\"1 != 2\",\"error\":false},"
					  "{\"name\":\"worse\",\"message\":\"first\xc3\xa9\",\"error\":true}]");
		free(json);
		report_fini(&r);
	}
}

static void
test_cobertura(void **state)
{
	static const struct {
		const char *text;
		int coverage;
	} cases[] = {
		{ "<!DOCTYPE coverage SYSTEM \"http://x.example/coverage-04.dtd\">\n<coverage line-rate=\"0.5\" "
		  "lines-covered=\"13\" lines-valid=\"16\"><packages/></coverage>",
		    8125 },
		{ "<coverage line-rate=\"0.8125\"/>", 8125 },
		{ "<coverage line-rate=\"1\"/>", 10000 },
		{ "<coverage line-rate=\"1.0\"/>", 10000 },
		{ "<coverage line-rate=\"17\"/>", 10000 },
		{ "<coverage line-rate=\"0.07\" lines-valid=\"0\" lines-covered=\"0\"/>", 700 },
		{ "<coverage lines-valid=\"1\" lines-covered=\"2\" line-rate=\"nan\"/>", 0 },
		{ "<coverage/>", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct report r;

		read_good(&r, cases[i].text, 5);
		assert_int_equal(report_coverage(&r), cases[i].coverage);
		assert_false(report_has_tests(&r));
		report_fini(&r);
	}
}

static void
test_files_add_up(void **state)
{
	struct report r = { 0 };
	struct err err;

	(void)state;
	assert_true(read_in_steps(&r, str_of(junit), 100, &err));
	assert_true(read_in_steps(&r, str_of(junit), 100, &err));
	assert_true(read_in_steps(&r, STR("<coverage lines-valid=\"10\" lines-covered=\"5\"/>"), 100, &err));
	assert_true(read_in_steps(&r, STR("<coverage lines-valid=\"30\" lines-covered=\"30\"/>"), 100, &err));
	assert_int_equal(r.tests, 10);
	assert_int_equal(r.failed_count, 4);
	assert_int_equal(report_coverage(&r), 8750);
	report_fini(&r);
}

static void
test_what_is_no_report(void **state)
{
	(void)state;
	expect_bad("", ERR_PROTO, "no element");
	expect_bad("hello", ERR_PROTO, "line 1");
	expect_bad("<testsuite><testcase>", ERR_PROTO, "no element found");
	expect_bad("<html/>", ERR_PROTO, "neither JUnit's XML");
	expect_bad("<testsuite>\n</x>", ERR_PROTO, "line 2");
}

static void
test_entities_are_refused(void **state)
{
	(void)state;
	expect_bad("<!DOCTYPE x [<!ENTITY a \"b\">]><testsuite>&a;</testsuite>", ERR_PROTO, "declares an entity");
	expect_bad("<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><testsuite/>", ERR_PROTO, "declares");
	expect_bad("<!DOCTYPE x [<!ENTITY % a SYSTEM \"file:///etc/passwd\"> %a;]><testsuite/>", ERR_PROTO, "declares");
	expect_bad("<testsuite>&b;</testsuite>", ERR_PROTO, "undefined entity");
}

static void
test_limits(void **state)
{
	struct report r = { 0 };
	struct err err = ERR_OK;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 24);
	for (unsigned i = 0; i <= XML_DEPTH_MAX; i++)
		buf_adds(&b, "<testsuite>");
	expect_bad(b.data, ERR_LIMIT, "within each other");
	buf_reset(&b);
	buf_adds(&b, "<testsuite name=\"");
	while (b.len < 2 * XML_TOKEN_MAX)
		buf_adds(&b, "0123456789012345678901234567890123456789012345678901234567890123456789");
	assert_false(read_in_steps(&r, buf_str(&b), 4096, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.text, "a tag is too long"));
	buf_fini(&b);
}

static void
test_long_texts_are_cut_between_characters(void **state)
{
	struct report r = { 0 };
	struct err err;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_adds(&b, "<testsuite>");
	for (unsigned i = 0; i < 60; i++) {
		buf_adds(&b, "<testcase name=\"x");
		for (unsigned k = 0; k < 200; k++)
			buf_adds(&b, "\xc3\xa9");
		buf_adds(&b, "\"><failure message=\"");
		for (unsigned k = 0; k < 700; k++)
			buf_adds(&b, "\xc3\xa9");
		buf_adds(&b, "\"/></testcase>");
	}
	buf_adds(&b, "</testsuite>");
	assert_true(read_in_steps(&r, buf_str(&b), 1000, &err));
	assert_int_equal(r.failures, 60);
	assert_int_equal(r.failed_count, REPORT_FAILED_MAX);
	assert_int_equal(strlen(r.failed[49].name), 199);
	assert_int_equal(strlen(r.failed[49].message), 1000);
	report_fini(&r);
	buf_fini(&b);
}

static void
test_summaries(void **state)
{
	static const struct {
		uint64_t tests, failed;
		int coverage, previous;
		const char *want;
	} cases[] = {
		{ 0, 0, -1, -1, "" },
		{ 1, 0, -1, -1, "1 test passed" },
		{ 120, 3, -1, 5, "3 of 120 tests failed" },
		{ 120, 0, 8120, -1, "120 tests passed, coverage 81.20 %" },
		{ 0, 0, 8120, 8090, "coverage 81.20 % (+0.30)" },
		{ 0, 0, 5, 8090, "coverage 0.05 % (-80.85)" },
		{ 0, 0, 8120, 8120, "coverage 81.20 %" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b;

		buf_init(&b, 200);
		report_print_summary(cases[i].tests, cases[i].failed, cases[i].coverage, cases[i].previous, &b);
		assert_string_equal(b.data, cases[i].want);
		buf_fini(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_junit),
		cmocka_unit_test(test_cobertura),
		cmocka_unit_test(test_files_add_up),
		cmocka_unit_test(test_what_is_no_report),
		cmocka_unit_test(test_entities_are_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_long_texts_are_cut_between_characters),
		cmocka_unit_test(test_summaries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
