/* A repository's root file as the mirror gets it from anywhere: what is read out of it stands below its folder, has the
 * digest of 64 digits, is in order, and is found again. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/hex.h"
#include "proto/index_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
check(struct index_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		const struct index_file *file = &files->list[i];

		must(file->path[0] != '/' && strstr(file->path, "/../") == NULL);
		must(strlen(file->digest) == 64 && hex_is_valid(str_of(file->digest)));
		must(i == 0 || strcmp(files->list[i - 1].path, file->path) < 0);
		must(index_files_find(files, str_of(file->path)) == file);
		must(index_files_find_role(files, file->role) != NULL);
	}
	index_files_fini(files);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	struct index_files files;
	struct err err;

	if (index_files_read_release(text, &files, &err))
		check(&files);
	if (index_files_read_repomd(text, &files, &err))
		check(&files);
	return 0;
}
