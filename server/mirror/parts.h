/* Bodies that were on their way when the process that fetched them ended: what is there of each, to be continued for
 * the next who asks for it. A draft that can be continued has a note beside it, the head of its reply, from which the
 * next process knows what it is a part of.
 *
 * Such a file is good as long as the kernel that took its bytes runs: none of them was synced. So a note says of which
 * boot it is, and what is of another one goes. A part is no reply yet: it becomes one when the upstream has said that
 * it still has the same bytes, or when its digest has proved right. */
#ifndef DAVIT_MIRROR_PARTS_H
#define DAVIT_MIRROR_PARTS_H

#include "proto/crypto.h"
#include "server/mirror/object.h"

struct disk;
struct parts;
struct part_reading;

enum {
	PARTS_MAX = 256,
	PART_SIZE_MIN = 1024 * 1024, /* of a whole body; a smaller one is fetched anew */
};

/* drafts: the folder of this process; of its neighbours' files the newest of one day become parts, room bytes in all at
 * most, by ids from *next_id on. For the start: in the caller's thread. */
struct parts *parts_open(struct disk *disk, const char *drafts, uint64_t room, uint64_t *next_id);
/* Every reading must have ended. Accepts NULL inside. */
void parts_free(struct parts **parts);

/* The variant, whose draft has a total, can be continued by another process. */
void parts_note(struct parts *parts, const char *key, const struct variant *variant);
/* Those whose key is meant are gone. */
void parts_drop(struct parts *parts, bool (*is_meant)(const char *key, const char *prefix), const char *prefix);
/* Its draft is whole, or is no more. */
void parts_forget(struct parts *parts, uint64_t id);

/* The variant has a draft that grows, its head and its id; hash has all bytes of it. Both are the callee's. variant
 * NULL: the file cannot be used. */
typedef void part_fn(void *arg, struct variant *variant, struct digest *hash);
/* NULL: there is no part of that key for the request. kind: of hash; with DIGEST_NONE its bytes are not read, and hash
 * is NULL. */
struct part_reading *parts_take(struct parts *parts, const char *key, const struct http1_head *request,
    enum digest_kind kind, part_fn *fn, void *arg);
/* It stays a part. Accepts NULL inside. */
void parts_cancel(struct part_reading **reading);
/* It has not been continued, and may be later. Takes the reference. */
void parts_put_back(struct parts *parts, const char *key, struct variant **variant);

#endif
