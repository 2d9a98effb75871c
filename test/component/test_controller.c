/* The API, sessions, live logs and the build feed, by HTTP, on a store in memory and logs on disk. */
#include "test/unit/unit.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/json.h"
#include "proto/mem.h"
#include "proto/role.h"
#include "server/controller/controller.h"
#include "server/core/disk.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/core/zones.h"
#include "server/store/log_store.h"
#include "test/component/fake_store.h"
#include "test/component/wire.h"

#define TOKEN "admin-token-0123456789"
#define BEARER "Authorization: Bearer " TOKEN "\r\n"
#define H "Host: ci.example.com\r\n"

struct server {
	struct loop *loop;
	struct disk *disk;
	struct zones *zones;
	struct log_store *logs;
	struct store store;
	struct controller *controller;
	char dir[32];
	unsigned port;
};

static unsigned rotations;

static bool
on_rotate_key(void *arg, struct err *err)
{
	(void)arg;
	return rotations++ == 0 || err_set(err, ERR_CONFLICT, 0, "it is under way already");
}

/* Redis has not been heard of yet. */
static void
server_start_early(struct server *s)
{
	static const char *const listen[] = { "127.0.0.1:0" };
	struct controller_deps deps = { .listen = listen,
		.listen_count = 1,
		.url = "",
		.admin_token = TOKEN,
		.version = "0.1",
		.hook_body_max = 2 << 20 };
	struct err err;

	*s = (struct server){ .loop = loop_new(), .dir = "/tmp/davit-test-XXXXXX" };
	assert_non_null(mkdtemp(s->dir));
	s->disk = disk_new(s->loop);
	s->logs = log_store_new(s->loop, s->disk, s->dir);
	fake_store_init(&s->store, s->loop);
	deps.loop = s->loop;
	deps.store = &s->store;
	deps.logs = s->logs;
	deps.hook = (struct hook *)s->loop;
	s->zones = zones_new(s->loop, s->disk);
	deps.zones = s->zones;
	deps.rotate_key = on_rotate_key;
	s->controller = controller_new(&deps, &err);
	if (s->controller == NULL)
		fail_msg("%s", err.text);
	s->port = (unsigned)atoi(strrchr(controller_address(s->controller, 0), ':') + 1);
	fake_engine_is_down = fake_hook_is_slow = false;
}

static void
server_start(struct server *s)
{
	server_start_early(s);
	controller_wake(s->controller, "up");
	wire_settle(s->loop);
}

static void
server_stop(struct server *s)
{
	char command[64];

	controller_free(&s->controller);
	fake_store_fini(&s->store);
	log_store_free(&s->logs);
	zones_free(&s->zones);
	disk_free(&s->disk);
	loop_free(&s->loop);
	snprintf(command, sizeof(command), "rm -rf %s", s->dir);
	assert_int_equal(system(command), 0);
}

static struct wire *
send_request(struct server *s, const char *method, const char *path, const char *headers, const char *body)
{
	struct wire *w = wire_tcp(s->loop, s->port);
	char *text = xasprintf("%s %s HTTP/1.1\r\n" H "%sContent-Length: %zu\r\nConnection: close\r\n\r\n%s", method,
	    path, headers, strlen(body), body);

	assert_true(wire_puts(w, text));
	free(text);
	return w;
}

/* The status; the whole answer is in text. */
static unsigned
ask_as(struct server *s, const char *method, const char *path, const char *headers, const char *body, char **text)
{
	struct wire *w = send_request(s, method, path, headers, body);
	unsigned status;

	assert_true(wire_expect_end(w));
	status = (unsigned)atoi(wire_got(w)->data + strlen("HTTP/1.1 "));
	if (text != NULL)
		*text = xstrdup(wire_got(w)->data);
	wire_free(&w);
	return status;
}

static unsigned
ask(struct server *s, const char *method, const char *path, const char *body)
{
	return ask_as(s, method, path, BEARER, body, NULL);
}

static void
expect(struct server *s, const char *method, const char *path, const char *body, unsigned status, const char *words)
{
	char *text;
	unsigned got = ask_as(s, method, path, BEARER, body, &text);

	if (got != status || strstr(text, words) == NULL)
		fail_msg("%s %s: expected %u with %s, got %s", method, path, status, words, text);
	free(text);
}

/* --- who may --- */

static void
test_everything_wants_the_token(void **state)
{
	static const char *const paths[] = { "/api/v1/repos", "/api/v1/repos/app", "/api/v1/builds", "/api/v1/builds/1",
		"/api/v1/jobs/1.1", "/api/v1/jobs/1.1/log", "/api/v1/jobs/1.1/log/stream", "/api/v1/queue",
		"/api/v1/engines", "/api/v1/events", "/api/v1/secrets", "/api/v1/tokens", "/api/v1/me", "/metrics" };
	static const char *const posts[] = { "/api/v1/repos", "/api/v1/repos/app/builds", "/api/v1/builds/1/cancel",
		"/api/v1/builds/1/rerun", "/api/v1/builds/1/approve", "/api/v1/builds/1/reject",
		"/api/v1/jobs/1.1/cancel", "/api/v1/seal-key/rotate" };
	static const char *const twisted[] = { "//api/v1/repos", "/./api/v1/repos", "/x/../api/v1/repos",
		"/api%2fv1/repos", "/%2e/api/v1/repos", "/api/v1/repos%00", "/api/v1/repos/", "/api/v1/repos;x",
		"/web/..%2f..%2fetc%2fpasswd" };
	struct server s;
	unsigned status;

	(void)state;
	server_start(&s);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		assert_int_equal(ask_as(&s, "GET", paths[i], "", "", NULL), 401);
	for (size_t i = 0; i < sizeof(posts) / sizeof(posts[0]); i++)
		assert_int_equal(ask_as(&s, "POST", posts[i], "", "{}", NULL), 401);
	assert_int_equal(ask_as(&s, "PATCH", "/api/v1/repos/app", "", "{}", NULL), 401);
	assert_int_equal(ask_as(&s, "DELETE", "/api/v1/repos/app", "", "", NULL), 401);
	assert_int_equal(ask_as(&s, "PUT", "/api/v1/secrets/repo/app/A", "", "{\"value\":\"aaaa\"}", NULL), 401);
	assert_int_equal(ask_as(&s, "DELETE", "/api/v1/secrets/repo/app/A", "", "", NULL), 401);
	assert_string_equal(s.store.secret.scope, "");
	for (size_t i = 0; i < sizeof(twisted) / sizeof(twisted[0]); i++) {
		status = ask_as(&s, "GET", twisted[i], "", "", NULL);
		if (status != 400 && status != 404 && status != 401)
			fail_msg("%s: %u", twisted[i], status);
	}
	assert_int_equal(ask_as(&s, "GET", "/healthz", "", "", NULL), 200);
	assert_int_equal(ask_as(&s, "GET", "/api/v1/builds?token=" TOKEN, "", "", NULL), 401); /* never in an address */
	server_stop(&s);
}

