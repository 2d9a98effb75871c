/* Names of container images, as github.com/distribution/reference has them: [REGISTRY/]REPOSITORY[:TAG][@DIGEST].
 * A first component with '.' or ':' in it, or "localhost", is the registry; otherwise it is docker.io, where a name of
 * one component lies below "library/". Without tag and digest the tag is "latest". */
#ifndef DAVIT_PROTO_IMAGE_H
#define DAVIT_PROTO_IMAGE_H

#include <stdbool.h>

#include "proto/err.h"
#include "proto/plan.h"
#include "proto/str.h"

#define IMAGE_NAME_MAX 255 /* registry and repository together */

#define IMAGE_DIGEST_SIZE (sizeof("sha512:") - 1 + 128 + 1) /* with its NUL */

struct image_ref {
	char registry[IMAGE_NAME_MAX + 1];
	char repository[IMAGE_NAME_MAX + 1];
	char tag[128 + 1];              /* "" when only a digest names it */
	char digest[IMAGE_DIGEST_SIZE]; /* "sha256:..." or ""; with a tag beside it the digest decides */
};

/* ERR_INPUT says what is wrong with which name. *ret is filled on success only. */
bool image_parse(struct str text, struct image_ref *ret, struct err *err);
/* Where the first of these names is that is of the same repository, which may be that name itself. */
size_t image_first_beside(const struct strings *names, const char *name);
/* The whole name: "docker.io/library/alpine:latest". free() it. */
char *image_print(const struct image_ref *ref);

#endif
