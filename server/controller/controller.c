#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/controller/auth.h"
#include "server/controller/build_feed.h"
#include "server/controller/controller_private.h"
#include "server/controller/listener.h"
#include "server/controller/log_stream.h"
#include "server/controller/sse.h"
#include "server/core/loop.h"

#define LEAVE_MS 10000 /* for what is under way, when another process has taken the place */

/* clang-format off */
static const struct route routes[] = {
	{ HTTP1_GET,    "/api/v1/repos",               ROUTE_ADMIN,  api_repo_list,    0 },
	{ HTTP1_POST,   "/api/v1/repos",               ROUTE_ADMIN,  api_repo_add,     0 },
	{ HTTP1_GET,    "/api/v1/repos/:repo",         ROUTE_ADMIN,  api_repo_get,     0 },
	{ HTTP1_PATCH,  "/api/v1/repos/:repo",         ROUTE_ADMIN,  api_repo_change,  0 },
	{ HTTP1_DELETE, "/api/v1/repos/:repo",         ROUTE_ADMIN,  api_repo_delete,  0 },
	{ HTTP1_GET,    "/api/v1/repos/:repo/crons",   ROUTE_ADMIN,  api_cron_list,    0 },
	{ HTTP1_PUT,    "/api/v1/repos/:repo/crons/:cron", ROUTE_ADMIN, api_cron_put,  0 },
	{ HTTP1_DELETE, "/api/v1/repos/:repo/crons/:cron", ROUTE_ADMIN, api_cron_delete, 0 },
	{ HTTP1_GET,    "/api/v1/repos/:repo/environments", ROUTE_ADMIN, api_environment_list, 0 },
	{ HTTP1_GET,    "/api/v1/repos/:repo/environments/:environment", ROUTE_ADMIN, api_environment_get, 0 },
	{ HTTP1_PUT,    "/api/v1/repos/:repo/environments/:environment", ROUTE_ADMIN, api_environment_put, 0 },
	{ HTTP1_DELETE, "/api/v1/repos/:repo/environments/:environment", ROUTE_ADMIN, api_environment_delete, 0 },
	{ HTTP1_GET,    "/api/v1/repos/:repo/environments/:environment/deployments", ROUTE_ADMIN, api_deployment_list, 0 },
	{ HTTP1_POST,   "/api/v1/repos/:repo/environments/:environment/lock", ROUTE_ADMIN, api_environment_lock, 0 },
	{ HTTP1_POST,   "/api/v1/repos/:repo/environments/:environment/unlock", ROUTE_ADMIN, api_environment_unlock, 0 },
	{ HTTP1_POST,   "/api/v1/repos/:repo/environments/:environment/rollback", ROUTE_ADMIN, api_environment_rollback, 0 },
	{ HTTP1_POST,   "/api/v1/repos/:repo/builds",  ROUTE_ADMIN,  api_build_submit, 0 },
	{ HTTP1_GET,    "/api/v1/secrets",             ROUTE_ADMIN,  api_secret_list,  0 },
	{ HTTP1_PUT,    "/api/v1/secrets/:scope/:owner/:name", ROUTE_ADMIN, api_secret_put, 0 },
	{ HTTP1_DELETE, "/api/v1/secrets/:scope/:owner/:name", ROUTE_ADMIN, api_secret_delete, 0 },
	{ HTTP1_PUT,    "/api/v1/secrets/:scope/:owner/:environment/:name", ROUTE_ADMIN, api_secret_put, 0 },
	{ HTTP1_DELETE, "/api/v1/secrets/:scope/:owner/:environment/:name", ROUTE_ADMIN, api_secret_delete, 0 },
	{ HTTP1_POST,   "/api/v1/seal-key/rotate",     ROUTE_ADMIN,  api_seal_key_rotate, 0 },
	{ HTTP1_GET,    "/api/v1/builds",              ROUTE_ADMIN,  api_build_list,   0 },
	{ HTTP1_GET,    "/api/v1/builds/:build",       ROUTE_ADMIN,  api_build_get,    0 },
	{ HTTP1_POST,   "/api/v1/builds/:build/cancel", ROUTE_ADMIN, api_build_cancel, 0 },
	{ HTTP1_POST,   "/api/v1/builds/:build/rerun", ROUTE_ADMIN,  api_build_rerun,  0 },
	{ HTTP1_POST,   "/api/v1/builds/:build/approve", ROUTE_ADMIN, api_build_approve, 0 },
	{ HTTP1_POST,   "/api/v1/builds/:build/reject", ROUTE_ADMIN, api_build_reject, 0 },
	{ HTTP1_GET,    "/api/v1/builds/:build/artifacts", ROUTE_ADMIN, api_artifact_list, 0 },
	{ HTTP1_GET,    "/api/v1/builds/:build/reports", ROUTE_ADMIN, api_report_list, 0 },
	{ HTTP1_GET,    "/api/v1/jobs/:job/artifacts/:artifact", ROUTE_ADMIN, api_artifact_get, 0 },
	{ HTTP1_GET,    "/api/v1/jobs/:job/artifacts/:artifact/file", ROUTE_ADMIN, api_artifact_file, 0 },
	{ HTTP1_GET,    "/api/v1/jobs/:job",           ROUTE_ADMIN,  api_job_get,      0 },
	{ HTTP1_POST,   "/api/v1/jobs/:job/cancel",    ROUTE_ADMIN,  api_job_cancel,   0 },
	{ HTTP1_POST,   "/api/v1/builds/:build/deploy", ROUTE_ADMIN, api_build_deploy, 0 },
	{ HTTP1_POST,   "/api/v1/jobs/:job/approve",   ROUTE_ADMIN,  api_job_approve,  0 },
	{ HTTP1_POST,   "/api/v1/jobs/:job/reject",    ROUTE_ADMIN,  api_job_reject,   0 },
	{ HTTP1_GET,    "/api/v1/jobs/:job/debug",     ROUTE_ADMIN,  api_job_debug,    0 },
	{ HTTP1_POST,   "/api/v1/jobs/:job/release",   ROUTE_ADMIN,  api_job_release,  0 },
	{ HTTP1_GET,    "/api/v1/jobs/:job/log",       ROUTE_ADMIN,  api_log_get,      0 },
	{ HTTP1_GET,    "/api/v1/jobs/:job/log/stream", ROUTE_ADMIN, api_log_stream,   0 },
	{ HTTP1_GET,    "/api/v1/queue",               ROUTE_ADMIN,  api_queue,        0 },
	{ HTTP1_GET,    "/api/v1/engines",             ROUTE_ADMIN,  api_engines,      0 },
	{ HTTP1_GET,    "/api/v1/events",              ROUTE_ADMIN,  api_events,       0 },
	{ HTTP1_GET,    "/metrics",                    ROUTE_ADMIN,  api_metrics,      0 },
	{ HTTP1_GET,    "/healthz",                    ROUTE_PUBLIC, api_health,       0 },
	{ HTTP1_POST,   "/hook/:repo",                 ROUTE_PUBLIC, api_hook,         0 },
	{ HTTP1_POST,   "/login",                      ROUTE_PUBLIC, api_login,        4096 },
	{ HTTP1_POST,   "/logout",                     ROUTE_PUBLIC, api_logout,       4096 },
	{ HTTP1_GET,    "/",                           ROUTE_PUBLIC, page_get,         0 },
	{ HTTP1_GET,    "/login",                      ROUTE_PUBLIC, page_get,         0 },
	{ HTTP1_GET,    "/builds/:build",              ROUTE_PUBLIC, page_get,         0 },
	{ HTTP1_GET,    "/repos",                      ROUTE_PUBLIC, page_get,         0 },
	{ HTTP1_GET,    "/web/:file",                  ROUTE_PUBLIC, page_asset,       0 },
};
/* clang-format on */

