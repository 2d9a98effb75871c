/* What the root file of a package repository (apt's InRelease and Release, rpm's repomd.xml) says of the repository's
 * index files: their paths and SHA-256. By this a cache tells which of them belong together. Signatures are the
 * clients' affair. */
#ifndef DAVIT_PROTO_INDEX_FILES_H
#define DAVIT_PROTO_INDEX_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/err.h"
#include "proto/str.h"

enum { INDEX_FILES_MAX = 50000, INDEX_FILE_DIGEST_SIZE = 65 };

struct index_file {
	char *path;                          /* below the folder that the root file speaks of */
	char *role;                          /* the same in every version of the root file; apt: the path */
	char digest[INDEX_FILE_DIGEST_SIZE]; /* SHA-256, lower case hex */
};

struct index_files {
	struct index_file *list; /* by path, each path once */
	size_t count;
	bool has_by_hash; /* apt: each is there as by-hash/SHA256/DIGEST, too */
};

/* The field SHA256 of a Release or InRelease (Debian's repository format). ERR_PROTO when the text has none. *ret is
 * filled on success; index_files_fini it. */
bool index_files_read_release(struct str text, struct index_files *ret, struct err *err);
/* The data of a repomd.xml; what has no SHA-256 is passed over. */
bool index_files_read_repomd(struct str text, struct index_files *ret, struct err *err);
void index_files_fini(struct index_files *files);

/* NULL: there is none. */
const struct index_file *index_files_find(const struct index_files *files, struct str path);
const struct index_file *index_files_find_role(const struct index_files *files, const char *role);
/* The file in that folder ("" or "a/b/") of that digest; the first of several. */
const struct index_file *index_files_find_digest(
    const struct index_files *files, struct str folder, const char *digest);

#endif
