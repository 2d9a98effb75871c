#include "cli/run_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/run_caches.h"
#include "cli/run_files.h"
#include "cli/run_images.h"
#include "cli/run_options.h"
#include "cli/run_output.h"
#include "cli/run_secrets.h"
#include "cli/test_lines.h"
#include "cli/workspace.h"
#include "proto/buf.h"
#include "proto/crypto.h"
#include "proto/mem.h"
#include "proto/variables.h"
#include "server/builder/reports.h"

enum { NONCE_BYTES = 16, NOTE_SIZE = 300, IMAGES_MAX = 1024 * 1024 };

struct run_job {
	const struct run_job_deps *deps;
	const struct job_spec *spec;
	size_t index;
	struct run_pipe *pipe;
	struct env env;
	struct run_secrets *secrets;
	struct run_caches *caches;
	struct buf images;           /* of the jobs that it needs */
	struct docker_piece *inputs; /* caches, then files */
	struct builder_job job;
	char nonce[2 * NONCE_BYTES + 1];
	char id[24];
	struct builder_run *run;
	struct reports *reports;
	struct report report;
	struct buf failed_tests;
	struct run_files_op *files;
	bool passed;                  /* its script, and its files are being taken */
	struct run_job_result result; /* of what came after the script; BUILDER_PASSED: nothing to say */
	run_job_fn *fn;
	void *arg;
};

/* As the server's log has it. */
static void
note(struct run_job *j, const char *text)
{
	char *line = xasprintf("davit: %.*s\n", NOTE_SIZE, text);

	run_secrets_hide(j->secrets, line);
	run_pipe_print(j->pipe, "%s", line);
	free(line);
}

/* --- its output --- */

static void
on_notice(void *arg, const char *text)
{
	note(arg, text);
}

static void
on_started(void *arg, const char *container, const char *engine, const struct progress *progress)
{
	struct run_job *j = arg;

	(void)container;
	(void)engine;
	(void)progress;
	builder_go(j->run);
}

static void
on_built(void *arg, const char *id)
{
	struct run_job *j = arg;

	(void)id;
	builder_go(j->run);
}

static void
on_image(void *arg, const char *name, const char *digest, const char *id)
{
	struct run_job *j = arg;

	run_images_add(j->deps->images, j->index, name, digest, id);
}

static void
on_output(void *arg, enum builder_stream stream, struct str text, uint64_t raw)
{
	struct run_job *j = arg;

	(void)raw;
	run_secrets_print(j->secrets, stream == BUILDER_STDERR ? RUN_STDERR : RUN_STDOUT, text);
}

static void
on_segment(void *arg, const char *name, int exit_code)
{
	struct run_job *j = arg;

	run_secrets_flush(j->secrets, RUN_STDOUT);
	if (exit_code == -1 && j->spec->segment_count > 1)
		run_pipe_title(j->pipe, name);
}

static void
flush(struct run_job *j)
{
	run_secrets_flush(j->secrets, RUN_STDOUT);
	run_secrets_flush(j->secrets, RUN_STDERR);
}

/* --- its files, when it has ended --- */

static void
on_saved(void *arg)
{
	struct run_job *j = arg;

	builder_leave(j->run);
}

/* The script's own failure counts before that of its files. */
static void
on_collected(void *arg, const struct err *err)
{
	struct run_job *j = arg;

	j->files = NULL;
	if (err == NULL) {
		run_caches_save(j->caches, j->run, j->passed, on_saved, j);
		return;
	}
	note(j, err->text);
	if (j->passed) {
		j->result.state = err->code == ERR_LIMIT ? BUILDER_FAILED : BUILDER_ERROR;
		snprintf(j->result.reason, sizeof(j->result.reason), "%s", err->text);
	}
	builder_leave(j->run);
}

static void
collect_files(struct run_job *j)
{
	j->files = run_files_collect(j->deps->files, j->run, j->index, j->passed, j->pipe, on_collected, j);
}

static void
on_reports(void *arg, bool has_any)
{
	struct run_job *j = arg;

	(void)has_any;
	j->reports = NULL;
	for (size_t i = 0; i < j->report.failed_count; i++) {
		struct report_failed *failed = &j->report.failed[i];

		run_secrets_hide(j->secrets, failed->name);
		run_secrets_hide(j->secrets, failed->message);
		test_lines_add(failed->is_error, failed->name, failed->message, &j->failed_tests);
	}
	collect_files(j);
}

static void
on_ended(void *arg, const struct builder_result *result)
{
	static const struct reports_handler handler = { .on_note = on_notice, .on_done = on_reports };
	struct run_job *j = arg;

	flush(j);
	j->passed = result->state == BUILDER_PASSED;
	if (reports_are_wanted(j->spec))
		j->reports = reports_start(j->run, j->spec, &j->report, &handler, j);
	else
		collect_files(j);
}

/* --- its end --- */

