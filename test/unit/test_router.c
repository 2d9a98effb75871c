#include "test/unit/unit.h"

#include <stdbool.h>
#include <stdio.h>

#include "server/controller/router.h"
#include "test/unit/fake_gate.h"

static char served[128];
static bool is_admin;

static void
serve(const char *name, struct http_reply *reply)
{
	const struct http_request *r = reply_request(reply);

	snprintf(served, sizeof(served), "%s", name);
	for (size_t i = 0; i < r->param_count; i++)
		snprintf(served + strlen(served), sizeof(served) - strlen(served), " %.*s=%s",
		    (int)r->params[i].name.len, r->params[i].name.p, r->params[i].value);
	reply_send(&reply, 200, "text/plain", "x", 1);
}

#define HANDLER(name)                                         \
	static void name(void *arg, struct http_reply *reply) \
	{                                                     \
		(void)arg;                                    \
		serve(#name, reply);                          \
	}

HANDLER(list)
HANDLER(one)
HANDLER(newest)
HANDLER(add)
HANDLER(log_of)
HANDLER(home)

static const struct route routes[] = {
	{ HTTP1_GET, "/builds", ROLE_ADMIN, list, 0 },
	{ HTTP1_GET, "/builds/:build", ROLE_ADMIN, one, 0 },
	{ HTTP1_GET, "/builds/newest", ROLE_PUBLIC, newest, 0 },
	{ HTTP1_POST, "/builds", ROLE_PUBLIC, add, 77 },
	{ HTTP1_GET, "/builds/:build/jobs/:job/log", ROLE_PUBLIC, log_of, 0 },
	{ HTTP1_GET, "/", ROLE_PUBLIC, home, 0 },
};

static void
enter(void *arg, struct http_reply *reply, const struct route *route)
{
	assert_int_equal(route->role, ROLE_ADMIN);
	if (is_admin)
		route->handler(arg, reply);
	else
		reply_error(&reply, 401, "auth", "no");
}

static unsigned
ask(const char *head, char *text, size_t size)
{
	struct router *router = router_new(routes, sizeof(routes) / sizeof(routes[0]), enter, NULL);
	struct gate gate;
	unsigned status;

	served[0] = '\0';
	fake_gate_init(&gate);
	router_dispatch(router, reply_new(&gate, fake_request(head)));
	status = gate.status;
	snprintf(text, size, "%s", fake_gate_text(&gate));
	fake_gate_fini(&gate);
	router_free(&router);
	return status;
}

static unsigned
get(const char *path)
{
	char head[256], text[1024];

	snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
	return ask(head, text, sizeof(text));
}

static void
test_patterns(void **state)
{
	(void)state;
	is_admin = true;
	assert_int_equal(get("/"), 200);
	assert_string_equal(served, "home");
	assert_int_equal(get("/builds"), 200);
	assert_string_equal(served, "list");
	assert_int_equal(get("/builds/17"), 200);
	assert_string_equal(served, "one build=17");
	assert_int_equal(get("/builds/a%20b"), 200);
	assert_string_equal(served, "one build=a b");
	assert_int_equal(get("/builds/newest"), 200);
	assert_string_equal(served, "newest"); /* a literal goes before a capture, wherever it stands */
	assert_int_equal(get("/builds/17/jobs/2/log?x=1"), 200);
	assert_string_equal(served, "log_of build=17 job=2");
}

static void
test_what_is_not_there(void **state)
{
	static const char *const paths[] = { "/builds/", "/build", "/buildss", "/builds/17/", "/builds/17/jobs",
		"/builds/17/jobs/2/log/", "/Builds", "/builds;x", "/builds/17;x/jobs" };

	(void)state;
	is_admin = true;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (get(paths[i]) != 404 || served[0] != '\0')
			fail_msg("%s is served by %s", paths[i], served);
}

static void
test_methods(void **state)
{
	char text[1024];

	(void)state;
	is_admin = true;
	assert_int_equal(ask("DELETE /builds HTTP/1.1\r\nHost: a\r\n\r\n", text, sizeof(text)), 405);
	assert_non_null(strstr(text, "\r\nAllow: GET, HEAD, POST\r\n"));
	assert_int_equal(ask("POST /builds HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", text, sizeof(text)), 200);
	assert_string_equal(served, "add");
	assert_int_equal(ask("HEAD /builds HTTP/1.1\r\nHost: a\r\n\r\n", text, sizeof(text)), 200);
	assert_string_equal(served, "list");
	assert_non_null(strstr(text, "Content-Length: 1\r\n"));
	assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n"); /* and no body */
}

static void
test_access_is_denied_by_default(void **state)
{
	(void)state;
	is_admin = false;
	assert_int_equal(get("/builds"), 401);
	assert_int_equal(get("/builds/17"), 401);
	assert_int_equal(get("/%62uilds"), 401); /* the same route by another spelling */
	assert_string_equal(served, "");
	assert_int_equal(get("/builds/newest"), 200);
	assert_int_equal(get("/nothing"), 404);
}

static void
test_body_limits(void **state)
{
	struct router *router = router_new(routes, sizeof(routes) / sizeof(routes[0]), enter, NULL);
	struct http_request *post = fake_request("POST /builds HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
	struct http_request *other = fake_request("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");

	(void)state;
	assert_int_equal(router_body_max(router, post), 77);
	assert_int_equal(router_body_max(router, other), ROUTER_BODY_MAX);
	request_free(&post);
	request_free(&other);
	router_free(&router);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_what_is_not_there),
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_access_is_denied_by_default),
		cmocka_unit_test(test_body_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
