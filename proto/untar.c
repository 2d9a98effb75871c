#include <string.h>

#include "proto/tar_header.h"

enum {
	META_MAX = 64 * 1024, /* of a member that describes the next one */
	ID_MAX = 0x7fffffff
};

static enum untar_next
bad(struct untar *u, enum err_code code, const char *text)
{
	u->err = err_make(code, 0, "archive: %s", text);
	u->state = UNTAR_ENDED;
	return UNTAR_BAD;
}

void
untar_init(struct untar *u, uint64_t members_max)
{
	*u = (struct untar){ .members_max = members_max };
	buf_init(&u->meta, META_MAX);
	buf_init(&u->name, TAR_NAME_MAX + 1);
	buf_init(&u->link, TAR_NAME_MAX + 1);
}

void
untar_fini(struct untar *u)
{
	buf_fini(&u->meta);
	buf_fini(&u->name);
	buf_fini(&u->link);
}

bool
untar_at_boundary(const struct untar *u)
{
	return u->state == UNTAR_ENDED ||
	       (u->state == UNTAR_HEADER && u->block_len == 0 && !u->has_name && !u->has_link);
}

/* --- fields --- */

static bool
is_zero(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != '\0')
			return false;
	return true;
}

/* Octal digits between blanks and NULs, or GNU's big-endian form. */
static bool
read_number(const char *field, size_t size, uint64_t *ret)
{
	uint64_t n = 0;
	size_t i = 0;

	if ((unsigned char)field[0] == 0x80) {
		for (i = 1; i < size; i++) {
			if (n >> 55 != 0)
				return false;
			n = n << 8 | (unsigned char)field[i];
		}
		*ret = n;
		return true;
	}
	while (i < size && field[i] == ' ')
		i++;
	for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
		n = n << 3 | (uint64_t)(field[i] - '0'); /* at most 12 digits */
	while (i < size && (field[i] == ' ' || field[i] == '\0'))
		i++;
	*ret = n;
	return i == size;
}

static struct str
field_text(const char *field, size_t size)
{
	return (struct str){ field, strnlen(field, size) };
}

static void
set_text(struct buf *b, struct str text)
{
	buf_reset(b);
	buf_addstr(b, text);
}

/* --- members that describe the next one --- */

/* "LENGTH NAME=VALUE\n", the length that of the whole record. */
static bool
cut_record(struct str *rest, struct str *name, struct str *value)
{
	const char *blank = memchr(rest->p, ' ', rest->len < 20 ? rest->len : 20);
	uint64_t len;
	size_t digits;

	if (blank == NULL)
		return false;
	digits = (size_t)(blank - rest->p);
	if (!str_to_u64((struct str){ rest->p, digits }, rest->len, &len) || len < digits + 3 ||
	    rest->p[len - 1] != '\n')
		return false;
	*value = (struct str){ blank + 1, (size_t)len - digits - 2 };
	if (memchr(value->p, '=', value->len) == NULL)
		return false;
	*name = str_cut(value, '=');
	*rest = (struct str){ rest->p + len, rest->len - (size_t)len };
	return true;
}

static bool
take_record(struct untar *u, struct str name, struct str value)
{
	if (str_is(name, "path")) {
		set_text(&u->name, value);
		u->has_name = true;
	} else if (str_is(name, "linkpath")) {
		set_text(&u->link, value);
		u->has_link = true;
	} else if (str_is(name, "size")) {
		u->has_size = true;
		return str_to_u64(value, INT64_MAX, &u->size);
	} else if (str_is(name, "uid")) {
		u->has_uid = true;
		return str_to_u64(value, ID_MAX, &u->uid);
	} else if (str_is(name, "gid")) {
		u->has_gid = true;
		return str_to_u64(value, ID_MAX, &u->gid);
	} else if (str_has_prefix(name, "GNU.sparse.")) {
		u->is_sparse = true;
	}
	return true;
}

/* Without the NUL that GNU's forms end with. */
static struct str
without_nul(struct str text)
{
	if (text.len > 0 && text.p[text.len - 1] == '\0')
		text.len--;
	return text;
}

static bool
take_meta(struct untar *u)
{
	struct str rest = buf_str(&u->meta), name, value;

	switch (u->meta_type) {
	case 'L':
		return take_record(u, STR("path"), without_nul(rest));
	case 'K':
		return take_record(u, STR("linkpath"), without_nul(rest));
	case 'x':
		while (rest.len > 0)
			if (!cut_record(&rest, &name, &value) || !take_record(u, name, value))
				return false;
		return true;
	default:
		return true; /* g: nothing in it is about one member */
	}
}

/* --- headers --- */

