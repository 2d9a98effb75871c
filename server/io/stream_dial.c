#include "server/io/stream_dial.h"

#include <assert.h>
#include <errno.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/address.h"
#include "proto/mem.h"

#define ADDRESSES_MAX 16

struct address {
	struct sockaddr_storage storage;
	socklen_t len;
};

/* What evdns holds: it calls back after a cancellation, too, when the dial is long gone. */
struct lookup {
	struct dial *dial; /* NULL once cancelled */
};

struct dial {
	struct loop *loop;
	dial_fn *fn;
	void *arg;
	char *path;
	char *host;
	unsigned port;
	bool public_only;
	unsigned refused; /* addresses that are not public */
	int64_t deadline; /* loop_mono_ms */
	struct timer *timer;
	struct deferred *begin;
	struct lookup *lookup;
	struct evdns_getaddrinfo_request *request; /* of the lookup */
	struct address addresses[ADDRESSES_MAX];
	unsigned count;
	unsigned next; /* the address to try next */
	int fd;        /* being connected */
	struct event *writable;
	struct err err; /* of the last address */
};

static void try_next(struct dial *d);

static void
close_socket(struct dial *d)
{
	if (d->writable != NULL)
		event_free(d->writable);
	d->writable = NULL;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

void
dial_cancel(struct dial **dial)
{
	struct dial *d = *dial;

	if (d == NULL)
		return;
	*dial = NULL;
	deferred_cancel(&d->begin);
	if (d->lookup != NULL)
		d->lookup->dial = NULL;
	if (d->request != NULL)
		evdns_getaddrinfo_cancel(d->request);
	close_socket(d);
	timer_free(&d->timer);
	free(d->path);
	free(d->host);
	free(d);
}

/* The only end but cancellation. */
static void
finish(struct dial *d, int fd, const struct err *err)
{
	struct err copy = err != NULL ? *err : ERR_OK;
	dial_fn *fn = d->fn;
	void *arg = d->arg;

	dial_cancel(&d);
	fn(arg, fd, err != NULL ? &copy : NULL);
}

static void
fail(struct dial *d, struct err err)
{
	finish(d, -1, &err);
}

static void
connected(struct dial *d)
{
	int fd = d->fd;

	d->fd = -1;
	finish(d, fd, NULL);
}

static void
address_failed(struct dial *d, int error)
{
	errno = error;
	d->err = err_errno("cannot connect");
	close_socket(d);
	try_next(d);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct dial *d = arg;
	socklen_t len = sizeof(int);
	int error = 0;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error == 0)
		connected(d);
	else
		address_failed(d, error);
}

static void
try_address(struct dial *d, const struct address *address)
{
	const struct sockaddr *sa = (const struct sockaddr *)&address->storage;

	d->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0) {
		address_failed(d, errno);
	} else if (connect(d->fd, sa, address->len) == 0) {
		connected(d);
	} else if (errno != EINPROGRESS) {
		address_failed(d, errno);
	} else {
		d->writable = event_new(loop_base(d->loop), d->fd, EV_WRITE, on_writable, d);
		assert(d->writable != NULL);
		event_add(d->writable, NULL);
	}
}

static void
try_next(struct dial *d)
{
	int64_t left = d->deadline - loop_mono_ms();

	if (d->next == d->count) {
		fail(d, d->err);
	} else if (left <= 0) {
		fail(d, err_make(ERR_TIMEOUT, 0, "cannot connect in time"));
	} else {
		timer_start(d->timer, left / (d->count - d->next));
		try_address(d, &d->addresses[d->next++]);
	}
}

static void
on_timer(void *arg)
{
	struct dial *d = arg;

	if (d->lookup != NULL) {
		fail(d, err_make(ERR_TIMEOUT, 0, "the name server does not answer"));
		return;
	}
	d->err = err_make(ERR_TIMEOUT, 0, "cannot connect in time");
	close_socket(d);
	try_next(d);
}

static bool
is_public(const struct sockaddr *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (address->sa_family == AF_INET) {
		memcpy(&v4, address, sizeof(v4));
		return address_v4_is_public((const unsigned char *)&v4.sin_addr);
	}
	if (address->sa_family != AF_INET6)
		return false;
	memcpy(&v6, address, sizeof(v6));
	return address_v6_is_public(v6.sin6_addr.s6_addr);
}

static void
add_addresses(struct dial *d, const struct evutil_addrinfo *list)
{
	for (; list != NULL && d->count < ADDRESSES_MAX; list = list->ai_next) {
		struct address *address = &d->addresses[d->count];

		if (list->ai_addrlen > sizeof(address->storage))
			continue;
		if (d->public_only && !is_public(list->ai_addr)) {
			d->refused++;
			continue;
		}
		memcpy(&address->storage, list->ai_addr, list->ai_addrlen);
		address->len = (socklen_t)list->ai_addrlen;
		d->count++;
	}
}

static void
on_lookup(int result, struct evutil_addrinfo *list, void *arg)
{
	struct lookup *lookup = arg;
	struct dial *d = lookup->dial;

	free(lookup);
	if (d != NULL) {
		d->lookup = NULL;
		d->request = NULL;
		add_addresses(d, list);
	}
	if (list != NULL)
		evutil_freeaddrinfo(list);
	if (d == NULL)
		return;
	if (d->count == 0 && d->refused > 0)
		fail(d,
		    err_make(ERR_REFUSED, 0, "its address is of a private or special network, which is not allowed"));
	else if (d->count == 0)
		fail(d, err_make(ERR_IO, result, "cannot find the host's address: %s", evutil_gai_strerror(result)));
	else
		try_next(d);
}

static void
look_up(struct dial *d)
{
	struct evutil_addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP
	};
	struct evdns_getaddrinfo_request *request;
	char port[8];

	snprintf(port, sizeof(port), "%u", d->port);
	d->lookup = xcalloc(1, sizeof(*d->lookup));
	d->lookup->dial = d;
	request = evdns_getaddrinfo(loop_dns(d->loop), d->host, port, &hints, on_lookup, d->lookup);
	if (request != NULL) /* otherwise it has called back already, and d may be gone */
		d->request = request;
}

static bool
add_unix(struct dial *d)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(d->path) >= sizeof(sa.sun_path))
		return false;
	memcpy(sa.sun_path, d->path, strlen(d->path) + 1);
	memcpy(&d->addresses[0].storage, &sa, sizeof(sa));
	d->addresses[0].len = sizeof(sa);
	d->count = 1;
	return true;
}

static void
on_begin(void *arg)
{
	struct dial *d = arg;

	d->begin = NULL;
	if (d->path == NULL)
		look_up(d);
	else if (add_unix(d))
		try_next(d);
	else
		fail(d, err_make(ERR_INPUT, 0, "the socket's path is longer than the system allows"));
}

struct dial *
dial_start(struct loop *loop, const struct stream_target *target, dial_fn *fn, void *arg)
{
	struct dial *d = xcalloc(1, sizeof(*d));

	assert(target->timeout_ms > 0);
	*d = (struct dial){
		.loop = loop,
		.fn = fn,
		.arg = arg,
		.path = xstrdup_null(target->path),
		.host = xstrdup(target->host != NULL ? target->host : "localhost"),
		.port = target->port,
		.public_only = target->public_only,
		.deadline = loop_mono_ms() + target->timeout_ms,
		.fd = -1,
	};
	d->timer = timer_new(loop, on_timer, d);
	timer_start(d->timer, target->timeout_ms);
	d->begin = deferred_call(loop, on_begin, d);
	return d;
}
