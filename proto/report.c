#include "proto/report.h"

#include <stdlib.h>
#include <string.h>

#include "proto/json.h"
#include "proto/mem.h"
#include "proto/utf8.h"
#include "proto/xml.h"

#define COUNT_MAX 1000000000000ULL /* of lines, tests, milliseconds: sums stay far below what fits */

enum form { FORM_NONE, FORM_JUNIT, FORM_COBERTURA, FORM_OTHER };

enum outcome { OUTCOME_PASSED, OUTCOME_SKIPPED, OUTCOME_FAILED, OUTCOME_ERROR };

struct report_reader {
	struct report *report;
	struct xml *xml;
	enum form form;
	bool in_test; /* within a testcase */
	enum outcome outcome;
	struct buf name, message; /* of that test */
	bool takes_text;          /* within a failure or error that has said nothing yet */
};

void
report_fini(struct report *report)
{
	for (size_t i = 0; i < report->failed_count; i++) {
		free(report->failed[i].name);
		free(report->failed[i].message);
	}
	free(report->failed);
	*report = (struct report){ 0 };
}

bool
report_has_tests(const struct report *report)
{
	return report->tests > 0;
}

int
report_coverage(const struct report *report)
{
	return report->lines > 0 ? (int)(report->covered * 10000 / report->lines) : -1;
}

static void
print_coverage(int coverage, int previous, struct buf *ret)
{
	int change = coverage - previous, size = change < 0 ? -change : change;

	buf_addf(ret, "%scoverage %d.%02d %%", ret->len > 0 ? ", " : "", coverage / 100, coverage % 100);
	if (previous >= 0 && change != 0)
		buf_addf(ret, " (%c%d.%02d)", change < 0 ? '-' : '+', size / 100, size % 100);
}

void
report_print_summary(uint64_t tests, uint64_t failed, int coverage, int previous, struct buf *ret)
{
	const char *plural = tests == 1 ? "" : "s";

	if (failed > 0)
		buf_addf(
		    ret, "%llu of %llu test%s failed", (unsigned long long)failed, (unsigned long long)tests, plural);
	else if (tests > 0)
		buf_addf(ret, "%llu test%s passed", (unsigned long long)tests, plural);
	if (coverage >= 0)
		print_coverage(coverage, previous, ret);
}

char *
report_failed_to_json(const struct report *report)
{
	struct json_writer *w = json_writer_new(REPORT_FAILED_MAX * 8 * (REPORT_NAME_MAX + REPORT_MESSAGE_MAX));

	json_write_array_open(w);
	for (size_t i = 0; i < report->failed_count; i++) {
		json_write_object_open(w);
		json_member_string(w, "name", report->failed[i].name);
		json_member_string(w, "message", report->failed[i].message);
		json_member_bool(w, "error", report->failed[i].is_error);
		json_write_object_close(w);
	}
	json_write_array_close(w);
	return json_writer_finish(&w, NULL);
}

/* --- numbers as files have them --- */

/* "1,234.5" seconds; what is no number is 0. */
static uint64_t
to_ms(const char *text)
{
	uint64_t ms = 0, unit = 100;

	for (; (*text >= '0' && *text <= '9') || *text == ','; text++)
		if (*text != ',' && ms < COUNT_MAX)
			ms = ms * 10 + (uint64_t)(*text - '0');
	ms *= 1000;
	if (*text == '.')
		for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10)
			ms += (uint64_t)(*text - '0') * unit;
	return ms < COUNT_MAX ? ms : 0;
}

static void
add(uint64_t *sum, uint64_t n)
{
	*sum = *sum + n < COUNT_MAX ? *sum + n : COUNT_MAX;
}

/* --- JUnit --- */

/* As much as b has room for, no character cut in two, no control characters but tab and newline. */
static void
add_text(struct buf *b, size_t max, struct str text)
{
	while (text.len > 0 && b->len < max) {
		size_t len;
		uint32_t c = utf8_decode(text, &len);

		if (b->len + len > max) {
			b->failed = true; /* full: what would still fit must not follow the gap */
			return;
		}
		if (!buf_failed(b) && (c >= ' ' || c == '\n' || c == '\t') && c != 0x7f)
			buf_add(b, text.p, len);
		text = (struct str){ text.p + len, text.len - len };
	}
}

static void
open_test(struct report_reader *r, const char *const *attributes)
{
	const char *class = xml_attribute(attributes, "classname", "");

	r->in_test = true;
	r->outcome = OUTCOME_PASSED;
	buf_reset(&r->name);
	buf_reset(&r->message);
	add_text(&r->name, REPORT_NAME_MAX, str_of(class));
	if (class[0] != '\0')
		add_text(&r->name, REPORT_NAME_MAX, STR(" "));
	add_text(&r->name, REPORT_NAME_MAX, str_of(xml_attribute(attributes, "name", "?")));
	add(&r->report->time_ms, to_ms(xml_attribute(attributes, "time", "0")));
}

/* A test may fail and then break in its tear-down: the worse counts, the first message stays. */
static void
open_outcome(struct report_reader *r, enum outcome outcome, const char *const *attributes)
{
	if (outcome > r->outcome)
		r->outcome = outcome;
	if (outcome == OUTCOME_SKIPPED || r->message.len > 0)
		return;
	add_text(&r->message, REPORT_MESSAGE_MAX, str_of(xml_attribute(attributes, "message", "")));
	r->takes_text = r->message.len == 0;
}

