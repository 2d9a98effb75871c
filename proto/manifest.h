/* Manifests and indexes of images (OCI image specification 1.1, Docker schema 2): what else an image is made of. */
#ifndef DAVIT_PROTO_MANIFEST_H
#define DAVIT_PROTO_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/err.h"
#include "proto/json.h"
#include "proto/platform.h"
#include "proto/str.h"

enum { MANIFEST_SIZE_MAX = 4 * 1024 * 1024, MANIFEST_PARTS_MAX = 1000 };

/* Called for each part: a blob, or the manifest of a platform. digest: "sha256:..." */
typedef void manifest_fn(void *arg, bool is_manifest, const char *digest);

/* platforms: "linux/amd64", "linux/arm/v7"; without a variant any of them is meant. count 0: all. ERR_INPUT,
 * ERR_PROTO: it is no manifest; ERR_LIMIT: more than MANIFEST_PARTS_MAX parts; ERR_NOT_FOUND: an index without any of
 * these platforms. What lies elsewhere (layers with urls) is left out. */
bool manifest_read(
    struct str text, const char *const *platforms, size_t count, manifest_fn *fn, void *arg, struct err *err);
/* Of a manifest's JSON. */
extern const struct json_limits manifest_limits;
/* Whether what an index says of an entry's platform means that one: by their usual spelling. */
bool manifest_is_of(const struct json_value *platform, const struct platform *wanted);

#endif
