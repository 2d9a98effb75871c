/* The images that a Dockerfile's build begins from: those of FROM and COPY --from that are no stages of its own, as
 * they are called once its ARGs in front of the first FROM are put in (docs.docker.com/reference/dockerfile,
 * "Understand how ARG and FROM interact"). What cannot be told is left out: who builds it knows. */
#ifndef DAVIT_PROTO_DOCKERFILE_BASES_H
#define DAVIT_PROTO_DOCKERFILE_BASES_H

#include "proto/dockerfile.h"
#include "proto/plan.h"

enum {
	DOCKERFILE_BASES_MAX = 32,  /* further ones are left out, */
	DOCKERFILE_STAGES_MAX = 256 /* as is what follows so many stages or ARGs */
};

struct dockerfile_base {
	char *image;    /* as written */
	char *platform; /* "linux/arm64", as --platform has it; NULL: none */
};

struct dockerfile_bases {
	struct dockerfile_base items[DOCKERFILE_BASES_MAX]; /* each once, in their order */
	size_t count;
};

/* args: of the build, which count more than defaults. target: its last stage, by name or number; NULL: the
 * Dockerfile's.
 */
void dockerfile_bases_find(
    const struct dockerfile *dockerfile, const struct env *args, const char *target, struct dockerfile_bases *ret);
void dockerfile_bases_fini(struct dockerfile_bases *bases);

#endif
