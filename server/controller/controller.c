#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/controller/access.h"
#include "server/controller/auth.h"
#include "server/controller/build_feed.h"
#include "server/controller/controller_private.h"
#include "server/controller/idempotency.h"
#include "server/controller/listener.h"
#include "server/controller/log_stream.h"
#include "server/controller/sse.h"
#include "server/core/loop.h"

#define LEAVE_MS 10000 /* for what is under way, when another process has taken the place */

/* clang-format off */
static const struct route routes[] = {
	{ HTTP1_GET,    "/api/v1/repos",               ROLE_READ,  api_repo_list,    0 },
	{ HTTP1_POST,   "/api/v1/repos",               ROLE_ADMIN,  api_repo_add,     0 },
	{ HTTP1_GET,    "/api/v1/repos/:repo",         ROLE_READ,  api_repo_get,     0 },
	{ HTTP1_PATCH,  "/api/v1/repos/:repo",         ROLE_ADMIN,  api_repo_change,  0 },
	{ HTTP1_DELETE, "/api/v1/repos/:repo",         ROLE_ADMIN,  api_repo_delete,  0 },
	{ HTTP1_GET,    "/api/v1/repos/:repo/crons",   ROLE_READ,  api_cron_list,    0 },
	{ HTTP1_PUT,    "/api/v1/repos/:repo/crons/:cron", ROLE_ADMIN, api_cron_put,  0 },
	{ HTTP1_DELETE, "/api/v1/repos/:repo/crons/:cron", ROLE_ADMIN, api_cron_delete, 0 },
	{ HTTP1_GET,    "/api/v1/repos/:repo/insights", ROLE_READ, api_insights,    0 },
	{ HTTP1_GET,    "/api/v1/repos/:repo/environments", ROLE_READ, api_environment_list, 0 },
	{ HTTP1_GET,    "/api/v1/repos/:repo/environments/:environment", ROLE_READ, api_environment_get, 0 },
	{ HTTP1_PUT,    "/api/v1/repos/:repo/environments/:environment", ROLE_ADMIN, api_environment_put, 0 },
	{ HTTP1_DELETE, "/api/v1/repos/:repo/environments/:environment", ROLE_ADMIN, api_environment_delete, 0 },
	{ HTTP1_GET,    "/api/v1/repos/:repo/environments/:environment/deployments", ROLE_READ, api_deployment_list, 0 },
	{ HTTP1_POST,   "/api/v1/repos/:repo/environments/:environment/lock", ROLE_DEPLOY, api_environment_lock, 0 },
	{ HTTP1_POST,   "/api/v1/repos/:repo/environments/:environment/unlock", ROLE_DEPLOY, api_environment_unlock, 0 },
	{ HTTP1_POST,   "/api/v1/repos/:repo/environments/:environment/rollback", ROLE_DEPLOY, api_environment_rollback, 0 },
	{ HTTP1_POST,   "/api/v1/repos/:repo/builds",  ROLE_DEVELOP,  api_build_submit, 0 },
	{ HTTP1_GET,    "/api/v1/secrets",             ROLE_ADMIN,  api_secret_list,  0 },
	{ HTTP1_PUT,    "/api/v1/secrets/:scope/:owner/:name", ROLE_ADMIN, api_secret_put, 0 },
	{ HTTP1_DELETE, "/api/v1/secrets/:scope/:owner/:name", ROLE_ADMIN, api_secret_delete, 0 },
	{ HTTP1_PUT,    "/api/v1/secrets/:scope/:owner/:environment/:name", ROLE_ADMIN, api_secret_put, 0 },
	{ HTTP1_DELETE, "/api/v1/secrets/:scope/:owner/:environment/:name", ROLE_ADMIN, api_secret_delete, 0 },
	{ HTTP1_POST,   "/api/v1/seal-key/rotate",     ROLE_ADMIN,  api_seal_key_rotate, 0 },
	{ HTTP1_GET,    "/api/v1/me",                  ROLE_READ,    api_me,           0 },
	{ HTTP1_POST,   "/api/v1/mirror/purge",        ROLE_ADMIN,   api_mirror_purge, 0 },
	{ HTTP1_POST,   "/api/v1/mirror/fetch",        ROLE_ADMIN,   api_mirror_fetch, 0 },
	{ HTTP1_GET,    "/api/v1/mirror/fetch/:fetch", ROLE_READ,    api_mirror_fetched, 0 },
	{ HTTP1_GET,    "/api/v1/mirror/pins",         ROLE_READ,    api_mirror_pins,  0 },
	{ HTTP1_POST,   "/api/v1/mirror/pins",         ROLE_ADMIN,   api_mirror_pin,   0 },
	{ HTTP1_POST,   "/api/v1/mirror/unpin",        ROLE_ADMIN,   api_mirror_unpin, 0 },
	{ HTTP1_GET,    "/api/v1/tokens",              ROLE_ADMIN,   api_token_list,   0 },
	{ HTTP1_PUT,    "/api/v1/tokens/:token",       ROLE_ADMIN,   api_token_put,    0 },
	{ HTTP1_DELETE, "/api/v1/tokens/:token",       ROLE_ADMIN,   api_token_delete, 0 },
	{ HTTP1_GET,    "/api/v1/builds",              ROLE_READ,  api_build_list,   0 },
	{ HTTP1_GET,    "/api/v1/builds/:build",       ROLE_READ,  api_build_get,    0 },
	{ HTTP1_POST,   "/api/v1/builds/:build/cancel", ROLE_DEVELOP, api_build_cancel, 0 },
	{ HTTP1_POST,   "/api/v1/builds/:build/rerun", ROLE_DEVELOP,  api_build_rerun,  0 },
	{ HTTP1_POST,   "/api/v1/builds/:build/approve", ROLE_DEVELOP, api_build_approve, 0 },
	{ HTTP1_POST,   "/api/v1/builds/:build/reject", ROLE_DEVELOP, api_build_reject, 0 },
	{ HTTP1_GET,    "/api/v1/builds/:build/artifacts", ROLE_READ, api_artifact_list, 0 },
	{ HTTP1_GET,    "/api/v1/builds/:build/reports", ROLE_READ, api_report_list, 0 },
	{ HTTP1_GET,    "/api/v1/jobs/:job/artifacts/:artifact", ROLE_READ, api_artifact_get, 0 },
	{ HTTP1_GET,    "/api/v1/jobs/:job/artifacts/:artifact/file", ROLE_READ, api_artifact_file, 0 },
	{ HTTP1_GET,    "/api/v1/jobs/:job",           ROLE_READ,  api_job_get,      0 },
	{ HTTP1_POST,   "/api/v1/jobs/:job/cancel",    ROLE_DEVELOP,  api_job_cancel,   0 },
	{ HTTP1_POST,   "/api/v1/builds/:build/deploy", ROLE_DEPLOY, api_build_deploy, 0 },
	{ HTTP1_POST,   "/api/v1/jobs/:job/approve",   ROLE_DEPLOY,  api_job_approve,  0 },
	{ HTTP1_POST,   "/api/v1/jobs/:job/reject",    ROLE_DEPLOY,  api_job_reject,   0 },
	{ HTTP1_GET,    "/api/v1/jobs/:job/debug",     ROLE_DEPLOY,  api_job_debug,    0 },
	{ HTTP1_POST,   "/api/v1/jobs/:job/release",   ROLE_DEPLOY,  api_job_release,  0 },
	{ HTTP1_GET,    "/api/v1/jobs/:job/log",       ROLE_READ,  api_log_get,      0 },
	{ HTTP1_GET,    "/api/v1/jobs/:job/log/stream", ROLE_READ, api_log_stream,   0 },
	{ HTTP1_GET,    "/api/v1/queue",               ROLE_READ,  api_queue,        0 },
	{ HTTP1_GET,    "/api/v1/engines",             ROLE_READ,  api_engines,      0 },
	{ HTTP1_GET,    "/api/v1/mirror",              ROLE_READ,  api_mirror,       0 },
	{ HTTP1_GET,    "/api/v1/events",              ROLE_READ,  api_events,       0 },
	{ HTTP1_GET,    "/metrics",                    ROLE_READ,  api_metrics,      0 },
	{ HTTP1_GET,    "/healthz",                    ROLE_PUBLIC, api_health,       0 },
	{ HTTP1_POST,   "/hook/:repo",                 ROLE_PUBLIC, api_hook,         0 },
	{ HTTP1_POST,   "/api/v1/registry/events",     ROLE_NOTIFY, api_registry_events, API_REGISTRY_EVENTS_MAX },
	{ HTTP1_POST,   "/login",                      ROLE_PUBLIC, api_login,        4096 },
	{ HTTP1_POST,   "/logout",                     ROLE_PUBLIC, api_logout,       4096 },
	{ HTTP1_GET,    "/",                           ROLE_PUBLIC, page_get,         0 },
	{ HTTP1_GET,    "/login",                      ROLE_PUBLIC, page_get,         0 },
	{ HTTP1_GET,    "/builds/:build",              ROLE_PUBLIC, page_get,         0 },
	{ HTTP1_GET,    "/repos",                      ROLE_PUBLIC, page_get,         0 },
	{ HTTP1_GET,    "/mirror",                     ROLE_PUBLIC, page_get,         0 },
	{ HTTP1_GET,    "/web/:file",                  ROLE_PUBLIC, page_asset,       0 },
};
/* clang-format on */

