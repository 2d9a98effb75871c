/* One build of one Dockerfile: the context goes to the engine's build call or, where the Dockerfile wants it, to
 * BuildKit, and with it what is taken out of a container. */
#ifndef DAVIT_BUILDER_IMAGE_BUILD_H
#define DAVIT_BUILDER_IMAGE_BUILD_H

#include "proto/err.h"
#include "proto/plan.h"
#include "proto/str.h"
#include "server/builder/builder.h"

struct host;
struct image_build;

/* Lent as long as it goes on. */
struct image_build_spec {
	const struct builder_job *job;
	const struct build_spec *build;
	const struct strings *names;      /* whole, that the image gets; NULL: none */
	const struct strings *cache_from; /* images whose layers are taken */
	const char *engine;               /* its name */
	const char *platform;             /* NULL: the engine's own */
	bool no_cache;                    /* whatever build says */
	const char *network;              /* of the steps' containers, of the engine's own builder */
	const char *container;            /* out of which build->extract goes into the context; NULL: none */
};

struct image_build_handler {
	void (*on_notice)(void *arg, const char *text);
	void (*on_text)(void *arg, struct str text);
	/* The image's id, or err: ERR_INPUT with "server/Dockerfile:12: " for what the Dockerfile is to blame for. The
	 * build is gone. */
	void (*on_done)(void *arg, const char *id, const struct err *err);
};

/* The async contract of core/loop.h holds. */
struct image_build *image_build_start(
    struct host *host, const struct image_build_spec *spec, const struct image_build_handler *handler, void *arg);
/* No callback follows. Accepts NULL inside. */
void image_build_cancel(struct image_build **build);

#endif