static struct str
trim_lines(struct str s)
{
	static const char blanks[] = " \t\n";

	while (s.len > 0 && strchr(blanks, s.p[0]) != NULL)
		s = (struct str){ s.p + 1, s.len - 1 };
	while (s.len > 0 && strchr(blanks, s.p[s.len - 1]) != NULL)
		s.len--;
	return s;
}

static void
keep_failed(struct report_reader *r)
{
	struct report *report = r->report;

	if (report->failed == NULL)
		report->failed = xcalloc(REPORT_FAILED_MAX, sizeof(*report->failed));
	if (report->failed_count < REPORT_FAILED_MAX)
		report->failed[report->failed_count++] = (struct report_failed){
			.name = xstrdup(r->name.data),
			.message = str_dup(trim_lines(buf_str(&r->message))),
			.is_error = r->outcome == OUTCOME_ERROR,
		};
}

static void
close_test(struct report_reader *r)
{
	struct report *report = r->report;

	r->in_test = false;
	add(&report->tests, 1);
	switch (r->outcome) {
	case OUTCOME_PASSED:
		return;
	case OUTCOME_SKIPPED:
		add(&report->skipped, 1);
		return;
	case OUTCOME_FAILED:
		add(&report->failures, 1);
		break;
	case OUTCOME_ERROR:
		add(&report->errors, 1);
		break;
	}
	keep_failed(r);
}

static void
open_junit(struct report_reader *r, const char *name, const char *const *attributes)
{
	if (!r->in_test && strcmp(name, "testcase") == 0)
		open_test(r, attributes);
	else if (r->in_test && strcmp(name, "failure") == 0)
		open_outcome(r, OUTCOME_FAILED, attributes);
	else if (r->in_test && strcmp(name, "error") == 0)
		open_outcome(r, OUTCOME_ERROR, attributes);
	else if (r->in_test && strcmp(name, "skipped") == 0)
		open_outcome(r, OUTCOME_SKIPPED, attributes);
}

/* --- Cobertura --- */

/* "0.8125" in ten-thousandths. */
static uint64_t
to_rate(const char *text)
{
	uint64_t rate = to_ms(text), digit = 0;
	const char *point = strchr(text, '.');

	if (point != NULL && strspn(point + 1, "0123456789") >= 4)
		digit = (uint64_t)(point[4] - '0');
	rate = rate * 10 + digit;
	return rate <= 10000 ? rate : 10000;
}

/* Older writers give the rate alone. */
static void
take_coverage(struct report_reader *r, const char *const *attributes)
{
	uint64_t lines, covered;

	if (!str_to_u64(str_of(xml_attribute(attributes, "lines-valid", "")), COUNT_MAX, &lines) || lines == 0 ||
	    !str_to_u64(str_of(xml_attribute(attributes, "lines-covered", "")), lines, &covered)) {
		lines = 10000;
		covered = to_rate(xml_attribute(attributes, "line-rate", "0"));
	}
	add(&r->report->lines, lines);
	add(&r->report->covered, covered);
}

/* --- a file --- */

static void
on_open(void *arg, const char *name, const char *const *attributes)
{
	struct report_reader *r = arg;

	r->takes_text = false;
	if (r->form == FORM_NONE && (strcmp(name, "testsuites") == 0 || strcmp(name, "testsuite") == 0)) {
		r->form = FORM_JUNIT;
	} else if (r->form == FORM_NONE && strcmp(name, "coverage") == 0) {
		r->form = FORM_COBERTURA;
		take_coverage(r, attributes);
	} else if (r->form == FORM_NONE) {
		r->form = FORM_OTHER;
	} else if (r->form == FORM_JUNIT) {
		open_junit(r, name, attributes);
	}
}

static void
on_text(void *arg, struct str text)
{
	struct report_reader *r = arg;

	if (r->takes_text)
		add_text(&r->message, REPORT_MESSAGE_MAX, text);
}

static void
on_close(void *arg, const char *name)
{
	struct report_reader *r = arg;

	r->takes_text = false;
	if (r->in_test && strcmp(name, "testcase") == 0)
		close_test(r);
}

struct report_reader *
report_reader_new(struct report *report)
{
	static const struct xml_handler handler = { .on_open = on_open, .on_text = on_text, .on_close = on_close };
	struct report_reader *r = xcalloc(1, sizeof(*r));

	r->report = report;
	r->xml = xml_new(REPORT_FILE_MAX, &handler, r);
	buf_init(&r->name, REPORT_NAME_MAX);
	buf_init(&r->message, REPORT_MESSAGE_MAX);
	return r;
}

void
report_reader_free(struct report_reader **reader)
{
	struct report_reader *r = *reader;

	if (r == NULL)
		return;
	*reader = NULL;
	xml_free(&r->xml);
	buf_fini(&r->name);
	buf_fini(&r->message);
	free(r);
}

bool
report_reader_feed(struct report_reader *reader, struct str bytes, struct err *err)
{
	return xml_feed(reader->xml, bytes, err);
}

bool
report_reader_finish(struct report_reader *reader, struct err *err)
{
	if (!xml_finish(reader->xml, err))
		return false;
	return reader->form != FORM_OTHER ||
	       err_set(err, ERR_PROTO, 0, "it is neither JUnit's XML (testsuites) nor Cobertura's (coverage)");
}
