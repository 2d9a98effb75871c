#include "test/component/fake_engine.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/json.h"
#include "proto/mem.h"
#include "test/unit/unit.h"

struct fake_container {
	TAILQ_ENTRY(fake_container) next;
	char id[80];
	struct json *body; /* of its creation */
	struct fake_conn *attach;
	struct fake_conn *wait;
	bool is_started;
};

struct fake_conn {
	TAILQ_ENTRY(fake_conn) next;
	struct fake_engine *fake;
	struct bufferevent *bev;
	bool is_attached;
};

static void
conn_free(struct fake_conn *c)
{
	struct fake_container *container;

	TAILQ_FOREACH(container, &c->fake->containers, next)
	{
		if (container->attach == c)
			container->attach = NULL;
		if (container->wait == c)
			container->wait = NULL;
	}
	TAILQ_REMOVE(&c->fake->conns, c, next);
	bufferevent_free(c->bev);
	free(c);
}

/* Closes when what was written has left. */
static void
on_written(struct bufferevent *bev, void *arg)
{
	(void)bev;
	conn_free(arg);
}

static void
close_later(struct fake_conn *c)
{
	bufferevent_disable(c->bev, EV_READ);
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
		conn_free(c);
	else
		bufferevent_setcb(c->bev, NULL, on_written, NULL, c);
}

static void
reply(struct fake_conn *c, unsigned status, const char *body)
{
	evbuffer_add_printf(bufferevent_get_output(c->bev),
	    "HTTP/1.1 %u Whatever\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", status,
	    strlen(body), body);
}

static void
add_frame(struct fake_conn *c, const char *text)
{
	unsigned char head[8] = { 1, 0, 0, 0, 0, 0, 0, (unsigned char)strlen(text) };

	bufferevent_write(c->bev, head, sizeof(head));
	bufferevent_write(c->bev, text, strlen(text));
}

/* --- containers --- */

static struct fake_container *
find(struct fake_engine *fake, const char *path)
{
	const char *id = strstr(path, "/containers/");
	struct fake_container *c;

	if (id == NULL)
		return NULL;
	id += strlen("/containers/");
	TAILQ_FOREACH(c, &fake->containers, next)
	if (strncmp(id, c->id, strlen(c->id)) == 0 && strchr("/?", id[strlen(c->id)]) != NULL)
		return c;
	return NULL;
}

static void
container_free(struct fake_engine *fake, struct fake_container *c)
{
	struct fake_conn *attach = c->attach, *wait = c->wait;

	TAILQ_REMOVE(&fake->containers, c, next);
	json_free(&c->body);
	free(c);
	if (attach != NULL)
		close_later(attach);
	if (wait != NULL)
		close_later(wait);
}

/* The id is the name, so that either finds it: both follow "davit-NODE-". */
static struct fake_container *
create(struct fake_engine *fake, const char *path, struct str body)
{
	struct fake_container *c = xcalloc(1, sizeof(*c));

	snprintf(c->id, sizeof(c->id), "%s", strstr(path, "name=") + strlen("name="));
	assert_true(json_parse(body, NULL, &c->body, NULL));
	TAILQ_INSERT_TAIL(&fake->containers, c, next);
	return c;
}

static void
tell_exit(struct fake_container *c)
{
	struct fake_conn *wait = c->wait;
	char body[64];

	if (wait == NULL)
		return;
	c->wait = NULL;
	snprintf(body, sizeof(body), "{\"Error\":null,\"StatusCode\":%d}", wait->fake->exit_code);
	evbuffer_add_printf(bufferevent_get_output(wait->bev), "%zx\r\n%s\r\n0\r\n\r\n", strlen(body), body);
}

static void
tell_eof(struct fake_container *c)
{
	struct fake_conn *attach = c->attach;

	c->attach = NULL;
	if (attach != NULL)
		close_later(attach);
}

