#include "test/unit/disk_dir.h"

#include <stdlib.h>

#include "proto/mem.h"
#include "server/core/disk.h"
#include "server/core/loop.h"
#include "test/unit/unit.h"

void
disk_dir_init(struct disk_dir *dir)
{
	*dir = (struct disk_dir){ .loop = loop_new(), .path = "/tmp/davit-disk-XXXXXX" };
	dir->disk = disk_new(dir->loop);
	assert_non_null(mkdtemp(dir->path));
}

void
disk_dir_fini(struct disk_dir *dir)
{
	char *command = xasprintf("rm -rf %s", dir->path);

	disk_free(&dir->disk);
	loop_free(&dir->loop);
	assert_int_equal(system(command), 0);
	free(command);
}
