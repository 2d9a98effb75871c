#include "server/builder/context_source.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/context.h"
#include "proto/mem.h"
#include "proto/tar.h"
#include "server/core/disk.h"
#include "server/io/docker.h"

#define ROOT "workspace"

/* A piece is made of one slice. Of the look, which mostly seeks, a thread does so many at a time. */
enum { SLICE = 64 * 1024, PIECE_MAX = SLICE * CONTEXT_GROWTH, LOOK_SLICES = 64, TAR_END = 2 * TAR_BLOCK };

/* The files that are looked for. */
enum wanted { WANTED_DOCKERFILE, WANTED_IGNORE, WANTED_OWN_IGNORE, WANTED_COUNT };

struct wanted_file {
	char *member; /* "workspace/folder/.dockerignore" */
	struct buf text;
	bool is_there;
};

/* One tar of those that are read as one; the first is the workspace. */
struct part {
	int fd;
	off_t size; /* without the archive's end */
};

/* What a thread works on, and nobody else meanwhile. */
struct work {
	char *tar;
	char *folder;
	char *dockerfile;
	struct part *parts;
	size_t part_count;
	bool is_open;
	size_t part;        /* that is read */
	off_t offset;       /* in it */
	struct untar untar; /* of the look */
	struct wanted_file wanted[WANTED_COUNT];
	struct wanted_file *coming; /* NULL: the member that comes is none of them */
	bool is_looked;
	struct dockerfile parsed;
	struct dockerignore *ignore;
	struct context *context; /* from the look's end on */
	char slice[SLICE];
	struct buf piece;
	bool is_last;
};

struct context_source {
	struct disk *disk;
	struct disk_op *op;
	struct work *work;
	char *told;
	context_looked_fn *looked;
	context_piece_fn *fn;
	void *arg;
};

