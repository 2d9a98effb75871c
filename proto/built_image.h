/* The images that a job has made, as its record has them: a line "NAME REFERENCE" for each name, which is whole
 * (docker.io/library/app:1.2). The reference is the very image, whatever its names come to mean later: NAME@DIGEST of
 * one that was pushed (docker.io/library/app@sha256:...), the image's id of one that only its engine has. */
#ifndef DAVIT_PROTO_BUILT_IMAGE_H
#define DAVIT_PROTO_BUILT_IMAGE_H

#include <stdbool.h>

#include "proto/buf.h"
#include "proto/str.h"

struct built_image {
	struct str name;
	struct str reference;
};

/* Adds a line: name is whole; digest: that of the registry, "" for an image that was not pushed. Lines that have no
 * room in out are left out as a whole. */
void built_image_add(struct buf *out, const char *name, const char *digest, const char *id);
/* The first line of *lines, which then begins behind it. False: there is none. */
bool built_image_next(struct str *lines, struct built_image *ret);
/* The line of that name, however it is written; NULL: the first. False: there is none, and *ret is empty. */
bool built_image_find(const char *lines, const char *name, struct built_image *ret);
/* "sha256:..." of it. */
struct str built_image_digest(const struct built_image *image);

#endif
