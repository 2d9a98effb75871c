/* A file that comes into being: bytes in from the reactor, compressed (zstd) if wished, hashed and written by a disk
 * thread. It is whole and durable under its name, or not there at all. And back: its bytes as they are asked for.
 *
 * Memory is bounded by what PACK_ROOM says: whoever writes stops its source while pack_is_full. */
#ifndef DAVIT_STORE_PACK_H
#define DAVIT_STORE_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/str.h"

struct disk;
struct pack;
struct unpack;

enum { PACK_ROOM = 256 * 1024 /* bytes that wait; as many again are with the thread */ };

enum pack_form { PACK_PLAIN, PACK_ZSTD };

struct pack_result {
	uint64_t size; /* of the file */
	char sha256[SHA256_HEX_SIZE];
};

/* It takes bytes again; or, with err, it takes none any more: abort it. */
typedef void pack_room_fn(void *arg, const struct err *err);
typedef void pack_done_fn(void *arg, const struct pack_result *result, const struct err *err);

/* temp: where it grows, on path's file system and not there yet; both are copied. path NULL: a file for a while,
 * neither synced nor named, of which only pack_fd gives something. */
struct pack *pack_open(
    struct disk *disk, const char *temp, const char *path, enum pack_form form, pack_room_fn *on_room, void *arg);
/* The bytes are copied. */
void pack_write(struct pack *pack, struct str bytes);
bool pack_is_full(const struct pack *pack);
/* Ends it; fn is called when the file lasts under its name (an older one is replaced), or not at all. Only pack_abort
 * is allowed afterwards. */
void pack_finish(struct pack *pack, pack_done_fn *fn, void *arg);
/* Of one that has ended well: a descriptor of its own, for reading. */
int pack_fd(const struct pack *pack);
/* For one that has ended, too. What was not finished leaves no file. Accepts NULL inside. */
void pack_abort(struct pack **pack);

/* --- reading --- */

/* A part of the content, its end as no bytes. ERR_NOT_FOUND: no such file; ERR_PROTO: it is damaged. */
typedef void unpack_fn(void *arg, struct str bytes, const struct err *err);

/* Opens it with the first unpack_next. */
struct unpack *unpack_open(struct disk *disk, const char *path, enum pack_form form);
/* Of a plain one, before the first unpack_next: where it begins. */
void unpack_seek(struct unpack *unpack, uint64_t offset);
/* One at a time. bytes are good until the next call. */
void unpack_next(struct unpack *unpack, unpack_fn *fn, void *arg);
/* Accepts NULL inside. */
void unpack_close(struct unpack **unpack);

#endif