static void
work_free(void *arg)
{
	struct work *w = arg;

	for (size_t i = 0; i < w->part_count; i++)
		if (w->parts[i].fd >= 0)
			close(w->parts[i].fd);
	for (size_t i = 0; i < WANTED_COUNT; i++) {
		free(w->wanted[i].member);
		buf_fini(&w->wanted[i].text);
	}
	context_free(&w->context);
	dockerignore_free(&w->ignore);
	dockerfile_fini(&w->parsed);
	untar_fini(&w->untar);
	buf_fini(&w->piece);
	free(w->parts);
	free(w->tar);
	free(w->folder);
	free(w->dockerfile);
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

static void
want(struct work *w, enum wanted which, char *member, size_t max)
{
	w->wanted[which].member = member;
	buf_init(&w->wanted[which].text, max + 1);
}

/* The workspace, which is opened in a thread, and descriptors of our own for the rest: the thread may outlive those. */
static void
make_parts(struct work *w, const struct context_source_conf *conf)
{
	w->part_count = 1 + conf->input_count;
	w->parts = xcalloc(w->part_count, sizeof(*w->parts));
	w->parts[0].fd = -1;
	for (size_t i = 0; i < conf->input_count; i++)
		w->parts[1 + i] = (struct part){ fcntl(conf->inputs[i].fd, F_DUPFD_CLOEXEC, 0), conf->inputs[i].size };
}

struct context_source *
context_source_new(const struct context_source_conf *conf)
{
	struct context_source *source = xcalloc(1, sizeof(*source));
	struct work *w = xcalloc(1, sizeof(*w));
	const char *slash = conf->folder[0] != '\0' ? "/" : "";
	struct context *context;

	source->disk = conf->disk;
	source->work = w;
	w->tar = xstrdup(conf->tar);
	w->folder = xstrdup(conf->folder);
	w->dockerfile = xstrdup(conf->dockerfile);
	make_parts(w, conf);
	want(w, WANTED_DOCKERFILE, xasprintf(ROOT "/%s", w->dockerfile), DOCKERFILE_MAX_BYTES);
	want(w, WANTED_IGNORE, xasprintf(ROOT "/%s%s.dockerignore", w->folder, slash), DOCKERIGNORE_MAX_BYTES);
	want(w, WANTED_OWN_IGNORE, xasprintf(ROOT "/%s.dockerignore", w->dockerfile), DOCKERIGNORE_MAX_BYTES);
	untar_init(&w->untar, CONTEXT_MEMBERS_MAX);
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

/* --- in a thread: bytes --- */

static bool
open_workspace(struct work *w, struct err *err)
{
	struct part *part = &w->parts[0];
	struct stat st;

	if (w->is_open)
		return true;
	part->fd = open(w->tar, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (part->fd < 0 || fstat(part->fd, &st) < 0) {
		*err = err_errno("workspace %s", w->tar);
		return false;
	}
	part->size = st.st_size > TAR_END ? st.st_size - TAR_END : 0;
	w->is_open = true;
	return true;
}

/* *ret is empty behind the last part. */
static bool
read_slice(struct work *w, struct str *ret, struct err *err)
{
	const struct part *part;
	ssize_t len;
	off_t left;

	if (!open_workspace(w, err))
		return false;
	*ret = (struct str){ w->slice, 0 };
	while (w->part < w->part_count && w->offset >= w->parts[w->part].size) {
		w->offset -= w->parts[w->part].size; /* further on, where the look has left out what lies there */
		w->part++;
	}
	if (w->part == w->part_count)
		return true;
	part = &w->parts[w->part];
	left = part->size - w->offset;
	len = pread(part->fd, w->slice, left < SLICE ? (size_t)left : SLICE, w->offset);
	if (len < 0) {
		*err = err_errno("workspace %s", w->tar);
		return false;
	}
	if (len == 0)
		return err_set(err, ERR_IO, 0, "workspace %s: it is shorter than it was", w->tar);
	w->offset += len;
	ret->len = (size_t)len;
	return true;
}

/* --- the look --- */

static struct wanted_file *
find_wanted(struct work *w, const struct tar_entry *entry)
{
	for (size_t i = 0; i < WANTED_COUNT; i++)
		if (entry->kind == TAR_FILE && strcmp(entry->name, w->wanted[i].member) == 0)
			return &w->wanted[i];
	return NULL;
}

/* A later part's file takes the place of an earlier one's. */
static void
look_at_member(struct work *w, const struct tar_entry *entry)
{
	w->coming = find_wanted(w, entry);
	if (w->coming == NULL)
		return;
	w->coming->is_there = true;
	buf_reset(&w->coming->text);
}

static bool
look_at(struct work *w, struct str in, struct err *err)
{
	enum untar_next next;
	struct tar_entry entry;
	struct str piece;

	while ((next = untar_next(&w->untar, &in, &entry, &piece)) == UNTAR_ENTRY || next == UNTAR_PIECE)
		if (next == UNTAR_ENTRY)
			look_at_member(w, &entry);
		else if (w->coming != NULL)
			buf_addstr(&w->coming->text, piece);
	if (next == UNTAR_BAD) {
		*err = w->untar.err;
		return false;
	}
	if (w->coming == NULL)
		w->offset += (off_t)untar_skip(&w->untar);
	return true;
}

/* Its name below the workspace, for people. */
static const char *
name_of(const struct wanted_file *file)
{
	return file->member + strlen(ROOT "/");
}

/* From here on members are given. */
static bool
end_look(struct work *w, struct err *err)
{
	const struct wanted_file *dockerfile = &w->wanted[WANTED_DOCKERFILE];
	const struct wanted_file *ignore =
	    &w->wanted[w->wanted[WANTED_OWN_IGNORE].is_there ? WANTED_OWN_IGNORE : WANTED_IGNORE];

	if (!dockerfile->is_there)
		return err_set(err, ERR_INPUT, 0, "there is no %s in this commit", w->dockerfile);
	if (buf_failed(&dockerfile->text))
		return err_set(err, ERR_LIMIT, 0, "%s: larger than %d bytes", w->dockerfile, DOCKERFILE_MAX_BYTES);
	if (buf_failed(&ignore->text))
		return err_set(err, ERR_LIMIT, 0, "%s: larger than %d bytes", name_of(ignore), DOCKERIGNORE_MAX_BYTES);
	if (!dockerfile_parse(buf_str(&dockerfile->text), &w->parsed, err) ||
	    !dockerignore_parse(buf_str(&ignore->text), name_of(ignore), &w->ignore, err))
		return false;
	w->context = make_context(w);
	w->part = 0;
	w->offset = 0;
	w->is_looked = true;
	return true;
}

static void
run_look(void *arg, struct err *err)
{
	struct work *w = arg;
	struct str in;

	for (unsigned i = 0; i < LOOK_SLICES && !w->is_looked; i++) {
		if (!read_slice(w, &in, err))
			return;
		if (in.len == 0 ? !end_look(w, err) : !look_at(w, in, err))
			return;
	}
}

/* --- members --- */

/* One slice, whatever comes of it. */
static void
run(void *arg, struct err *err)
{
	struct work *w = arg;
	struct str in;

	buf_reset(&w->piece);
	if (!read_slice(w, &in, err))
		return;
	w->is_last = in.len == 0;
	if (w->is_last)
		context_finish(w->context, err);
	else if (context_feed(w->context, in, &w->piece, err))
		w->offset += (off_t)context_skip(w->context);
}

/* --- in the loop --- */

static void
on_look(void *arg, const struct err *err)
{
	struct context_source *s = arg;

	s->op = NULL;
	if (err == NULL && !s->work->is_looked)
		s->op = disk_call(s->disk, run_look, work_free, s->work, on_look, s);
	else
		s->looked(s->arg, err == NULL ? &s->work->parsed : NULL, err);
}

void
context_source_look(struct context_source *source, context_looked_fn *fn, void *arg)
{
	assert(source->op == NULL);
	source->looked = fn;
	source->arg = arg;
	source->op = disk_call(source->disk, run_look, work_free, source->work, on_look, source);
}

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
	assert(source->op == NULL && source->work->is_looked);
	source->fn = fn;
	source->arg = arg;
	start(source);
}

bool
context_source_has_more(const struct context_source *source)
{
	return source->op == NULL && source->work->is_looked && !source->work->is_last;
}
