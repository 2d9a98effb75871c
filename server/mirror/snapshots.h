/* Package repositories whose index files a client gets as of one root file: apt's InRelease and Release, rpm's
 * repomd.xml. A root file that is new upstream is shown when the index files in use are here as it says (fetched by
 * their digest), so that no client is told of bytes that are no more; what a connection was shown last is what its
 * index files are of, also when another one is shown a newer by then. */
#ifndef DAVIT_MIRROR_SNAPSHOTS_H
#define DAVIT_MIRROR_SNAPSHOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/mirror/transfer.h"

struct disk;
struct loop;
struct shelf;
struct snapshot_wait;
struct snapshots;

struct snapshots_conf {
	struct loop *loop;
	struct disk *disk;
	struct shelf *shelf;
	struct transfers *transfers;
};

struct snapshots *snapshots_new(const struct snapshots_conf *conf);
/* Nobody may wait. Accepts NULL inside. */
void snapshots_free(struct snapshots **snapshots);

/* Asks the upstream, once for all who want it, and makes what is new whole; the results are a transfer's, but
 * TRANSFER_ALONE: there is no room for one more repository. connection: a number that is of the client's alone. It
 * takes no longer than SNAPSHOT_WAIT_MS where an earlier one can be shown instead. variant is lent. */
enum { SNAPSHOT_WAIT_MS = 15000 };
typedef void snapshot_fn(void *arg, enum transfer_result result, struct variant *variant, const struct err *err);
struct snapshot_wait *snapshots_ask(
    struct snapshots *snapshots, const struct target *root, uint64_t connection, snapshot_fn *fn, void *arg);

/* The target may be an index file of one that was shown: then it becomes the one with the digest that was told. NULL:
 * it is known at once; else fn is called when it is, with TRANSFER_ALONE and no variant. */
struct snapshot_wait *snapshots_place(
    struct snapshots *snapshots, struct target *target, uint64_t connection, snapshot_fn *fn, void *arg);
/* Accepts NULL inside. */
void snapshots_leave(struct snapshot_wait **wait);

#endif