/* --- requests --- */

static bool
admit(void *arg, struct http_reply **reply)
{
	struct controller *c = arg;

	switch (auth_check(c->auth, reply_request(*reply), loop_wall_ms())) {
	case AUTH_OK:
		return true;
	case AUTH_FOREIGN:
		reply_error(reply, 403, "foreign", "the request comes from a page of another site");
		return false;
	case AUTH_MISSING:
		break;
	}
	reply_header(*reply, "WWW-Authenticate", "Bearer realm=\"davit\"");
	reply_error(
	    reply, 401, "auth", "send \"Authorization: Bearer TOKEN\" with the administrator's token, or log in");
	return false;
}

static size_t
body_limit(void *arg, const struct http_request *request)
{
	struct controller *c = arg;

	if (strncmp(request->path, "/hook/", 6) == 0)
		return c->deps.hook_body_max;
	return router_body_max(c->router, request);
}

static void
on_request(void *arg, struct http_reply *reply)
{
	struct controller *c = arg;

	router_dispatch(c->router, reply);
}

/* --- what happens in the store --- */

/* "17" of "17 running" */
static bool
cut_build(struct str *rest, int64_t *ret)
{
	uint64_t n;

	if (!str_to_u64(str_cut(rest, ' '), INT64_MAX, &n))
		return false;
	*ret = (int64_t)n;
	return true;
}

static void
on_build_line(struct controller *c, struct str rest)
{
	enum build_state state;
	int64_t build;
	char *name;

	if (!cut_build(&rest, &build))
		return;
	name = str_dup(rest);
	if (build_state_from_name(name, &state))
		figures_add_build(&c->figures, state);
	free(name);
	build_feed_changed(c->feed, build);
}

static void
on_job_line(struct controller *c, struct str rest)
{
	char *job = str_dup(str_cut(&rest, ' '));
	int64_t build, k;

	if (job_id_parse(job, &build, &k)) {
		log_streams_job_changed(c->logs, job);
		build_feed_changed(c->feed, build);
	}
	free(job);
}

