/* What is stored: objects by URL, the files of their bodies, and a journal of all of it, from which the next process
 * knows it again without looking at the files. A reply stands here from its head on, while its body arrives; its file
 * gets its name when it is whole and on the disk, so nothing partial is taken for whole after any kill. The variants
 * that were used longest ago give way when the room on the disk, or in memory, is used up. One process at a time has
 * the folder. */
#ifndef DAVIT_MIRROR_SHELF_H
#define DAVIT_MIRROR_SHELF_H

#include <stdint.h>
#include <sys/stat.h>

#include "proto/err.h"
#include "server/core/disk.h"
#include "server/mirror/object.h"

struct loop;
struct parts;
struct shelf;

struct shelf_conf {
	struct loop *loop;
	struct disk *disk;
	const char *folder; /* made when it is missing; its parent exists */
	uint64_t size;      /* bytes of all bodies */
	uint64_t memory;    /* of all heads and tables; 0: SHELF_MEMORY */
	int64_t age_s;      /* what nobody has asked for that long gives way; 0: however long */
};

/* A million replies of the usual kind; bodies of no bytes are many in no room on the disk. */
#define SHELF_MEMORY (1ull << 30)

/* Reads the journal, in a thread of the disk: a million replies take a second. The shelf is the callback's; NULL with
 * err when the folder cannot be used. conf is copied, and its folder. */
struct shelf_opening;
typedef void shelf_open_fn(void *arg, struct shelf *shelf, const struct err *err);
struct shelf_opening *shelf_open(const struct shelf_conf *conf, shelf_open_fn *fn, void *arg);
/* Accepts NULL inside. */
void shelf_open_cancel(struct shelf_opening **opening);
/* Every read must have been cancelled. Accepts NULL inside. */
void shelf_free(struct shelf **shelf);

/* The variant for that request, or NULL. It counts as used. */
struct variant *shelf_find(struct shelf *shelf, const char *key, const struct http1_head *request);
/* The newest variant of that key, whatever the request; it does not count as used. NULL: none. */
struct variant *shelf_peek(const struct shelf *shelf, const char *key);
/* The variant is that of another key from now on; those of its selection that were there go. Nothing happens when it is
 * not on the shelf. */
void shelf_rename(struct shelf *shelf, const char *key, struct variant *variant);
/* A place for a body that arrives, and its id. NULL with *err when there can be none. */
struct draft *shelf_draft(struct shelf *shelf, uint64_t total, uint64_t *id, struct err *err);
/* The draft of that id is passed on only: its name goes at once. */
void shelf_forget_draft(struct shelf *shelf, uint64_t id);

/* What broke off with the process before. */
struct parts *shelf_parts(struct shelf *shelf);

/* The variant, whose draft grows, is found from now on. */
void shelf_add(struct shelf *shelf, const char *key, struct variant *variant);
/* Its draft is whole. What it takes the place of goes. */
void shelf_publish(struct shelf *shelf, struct variant *variant);
/* Its head or its times have changed. */
void shelf_update(struct shelf *shelf, struct variant *variant);
/* It was used last then, not when it came: it was fetched for no client's request. Nothing happens when it is not on
 * the shelf. */
void shelf_set_used(struct shelf *shelf, struct variant *variant, int64_t used);
/* It is not found any more, and its file goes. Nothing happens when it is not on the shelf. */
void shelf_drop(struct shelf *shelf, struct variant *variant);
/* All variants of that URL. */
void shelf_invalidate(struct shelf *shelf, const char *key);
/* All variants whose upstream's URL begins so, among some of the objects: from the one with the key *cursor on ("": the
 * first; one that is gone by now: all over again). *cursor becomes the key of the next one, NULL behind the last;
 * free() it. Returns how many. */
unsigned shelf_purge(struct shelf *shelf, const char *prefix, char **cursor);

/* What has a URL that begins so does not give way, in later processes, too; it can be dropped. False with *err:
 * ERR_LIMIT, ERR_IO. */
enum { SHELF_PINS_MAX = 100, SHELF_PIN_SIZE_MAX = 2048 };
bool shelf_pin(struct shelf *shelf, const char *prefix, struct err *err);
/* ERR_NOT_FOUND: that is not pinned. */
bool shelf_unpin(struct shelf *shelf, const char *prefix, struct err *err);
/* NULL behind the last. */
const char *shelf_pin_at(const struct shelf *shelf, size_t index);

/* Opens the file of a variant that is filed. One that cannot be opened, or is not its file by shelf_is_file_of, is the
 * caller's reason to drop the variant. */
struct disk_op *shelf_read(struct shelf *shelf, const struct variant *variant, disk_open_fn *fn, void *arg);
bool shelf_is_file_of(const struct variant *variant, const struct stat *st);
/* Its file stays open, as one of the SHELF_OPEN_MAX that were opened last: variant->open. */
enum { SHELF_OPEN_MAX = 64 };
void shelf_keep_open(struct shelf *shelf, struct variant *variant, struct draft *file);

struct shelf_figures {
	uint64_t variants;
	uint64_t bytes;
	uint64_t evicted;
};
struct shelf_figures shelf_figures(const struct shelf *shelf);

#endif