/* A job's input has ended: it gives its output and ends. */
static void
finish(struct fake_engine *fake, struct fake_container *c)
{
	if (c->attach != NULL && fake->output != NULL)
		bufferevent_write(c->attach->bev, fake->output, fake->output_len);
	else if (c->attach != NULL)
		add_frame(c->attach, "output\n");
	switch (fake->end) {
	case FAKE_EXIT_THEN_EOF:
		tell_exit(c);
		tell_eof(c);
		break;
	case FAKE_EOF_THEN_EXIT:
		tell_eof(c);
		tell_exit(c);
		break;
	case FAKE_EXIT_ONLY:
		tell_exit(c);
		break;
	case FAKE_EOF_ONLY:
		tell_eof(c);
		break;
	case FAKE_LOST:
		if (c->wait != NULL)
			conn_free(c->wait);
		break;
	}
}

static void
start(struct fake_container *c)
{
	c->is_started = true;
	if (c->attach == NULL)
		return;
	if (strstr(c->id, "pause") != NULL)
		add_frame(c->attach, "ready 10.9.8.7\n");
	else
		add_frame(c->attach, "davit:ready\n");
}

static void
describe(struct fake_conn *conn, const struct fake_container *c)
{
	struct json_writer *w = json_writer_new(100000);
	const struct json_value *labels = json_get(json_root(c->body), "Labels");
	char *text;

	json_write_object_open(w);
	json_member_string(w, "Id", c->id);
	json_write_key(w, "State");
	json_write_object_open(w);
	json_member_string(w, "Status", c->is_started ? "exited" : "created");
	json_write_object_close(w);
	json_write_key(w, "Config");
	json_write_object_open(w);
	json_write_key(w, "Labels");
	json_write_object_open(w);
	for (size_t i = 0; i < json_count(labels); i++)
		json_member_string(w, json_key_at(labels, i), json_string(json_at(labels, i), ""));
	json_write_object_close(w);
	json_write_object_close(w);
	json_write_object_close(w);
	text = json_writer_finish(&w, NULL);
	reply(conn, 200, text);
	free(text);
}

