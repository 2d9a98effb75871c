#include "cli/run_jobs.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/run_options.h"
#include "cli/run_output.h"
#include "proto/mem.h"
#include "proto/outcome.h"
#include "server/core/loop.h"

enum { RETRY_FIRST_MS = 1000, RETRY_MOST_MS = 300000, RETRY_DOUBLINGS = 16 };

enum one_state {
	ONE_WAITING, /* for what it needs, its group, a slot */
	ONE_DELAYED, /* until its next attempt; its group stays its own */
	ONE_RUNNING,
	ONE_ENDED,
};

struct one {
	struct run_jobs *jobs;
	size_t index;
	enum one_state state;
	unsigned attempt;
	struct run_pipe *pipe; /* from its first attempt to its end */
	struct run_job *job;
	struct timer *delay;
	unsigned rank; /* of how it came out */
	const char *name_of_state;
	char reason[256];
};

struct run_jobs {
	const struct run_job_deps *deps;
	struct run_output *output;
	struct one *list; /* as the plan's jobs */
	struct job_end *ends;
	size_t running;
	bool is_cancelled;
	struct deferred *end;
	bool has_ended;
	run_jobs_fn *fn;
	void *arg;
};

/* How the server calls it, what those that need the job hear of it, and how bad it is for the build. */
static const struct {
	const char *name, *words;
	unsigned rank;
	enum outcome says;
	unsigned retry; /* of RETRY_*; 0: there is no further attempt */
} states[] = {
	[BUILDER_PASSED] = { "passed", "passed", 1, OUTCOME_OK, 0 },
	[BUILDER_FAILED] = { "failed", "failed", 3, OUTCOME_FAILED, RETRY_FAILURE },
	[BUILDER_CANCELLED] = { "cancelled", "was cancelled", 2, OUTCOME_NONE, 0 },
	[BUILDER_TIMED_OUT] = { "timed_out", "timed out", 4, OUTCOME_FAILED, RETRY_TIMEOUT },
	[BUILDER_ERROR] = { "error", "ended in an error", 5, OUTCOME_FAILED, RETRY_INFRASTRUCTURE },
	[BUILDER_AGAIN] = { "error", "ended in an error", 5, OUTCOME_FAILED, RETRY_INFRASTRUCTURE },
};

static const struct job_spec *
spec_of(const struct one *one)
{
	return &one->jobs->deps->plan->jobs[one->index];
}

/* --- the end of one --- */

static void
end_one(struct one *one, const char *name, unsigned rank, struct job_end end, const char *reason)
{
	one->state = ONE_ENDED;
	one->name_of_state = name;
	one->rank = rank;
	snprintf(one->reason, sizeof(one->reason), "%s", reason);
	one->jobs->ends[one->index] = end;
	run_pipe_print(one->pipe, "job %s %s%s%s\n", spec_of(one)->name, name, reason[0] != '\0' ? ": " : "", reason);
}

static void
skip(struct one *one, enum outcome says, const char *reason)
{
	one->pipe = run_pipe_open(one->jobs->output);
	end_one(one, "skipped", 0, (struct job_end){ says, "was skipped" }, reason);
	run_pipe_close(&one->pipe);
}

static void
on_delay(void *arg)
{
	struct one *one = arg;

	one->state = ONE_WAITING;
	run_jobs_go(one->jobs);
}

static void
run_again(struct one *one, const char *reason)
{
	unsigned doublings = one->attempt - 1 < RETRY_DOUBLINGS ? one->attempt - 1 : RETRY_DOUBLINGS;
	int64_t ms = (int64_t)RETRY_FIRST_MS << doublings;

	one->attempt++;
	one->state = ONE_DELAYED;
	run_pipe_print(
	    one->pipe, "job %s is run again: attempt %u, after: %s\n", spec_of(one)->name, one->attempt, reason);
	if (one->delay == NULL)
		one->delay = timer_new(one->jobs->deps->loop, on_delay, one);
	timer_start(one->delay, ms < RETRY_MOST_MS ? ms : RETRY_MOST_MS);
}

