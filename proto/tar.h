/* Tar archives, uncompressed. The writer's form is ustar with GNU's long names (type L and K), which every tar reads,
 * busybox's included. The reader (untar) takes that, PAX (POSIX.1-2001) and GNU's forms, from bytes as they come, and
 * hands out only names that are safe below any folder: an archive comes from a container, that is, from a stranger. */
#ifndef DAVIT_PROTO_TAR_H
#define DAVIT_PROTO_TAR_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/err.h"
#include "proto/str.h"

#define TAR_BLOCK 512
#define TAR_NAME_MAX 4096 /* bytes of a name or a link's target */

enum tar_kind {
	TAR_FILE,
	TAR_DIR,
	TAR_SYMLINK,
	TAR_HARDLINK,
	TAR_OTHER, /* a device, a FIFO, a sparse file: only read, without its content */
};

struct tar_entry {
	enum tar_kind kind;
	const char *name; /* relative, no empty part, no "." or "..", no slash at its end */
	const char *link; /* of a symbolic link any text, of a hard link a name; else "" */
	uint64_t size;    /* bytes of a file */
	unsigned mode;    /* permission bits */
	uint64_t uid, gid;
	int64_t mtime; /* seconds since 1970, not negative */
};

/* --- writing: into a buffer; all return false, b failed, when the archive passes b's maximum --- */

/* Owner and group are root, since the engine and a job's own tar unpack as root; names of at most 100 bytes. mode:
 * permission bits; mtime: seconds since 1970. */
bool tar_add_dir(struct buf *b, const char *name, unsigned mode, int64_t mtime);
bool tar_add_file(struct buf *b, const char *name, unsigned mode, int64_t mtime, struct str content);
/* The front of any member but TAR_OTHER; a file's bytes follow, then tar_add_padding. */
bool tar_add_entry(struct buf *b, const struct tar_entry *entry);
/* What fills the last block of a file of that size. */
bool tar_add_padding(struct buf *b, uint64_t size);
/* The two empty blocks that end an archive. Without them another archive's bytes may follow, and the two are one. */
bool tar_end(struct buf *b);

/* Whether the text is such a name as struct tar_entry has. */
bool tar_name_is_safe(struct str name);
/* Whether a symbolic link of that name leads to a place below the folder that the name is below. */
bool tar_link_is_inside(struct str name, struct str link);

/* --- reading --- */

enum untar_state { UNTAR_HEADER, UNTAR_CONTENT, UNTAR_SKIP, UNTAR_META, UNTAR_PADDING, UNTAR_ENDED };

struct untar {
	enum untar_state state;
	char block[TAR_BLOCK]; /* a header that has come in part */
	size_t block_len;
	uint64_t left; /* bytes of the content that are still to come */
	unsigned padding;
	char meta_type;                  /* of UNTAR_META: L, K, x */
	struct buf meta;                 /* its content */
	struct buf name, link;           /* of the next member, or of this one */
	bool has_name, has_link;         /* a member in front said it */
	bool has_size, has_uid, has_gid; /* likewise */
	bool is_sparse;
	uint64_t size, uid, gid;
	uint64_t members, members_max;
	struct err err; /* of UNTAR_BAD */
};

enum untar_next {
	UNTAR_MORE,  /* *in is used up */
	UNTAR_ENTRY, /* *entry begins; its texts are good until the next call */
	UNTAR_PIECE, /* bytes of the last entry's content, which is a file's; entry->size of them come */
	UNTAR_END,   /* the archive has ended; what follows is nobody's */
	UNTAR_BAD,   /* u->err says why; nothing else comes */
};

/* members_max: above it, ERR_LIMIT. */
void untar_init(struct untar *u, uint64_t members_max);
void untar_fini(struct untar *u);
/* Cuts the next thing off *in. */
enum untar_next untar_next(struct untar *u, struct str *in, struct tar_entry *entry, struct str *piece);
/* Of whoever has used up *in and wants nothing of the last entry's content: how many further bytes of the archive need
 * not be read, since they are that; what is given next comes behind them. */
uint64_t untar_skip(struct untar *u);
/* Whether the archive may stop here without an end: not within a member. */
bool untar_at_boundary(const struct untar *u);

/* The order of a walk through folders, as the engines write archives: each name behind the one before it, each below a
 * folder that came before. So no name comes twice, and none lies below a link. */
struct tar_order {
	struct buf last;
	bool is_dir;
};

void tar_order_init(struct tar_order *order);
void tar_order_fini(struct tar_order *order);
bool tar_order_next(struct tar_order *order, const struct tar_entry *entry);

#endif
