/* What became of the builds and deployments of some days, as doc/redis-keys.md has them counted (davit:stats:...): how
 * long things took, and how well it goes. doc/insights.md says what the figures mean. */
#ifndef DAVIT_PROTO_INSIGHTS_H
#define DAVIT_PROTO_INSIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/histogram.h"
#include "proto/str.h"

enum { INSIGHTS_DAYS_MAX = 90, INSIGHTS_DAY_SIZE = 11 };

enum insights_time {
	INSIGHTS_QUEUE,   /* of a job: until a daemon had it */
	INSIGHTS_PREPARE, /* until its container was there */
	INSIGHTS_RUN,     /* to its end */
	INSIGHTS_BUILD,   /* from acceptance to end */
	INSIGHTS_LEAD,    /* from a commit to the end of its deployment */
	INSIGHTS_RESTORE, /* until a deployment passed, from the one on that went wrong */
	INSIGHTS_TIMES
};

enum insights_end {
	INSIGHTS_PASSED,
	INSIGHTS_FAILED,
	INSIGHTS_TIMED_OUT,
	INSIGHTS_ERROR,
	INSIGHTS_CANCELLED,
	INSIGHTS_ENDS
};

struct insights_sum {
	struct histogram times[INSIGHTS_TIMES];
	uint64_t ends[INSIGHTS_ENDS]; /* of builds, or of an environment's deployments */
	uint64_t changes;             /* deployments of what was not there before, but for cancelled ones */
	uint64_t changes_failed;
};

struct insights_day {
	char day[INSIGHTS_DAY_SIZE]; /* "2026-11-29" */
	uint64_t ends[INSIGHTS_ENDS];
	double median_ms; /* of its builds, or of what its deployments ran; NAN: none */
};

/* Of a repository, or of one of its environments. */
struct insights {
	char *repo;
	char *environment; /* "": the repository */
	struct insights_sum sum;
	struct insights_day *days; /* on which something ended, in order */
	size_t day_count;
};

struct insights_list {
	struct insights *items;
	size_t count;
};

/* The counts of one day, name and value in turn; what is not known is left. */
void insights_add_day(struct insights *insights, struct str day, const struct str *counts, size_t count);
void insights_list_fini(struct insights_list *list);

/* Shares of 0..1; NAN when there is nothing to go by. Cancelled ones do not count. */
double insights_success(const struct insights_sum *sum);
double insights_change_failures(const struct insights_sum *sum);

const char *insights_time_name(enum insights_time time); /* "queue" */
const char *insights_end_name(enum insights_end end);    /* "timed_out" */

#endif
