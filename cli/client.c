#include "cli/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "proto/buf.h"
#include "proto/crypto.h"
#include "proto/mem.h"
#include "server/core/loop.h"
#include "server/io/httpc.h"

#define TEXT_BODY_MAX 16384 /* of client_ask_with */
#define CALL_TIMEOUT_MS 30000
#define STREAM_IDLE_MS 60000 /* the server sends a comment every 15 s */
#define REPLY_MAX (16 * 1024 * 1024)
#define KEY_SIZE 16
#define TOKEN_MAX 4096

struct client {
	struct loop *loop;
	struct httpc *httpc;
	char *authorization; /* "Bearer ..." or NULL */
};

/* Before a request is sent again. */
static const int64_t pauses_ms[] = { 250, 500, 1000, 2000, 4000 };

/* A request under way; the loop runs until it is over. */
struct call {
	struct client *client;
	struct httpc_op *op;
	const char *key; /* by which the server knows it when it comes again; NULL: it changes nothing */
	unsigned status;
	bool is_under_way;   /* the server has had it before, and is still about it */
	struct buf body; /* what was collected: the reply, or the error's text of a stream */
	client_bytes_fn *fn;
	void (*on_open)(void *arg); /* the head of a stream is there; may be NULL */
	void *fn_arg;
	struct err err;
};

/* client_wait: the server's events, and beside them the question that each of them raises. */
struct wait {
	struct client *client;
	const char *path;
	client_enough_fn *enough;
	struct call events;
	struct call question;
	bool again; /* an event came while the question was under way */
	struct json *answer;
};

static char *
read_token_file(const char *path)
{
	char text[TOKEN_MAX];
	FILE *file = fopen(path, "re");
	size_t len;

	if (file == NULL) {
		fprintf(stderr, "davit: %s\n", err_errno("DAVIT_TOKEN_FILE=%s", path).text);
		return NULL;
	}
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	return xstrdup(text);
}

static bool
set_token(struct client *client)
{
	const char *token = getenv("DAVIT_TOKEN");
	const char *path = getenv("DAVIT_TOKEN_FILE");
	char *read = NULL;

	if (token == NULL && path != NULL) {
		read = read_token_file(path);
		if (read == NULL)
			return false;
		token = read;
	}
	if (token != NULL)
		client->authorization = xasprintf("Bearer %s", token);
	free(read);
	return true;
}

struct client *
client_new(void)
{
	const char *url = getenv("DAVIT_URL");
	struct client *client = xcalloc(1, sizeof(*client));
	struct err err;

	client->loop = loop_new();
	client->httpc = httpc_new(client->loop, url != NULL ? url : "http://127.0.0.1:8080", NULL, &err);
	if (client->httpc == NULL) {
		fprintf(stderr, "davit: DAVIT_URL: %s\n", err.text);
		client_free(&client);
		return NULL;
	}
	if (!set_token(client))
		client_free(&client);
	return client;
}

void
client_free(struct client **client)
{
	struct client *c = *client;

	if (c == NULL)
		return;
	*client = NULL;
	httpc_free(&c->httpc);
	loop_free(&c->loop);
	free(c->authorization);
	free(c);
}

int
client_fail(const struct err *err)
{
	fprintf(stderr, "davit: %s\n", err->text);
	return EXIT_PROBLEM;
}

static void
on_head(void *arg, const struct httpc_reply *reply)
{
	struct call *call = arg;

	call->status = reply->status;
	call->is_under_way = reply->status == 409 && http1_value(reply->head, "Retry-After").len > 0;
	if (call->on_open != NULL && reply->status == 200)
		call->on_open(call->fn_arg);
}

static void
on_body(void *arg, struct str bytes)
{
	struct call *call = arg;

	if (call->fn == NULL || call->status != 200) {
		buf_addstr(&call->body, bytes);
	} else if (!call->fn(call->fn_arg, bytes)) {
		httpc_cancel(&call->op);
		loop_stop(call->client->loop);
	}
}

static void
on_done(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct call *call = arg;

	(void)reply;
	call->op = NULL;
	if (err != NULL)
		call->err = *err;
	loop_stop(call->client->loop);
}

static const struct httpc_handler handler = { .on_head = on_head, .on_body = on_body, .on_done = on_done };

/* {"error": {"message": "..."}} is what the server says; anything else comes from what stands in between. */
static void
judge(struct call *call)
{
	struct json *doc = NULL;
	const char *message = "";

	if (call->err.code != ERR_NONE || (call->status >= 200 && call->status < 300))
		return;
	if (json_parse(buf_str(&call->body), NULL, &doc, NULL))
		message = json_string(json_path(json_root(doc), "error.message"), "");
	call->err = err_make(call->status == 404 ? ERR_NOT_FOUND : ERR_REFUSED, (int)call->status, "%s",
	    message[0] != '\0' ? message : "the server answered without a reason");
	if (message[0] == '\0')
		call->err = err_make(ERR_REFUSED, (int)call->status, "the server answered %u", call->status);
	json_free(&doc);
}