static enum tar_kind
kind_of(const struct untar *u, char type)
{
	switch (type) {
	case '0':
	case '\0':
	case '7':
		return u->is_sparse ? TAR_OTHER : TAR_FILE;
	case '5':
		return TAR_DIR;
	case '2':
		return TAR_SYMLINK;
	case '1':
		return TAR_HARDLINK;
	default:
		return TAR_OTHER;
	}
}

static void
set_names(struct untar *u, const struct tar_header *h)
{
	if (!u->has_name && memcmp(h->magic, "ustar", 6) == 0 && h->prefix[0] != '\0') {
		set_text(&u->name, field_text(h->prefix, sizeof(h->prefix)));
		buf_addc(&u->name, '/');
		buf_addstr(&u->name, field_text(h->name, sizeof(h->name)));
	} else if (!u->has_name) {
		set_text(&u->name, field_text(h->name, sizeof(h->name)));
	}
	if (!u->has_link)
		set_text(&u->link, field_text(h->link, sizeof(h->link)));
	while (str_has_prefix(buf_str(&u->name), "./"))
		buf_shift(&u->name, 2);
	while (u->name.len > 1 && u->name.data[u->name.len - 1] == '/')
		u->name.data[--u->name.len] = '\0';
}

static void
forget_meta(struct untar *u)
{
	u->has_name = u->has_link = u->has_size = u->has_uid = u->has_gid = u->is_sparse = false;
}

/* The rest of a member begins. */
static void
begin_content(struct untar *u, enum untar_state state, uint64_t size)
{
	u->left = size;
	u->padding = (unsigned)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
	u->state = size > 0 ? state : UNTAR_HEADER;
}

static enum untar_next
take_meta_header(struct untar *u, char type, uint64_t size)
{
	if (size > META_MAX)
		return bad(u, ERR_LIMIT, "a name is too long");
	u->meta_type = type;
	buf_reset(&u->meta);
	begin_content(u, UNTAR_META, size);
	return UNTAR_MORE;
}

/* Texts of the entry are u's. */
static bool
fill_entry(struct untar *u, const struct tar_header *h, struct tar_entry *entry)
{
	uint64_t mode, mtime;

	set_names(u, h);
	*entry = (struct tar_entry){ .kind = kind_of(u, h->type), .name = u->name.data, .link = "", .size = u->size };
	if (!read_number(h->mode, sizeof(h->mode), &mode) ||
	    (!u->has_uid && !read_number(h->uid, sizeof(h->uid), &u->uid)) ||
	    (!u->has_gid && !read_number(h->gid, sizeof(h->gid), &u->gid)))
		return false;
	entry->mode = (unsigned)(mode & 07777);
	entry->uid = u->uid <= ID_MAX ? u->uid : 0;
	entry->gid = u->gid <= ID_MAX ? u->gid : 0;
	entry->mtime = read_number(h->mtime, sizeof(h->mtime), &mtime) && mtime <= INT32_MAX ? (int64_t)mtime : 0;
	if (entry->kind == TAR_SYMLINK || entry->kind == TAR_HARDLINK)
		entry->link = u->link.data;
	return true;
}

static enum untar_next
check_entry(struct untar *u, const struct tar_entry *entry)
{
	struct str link = buf_str(&u->link);

	if (buf_failed(&u->name) || buf_failed(&u->link))
		return bad(u, ERR_LIMIT, "a name is too long");
	if (!tar_name_is_safe(buf_str(&u->name)))
		return bad(u, ERR_PROTO, "a name is absolute, or leads out of its folder");
	if (entry->kind == TAR_HARDLINK && !tar_name_is_safe(link))
		return bad(u, ERR_PROTO, "a hard link leads out of its folder");
	if (entry->kind == TAR_SYMLINK && (link.len == 0 || memchr(link.p, '\0', link.len) != NULL))
		return bad(u, ERR_PROTO, "a symbolic link leads nowhere");
	if (entry->kind != TAR_FILE && entry->kind != TAR_OTHER && entry->size != 0)
		return bad(u, ERR_PROTO, "a folder or link has content");
	return UNTAR_ENTRY;
}

static enum untar_next
take_header(struct untar *u, struct tar_entry *entry)
{
	const struct tar_header *h = (const struct tar_header *)u->block;
	uint64_t sum, size;
	enum untar_next next;

	u->block_len = 0;
	if (is_zero(u->block, TAR_BLOCK)) {
		u->state = UNTAR_ENDED;
		return UNTAR_END;
	}
	if (!read_number(h->checksum, sizeof(h->checksum), &sum) || sum != tar_checksum(h))
		return bad(u, ERR_PROTO, "a header's checksum is wrong");
	if (!read_number(h->size, sizeof(h->size), &size) || size > INT64_MAX)
		return bad(u, ERR_PROTO, "a size is no number");
	if (++u->members > u->members_max)
		return bad(u, ERR_LIMIT, "too many files");
	if (h->type == 'L' || h->type == 'K' || h->type == 'x' || h->type == 'g')
		return take_meta_header(u, h->type, size);
	if (!u->has_size)
		u->size = size;
	if (!fill_entry(u, h, entry))
		return bad(u, ERR_PROTO, "a header has no numbers");
	next = check_entry(u, entry);
	if (next == UNTAR_BAD)
		return next;
	begin_content(u, entry->kind == TAR_FILE ? UNTAR_CONTENT : UNTAR_SKIP, entry->size);
	if (entry->kind == TAR_OTHER)
		entry->size = 0;
	forget_meta(u);
	return next;
}

