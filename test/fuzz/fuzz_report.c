/* Any bytes as a report: the same whole and in pieces, counts that add up, texts within their limits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/report.h"
#include "proto/utf8.h"

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static bool
read_in_steps(struct str in, size_t step, struct report *report)
{
	struct report_reader *reader = report_reader_new(report);
	struct err err = ERR_OK;
	bool ok = true;

	while (ok && in.len > 0) {
		struct str piece = { in.p, in.len < step ? in.len : step };

		in = (struct str){ in.p + piece.len, in.len - piece.len };
		ok = report_reader_feed(reader, piece, &err);
	}
	ok = ok && report_reader_finish(reader, &err);
	must(ok || err.code == ERR_PROTO || err.code == ERR_LIMIT);
	report_reader_free(&reader);
	return ok;
}

static void
check(const struct report *r)
{
	must(r->failures + r->errors + r->skipped <= r->tests);
	must(r->failed_count <= REPORT_FAILED_MAX && r->failed_count <= r->failures + r->errors);
	must(r->covered <= r->lines && report_coverage(r) <= 10000);
	for (size_t i = 0; i < r->failed_count; i++) {
		must(strlen(r->failed[i].name) <= REPORT_NAME_MAX && utf8_valid(str_of(r->failed[i].name), NULL));
		must(strlen(r->failed[i].message) <= REPORT_MESSAGE_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct report whole = { 0 }, pieces = { 0 };
	struct str in = { (const char *)data, size };
	bool ok = read_in_steps(in, SIZE_MAX, &whole);
	char *a, *b;

	must(read_in_steps(in, 7, &pieces) == ok);
	check(&whole);
	check(&pieces);
	a = report_failed_to_json(&whole);
	b = report_failed_to_json(&pieces);
	must(a != NULL && b != NULL);
	must(!ok || (strcmp(a, b) == 0 && whole.tests == pieces.tests && whole.time_ms == pieces.time_ms &&
			report_coverage(&whole) == report_coverage(&pieces)));
	free(a);
	free(b);
	report_fini(&whole);
	report_fini(&pieces);
	return 0;
}
