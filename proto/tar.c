#include "proto/tar.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Numbers are octal digits with a NUL behind them. */
struct header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6];
	char version[2];
	char user[32];
	char group[32];
	char major[8];
	char minor[8];
	char prefix[155];
	char padding[12];
};

_Static_assert(sizeof(struct header) == TAR_BLOCK, "a ustar header is one block");

static void
octal(char *to, size_t size, uint64_t n)
{
	to[size - 1] = '\0';
	for (size_t i = size - 1; i-- > 0; n >>= 3)
		to[i] = (char)('0' + (n & 7));
	assert(n == 0);
}

/* The sum of all bytes, its own field counted as blanks: six digits, NUL, blank. */
static void
add_checksum(struct header *h)
{
	const unsigned char *bytes = (const unsigned char *)h;
	unsigned sum = 0;

	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += bytes[i];
	octal(h->checksum, sizeof(h->checksum) - 1, sum);
}

static bool
add_header(struct buf *b, const char *name, char type, unsigned mode, int64_t mtime, size_t size)
{
	struct header h = { .type = type, .magic = "ustar", .version = { '0', '0' }, .user = "root", .group = "root" };

	assert(strlen(name) <= sizeof(h.name) && name[0] != '/' && mtime >= 0);
	memcpy(h.name, name, strlen(name));
	octal(h.mode, sizeof(h.mode), mode);
	octal(h.uid, sizeof(h.uid), 0);
	octal(h.gid, sizeof(h.gid), 0);
	octal(h.size, sizeof(h.size), size);
	octal(h.mtime, sizeof(h.mtime), (uint64_t)mtime);
	octal(h.major, sizeof(h.major), 0);
	octal(h.minor, sizeof(h.minor), 0);
	add_checksum(&h);
	return buf_add(b, &h, sizeof(h));
}

bool
tar_add_dir(struct buf *b, const char *name, unsigned mode, int64_t mtime)
{
	return add_header(b, name, '5', mode, mtime, 0);
}

bool
tar_add_file(struct buf *b, const char *name, unsigned mode, int64_t mtime, struct str content)
{
	static const char zeros[TAR_BLOCK];
	size_t rest = content.len % TAR_BLOCK;

	return add_header(b, name, '0', mode, mtime, content.len) && buf_addstr(b, content) &&
	       buf_add(b, zeros, rest != 0 ? TAR_BLOCK - rest : 0);
}

bool
tar_end(struct buf *b)
{
	static const char zeros[2 * TAR_BLOCK];

	return buf_add(b, zeros, sizeof(zeros));
}
