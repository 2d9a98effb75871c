/* Which very image a name stands for, and that the engine has it: the one that is on record where there is one, else
 * what the service's pull_policy says. Without one, an image that has come from no registry is taken as the engine has
 * it, and any other is asked for at its registry, as what a tag means may have changed. */
#ifndef DAVIT_DELIVERY_RESOLVE_H
#define DAVIT_DELIVERY_RESOLVE_H

#include "proto/application.h"
#include "proto/err.h"
#include "server/delivery/destinations.h"

struct resolve;

struct resolve_spec {
	const struct application_service *service;
	const char *images; /* on record, see proto/built_image.h; the first of these two that has the name counts */
	const char *needed_images;
	const struct env *env; /* with DOCKER_AUTH_CONFIG, where a registry wants it */
};

struct resolved {
	char *name;       /* whole */
	char digest[128]; /* "": it has come from no registry */
	char id[DOCKER_ID_SIZE];
};

/* err NULL: the engine has it. ERR_NOT_FOUND, ERR_AUTH, ERR_INPUT: it cannot be had. resolved is lent. */
typedef void resolve_fn(void *arg, const struct resolved *resolved, const struct err *err);

/* Everything is lent until fn is called. on_pull: it is asked for. */
struct resolve *resolve_start(const struct destination *destination, const struct resolve_spec *spec,
    void (*on_pull)(void *arg, const char *image), resolve_fn *fn, void *arg);
/* Accepts NULL inside. */
void resolve_cancel(struct resolve **resolve);

#endif
