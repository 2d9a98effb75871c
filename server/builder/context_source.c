#include "server/builder/context_source.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/context.h"
#include "proto/mem.h"
#include "proto/tar.h"
#include "server/core/disk.h"

#define ROOT "workspace"

enum { SLICE = 64 * 1024, PIECE_MAX = SLICE * CONTEXT_GROWTH };

/* What a thread works on, and nobody else meanwhile. */
struct work {
	char *tar;
	char *folder;
	char *dockerfile;
	char *ignore_name; /* of the member: "workspace/folder/.dockerignore" */
	int fd;            /* -1: not opened yet */
	off_t offset;
	struct dockerignore *ignore; /* NULL: it is still looked for */
	struct untar untar;          /* while it is */
	struct buf ignore_text;
	bool is_ignore; /* the member that comes */
	struct context *context;
	char slice[SLICE];
	struct buf piece;
	bool is_last;
};

struct context_source {
	struct disk *disk;
	struct disk_op *op;
	struct work *work;
	char *told;
	context_piece_fn *fn;
	void *arg;
};

static void
work_free(void *arg)
{
	struct work *w = arg;

	if (w->fd >= 0)
		close(w->fd);
	context_free(&w->context);
	dockerignore_free(&w->ignore);
	untar_fini(&w->untar);
	buf_fini(&w->ignore_text);
	buf_fini(&w->piece);
	free(w->tar);
	free(w->folder);
	free(w->dockerfile);
	free(w->ignore_name);
	free(w);
}

static struct context *
make_context(const struct work *w)
{
	struct context_conf conf = {
		.root = ROOT, .folder = w->folder, .dockerfile = w->dockerfile, .ignore = w->ignore
	};

	return context_new(&conf);
}

struct context_source *
context_source_new(struct disk *disk, const char *tar, const char *folder, const char *dockerfile)
{
	struct context_source *source = xcalloc(1, sizeof(*source));
	struct work *w = xcalloc(1, sizeof(*w));
	struct context *context;

	source->disk = disk;
	source->work = w;
	w->tar = xstrdup(tar);
	w->folder = xstrdup(folder);
	w->dockerfile = xstrdup(dockerfile);
	w->ignore_name = xasprintf(ROOT "/%s%s.dockerignore", folder, folder[0] != '\0' ? "/" : "");
	w->fd = -1;
	untar_init(&w->untar, CONTEXT_MEMBERS_MAX);
	buf_init(&w->ignore_text, DOCKERIGNORE_MAX_BYTES + 1);
	buf_init(&w->piece, PIECE_MAX);
	context = make_context(w);
	source->told = xstrdup(context_dockerfile(context));
	context_free(&context);
	return source;
}

void
context_source_free(struct context_source **source)
{
	struct context_source *s = *source;

	*source = NULL;
	if (s == NULL)
		return;
	if (s->op != NULL)
		disk_cancel(&s->op); /* which keeps the work until no thread has it */
	else
		work_free(s->work);
	free(s->told);
	free(s);
}

const char *
context_source_dockerfile(const struct context_source *source)
{
	return source->told;
}

/* --- in a thread --- */

/* *ret is empty at the file's end. */
static bool
read_slice(struct work *w, struct str *ret, struct err *err)
{
	ssize_t len;

	if (w->fd < 0)
		w->fd = open(w->tar, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	len = w->fd >= 0 ? pread(w->fd, w->slice, sizeof(w->slice), w->offset) : -1;
	if (len < 0) {
		*err = err_errno("workspace %s", w->tar);
		return false;
	}
	w->offset += len;
	*ret = (struct str){ w->slice, (size_t)len };
	return true;
}

/* The text is known, or that there is none: from here on members are given. */
static bool
found_ignore(struct work *w, struct err *err)
{
	if (!dockerignore_parse(buf_str(&w->ignore_text), w->ignore_name + strlen(ROOT "/"), &w->ignore, err))
		return false;
	w->context = make_context(w);
	w->offset = 0;
	return true;
}

static bool
look_for_ignore(struct work *w, struct str in, struct err *err)
{
	enum untar_next next = UNTAR_END;
	struct tar_entry entry;
	struct str piece;

	while (
	    in.len > 0 && ((next = untar_next(&w->untar, &in, &entry, &piece)) == UNTAR_ENTRY || next == UNTAR_PIECE)) {
		if (next == UNTAR_ENTRY && w->is_ignore)
			return found_ignore(w, err);
		if (next == UNTAR_ENTRY)
			w->is_ignore = entry.kind == TAR_FILE && strcmp(entry.name, w->ignore_name) == 0;
		else if (w->is_ignore)
			buf_addstr(&w->ignore_text, piece);
	}
	if (next == UNTAR_BAD) {
		*err = w->untar.err;
		return false;
	}
	return next != UNTAR_END || found_ignore(w, err);
}

static bool
give_members(struct work *w, struct str in, struct err *err)
{
	w->is_last = in.len == 0;
	return w->is_last ? context_finish(w->context, err) : context_feed(w->context, in, &w->piece, err);
}

/* One slice, whatever comes of it. */
static void
run(void *arg, struct err *err)
{
	struct work *w = arg;
	struct str in;

	buf_reset(&w->piece);
	if (read_slice(w, &in, err) && w->ignore == NULL)
		look_for_ignore(w, in, err);
	else if (err->code == ERR_NONE)
		give_members(w, in, err);
}

/* --- in the loop --- */

static void on_slice(void *arg, const struct err *err);

static void
start(struct context_source *s)
{
	s->op = disk_call(s->disk, run, work_free, s->work, on_slice, s);
}

static void
on_slice(void *arg, const struct err *err)
{
	struct context_source *s = arg;
	struct work *w = s->work;

	s->op = NULL;
	if (err == NULL && !w->is_last && w->piece.len == 0)
		start(s); /* nothing of this slice is taken */
	else
		s->fn(s->arg, buf_str(&w->piece), w->is_last, err);
}

void
context_source_next(struct context_source *source, context_piece_fn *fn, void *arg)
{
	assert(source->op == NULL);
	source->fn = fn;
	source->arg = arg;
	start(source);
}

bool
context_source_is_busy(const struct context_source *source)
{
	return source->op != NULL;
}