static void
test_login(void **state)
{
	struct server s;
	char *text, *cookie, headers[512];

	(void)state;
	server_start(&s);
	assert_int_equal(ask_as(&s, "POST", "/login", "", "{\"token\":\"wrong\"}", NULL), 401);
	assert_int_equal(ask_as(&s, "POST", "/login", "", "nonsense", NULL), 422);
	assert_int_equal(ask_as(&s, "POST", "/login", "", "{\"token\":\"" TOKEN "\"}", &text), 204);
	cookie = strstr(text, "davit_session=");
	assert_non_null(cookie);
	assert_null(strstr(cookie, "Secure"));
	snprintf(headers, sizeof(headers), "Cookie: %.*s\r\n", (int)strcspn(cookie, ";"), cookie);
	free(text);
	assert_int_equal(
	    ask_as(&s, "POST", "/login", "X-Forwarded-Proto: https\r\n", "{\"token\":\"" TOKEN "\"}", &text), 204);
	assert_non_null(strstr(text, "; Secure\r\n")); /* a proxy on this machine is believed */
	free(text);
	assert_int_equal(ask_as(&s, "GET", "/api/v1/repos", headers, "", NULL), 200);
	assert_int_equal(ask_as(&s, "DELETE", "/api/v1/repos/app", headers, "", NULL), 403);
	strcat(headers, "Origin: https://ci.example.com\r\n");
	assert_int_equal(ask_as(&s, "DELETE", "/api/v1/repos/app", headers, "", NULL), 404);
	assert_int_equal(ask_as(&s, "POST", "/logout", "", "", &text), 204);
	assert_non_null(strstr(text, "Max-Age=0"));
	free(text);
	for (int i = 0; i < 10; i++)
		ask_as(&s, "POST", "/login", "", "{\"token\":\"wrong\"}", NULL);
	assert_int_equal(ask_as(&s, "POST", "/login", "", "{\"token\":\"" TOKEN "\"}", NULL), 429);
	server_stop(&s);
}

/* --- repositories --- */

/* The token that the server makes for name. */
static char *
token_of(struct server *s, const char *name, const char *role)
{
	char *path = xasprintf("/api/v1/tokens/%s", name), *body = xasprintf("{\"role\":\"%s\"}", role), *text, *token;

	assert_int_equal(ask_as(s, "PUT", path, BEARER, body, &text), 201);
	token = strstr(text, "\"davit_");
	assert_non_null(token);
	token = xasprintf("Authorization: Bearer %.*s\r\n", (int)strcspn(token + 1, "\""), token + 1);
	controller_wake(s->controller, "access_tokens");
	wire_settle(s->loop);
	free(text);
	free(path);
	free(body);
	return token;
}

static void
test_roles(void **state)
{
	static const struct {
		const char *method, *path, *body;
		enum role role; /* the least that it takes */
	} cases[] = {
		{ "POST", "/api/v1/registry/events", "{\"events\":[]}", ROLE_NOTIFY },
		{ "GET", "/api/v1/builds", "", ROLE_READ },
		{ "GET", "/metrics", "", ROLE_READ },
		{ "POST", "/api/v1/builds/1/cancel", "", ROLE_DEVELOP },
		{ "POST", "/api/v1/builds/1/approve", "", ROLE_DEVELOP },
		{ "POST", "/api/v1/jobs/1.1/approve", "", ROLE_DEPLOY },
		{ "POST", "/api/v1/repos/app/environments/live/lock", "{}", ROLE_DEPLOY },
		{ "GET", "/api/v1/jobs/1.1/debug", "", ROLE_DEPLOY },
		{ "POST", "/api/v1/repos", "{}", ROLE_ADMIN },
		{ "GET", "/api/v1/secrets", "", ROLE_ADMIN },
		{ "PUT", "/api/v1/tokens/ann", "{\"role\":\"admin\"}", ROLE_ADMIN },
	};
	struct server s;
	char *header, *text;

	(void)state;
	server_start(&s);
	for (int role = ROLE_NOTIFY; role > ROLE_ADMIN; role--) {
		header = token_of(&s, "ann", role_name((enum role)role));
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			unsigned status = ask_as(&s, cases[i].method, cases[i].path, header, cases[i].body, &text);

			if ((status == 403 && strstr(text, "ann has the role") != NULL) != (role > (int)cases[i].role))
				fail_msg("%s %s as %s: %s", cases[i].method, cases[i].path, role_name((enum role)role),
				    text);
			free(text);
		}
		assert_int_equal(ask_as(&s, "GET", "/api/v1/me", header, "", &text), role > ROLE_READ ? 403 : 200);
		assert_non_null(strstr(text, role > ROLE_READ ? "takes the role read" : "{\"name\":\"ann\",\"role\":"));
		free(text);
		free(header);
	}
	server_stop(&s);
}

static void
test_tokens(void **state)
{
	struct server s;
	char *header, *text;
	struct wire *stream;

	(void)state;
	server_start(&s);
	expect(
	    &s, "PUT", "/api/v1/tokens/ann", "{\"role\":\"captain\"}", 422, "notify, read, develop, deploy and admin");
	expect(&s, "PUT", "/api/v1/tokens/ann", "{\"rule\":\"read\"}", 422, "no field of a token");
	header = token_of(&s, "ann", "read");
	expect(&s, "GET", "/api/v1/tokens", "", 200, "\"name\":\"ann\",\"role\":\"read\",\"created_by\":\"admin\"");
	assert_int_equal(ask_as(&s, "GET", "/api/v1/tokens", BEARER, "", &text), 200);
	assert_null(strstr(text, "davit_")); /* it is shown once */
	free(text);
	stream = send_request(&s, "GET", "/api/v1/events", header, "");
	assert_true(wire_expect(stream, "text/event-stream"));
	assert_int_equal(ask(&s, "DELETE", "/api/v1/tokens/ann", ""), 204);
	controller_wake(s.controller, "access_tokens");
	assert_true(wire_expect_end(stream)); /* what is under way ends, too */
	wire_free(&stream);
	assert_int_equal(ask_as(&s, "GET", "/api/v1/builds", header, "", NULL), 401);
	assert_int_equal(ask(&s, "DELETE", "/api/v1/tokens/ann", ""), 404);
	free(header);
	server_stop(&s);
}

