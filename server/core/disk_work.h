/* What the threads of core/disk do: system calls that may wait for a disk. Runs in any thread; touches nothing but its
 * struct disk_work. */
#ifndef DAVIT_CORE_DISK_WORK_H
#define DAVIT_CORE_DISK_WORK_H

#include <stdint.h>
#include <sys/stat.h>

#include "proto/err.h"
#include "server/core/disk.h"

enum disk_kind {
	DISK_SYNC,
	DISK_DATASYNC,
	DISK_SYNC_DIR,
	DISK_RENAME,
	DISK_UNLINK,
	DISK_REMOVE_TREE,
	DISK_MKDIR,
	DISK_COPY,
	DISK_OPEN,
	DISK_SPACE,
	DISK_CALL,
};

struct disk_work {
	enum disk_kind kind;
	char *path; /* owned */
	char *to;   /* owned */
	mode_t mode;
	int fd; /* owned: what DISK_SYNC syncs, what DISK_OPEN opened; -1: none */
	struct stat st;
	uint64_t free_bytes;
	uint64_t total_bytes;
	disk_run_fn *run; /* of DISK_CALL */
	disk_release_fn *release;
	void *call;     /* what run gets; NULL: its owner has it back */
	struct err err; /* ERR_NONE before and after success */
};

void disk_work_run(struct disk_work *work);
void disk_work_fini(struct disk_work *work);

#endif
