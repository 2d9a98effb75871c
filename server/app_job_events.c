/* What the builder tells of a job's run: its output goes into the log, what it waits for is written down. */
#include "server/app_job_private.h"

#include <stdlib.h>

#include "proto/built_image.h"
#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/store/store.h"

/* A log that cannot take bytes (disk full) ends the job: a build without its log is worth nothing. */
static void
check_log(struct app_job *a, bool ok, const struct err *err)
{
	if (ok || a->result != JOB_RUNNING)
		return;
	app_job_set_result(a, JOB_ERROR, -1, err->text);
	if (a->run != NULL)
		builder_end(a->run, err->text);
}

static void
append(struct app_job *a, enum app_secrets_stream stream, struct app_secrets_output output)
{
	struct err err;

	check_log(a,
	    log_append(a->log, stream == APP_SECRETS_STDOUT ? LOG_STDOUT : LOG_STDERR, output.text, output.raw, &err),
	    &err);
}

static void
on_output(void *arg, enum builder_stream from, struct str text, uint64_t raw)
{
	struct app_job *a = arg;
	enum app_secrets_stream stream = from == BUILDER_STDOUT ? APP_SECRETS_STDOUT : APP_SECRETS_STDERR;
	struct app_secrets_output output = app_secrets_hide(a->secrets, stream, text, raw);

	if (output.text.len > 0 || text.len == 0) /* else all of it is held back */
		append(a, stream, output);
}

static void
flush(struct app_job *a, enum app_secrets_stream stream)
{
	struct app_secrets_output output = app_secrets_flush(a->secrets, stream);

	if (output.text.len > 0)
		append(a, stream, output);
}

/* The mark stands in standard output, and what came before it stands before it. */
static void
on_segment(void *arg, const char *name, int exit_code)
{
	struct app_job *a = arg;
	struct err err;

	flush(a, APP_SECRETS_STDOUT);
	check_log(a, log_mark(a->log, name, exit_code, &err), &err);
}

/* What the run waited for is written down. */
static void
on_recorded_word(void *arg, const struct err *err)
{
	struct app_job *a = arg;

	a->op = NULL;
	if (err == NULL) {
		builder_go(a->run);
	} else if (err->code == ERR_CONFLICT || err->code == ERR_NOT_FOUND) {
		a->ending = ENDING_LOST;
		builder_end(a->run, "the job is not ours any more");
	} else {
		app_job_retry(a, err);
	}
}

static void
on_recorded_start(void *arg, const struct err *err)
{
	if (err == NULL)
		CRASH_POINT(start_recorded);
	on_recorded_word(arg, err);
}

static void
record_start(struct app_job *a)
{
	CRASH_POINT(start_recording);
	a->record = record_start;
	a->op = store_job_started(a->deps->store, a->job->id, a->job->token, a->job->container, a->job->engine,
	    a->job->progress, "", "", on_recorded_start, a);
}

/* All that the containers before it have written stands before its place in the log. */
static void
keep_progress(struct app_job *a, const struct progress *progress)
{
	a->progress = *progress;
	if (progress->part > 0) {
		flush(a, APP_SECRETS_STDOUT);
		flush(a, APP_SECRETS_STDERR);
		a->progress.log = log_place(a->log);
	}
	free(a->job->progress);
	a->job->progress = progress_to_json(&a->progress);
}

static void
on_started(void *arg, const char *container, const char *engine, const struct progress *progress)
{
	struct app_job *a = arg;

	free(a->job->container);
	free(a->job->engine);
	a->job->container = xstrdup(container);
	a->job->engine = xstrdup(engine);
	keep_progress(a, progress);
	if (a->result == JOB_RUNNING) /* else the log could not be written */
		record_start(a);
}

static void
on_recorded_built(void *arg, const struct err *err)
{
	if (err == NULL)
		CRASH_POINT(image_recorded);
	on_recorded_word(arg, err);
}

static void
record_built(struct app_job *a)
{
	a->record = record_built;
	a->op = store_job_built(
	    a->deps->store, a->job->id, a->job->token, a->job->built_on, a->job->built, on_recorded_built, a);
}

static void
on_built(void *arg, const char *id)
{
	struct app_job *a = arg;

	free(a->job->built);
	free(a->job->built_on);
	a->job->built = xstrdup(id);
	a->job->built_on = xstrdup(a->job->engine);
	if (a->result == JOB_RUNNING)
		record_built(a);
}

