/* A folder of a test's own below /tmp, with a loop and the disk's threads. */
#ifndef DAVIT_TEST_DISK_DIR_H
#define DAVIT_TEST_DISK_DIR_H

struct disk;
struct loop;

struct disk_dir {
	struct loop *loop;
	struct disk *disk;
	char path[64];
};

void disk_dir_init(struct disk_dir *dir);
/* The folder goes with all in it. */
void disk_dir_fini(struct disk_dir *dir);

#endif
