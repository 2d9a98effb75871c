/* The registry's client beside a registry that is scripted: what it shows to whom, and what it makes of a refusal. */
#include "test/unit/unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/core/loop.h"
#include "server/io/registry.h"
#include "test/component/peer.h"

#define LOGIN "Basic YWRhOnA6dw=="
#define LIST "application/vnd.oci.image.index.v1+json"
#define DIGEST "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct bench {
	struct loop *loop;
	struct registry *registry;
	struct registry_op *op;
	unsigned done;
	char digest[100], body[100];
	struct err err;
};

static struct bench b;

static void
on_done(void *arg, const struct registry_reply *reply, const struct err *err)
{
	(void)arg;
	b.op = NULL;
	b.done++;
	b.err = err != NULL ? *err : ERR_OK;
	if (reply != NULL) {
		snprintf(b.digest, sizeof(b.digest), "%s", reply->digest);
		snprintf(b.body, sizeof(b.body), "%.*s", (int)reply->body.len, reply->body.p);
	}
	loop_stop(b.loop);
}

static void
begin(const struct peer *p, const char *login)
{
	char image[100];
	struct registry_conf conf = { .image = image, .login = login, .may_be_clear = true };

	snprintf(image, sizeof(image), "127.0.0.1:%u/acme/app:one", p->port);
	b = (struct bench){ .loop = loop_new() };
	b.registry = registry_new(b.loop, &conf);
}

static void
end(struct peer *p)
{
	assert_int_equal(b.done, 1);
	assert_null(b.op);
	registry_free(&b.registry);
	loop_free(&b.loop);
	peer_stop(p);
}

/* It is asked by TLS first, which it does not speak. */
static int
accept_clear(struct peer *p)
{
	close(peer_accept(p));
	return peer_accept(p);
}

static void
answer(int fd, const char *status, const char *header, const char *body)
{
	char text[1000];

	snprintf(
	    text, sizeof(text), "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", status, header, strlen(body), body);
	peer_puts(fd, text);
}

/* --- a token of its own realm --- */

static void
script_token(struct peer *p)
{
	char challenge[300], manifest[3] = "";
	int fd = accept_clear(p), realm;

	snprintf(challenge, sizeof(challenge),
	    "WWW-Authenticate: Bearer "
	    "realm=\"http://127.0.0.1:%u/token\",service=\"r\",scope=\"repository:acme/app:push\"\r\n",
	    p->port);
	peer_check(p, peer_read_head(p, fd));
	peer_check(p, strstr(p->head, "PUT /v2/acme/app/manifests/one ") != NULL);
	peer_check(p, strstr(p->head, "Authorization") == NULL);
	peer_check(p, peer_read(fd, manifest, 2));
	answer(fd, "401 Unauthorized", challenge, "{}");
	realm = peer_accept(p);
	peer_check(p, peer_read_head(p, realm));
	peer_check(p, strstr(p->head, "GET /token?service=r&scope=repository%3Aacme%2Fapp%3Apush ") != NULL);
	peer_check(p, strstr(p->head, "Authorization: " LOGIN) != NULL);
	answer(realm, "200 OK", "", "{\"token\":\"t0ken\",\"expires_in\":300}");
	peer_check(p, peer_read_head(p, fd));
	peer_check(p, strstr(p->head, "Authorization: Bearer t0ken") != NULL);
	peer_check(p, strstr(p->head, "Content-Type: " LIST) != NULL);
	peer_check(p, peer_read(fd, manifest, 2) && strcmp(manifest, "{}") == 0);
	answer(fd, "201 Created", "Docker-Content-Digest: " DIGEST "\r\n", "");
	peer_drain_close(realm);
	peer_drain_close(fd);
}

static void
test_a_list_is_put_with_a_token(void **state)
{
	struct peer p;

	(void)state;
	peer_start(&p, PEER_TCP, script_token, NULL);
	begin(&p, LOGIN);
	b.op = registry_put(b.registry, "one", LIST, STR("{}"), on_done, NULL);
	loop_run(b.loop);
	assert_string_equal(b.err.text, "");
	assert_string_equal(b.digest, DIGEST);
	end(&p);
}

