/* What a registry tells when something was pushed: the envelope of distribution's notifications
 * (distribution.github.io/distribution/about/notifications, application/vnd.docker.distribution.events.v1+json). */
#ifndef DAVIT_PROTO_REGISTRY_EVENTS_H
#define DAVIT_PROTO_REGISTRY_EVENTS_H

#include "proto/json.h"
#include "proto/plan.h"

#define REGISTRY_EVENTS_MAX 100 /* different tags of one envelope; more are left out */

/* Adds "REPOSITORY:TAG" to ret for each tag that was pushed, once; without the registry, which knows itself by other
 * names than people do. What else is told (pulls, deletions, manifests without a tag, names that no image has) is left
 * out. ERR_INPUT: it is no such envelope. End *ret with strings_fini, in any case. */
bool registry_events_read(const struct json_value *envelope, struct strings *ret, struct err *err);

#endif
