/* A terminal in a job's container, by WebSocket (proto/websocket.h):
 *
 *	GET /api/v1/jobs/17.2/debug?rows=24&columns=80&term=xterm
 *
 * Binary messages are the terminal's bytes in both directions. The client's text messages tell a new size,
 * {"rows": 24, "columns": 80}; the server's only one, before it closes, how it ended: {"exit_code": 0}, or
 * {"error": "..."}. Both directions wait for who reads slowly; who says nothing for a quarter of an hour is sent away.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/websocket.h"
#include "server/builder/builder.h"
#include "server/controller/auth.h"
#include "server/controller/controller_private.h"
#include "server/core/log.h"
#include "server/core/loop.h"

enum {
	SESSIONS_MAX = 8,
	HIGH_WATER = 128 * 1024,  /* of either output */
	PING_MS = 25000,          /* nginx waits for 60 s, as it comes */
	MISSED_MAX = 3,           /* pings without a word from the client */
	IDLE_MS = 15 * 60 * 1000, /* without a byte of the terminal in either direction */
	TEXT_MAX = 1024,          /* of a client's text message */
	ROWS_MAX = 1000,
	COLUMNS_MAX = 1000
};

/* First the terminal is opened, then the client's connection becomes its other end; closing is the server's word that
 * nothing more comes. */
struct debug_session {
	LIST_ENTRY(debug_session) link;
	struct controller *controller;
	char job[JOB_ID_MAX];
	char peer[160]; /* who it is, and where */
	char accept[WEBSOCKET_ACCEPT_SIZE];
	struct http_reply *reply; /* until it is open */
	struct reply_stream *stream;
	struct terminal *terminal;
	struct websocket_reader reader;
	struct buf text; /* a message of the client's that is not whole */
	struct timer *ping;
	unsigned missed;
	int64_t active_ms; /* of loop_mono_ms */
	int64_t began_ms;  /* 0: it is not open */
};

static void
session_free(struct debug_session **session)
{
	struct debug_session *s = *session;

	*session = NULL;
	if (s->began_ms != 0)
		log_info("debug: %s leaves job %s after %d s", s->peer, s->job,
		    (int)((loop_mono_ms() - s->began_ms) / 1000));
	LIST_REMOVE(s, link);
	s->controller->debug_count--;
	terminal_close(&s->terminal);
	timer_free(&s->ping);
	buf_fini(&s->text);
	free(s);
}

static void
send_message(struct debug_session *s, enum websocket_kind kind, struct str bytes)
{
	struct buf b;

	buf_init(&b, bytes.len + WEBSOCKET_HEAD_MAX);
	websocket_print(&b, kind, NULL, bytes);
	reply_stream_write(s->stream, b.data, b.len);
	buf_fini(&b);
}

/* The server's last words; the terminal is closed. */
static void
session_end(struct debug_session **session, unsigned code, const char *reason)
{
	struct debug_session *s = *session;
	struct str text = str_of(reason);
	struct buf b;

	if (text.len > WEBSOCKET_CONTROL_MAX - 2)
		text.len = WEBSOCKET_CONTROL_MAX - 2;
	buf_init(&b, 2 * WEBSOCKET_CONTROL_MAX);
	websocket_print_close(&b, code, NULL, text);
	reply_stream_write(s->stream, b.data, b.len);
	buf_fini(&b);
	reply_stream_end(&s->stream);
	session_free(session);
}

/* --- from the terminal --- */

static void
on_ready(void *arg)
{
	struct debug_session *s = arg;

	terminal_resume(s->terminal);
	if (terminal_pending(s->terminal) <= HIGH_WATER)
		reply_stream_resume_input(s->stream);
}

static void
on_gone(void *arg)
{
	struct debug_session *s = arg;

	s->stream = NULL;
	session_free(&s);
}

static void on_input(void *arg, struct str bytes);

static void
on_open(void *arg)
{
	struct debug_session *s = arg;

	reply_on_gone(s->reply, NULL, NULL);
	reply_header(s->reply, "Sec-WebSocket-Accept", s->accept);
	s->stream = reply_upgrade(&s->reply, "websocket", on_input, on_ready, on_gone, s);
	if (s->stream == NULL) {
		session_free(&s);
		return;
	}
	s->active_ms = s->began_ms = loop_mono_ms();
	timer_start(s->ping, PING_MS);
	log_info("debug: %s opens a terminal in job %s", s->peer, s->job);
}

static void
on_output(void *arg, struct str bytes)
{
	struct debug_session *s = arg;

	s->active_ms = loop_mono_ms();
	send_message(s, WEBSOCKET_BINARY, bytes);
	if (reply_stream_pending(s->stream) > HIGH_WATER)
		terminal_pause(s->terminal);
}