static void
test_who_may_is_not_known_before_redis_answers(void **state)
{
	static const char header[] = "Authorization: Bearer davit_0123\r\n";
	struct server s;

	(void)state;
	server_start_early(&s);
	assert_int_equal(ask_as(&s, "GET", "/api/v1/builds", header, "", NULL), 503);
	assert_int_equal(ask_as(&s, "POST", "/login", "", "{\"token\":\"davit_0123\"}", NULL), 503);
	s.store.is_away = true;
	controller_wake(s.controller, "up");
	wire_settle(s.loop);
	assert_int_equal(ask_as(&s, "GET", "/api/v1/builds", header, "", NULL), 503);
	s.store.is_away = false;
	controller_wake(s.controller, "up");
	wire_settle(s.loop);
	assert_int_equal(ask_as(&s, "GET", "/api/v1/builds", header, "", NULL), 401);
	server_stop(&s);
}

static void
test_repositories(void **state)
{
	struct server s;
	char *text;

	(void)state;
	server_start(&s);
	assert_int_equal(
	    ask_as(&s, "POST", "/api/v1/repos", BEARER,
		"{\"id\":\"app\",\"url\":\"https://github.com/acme/app.git\",\"token\":\"t0ken-value\"}", &text),
	    201);
	assert_non_null(strstr(text, "\"webhook\":\"http://ci.example.com/hook/app\""));
	assert_non_null(strstr(text, "\"name\":\"acme/app\""));
	assert_non_null(strstr(text, "\"forge\":\"github\""));
	assert_non_null(strstr(text, "\"secret\":\"")); /* made here, hence shown, once */
	assert_null(strstr(text, "t0ken-value"));
	assert_int_equal(strlen(s.store.repos[0]->secret), 48);
	free(text);
	expect(&s, "POST", "/api/v1/repos", "{\"id\":\"app\",\"url\":\"x:y\"}", 409, "exists");
	expect(&s, "PATCH", "/api/v1/repos/app",
	    "{\"emails\":\"a@b.example\",\"secret\":\"other-secret\",\"weight\":7}", 200, "a@b.example");
	assert_string_equal(s.store.repos[0]->secret, "other-secret");
	assert_string_equal(s.store.repos[0]->token, "t0ken-value");
	assert_int_equal(s.store.repos[0]->weight, 7);
	ask_as(&s, "GET", "/api/v1/repos/app", BEARER, "", &text);
	assert_non_null(strstr(text, "\"secret_set\":true"));
	assert_null(strstr(text, "other-secret"));
	free(text);
	ask_as(&s, "GET", "/api/v1/repos", BEARER, "", &text);
	assert_non_null(strstr(text, "\"repos\":[{\"id\":\"app\""));
	assert_null(strstr(text, "other-secret"));
	free(text);
	assert_int_equal(ask(&s, "DELETE", "/api/v1/repos/app", ""), 204);
	expect(&s, "GET", "/api/v1/repos/app", "", 404, "not_found");
	server_stop(&s);
}

static void
test_secrets(void **state)
{
	static const struct {
		const char *body, *words;
	} bad[] = {
		{ "{}", "value is missing" },
		{ "{\"value\":7}", "value is missing" },
		{ "{\"value\":\"aaaa\",\"event\":[]}", "\\\"event\\\" is no field" },
		{ "{\"value\":\"aaaa\",\"events\":\"push\"}", "events must be an array" },
		{ "{\"value\":\"aaaa\",\"branches\":[\"a,b\"]}", "branches must be an array" },
		{ "{\"value\":\"aaaa\",\"branches\":[7]}", "branches must be an array" },
	};
	struct server s;
	char *text;

	(void)state;
	server_start(&s);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect(&s, "PUT", "/api/v1/secrets/repo/app/TOKEN", bad[i].body, 422, bad[i].words);
	assert_string_equal(s.store.secret.scope, "");
	expect(&s, "PUT", "/api/v1/secrets/planet/app/TOKEN", "{\"value\":\"aaaa\"}", 404, "none is below planet");
	assert_int_equal(ask_as(&s, "PUT", "/api/v1/secrets/org/acme/TOKEN", BEARER,
			     "{\"value\":\"a canary\",\"events\":[\"push\",\"tag\"],\"branches\":[\"main\"]}", &text),
	    204);
	assert_null(strstr(text, "canary"));
	free(text);
	assert_string_equal(s.store.secret.value, "a canary");
	assert_string_equal(s.store.secret.events, "push,tag");
	assert_int_equal(ask_as(&s, "GET", "/api/v1/secrets?org=acme", BEARER, "", &text), 200);
	assert_non_null(strstr(text, "{\"secrets\":[{\"scope\":\"org\",\"owner\":\"acme\",\"name\":\"TOKEN\","
				     "\"events\":[\"push\",\"tag\"],\"branches\":[\"main\"]"));
	assert_null(strstr(text, "canary"));
	free(text);
	expect(&s, "GET", "/api/v1/secrets?repo=other", "", 200, "{\"secrets\":[]}");
	expect(&s, "GET", "/api/v1/secrets/org/acme/TOKEN", "", 405, "");
	expect(&s, "DELETE", "/api/v1/secrets/org/acme/OTHER", "", 404, "not_found");
	assert_int_equal(ask(&s, "DELETE", "/api/v1/secrets/org/acme/TOKEN", ""), 204);
	assert_string_equal(s.store.secret.scope, "");
	assert_int_equal(ask(&s, "POST", "/api/v1/seal-key/rotate", ""), 202);
	expect(&s, "POST", "/api/v1/seal-key/rotate", "", 409, "under way");
	server_stop(&s);
}

static void
test_bad_repositories(void **state)
{
	static const struct {
		const char *body, *words;
	} bad[] = {
		{ "", "no JSON" },
		{ "[]", "no JSON object" },
		{ "{\"id\":\"app\"", "no JSON" },
		{ "{\"url\":\"https://a/b\"}", "id must" },
		{ "{\"id\":\"../x\",\"url\":\"https://a/b\"}", "id must" },
		{ "{\"id\":\"App\",\"url\":\"https://a/b\"}", "id must" },
		{ "{\"id\":\"app\"}", "url is missing" },
		{ "{\"id\":\"app\",\"url\":\"-oProxyCommand=x\"}", "url is missing" },
		{ "{\"id\":\"app\",\"url\":\"https://a/b\",\"forge\":\"cvs\"}", "forge must" },
		{ "{\"id\":\"app\",\"url\":\"https://a/b\",\"colour\":\"red\"}", "colour" },
		{ "{\"id\":\"app\",\"url\":7}", "url must be a text" },
		{ "{\"id\":\"app\",\"url\":\"https://a/b\\n\"}", "control" },
		{ "{\"id\":\"app\",\"url\":\"https://a/b\",\"weight\":-1}", "weight" },
		{ "{\"id\":\"app\",\"url\":\"https://a/b\",\"statuses\":\"yes\"}", "statuses" },
		{ "{\"id\":\"app\",\"url\":\"https://a/b\",\"secret\":\"abc\"}", "too short" },
	};
	struct server s;

	(void)state;
	server_start(&s);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect(&s, "POST", "/api/v1/repos", bad[i].body, 422, bad[i].words);
	assert_int_equal(s.store.repo_count, 0);
	server_stop(&s);
}

