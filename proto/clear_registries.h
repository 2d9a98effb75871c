/* The registries that an engine asks without TLS, by what it says of itself (Docker Engine API 1.41, /info: "Insecure
 * registries" of dockerd): names, and networks of IPv4 addresses. */
#ifndef DAVIT_PROTO_CLEAR_REGISTRIES_H
#define DAVIT_PROTO_CLEAR_REGISTRIES_H

#include <stdbool.h>

#include "proto/err.h"
#include "proto/str.h"

struct clear_registries {
	char list[4096]; /* with a blank behind each; what has no room is asked by TLS */
};

/* info: the reply's body. ERR_PROTO: it is none. Podman says nothing of it, and has none then. */
bool clear_registries_read(struct str info, struct clear_registries *ret, struct err *err);
/* registry: as image_parse gives it, with its port if it has one. This machine's own names are always among them. */
bool clear_registries_have(const struct clear_registries *registries, const char *registry);

#endif