static bool
has_another_attempt(const struct one *one, enum builder_state state)
{
	const struct retry_spec *retry = &spec_of(one)->retry;

	return !one->jobs->is_cancelled && one->attempt <= retry->max && (retry->on & states[state].retry) != 0;
}

static void
on_job(void *arg, const struct run_job_result *result)
{
	struct one *one = arg;
	struct run_jobs *jobs = one->jobs;
	struct job_end end = { states[result->state].says, states[result->state].words };

	one->job = NULL;
	jobs->running--;
	if (has_another_attempt(one, result->state)) {
		run_again(one, result->reason);
		run_pipe_print(one->pipe, "%s", result->failed_tests);
	} else {
		if (spec_of(one)->allow_failure && end.says == OUTCOME_FAILED)
			end.says = OUTCOME_OK;
		end_one(one, states[result->state].name, states[result->state].rank, end, result->reason);
		run_pipe_print(one->pipe, "%s", result->failed_tests);
		run_pipe_close(&one->pipe);
	}
	run_jobs_go(jobs);
}

/* --- which is next --- */

/* Of which one job runs at a time; NULL: none. A deployment's no other job can name. */
static bool
is_same_group(const struct job_spec *a, const struct job_spec *b)
{
	if (a->deploy != NULL || b->deploy != NULL)
		return a->deploy != NULL && b->deploy != NULL &&
		       strcmp(a->deploy->environment, b->deploy->environment) == 0;
	return a->concurrency.group != NULL && b->concurrency.group != NULL &&
	       strcmp(a->concurrency.group, b->concurrency.group) == 0;
}

static bool
has_group(const struct one *one)
{
	const struct run_jobs *jobs = one->jobs;

	for (size_t i = 0; i < jobs->deps->plan->job_count; i++) {
		const struct one *other = &jobs->list[i];

		if (other != one && (other->state == ONE_RUNNING || other->state == ONE_DELAYED) &&
		    is_same_group(spec_of(one), spec_of(other)))
			return false;
	}
	return true;
}

static bool
have_needs_ended(const struct one *one)
{
	const struct job_spec *spec = spec_of(one);

	for (size_t i = 0; i < spec->need_count; i++)
		if (one->jobs->list[spec->needs[i].job - 1].state != ONE_ENDED)
			return false;
	return true;
}

/* Of one whose needs have ended; says why. */
static bool
is_left_out(struct one *one)
{
	char reason[OUTCOME_REASON_SIZE];
	enum outcome own;

	if (outcome_lets_run(spec_of(one), one->jobs->ends, &own, reason))
		return false;
	skip(one, own, reason);
	return true;
}

static bool
is_not_to_deploy(struct one *one)
{
	const struct job_spec *spec = spec_of(one);
	char *reason;

	if (spec->kind != JOB_KIND_DEPLOY)
		return false;
	reason = xasprintf("it deploys to %s, which a local run does only with --deploy %s", spec->deploy->environment,
	    spec->deploy->environment);
	skip(one, OUTCOME_NONE, reason);
	free(reason);
	return true;
}

static bool
is_ready(struct one *one)
{
	bool is_alone = one->jobs->deps->options->job != NULL;

	if (one->state != ONE_WAITING || (!is_alone && !have_needs_ended(one)))
		return false;
	if (one->attempt == 1 && ((!is_alone && is_left_out(one)) || is_not_to_deploy(one)))
		return false;
	return has_group(one);
}

static void
start(struct one *one)
{
	if (one->pipe == NULL)
		one->pipe = run_pipe_open(one->jobs->output);
	one->state = ONE_RUNNING;
	one->jobs->running++;
	one->job = run_job_start(one->jobs->deps, one->index, one->attempt, one->pipe, on_job, one);
}

/* --- all of them --- */

static void
on_end(void *arg)
{
	struct run_jobs *jobs = arg;

	jobs->end = NULL;
	jobs->fn(jobs->arg);
}