static void
on_drain(void *arg)
{
	struct debug_session *s = arg;

	if (s->stream != NULL)
		reply_stream_resume_input(s->stream);
}

static void
tell_end(struct debug_session *s, int exit_code, const struct err *err)
{
	struct json_writer *w = json_writer_new(TEXT_MAX);
	size_t len;
	char *text;

	json_write_object_open(w);
	if (err != NULL)
		json_member_string(w, "error", err->text);
	else
		json_member_int(w, "exit_code", exit_code);
	json_write_object_close(w);
	text = json_writer_finish(&w, &len);
	send_message(s, WEBSOCKET_TEXT, (struct str){ text, len });
	free(text);
}

static void
on_end(void *arg, int exit_code, const struct err *err)
{
	struct debug_session *s = arg;

	s->terminal = NULL;
	if (s->stream != NULL) {
		tell_end(s, exit_code, err);
		session_end(&s, WEBSOCKET_NORMAL, err != NULL ? "the terminal is gone" : "the shell has ended");
		return;
	}
	if (err != NULL)
		reply_err(&s->reply, err);
	else
		reply_error(&s->reply, 503, "unavailable", "the shell ended at once (exit code %d)", exit_code);
	session_free(&s);
}

/* --- from the client --- */

static bool
take_size(struct debug_session *s)
{
	struct json *doc = NULL;
	int64_t rows, columns;

	if (!json_parse(buf_str(&s->text), NULL, &doc, NULL))
		return false;
	rows = json_int(json_get(json_root(doc), "rows"), 0);
	columns = json_int(json_get(json_root(doc), "columns"), 0);
	json_free(&doc);
	if (rows < 1 || rows > ROWS_MAX || columns < 1 || columns > COLUMNS_MAX)
		return false;
	terminal_resize(s->terminal, (unsigned)rows, (unsigned)columns);
	return true;
}

/* NULL: it goes on; else how it ends. */
static const char *
take_text(struct debug_session *s, const struct websocket_event *event, unsigned *code)
{
	bool good = true;

	*code = WEBSOCKET_POLICY;
	if (!buf_addstr(&s->text, event->bytes)) {
		*code = WEBSOCKET_TOO_LARGE;
		return "a text message is too long";
	}
	if (!event->is_last)
		return NULL;
	good = take_size(s);
	buf_reset(&s->text);
	return good ? NULL : "a text message tells a size: {\"rows\": 24, \"columns\": 80}";
}

static const char *
take(struct debug_session *s, const struct websocket_event *event, unsigned *code)
{
	switch (event->kind) {
	case WEBSOCKET_TEXT:
		return take_text(s, event, code);
	case WEBSOCKET_BINARY:
		s->active_ms = loop_mono_ms();
		terminal_write(s->terminal, event->bytes);
		return NULL;
	case WEBSOCKET_PING:
		send_message(s, WEBSOCKET_PONG, event->bytes);
		return NULL;
	case WEBSOCKET_PONG:
		return NULL;
	case WEBSOCKET_CLOSE:
		break;
	}
	*code = WEBSOCKET_NORMAL;
	return "as you wish";
}

static void
on_input(void *arg, struct str bytes)
{
	struct debug_session *s = arg;
	struct websocket_event event;
	enum websocket_next next;
	unsigned code;

	s->missed = 0;
	while ((next = websocket_next(&s->reader, &bytes, &event)) == WEBSOCKET_EVENT) {
		const char *why = take(s, &event, &code);

		if (why != NULL) {
			session_end(&s, code, why);
			return;
		}
	}
	if (next == WEBSOCKET_BAD)
		session_end(&s, WEBSOCKET_PROTOCOL_ERROR, s->reader.why);
	else if (terminal_pending(s->terminal) > HIGH_WATER || reply_stream_pending(s->stream) > 2 * HIGH_WATER)
		reply_stream_pause_input(s->stream);
}

static void
on_ping(void *arg)
{
	struct debug_session *s = arg;

	if (loop_mono_ms() - s->active_ms >= IDLE_MS) {
		session_end(&s, WEBSOCKET_POLICY, "nothing happened for 15 minutes");
	} else if (s->missed++ == MISSED_MAX) {
		session_end(&s, WEBSOCKET_POLICY, "you do not answer");
	} else {
		send_message(s, WEBSOCKET_PING, STR(""));
		timer_start(s->ping, PING_MS);
	}
}

/* --- opening --- */

static void
on_client_gone(void *arg)
{
	struct debug_session *s = arg;

	reply_on_gone(s->reply, NULL, NULL);
	reply_drop(&s->reply);
	session_free(&s);
}