static void
job_free(struct run_job *j)
{
	run_caches_free(&j->caches);
	run_secrets_free(&j->secrets);
	env_fini(&j->env);
	report_fini(&j->report);
	buf_fini(&j->failed_tests);
	buf_fini(&j->images);
	free(j->inputs);
	free(j);
}

static void
on_done(void *arg, const struct builder_result *result)
{
	struct run_job *j = arg;
	struct run_job_result *own = &j->result;

	j->run = NULL;
	reports_cancel(&j->reports);
	run_files_cancel(&j->files);
	run_caches_stop(j->caches);
	flush(j);
	if (result->reason[0] != '\0')
		note(j, result->reason);
	if (own->state == BUILDER_PASSED) {
		own->state = result->state;
		snprintf(own->reason, sizeof(own->reason), "%s", result->reason);
	}
	run_secrets_hide(j->secrets, own->reason);
	own->failed_tests = j->failed_tests.len > 0 ? j->failed_tests.data : "";
	j->fn(j->arg, own);
	job_free(j);
}

static const struct builder_events builder_events = {
	.notice = on_notice,
	.started = on_started,
	.output = on_output,
	.segment = on_segment,
	.built = on_built,
	.image = on_image,
	.ended = on_ended,
	.done = on_done,
};

/* --- its beginning --- */

/* As on the server, as far as there is something to say. */
static void
add_env(struct run_job *j, unsigned attempt)
{
	const struct run_options *o = j->deps->options;
	const struct workspace_result *w = j->deps->workspace;
	const struct deploy_spec *deploy = j->spec->deploy;
	const char *branch = o->branch != NULL ? o->branch : w->branch;
	char *ref = o->tag != NULL ? xasprintf("refs/tags/%s", o->tag) : xasprintf("refs/heads/%s", branch);
	struct variables variables = {
		.job = j->id,
		.attempt = attempt,
		.job_name = j->spec->name,
		.workspace = BUILDER_WORKSPACE,
		.event = o->event != NULL ? o->event
			 : o->tag != NULL ? "tag"
					  : "push",
		.ref = o->tag != NULL || branch[0] != '\0' ? ref : NULL,
		.branch = o->tag != NULL ? o->tag : branch,
		.commit = w->commit,
		.environment = deploy != NULL ? deploy->environment : NULL,
		.deploy_image = deploy != NULL ? deploy->image : NULL,
	};

	for (size_t i = 0; deploy != NULL && i < o->variables.count; i++)
		env_add(&j->env, o->variables.vars[i].name, o->variables.vars[i].value);
	run_images_begin(j->deps->images, j->index);
	run_images_needed(j->deps->images, j->index, &j->images);
	built_image_find(j->images.data, variables.deploy_image, &variables.built);
	variables_add(&variables, &j->env);
	variables_add_reports(j->spec, BUILDER_WORKSPACE, &j->env);
	free(ref);
}

static void
add_inputs(struct run_job *j)
{
	size_t cached, handed;
	const struct docker_piece *caches = run_caches_inputs(j->caches, &cached);
	struct docker_piece *files = run_files_inputs(j->deps->files, j->index, j->pipe, &handed);

	j->inputs = xcalloc(cached + handed + 1, sizeof(*j->inputs));
	memcpy(j->inputs, caches, cached * sizeof(*caches));
	memcpy(j->inputs + cached, files, handed * sizeof(*files));
	free(files);
	j->job.inputs = j->inputs;
	j->job.input_count = cached + handed;
}

struct run_job *
run_job_start(
    const struct run_job_deps *deps, size_t index, unsigned attempt, struct run_pipe *pipe, run_job_fn *fn, void *arg)
{
	struct run_job *j = xcalloc(1, sizeof(*j));

	*j = (struct run_job){
		.deps = deps, .spec = &deps->plan->jobs[index], .index = index, .pipe = pipe, .fn = fn, .arg = arg
	};
	snprintf(j->id, sizeof(j->id), "0.%zu", index + 1);
	random_hex(j->nonce, NONCE_BYTES);
	buf_init(&j->images, IMAGES_MAX);
	buf_init(&j->failed_tests, (size_t)REPORT_FAILED_MAX * TEST_LINES_MAX);
	add_env(j, attempt);
	j->secrets = run_secrets_new(j->spec, &j->env, pipe);
	j->caches = run_caches_new(deps->top, pipe);
	run_caches_begin(j->caches, j->spec, deps->workspace->tar);
	j->job = (struct builder_job){
		.id = j->id,
		.attempt = attempt,
		.nonce = j->nonce,
		.spec = j->spec,
		.env = &j->env,
		.has_secrets = j->spec->secret_count > 0,
		.workspace_tar = deps->workspace->tar,
		.folder = variables_reports(j->spec),
		.images = j->images.data,
	};
	add_inputs(j);
	builder_start(deps->builder, &j->job, &builder_events, j, &j->run);
	return j;
}

void
run_job_cancel(struct run_job *job, const char *why)
{
	builder_cancel(job->run, why);
}