/* --- builds and jobs --- */

static void
fill(struct server *s)
{
	struct build *b = fake_build(&s->store, 17, BUILD_RUNNING);
	struct job *j;

	b->repo = (char *)"app";
	b->title = (char *)"Say \"hello\" </script>";
	j = fake_job(&s->store, "17.1", JOB_PASSED);
	j->exit_code = 0;
	j = fake_job(&s->store, "17.2", JOB_RUNNING);
	fake_job(&s->store, "17.3", JOB_QUEUED)->waits_for = (char *)"no free slot";
}

static void
test_builds_and_jobs(void **state)
{
	struct server s;

	(void)state;
	server_start(&s);
	fill(&s);
	expect(&s, "GET", "/api/v1/builds?limit=5", "", 200, "\"build\":17");
	expect(&s, "GET", "/api/v1/builds?repo=other", "", 200, "\"builds\":[]");
	expect(&s, "GET", "/api/v1/builds?limit=x", "", 422, "limit");
	expect(&s, "GET", "/api/v1/builds?repo=..", "", 422, "repo");
	expect(&s, "GET", "/api/v1/builds/17", "", 200, "\"waits_for\":\"no free slot\"");
	expect(&s, "GET", "/api/v1/builds/18", "", 404, "not_found");
	expect(&s, "GET", "/api/v1/builds/x", "", 404, "number");
	expect(&s, "GET", "/api/v1/builds/0", "", 404, "number");
	expect(&s, "GET", "/api/v1/jobs/17.1", "", 200, "\"exit_code\":0");
	expect(&s, "GET", "/api/v1/queue", "", 200, "\"queued\":[{\"id\":\"17.3\"");
	expect(&s, "POST", "/api/v1/builds/17/cancel", "", 202, "17");
	assert_string_equal(s.store.cancelled, "build 17");
	expect(&s, "POST", "/api/v1/jobs/17.2/cancel", "", 202, "17");
	assert_string_equal(s.store.cancelled, "17.2");
	expect(&s, "POST", "/api/v1/builds/17/approve", "", 202, "17");
	assert_string_equal(s.store.cancelled, "approve 17 by admin");
	expect(&s, "POST", "/api/v1/builds/17/reject", "", 202, "17");
	assert_string_equal(s.store.cancelled, "reject 17 by admin");
	assert_int_equal(ask(&s, "GET", "/api/v1/builds/17/approve", ""), 405);
	expect(&s, "POST", "/api/v1/builds/17/rerun", "", 201, "\"build\":1017");
	assert_string_equal(s.store.rerun, "");
	expect(&s, "POST", "/api/v1/builds/17/rerun?jobs=failed", "", 201, "\"build\":1017");
	assert_string_equal(s.store.rerun, "failed");
	expect(&s, "POST", "/api/v1/builds/17/rerun?jobs=3", "", 201, "\"build\":1017");
	assert_string_equal(s.store.rerun, "3");
	expect(&s, "POST", "/api/v1/builds/17/rerun?jobs=some", "", 422, "jobs must be");
	expect(&s, "POST", "/api/v1/builds/9/rerun", "", 404, "not_found");
	assert_int_equal(ask(&s, "GET", "/api/v1/builds/17/cancel", ""), 405); /* nothing changes by GET */
	expect(&s, "GET", "/api/v1/engines", "", 200, "20.10.24");
	s.store.is_away = true;
	expect(&s, "GET", "/api/v1/builds/17", "", 503, "Retry-After");
	server_stop(&s);
}

static void
test_builds_by_hand(void **state)
{
	static const char commit[] = "0123456789abcdef0123456789abcdef01234567";
	struct server s;
	char body[256];

	(void)state;
	server_start(&s);
	ask(&s, "POST", "/api/v1/repos", "{\"id\":\"app\",\"url\":\"https://a/b/c\"}");
	snprintf(body, sizeof(body), "{\"commit\":\"%s\",\"branch\":\"topic/x\"}", commit);
	expect(&s, "POST", "/api/v1/repos/app/builds", body, 201, "\"build\":99");
	assert_int_equal(s.store.submitted.event, CHANGE_API);
	assert_string_equal(s.store.submitted.ref, "refs/heads/topic/x");
	assert_string_equal(s.store.submitted.branch, "topic/x");
	snprintf(body, sizeof(body), "{\"commit\":\"%s\",\"ref\":\"refs/tags/v1\"}", commit);
	expect(&s, "POST", "/api/v1/repos/app/builds", body, 201, "\"build\":99");
	assert_string_equal(s.store.submitted.branch, "v1");
	expect(&s, "POST", "/api/v1/repos/none/builds", body, 404, "not_found");
	expect(&s, "POST", "/api/v1/repos/app/builds", "{\"commit\":\"main\",\"branch\":\"x\"}", 422, "commit");
	snprintf(body, sizeof(body), "{\"commit\":\"%s\",\"ref\":\"refs/heads/-x\"}", commit);
	expect(&s, "POST", "/api/v1/repos/app/builds", body, 422, "ref");
	expect(&s, "POST", "/api/v1/repos/app/builds",
	    "{\"tag\":\"v2\",\"event\":\"manual\",\"parameters\":{\"LEVEL\":3}}", 201, "\"build\":99");
	assert_int_equal(s.store.submitted.event, CHANGE_MANUAL);
	assert_string_equal(s.store.submitted.ref, "refs/tags/v2");
	assert_null(s.store.submitted.commit); /* what the tag is at when it is planned */
	assert_string_equal(s.store.submitted.params, "{\"LEVEL\":\"3\"}");
	assert_int_equal(s.store.submitted.trust, CHANGE_TRUSTED);
	expect(&s, "POST", "/api/v1/repos/app/builds", "{\"ref\":\"refs/pull/7/head\"}", 201, "\"build\":99");
	assert_int_equal(s.store.submitted.trust, CHANGE_FORK);
	expect(&s, "POST", "/api/v1/repos/app/builds", "{}", 201, "\"build\":99");
	assert_int_equal(s.store.submitted.trust, CHANGE_TRUSTED);
	assert_string_equal(s.store.submitted.ref, CHANGE_REF_DEFAULT);
	assert_null(s.store.submitted.branch);
	expect(&s, "POST", "/api/v1/repos/app/builds", "{\"event\":\"push\"}", 422, "manual or api");
	expect(&s, "POST", "/api/v1/repos/app/builds", "{\"parameters\":{\"a b\":\"x\"}}", 422, "no name");
	server_stop(&s);
}

