#include "server/controller/listener.h"

#include <arpa/inet.h>
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
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/mem.h"
#include "proto/url.h"
#include "server/core/log.h"
#include "server/core/loop.h"

#define BACKLOG 1024
#define PAUSE_MS 100         /* after EMFILE */
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
	int spare;           /* a descriptor to give up, so that one client can be told that there are none */
	struct timer *pause; /* runs while accepting rests after EMFILE */
	char *address;
	char *path; /* of a unix socket, to be removed */
	unsigned port;
	uint64_t accepted;
	uint64_t pauses;
	int64_t complained_ms; /* 0: not yet */
};

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
};

/* --- the address --- */

static bool
parse_unix(const char *path, union address *ret, socklen_t *len, struct err *err)
{
	if (path[0] != '/' || strlen(path) >= sizeof(ret->un.sun_path))
		return err_set(err, ERR_INPUT, 0, "unix:%s: the path must begin with / and have at most %zu bytes",
		    path, sizeof(ret->un.sun_path) - 1);
	ret->un.sun_family = AF_UNIX;
	strcpy(ret->un.sun_path, path); /* its length was checked above */
	*len = sizeof(ret->un);
	return true;
}

static bool
parse_host(struct str host, unsigned port, union address *ret, socklen_t *len)
{
	char text[INET6_ADDRSTRLEN];

	if (host.len >= sizeof(text))
		return false;
	memcpy(text, host.p, host.len);
	text[host.len] = '\0';
	if (inet_pton(AF_INET, text, &ret->v4.sin_addr) == 1) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons((uint16_t)port);
		*len = sizeof(ret->v4);
		return true;
	}
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons((uint16_t)port);
	*len = sizeof(ret->v6);
	return str_is(host, "*") || inet_pton(AF_INET6, text, &ret->v6.sin6_addr) == 1;
}

