#include "server/store/artifact_tar.h"

#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "proto/tar.h"
#include "server/store/file_store.h"
#include "server/store/pack.h"

enum { MEMBERS_MAX = 4 * 1000 * 1000, HEADER_MAX = 8 * TAR_NAME_MAX };

/* --- the whole --- */

struct artifact_restore {
	struct unpack *unpack;
	struct pack *pack;
	struct untar untar;
	char *prefix;
	char *name; /* of the file, for texts */
	struct buf header, member, link;
	uint64_t size, left; /* of the member whose bytes come */
	bool has_ended;      /* the archive */
	artifact_restore_fn *fn;
	void *arg;
};

void
artifact_restore_cancel(struct artifact_restore **restore)
{
	struct artifact_restore *r = *restore;

	if (r == NULL)
		return;
	*restore = NULL;
	unpack_close(&r->unpack);
	pack_abort(&r->pack);
	untar_fini(&r->untar);
	buf_fini(&r->header);
	buf_fini(&r->member);
	buf_fini(&r->link);
	free(r->prefix);
	free(r->name);
	free(r);
}

static void
restore_end(struct artifact_restore *r, int64_t size, const struct err *err)
{
	artifact_restore_fn *fn = r->fn;
	int fd = err == NULL ? pack_fd(r->pack) : -1;
	struct err failure;
	void *arg = r->arg;

	if (err == NULL && fd < 0) {
		failure = err_errno("%s", r->name);
		err = &failure;
	}
	artifact_restore_cancel(&r);
	fn(arg, fd, size, err);
}

static void
write_entry(struct artifact_restore *r, struct tar_entry entry)
{
	buf_reset(&r->member);
	buf_addf(&r->member, "%s%s", r->prefix, entry.name);
	entry.name = r->member.data;
	if (entry.kind == TAR_HARDLINK) {
		buf_reset(&r->link);
		buf_addf(&r->link, "%s%s", r->prefix, entry.link);
		entry.link = r->link.data;
	}
	buf_reset(&r->header);
	tar_add_entry(&r->header, &entry);
	pack_write(r->pack, buf_str(&r->header));
	r->size = r->left = entry.size;
}

static void
write_piece(struct artifact_restore *r, struct str piece)
{
	pack_write(r->pack, piece);
	r->left -= piece.len;
	if (r->left > 0)
		return;
	buf_reset(&r->header);
	tar_add_padding(&r->header, r->size);
	pack_write(r->pack, buf_str(&r->header));
}

static bool
take(struct artifact_restore *r, struct str in, struct err *err)
{
	struct tar_entry entry;
	enum untar_next next;
	struct str piece;

	while ((next = untar_next(&r->untar, &in, &entry, &piece)) == UNTAR_ENTRY || next == UNTAR_PIECE) {
		if (next == UNTAR_PIECE)
			write_piece(r, piece);
		else if (entry.kind != TAR_OTHER)
			write_entry(r, entry);
	}
	r->has_ended = r->has_ended || next == UNTAR_END;
	if (next == UNTAR_BAD)
		*err = err_prefix(r->untar.err, "%s", r->name);
	return next != UNTAR_BAD;
}

static void
on_restored(void *arg, const struct pack_result *result, const struct err *err)
{
	restore_end(arg, err == NULL ? (int64_t)result->size : 0, err);
}

static void
on_unpacked(void *arg, struct str bytes, const struct err *err)
{
	struct artifact_restore *r = arg;
	struct err failure;

	if (err != NULL) {
		restore_end(r, 0, err);
	} else if (bytes.len == 0 && !r->has_ended) {
		failure = err_make(ERR_PROTO, 0, "%s is cut off", r->name);
		restore_end(r, 0, &failure);
	} else if (bytes.len == 0) {
		pack_finish(r->pack, on_restored, r);
	} else if (!take(r, bytes, &failure)) {
		restore_end(r, 0, &failure);
	} else if (!pack_is_full(r->pack)) {
		unpack_next(r->unpack, on_unpacked, r);
	}
}