static void
give_archive(struct fake_conn *conn)
{
	struct evbuffer *out = bufferevent_get_output(conn->bev);
	struct str archive = conn->fake->archive;

	if (archive.len == 0) {
		reply(conn, 404, "{\"message\":\"Could not find the file in container\"}");
		return;
	}
	evbuffer_add_printf(
	    out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", archive.len + (conn->fake->archive_is_cut ? 1 : 0));
	evbuffer_add(out, archive.p, archive.len);
	if (conn->fake->archive_is_cut)
		close_later(conn);
}

static void
on_container(struct fake_conn *conn, const char *method, const char *path)
{
	struct fake_container *c = find(conn->fake, path);

	if (c == NULL) {
		reply(conn, 404, "{\"message\":\"No such container\"}");
	} else if (strcmp(method, "DELETE") == 0) {
		container_free(conn->fake, c);
		reply(conn, 204, "");
	} else if (strstr(path, "/attach") != NULL) {
		c->attach = conn;
		conn->is_attached = true;
		evbuffer_add_printf(bufferevent_get_output(conn->bev),
		    "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
	} else if (strstr(path, "/wait") != NULL) {
		c->wait = conn;
		evbuffer_add_printf(bufferevent_get_output(conn->bev),
		    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
	} else if (strstr(path, "/archive") != NULL) {
		give_archive(conn);
	} else if (strstr(path, "/start") != NULL) {
		start(c);
		reply(conn, 204, "");
	} else if (strstr(path, "/json") != NULL) {
		describe(conn, c);
	} else {
		reply(conn, 204, ""); /* rename */
	}
}

/* --- requests --- */

static void
on_images(struct fake_conn *c, const char *path)
{
	if (strstr(path, "/images/create") != NULL) {
		c->fake->pulls++;
		c->fake->has_image = true;
		reply(c, 200, "{\"status\":\"Pulling\"}\r\n{\"status\":\"Done\"}\r\n");
	} else if (c->fake->has_image || strstr(path, "pause") != NULL) {
		reply(c, 200, "{\"Id\":\"sha256:abcd\",\"RepoDigests\":[],\"Config\":{}}");
	} else {
		reply(c, 404, "{\"message\":\"No such image\"}");
	}
}

static void
answer(struct fake_conn *c, const char *method, const char *path, struct str body)
{
	char text[100];

	if (strcmp(path, "/version") == 0) {
		reply(c, 200, "{\"Version\":\"1.2.3\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}");
	} else if (strstr(path, "/events") != NULL) {
		evbuffer_add_printf(
		    bufferevent_get_output(c->bev), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	} else if (strstr(path, "/images/") != NULL) {
		on_images(c, path);
	} else if (strstr(path, "/volumes?") != NULL) {
		reply(c, 200, "{\"Volumes\":null}");
	} else if (strstr(path, "/volumes/create") != NULL) {
		c->fake->volumes++;
		reply(c, 201, "{\"Name\":\"v1\"}");
	} else if (strstr(path, "/volumes/") != NULL) {
		reply(c, c->fake->volumes > 0 ? 204 : 404, "");
		c->fake->volumes -= c->fake->volumes > 0;
	} else if (strstr(path, "/containers/json") != NULL || strstr(path, "/networks?") != NULL) {
		reply(c, 200, "[]");
	} else if (strstr(path, "/networks/create") != NULL) {
		c->fake->networks++;
		reply(c, 201, "{\"Id\":\"n1\"}");
	} else if (strstr(path, "/networks/") != NULL) {
		reply(c, c->fake->networks > 0 ? 204 : 404, "");
		c->fake->networks -= c->fake->networks > 0;
	} else if (strstr(path, "/containers/create") != NULL) {
		snprintf(text, sizeof(text), "{\"Id\":\"%s\"}", create(c->fake, path, body)->id);
		reply(c, 201, text);
	} else {
		on_container(c, method, path);
	}
}

static struct fake_rule *
match(struct fake_engine *fake, const char *method, const char *path)
{
	for (size_t i = 0; i < sizeof(fake->rules) / sizeof(fake->rules[0]); i++) {
		struct fake_rule *rule = &fake->rules[i];

		if (rule->method == NULL || strcmp(rule->method, method) != 0 || strstr(path, rule->path) == NULL)
			continue;
		if (rule->spared > 0) {
			rule->spared--;
			continue;
		}
		if (rule->times > 0 && --rule->times == 0)
			rule->method = NULL;
		return rule;
	}
	return NULL;
}

struct late_answer {
	struct fake_conn *conn;
	const struct fake_rule *rule;
};

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	struct late_answer *late = arg;

	(void)fd;
	(void)what;
	reply(late->conn, late->rule->status, late->rule->body);
	free(late);
}

/* What is readable in the loop comes before what is late. */
static void
answer_after_eof(struct fake_conn *conn, const struct fake_rule *rule, const char *path)
{
	const struct timeval soon = { .tv_usec = 20000 };
	struct late_answer *late = xcalloc(1, sizeof(*late));
	struct fake_container *c = find(conn->fake, path);

	assert_true(c != NULL && c->attach != NULL);
	conn_free(c->attach);
	*late = (struct late_answer){ conn, rule };
	event_base_once(loop_base(conn->fake->loop), -1, EV_TIMEOUT, on_late, late, &soon);
}

static void
misbehave(struct fake_conn *c, const struct fake_rule *rule, const char *method, const char *path, struct str body)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	switch (rule->deed) {
	case FAKE_STATUS:
		reply(c, rule->status, rule->body);
		break;
	case FAKE_CLOSE:
		conn_free(c);
		break;
	case FAKE_HALF:
		evbuffer_add_printf(out, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Id\":\"abc");
		close_later(c);
		break;
	case FAKE_HANG:
		break;
	case FAKE_DO_CLOSE:
	case FAKE_DO_409:
		answer(c, method, path, body);
		evbuffer_drain(out, evbuffer_get_length(out));
		if (rule->deed == FAKE_DO_409)
			reply(c, 409, "{\"message\":\"Conflict. The name is in use\"}");
		else
			conn_free(c);
		break;
	case FAKE_EOF_FIRST:
		answer_after_eof(c, rule, path);
		break;
	}
}

/* The whole request: head, and as many bytes as it says. */
static bool
take_request(struct fake_conn *c, char *text, size_t size, struct str *body)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	size_t length = 0;
	const char *field;

	if (end.pos < 0)
		return false;
	assert_true((size_t)evbuffer_get_length(in) < size);
	text[evbuffer_copyout(in, text, size - 1)] = '\0';
	if ((field = strcasestr(text, "\r\nContent-Length: ")) != NULL)
		length = strtoul(field + strlen("\r\nContent-Length: "), NULL, 10);
	if (evbuffer_get_length(in) < (size_t)end.pos + 4 + length)
		return false;
	evbuffer_drain(in, (size_t)end.pos + 4 + length);
	*body = (struct str){ text + end.pos + 4, length };
	return true;
}

/* Of a job; the name of each member is in one piece of what comes. */
static void
look_at_input(struct fake_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	c->fake->got_script = c->fake->got_script || evbuffer_search(in, "davit/script", 12, NULL).pos >= 0;
	c->fake->got_whole = c->fake->got_whole || evbuffer_search(in, "davit/whole", 11, NULL).pos >= 0;
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	static char text[4 << 20];
	struct fake_conn *c = arg;
	struct fake_rule *rule;
	char method[16], path[4096];
	struct str body;

	if (c->is_attached) {
		look_at_input(c);
		evbuffer_drain(bufferevent_get_input(bev), evbuffer_get_length(bufferevent_get_input(bev)));
		return;
	}
	if (!take_request(c, text, sizeof(text), &body))
		return;
	assert_int_equal(sscanf(text, "%15s %4095s", method, path), 2);
	rule = match(c->fake, method, path);
	if (rule != NULL)
		misbehave(c, rule, method, path, body);
	else
		answer(c, method, path, body);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct fake_container *container;
	struct fake_conn *c = arg;

	(void)bev;
	if (c->is_attached && (what & BEV_EVENT_EOF) != 0) {
		TAILQ_FOREACH(container, &c->fake->containers, next)
		{
			if (container->attach == c && container->is_started) {
				finish(c->fake, container);
				return;
			}
		}
	}
	conn_free(c);
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int len, void *arg)
{
	struct fake_engine *fake = arg;
	struct fake_conn *c = xcalloc(1, sizeof(*c));

	(void)listener;
	(void)address;
	(void)len;
	c->fake = fake;
	c->bev = bufferevent_socket_new(loop_base(fake->loop), fd, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(c->bev, on_read, NULL, on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	TAILQ_INSERT_TAIL(&fake->conns, c, next);
}

void
fake_engine_listen(struct fake_engine *fake)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	unlink(fake->path);
	memcpy(sa.sun_path, fake->path, strlen(fake->path) + 1);
	fake->listener = evconnlistener_new_bind(loop_base(fake->loop), on_accept, fake,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, -1, (struct sockaddr *)&sa, sizeof(sa));
	assert_non_null(fake->listener);
}

void
fake_engine_init(struct fake_engine *fake, struct loop *loop)
{
	static unsigned serial;

	*fake = (struct fake_engine){ .loop = loop, .has_image = true };
	snprintf(fake->path, sizeof(fake->path), "/tmp/davit-test-engine-%d-%u.sock", getpid(), ++serial);
	snprintf(fake->url, sizeof(fake->url), "unix://%s", fake->path);
	TAILQ_INIT(&fake->containers);
	TAILQ_INIT(&fake->conns);
	fake_engine_listen(fake);
}

void
fake_engine_die(struct fake_engine *fake)
{
	struct fake_conn *c;

	evconnlistener_free(fake->listener);
	fake->listener = NULL;
	while ((c = TAILQ_FIRST(&fake->conns)) != NULL)
		conn_free(c);
}

void
fake_engine_fini(struct fake_engine *fake)
{
	struct fake_container *c;

	if (fake->listener != NULL)
		fake_engine_die(fake);
	while ((c = TAILQ_FIRST(&fake->containers)) != NULL)
		container_free(fake, c);
	unlink(fake->path);
}

unsigned
fake_engine_containers(const struct fake_engine *fake)
{
	const struct fake_container *c;
	unsigned count = 0;

	TAILQ_FOREACH(c, &fake->containers, next)
	count++;
	return count;
}
