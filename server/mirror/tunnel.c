#include "server/mirror/tunnel.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/mem.h"
#include "proto/url.h"
#include "server/core/loop.h"
#include "server/io/stream.h"

#define HTTPS_PORT 443

struct side {
	struct tunnel *tunnel;
	struct side *other;
	struct stream *stream; /* NULL: it has ended */
};

struct tunnel {
	LIST_ENTRY(tunnel) link;
	struct tunnels *tunnels;
	struct side client;
	struct side upstream;
	struct timer *timer;
	struct buf early; /* what the client sent behind its request */
	bool is_open;     /* the upstream is there, and the client knows */
};

struct tunnels {
	struct loop *loop;
	const struct upstreams *upstreams;
	LIST_HEAD(, tunnel) all;
	struct tunnel_figures figures;
};

static void
tunnel_free(struct tunnel *t)
{
	stream_close(&t->client.stream);
	stream_close(&t->upstream.stream);
	timer_free(&t->timer);
	buf_fini(&t->early);
	LIST_REMOVE(t, link);
	t->tunnels->figures.open--;
	free(t);
}

static void
on_timer(void *arg)
{
	tunnel_free(arg);
}

/* The other side has all that came, then it ends, too. */
static void
end_other(struct side *s)
{
	struct tunnel *t = s->tunnel;

	if (s->other->stream == NULL || stream_pending(s->other->stream) == 0) {
		tunnel_free(t);
		return;
	}
	stream_close_write(s->other->stream);
	timer_start(t->timer, TUNNEL_FLUSH_MS);
}

static void
on_data(void *arg, struct str bytes)
{
	struct side *s = arg;
	struct tunnel *t = s->tunnel;

	if (s->other->stream == NULL)
		return;
	t->tunnels->figures.bytes += bytes.len;
	timer_start(t->timer, TUNNEL_IDLE_MS);
	stream_write(s->other->stream, bytes.p, bytes.len);
	if (stream_pending(s->other->stream) >= TUNNEL_BUFFER)
		stream_pause(s->stream);
}

static void
on_drain(void *arg)
{
	struct side *s = arg;

	if (s->other->stream == NULL)
		tunnel_free(s->tunnel);
	else if (s->tunnel->is_open)
		stream_resume(s->other->stream);
}

static void
on_close(void *arg, const struct err *err)
{
	struct side *s = arg;

	(void)err;
	s->stream = NULL;
	end_other(s);
}

static void
reply(struct tunnel *t, unsigned status, const char *text)
{
	struct buf head;

	buf_init(&head, 1024);
	http1_print_status(&head, status);
	if (text != NULL) {
		http1_print_header(&head, "Connection", STR("close"));
		http1_print_header(&head, "Content-Type", STR("text/plain"));
		http1_print_header_int(&head, "Content-Length", strlen(text) + 1);
	}
	http1_print_end(&head);
	if (text != NULL)
		buf_addf(&head, "%s\n", text);
	stream_write(t->client.stream, head.data, head.len);
	buf_fini(&head);
}

static void
on_open(void *arg)
{
	struct side *s = arg;
	struct tunnel *t = s->tunnel;

	t->is_open = true;
	t->tunnels->figures.opened++;
	timer_start(t->timer, TUNNEL_IDLE_MS);
	if (t->client.stream == NULL) {
		tunnel_free(t);
		return;
	}
	reply(t, 200, NULL);
	if (t->early.len > 0)
		on_data(&t->client, buf_str(&t->early));
	stream_resume(t->client.stream);
}

/* The upstream is not there: then the client has to hear of it. */
static void
on_upstream_close(void *arg, const struct err *err)
{
	struct side *s = arg;
	struct tunnel *t = s->tunnel;

	if (!t->is_open && t->client.stream != NULL && err != NULL)
		reply(t, err->code == ERR_REFUSED ? 403 : err->code == ERR_TIMEOUT ? 504 : 502, err->text);
	on_close(arg, err);
}

static const struct stream_handler client_handler = { .on_data = on_data, .on_drain = on_drain, .on_close = on_close };
static const struct stream_handler upstream_handler = {
	.on_open = on_open, .on_data = on_data, .on_drain = on_drain, .on_close = on_upstream_close
};

/* What came behind the request is the first that the upstream gets. */
static void
start(struct tunnels *ts, struct client *client, const char *host, unsigned port, const struct upstream_rule *rule)
{
	const struct stream_target target = {
		.host = host, .port = port, .public_only = !rule->is_private, .timeout_ms = TUNNEL_CONNECT_MS
	};
	struct tunnel *t = xcalloc(1, sizeof(*t));
	struct str early;
	int fd = client_take(client, &early);

	t->tunnels = ts;
	t->client = (struct side){ .tunnel = t, .other = &t->upstream };
	t->upstream = (struct side){ .tunnel = t, .other = &t->client };
	buf_init(&t->early, early.len + 1);
	buf_addstr(&t->early, early);
	t->timer = timer_new(ts->loop, on_timer, t);
	timer_start(t->timer, TUNNEL_IDLE_MS);
	LIST_INSERT_HEAD(&ts->all, t, link);
	ts->figures.open++;
	t->client.stream = stream_adopt(ts->loop, fd, "a client of the mirror", &client_handler, &t->client);
	stream_pause(t->client.stream);
	t->upstream.stream = stream_connect(ts->loop, &target, &upstream_handler, &t->upstream);
}

static bool
allows_port(const struct upstream_rule *rule, unsigned port)
{
	struct str host;
	unsigned named = 0;

	return port == HTTPS_PORT || (url_split_host(str_of(rule->host), &host, &named) && named == port);
}

bool
tunnels_open(struct tunnels *ts, struct client *client, const struct http1_head *request, struct err *err)
{
	const struct upstream_rule *rule;
	struct str name;
	unsigned port;
	char *host;
	bool ok = false;

	if (!url_split_host(request->host, &name, &port) || name.len > 255)
		return err_set(err, ERR_INPUT, 0, "the upstream's host is malformed");
	host = str_dup(name);
	for (char *p = host; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p |= 0x20;
	rule = upstreams_rule(ts->upstreams, host, port);
	if (rule == NULL || !allows_port(rule, port))
		err_set(err, ERR_REFUSED, 0, "%.100s:%u is not among the mirror's upstreams (mirror.upstreams)", host,
		    port);
	else if (ts->figures.open == TUNNELS_MAX)
		err_set(err, ERR_UNAVAILABLE, 0, "%d tunnels are open already", TUNNELS_MAX);
	else
		ok = true;
	if (ok)
		start(ts, client, host, port, rule);
	free(host);
	return ok;
}

struct tunnels *
tunnels_new(struct loop *loop, const struct upstreams *upstreams)
{
	struct tunnels *ts = xcalloc(1, sizeof(*ts));

	ts->loop = loop;
	ts->upstreams = upstreams;
	LIST_INIT(&ts->all);
	return ts;
}

void
tunnels_free(struct tunnels **tunnels)
{
	struct tunnels *ts = *tunnels;

	if (ts == NULL)
		return;
	*tunnels = NULL;
	while (!LIST_EMPTY(&ts->all))
		tunnel_free(LIST_FIRST(&ts->all));
	free(ts);
}

struct tunnel_figures
tunnels_figures(const struct tunnels *ts)
{
	return ts->figures;
}
