/* Platforms of images: OS/ARCHITECTURE[/VARIANT] in the words of Go, as registries and engines have them (OCI image
 * specification, "Image Index"). Each has one spelling here: linux/arm is linux/arm/v7 and linux/arm64/v8 is
 * linux/arm64, as the engines read them. */
#ifndef DAVIT_PROTO_PLATFORM_H
#define DAVIT_PROTO_PLATFORM_H

#include <stdbool.h>

#include "proto/err.h"
#include "proto/str.h"

enum { PLATFORM_SIZE = 32, PLATFORMS_MAX = 16 /* of one image */ };

/* How an engine's label begins that says which platform's images it builds and runs. */
#define PLATFORM_LABEL "platform="

struct platform {
	char text[PLATFORM_SIZE];                 /* "linux/arm/v7" */
	char os[8], architecture[12], variant[4]; /* variant may be "" */
};

/* ERR_INPUT names what is near. */
bool platform_parse(struct str text, struct platform *ret, struct err *err);
/* The same of an engine's or an image's words. False: none that is known here. */
bool platform_of(const char *os, const char *architecture, const char *variant, struct platform *ret);
/* What the image of one platform is called beside the others': "r.example/app:1.2-linux-arm-v7" for
 * "r.example/app:1.2". NULL: name is none for an image, has a digest, or its tag would be too long. free() it. */
char *platform_tag(const char *name, const struct platform *platform);

#endif