/* --- a login itself --- */

static void
script_basic(struct peer *p)
{
	int fd = accept_clear(p);

	peer_check(p, peer_read_head(p, fd));
	answer(fd, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"r\"\r\n", "{}");
	peer_check(p, peer_read_head(p, fd));
	peer_check(p, strstr(p->head, "GET /v2/acme/app/manifests/" DIGEST " ") != NULL);
	peer_check(p, strstr(p->head, "Authorization: " LOGIN) != NULL);
	answer(fd, p->arg, "", p->arg != NULL && strncmp(p->arg, "200", 3) == 0 ? "manifest" : "{}");
	peer_drain_close(fd);
}

static void
test_a_manifest_is_got_with_a_login(void **state)
{
	struct peer p;

	(void)state;
	peer_start(&p, PEER_TCP, script_basic, (void *)"200 OK");
	begin(&p, LOGIN);
	b.op = registry_get(b.registry, DIGEST, on_done, NULL);
	loop_run(b.loop);
	assert_string_equal(b.err.text, "");
	assert_string_equal(b.body, "manifest");
	end(&p);
}

static void
test_a_login_that_is_wrong_is_shown_once(void **state)
{
	struct peer p;

	(void)state;
	peer_start(&p, PEER_TCP, script_basic, (void *)"401 Unauthorized");
	begin(&p, LOGIN);
	b.op = registry_get(b.registry, DIGEST, on_done, NULL);
	loop_run(b.loop);
	assert_int_equal(b.err.code, ERR_AUTH);
	assert_string_equal(b.err.text, "the registry does not let that login in: 401");
	end(&p);
}

/* What was good for reading is not shown for writing; what was good for that is. */
static void
script_read_then_write(struct peer *p)
{
	char manifest[2];
	int fd = accept_clear(p);

	peer_check(p, peer_read_head(p, fd));
	answer(fd, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"r\"\r\n", "{}");
	peer_check(p, peer_read_head(p, fd) && strstr(p->head, "Authorization: " LOGIN) != NULL);
	answer(fd, "200 OK", "", "{}");
	peer_check(p, peer_read_head(p, fd) && peer_read(fd, manifest, 2));
	peer_check(p, strstr(p->head, "Authorization") == NULL);
	answer(fd, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"r\"\r\n", "{}");
	for (int i = 0; i < 2; i++) {
		peer_check(p, peer_read_head(p, fd) && peer_read(fd, manifest, 2));
		peer_check(p, strstr(p->head, "PUT ") != NULL && strstr(p->head, "Authorization: " LOGIN) != NULL);
		answer(fd, "201 Created", "", "");
	}
	peer_drain_close(fd);
}

static void
test_what_is_shown_for_writing_was_asked_for_that(void **state)
{
	struct peer p;

	(void)state;
	peer_start(&p, PEER_TCP, script_read_then_write, NULL);
	begin(&p, LOGIN);
	b.op = registry_get(b.registry, DIGEST, on_done, NULL);
	loop_run(b.loop);
	for (int i = 0; i < 2; i++) {
		b.op = registry_put(b.registry, "one", LIST, STR("{}"), on_done, NULL);
		loop_run(b.loop);
	}
	assert_string_equal(b.err.text, "");
	assert_int_equal(b.done, 3);
	b.done = 1;
	end(&p);
}

/* --- refusals --- */

struct refusal {
	const char *status, *header, *body, *text;
	enum err_code code;
};

static void
script_refusal(struct peer *p)
{
	const struct refusal *refusal = p->arg;
	char manifest[2];
	int fd = accept_clear(p);

	peer_check(p, peer_read_head(p, fd));
	peer_check(p, peer_read(fd, manifest, 2));
	answer(fd, refusal->status, refusal->header, refusal->body);
	peer_drain_close(fd);
}

