/* What shelf.c and shelf_load.c share. */
#ifndef DAVIT_MIRROR_SHELF_PRIVATE_H
#define DAVIT_MIRROR_SHELF_PRIVATE_H

#include "server/mirror/journal.h"
#include "server/mirror/object_table.h"
#include "server/mirror/shelf.h"

enum {
	FOLDERS = 256,
	REMOVED_KEPT = 64, /* the last files whose removal is on record */
};

/* Types of the journal's records. */
enum { RECORD_STORE = 1, RECORD_REMOVE = 2, RECORD_USE = 3, RECORD_PIN = 4, RECORD_UNPIN = 5 };

TAILQ_HEAD(variant_queue, variant);

struct shelf {
	struct shelf_conf conf;
	char *folder;
	char *drafts; /* folder of this process */
	struct object_table objects;
	struct variant_queue by_use;
	struct variant_queue by_age;
	struct variant_queue by_open; /* the one opened longest ago first */
	unsigned open_count;
	struct shelf_figures figures;
	uint64_t memory;
	uint64_t next_id;
	LIST_HEAD(, filing) filings;
	struct parts *parts;
	struct journal *journal;
	struct journal_extent extent;   /* as it was read */
	uint64_t removed[REMOVED_KEPT]; /* files whose removal may not have been carried out */
	unsigned removed_count;

	struct journal *renewed; /* takes the journal's place when it has all that is stored */
	struct variant *cursor;  /* the next one that it lacks */
	struct timer *renewal;

	char *pins[SHELF_PINS_MAX];
	size_t pin_count;
	struct timer *room;
	uint64_t looked; /* at so many in a row, of which none could go */
	struct timer *age;
	struct variant *old; /* the next one to look at, whether it is too old */
};

/* A disk_run_fn: makes the folders and reads the journal into a shelf that nobody else knows yet. */
void shelf_load(void *shelf, struct err *err);

/* The shelf has the caller's reference from now on; and gives it up. */
void shelf_link(struct shelf *shelf, struct str key, struct variant *variant);
void shelf_unlink(struct shelf *shelf, struct variant *variant);

/* pin_count: it is none. */
size_t shelf_find_pin(const struct shelf *shelf, struct str prefix);
/* False: it is too long, or one too many. */
bool shelf_add_pin(struct shelf *shelf, struct str prefix);
void shelf_remove_pin(struct shelf *shelf, size_t index);

#endif
