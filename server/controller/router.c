#include "server/controller/router.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

struct router {
	const struct route *routes;
	size_t count;
	router_enter_fn *enter;
	void *arg;
};

/* The captures of one match; the strings point into the path. */
struct match {
	struct str values[REQUEST_PARAMS_MAX];
	struct str names[REQUEST_PARAMS_MAX];
	size_t count;
	bool has_literals_alone;
};

static bool
match_segment(struct str want, struct str have, struct match *m)
{
	if (want.len == 0 || want.p[0] != ':')
		return str_eq(want, have);
	if (have.len == 0)
		return false;
	assert(m->count < REQUEST_PARAMS_MAX);
	m->names[m->count] = (struct str){ want.p + 1, want.len - 1 };
	m->values[m->count++] = have;
	return true;
}

static bool
match_path(const char *pattern, const char *path, struct match *ret)
{
	struct str want = str_of(pattern), have = str_of(path);

	*ret = (struct match){ 0 };
	while (want.len > 0 && have.len > 0) {
		bool ends_alike = (memchr(want.p, '/', want.len) != NULL) == (memchr(have.p, '/', have.len) != NULL);

		if (!ends_alike || !match_segment(str_cut(&want, '/'), str_cut(&have, '/'), ret))
			return false;
	}
	ret->has_literals_alone = ret->count == 0;
	return want.len == have.len;
}

static enum http1_method
route_method(const struct http_request *request)
{
	return request->method == HTTP1_HEAD ? HTTP1_GET : request->method;
}

/* The route for path and method; with any method when exact is false. */
static const struct route *
find(const struct router *router, const struct http_request *request, bool exact, struct match *ret)
{
	const struct route *found = NULL;
	struct match m;

	for (size_t i = 0; i < router->count; i++) {
		const struct route *route = &router->routes[i];

		if ((exact && route->method != route_method(request)) || !match_path(route->pattern, request->path, &m))
			continue;
		if (found != NULL && !m.has_literals_alone)
			continue;
		found = route;
		*ret = m;
	}
	return found;
}

struct router *
router_new(const struct route *routes, size_t count, router_enter_fn *enter, void *arg)
{
	struct router *router = xcalloc(1, sizeof(*router));

	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < i; k++)
			assert(
			    routes[i].method != routes[k].method || strcmp(routes[i].pattern, routes[k].pattern) != 0);
	*router = (struct router){ .routes = routes, .count = count, .enter = enter, .arg = arg };
	return router;
}

void
router_free(struct router **router)
{
	free(*router);
	*router = NULL;
}

size_t
router_body_max(const struct router *router, const struct http_request *request)
{
	struct match m;
	const struct route *route = find(router, request, true, &m);

	return route != NULL && route->body_max != 0 ? route->body_max : ROUTER_BODY_MAX;
}

/* "GET, HEAD, POST" */
static void
refuse_method(const struct router *router, struct http_reply **reply)
{
	const struct http_request *request = reply_request(*reply);
	struct match m;
	struct buf allow;

	buf_init(&allow, 256);
	for (size_t i = 0; i < router->count; i++)
		if (match_path(router->routes[i].pattern, request->path, &m)) {
			buf_addf(
			    &allow, "%s%s", allow.len > 0 ? ", " : "", http1_method_name(router->routes[i].method));
			if (router->routes[i].method == HTTP1_GET)
				buf_adds(&allow, ", HEAD");
		}
	reply_header(*reply, "Allow", allow.data);
	reply_error(reply, 405, "method_not_allowed", "%s takes %s", request->path, allow.data);
	buf_fini(&allow);
}

static void
store_params(struct http_request *request, const struct match *m)
{
	for (size_t i = 0; i < m->count; i++) {
		request->params[i].name = m->names[i];
		request->params[i].value = str_dup(m->values[i]);
	}
	request->param_count = m->count;
}

void
router_dispatch(const struct router *router, struct http_reply *reply)
{
	const struct http_request *request = reply_request(reply);
	struct match m;
	const struct route *route = find(router, request, true, &m);

	if (route == NULL && find(router, request, false, &m) != NULL) {
		refuse_method(router, &reply);
		return;
	}
	if (route == NULL) {
		reply_error(&reply, 404, "not_found", "there is nothing at %s", request->path);
		return;
	}
	store_params(reply_own_request(reply), &m);
	if (route->role == ROLE_PUBLIC)
		route->handler(router->arg, reply);
	else
		router->enter(router->arg, reply, route);
}
