#include "server/controller/listener.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/listener.h>
#include <evhtp/evhtp.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/io/listening.h"

#define PAUSE_MS 100 /* after EMFILE */
#define LEAVE_IDLE_MS 1000
#define DESCRIPTORS_KEPT 128 /* for Redis, engines, files, children */
#define COMPLAIN_MS 10000    /* clients decide how often there is no room, not how long the log is */

/* For the client that is accepted when there is no descriptor left for it. */
static const char no_room[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 5\r\n"
			      "Connection: close\r\n\r\n";

struct listener {
	struct loop *loop;
	struct evhtp *evhtp;
	struct gate_shared gates;
	unsigned connections_max;
	int spare;               /* a descriptor to give up, so that one client can be told that there are none */
	struct timer *pause;     /* runs while accepting rests after EMFILE */
	struct listening socket; /* its descriptor is libevhtp's, which closes it */
	bool waits;              /* for listener_accept */
	void (*on_empty)(void *arg);
	void *arg;
	uint64_t accepted;
	uint64_t pauses;
	int64_t complained_ms; /* 0: not yet */
};

/* --- accepting --- */

static void
update_accepting(struct listener *l)
{
	struct evconnlistener *server = l->evhtp->server;

	if (server == NULL)
		return;
	if (!l->waits && l->gates.count < l->connections_max && !timer_is_running(l->pause))
		evconnlistener_enable(server);
	else
		evconnlistener_disable(server);
}

static void
complain(struct listener *l, const char *why)
{
	int64_t now = loop_mono_ms();

	l->pauses++;
	if (l->complained_ms != 0 && now - l->complained_ms < COMPLAIN_MS)
		return;
	l->complained_ms = now;
	log_warn("listener %s: accepting rests at %u connections: %s", l->socket.address, l->gates.count, why);
}

static evhtp_res
on_accept(evhtp_connection_t *connection, void *arg)
{
	struct listener *l = arg;

	l->accepted++;
	gate_new(&l->gates, connection);
	if (l->gates.count >= l->connections_max) {
		complain(l, "these are all that there is room for");
		update_accepting(l);
	}
	return EVHTP_RES_OK;
}

static void
on_gate_end(void *arg)
{
	struct listener *l = arg;

	if (l->gates.count + 1 == l->connections_max)
		update_accepting(l);
	if (l->gates.count == 0 && l->on_empty != NULL)
		l->on_empty(l->arg);
}

static void
on_pause_over(void *arg)
{
	update_accepting(arg);
}

static int
open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Out of descriptors: the client that waits longest is told so, and accepting rests instead of spinning. */
static void
on_accept_error(struct evconnlistener *server, void *arg)
{
	struct listener *l = ((struct evhtp *)arg)->arg; /* libevent gives what libevhtp gave it */
	int fd;

	complain(l, strerror(errno));
	if (l->spare >= 0) {
		close(l->spare);
		fd = accept4(evconnlistener_get_fd(server), NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			if (send(fd, no_room, sizeof(no_room) - 1, MSG_NOSIGNAL) < 0)
				log_debug("listener %s: a client left before it was refused", l->socket.address);
			close(fd);
		}
		l->spare = open_spare();
	}
	timer_start(l->pause, PAUSE_MS);
	update_accepting(l);
}

static void
on_message(evhtp_request_t *message, void *arg)
{
	(void)arg;
	gate_on_message(message->conn);
}

/* --- life --- */

static unsigned
default_connections_max(unsigned listeners)
{
	struct rlimit limit;
	unsigned all;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > 1u << 20)
		all = 1u << 16;
	else if (limit.rlim_cur > 2 * DESCRIPTORS_KEPT)
		all = (unsigned)limit.rlim_cur - DESCRIPTORS_KEPT;
	else
		all = (unsigned)limit.rlim_cur / 2;
	return all > listeners ? all / listeners : 1;
}

static int64_t
or_default(int64_t value, int64_t fallback)
{
	return value != 0 ? value : fallback;
}