/* --- requests --- */

static void
refuse(struct http_reply **reply, enum auth_verdict verdict)
{
	switch (verdict) {
	case AUTH_FOREIGN:
		reply_error(reply, 403, "foreign", "the request comes from a page of another site");
		break;
	case AUTH_NOT_YET:
		reply_header(*reply, "Retry-After", "1");
		reply_error(reply, 503, "unavailable", "who may do what is not known yet: Redis has not answered");
		break;
	case AUTH_MISSING:
	case AUTH_OK:
		reply_header(*reply, "WWW-Authenticate", "Bearer realm=\"davit\"");
		reply_error(reply, 401, "auth", "send \"Authorization: Bearer TOKEN\", or log in");
		break;
	}
}

/* Whether the request comes from somebody with that role; else it is answered. */
static bool
admit(struct controller *c, struct http_reply **reply, enum role role)
{
	struct http_request *request = reply_own_request(*reply);
	struct auth_who who;
	enum auth_verdict verdict = auth_check(c->auth, request, loop_wall_ms(), &who);

	if (verdict != AUTH_OK) {
		refuse(reply, verdict);
		return false;
	}
	if (who.role > role) {
		reply_error(reply, 403, "role", "this takes the role %s, and %s has the role %s", role_name(role),
		    who.name, role_name(who.role));
		return false;
	}
	request->who = xstrdup(who.name);
	request->role = who.role;
	return true;
}

