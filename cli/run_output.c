#include "cli/run_output.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "proto/mem.h"

enum { COPY_BYTES = 64 * 1024 };

struct run_pipe {
	struct run_output *output;
	FILE *kept; /* what waits; NULL: nothing does */
	bool is_closed;
	TAILQ_ENTRY(run_pipe) link;
};

struct run_output {
	char *folder;
	TAILQ_HEAD(run_pipes, run_pipe) pipes; /* the first one prints */
	bool has_failed;                       /* a file could not take what waits, and it was said */
};

struct run_output *
run_output_new(const char *folder)
{
	struct run_output *o = xcalloc(1, sizeof(*o));

	o->folder = xstrdup(folder);
	TAILQ_INIT(&o->pipes);
	return o;
}

void
run_output_free(struct run_output **output)
{
	struct run_output *o = *output;

	*output = NULL;
	if (o == NULL)
		return;
	assert(TAILQ_EMPTY(&o->pipes));
	free(o->folder);
	free(o);
}

/* --- what waits --- */

static void
fail(struct run_output *o)
{
	if (!o->has_failed)
		fprintf(
		    stderr, "davit: output of jobs is missing, %s does not take it: %s\n", o->folder, strerror(errno));
	o->has_failed = true;
}

/* A file without a name, gone with its descriptor. */
static FILE *
open_kept(struct run_output *o)
{
	char *path = xasprintf("%s/output-XXXXXX", o->folder);
	int fd = mkostemp(path, O_CLOEXEC);
	FILE *file = fd >= 0 ? fdopen(fd, "w+") : NULL;

	if (fd >= 0)
		unlink(path);
	if (fd >= 0 && file == NULL)
		close(fd);
	free(path);
	return file;
}

static void
keep(struct run_pipe *pipe, struct str text)
{
	if (pipe->kept == NULL)
		pipe->kept = open_kept(pipe->output);
	if (pipe->kept == NULL || fwrite(text.p, 1, text.len, pipe->kept) != text.len)
		fail(pipe->output);
}

static void
print_kept(struct run_pipe *pipe)
{
	char *copy;
	size_t len;

	if (pipe->kept == NULL)
		return;
	copy = xcalloc(1, COPY_BYTES);
	rewind(pipe->kept);
	while ((len = fread(copy, 1, COPY_BYTES, pipe->kept)) > 0)
		fwrite(copy, 1, len, stdout);
	free(copy);
	fclose(pipe->kept);
	pipe->kept = NULL;
}

/* --- pipes --- */

struct run_pipe *
run_pipe_open(struct run_output *output)
{
	struct run_pipe *pipe = xcalloc(1, sizeof(*pipe));

	pipe->output = output;
	TAILQ_INSERT_TAIL(&output->pipes, pipe, link);
	return pipe;
}

void
run_pipe_write(struct run_pipe *pipe, struct str text)
{
	if (pipe != TAILQ_FIRST(&pipe->output->pipes)) {
		keep(pipe, text);
		return;
	}
	fwrite(text.p, 1, text.len, stdout);
	fflush(stdout);
}

void
run_pipe_print(struct run_pipe *pipe, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	run_pipe_write(pipe, str_of(text));
	free(text);
}

void
run_pipe_title(struct run_pipe *pipe, const char *text)
{
	if (isatty(STDOUT_FILENO))
		run_pipe_print(pipe, "\033[2m-- %s\033[0m\n", text);
}

void
run_pipe_close(struct run_pipe **pipe)
{
	struct run_pipe *first = *pipe;
	struct run_output *output;

	*pipe = NULL;
	if (first == NULL)
		return;
	output = first->output;
	first->is_closed = true;
	while ((first = TAILQ_FIRST(&output->pipes)) != NULL && first->is_closed) {
		TAILQ_REMOVE(&output->pipes, first, link);
		free(first);
		first = TAILQ_FIRST(&output->pipes);
		if (first != NULL)
			print_kept(first);
	}
	fflush(stdout);
}
