/* One version of a package repository's root file, by what it says of the index files. References are counted. */
#ifndef DAVIT_MIRROR_SNAPSHOT_H
#define DAVIT_MIRROR_SNAPSHOT_H

#include <stdint.h>

#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/index_files.h"
#include "proto/package_policy.h"

struct disk;
struct snapshot_reading;

struct snapshot {
	unsigned refs;
	struct index_files files;
	char digest[SHA256_HEX_SIZE]; /* of the root file itself */
};

struct snapshot *snapshot_ref(struct snapshot *snapshot);
/* Accepts NULL inside. */
void snapshot_unref(struct snapshot **snapshot);

enum { SNAPSHOT_SIZE_MAX = 8 * 1024 * 1024 /* of a root file */ };

/* The caller has the reference; NULL and err when the file is no root file of that kind, or cannot be read. */
typedef void snapshot_read_fn(void *arg, struct snapshot *snapshot, const struct err *err);
/* Reads size bytes from the descriptor, which is the reading's from now on (-1 is an error that fn hears of), in a
 * thread. The async contract holds. */
struct snapshot_reading *snapshot_read(
    struct disk *disk, int fd, uint64_t size, enum package_kind kind, snapshot_read_fn *fn, void *arg);
/* Accepts NULL inside. */
void snapshot_stop(struct snapshot_reading **reading);

#endif
