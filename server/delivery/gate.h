/* The gate that a new container has to pass: it runs without a restart, is "healthy" where it has a check, its port
 * accepts or answers where one is named, and all that for a while without a break. */
#ifndef DAVIT_DELIVERY_GATE_H
#define DAVIT_DELIVERY_GATE_H

#include "proto/application.h"
#include "proto/err.h"
#include "server/delivery/destinations.h"

struct gate;
struct loop;

/* err NULL: it is passed. ERR_REFUSED: the container is not well, and why. Anything else is the engine's. */
typedef void gate_fn(void *arg, const struct err *err);

/* The container runs. Everything is lent until fn is called. */
struct gate *gate_start(struct loop *loop, const struct destination *destination, const char *container,
    const struct application_service *service, unsigned replica, gate_fn *fn, void *arg);
/* Accepts NULL inside. */
void gate_cancel(struct gate **gate);

#endif
