#include "cli/run_files.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/run_output.h"
#include "cli/take.h"
#include "proto/mem.h"
#include "server/core/loop.h"

enum { MEMBERS_MAX = 1000000 };

#define BYTES_MAX ((uint64_t)4 << 30)

/* What a job has left. */
struct left {
	int fd;            /* of the tar; -1: there is none */
	uint64_t *members; /* of each of its artifacts; 0: not taken */
};

struct run_files {
	struct loop *loop;
	const char *folder;
	const struct plan *plan;
	struct left *left; /* by the plan's jobs */
};

/* One job's, being taken. */
struct run_files_op {
	const struct job_spec *job;
	struct left *left;
	struct builder_run *run;
	struct run_pipe *pipe;
	bool passed;
	size_t artifact;
	FILE *out;
	struct take *take;
	struct deferred *begin;
	struct err err;
	run_files_fn *fn;
	void *arg;
};

struct run_files *
run_files_new(struct loop *loop, const char *folder, const struct plan *plan)
{
	struct run_files *f = xcalloc(1, sizeof(*f));

	*f = (struct run_files){ .loop = loop, .folder = folder, .plan = plan };
	f->left = xcalloc(plan->job_count + 1, sizeof(*f->left));
	for (size_t i = 0; i < plan->job_count; i++)
		f->left[i].fd = -1;
	return f;
}

static void
forget(struct left *left)
{
	if (left->fd >= 0)
		close(left->fd);
	free(left->members);
	*left = (struct left){ .fd = -1 };
}

void
run_files_free(struct run_files **files)
{
	struct run_files *f = *files;

	*files = NULL;
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->plan->job_count; i++)
		forget(&f->left[i]);
	free(f->left);
	free(f);
}

static const char *
name_of(const struct artifact_spec *artifact)
{
	return artifact->name != NULL ? artifact->name : "artifacts";
}

/* --- what goes in --- */

static void
say_handed(const struct job_spec *from, const struct left *left, struct run_pipe *pipe)
{
	for (size_t i = 0; i < from->artifact_count; i++)
		if (left->members[i] > 0)
			run_pipe_print(pipe, "davit: artifact %s of %s: %" PRIu64 " file%s\n",
			    name_of(&from->artifacts[i]), from->name, left->members[i],
			    left->members[i] == 1 ? "" : "s");
}

struct docker_piece *
run_files_inputs(struct run_files *files, size_t index, struct run_pipe *pipe, size_t *count)
{
	const struct job_spec *job = &files->plan->jobs[index];
	struct docker_piece *pieces = xcalloc(job->need_count + 1, sizeof(*pieces));
	struct stat st;

	*count = 0;
	for (size_t i = 0; i < job->need_count; i++) {
		const struct left *left = &files->left[job->needs[i].job - 1];

		if (!job->needs[i].files || left->fd < 0 || fstat(left->fd, &st) != 0)
			continue;
		say_handed(&files->plan->jobs[job->needs[i].job - 1], left, pipe);
		pieces[(*count)++] = (struct docker_piece){ left->fd, st.st_size };
	}
	return pieces;
}

/* --- what comes out --- */

void
run_files_cancel(struct run_files_op **op)
{
	struct run_files_op *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	take_cancel(&o->take);
	deferred_cancel(&o->begin);
	if (o->out != NULL)
		fclose(o->out);
	free(o);
}

static void
end(struct run_files_op *op)
{
	struct run_files_op ended = *op;

	run_files_cancel(&op);
	ended.fn(ended.arg, ended.err.code != ERR_NONE ? &ended.err : NULL);
}

static void
say_taken(struct run_files_op *op, const struct take_result *result)
{
	const char *name = name_of(&op->job->artifacts[op->artifact]);

	if (result->left_out > 0)
		run_pipe_print(op->pipe,
		    "davit: artifact %s: %" PRIu64 " links are left out, they lead out of the workspace\n", name,
		    result->left_out);
	if (result->members == 0)
		run_pipe_print(op->pipe, "davit: artifact %s: there are no such files\n", name);
	else
		run_pipe_print(op->pipe, "davit: artifact %s: %" PRIu64 " file%s, %" PRIu64 " bytes\n", name,
		    result->members, result->members == 1 ? "" : "s", result->bytes);
}

static void next(struct run_files_op *op);

static void
on_taken(void *arg, const struct take_result *result, const struct err *err)
{
	struct run_files_op *op = arg;

	op->take = NULL;
	if (err != NULL) {
		op->err = err_prefix(*err, "artifact %.60s", name_of(&op->job->artifacts[op->artifact]));
		end(op);
		return;
	}
	op->left->members[op->artifact] = result->members;
	say_taken(op, result);
	op->artifact++;
	next(op);
}

static bool
is_wanted(const struct run_files_op *op, const struct artifact_spec *artifact)
{
	return artifact->on == RUN_ALWAYS || (artifact->on == RUN_ON_SUCCESS) == op->passed;
}

static void
next(struct run_files_op *op)
{
	static const struct collect_limits limits = { MEMBERS_MAX, BYTES_MAX };
	const struct job_spec *job = op->job;

	while (op->artifact < job->artifact_count && !is_wanted(op, &job->artifacts[op->artifact]))
		op->artifact++;
	if (op->artifact == job->artifact_count)
		end(op);
	else
		op->take = take_start(
		    op->run, TAKE_ARTIFACT, &job->artifacts[op->artifact].paths, &limits, op->out, on_taken, op);
}

static void
on_begin(void *arg)
{
	struct run_files_op *op = arg;

	op->begin = NULL;
	if (op->err.code != ERR_NONE)
		end(op);
	else
		next(op);
}

/* Anew for each attempt. */
static FILE *
open_out(const struct run_files *f, const struct job_spec *job, struct left *left, struct err *err)
{
	char *path = xasprintf("%s/files-XXXXXX", f->folder);
	FILE *out;

	forget(left);
	left->members = xcalloc(job->artifact_count, sizeof(*left->members));
	left->fd = mkostemp(path, O_CLOEXEC);
	out = left->fd >= 0 ? fdopen(dup(left->fd), "w") : NULL;
	if (out == NULL)
		*err = err_errno("%s", path);
	free(path);
	return out;
}

struct run_files_op *
run_files_collect(struct run_files *files, struct builder_run *run, size_t index, bool passed, struct run_pipe *pipe,
    run_files_fn *fn, void *arg)
{
	struct run_files_op *op = xcalloc(1, sizeof(*op));

	*op = (struct run_files_op){ .job = &files->plan->jobs[index],
		.left = &files->left[index],
		.run = run,
		.pipe = pipe,
		.passed = passed,
		.fn = fn,
		.arg = arg };
	if (op->job->artifact_count > 0)
		op->out = open_out(files, op->job, op->left, &op->err);
	op->begin = deferred_call(files->loop, on_begin, op);
	return op;
}