static void
test_schedules(void **state)
{
	static const char path[] = "/api/v1/repos/app/crons/nightly";
	struct server s;

	(void)state;
	server_start(&s);
	ask(&s, "POST", "/api/v1/repos", "{\"id\":\"app\",\"url\":\"https://a/b/c\"}");
	expect(&s, "PUT", path, "{\"cron\":\"0 3 * * *\",\"parameters\":{\"A\":\"1\"}}", 200, "\"next_ms\":1");
	assert_string_equal(s.store.cancelled, "app nightly: 0 3 * * * UTC  {\"A\":\"1\"}");
	expect(&s, "PUT", path, "{\"cron\":\"@daily\",\"timezone\":\"Asia/Shanghai\",\"branch\":\"next\"}", 200,
	    "\"timezone\":\"Asia/Shanghai\"");
	assert_string_equal(s.store.cancelled, "app nightly: @daily Asia/Shanghai next ");
	expect(&s, "PUT", path, "{}", 422, "minute is missing");
	expect(&s, "PUT", path, "{\"cron\":\"61 * * * *\"}", 422, "cron: minute: \\\"61\\\"");
	expect(&s, "PUT", path, "{\"cron\":\"@daily\",\"timezone\":\"Mars/Olympus\"}", 422, "no time zone");
	expect(&s, "PUT", path, "{\"cron\":\"@daily\",\"timezone\":\"../../etc/passwd\"}", 422, "no time zone");
	expect(&s, "PUT", path, "{\"cron\":\"@daily\",\"branch\":\"-x\"}", 422, "branch");
	expect(&s, "PUT", path, "{\"cron\":\"@daily\",\"when\":\"now\"}", 422, "no field");
	expect(&s, "GET", "/api/v1/repos/app/crons", "", 200, "{\"crons\":[]}");
	expect(&s, "GET", "/api/v1/repos/none/crons", "", 404, "not_found");
	assert_int_equal(ask(&s, "DELETE", path, ""), 204);
	assert_string_equal(s.store.cancelled, "no app nightly");
	server_stop(&s);
}

static void
test_environments(void **state)
{
	static const char path[] = "/api/v1/repos/app/environments/live",
			  other[] = "/api/v1/repos/app/environments/next";
	struct server s;

	(void)state;
	server_start(&s);
	expect(&s, "GET", path, "", 200, "\"branches\":\"main\"");
	expect(&s, "GET", other, "", 404, "not_found");
	/* what is not said stays as it is */
	expect(&s, "PUT", path, "{\"approve\":true,\"variables\":{\"A\":\"1\"}}", 200, "\"name\":\"live\"");
	assert_string_equal(s.store.cancelled, "set app live: ||{\"A\":\"1\"}|main|1");
	ask(&s, "PUT", other, "{\"image\":\"alpine:3\",\"command\":\"make\"}");
	assert_string_equal(s.store.cancelled, "add app next: alpine:3|make|||0");
	expect(&s, "PUT", path, "{\"colour\":\"red\"}", 422, "no field of an environment");
	expect(&s, "PUT", path, "{\"image\":\"A B\"}", 422, "image: ");
	expect(&s, "PUT", path, "{\"image\":1}", 422, "image must be a text");
	expect(&s, "PUT", path, "{\"approve\":\"on\"}", 422, "approve must be true or false");
	expect(&s, "PUT", path, "{\"command\":\"a\\u0001\"}", 422, "command: ");
	expect(&s, "PUT", path, "{\"events\":\"pushes\"}", 422, "events: ");
	expect(&s, "POST", "/api/v1/registry/events", "{\"event\":[]}", 422, "events: ");
	assert_int_equal(ask(&s, "POST", "/api/v1/registry/events",
			     "{\"events\":[{\"action\":\"push\",\"target\":{\"repository\":\"boat\",\"tag\":\"a\"}}]}"),
	    204);
	assert_int_equal(ask(&s, "POST", "/api/v1/repos/app/environments/live/lock", "{\"reason\":\"r\"}"), 204);
	assert_string_equal(s.store.cancelled, "lock(admin,r) app live");
	expect(&s, "POST", "/api/v1/repos/app/environments/live/lock", "{\"reason\":\"a\\nb\"}", 422, "reason: ");
	assert_int_equal(ask(&s, "POST", "/api/v1/repos/app/environments/live/unlock", ""), 204);
	assert_string_equal(s.store.cancelled, "lock(,) app live");
	expect(&s, "GET", "/api/v1/repos/app/environments/live/deployments", "", 200, "{\"deployments\":[]}");
	expect(&s, "POST", "/api/v1/repos/app/environments/live/rollback", "", 404, "not_found");
	assert_int_equal(ask(&s, "DELETE", path, ""), 204);
	assert_string_equal(s.store.cancelled, "no app live");
	server_stop(&s);
}

static void
test_deploying_by_hand(void **state)
{
	struct server s;

	(void)state;
	server_start(&s);
	fake_build(&s.store, 7, BUILD_PASSED);
	expect(&s, "POST", "/api/v1/builds/7/deploy", "{\"environment\":\"live\"}", 201, "{\"build\":1007}");
	assert_string_equal(s.store.rerun, "live by admin 0");
	expect(&s, "POST", "/api/v1/builds/7/deploy", "{}", 422, "the name of an environment is wanted");
	assert_int_equal(ask(&s, "POST", "/api/v1/jobs/7.1/approve", ""), 204);
	assert_string_equal(s.store.cancelled, "approve 7.1 admin");
	assert_int_equal(ask(&s, "POST", "/api/v1/jobs/7.1/reject", ""), 204);
	assert_string_equal(s.store.cancelled, "reject 7.1 admin");
	assert_int_equal(
	    ask(&s, "PUT", "/api/v1/secrets/environment/app/live/KEY", "{\"value\":\"long enough\"}"), 204);
	assert_string_equal(s.store.secret.owner, "app/live");
	server_stop(&s);
}

static void
test_insights(void **state)
{
	struct server s;

	(void)state;
	server_start(&s);
	assert_int_equal(
	    ask(&s, "POST", "/api/v1/repos", "{\"id\":\"app\",\"url\":\"https://forge.example/a/b.git\"}"), 201);
	expect(&s, "GET", "/api/v1/repos/app/insights?days=7", "", 200,
	    "\"day_count\":7,\"builds\":{\"passed\":3,\"failed\":1,");
	expect(&s, "GET", "/api/v1/repos/app/insights", "", 200, "\"success\":0.75");
	expect(&s, "GET", "/api/v1/repos/app/insights", "", 200, "\"run\":{\"count\":3,\"mean_ms\":1000");
	expect(&s, "GET", "/api/v1/repos/app/insights?days=91", "", 422, "days must be a number of at most 90");
	expect(&s, "GET", "/api/v1/repos/none/insights", "", 404, "no such repository");
	server_stop(&s);
}

