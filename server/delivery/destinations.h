/* The engines that are deployed to, each with one client. */
#ifndef DAVIT_DELIVERY_DESTINATIONS_H
#define DAVIT_DELIVERY_DESTINATIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/err.h"
#include "server/io/docker.h"

struct loop;
struct destinations;

struct destination_conf {
	const char *name; /* unique */
	const char *url;
	const char *ca; /* PEM files of a TLS connection; NULL: none */
	const char *cert;
	const char *key;
};

struct destination {
	const char *name;
	struct docker *docker;
	char *host; /* of one on another machine, whose containers have no address here; NULL: it is on this one */
};

/* confs is lent for its life. */
struct destinations *destinations_new(struct loop *loop, const struct destination_conf *confs, size_t count);
/* No release may be alive. Accepts NULL inside. */
void destinations_free(struct destinations **destinations);
struct loop *destinations_loop(const struct destinations *destinations);
/* name "": the first. NULL with *err set: there is none of that name, or its settings are wrong. Its version has to be
 * asked for before anything else is. */
const struct destination *destinations_find(struct destinations *destinations, const char *name, struct err *err);

#endif
