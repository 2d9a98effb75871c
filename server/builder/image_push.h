/* An image goes to the registries of its names, one after the other. A registry that is away is asked again for half a
 * minute; a name that it has already is replaced, kept or an error, as is wanted. */
#ifndef DAVIT_BUILDER_IMAGE_PUSH_H
#define DAVIT_BUILDER_IMAGE_PUSH_H

#include "proto/err.h"
#include "proto/plan.h"

struct host;
struct image_push;

/* Lent as long as it goes on. */
struct image_push_spec {
	const char *image;           /* its id */
	const struct strings *names; /* whole, with tags */
	enum build_existing existing;
	const struct env *env; /* with the logins, see proto/registry_login.h; may be NULL */
};

struct image_push_handler {
	void (*on_notice)(void *arg, const char *text);
	/* The registry has it under that name. */
	void (*on_pushed)(void *arg, const char *name, const char *digest);
	/* err NULL: everything is where it should be. The push is gone. */
	void (*on_done)(void *arg, const struct err *err);
};

/* The async contract of core/loop.h holds. */
struct image_push *image_push_start(
    struct host *host, const struct image_push_spec *spec, const struct image_push_handler *handler, void *arg);
/* No callback follows. Accepts NULL inside. */
void image_push_cancel(struct image_push **push);

#endif