static void
test_health_and_metrics(void **state)
{
	struct server s;
	int64_t start;

	(void)state;
	server_start(&s);
	expect(&s, "GET", "/healthz", "", 200, "\"engines_up\":1");
	controller_wake(s.controller, "build 3 failed");
	controller_wake(s.controller, "build x");
	controller_wake(s.controller, "");
	expect(&s, "GET", "/metrics", "", 200, "davit_builds_total{state=\"failed\"} 1\n");
	expect(&s, "GET", "/metrics", "", 200, "davit_jobs_queued 3\n");
	expect(&s, "GET", "/metrics", "", 200, "davit_week_builds{repo=\"app\",state=\"failed\"} 1\n");
	expect(&s, "GET", "/metrics", "", 200, "davit_week_seconds{repo=\"app\",phase=\"run\",quantile=\"0.5\"} 1.1");
	expect(&s, "GET", "/metrics", "", 200, "davit_loop_callback_seconds_bucket{le=\"0.02\"} ");
	expect(&s, "GET", "/metrics", "", 200, "davit_loop_longest_callback_seconds ");
	expect(&s, "GET", "/metrics", "", 200, "davit_hook_deliveries_total{result=\"build\"} 5\n");
	expect(&s, "GET", "/metrics", "", 200, "davit_http_requests_total{code=\"2xx\"} 8\n");
	fake_engine_is_down = true;
	expect(&s, "GET", "/healthz", "", 503, "connection refused");
	fake_engine_is_down = false;
	s.store.is_away = true;
	expect(&s, "GET", "/healthz", "", 503, "\"redis\":false");
	expect(&s, "GET", "/metrics", "", 200, "davit_redis_up 0\n");
	s.store.is_away = false;
	s.store.is_stuck = true; /* a Redis that hangs is as good as none */
	start = loop_mono_ms();
	expect(&s, "GET", "/healthz", "", 503, "does not answer");
	assert_true(loop_mono_ms() - start < 5000);
	server_stop(&s);
}

static void
test_hook(void **state)
{
	struct server s;
	struct wire *w;
	char *text;

	(void)state;
	server_start(&s);
	assert_int_equal(
	    ask_as(&s, "POST", "/hook/app", "X-Hub-Signature-256: a\r\nX-HUB-Signature-256: b\r\n", "{\"x\":1}", &text),
	    202);
	assert_non_null(strstr(text, "{\"repo\":\"app\",\"bytes\":7,\"signature\":\"a\",\"count\":2}"));
	free(text);
	assert_int_equal(ask_as(&s, "POST", "/hook/app", "Content-Length: 1\r\n", "x", NULL), 400);
	w = wire_tcp(s.loop, s.port);
	wire_puts(w, "POST /hook/app HTTP/1.1\r\n" H "Content-Length: 3145728\r\n\r\n");
	assert_true(wire_expect(w, "HTTP/1.1 413 "));
	wire_free(&w);
	fake_hook_is_slow = true; /* the forge leaves while its delivery is looked at */
	w = send_request(&s, "POST", "/hook/app", "", "{}");
	wire_settle(s.loop);
	wire_free(&w);
	wire_settle(s.loop);
	w = send_request(&s, "POST", "/hook/app", "", "{}");
	wire_settle(s.loop);
	fake_hook_answer();
	assert_true(wire_expect(w, "HTTP/1.1 202 "));
	wire_free(&w);
	server_stop(&s);
}

/* --- logs --- */

static struct log_writer *
open_log(struct server *s, int64_t build, int64_t job)
{
	struct err err;
	struct log_writer *w = log_open(s->logs, &(struct log_id){ build, job, 1 }, &err);

	if (w == NULL)
		fail_msg("%s", err.text);
	return w;
}

static void
append(struct log_writer *log, const char *text)
{
	struct err err;

	if (!log_append(log, LOG_STDOUT, str_of(text), log_raw(log, LOG_STDOUT) + strlen(text), &err))
		fail_msg("%s", err.text);
}

static void
test_log_ranges(void **state)
{
	static const struct {
		const char *range;
		unsigned status;
		const char *words;
	} cases[] = {
		{ "bytes=0-4", 206, "Content-Range: bytes 0-4/10\r\n" },
		{ "bytes=7-", 206, "\r\n\r\n789" },
		{ "bytes=-2", 206, "\r\n\r\n89" },
		{ "bytes=-99", 206, "\r\n\r\n0123456789" },
		{ "bytes=9-99", 206, "Content-Range: bytes 9-9/10\r\n" },
		{ "bytes=10-", 416, "Content-Range: bytes */10\r\n" },
		{ "bytes=-0", 416, "range" },
		{ "bytes=5-3", 200, "0123456789" },
		{ "bytes=a-b", 200, "0123456789" },
		{ "bytes=-", 200, "0123456789" },
		{ "bytes=0-1,3-4", 200, "0123456789" },
		{ "lines=1-2", 200, "0123456789" },
		{ "bytes", 200, "0123456789" },
	};
	struct server s;
	struct log_writer *log;
	struct job *j;
	char headers[128], *text;

	(void)state;
	server_start(&s);
	fill(&s);
	expect(&s, "GET", "/api/v1/jobs/17.3/log", "", 200, "Content-Length: 0\r\n"); /* not begun */
	expect(&s, "GET", "/api/v1/jobs/99.1/log", "", 404, "not_found");
	expect(&s, "GET", "/api/v1/jobs/x/log", "", 404, "17.2 is the form");
	log = open_log(&s, 17, 1);
	append(log, "0123456789");
	log_close(&log);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(headers, sizeof(headers), BEARER "Range: %s\r\n", cases[i].range);
		if (ask_as(&s, "GET", "/api/v1/jobs/17.1/log", headers, "", &text) != cases[i].status ||
		    strstr(text, cases[i].words) == NULL)
			fail_msg("%s: %s", cases[i].range, text);
		assert_non_null(strstr(text, "X-Content-Type-Options: nosniff\r\n"));
		free(text);
	}
	expect(&s, "GET", "/api/v1/jobs/17.1/log?attempt=2", "", 200, "Content-Length: 0\r\n");
	j = fake_job(&s.store, "18.1", JOB_PASSED); /* its result is that of the older one */
	j->reused_from = (char *)"17.1";
	expect(&s, "GET", "/api/v1/jobs/18.1/log", "", 200, "0123456789");
	server_stop(&s);
}

static void
test_large_log(void **state)
{
	struct server s;
	struct log_writer *log;
	struct wire *w;
	char *piece = xcalloc(1, 50001);

	(void)state;
	server_start(&s);
	fill(&s);
	log = open_log(&s, 17, 1);
	for (int i = 0; i < 100; i++) {
		memset(piece, 'a' + i % 26, 50000);
		append(log, piece);
	}
	log_close(&log);
	w = send_request(&s, "GET", "/api/v1/jobs/17.1/log", BEARER, "");
	wire_stop_reading(w);
	wire_settle(s.loop);
	wire_read_again(w);
	assert_true(wire_expect_end(w));
	assert_true(wire_got(w)->len > 5000000);
	for (int i = 0; i < 100; i++)
		assert_int_equal(wire_got(w)->data[wire_got(w)->len - 5000000 + (size_t)i * 50000 + 7], 'a' + i % 26);
	wire_free(&w);
	free(piece);
	server_stop(&s);
}

