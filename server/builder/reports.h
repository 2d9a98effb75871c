/* Reports of a job that has ended (proto/report.h): the files that its spec names, or that its tests leave where
 * $TEST_RESULT and $TEST_COVERAGE say, read as they come out of its container. A file that is no report is a word in
 * the log, no failure. */
#ifndef DAVIT_BUILDER_REPORTS_H
#define DAVIT_BUILDER_REPORTS_H

#include <stdbool.h>

#include "proto/plan.h"
#include "proto/report.h"

struct builder_run;
struct reports;

struct reports_handler {
	/* A line for the job's log: what was wrong with a file, and at the end how the tests came out. */
	void (*on_note)(void *arg, const char *text);
	/* The reading is gone. has_any: *ret says something. */
	void (*on_done)(void *arg, bool has_any);
};

/* Whether there is anything to look for. */
bool reports_are_wanted(const struct job_spec *spec);
/* Of a job of which they are, between the run's ended and builder_leave. *ret is lent, and ended by its owner with
 * report_fini, also after a cancel. The async contract of core/loop.h holds. */
struct reports *reports_start(struct builder_run *run, const struct job_spec *spec, struct report *ret,
    const struct reports_handler *handler, void *arg);
/* Accepts NULL inside. */
void reports_cancel(struct reports **reports);

#endif
