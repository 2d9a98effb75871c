/* What an image says of itself (github.com/opencontainers/image-spec, annotations.md), as labels: where it comes from.
 * They depend on the commit alone, so that the same commit gives the same labels. */
#ifndef DAVIT_PROTO_IMAGE_LABELS_H
#define DAVIT_PROTO_IMAGE_LABELS_H

#include <stdint.h>

#include "proto/plan.h"

/* NULL, "" and 0 are what is not known. */
struct image_origin {
	const char *revision; /* the commit */
	const char *source;   /* URL of the repository's page, or that it is fetched from */
	const char *version;  /* the tag */
	int64_t commit_ms;    /* when the commit was made */
};

/* org.opencontainers.image.revision and so on, of those that labels (NAME=VALUE) has not. */
void image_labels_add(struct strings *labels, const struct image_origin *origin);

#endif
