#include "proto/tar_header.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static void
octal(char *to, size_t size, uint64_t n)
{
	to[size - 1] = '\0';
	for (size_t i = size - 1; i-- > 0; n >>= 3)
		to[i] = (char)('0' + (n & 7));
	assert(n == 0);
}

unsigned
tar_checksum(const struct tar_header *header)
{
	const unsigned char *bytes = (const unsigned char *)header;
	const size_t from = offsetof(struct tar_header, checksum), to = from + sizeof(header->checksum);
	unsigned sum = 0;

	for (size_t i = 0; i < sizeof(*header); i++)
		sum += i >= from && i < to ? ' ' : bytes[i];
	return sum;
}

/* What octal digits cannot say is written as GNU does: a first byte of 0x80, then the number, big-endian. */
static void
number(char *to, size_t size, uint64_t n)
{
	if (n >> (3 * (size - 1)) == 0) {
		octal(to, size, n);
		return;
	}
	for (size_t i = size; i-- > 1; n >>= 8)
		to[i] = (char)(n & 0xff);
	to[0] = (char)0x80;
	assert(n == 0);
}

/* name and link: cut to what the fields hold. */
static bool
add_header(struct buf *b, char type, const struct tar_entry *entry)
{
	struct tar_header h = {
		.type = type, .magic = "ustar", .version = { '0', '0' }, .user = "root", .group = "root"
	};

	assert(entry->name[0] != '/' && entry->mtime >= 0);
	memcpy(h.name, entry->name, strnlen(entry->name, sizeof(h.name)));
	memcpy(h.link, entry->link, strnlen(entry->link, sizeof(h.link)));
	octal(h.mode, sizeof(h.mode), entry->mode & 07777);
	number(h.uid, sizeof(h.uid), entry->uid & 0xffffffff);
	number(h.gid, sizeof(h.gid), entry->gid & 0xffffffff);
	number(h.size, sizeof(h.size), entry->size);
	number(h.mtime, sizeof(h.mtime), (uint64_t)entry->mtime);
	octal(h.major, sizeof(h.major), 0);
	octal(h.minor, sizeof(h.minor), 0);
	octal(h.checksum, sizeof(h.checksum) - 1, tar_checksum(&h)); /* six digits, NUL, blank */
	h.checksum[sizeof(h.checksum) - 1] = ' ';
	return buf_add(b, &h, sizeof(h));
}

bool
tar_add_dir(struct buf *b, const char *name, unsigned mode, int64_t mtime)
{
	struct tar_entry entry = { .kind = TAR_DIR, .name = name, .link = "", .mode = mode, .mtime = mtime };

	return tar_add_entry(b, &entry);
}

bool
tar_add_file(struct buf *b, const char *name, unsigned mode, int64_t mtime, struct str content)
{
	struct tar_entry entry = {
		.kind = TAR_FILE, .name = name, .link = "", .size = content.len, .mode = mode, .mtime = mtime
	};

	return tar_add_entry(b, &entry) && buf_addstr(b, content) && tar_add_padding(b, content.len);
}

/* A text that its field is too small for goes in front, as a member of its own. */
static bool
add_long(struct buf *b, char type, const char *text, size_t field)
{
	size_t len = strlen(text);
	struct tar_entry entry = { .name = "././@LongLink", .link = "", .size = len + 1 };

	return len <= field ||
	       (add_header(b, type, &entry) && buf_add(b, text, len + 1) && tar_add_padding(b, len + 1));
}

bool
tar_add_entry(struct buf *b, const struct tar_entry *entry)
{
	static const char types[] = { [TAR_FILE] = '0', [TAR_DIR] = '5', [TAR_SYMLINK] = '2', [TAR_HARDLINK] = '1' };
	const struct tar_header *h = NULL;

	assert(entry->kind != TAR_OTHER);
	return add_long(b, 'K', entry->link, sizeof(h->link)) && add_long(b, 'L', entry->name, sizeof(h->name)) &&
	       add_header(b, types[entry->kind], entry);
}

bool
tar_add_padding(struct buf *b, uint64_t size)
{
	static const char zeros[TAR_BLOCK];
	size_t rest = size % TAR_BLOCK;

	return buf_add(b, zeros, rest != 0 ? TAR_BLOCK - rest : 0);
}

bool
tar_end(struct buf *b)
{
	static const char zeros[2 * TAR_BLOCK];

	return buf_add(b, zeros, sizeof(zeros));
}

bool
tar_name_is_safe(struct str name)
{
	struct str rest = name;

	if (name.len == 0 || name.len > TAR_NAME_MAX || memchr(name.p, '\0', name.len) != NULL ||
	    name.p[name.len - 1] == '/')
		return false;
	while (rest.len > 0) {
		struct str part = str_cut(&rest, '/');

		if (part.len == 0 || str_is(part, ".") || str_is(part, ".."))
			return false;
	}
	return true;
}

bool
tar_link_is_inside(struct str name, struct str link)
{
	size_t depth = 0;

	for (size_t i = 0; i < name.len; i++)
		depth += name.p[i] == '/';
	if (link.len == 0 || link.p[0] == '/')
		return false;
	while (link.len > 0) {
		struct str part = str_cut(&link, '/');

		if (str_is(part, "..") && depth-- == 0)
			return false;
		depth += part.len > 0 && !str_is(part, ".") && !str_is(part, "..");
	}
	return true;
}
