/* Credentials for a registry, out of the variable DOCKER_AUTH_CONFIG: the text of a ~/.docker/config.json, as docker
 * login writes it and other CI systems take it, given to a job as a secret. */
#ifndef DAVIT_PROTO_REGISTRY_LOGIN_H
#define DAVIT_PROTO_REGISTRY_LOGIN_H

#include "proto/plan.h"

/* What the engine's header X-Registry-Auth takes for that image (a whole name, image_print); NULL when there are no
 * credentials for its registry. It is a secret: wipe and free() it. env may be NULL. */
char *registry_login(const struct env *env, const char *image);
/* The same as Authorization wants it (RFC 7617), for who asks the registry itself. */
char *registry_login_basic(const struct env *env, const char *image);
/* The first of a login that is known. */
char *registry_login_print(struct str user, const char *password, struct str registry);

#endif
