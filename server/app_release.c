#include "server/app_release.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/store/store.h"

enum { RETRY_MS = 500, LEAST_MS = 1000 };

struct app_release {
	const struct app_release_deps *deps;
	struct app_release_job own;
	const struct app_release_events *events;
	void *arg;
	struct release_job job; /* lent to the release */
	struct release_result verdict;
	struct release *release;
	struct store_op *op;
	struct timer *retry;
	void (*record)(struct app_release *a); /* what is to be written down */
};

/* By enum release_state. */
static const enum job_state states_of_jobs[] = {
	[RELEASE_PASSED] = JOB_PASSED,
	[RELEASE_FAILED] = JOB_FAILED,
	[RELEASE_CANCELLED] = JOB_CANCELLED,
	[RELEASE_TIMED_OUT] = JOB_TIMED_OUT,
	[RELEASE_ERROR] = JOB_ERROR,
};

enum job_state
app_release_state(enum release_state state)
{
	return states_of_jobs[state];
}

static enum release_state
state_of(enum job_state state)
{
	enum release_state s = RELEASE_PASSED;

	while (s < RELEASE_ERROR && states_of_jobs[s] != state)
		s++;
	return s;
}

void
app_release_leave(struct app_release **release)
{
	struct app_release *a = *release;

	if (a == NULL)
		return;
	*release = NULL;
	store_cancel(&a->op);
	timer_free(&a->retry);
	release_leave(&a->release);
	free(a);
}

static void
app_release_end(struct app_release *a, const struct release_result *result)
{
	const struct app_release_events *events = a->events;
	void *arg = a->arg;

	app_release_leave(&a);
	events->done(arg, result);
}

/* --- what is written down before anything follows from it --- */

static void
on_retry(void *arg)
{
	struct app_release *a = arg;

	a->record(a);
}

static void
on_recorded(void *arg, const struct err *err)
{
	struct app_release *a = arg;

	a->op = NULL;
	if (err == NULL) {
		release_go(a->release);
	} else if (err->code == ERR_CONFLICT || err->code == ERR_NOT_FOUND) {
		app_release_end(a, NULL);
	} else {
		log_debug("job %s: %s", a->own.job->id, err->text);
		timer_start(a->retry, RETRY_MS);
	}
}

static void
record_start(struct app_release *a)
{
	const struct job *job = a->own.job;

	CRASH_POINT(start_recording);
	a->record = record_start;
	a->op = store_job_started(a->deps->store, job->id, job->token, job->container, job->engine, "", job->images,
	    app_deploy_kind(a->own.target), on_recorded, a);
}

static void
on_started(void *arg, const char *engine, const char *images)
{
	struct app_release *a = arg;
	struct job *job = a->own.job;

	free(job->container);
	free(job->engine);
	free(job->images);
	job->container = xasprintf("%s/%s", job->repo, a->own.spec->deploy->environment);
	job->engine = xstrdup(engine);
	job->images = xstrdup(images);
	record_start(a);
}

static void
record_verdict(struct app_release *a)
{
	const struct store_job_result verdict = {
		.state = app_release_state(a->verdict.state), .exit_code = -1, .reason = a->verdict.reason
	};

	a->record = record_verdict;
	a->op = store_job_verdict(a->deps->store, a->own.job->id, a->own.job->token, &verdict, on_recorded, a);
}

static void
on_verdict(void *arg, const struct release_result *result)
{
	struct app_release *a = arg;

	a->verdict = *result;
	a->events->hide(a->arg, a->verdict.reason);
	record_verdict(a);
}

static void
on_notice(void *arg, const char *text)
{
	struct app_release *a = arg;

	a->events->notice(a->arg, text);
}

static void
on_done(void *arg, const struct release_result *result)
{
	struct app_release *a = arg;
	struct release_result copy = *result;

	a->release = NULL;
	app_release_end(a, &copy);
}

static const struct release_events release_events = {
	.notice = on_notice, .started = on_started, .verdict = on_verdict, .done = on_done
};

/* --- start and end --- */

/* What is left of its time, of one that an earlier process has begun. */
static int64_t
time_left(const struct app_release_job *own)
{
	int64_t whole = (int64_t)own->spec->timeout_s * 1000;
	int64_t left = own->is_left ? own->job->started_ms + whole - loop_wall_ms() : whole;

	return left > LEAST_MS ? left : LEAST_MS;
}

/* How it comes out, where that is known: it goes on from there. */
static bool
find_verdict(struct app_release *a)
{
	const struct job *job = a->own.job;

	if (a->own.is_left && job->verdict != JOB_WAITING) {
		a->verdict.state = state_of(job->verdict);
		snprintf(a->verdict.reason, sizeof(a->verdict.reason), "%s", job->verdict_reason);
		return true;
	}
	if (a->own.undoing[0] == '\0')
		return false;
	a->verdict.state = RELEASE_ERROR;
	snprintf(a->verdict.reason, sizeof(a->verdict.reason), "%s", a->own.undoing);
	return true;
}

struct app_release *
app_release_start(const struct app_release_deps *deps, const struct app_release_job *job,
    const struct app_release_events *events, void *arg)
{
	struct app_release *a = xcalloc(1, sizeof(*a));

	*a = (struct app_release){ .deps = deps, .own = *job, .events = events, .arg = arg };
	a->retry = timer_new(deps->loop, on_retry, a);
	a->job = (struct release_job){
		.name = job->job->id,
		.repo = job->job->repo,
		.environment = job->spec->deploy->environment,
		.deployment = job->job->deployment,
		.previous = job->target->previous,
		.application = job->spec->deploy->application,
		.is_swarm = job->target->is_swarm,
		.engine = job->is_left ? job->job->engine : job->target->engine,
		.env = job->env,
		.images = job->job->images,
		.needed_images = job->job->needed_images,
		.timeout_ms = time_left(job),
		.is_left = job->is_left,
		.verdict = find_verdict(a) ? &a->verdict : NULL,
	};
	a->release = release_start(deps->destinations, &a->job, &release_events, a);
	return a;
}

void
app_release_cancel(struct app_release *release, const char *why)
{
	release_cancel(release->release, why);
}

bool
app_release_is_begun(const struct app_release *release)
{
	return release->own.job->container[0] != '\0';
}