static void
enter(void *arg, struct http_reply *reply, const struct route *route)
{
	struct controller *c = arg;

	if (!admit(c, &reply, route->role))
		return;
	if (idempotency_concerns(reply_request(reply)))
		idempotency_begin(c->idempotency, reply, route->handler, c);
	else
		route->handler(c, reply);
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
	} else if (str_is(word, "access_tokens")) {
		access_reload(controller->access);
	} else if (str_is(word, "up")) {
		access_reload(controller->access);
		log_streams_job_changed(controller->logs, NULL);
		build_feed_reload(controller->feed);
	}
}

/* --- life --- */

static void
end_streams(struct controller *controller)
{
	sse_hub_end_all(controller->followers);
	api_debug_end_all(controller);
}

static void
on_access_lost(void *arg)
{
	end_streams(arg);
}

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
	buf_init(&c->week, WEEK_FIGURES_BYTES);
	c->auth = auth_new(deps->admin_token);
	c->router = router_new(routes, sizeof(routes) / sizeof(routes[0]), enter, c);
	c->idempotency = idempotency_new(deps->store);
	c->followers = sse_hub_new(deps->loop, SSE_HEARTBEAT_MS);
	c->logs = log_streams_new(deps->loop, deps->store, deps->logs, c->followers);
	c->feed = build_feed_new(deps->store, c->followers);
	c->access = access_new(deps->loop, deps->store, c->auth, on_access_lost, c);
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

/* The listeners first: with their connections go all calls and streams, but for what is done without a client. */
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
	idempotency_free(&c->idempotency);
	build_feed_free(&c->feed);
	log_streams_free(&c->logs);
	sse_hub_free(&c->followers);
	router_free(&c->router);
	access_free(&c->access);
	auth_free(&c->auth);
	buf_fini(&c->week);
	free(c);
}

const char *
controller_address(const struct controller *controller, size_t index)
{
	return index < controller->listener_count ? listener_address(controller->listeners[index]) : NULL;
}

const char *
controller_token_name(const struct controller *controller, struct str token, bool *is_early)
{
	return auth_token_name(controller->auth, token, is_early);
}

const struct listening *
controller_socket(const struct controller *controller, size_t index)
{
	return index < controller->listener_count ? listener_socket(controller->listeners[index]) : NULL;
}
