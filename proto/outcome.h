/* How the jobs of a plan come out, and what that means for those that need them: the same rule as the server's
 * (scripts/redis/common/jobs.lua), for who runs a plan without one. */
#ifndef DAVIT_PROTO_OUTCOME_H
#define DAVIT_PROTO_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/plan.h"

/* What the end of a job says to those that need it. */
enum outcome {
	OUTCOME_OK,     /* it passed, was allowed to fail, or was left out by its own condition */
	OUTCOME_NONE,   /* it did not come to run, or was cancelled */
	OUTCOME_FAILED, /* it failed, or was skipped for a failure before it */
};

enum { OUTCOME_REASON_SIZE = 200 };

/* Of one that has ended. */
struct job_end {
	enum outcome says;
	const char *words; /* "timed out": how it came out, behind its name */
};

/* Whether a job runs when all that it needs has ended: ends has those of the plan's jobs, in order. When it does not,
 * *own is what it says itself, and reason why it is skipped. */
bool outcome_lets_run(
    const struct job_spec *job, const struct job_end *ends, enum outcome *own, char reason[OUTCOME_REASON_SIZE]);

#endif
