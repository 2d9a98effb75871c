/* One look at a port: whether it accepts a connection, or answers a GET with 2xx or 3xx. */
#ifndef DAVIT_DELIVERY_PROBE_H
#define DAVIT_DELIVERY_PROBE_H

#include "proto/err.h"

struct loop;
struct probe;

struct probe_spec {
	const char *host;
	unsigned port;
	const char *path; /* NULL: a connection is enough */
};

/* err NULL: it is well. Within 5 s. */
typedef void probe_fn(void *arg, const struct err *err);

/* spec is copied. */
struct probe *probe_start(struct loop *loop, const struct probe_spec *spec, probe_fn *fn, void *arg);
/* Accepts NULL inside. */
void probe_cancel(struct probe **probe);

#endif
