/* The list of one image's platforms (OCI image specification 1.1, "Image Index"; Docker's "Image Manifest V2, Schema
 * 2", "Manifest List"): put together from the manifests of the platforms, which are in the same repository of a
 * registry. */
#ifndef DAVIT_PROTO_IMAGE_INDEX_H
#define DAVIT_PROTO_IMAGE_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/image.h"
#include "proto/plan.h"
#include "proto/platform.h"
#include "proto/str.h"

/* What a client of a registry takes: manifests and lists of both kinds. */
#define IMAGE_INDEX_ACCEPT                                                                                     \
	"application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, " \
	"application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"

struct image_index_part {
	struct platform platform;
	char media_type[128];
	char digest[IMAGE_DIGEST_SIZE]; /* "sha256:..." */
	int64_t size;                   /* of the manifest */
};

struct image_index {
	struct image_index_part parts[PLATFORMS_MAX];
	size_t count;
};

/* One more platform: manifest has the bytes that its engine has pushed. Where these are a list themselves, as BuildKit
 * makes of one image and what it attests, its entry for the platform counts. ERR_INPUT, ERR_PROTO: it is no manifest of
 * a known kind; ERR_NOT_FOUND: a list without that platform; ERR_LIMIT: the index is full. */
bool image_index_add(struct image_index *index, const struct platform *platform, struct str manifest, struct err *err);

struct image_index_document {
	const char *media_type; /* Docker's where all parts are Docker's, else OCI's */
	char *text;             /* the same bytes for the same parts; free() it */
	size_t len;
	char digest[IMAGE_DIGEST_SIZE];
};
/* annotations: NAME=VALUE, which only OCI's kind has room for. There is one part at least. */
void image_index_print(
    const struct image_index *index, const struct strings *annotations, struct image_index_document *ret);

#endif
