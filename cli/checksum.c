#include "cli/checksum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/cache_key.h"
#include "proto/glob.h"
#include "proto/mem.h"
#include "proto/tar.h"

#define TOP "workspace/"

enum { PIECE = 256 * 1024, MEMBERS_MAX = 1000000, CONTENT_MAX = 64 * 1024 * 1024 };

/* git's name of a file's content. */
struct file {
	char *path;
	char id[2 * SHA1_SIZE + 1];
};

struct checksum {
	const char *pattern;
	struct untar untar;
	struct file *files;
	size_t count;
	struct buf content; /* of the last of them, behind git's head */
	uint64_t left;      /* bytes that it lacks */
	bool is_wanted;
};

static void
name_content(struct checksum *c)
{
	unsigned char digest[SHA1_SIZE];
	char *id = c->files[c->count - 1].id;

	sha1(buf_str(&c->content), digest);
	for (size_t i = 0; i < SHA1_SIZE; i++)
		snprintf(id + 2 * i, 3, "%02x", digest[i]);
}

static bool
is_wanted(const struct checksum *c, const struct tar_entry *entry)
{
	return (entry->kind == TAR_FILE || entry->kind == TAR_SYMLINK) && strncmp(entry->name, TOP, strlen(TOP)) == 0 &&
	       strncmp(entry->name, TOP ".git/", strlen(TOP ".git/")) != 0 &&
	       glob_match_path(c->pattern, entry->name + strlen(TOP));
}

static void
take_entry(struct checksum *c, const struct tar_entry *entry)
{
	size_t link = entry->kind == TAR_SYMLINK ? strlen(entry->link) : 0;

	c->is_wanted = is_wanted(c, entry);
	if (!c->is_wanted)
		return;
	c->files = xrealloc(c->files, (c->count + 1) * sizeof(*c->files));
	c->files[c->count++] = (struct file){ .path = xstrdup(entry->name + strlen(TOP)) };
	c->left = entry->kind == TAR_FILE ? entry->size : 0;
	buf_reset(&c->content);
	buf_addf(&c->content, "blob %llu", (unsigned long long)(c->left + link));
	buf_addc(&c->content, '\0');
	buf_add(&c->content, entry->link, link);
	if (c->left == 0)
		name_content(c);
}

static void
take_piece(struct checksum *c, struct str piece)
{
	if (!c->is_wanted)
		return;
	buf_addstr(&c->content, piece);
	c->left -= piece.len;
	if (c->left == 0)
		name_content(c);
}

/* False: it is no good archive, or a file is too large. */
static bool
take(struct checksum *c, struct str bytes, struct err *err)
{
	struct tar_entry entry;
	struct str piece;

	while (bytes.len > 0) {
		switch (untar_next(&c->untar, &bytes, &entry, &piece)) {
		case UNTAR_ENTRY:
			take_entry(c, &entry);
			break;
		case UNTAR_PIECE:
			take_piece(c, piece);
			break;
		case UNTAR_BAD:
			*err = c->untar.err;
			return false;
		case UNTAR_MORE:
		case UNTAR_END:
			return true;
		}
		if (buf_failed(&c->content))
			return err_set(
			    err, ERR_LIMIT, 0, "%.100s: more than %d bytes", c->files[c->count - 1].path, CONTENT_MAX);
	}
	return true;
}

static bool
read_tar(struct checksum *c, const char *tar, struct err *err)
{
	FILE *file = fopen(tar, "re");
	char *piece = xcalloc(1, PIECE);
	bool ok = file != NULL;
	size_t len = 0;

	while (ok && (len = fread(piece, 1, PIECE, file)) > 0)
		ok = take(c, (struct str){ piece, len }, err);
	if (file == NULL || (ok && ferror(file))) {
		*err = err_errno("%s", tar);
		ok = false;
	}
	if (file != NULL)
		fclose(file);
	free(piece);
	return ok;
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

static void
finish(struct checksum *c, char ret[SHA256_HEX_SIZE])
{
	struct digest *hash = digest_new(DIGEST_SHA256);

	qsort(c->files, c->count, sizeof(*c->files), by_path);
	for (size_t i = 0; i < c->count; i++)
		cache_key_add_file(hash, str_of(c->files[i].id), str_of(c->files[i].path));
	digest_finish(&hash, ret);
}

bool
checksum_make(const char *tar, const char *pattern, char ret[SHA256_HEX_SIZE], struct err *err)
{
	struct checksum c = { .pattern = pattern };
	bool ok = glob_check(pattern, err);

	if (!ok)
		return false;
	untar_init(&c.untar, MEMBERS_MAX);
	buf_init(&c.content, CONTENT_MAX);
	ok = read_tar(&c, tar, err);
	if (ok && c.count == 0)
		ok = err_set(err, ERR_NOT_FOUND, 0, "there is no file that fits %.100s", pattern);
	if (ok)
		finish(&c, ret);
	for (size_t i = 0; i < c.count; i++)
		free(c.files[i].path);
	free(c.files);
	buf_fini(&c.content);
	untar_fini(&c.untar);
	return ok;
}
