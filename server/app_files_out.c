/* What comes out of a job: its reports are read, then its artifacts and caches become files of the store's. */
#include "server/app_files_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/loop.h"

enum out_state {
	OUT_REPORTS,
	OUT_REPORT_PUT,
	OUT_ARTIFACT, /* the next one */
	OUT_ARTIFACT_PUT,
	OUT_CACHE, /* the next one */
	OUT_CACHE_PUT,
	OUT_DONE,
};

static void enter_reports(struct app_files *f);
static void enter_report_put(struct app_files *f);
static void enter_artifact(struct app_files *f);
static void enter_artifact_put(struct app_files *f);
static void enter_cache(struct app_files *f);
static void enter_cache_put(struct app_files *f);
static void enter_done(struct app_files *f);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct app_files *f);
} states[] = {
	[OUT_REPORTS]      = { "reports",      enter_reports },
	[OUT_REPORT_PUT]   = { "report put",   enter_report_put },
	[OUT_ARTIFACT]     = { "artifact",     enter_artifact },
	[OUT_ARTIFACT_PUT] = { "artifact put", enter_artifact_put },
	[OUT_CACHE]        = { "cache",        enter_cache },
	[OUT_CACHE_PUT]    = { "cache put",    enter_cache_put },
	[OUT_DONE]         = { "done",         enter_done },
};
/* clang-format on */

static void
out_step(struct app_files *f, enum out_state next)
{
	f->state = next;
	states[next].enter(f);
}

static void
next_item(struct app_files *f, enum out_state state)
{
	free(f->record_path);
	f->record_path = NULL;
	f->item++;
	out_step(f, state);
}

/* --- reports --- */

static void
on_report_note(void *arg, const char *text)
{
	app_files_note(arg, "%s", text);
}

static void
on_reports(void *arg, bool has_any)
{
	struct app_files *f = arg;

	f->reports = NULL;
	out_step(f, has_any ? OUT_REPORT_PUT : OUT_ARTIFACT);
}

static void
enter_reports(struct app_files *f)
{
	static const struct reports_handler handler = { .on_note = on_report_note, .on_done = on_reports };

	if (reports_are_wanted(f->job.spec))
		f->reports = reports_start(f->run, f->job.spec, &f->report, &handler, f);
	else
		out_step(f, OUT_ARTIFACT);
}

static void
on_report_put(void *arg, const struct err *err)
{
	struct app_files *f = arg;

	f->op = NULL;
	CRASH_POINT(report_recorded);
	if (err != NULL)
		app_files_note(f, "reports: %s", err->text);
	out_step(f, OUT_ARTIFACT);
}

static void
enter_report_put(struct app_files *f)
{
	const struct report *r = &f->report;
	struct test_report record = { .tests = (int64_t)r->tests,
		.failures = (int64_t)r->failures,
		.errors = (int64_t)r->errors,
		.skipped = (int64_t)r->skipped,
		.time_ms = (int64_t)r->time_ms,
		.lines = (int64_t)r->lines,
		.covered = (int64_t)r->covered };

	for (size_t i = 0; i < r->failed_count; i++) {
		f->job.hide(f->job.arg, r->failed[i].name);
		f->job.hide(f->job.arg, r->failed[i].message);
	}
	record.failed = report_failed_to_json(r);
	CRASH_POINT(report_recording);
	f->op = store_report_put(f->deps->store, f->job.job->id, f->job.job->token, &record, on_report_put, f);
	free(record.failed);
}

/* --- artifacts --- */

static const struct artifact_spec *
artifact_of(const struct app_files *f)
{
	return &f->job.spec->artifacts[f->item];
}

static const char *
name_of(const struct artifact_spec *spec)
{
	return spec->name != NULL ? spec->name : "artifacts";
}

static bool
is_wanted(const struct app_files *f, const struct artifact_spec *spec)
{
	switch (spec->on) {
	case RUN_ON_SUCCESS:
		return f->passed;
	case RUN_ON_FAILURE:
		return !f->passed;
	case RUN_ALWAYS:
		break;
	}
	return true;
}

/* The job does not get what it should leave: that is its result. */
static void
fail_artifact(struct app_files *f, const struct err *err)
{
	struct err failure = err_prefix(*err, "artifact %.60s", name_of(artifact_of(f)));

	app_files_end(f, &failure);
}

static void
on_artifact_taken(void *arg, const struct app_take_result *result, const struct err *err)
{
	struct app_files *f = arg;

	f->take = NULL;
	if (err != NULL) {
		fail_artifact(f, err);
		return;
	}
	if (result->left_out > 0)
		app_files_note(f, "artifact %s: %llu links are left out, they lead out of the workspace",
		    name_of(artifact_of(f)), (unsigned long long)result->left_out);
	if (result->size == 0) {
		app_files_note(f, "artifact %s: there are no such files", name_of(artifact_of(f)));
		next_item(f, OUT_ARTIFACT);
		return;
	}
	f->artifact_record.size = (int64_t)result->size;
	f->artifact_record.content = (int64_t)result->content;
	f->artifact_record.files = (int64_t)result->files;
	f->artifact_record.sha256 = xstrdup(result->sha256);
	f->taken += result->content;
	out_step(f, OUT_ARTIFACT_PUT);
}