static void
start(struct client *client, struct call *call, struct httpc_request *request, const char *last_event_id,
    const struct httpc_handler *callbacks)
{
	struct httpc_header headers[5];
	size_t count = 0;

	if (client->authorization != NULL)
		headers[count++] = (struct httpc_header){ "Authorization", client->authorization };
	if (request->body.len > 0)
		headers[count++] = (struct httpc_header){ "Content-Type", "application/json" };
	if (call->fn != NULL)
		headers[count++] = (struct httpc_header){ "Accept", "text/event-stream" };
	if (last_event_id[0] != '\0')
		headers[count++] = (struct httpc_header){ "Last-Event-ID", last_event_id };
	if (call->key != NULL)
		headers[count++] = (struct httpc_header){ "Idempotency-Key", call->key };
	request->headers = headers;
	request->header_count = count;
	call->client = client;
	buf_init(&call->body, REPLY_MAX);
	call->op = httpc_request(client->httpc, request, callbacks, call);
}

static char *
new_key(void)
{
	char hex[2 * KEY_SIZE + 1];

	random_hex(hex, KEY_SIZE);
	return xasprintf("\"%s\"", hex);
}

static void
run(struct client *client, struct call *call, struct httpc_request *request, const char *last_event_id)
{
	start(client, call, request, last_event_id, &handler);
	loop_run(client->loop);
	judge(call);
}

/* The connection broke. At first one that was never there is told at once: nobody listens, or there is no such host. */
static bool
is_broken(const struct err *err, bool is_first)
{
	return err->code == ERR_IO &&
	       (!is_first || err->detail == 0 || err->detail == ECONNRESET || err->detail == EPIPE);
}

/* It may have been done or not: the way to the server broke, or something in between did not reach it. */
static bool
wants_repetition(const struct call *call, bool is_first)
{
	return is_broken(&call->err, is_first) || call->is_under_way || (call->status >= 502 && call->status <= 504);
}

static void
on_pause_over(void *arg)
{
	loop_stop(arg);
}

static void
pause_for(struct client *client, int64_t ms)
{
	struct timer *timer = timer_new(client->loop, on_pause_over, client->loop);

	timer_start(timer, ms);
	loop_run(client->loop);
	timer_free(&timer);
}

bool
client_call(
    struct client *client, const char *method, const char *path, struct str body, struct json **ret, struct err *err)
{
	struct httpc_request request = { .method = method, .path = path, .body = body, .total_ms = CALL_TIMEOUT_MS };
	struct call call = { 0 };
	char *key = strcmp(method, "GET") != 0 ? new_key() : NULL;
	bool ok;

	for (size_t i = 0;; i++) {
		call = (struct call){ .key = key };
		run(client, &call, &request, "");
		if (i == sizeof(pauses_ms) / sizeof(pauses_ms[0]) || !wants_repetition(&call, i == 0))
			break;
		buf_fini(&call.body);
		pause_for(client, pauses_ms[i]);
	}
	free(key);
	*err = call.err;
	ok = err->code == ERR_NONE && (ret == NULL || json_parse(buf_str(&call.body), NULL, ret, err));
	buf_fini(&call.body);
	return ok;
}

bool
client_stream(
    struct client *client, const char *path, const char *last_event_id, client_bytes_fn *fn, void *arg, struct err *err)
{
	struct httpc_request request = { .method = "GET", .path = path, .idle_ms = STREAM_IDLE_MS };
	struct call call = { .fn = fn, .fn_arg = arg };

	run(client, &call, &request, last_event_id);
	*err = call.err;
	buf_fini(&call.body);
	return err->code == ERR_NONE;
}

static void ask(void *arg);

static void
on_answer(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct call *call = arg;
	struct wait *wait = call->fn_arg;

	(void)reply;
	call->op = NULL;
	if (err != NULL)
		call->err = *err;
	judge(call);
	json_free(&wait->answer);
	if (call->err.code == ERR_NONE)
		json_parse(buf_str(&call->body), NULL, &wait->answer, &call->err);
	if (call->err.code != ERR_NONE || wait->enough(json_root(wait->answer)))
		loop_stop(wait->client->loop);
	else if (wait->again)
		ask(wait);
}

static void
ask(void *arg)
{
	static const struct httpc_handler answer_handler = {
		.on_head = on_head, .on_body = on_body, .on_done = on_answer
	};
	struct wait *wait = arg;
	struct httpc_request request = { .method = "GET", .path = wait->path, .total_ms = CALL_TIMEOUT_MS };

	wait->again = wait->question.op != NULL;
	if (wait->again)
		return;
	buf_fini(&wait->question.body);
	wait->question = (struct call){ .fn_arg = wait };
	start(wait->client, &wait->question, &request, "", &answer_handler);
}