static void
test_refusals(void **state)
{
	static const struct refusal refusals[] = {
		{ "400 Bad Request", "",
		    "{\"errors\":[{\"code\":\"MANIFEST_INVALID\",\"message\":\"manifest invalid\"}]}",
		    "the registry does not take the list of platforms: 400, manifest invalid", ERR_INPUT },
		{ "415 Unsupported", "", "<html>", "the registry does not take the list of platforms: 415", ERR_INPUT },
		{ "404 Not Found", "", "", "the registry does not have it: 404", ERR_NOT_FOUND },
		{ "503 Away", "", "", "the registry is in trouble: 503", ERR_UNAVAILABLE },
		{ "429 Too Many", "", "", "the registry is in trouble: 429", ERR_UNAVAILABLE },
		{ "403 Forbidden", "", "{}", "the registry does not let that login in: 403", ERR_AUTH },
		{ "401 Unauthorized", "WWW-Authenticate: Bearer realm=\"http://evil.example/token\"\r\n", "{}",
		    "the registry wants its login shown at evil.example, which is not of its own domain", ERR_REFUSED },
		{ "401 Unauthorized", "WWW-Authenticate: Bearer realm=\"ftp://127.0.0.1/\"\r\n", "{}",
		    "the registry names no URL where it gives tokens", ERR_PROTO },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct peer p;

		peer_start(&p, PEER_TCP, script_refusal, (void *)&refusals[i]);
		begin(&p, LOGIN);
		b.op = registry_put(b.registry, "one", LIST, STR("{}"), on_done, NULL);
		loop_run(b.loop);
		assert_string_equal(b.err.text, refusals[i].text);
		assert_int_equal(b.err.code, refusals[i].code);
		end(&p);
	}
}

static void
test_without_a_login_one_is_asked_for(void **state)
{
	static const struct refusal refusal = { "401 Unauthorized", "WWW-Authenticate: Basic realm=\"r\"\r\n", "{}",
		NULL, ERR_NONE };
	struct peer p;

	(void)state;
	peer_start(&p, PEER_TCP, script_refusal, (void *)&refusal);
	begin(&p, NULL);
	b.op = registry_put(b.registry, "one", LIST, STR("{}"), on_done, NULL);
	loop_run(b.loop);
	assert_int_equal(b.err.code, ERR_AUTH);
	assert_string_equal(b.err.text, "the registry wants a login (the secret DOCKER_AUTH_CONFIG): 401");
	end(&p);
}

/* --- none that answers --- */

static void
script_away(struct peer *p)
{
	close(peer_accept(p));
	close(peer_accept(p));
	close(peer_accept(p)); /* by TLS again */
	close(peer_accept(p));
}

static void
test_each_request_begins_with_tls(void **state)
{
	struct peer p;

	(void)state;
	peer_start(&p, PEER_TCP, script_away, NULL);
	begin(&p, LOGIN);
	b.op = registry_head(b.registry, "one", on_done, NULL);
	loop_run(b.loop);
	assert_true(b.err.code == ERR_IO || b.err.code == ERR_PROTO || b.err.code == ERR_UNAVAILABLE);
	b.done = 0;
	b.op = registry_head(b.registry, "one", on_done, NULL);
	loop_run(b.loop);
	assert_true(b.err.code != ERR_NONE);
	end(&p);
}

static void
script_silent(struct peer *p)
{
	(void)p;
}

static void
on_cancel(void *arg)
{
	(void)arg;
	registry_cancel(&b.op);
	loop_stop(b.loop);
}

static void
test_a_cancelled_one_says_nothing(void **state)
{
	struct peer p;

	(void)state;
	peer_start(&p, PEER_TCP, script_silent, NULL);
	begin(&p, LOGIN);
	b.op = registry_head(b.registry, "one", on_done, NULL);
	deferred_call(b.loop, on_cancel, NULL);
	loop_run(b.loop);
	assert_int_equal(b.done, 0);
	b.done = 1; /* for end */
	end(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_list_is_put_with_a_token),
		cmocka_unit_test(test_a_manifest_is_got_with_a_login),
		cmocka_unit_test(test_a_login_that_is_wrong_is_shown_once),
		cmocka_unit_test(test_what_is_shown_for_writing_was_asked_for_that),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_without_a_login_one_is_asked_for),
		cmocka_unit_test(test_each_request_begins_with_tls),
		cmocka_unit_test(test_a_cancelled_one_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