/* The words of RFC 6455 section 4.2.1; answers and returns false when one is missing. A browser sends the session's
 * cookie from any page, and no rule of its own keeps another site from reading: the page must be ours. */
static bool
is_handshake(struct http_reply **reply, char accept[WEBSOCKET_ACCEPT_SIZE])
{
	const struct http_request *request = reply_request(*reply);

	if (!str_is_nocase(request_header(request, "Upgrade"), "websocket") ||
	    !str_is(request_header(request, "Sec-WebSocket-Version"), "13") ||
	    !websocket_accept(request_header(request, "Sec-WebSocket-Key"), accept)) {
		reply_header(*reply, "Upgrade", "websocket");
		reply_header(*reply, "Sec-WebSocket-Version", "13");
		reply_error(reply, 426, "upgrade", "a terminal is opened as a WebSocket; see davit debug");
		return false;
	}
	if (request_header(request, "Authorization").len == 0 && !auth_is_same_site(request)) {
		reply_error(reply, 403, "foreign", "the request comes from a page of another site");
		return false;
	}
	return true;
}

static bool
read_spec(struct http_reply **reply, struct terminal_spec *spec, struct buf *type)
{
	uint64_t rows, columns;

	if (!api_query_number(reply, "rows", ROWS_MAX, 24, &rows) ||
	    !api_query_number(reply, "columns", COLUMNS_MAX, 80, &columns))
		return false;
	if (!request_query(reply_request(*reply), "term", type) || type->len == 0 || type->len > 60 ||
	    type->data[strspn(type->data, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-")] !=
		'\0') {
		buf_reset(type);
		buf_adds(type, "xterm");
	}
	*spec = (struct terminal_spec){ .type = type->data, .rows = (unsigned)rows, .columns = (unsigned)columns };
	return true;
}

static struct debug_session *
session_new(struct controller *c, struct http_reply *reply, const char *accept)
{
	const struct http_request *request = reply_request(reply);
	struct debug_session *s = xcalloc(1, sizeof(*s));

	*s = (struct debug_session){ .controller = c, .reply = reply };
	snprintf(s->job, sizeof(s->job), "%s", request_param(request, "job"));
	snprintf(s->peer, sizeof(s->peer), "%s at %s", request->who, request->peer);
	memcpy(s->accept, accept, sizeof(s->accept));
	websocket_reader_init(&s->reader, true);
	buf_init(&s->text, TEXT_MAX);
	s->ping = timer_new(c->deps.loop, on_ping, s);
	LIST_INSERT_HEAD(&c->debug_sessions, s, link);
	c->debug_count++;
	return s;
}

static void
open_session(struct controller *c, struct http_reply *reply, const char *accept, const struct terminal_spec *spec)
{
	static const struct terminal_handler handler = {
		.on_open = on_open, .on_output = on_output, .on_drain = on_drain, .on_end = on_end
	};
	struct debug_session *s = session_new(c, reply, accept);
	struct err err;

	s->terminal = builder_terminal(c->deps.builder, s->job, spec, &handler, s, &err);
	if (s->terminal == NULL) {
		reply_err(&s->reply, &err);
		session_free(&s);
	} else {
		reply_on_gone(reply, on_client_gone, s);
	}
}

void
api_job_debug(void *arg, struct http_reply *reply)
{
	struct controller *c = arg;
	char accept[WEBSOCKET_ACCEPT_SIZE];
	struct terminal_spec spec;
	struct buf type;

	buf_init(&type, 100);
	if (!is_handshake(&reply, accept) || !read_spec(&reply, &spec, &type))
		;
	else if (c->debug_count >= SESSIONS_MAX)
		reply_error(&reply, 429, "limit", "there are %d terminals open already", SESSIONS_MAX);
	else
		open_session(c, reply, accept, &spec);
	buf_fini(&type);
}

void
api_debug_end_all(struct controller *controller)
{
	struct debug_session *s;

	while ((s = LIST_FIRST(&controller->debug_sessions)) != NULL) {
		if (s->stream != NULL)
			session_end(&s, WEBSOCKET_GOING_AWAY, "the server stops");
		else
			on_client_gone(s);
	}
}

void
api_job_release(void *arg, struct http_reply *reply)
{
	const char *job = request_param(reply_request(reply), "job");
	struct controller *c = arg;

	if (!builder_release(c->deps.builder, job)) {
		reply_error(&reply, 404, "not_found", "job %s is not held here", job);
		return;
	}
	log_info("debug: %s at %s releases job %s", reply_request(reply)->who, reply_request(reply)->peer, job);
	reply_send(&reply, 204, NULL, "", 0);
}