static bool
parse_address(const char *text, union address *ret, socklen_t *len, struct err *err)
{
	const char *colon = strrchr(text, ':');
	struct str host;
	uint64_t port;

	memset(ret, 0, sizeof(*ret));
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(text + 5, ret, len, err);
	if (colon != NULL && str_to_u64(str_of(colon + 1), 65535, &port)) {
		host = (struct str){ text, (size_t)(colon - text) };
		if (host.len >= 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
			host = (struct str){ host.p + 1, host.len - 2 };
		if (parse_host(host, (unsigned)port, ret, len))
			return true;
	}
	return err_set(err, ERR_INPUT, 0,
	    "listen: \"%s\" is no address; write 127.0.0.1:8080, [::1]:8080, *:8080 or unix:/path", text);
}

/* --- the socket --- */

/* A socket file that nobody answers at is left over from a process that is gone. */
static bool
clear_path(const union address *address, socklen_t len, struct err *err)
{
	const char *path = address->un.sun_path;
	struct stat st;
	int fd;
	bool is_served;

	if (lstat(path, &st) != 0)
		return true;
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_CONFLICT, 0, "listen: %s exists and is no socket; choose another path", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	is_served = fd >= 0 && (connect(fd, &address->sa, len) == 0 || errno != ECONNREFUSED);
	if (fd >= 0)
		close(fd);
	if (is_served)
		return err_set(err, ERR_CONFLICT, 0, "listen: another process serves %s; stop it first", path);
	if (unlink(path) != 0) {
		*err = err_errno("listen: remove %s", path);
		return false;
	}
	return true;
}

static bool
bind_socket(int fd, const union address *address, socklen_t len, bool is_dual, const char *text, struct err *err)
{
	mode_t old = umask(0117); /* a unix socket is for its group: 0660 */
	int on = 1, v6only = is_dual ? 0 : 1, failed;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (address->sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
	failed = bind(fd, &address->sa, len);
	umask(old);
	if (failed != 0 || listen(fd, BACKLOG) != 0) {
		*err = err_errno("listen: %s", text);
		return false;
	}
	return true;
}

static int
open_socket(const char *text, struct err *err)
{
	union address address;
	socklen_t len;
	int fd;

	if (!parse_address(text, &address, &len, err))
		return -1;
	if (address.sa.sa_family == AF_UNIX && !clear_path(&address, len, err))
		return -1;
	fd = socket(address.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		*err = err_errno("listen: %s", text);
		return -1;
	}
	if (!bind_socket(fd, &address, len, text[0] == '*', text, err)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* --- accepting --- */

static void
update_accepting(struct listener *l)
{
	struct evconnlistener *server = l->evhtp->server;

	if (server == NULL)
		return;
	if (l->gates.count < l->connections_max && !timer_is_running(l->pause))
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
	log_warn("listener %s: accepting rests at %u connections: %s", l->address, l->gates.count, why);
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
				log_debug("listener %s: a client left before it was refused", l->address);
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
start_evhtp(struct listener *l, int fd)
{
	l->evhtp = evhtp_new(loop_base(l->loop), l);
	assert(l->evhtp != NULL);
	evhtp_disable_flag(l->evhtp, EVHTP_FLAG_ENABLE_100_CONT);
	evhtp_set_gencb(l->evhtp, on_message, l);
	evhtp_set_post_accept_cb(l->evhtp, on_accept, l);
	if (evhtp_accept_socket(l->evhtp, fd, 0) != 0) {
		log_error("libevhtp cannot watch the listening socket");
		abort();
	}
	evconnlistener_set_error_cb(l->evhtp->server, on_accept_error);
}

static void
learn_address(struct listener *l, const char *text, int fd)
{
	union address bound;
	socklen_t len = sizeof(bound);

	if (strncmp(text, "unix:", 5) == 0) {
		l->path = xstrdup(text + 5);
		l->address = xstrdup(text);
		return;
	}
	memset(&bound, 0, sizeof(bound));
	getsockname(fd, &bound.sa, &len);
	l->port = ntohs(bound.sa.sa_family == AF_INET ? bound.v4.sin_port : bound.v6.sin6_port);
	l->address = xasprintf("%.*s:%u", (int)(strrchr(text, ':') - text), text, l->port);
}

struct listener *
listener_new(struct loop *loop, const struct listener_conf *conf, struct err *err)
{
	struct listener *l;
	int fd = open_socket(conf->address, err);

	if (fd < 0)
		return NULL;
	signal(SIGPIPE, SIG_IGN);
	l = xcalloc(1, sizeof(*l));
	l->loop = loop;
	l->connections_max = conf->connections_max != 0
				 ? conf->connections_max
				 : default_connections_max(conf->listeners != 0 ? conf->listeners : 1);
	l->spare = open_spare();
	l->pause = timer_new(loop, on_pause_over, l);
	learn_address(l, conf->address, fd);
	init_gates(l, &conf->gate);
	start_evhtp(l, fd);
	return l;
}

static void
stop_accepting(struct listener *l)
{
	evhtp_unbind_socket(l->evhtp);
	timer_stop(l->pause);
	if (l->path != NULL)
		unlink(l->path);
	free(l->path);
	l->path = NULL;
}

void
listener_drain(struct listener *listener)
{
	stop_accepting(listener);
	gate_drain_all(&listener->gates);
}

void
listener_free(struct listener **listener)
{
	struct listener *l = *listener;

	if (l == NULL)
		return;
	*listener = NULL;
	stop_accepting(l);
	gate_end_all(&l->gates);
	evhtp_free(l->evhtp);
	evbuffer_free(l->gates.scratch);
	timer_free(&l->pause);
	if (l->spare >= 0)
		close(l->spare);
	free(l->address);
	free(l);
}

const char *
listener_address(const struct listener *listener)
{
	return listener->address;
}

unsigned
listener_port(const struct listener *listener)
{
	return listener->port;
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
