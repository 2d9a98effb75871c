#include "server/store/file_store.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proto/crypto.h"
#include "proto/mem.h"

struct file_store {
	struct disk *disk;
	char *artifacts, *caches, *incoming;
	unsigned serial;
};

static bool
make_folders(struct file_store *files, const char *state_dir, struct err *err)
{
	char *incoming = xasprintf("%s/incoming", state_dir);
	char process[17];
	bool ok;

	random_hex(process, (sizeof(process) - 1) / 2);
	files->artifacts = xasprintf("%s/artifacts", state_dir);
	files->caches = xasprintf("%s/caches", state_dir);
	files->incoming = xasprintf("%s/%s", incoming, process);
	ok = disk_make_folder(files->artifacts, 0750, err) && disk_make_folder(files->caches, 0750, err) &&
	     disk_make_folder(incoming, 0750, err) && disk_make_folder(files->incoming, 0750, err);
	free(incoming);
	return ok;
}

struct file_store *
file_store_new(struct disk *disk, const char *state_dir, struct err *err)
{
	struct file_store *files = xcalloc(1, sizeof(*files));

	files->disk = disk;
	if (!make_folders(files, state_dir, err))
		file_store_free(&files);
	return files;
}

void
file_store_sweep(struct file_store *files)
{
	disk_remove_beside(files->disk, files->incoming);
}

void
file_store_free(struct file_store **files)
{
	struct file_store *f = *files;

	if (f == NULL)
		return;
	*files = NULL;
	free(f->artifacts);
	free(f->caches);
	free(f->incoming);
	free(f);
}

struct disk *
file_store_disk(const struct file_store *files)
{
	return files->disk;
}

char *
file_store_incoming(struct file_store *files)
{
	return xasprintf("%s/%u", files->incoming, ++files->serial);
}

char *
file_store_artifact(const struct file_store *files, const struct artifact *artifact)
{
	int64_t build = 0, job = 0;

	job_id_parse(artifact->job, &build, &job);
	return xasprintf("%s/%" PRId64 "/%" PRId64 ".%" PRId64 ".%" PRId64 ".tar.zst", files->artifacts, build, job,
	    artifact->attempt, artifact->number);
}

char *
file_store_artifact_folder(const struct file_store *files, int64_t build)
{
	return xasprintf("%s/%" PRId64, files->artifacts, build);
}

char *
file_store_cache(const struct file_store *files, const char *id)
{
	return xasprintf("%s/%s.tar", files->caches, id);
}

const char *
file_store_caches(const struct file_store *files)
{
	return files->caches;
}
