#include "server/app_files_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/loop.h"

void
app_files_note(struct app_files *files, const char *fmt, ...)
{
	char text[APP_FILES_NOTE_MAX];
	va_list ap;

	if (files->job.is_left && files->run == NULL)
		return; /* the log has it already */
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	files->job.note(files->job.arg, text);
}

bool
app_files_is_passing(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE || err->code == ERR_TIMEOUT;
}

void
app_files_drop(struct app_files *f)
{
	store_cancel(&f->op);
	git_cancel(&f->git_op);
	disk_cancel(&f->disk_op);
	deferred_cancel(&f->begin);
	artifact_restore_cancel(&f->restore);
	reports_cancel(&f->reports);
	app_take_cancel(&f->take);
	cache_free(&f->found);
	artifact_list_fini(&f->artifacts);
	timer_stop(f->timer);
	free(f->record_path);
	free(f->artifact_record.sha256);
	f->record_path = f->artifact_record.sha256 = NULL;
}

void
app_files_end(struct app_files *files, const struct err *err)
{
	struct err copy = err != NULL ? *err : ERR_OK;
	app_files_fn *fn = files->fn;

	app_files_drop(files);
	files->fn = NULL;
	files->run = NULL;
	fn(files->arg, copy.code != ERR_NONE ? &copy : NULL);
}

static void
on_timeout(void *arg)
{
	struct err err = err_make(ERR_LIMIT, 0, "taking files out of the container took too long");

	app_files_end(arg, &err);
}

/* --- what the job has to do with files --- */

static void
set_trust(struct app_files *f)
{
	const struct change *change = f->job.build->change;

	if (change != NULL && change->trust == CHANGE_TRUSTED)
		snprintf(f->trust, sizeof(f->trust), "%s", CACHE_TRUSTED);
	else
		cache_scope(change, f->trust);
}

struct app_files *
app_files_new(const struct app_files_deps *deps, const struct app_files_job *job)
{
	struct app_files *f = xcalloc(1, sizeof(*f));

	*f = (struct app_files){ .deps = deps, .job = *job };
	f->timer = timer_new(deps->loop, on_timeout, f);
	f->caches = xcalloc(job->spec->cache_count + 1, sizeof(*f->caches));
	for (size_t i = 0; i < job->spec->cache_count; i++) {
		buf_init(&f->caches[i].key, CACHE_KEY_MAX);
		f->caches[i].is_invalid = !cache_paths_are_valid(&job->spec->caches[i].paths);
	}
	set_trust(f);
	return f;
}

void
app_files_free(struct app_files **files)
{
	struct app_files *f = *files;

	if (f == NULL)
		return;
	*files = NULL;
	app_files_drop(f);
	timer_free(&f->timer);
	for (size_t i = 0; i < f->piece_count; i++)
		close(f->pieces[i].fd);
	free(f->pieces);
	for (size_t i = 0; i < f->job.spec->cache_count; i++)
		buf_fini(&f->caches[i].key);
	free(f->caches);
	free(f->cache_record.id);
	report_fini(&f->report);
	free(f);
}

const struct docker_piece *
app_files_pieces(const struct app_files *files, size_t *count)
{
	*count = files->piece_count;
	return files->pieces;
}

void
app_files_stop(struct app_files *files)
{
	app_files_drop(files);
	files->fn = NULL;
	files->run = NULL;
}
