#include "test/component/http_client.h"

#include "test/unit/unit.h"

#include "server/io/stream.h"

static void
on_guard(void *arg)
{
	(void)arg;
	fail_msg("the test hangs");
}

void
client_init(struct client *c, const char *url, const struct httpc_conf *conf)
{
	struct err err = ERR_OK;

	*c = (struct client){ .loop = loop_new() };
	c->httpc = httpc_new(c->loop, url, conf, &err);
	if (c->httpc == NULL)
		fail_msg("%s", err.text);
	c->request = (struct httpc_request){ .method = "GET", .path = "/x", .total_ms = 60000 };
	buf_init(&c->body, 128 * MB);
	buf_init(&c->stream_bytes, 128 * MB);
	c->guard = timer_new(c->loop, on_guard, NULL);
	timer_start(c->guard, 120000);
}

void
client_fini(struct client *c)
{
	assert_null(c->op);
	httpc_free(&c->httpc);
	timer_free(&c->guard);
	stream_close(&c->stream);
	loop_free(&c->loop);
	buf_fini(&c->body);
	buf_fini(&c->stream_bytes);
}

static bool
leaves(struct client *c, enum place place)
{
	if (c->cancel_in != place)
		return false;
	httpc_cancel(&c->op);
	httpc_free(&c->httpc);
	loop_stop(c->loop);
	return true;
}

static void
on_head(void *arg, const struct httpc_reply *reply)
{
	struct client *c = arg;

	c->heads++;
	c->status = reply->status;
	if (!leaves(c, ON_HEAD) && c->pause_in == ON_HEAD)
		httpc_pause(c->op);
}

static void
on_body(void *arg, struct str bytes)
{
	struct client *c = arg;

	assert_true(bytes.len > 0);
	buf_addstr(&c->body, bytes);
	if (!leaves(c, ON_BODY) && c->pause_in == ON_BODY)
		httpc_pause(c->op);
}

static void
on_drain(void *arg)
{
	static const char zeros[256 * 1024];
	struct client *c = arg;
	size_t len = c->to_send - c->sent < c->chunk ? c->to_send - c->sent : c->chunk;

	c->drains++;
	if (leaves(c, ON_DRAIN))
		return;
	httpc_send(c->op, (struct str){ zeros, len });
	c->sent += len;
	if (httpc_pending(c->op) > c->most_pending)
		c->most_pending = httpc_pending(c->op);
	if (c->sent == c->to_send)
		httpc_end(c->op);
}

static void start(struct client *c);

static void
on_done(void *arg, const struct httpc_reply *reply, const struct err *err)
{
	struct client *c = arg;

	c->op = NULL;
	c->done++;
	c->err = err != NULL ? *err : ERR_OK;
	c->status = reply != NULL ? reply->status : 0;
	if (reply != NULL)
		buf_addstr(&c->body, reply->body);
	if (leaves(c, ON_DONE))
		return;
	if (c->again > 0) {
		c->again--;
		start(c);
	} else {
		loop_stop(c->loop);
	}
}

static void
on_stream_data(void *arg, struct str bytes)
{
	struct client *c = arg;

	buf_addstr(&c->stream_bytes, bytes);
}

static void
on_stream_close(void *arg, const struct err *err)
{
	struct client *c = arg;

	c->stream = NULL;
	c->stream_closed = true;
	c->stream_err = err != NULL ? *err : ERR_OK;
	loop_stop(c->loop);
}

static void
on_upgrade(void *arg, struct stream *stream, struct str first)
{
	static const struct stream_handler handler = { .on_data = on_stream_data, .on_close = on_stream_close };
	struct client *c = arg;

	c->op = NULL;
	c->upgrades++;
	c->stream = stream;
	buf_addstr(&c->stream_bytes, first);
	stream_set_handler(stream, &handler, c);
	stream_write(stream, "to the container", 16);
	stream_close_write(stream);
}

const struct httpc_handler collecting = { .on_done = on_done };
const struct httpc_handler streaming = {
	.on_head = on_head,
	.on_body = on_body,
	.on_drain = on_drain,
	.on_done = on_done,
};
const struct httpc_handler upgrading = { .on_done = on_done, .on_upgrade = on_upgrade };

static void
start(struct client *c)
{
	c->op = httpc_request(c->httpc, &c->request, &collecting, c);
}

void
exchange(struct client *c, const struct httpc_handler *handler)
{
	c->op = httpc_request(c->httpc, &c->request, handler, c);
	loop_run(c->loop);
}

void
script_any(struct peer *p)
{
	int fd = peer_accept(p);

	if (peer_read_head(p, fd))
		peer_puts(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
	peer_drain_close(fd);
}