static bool
on_event(void *arg, struct str bytes)
{
	if (bytes.p[0] != ':') /* a comment only keeps the connection alive */
		ask(arg);
	return true;
}

bool
client_wait(struct client *client, const char *path, client_enough_fn *enough, struct json **ret, struct err *err)
{
	struct httpc_request request = { .method = "GET", .path = "/api/v1/events", .idle_ms = STREAM_IDLE_MS };
	struct wait wait = { .client = client, .path = path, .enough = enough };

	wait.events = (struct call){ .fn = on_event, .on_open = ask, .fn_arg = &wait };
	run(client, &wait.events, &request, "");
	httpc_cancel(&wait.events.op);
	httpc_cancel(&wait.question.op);
	*err = wait.question.err.code != ERR_NONE ? wait.question.err : wait.events.err;
	if (err->code == ERR_NONE && wait.answer == NULL)
		*err = err_make(ERR_UNAVAILABLE, 0, "the server ended the connection");
	buf_fini(&wait.events.body);
	buf_fini(&wait.question.body);
	*ret = wait.answer;
	if (err->code != ERR_NONE)
		json_free(ret);
	return err->code == ERR_NONE;
}

/* --- another protocol --- */

/* call.body has what came behind the answer's head. */
struct upgrading {
	struct call call;
	const struct client_upgrade *upgrade;
	struct stream *stream;
	bool is_accepted;
};

static void
on_upgrade_head(void *arg, const struct httpc_reply *reply)
{
	struct upgrading *u = (struct upgrading *)arg;

	on_head(&u->call, reply);
	u->is_accepted = str_is(http1_value(reply->head, "Sec-WebSocket-Accept"), u->upgrade->accept);
}

static void
on_upgraded(void *arg, struct stream *stream, struct str first)
{
	struct upgrading *u = arg;

	u->call.op = NULL;
	u->stream = stream;
	stream_set_handler(stream, u->upgrade->handler, u->upgrade->arg);
	stream_pause(stream);
	buf_addstr(&u->call.body, first);
	loop_stop(u->call.client->loop);
}

static const struct httpc_handler upgrade_handler = {
	.on_head = on_upgrade_head, .on_body = on_body, .on_upgrade = on_upgraded, .on_done = on_done
};

bool
client_upgrade(struct client *client, const struct client_upgrade *upgrade, struct stream **ret, struct err *err)
{
	struct upgrading u = { .upgrade = upgrade };
	const struct httpc_header headers[] = { { "Sec-WebSocket-Version", "13" },
		{ "Sec-WebSocket-Key", upgrade->key }, { "Authorization", client->authorization } };
	struct httpc_request request = { .method = "GET",
		.path = upgrade->path,
		.headers = headers,
		.header_count = client->authorization != NULL ? 3 : 2,
		.upgrade = upgrade->protocol,
		.total_ms = CALL_TIMEOUT_MS };

	u.call.client = client;
	buf_init(&u.call.body, REPLY_MAX);
	u.call.op = httpc_request(client->httpc, &request, &upgrade_handler, &u);
	loop_run(client->loop);
	if (u.stream == NULL)
		judge(&u.call);
	else if (!u.is_accepted)
		err_set(&u.call.err, ERR_PROTO, 0, "the server did not understand the request for a WebSocket");
	*err = u.call.err;
	if (err->code == ERR_NONE && u.stream == NULL)
		err_set(err, ERR_PROTO, 0, "the server answered %u to the request for a WebSocket", u.call.status);
	if (err->code != ERR_NONE)
		stream_close(&u.stream);
	*ret = u.stream;
	if (u.stream != NULL) {
		stream_resume(u.stream);
		if (u.call.body.len > 0)
			upgrade->handler->on_data(upgrade->arg, buf_str(&u.call.body));
	}
	buf_fini(&u.call.body);
	return err->code == ERR_NONE;
}

struct loop *
client_loop(struct client *client)
{
	return client->loop;
}

int
client_ask(const char *method, const char *path, struct str body, struct json **ret)
{
	struct client *client = client_new();
	struct err err;
	bool ok;

	if (client == NULL)
		return EXIT_PROBLEM;
	ok = client_call(client, method, path, body, ret, &err);
	client_free(&client);
	return ok ? EXIT_OK : client_fail(&err);
}

int
client_ask_with(const char *method, const char *path, const char *name, const char *value, struct json **ret)
{
	struct json_writer *w = json_writer_new(TEXT_BODY_MAX);
	size_t len;
	char *body;
	int code;

	json_write_object_open(w);
	json_member_string(w, name, value);
	json_write_object_close(w);
	body = json_writer_finish(&w, &len);
	code = client_ask(method, path, (struct str){ body, len }, ret);
	free(body);
	return code;
}
