/* From a request's method and path to its handler. Patterns are paths whose segments may be ":name", which captures one
 * non-empty segment. The order of the table does not matter: a literal segment goes before a capture.
 *
 * Access is decided on the route that was found, never on the path's text; what a table does not say is for the
 * administrator. HEAD is served by GET's handler. 404 and 405 (with Allow) are the router's own answers. */
#ifndef DAVIT_CONTROLLER_ROUTER_H
#define DAVIT_CONTROLLER_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/role.h"
#include "server/controller/reply.h"

typedef void route_fn(void *arg, struct http_reply *reply);

struct route {
	enum http1_method method;
	const char *pattern;
	enum role role; /* that it takes */
	route_fn *handler;
	size_t body_max; /* 0: ROUTER_BODY_MAX */
};

#define ROUTER_BODY_MAX (1024 * 1024)

/* A request for a route that takes a role: has the route's handler called, now or later, or answers (401, 403, 503). */
typedef void router_enter_fn(void *arg, struct http_reply *reply, const struct route *route);

struct router;
/* routes must outlive the router; arg is given to the handlers and to enter. Asserts that no two routes collide. */
struct router *router_new(const struct route *routes, size_t count, router_enter_fn *enter, void *arg);
void router_free(struct router **router);
/* How much of a body the request may have. */
size_t router_body_max(const struct router *router, const struct http_request *request);
/* Answers, or has the handler do so. */
void router_dispatch(const struct router *router, struct http_reply *reply);

#endif
