#include "server/mirror/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

#define REPOMD "repodata/repomd.xml"

static bool
has_end(const char *path, const char *end)
{
	size_t len = strlen(path), end_len = strlen(end);

	return len >= end_len && strcmp(path + len - end_len, end) == 0;
}

bool
place_is_root(const struct target *t)
{
	if (t->kind == PACKAGE_APT)
		return has_end(t->path, "/InRelease") || has_end(t->path, "/Release");
	return t->kind == PACKAGE_RPM && has_end(t->path, "/" REPOMD);
}

size_t
place_folder_len(const struct target *root)
{
	const char *name = strrchr(root->path, '/') + 1;

	return (size_t)(name - root->path) - (root->kind == PACKAGE_RPM ? strlen("repodata/") : 0);
}

const char *
place_signature(const struct target *root)
{
	if (root->kind == PACKAGE_RPM)
		return REPOMD ".asc";
	return has_end(root->path, "/Release") ? "Release.gpg" : NULL;
}

bool
place_may_be_index(const struct target *t)
{
	if (t->kind == PACKAGE_APT)
		return t->fresh_s == 0 || t->digest[0] != '\0';
	return t->kind == PACKAGE_RPM && strstr(t->path, "/repodata/") != NULL;
}

static void
put_digest(struct target *t, const struct snapshot *snapshot, const char *digest)
{
	const char *name = strrchr(t->path, '/') + 1;
	char *by_hash;

	if (t->digest[0] != '\0')
		return; /* its name is by its digest */
	snprintf(t->digest, sizeof(t->digest), "%s", digest);
	t->fresh_s = TARGET_FOREVER;
	if (t->kind != PACKAGE_APT) {
		target_set_version(t, digest);
		return;
	}
	by_hash = xasprintf("%.*sby-hash/SHA256/%s", (int)(name - t->path), t->path, digest);
	target_set_place(t, by_hash, snapshot->files.has_by_hash);
	free(by_hash);
}

static void
put_signature(struct target *t, const struct snapshot *snapshot)
{
	t->fresh_s = TARGET_FOREVER;
	target_set_version(t, snapshot->digest);
}

/* A path of apt's that is by its digest has another one, where the upstream may know it, too. */
static bool
put_alternate(struct target *t, size_t folder_len, const struct snapshot *snapshot)
{
	const char *end = strstr(t->path, "by-hash/");
	const struct index_file *file;
	struct str folder;

	if (t->kind != PACKAGE_APT || end == NULL || end < t->path + folder_len)
		return false;
	folder = (struct str){ t->path + folder_len, (size_t)(end - t->path) - folder_len };
	file = index_files_find_digest(&snapshot->files, folder, t->digest);
	if (file == NULL)
		return false;
	free(t->alternate);
	t->alternate = xasprintf("%.*s%s", (int)folder_len, t->path, file->path);
	return true;
}

bool
place_put(struct target *t, const struct target *root, size_t folder_len, const struct snapshot *snapshot)
{
	const char *path = t->path + folder_len, *detached = place_signature(root);
	const struct index_file *file = index_files_find(&snapshot->files, str_of(path));

	if (detached != NULL && strcmp(path, detached) == 0) {
		put_signature(t, snapshot);
		return true;
	}
	if (file != NULL)
		put_digest(t, snapshot, file->digest);
	return file != NULL || put_alternate(t, folder_len, snapshot);
}

static void
beside(const struct target *root, size_t folder_len, const char *name, struct target *ret)
{
	char *path = xasprintf("%.*s%s", (int)folder_len, root->path, name);

	target_beside(root, path, ret);
	free(path);
}

void
place_of_file(const struct target *root, size_t folder_len, const struct snapshot *snapshot,
    const struct index_file *file, struct target *ret)
{
	beside(root, folder_len, file->path, ret);
	put_digest(ret, snapshot, file->digest);
}

void
place_of_signature(const struct target *root, size_t folder_len, const struct snapshot *snapshot, struct target *ret)
{
	beside(root, folder_len, place_signature(root), ret);
	put_signature(ret, snapshot);
}
