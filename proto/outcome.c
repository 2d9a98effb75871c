#include "proto/outcome.h"

#include <stdio.h>

/* The worst of what it needs, and which. */
static const struct need_spec *
worst_need(const struct job_spec *job, const struct job_end *ends, enum outcome *worst)
{
	const struct need_spec *which = NULL;

	*worst = OUTCOME_OK;
	for (size_t i = 0; i < job->need_count; i++) {
		enum outcome outcome = ends[job->needs[i].job - 1].says;

		if (outcome > *worst) {
			*worst = outcome;
			which = &job->needs[i];
		}
	}
	return which;
}

bool
outcome_lets_run(
    const struct job_spec *job, const struct job_end *ends, enum outcome *own, char reason[OUTCOME_REASON_SIZE])
{
	enum outcome worst;
	const struct need_spec *need = worst_need(job, ends, &worst);

	*own = OUTCOME_OK;
	if (job->skipped != NULL) {
		snprintf(reason, OUTCOME_REASON_SIZE, "%s", job->skipped);
		return false;
	}
	if (job->run_on == RUN_ALWAYS || worst == (job->run_on == RUN_ON_FAILURE ? OUTCOME_FAILED : OUTCOME_OK))
		return true;
	*own = worst;
	if (job->run_on == RUN_ON_FAILURE)
		snprintf(reason, OUTCOME_REASON_SIZE, "nothing that it needs failed");
	else
		snprintf(reason, OUTCOME_REASON_SIZE, "%s %s", need->name, ends[need->job - 1].words);
	return false;
}
