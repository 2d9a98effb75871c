/* What a job's tests say: files in JUnit's form (counts, time, failed tests) and in Cobertura's (covered lines), read
 * as their bytes come and added up. A file says by its first element which form it has. Counts are of the test cases
 * that are there, not of what a file says about itself. */
#ifndef DAVIT_PROTO_REPORT_H
#define DAVIT_PROTO_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/err.h"
#include "proto/str.h"

enum {
	REPORT_FAILED_MAX = 50,   /* failed tests that are kept; all are counted */
	REPORT_NAME_MAX = 200,    /* bytes of a test's name */
	REPORT_MESSAGE_MAX = 1000 /* and of what it says */
};

#define REPORT_FILE_MAX (64u * 1024 * 1024)

struct report_failed {
	char *name; /* "class name", as the file has them */
	char *message;
	bool is_error; /* it broke, rather than failed */
};

struct report {
	uint64_t tests, failures, errors, skipped;
	uint64_t time_ms; /* of all tests together */
	struct report_failed *failed;
	size_t failed_count;
	uint64_t lines, covered; /* of code; 0: no file spoke of coverage */
};

void report_fini(struct report *report);
bool report_has_tests(const struct report *report);
/* Covered lines in hundredths of a percent, 0..10000; -1: not known. */
int report_coverage(const struct report *report);
/* "3 of 120 tests failed", "120 tests passed", ", coverage 81.20 %" with its change; previous: as report_coverage.
 * Appends nothing when there is nothing to say. */
void report_print_summary(uint64_t tests, uint64_t failed, int coverage, int previous, struct buf *ret);
/* [{"name":, "message":, "error":}]; free() it. */
char *report_failed_to_json(const struct report *report);

/* --- reading one file --- */

struct report_reader;

/* What is read is added to *report, which is lent. */
struct report_reader *report_reader_new(struct report *report);
void report_reader_free(struct report_reader **reader);
bool report_reader_feed(struct report_reader *reader, struct str bytes, struct err *err);
/* ERR_PROTO when it is neither form, or cut off. */
bool report_reader_finish(struct report_reader *reader, struct err *err);

#endif