/* What the events of a log stream come to. */
struct seen {
	struct buf text;
	uint64_t last_id;
	unsigned segments;
	bool has_end;
};

static void
read_events(struct wire *w, struct seen *seen)
{
	struct str rest = buf_str(wire_got(w)), line;
	bool is_log = false;

	*seen = (struct seen){ 0 };
	buf_init(&seen->text, 64 << 20);
	rest.p = strstr(rest.p, "\r\n\r\n") + 4;
	rest.len = wire_got(w)->len - (size_t)(rest.p - wire_got(w)->data);
	while (rest.len > 0) {
		line = str_cut(&rest, '\n');
		if (str_has_prefix(line, "event: ")) {
			is_log = str_is(line, "event: log");
			seen->segments += str_is(line, "event: segment");
			seen->has_end = seen->has_end || str_is(line, "event: end");
		} else if (str_has_prefix(line, "id: ") && is_log) {
			assert_true(str_to_u64((struct str){ line.p + 4, line.len - 4 }, UINT64_MAX, &seen->last_id));
		} else if (str_has_prefix(line, "data: ") && is_log) {
			struct json *doc;
			struct err err;

			if (!json_parse((struct str){ line.p + 6, line.len - 6 }, NULL, &doc, &err))
				fail_msg("%s", err.text);
			buf_adds(&seen->text, json_string(json_root(doc), ""));
			json_free(&doc);
		}
	}
}

static struct wire *
follow(struct server *s, const char *job, const char *headers)
{
	char *path = xasprintf("/api/v1/jobs/%s/log/stream", job);
	char *all = xasprintf(BEARER "%s", headers);
	struct wire *w = send_request(s, "GET", path, all, "");

	free(path);
	free(all);
	return w;
}

static void
test_live_log(void **state)
{
	struct server s;
	struct log_writer *log;
	struct wire *w, *late;
	struct seen seen;
	struct err err;

	(void)state;
	server_start(&s);
	fill(&s);
	w = follow(&s, "17.2", ""); /* before the log begins */
	assert_true(wire_expect(w, "text/event-stream"));
	log = open_log(&s, 17, 2);
	assert_true(log_mark(log, "script", -1, &err));
	append(log, "first line\n");
	assert_true(wire_expect(w, "first line"));
	assert_true(wire_expect(w, "\"name\":\"script\",\"offset\":0,\"exit_code\":null"));
	append(log, "h\xc3"); /* a character in two pieces */
	assert_true(wire_expect(w, "\"h\""));
	append(log, "\xa9llo \xff \"quoted\"\n");
	assert_true(wire_expect(w, "quoted"));
	late = follow(&s, "17.2", "Last-Event-ID: 11\r\n");
	assert_true(wire_expect(late, "quoted"));
	assert_true(log_mark(log, "script", 0, &err));
	append(log, "\xe2\x82"); /* the end of it never comes */
	assert_true(wire_expect(w, "\"exit_code\":0"));
	log_close(&log);
	s.store.jobs[1].state = JOB_FAILED;
	s.store.jobs[1].reason = (char *)"exit code 2";
	controller_wake(s.controller, "job 17.2 failed");
	assert_true(wire_expect_end(w));
	assert_true(wire_expect_end(late));
	read_events(w, &seen);
	assert_string_equal(
	    seen.text.data, "first line\nh\xc3\xa9llo \xef\xbf\xbd \"quoted\"\n\xef\xbf\xbd\xef\xbf\xbd");
	assert_int_equal(seen.segments, 2);
	assert_int_equal(seen.last_id, 31);
	assert_true(seen.has_end);
	assert_non_null(strstr(wire_got(w)->data, "\"state\":\"failed\",\"reason\":\"exit code 2\""));
	buf_fini(&seen.text);
	read_events(late, &seen);
	assert_string_equal(seen.text.data, "h\xc3\xa9llo \xef\xbf\xbd \"quoted\"\n\xef\xbf\xbd\xef\xbf\xbd");
	buf_fini(&seen.text);
	wire_free(&w);
	wire_free(&late);
	w = follow(&s, "17.2", ""); /* and all of it once more, when it is over */
	assert_true(wire_expect_end(w));
	read_events(w, &seen);
	assert_int_equal(seen.segments, 2);
	assert_int_equal(seen.last_id, 31);
	buf_fini(&seen.text);
	wire_free(&w);
	assert_int_equal(
	    ask_as(&s, "GET", "/api/v1/jobs/17.2/log/stream", BEARER "Last-Event-ID: x\r\n", "", NULL), 422);
	server_stop(&s);
}

/* The end may be told between the store's answer and the beginning of the stream. */
static void
test_an_end_that_was_missed(void **state)
{
	struct server s;
	struct wire *w;

	(void)state;
	server_start(&s);
	fill(&s);
	w = follow(&s, "17.2", "");
	assert_true(wire_expect(w, "text/event-stream"));
	wire_settle(s.loop);
	s.store.jobs[1].state = JOB_CANCELLED; /* nobody says so, but Redis is heard again */
	controller_wake(s.controller, "up");
	assert_true(wire_expect_end(w));
	assert_non_null(strstr(wire_got(w)->data, "event: end"));
	wire_free(&w);
	server_stop(&s);
}

static size_t
append_lines(struct server *s, struct log_writer *log, int lines)
{
	char line[1024];
	size_t total = 0;

	for (int i = 0; i < lines; i++) {
		total += (size_t)snprintf(line, sizeof(line), "line %d %900s\n", i, "");
		append(log, line);
		if (i % 20 == 0)
			wire_settle(s->loop);
	}
	return total;
}

static void
expect_all(struct wire **w, size_t total)
{
	struct seen seen;

	assert_true(wire_expect_end(*w));
	read_events(*w, &seen);
	assert_int_equal(seen.text.len, total);
	assert_int_equal(seen.last_id, total);
	assert_true(seen.has_end);
	buf_fini(&seen.text);
	wire_free(w);
}

static void
test_many_followers(void **state)
{
	enum { FOLLOWERS = 400 };
	struct wire *w[FOLLOWERS];
	struct server s;
	struct log_writer *log;
	size_t total;

	(void)state;
	server_start(&s);
	fill(&s);
	log = open_log(&s, 17, 2);
	for (int i = 0; i < FOLLOWERS; i++) {
		w[i] = follow(&s, "17.2", "");
		wire_settle(s.loop);
	}
	total = append_lines(&s, log, 200);
	s.store.jobs[1].state = JOB_PASSED;
	controller_wake(s.controller, "job 17.2 passed");
	for (int i = 0; i < FOLLOWERS; i++)
		expect_all(&w[i], total);
	log_close(&log);
	server_stop(&s);
}