static void
on_room(void *arg, const struct err *err)
{
	struct artifact_restore *r = arg;

	if (err != NULL)
		restore_end(r, 0, err);
	else
		unpack_next(r->unpack, on_unpacked, r);
}

struct artifact_restore *
artifact_restore_start(
    struct file_store *files, const char *path, const char *prefix, artifact_restore_fn *fn, void *arg)
{
	struct artifact_restore *r = xcalloc(1, sizeof(*r));
	char *temp = file_store_incoming(files);

	*r = (struct artifact_restore){ .fn = fn, .arg = arg };
	r->prefix = xstrdup(prefix);
	r->name = xstrdup(path);
	untar_init(&r->untar, MEMBERS_MAX);
	buf_init(&r->header, HEADER_MAX);
	buf_init(&r->member, 2 * TAR_NAME_MAX);
	buf_init(&r->link, 2 * TAR_NAME_MAX);
	r->unpack = unpack_open(file_store_disk(files), path, PACK_ZSTD);
	r->pack = pack_open(file_store_disk(files), temp, NULL, PACK_PLAIN, on_room, r);
	unpack_next(r->unpack, on_unpacked, r);
	free(temp);
	return r;
}

/* --- one file --- */

struct artifact_file {
	struct unpack *unpack;
	struct untar untar;
	char *name;
	struct str in; /* what was unpacked and not looked at */
	bool is_found;
	uint64_t left; /* of the file */
	artifact_file_fn *fn;
	void *arg;
};

/* Through what was unpacked, up to the file's beginning. False: it is damaged. */
static bool
look_for(struct artifact_file *f, struct err *err)
{
	enum untar_next next = UNTAR_MORE;
	struct tar_entry entry;
	struct str piece;

	while (f->in.len > 0 && !f->is_found && next != UNTAR_BAD) {
		next = untar_next(&f->untar, &f->in, &entry, &piece);
		f->is_found = next == UNTAR_ENTRY && entry.kind == TAR_FILE && strcmp(entry.name, f->name) == 0;
		f->left = f->is_found ? entry.size : 0;
	}
	if (next == UNTAR_BAD)
		*err = f->untar.err;
	return next != UNTAR_BAD;
}

static void
on_part(void *arg, struct str bytes, const struct err *err)
{
	struct artifact_file *f = arg;
	struct err failure;

	f->in = bytes;
	if (err == NULL && bytes.len == 0) {
		failure = f->is_found ? err_make(ERR_PROTO, 0, "the artifact is cut off")
				      : err_make(ERR_NOT_FOUND, 0, "there is no file %.200s in it", f->name);
		err = &failure;
	} else if (err == NULL && !f->is_found && !look_for(f, &failure)) {
		err = &failure;
	}
	if (err == NULL && !f->is_found)
		unpack_next(f->unpack, on_part, f);
	else
		f->fn(f->arg, err);
}

struct artifact_file *
artifact_file_open(struct file_store *files, const char *path, const char *name)
{
	struct artifact_file *f = xcalloc(1, sizeof(*f));

	f->name = xstrdup(name);
	untar_init(&f->untar, MEMBERS_MAX);
	f->unpack = unpack_open(file_store_disk(files), path, PACK_ZSTD);
	return f;
}

void
artifact_file_wait(struct artifact_file *file, artifact_file_fn *fn, void *arg)
{
	file->fn = fn;
	file->arg = arg;
	unpack_next(file->unpack, on_part, file);
}

uint64_t
artifact_file_left(const struct artifact_file *file)
{
	return file->left;
}

struct str
artifact_file_read(struct artifact_file *file)
{
	struct str piece = { "", 0 };
	struct tar_entry entry;

	if (file->left == 0 || file->in.len == 0 || untar_next(&file->untar, &file->in, &entry, &piece) != UNTAR_PIECE)
		return (struct str){ "", 0 };
	file->left -= piece.len;
	return piece;
}

void
artifact_file_close(struct artifact_file **file)
{
	struct artifact_file *f = *file;

	if (f == NULL)
		return;
	*file = NULL;
	unpack_close(&f->unpack);
	untar_fini(&f->untar);
	free(f->name);
	free(f);
}