void
controller_wake(struct controller *controller, const char *line)
{
	struct str rest = str_of(line), word = str_cut(&rest, ' ');

	if (str_is(word, "build")) {
		on_build_line(controller, rest);
	} else if (str_is(word, "job")) {
		on_job_line(controller, rest);
	} else if (str_is(word, "up")) {
		log_streams_job_changed(controller->logs, NULL);
		build_feed_reload(controller->feed);
	}
}

/* --- life --- */

/* The proxy that stands in front as the sample has it. */
static const char *const loopback[] = { "127.0.0.1", "::1", NULL };

static bool
listen_at(struct controller *c, const char *address, struct err *err)
{
	struct listener_conf conf = { .address = address,
		.connections_max = c->deps.connections_max,
		.listeners = (unsigned)c->deps.listen_count,
		.inherited = c->deps.inherited,
		.waits = c->deps.waits,
		.gate = { .trusted_proxies = c->deps.trusted_proxies != NULL ? c->deps.trusted_proxies : loopback,
		    .body_limit = body_limit,
		    .on_request = on_request,
		    .arg = c } };
	struct listener *listener = listener_new(c->deps.loop, &conf, err);

	if (listener == NULL)
		return false;
	c->listeners[c->listener_count++] = listener;
	return true;
}

struct controller *
controller_new(const struct controller_deps *deps, struct err *err)
{
	struct controller *c;

	if (deps->admin_token == NULL || strlen(deps->admin_token) < 16) {
		err_set(err, ERR_INPUT, 0, "the administrator's token is shorter than 16 bytes");
		return NULL;
	}
	c = xcalloc(1, sizeof(*c));
	c->deps = *deps;
	c->auth = auth_new(deps->admin_token);
	c->router = router_new(routes, sizeof(routes) / sizeof(routes[0]), admit, c);
	c->followers = sse_hub_new(deps->loop, SSE_HEARTBEAT_MS);
	c->logs = log_streams_new(deps->loop, deps->store, deps->logs, c->followers);
	c->feed = build_feed_new(deps->store, c->followers);
	c->listeners = xcalloc(deps->listen_count, sizeof(struct listener *));
	for (size_t i = 0; i < deps->listen_count; i++)
		if (!listen_at(c, deps->listen[i], err)) {
			controller_free(&c);
			return NULL;
		}
	return c;
}

void
controller_accept(struct controller *controller)
{
	for (size_t i = 0; i < controller->listener_count; i++)
		listener_accept(controller->listeners[i]);
}

static void
end_streams(struct controller *controller)
{
	sse_hub_end_all(controller->followers);
	api_debug_end_all(controller);
}

void
controller_drain(struct controller *controller)
{
	for (size_t i = 0; i < controller->listener_count; i++)
		listener_drain(controller->listeners[i]);
	end_streams(controller);
}

/* --- leaving to another process --- */

static void
on_left(void *arg)
{
	struct controller *c = arg;

	timer_free(&c->leaving);
	c->on_left(c->left_arg); /* last: c may be gone */
}

static bool
is_empty(const struct controller *c)
{
	unsigned connections = 0;

	for (size_t i = 0; i < c->listener_count; i++)
		connections += listener_figures(c->listeners[i]).connections;
	return connections == 0;
}

static void
on_empty(void *arg)
{
	struct controller *c = arg;

	if (c->leaving != NULL && is_empty(c))
		timer_start(c->leaving, 0); /* not from within the end of a connection */
}

void
controller_leave(struct controller *c, void (*done)(void *arg), void *arg)
{
	assert(c->on_left == NULL);
	c->on_left = done;
	c->left_arg = arg;
	c->leaving = timer_new(c->deps.loop, on_left, c);
	timer_start(c->leaving, LEAVE_MS);
	for (size_t i = 0; i < c->listener_count; i++)
		listener_leave(c->listeners[i], on_empty, c);
	end_streams(c);
	on_empty(c);
}

/* The listeners first: with their connections go all calls and streams. */
void
controller_free(struct controller **controller)
{
	struct controller *c = *controller;

	if (c == NULL)
		return;
	*controller = NULL;
	timer_free(&c->leaving);
	api_debug_end_all(c);
	for (size_t i = 0; i < c->listener_count; i++)
		listener_free(&c->listeners[i]);
	free(c->listeners);
	build_feed_free(&c->feed);
	log_streams_free(&c->logs);
	sse_hub_free(&c->followers);
	router_free(&c->router);
	auth_free(&c->auth);
	free(c);
}

const char *
controller_address(const struct controller *controller, size_t index)
{
	return index < controller->listener_count ? listener_address(controller->listeners[index]) : NULL;
}

const struct listening *
controller_socket(const struct controller *controller, size_t index)
{
	return index < controller->listener_count ? listener_socket(controller->listeners[index]) : NULL;
}