static void
on_image(void *arg, const char *name, const char *digest, const char *id)
{
	struct app_job *a = arg;

	built_image_add(&a->images, name, digest, id);
}

/* By enum builder_state. */
static const enum job_state states_of_jobs[] = {
	[BUILDER_PASSED] = JOB_PASSED,
	[BUILDER_FAILED] = JOB_FAILED,
	[BUILDER_CANCELLED] = JOB_CANCELLED,
	[BUILDER_TIMED_OUT] = JOB_TIMED_OUT,
	[BUILDER_ERROR] = JOB_ERROR,
	[BUILDER_AGAIN] = JOB_ERROR,
};

enum builder_state
app_job_builder_state(enum job_state state)
{
	enum builder_state s = BUILDER_PASSED;

	while (s < BUILDER_ERROR && states_of_jobs[s] != state)
		s++;
	return s;
}

static void
on_recorded_verdict(void *arg, const struct err *err)
{
	struct app_job *a = arg;

	a->op = NULL;
	if (err == NULL)
		CRASH_POINT(verdict_recorded);
	else if (err->code == ERR_CONFLICT || err->code == ERR_NOT_FOUND)
		a->ending = ENDING_LOST;
	else
		log_warn("job %s: it is ended without a record of its result: %s", a->job->id, err->text);
	builder_go(a->run);
}

/* Nothing holds up its end: what cannot be written now may be lost with us, and is tried at the result's own record. */
static void
on_verdict(void *arg, const struct builder_result *result)
{
	struct app_job *a = arg;
	bool has_result = a->result != JOB_RUNNING;
	struct builder_result own = *result;
	struct store_job_result verdict = {
		.state = has_result ? a->result : states_of_jobs[own.state],
		.exit_code = has_result ? a->exit_code : own.exit_code,
		.reason = has_result ? a->reason : own.reason,
	};

	if (a->state != APP_JOB_RUN)
		return;       /* its result is on its way, and builder_forget is the answer */
	store_cancel(&a->op); /* the record of a further container, which comes to nothing now */
	timer_stop(a->retry);
	if (a->ending != ENDING_OWN) {
		builder_go(a->run);
		return;
	}
	app_secrets_hide_text(a->secrets, own.reason);
	CRASH_POINT(verdict_recording);
	a->op = store_job_verdict(a->deps->store, a->job->id, a->job->token, &verdict, on_recorded_verdict, a);
}

static void
take_result(struct app_job *a, const struct builder_result *result)
{
	CRASH_POINT(run_ended);
	if (result->reason[0] != '\0')
		app_job_note(a, result->reason);
	app_job_set_result(a, states_of_jobs[result->state], result->exit_code, result->reason);
	app_job_step(a, APP_JOB_FLUSH);
}

/* The script's own failure counts before that of its files. The container stays until the result is on record: who
 * finds it after our death knows how the job came out. */
static void
on_collected(void *arg, const struct err *err)
{
	struct app_job *a = arg;

	if (err != NULL && a->ended.state == BUILDER_PASSED)
		app_job_set_result(a, err->code == ERR_LIMIT ? JOB_FAILED : JOB_ERROR, 0, err->text);
	if (err != NULL)
		app_job_note(a, err->text);
	CRASH_POINT(files_collected);
	take_result(a, &a->ended);
}

static void
on_ended(void *arg, const struct builder_result *result)
{
	struct app_job *a = arg;

	flush(a, APP_SECRETS_STDOUT);
	flush(a, APP_SECRETS_STDERR);
	a->ended = *result;
	CRASH_POINT(collect_beginning);
	app_files_collect(a->files, a->run, result->state == BUILDER_PASSED, on_collected, a);
}

static void
on_done(void *arg, const struct builder_result *result)
{
	struct app_job *a = arg;

	a->run = NULL;
	if (a->state == APP_JOB_END) {
		app_job_step(a, APP_JOB_END);
		return;
	}
	if (a->state != APP_JOB_RUN)
		return; /* its result is on its way */
	app_files_stop(a->files);
	flush(a, APP_SECRETS_STDOUT);
	flush(a, APP_SECRETS_STDERR);
	if (result->state == BUILDER_AGAIN)
		app_job_again(a, result->reason);
	else
		take_result(a, result);
}

const struct builder_events app_job_events = {
	.notice = app_job_on_notice,
	.started = on_started,
	.output = on_output,
	.segment = on_segment,
	.built = on_built,
	.image = on_image,
	.verdict = on_verdict,
	.ended = on_ended,
	.done = on_done,
};
