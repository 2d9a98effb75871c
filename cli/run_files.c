#include "cli/run_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/take.h"
#include "proto/mem.h"

enum { MEMBERS_MAX = 1000000 };

#define BYTES_MAX ((uint64_t)4 << 30)

struct run_files {
	const char *folder;
	const struct plan *plan;
	int *fds; /* of each job's tar; -1: it has none */
	struct docker_piece *pieces;

	/* What is being taken. */
	struct builder_run *run;
	struct take *take;
	size_t index;
	size_t artifact;
	bool passed;
	FILE *out;
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
run_files_stop(struct run_files *f)
{
	take_cancel(&f->take);
	close_out(f);
}

void
run_files_free(struct run_files **files)
{
	struct run_files *f = *files;

	*files = NULL;
	if (f == NULL)
		return;
	run_files_stop(f);
	for (size_t i = 0; i < f->plan->job_count; i++)
		if (f->fds[i] >= 0)
			close(f->fds[i]);
	free(f->fds);
	free(f->pieces);
	free(f);
}

static void next(struct run_files *f);

static void
end(struct run_files *f, const struct err *err)
{
	close_out(f);
	f->fn(f->arg, err);
}

static void
on_taken(void *arg, uint64_t members, const struct err *err)
{
	struct run_files *f = arg;

	(void)members;
	f->take = NULL;
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
	static const struct collect_limits limits = { MEMBERS_MAX, BYTES_MAX };
	const struct job_spec *job = &f->plan->jobs[f->index];

	while (f->artifact < job->artifact_count && !is_wanted(f, &job->artifacts[f->artifact]))
		f->artifact++;
	if (f->artifact == job->artifact_count)
		end(f, NULL);
	else
		f->take = take_start(f->run, &job->artifacts[f->artifact].paths, &limits, f->out, on_taken, f);
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
