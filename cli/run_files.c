#include "cli/run_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "proto/tar.h"
#include "server/builder/builder.h"
#include "server/builder/collect.h"

enum { ENTRY_MAX = 64 * 1024, MEMBERS_MAX = 1000000 };

#define BYTES_MAX ((uint64_t)4 << 30)

struct run_files {
	const char *folder;
	const struct plan *plan;
	int *fds; /* of each job's tar; -1: it has none */
	struct docker_piece *pieces;

	/* The collect under way. */
	struct builder_run *run;
	struct collect *collect;
	size_t index;
	size_t artifact;
	bool passed;
	FILE *out;
	uint64_t left; /* bytes of the member that comes */
	uint64_t size;
	run_files_fn *fn;
	void *arg;
};

struct run_files *
run_files_new(const char *folder, const struct plan *plan)
{
	struct run_files *f = xcalloc(1, sizeof(*f));

	*f = (struct run_files){ .folder = folder, .plan = plan };
	f->fds = xcalloc(plan->job_count + 1, sizeof(*f->fds));
	f->pieces = xcalloc(plan->job_count + 1, sizeof(*f->pieces));
	for (size_t i = 0; i < plan->job_count; i++)
		f->fds[i] = -1;
	return f;
}

static void
close_out(struct run_files *f)
{
	if (f->out != NULL)
		fclose(f->out);
	f->out = NULL;
}

void
run_files_free(struct run_files **files)
{
	struct run_files *f = *files;

	*files = NULL;
	if (f == NULL)
		return;
	collect_cancel(&f->collect);
	close_out(f);
	for (size_t i = 0; i < f->plan->job_count; i++)
		if (f->fds[i] >= 0)
			close(f->fds[i]);
	free(f->fds);
	free(f->pieces);
	free(f);
}

/* The tar is written with the program waiting for the disk: nobody else is served here. */
static void
write_entry(struct run_files *f, const struct tar_entry *entry, bool padding)
{
	struct buf front;

	buf_init(&front, ENTRY_MAX);
	if (padding)
		tar_add_padding(&front, f->size);
	else
		tar_add_entry(&front, entry);
	fwrite(front.data, 1, front.len, f->out);
	buf_fini(&front);
}

static void
on_entry(void *arg, const struct tar_entry *entry)
{
	struct run_files *f = arg;

	f->size = f->left = entry->kind == TAR_FILE ? entry->size : 0;
	write_entry(f, entry, false);
}

static void
on_bytes(void *arg, struct str bytes)
{
	struct run_files *f = arg;

	fwrite(bytes.p, 1, bytes.len, f->out);
	f->left -= bytes.len;
	if (f->left == 0)
		write_entry(f, NULL, true);
}

static void next(struct run_files *f);

static void
end(struct run_files *f, const struct err *err)
{
	struct err failure;

	if (err == NULL && f->out != NULL && (ferror(f->out) || fflush(f->out) != 0)) {
		failure = err_errno("%s", f->folder);
		err = &failure;
	}
	close_out(f);
	f->fn(f->arg, err);
}

static void
on_done(void *arg, unsigned missing, const struct err *err)
{
	struct run_files *f = arg;

	(void)missing; /* on the server it is a note as well */
	f->collect = NULL;
	if (err != NULL) {
		end(f, err);
		return;
	}
	f->artifact++;
	next(f);
}

static bool
is_wanted(const struct run_files *f, const struct artifact_spec *artifact)
{
	return artifact->on == RUN_ALWAYS || (artifact->on == RUN_ON_SUCCESS) == f->passed;
}

static void
next(struct run_files *f)
{
	static const struct collect_handler handler = {
		.on_entry = on_entry, .on_bytes = on_bytes, .on_done = on_done
	};
	static const struct collect_limits limits = { MEMBERS_MAX, BYTES_MAX };
	const struct job_spec *job = &f->plan->jobs[f->index];

	while (f->artifact < job->artifact_count && !is_wanted(f, &job->artifacts[f->artifact]))
		f->artifact++;
	if (f->artifact == job->artifact_count)
		end(f, NULL);
	else
		f->collect = builder_collect(f->run, &job->artifacts[f->artifact].paths, &limits, &handler, f);
}

static bool
open_out(struct run_files *f, struct err *err)
{
	char *path = xasprintf("%s/files-%zu.tar", f->folder, f->index);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	f->fds[f->index] = fd;
	f->out = fd >= 0 ? fdopen(dup(fd), "w") : NULL;
	if (f->out == NULL)
		*err = err_errno("%s", path);
	free(path);
	return f->out != NULL;
}

void
run_files_collect(
    struct run_files *files, struct builder_run *run, size_t index, bool passed, run_files_fn *fn, void *arg)
{
	struct err err;

	files->run = run;
	files->index = index;
	files->passed = passed;
	files->artifact = 0;
	files->fn = fn;
	files->arg = arg;
	if (files->plan->jobs[index].artifact_count > 0 && !open_out(files, &err))
		end(files, &err);
	else
		next(files);
}

const struct docker_piece *
run_files_inputs(struct run_files *files, size_t index, size_t *count)
{
	const struct job_spec *job = &files->plan->jobs[index];
	struct stat st;

	*count = 0;
	for (size_t i = 0; i < job->need_count; i++) {
		int fd = files->fds[job->needs[i].job - 1];

		if (job->needs[i].files && fd >= 0 && fstat(fd, &st) == 0)
			files->pieces[(*count)++] = (struct docker_piece){ fd, st.st_size };
	}
	return files->pieces;
}
