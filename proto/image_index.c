#include "proto/image_index.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/json.h"
#include "proto/manifest.h"
#include "proto/registry_path.h"

#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"

static bool
is_manifest_type(const char *type)
{
	return strcmp(type, OCI_MANIFEST) == 0 || strcmp(type, DOCKER_MANIFEST) == 0;
}

/* A manifest's own word; OCI's may leave it out, and Docker's never does. */
static bool
read_manifest(const struct json_value *root, struct str text, struct image_index_part *part, struct err *err)
{
	const char *type = json_string(json_get(root, "mediaType"), OCI_MANIFEST);
	char hex[SHA256_HEX_SIZE];

	if (!is_manifest_type(type) || json_type(json_get(root, "layers")) != JSON_ARRAY)
		return err_set(err, ERR_PROTO, 0, "the registry has no image's manifest there, but \"%.80s\"", type);
	sha256_hex(text, hex);
	snprintf(part->media_type, sizeof(part->media_type), "%s", type);
	snprintf(part->digest, sizeof(part->digest), "sha256:%s", hex);
	part->size = (int64_t)text.len;
	return true;
}

static bool
read_entry(const struct json_value *entry, struct image_index_part *part)
{
	const char *type = json_string(json_get(entry, "mediaType"), ""),
		   *digest = json_string(json_get(entry, "digest"), "");
	int64_t size = json_int(json_get(entry, "size"), -1);
	struct str hex;

	if (!is_manifest_type(type) || !registry_digest_read(str_of(digest), &hex) || size <= 0 ||
	    size > MANIFEST_SIZE_MAX)
		return false;
	snprintf(part->media_type, sizeof(part->media_type), "%s", type);
	snprintf(part->digest, sizeof(part->digest), "%s", digest);
	part->size = size;
	return true;
}

static bool
read_list(const struct json_value *manifests, struct image_index_part *part, struct err *err)
{
	for (size_t i = 0; i < json_count(manifests) && i < MANIFEST_PARTS_MAX; i++) {
		const struct json_value *entry = json_at(manifests, i);

		if (manifest_is_of(json_get(entry, "platform"), &part->platform) && read_entry(entry, part))
			return true;
	}
	return err_set(err, ERR_NOT_FOUND, 0, "what was pushed is a list without %s", part->platform.text);
}

bool
image_index_add(struct image_index *index, const struct platform *platform, struct str manifest, struct err *err)
{
	struct image_index_part part = { .platform = *platform };
	const struct json_value *root, *manifests;
	struct json *doc;
	bool ok;

	if (index->count == PLATFORMS_MAX)
		return err_set(err, ERR_LIMIT, 0, "an image has at most %d platforms", PLATFORMS_MAX);
	if (!json_parse(manifest, &manifest_limits, &doc, err))
		return false;
	root = json_root(doc);
	manifests = json_get(root, "manifests");
	ok = json_type(manifests) == JSON_ARRAY ? read_list(manifests, &part, err)
						: read_manifest(root, manifest, &part, err);
	json_free(&doc);
	if (ok)
		index->parts[index->count++] = part;
	return ok;
}

static void
write_part(struct json_writer *w, const struct image_index_part *part)
{
	json_write_object_open(w);
	json_member_string(w, "mediaType", part->media_type);
	json_member_int(w, "size", part->size);
	json_member_string(w, "digest", part->digest);
	json_write_key(w, "platform");
	json_write_object_open(w);
	json_member_string(w, "architecture", part->platform.architecture);
	json_member_string(w, "os", part->platform.os);
	if (part->platform.variant[0] != '\0')
		json_member_string(w, "variant", part->platform.variant);
	json_write_object_close(w);
	json_write_object_close(w);
}

static void
write_annotations(struct json_writer *w, const struct strings *annotations)
{
	json_write_key(w, "annotations");
	json_write_object_open(w);
	for (size_t i = 0; i < annotations->count; i++) {
		struct str value = str_of(annotations->items[i]), name = str_cut(&value, '=');
		char *key = str_dup(name);

		json_member_string(w, key, value.p);
		free(key);
	}
	json_write_object_close(w);
}

/* A client of before OCI's time understands Docker's kind alone. */
static const char *
type_of(const struct image_index *index)
{
	for (size_t i = 0; i < index->count; i++)
		if (strcmp(index->parts[i].media_type, DOCKER_MANIFEST) != 0)
			return OCI_INDEX;
	return DOCKER_LIST;
}

void
image_index_print(const struct image_index *index, const struct strings *annotations, struct image_index_document *ret)
{
	struct json_writer *w = json_writer_new(MANIFEST_SIZE_MAX);
	char hex[SHA256_HEX_SIZE];

	assert(index->count > 0);
	ret->media_type = type_of(index);
	json_write_object_open(w);
	json_member_int(w, "schemaVersion", 2);
	json_member_string(w, "mediaType", ret->media_type);
	json_write_key(w, "manifests");
	json_write_array_open(w);
	for (size_t i = 0; i < index->count; i++)
		write_part(w, &index->parts[i]);
	json_write_array_close(w);
	if (annotations->count > 0 && strcmp(ret->media_type, OCI_INDEX) == 0)
		write_annotations(w, annotations);
	json_write_object_close(w);
	ret->text = json_writer_finish(&w, &ret->len);
	assert(ret->text != NULL);
	sha256_hex((struct str){ ret->text, ret->len }, hex);
	snprintf(ret->digest, sizeof(ret->digest), "sha256:%s", hex);
}