static void
init_gates(struct listener *l, const struct gate_conf *conf)
{
	assert(conf->body_limit != NULL && conf->on_request != NULL);
	l->gates = (struct gate_shared){ .loop = l->loop, .conf = *conf, .on_end = on_gate_end, .arg = l };
	l->gates.conf.idle_ms = or_default(conf->idle_ms, GATE_IDLE_MS);
	l->gates.conf.head_ms = or_default(conf->head_ms, GATE_HEAD_MS);
	l->gates.conf.window_ms = or_default(conf->window_ms, GATE_WINDOW_MS);
	l->gates.conf.handler_ms = or_default(conf->handler_ms, GATE_HANDLER_MS);
	l->gates.conf.linger_ms = or_default(conf->linger_ms, GATE_LINGER_MS);
	if (conf->bodies_max == 0)
		l->gates.conf.bodies_max = GATE_BODIES_MAX;
	l->gates.scratch = evbuffer_new();
	assert(l->gates.scratch != NULL);
}

/* libevhtp is told as little as possible: one callback for all, no timeouts, no answer of its own. */
static void
start_evhtp(struct listener *l)
{
	l->evhtp = evhtp_new(loop_base(l->loop), l);
	assert(l->evhtp != NULL);
	evhtp_disable_flag(l->evhtp, EVHTP_FLAG_ENABLE_100_CONT);
	evhtp_set_gencb(l->evhtp, on_message, l);
	evhtp_set_post_accept_cb(l->evhtp, on_accept, l);
	if (evhtp_accept_socket(l->evhtp, l->socket.fd, 0) != 0) {
		log_error("libevhtp cannot watch the listening socket");
		abort();
	}
	evconnlistener_set_error_cb(l->evhtp->server, on_accept_error);
}

struct listener *
listener_new(struct loop *loop, const struct listener_conf *conf, struct err *err)
{
	struct listener *l;
	struct listening socket;

	if (!listening_open(&socket, conf->address, conf->inherited, err))
		return NULL;
	signal(SIGPIPE, SIG_IGN);
	l = xcalloc(1, sizeof(*l));
	l->loop = loop;
	l->connections_max = conf->connections_max != 0
				 ? conf->connections_max
				 : default_connections_max(conf->listeners != 0 ? conf->listeners : 1);
	l->spare = open_spare();
	l->pause = timer_new(loop, on_pause_over, l);
	l->socket = socket;
	l->waits = conf->waits;
	init_gates(l, &conf->gate);
	start_evhtp(l);
	update_accepting(l);
	return l;
}

void
listener_accept(struct listener *l)
{
	l->waits = false;
	update_accepting(l);
}

static void
stop_accepting(struct listener *l)
{
	evhtp_unbind_socket(l->evhtp);
	l->socket.fd = -1;
	timer_stop(l->pause);
}

void
listener_drain(struct listener *l)
{
	stop_accepting(l);
	listening_remove_path(&l->socket);
	gate_drain_all(&l->gates, 0);
}

/* A client that keeps its connection may be about to send a request: it is answered, and the connection closed behind
 * that. One that sends none for a while is not about to. */
void
listener_leave(struct listener *l, void (*on_empty)(void *arg), void *arg)
{
	stop_accepting(l);
	listening_leave(&l->socket);
	l->on_empty = on_empty;
	l->arg = arg;
	gate_drain_all(&l->gates, LEAVE_IDLE_MS);
}

void
listener_free(struct listener **listener)
{
	struct listener *l = *listener;

	if (l == NULL)
		return;
	*listener = NULL;
	l->on_empty = NULL;
	stop_accepting(l);
	gate_end_all(&l->gates);
	evhtp_free(l->evhtp);
	evbuffer_free(l->gates.scratch);
	timer_free(&l->pause);
	if (l->spare >= 0)
		close(l->spare);
	listening_close(&l->socket);
	free(l);
}

const struct listening *
listener_socket(const struct listener *listener)
{
	return &listener->socket;
}

const char *
listener_address(const struct listener *listener)
{
	return listener->socket.address;
}

unsigned
listener_port(const struct listener *listener)
{
	return listener->socket.port;
}

struct listener_figures
listener_figures(const struct listener *listener)
{
	struct listener_figures figures = {
		.connections = listener->gates.count, .accepted = listener->accepted, .accept_pauses = listener->pauses
	};

	memcpy(figures.answers, listener->gates.answers, sizeof(figures.answers));
	return figures;
}