static enum untar_next
fill_block(struct untar *u, struct str *in, struct tar_entry *entry)
{
	size_t room = TAR_BLOCK - u->block_len, len = in->len < room ? in->len : room;

	memcpy(u->block + u->block_len, in->p, len);
	u->block_len += len;
	*in = (struct str){ in->p + len, in->len - len };
	return u->block_len == TAR_BLOCK ? take_header(u, entry) : UNTAR_MORE;
}

/* --- content --- */

static struct str
cut_content(struct untar *u, struct str *in)
{
	struct str piece = { in->p, in->len < u->left ? in->len : (size_t)u->left };

	*in = (struct str){ in->p + piece.len, in->len - piece.len };
	u->left -= piece.len;
	if (u->left == 0)
		u->state = u->padding > 0 ? UNTAR_PADDING : UNTAR_HEADER;
	return piece;
}

static enum untar_next
fill_meta(struct untar *u, struct str *in)
{
	buf_addstr(&u->meta, cut_content(u, in));
	if (u->left == 0 && !take_meta(u))
		return bad(u, ERR_PROTO, "a PAX header is malformed");
	return UNTAR_MORE;
}

static void
skip_padding(struct untar *u, struct str *in)
{
	size_t len = in->len < u->padding ? in->len : u->padding;

	*in = (struct str){ in->p + len, in->len - len };
	u->padding -= (unsigned)len;
	if (u->padding == 0)
		u->state = UNTAR_HEADER;
}

enum untar_next
untar_next(struct untar *u, struct str *in, struct tar_entry *entry, struct str *piece)
{
	enum untar_next next = UNTAR_MORE;

	while (in->len > 0 && next == UNTAR_MORE) {
		switch (u->state) {
		case UNTAR_HEADER:
			next = fill_block(u, in, entry);
			break;
		case UNTAR_CONTENT:
			*piece = cut_content(u, in);
			return UNTAR_PIECE;
		case UNTAR_SKIP:
			cut_content(u, in);
			break;
		case UNTAR_META:
			next = fill_meta(u, in);
			break;
		case UNTAR_PADDING:
			skip_padding(u, in);
			break;
		case UNTAR_ENDED:
			*in = (struct str){ in->p + in->len, 0 };
			return u->err.code != ERR_NONE ? UNTAR_BAD : UNTAR_END;
		}
	}
	return next;
}

uint64_t
untar_skip(struct untar *u)
{
	uint64_t bytes = u->left + u->padding;

	if (u->state != UNTAR_CONTENT && u->state != UNTAR_SKIP)
		return 0;
	u->left = u->padding = 0;
	u->state = UNTAR_HEADER;
	return bytes;
}

/* --- order --- */

void
tar_order_init(struct tar_order *order)
{
	*order = (struct tar_order){ .is_dir = true };
	buf_init(&order->last, TAR_NAME_MAX + 1);
}

void
tar_order_fini(struct tar_order *order)
{
	buf_fini(&order->last);
}

/* As a walk does: by the parts of a path, so a slash comes before all other bytes. */
static bool
is_behind(struct str a, struct str last)
{
	for (size_t i = 0; i < a.len && i < last.len; i++) {
		if (a.p[i] != last.p[i])
			return last.p[i] == '/' || (a.p[i] != '/' && (unsigned char)a.p[i] > (unsigned char)last.p[i]);
	}
	return a.len > last.len;
}

static struct str
parent_of(struct str name)
{
	while (name.len > 0 && name.p[name.len - 1] != '/')
		name.len--;
	return (struct str){ name.p, name.len > 0 ? name.len - 1 : 0 };
}

bool
tar_order_next(struct tar_order *order, const struct tar_entry *entry)
{
	struct str name = str_of(entry->name), last = buf_str(&order->last), parent = parent_of(name);
	struct str dir = order->is_dir ? last : parent_of(last);
	bool is_below = parent.len == 0 || (parent.len <= dir.len && memcmp(parent.p, dir.p, parent.len) == 0 &&
					       (parent.len == dir.len || dir.p[parent.len] == '/'));

	if (!is_behind(name, last) || !is_below)
		return false;
	order->is_dir = entry->kind == TAR_DIR;
	buf_reset(&order->last);
	return buf_adds(&order->last, entry->name);
}