static bool
is_over(const struct run_jobs *jobs)
{
	if (jobs->running > 0 || jobs->is_cancelled)
		return jobs->running == 0;
	for (size_t i = 0; i < jobs->deps->plan->job_count; i++)
		if (jobs->list[i].state != ONE_ENDED)
			return false;
	return true;
}

static void
end_when_over(struct run_jobs *jobs)
{
	if (jobs->has_ended || !is_over(jobs))
		return;
	jobs->has_ended = true;
	jobs->end = deferred_call(jobs->deps->loop, on_end, jobs);
}

/* What a job needs stands before it, so that one pass finds all that can begin. */
void
run_jobs_go(struct run_jobs *jobs)
{
	for (size_t i = 0; i < jobs->deps->plan->job_count && !jobs->is_cancelled; i++)
		if (is_ready(&jobs->list[i]) && builder_free_slots(jobs->deps->builder) > 0)
			start(&jobs->list[i]);
	end_when_over(jobs);
}

bool
run_jobs_are_stuck(const struct run_jobs *jobs)
{
	for (size_t i = 0; i < jobs->deps->plan->job_count; i++)
		if (jobs->list[i].state == ONE_RUNNING || jobs->list[i].state == ONE_DELAYED)
			return false;
	return !jobs->has_ended;
}

void
run_jobs_cancel(struct run_jobs *jobs, const char *why)
{
	jobs->is_cancelled = true;
	for (size_t i = 0; i < jobs->deps->plan->job_count; i++) {
		struct one *one = &jobs->list[i];

		if (one->state == ONE_RUNNING)
			run_job_cancel(one->job, why);
		if (one->state == ONE_DELAYED)
			timer_stop(one->delay);
	}
	end_when_over(jobs);
}

struct run_jobs *
run_jobs_new(const struct run_job_deps *deps, struct run_output *output, run_jobs_fn *fn, void *arg)
{
	struct run_jobs *jobs = xcalloc(1, sizeof(*jobs));
	const char *alone = deps->options->job;

	*jobs = (struct run_jobs){ .deps = deps, .output = output, .fn = fn, .arg = arg };
	jobs->list = xcalloc(deps->plan->job_count + 1, sizeof(*jobs->list));
	jobs->ends = xcalloc(deps->plan->job_count + 1, sizeof(*jobs->ends));
	for (size_t i = 0; i < deps->plan->job_count; i++) {
		bool is_wanted = alone == NULL || strcmp(alone, deps->plan->jobs[i].name) == 0;

		jobs->list[i] = (struct one){
			.jobs = jobs, .index = i, .attempt = 1, .state = is_wanted ? ONE_WAITING : ONE_ENDED
		};
	}
	return jobs;
}

void
run_jobs_free(struct run_jobs **jobs)
{
	struct run_jobs *j = *jobs;

	*jobs = NULL;
	if (j == NULL)
		return;
	assert(j->running == 0);
	for (size_t i = 0; i < j->deps->plan->job_count; i++) {
		run_pipe_close(&j->list[i].pipe);
		timer_free(&j->list[i].delay);
	}
	deferred_cancel(&j->end);
	free(j->list);
	free(j->ends);
	free(j);
}

bool
run_jobs_print_verdict(const struct run_jobs *jobs)
{
	const struct one *worst = NULL;
	bool ran = false;

	for (size_t i = 0; i < jobs->deps->plan->job_count; i++) {
		const struct one *one = &jobs->list[i];
		bool counts = !spec_of(one)->allow_failure || jobs->is_cancelled;

		ran = ran || one->rank > 0;
		if (counts && one->rank > 1 && (worst == NULL || one->rank > worst->rank))
			worst = one;
	}
	if (worst != NULL)
		printf("%s: %s: %s\n", worst->name_of_state, spec_of(worst)->name, worst->reason);
	else if (jobs->is_cancelled)
		printf("cancelled\n");
	else
		printf("passed%s\n", ran ? "" : ": all jobs were skipped");
	return worst == NULL && !jobs->is_cancelled;
}
