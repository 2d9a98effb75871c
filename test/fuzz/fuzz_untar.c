/* Any bytes as a tar: the same members whole and in pieces, only names that stay below their folder, as many bytes of
 * a file as its entry says; what is read can be written and read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/tar.h"

enum { MEMBERS_MAX = 100 };

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
check_entry(const struct tar_entry *entry)
{
	must(tar_name_is_safe(str_of(entry->name)));
	must(entry->kind != TAR_HARDLINK || tar_name_is_safe(str_of(entry->link)));
	must((entry->kind == TAR_SYMLINK || entry->kind == TAR_HARDLINK) == (entry->link[0] != '\0'));
	must(entry->kind == TAR_FILE || entry->size == 0);
	must(entry->mtime >= 0 && entry->mode <= 07777);
}

/* Copies what it reads into ret, as an archive. */
static enum untar_next
copy(struct str in, size_t step, struct buf *ret)
{
	struct untar u;
	struct tar_order order;
	enum untar_next next = UNTAR_MORE;
	struct tar_entry entry;
	struct str piece;
	uint64_t left = 0, size = 0;

	untar_init(&u, MEMBERS_MAX);
	tar_order_init(&order);
	while (in.len > 0 && next == UNTAR_MORE) {
		struct str part = { in.p, in.len < step ? in.len : step };

		in = (struct str){ in.p + part.len, in.len - part.len };
		while ((next = untar_next(&u, &part, &entry, &piece)) == UNTAR_ENTRY || next == UNTAR_PIECE) {
			if (next == UNTAR_PIECE) {
				must(piece.len > 0 && piece.len <= left);
				left -= piece.len;
				buf_addstr(ret, piece);
				if (left == 0)
					tar_add_padding(ret, size);
				continue;
			}
			must(left == 0);
			check_entry(&entry);
			tar_order_next(&order, &entry);
			left = size = entry.size;
			if (entry.kind != TAR_OTHER)
				tar_add_entry(ret, &entry);
		}
	}
	must(next != UNTAR_BAD || u.err.code != ERR_NONE);
	must(next != UNTAR_END || left == 0);
	untar_fini(&u);
	tar_order_fini(&order);
	return next;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	struct buf whole, pieces, again;
	enum untar_next next;

	buf_init(&whole, 8 << 20);
	buf_init(&pieces, 8 << 20);
	buf_init(&again, 8 << 20);
	next = copy(in, SIZE_MAX, &whole);
	must(copy(in, 13, &pieces) == next && str_eq(buf_str(&whole), buf_str(&pieces)));
	if (next == UNTAR_END) {
		tar_end(&whole);
		must(copy(buf_str(&whole), SIZE_MAX, &again) == UNTAR_END);
		tar_end(&again);
		must(str_eq(buf_str(&whole), buf_str(&again)));
	}
	buf_fini(&whole);
	buf_fini(&pieces);
	buf_fini(&again);
	return 0;
}