/* One that does not read while megabytes come: it loses nothing, and others do not wait for it. */
static void
test_slow_follower(void **state)
{
	struct server s;
	struct log_writer *log;
	struct wire *slow, *quick;
	size_t total;

	(void)state;
	server_start(&s);
	fill(&s);
	log = open_log(&s, 17, 2);
	slow = follow(&s, "17.2", "");
	quick = follow(&s, "17.2", "");
	wire_stop_reading(slow);
	total = append_lines(&s, log, 12000);
	s.store.jobs[1].state = JOB_PASSED;
	controller_wake(s.controller, "job 17.2 passed");
	expect_all(&quick, total);
	assert_false(wire_is_ended(slow));
	wire_read_again(slow);
	expect_all(&slow, total);
	log_close(&log);
	server_stop(&s);
}

static void
test_build_feed(void **state)
{
	struct server s;
	struct wire *a, *b;

	(void)state;
	server_start(&s);
	fill(&s);
	controller_wake(s.controller, "build 17 running");
	wire_settle(s.loop);
	assert_int_equal(s.store.questions, 0); /* nobody listens */
	a = send_request(&s, "GET", "/api/v1/events", BEARER, "");
	b = send_request(&s, "GET", "/api/v1/events", BEARER, "");
	assert_true(wire_expect(a, "\r\n\r\n"));
	assert_true(wire_expect(b, "\r\n\r\n"));
	controller_wake(s.controller, "build 17 running");
	controller_wake(s.controller, "job 17.2 running");
	controller_wake(s.controller, "job 17.2 passed");
	assert_true(wire_expect(a, "event: build\ndata: {\"build\":17"));
	assert_true(wire_expect(b, "event: build\ndata: {\"build\":17"));
	wire_settle(s.loop);
	assert_true(s.store.questions <= 2); /* asked once for both, and again for what came meanwhile */
	controller_wake(s.controller, "up");
	assert_true(wire_expect(a, "event: reload\n"));
	wire_free(&a);
	controller_drain(s.controller);
	assert_true(wire_expect_end(b));
	wire_free(&b);
	server_stop(&s);
}

static void
test_page(void **state)
{
	struct server s;
	char *text, *etag, headers[256];

	(void)state;
	server_start(&s);
	assert_int_equal(ask_as(&s, "GET", "/builds/17", "", "", &text), 200);
	assert_non_null(strstr(text, "Content-Security-Policy: default-src 'none'; script-src 'self';"));
	assert_non_null(strstr(text, "frame-ancestors 'none'"));
	assert_non_null(strstr(text, "Referrer-Policy: no-referrer\r\n"));
	assert_non_null(strstr(text, "<title>Davit</title>"));
	assert_null(strstr(text, "<script>")); /* what the policy would not run */
	free(text);
	assert_int_equal(ask_as(&s, "GET", "/web/davit.js", "", "", &text), 200);
	etag = strstr(text, "ETag: ") + 6;
	snprintf(headers, sizeof(headers), "If-None-Match: %.*s\r\n", (int)strcspn(etag, "\r"), etag);
	assert_null(strstr(text, "innerHTML"));
	free(text);
	assert_int_equal(ask_as(&s, "GET", "/web/davit.js", headers, "", &text), 304);
	assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
	free(text);
	assert_int_equal(ask_as(&s, "GET", "/web/none.js", "", "", NULL), 404);
	server_stop(&s);
}

/* A client that leaves while the store is asked takes its question with it. */
static void
test_leaving_while_waiting(void **state)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };
	struct server s;
	struct wire *w;

	(void)state;
	server_start(&s);
	fill(&s);
	s.store.is_stuck = true;
	w = send_request(&s, "GET", "/api/v1/builds/17", BEARER, "");
	wire_settle(s.loop);
	setsockopt(wire_fd(w), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	wire_free(&w);
	wire_settle(s.loop);
	w = send_request(&s, "GET", "/api/v1/builds/17", BEARER, "");
	wire_settle(s.loop);
	controller_free(&s.controller); /* with one still waiting */
	wire_free(&w);
	server_stop(&s);
}

/* A request that changes something, by somebody who may, is claimed before it is done. */
static void
test_requests_with_a_key(void **state)
{
	static const char key[] = "Idempotency-Key: \"k1\"\r\n";
	static const char bearer[] = BEARER "Idempotency-Key: \"k1\"\r\n";
	struct server s;
	struct wire *w;

	(void)state;
	server_start(&s);
	fill(&s);
	assert_int_equal(ask_as(&s, "GET", "/api/v1/builds", bearer, "", NULL), 200);
	assert_int_equal(ask_as(&s, "POST", "/login", key, "{\"token\":\"" TOKEN "\"}", NULL), 204);
	assert_int_equal(ask_as(&s, "POST", "/api/v1/seal-key/rotate", key, "", NULL), 401);
	assert_int_equal(ask(&s, "POST", "/api/v1/builds/17/cancel", ""), 202);
	assert_int_equal(s.store.claims, 0);
	assert_int_equal(ask_as(&s, "POST", "/api/v1/builds/17/cancel", bearer, "", NULL), 202);
	assert_int_equal(s.store.answered, 202);
	assert_int_equal(ask_as(&s, "DELETE", "/api/v1/repos/none", bearer, "", NULL), 404);
	assert_int_equal(s.store.answered, 404);
	assert_int_equal(s.store.claims, 2);
	s.store.is_stuck = true;
	w = send_request(&s, "POST", "/api/v1/builds/17/cancel", bearer, "");
	wire_settle(s.loop);
	wire_free(&w);
	wire_settle(s.loop); /* its client is gone, and it is there */
	server_stop(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_wants_the_token),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_who_may_is_not_known_before_redis_answers),
		cmocka_unit_test(test_repositories),
		cmocka_unit_test(test_bad_repositories),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_builds_and_jobs),
		cmocka_unit_test(test_builds_by_hand),
		cmocka_unit_test(test_schedules),
		cmocka_unit_test(test_environments),
		cmocka_unit_test(test_deploying_by_hand),
		cmocka_unit_test(test_insights),
		cmocka_unit_test(test_health_and_metrics),
		cmocka_unit_test(test_hook),
		cmocka_unit_test(test_log_ranges),
		cmocka_unit_test(test_large_log),
		cmocka_unit_test(test_live_log),
		cmocka_unit_test(test_an_end_that_was_missed),
		cmocka_unit_test(test_many_followers),
		cmocka_unit_test(test_slow_follower),
		cmocka_unit_test(test_build_feed),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_leaving_while_waiting),
		cmocka_unit_test(test_requests_with_a_key),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