static void
enter_artifact(struct app_files *f)
{
	uint64_t left = f->deps->artifact_job_max - f->taken;
	struct app_take_spec spec = { .kind = APP_TAKE_ARTIFACT };

	while (f->item < f->job.spec->artifact_count && !is_wanted(f, artifact_of(f)))
		f->item++;
	if (f->item == f->job.spec->artifact_count) {
		f->item = 0;
		out_step(f, OUT_CACHE);
		return;
	}
	f->artifact_record = (struct artifact){ .job = f->job.job->id,
		.name = (char *)name_of(artifact_of(f)),
		.attempt = f->job.job->attempt,
		.number = (int64_t)f->item };
	f->record_path = file_store_artifact(f->deps->files, &f->artifact_record);
	spec.patterns = &artifact_of(f)->paths;
	spec.path = f->record_path;
	spec.content_max = f->deps->artifact_max < left ? f->deps->artifact_max : left;
	f->take = app_take_start(f->deps->files, f->run, &spec, on_artifact_taken, f);
}

static void
on_artifact_put(void *arg, const struct err *err)
{
	struct app_files *f = arg;
	const struct artifact *a = &f->artifact_record;

	f->op = NULL;
	CRASH_POINT(artifact_recorded);
	if (err != NULL) {
		if (!app_files_is_passing(
			err)) /* else it may be recorded all the same, and the file goes with the build */
			disk_remove_later(file_store_disk(f->deps->files), f->record_path);
		fail_artifact(f, err);
		return;
	}
	app_files_note(f, "artifact %s: %lld file%s, %lld bytes", a->name, (long long)a->files,
	    a->files == 1 ? "" : "s", (long long)a->content);
	next_item(f, OUT_ARTIFACT);
}

static void
enter_artifact_put(struct app_files *f)
{
	unsigned expire_s = artifact_of(f)->expire_s != 0 ? artifact_of(f)->expire_s : f->deps->artifact_expire_s;

	CRASH_POINT(artifact_recording);
	f->op = store_artifact_put(f->deps->store, f->job.job->id, f->job.job->token, &f->artifact_record, expire_s,
	    (int64_t)f->deps->artifact_repo_max, on_artifact_put, f);
	free(f->artifact_record.sha256);
	f->artifact_record.sha256 = NULL;
}

/* --- caches --- */

static void
on_cache_taken(void *arg, const struct app_take_result *result, const struct err *err)
{
	struct app_files *f = arg;
	const char *key = f->caches[f->item].key.data;

	f->take = NULL;
	if (err != NULL || result->size == 0) {
		app_files_note(f, "cache %s: not saved: %s", key, err != NULL ? err->text : "there are no such files");
		next_item(f, OUT_CACHE);
		return;
	}
	f->cache_record.size = (int64_t)result->size;
	out_step(f, OUT_CACHE_PUT);
}

static bool
is_to_save(const struct app_files *f, const struct app_cache *cache)
{
	return f->passed && cache->key.len > 0 && !cache->is_exact && !cache->is_invalid;
}

static void
enter_cache(struct app_files *f)
{
	struct app_take_spec spec = { .kind = APP_TAKE_CACHE, .content_max = f->deps->cache_max };
	char id[33];

	while (f->item < f->job.spec->cache_count && !is_to_save(f, &f->caches[f->item]))
		f->item++;
	if (f->item == f->job.spec->cache_count) {
		out_step(f, OUT_DONE);
		return;
	}
	random_hex(id, 16);
	free(f->cache_record.id);
	f->cache_record = (struct cache){
		.id = xstrdup(id), .repo = f->job.job->repo, .trust = f->trust, .key = f->caches[f->item].key.data
	};
	f->record_path = file_store_cache(f->deps->files, id);
	spec.patterns = &f->job.spec->caches[f->item].paths;
	spec.path = f->record_path;
	f->take = app_take_start(f->deps->files, f->run, &spec, on_cache_taken, f);
}

static void
on_cache_put(void *arg, const struct err *err)
{
	struct app_files *f = arg;
	const char *key = f->cache_record.key;

	f->op = NULL;
	CRASH_POINT(cache_recorded);
	if (err != NULL) {
		app_files_note(f, "cache %s: not saved: %s", key, err->text);
		if (!app_files_is_passing(err))
			disk_remove_later(file_store_disk(f->deps->files), f->record_path);
	} else {
		app_files_note(
		    f, "cache %s: saved, %lld MiB", key, (long long)((f->cache_record.size + (1 << 19)) >> 20));
		f->deps->on_cache(f->deps->arg);
	}
	next_item(f, OUT_CACHE);
}

static void
enter_cache_put(struct app_files *f)
{
	CRASH_POINT(cache_recording);
	f->op = store_cache_put(f->deps->store, &f->cache_record, on_cache_put, f);
}

/* --- the way --- */

static void
enter_done(struct app_files *f)
{
	app_files_end(f, NULL);
}

static void
on_begin(void *arg)
{
	struct app_files *f = arg;

	f->begin = NULL;
	f->item = 0;
	out_step(f, OUT_REPORTS);
}

void
app_files_collect(struct app_files *files, struct builder_run *run, bool passed, app_files_fn *fn, void *arg)
{
	files->run = run;
	files->passed = passed;
	files->fn = fn;
	files->arg = arg;
	timer_start(files->timer, APP_FILES_OUT_MS);
	files->begin = deferred_call(files->deps->loop, on_begin, files);
}
