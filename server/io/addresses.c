#include "server/io/addresses.h"

#include <arpa/inet.h>
#include <assert.h>
#include <event2/event.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/mem.h"
#include "server/core/log.h"
#include "server/core/loop.h"

struct addresses {
	int fd;
	struct event *event;
	addresses_fn *fn;
	void *arg;
};

static void
tell(const struct addresses *a, const struct sockaddr *address)
{
	char text[INET_ADDRSTRLEN];
	struct sockaddr_in in;

	if (address == NULL || address->sa_family != AF_INET)
		return;
	memcpy(&in, address, sizeof(in));
	if (ntohl(in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET)
		return;
	a->fn(a->arg, inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text)));
}

static void
tell_all(const struct addresses *a)
{
	struct ifaddrs *all;

	if (getifaddrs(&all) != 0) {
		log_warn("the machine's addresses cannot be read");
		return;
	}
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next)
		tell(a, i->ifa_addr);
	freeifaddrs(all);
}

/* What the messages say is read afresh: some of them may have been lost. */
static void
on_change(evutil_socket_t fd, short what, void *arg)
{
	char messages[8192];

	(void)what;
	while (recv(fd, messages, sizeof(messages), MSG_DONTWAIT) > 0)
		;
	tell_all(arg);
}

static int
open_netlink(void)
{
	struct sockaddr_nl local = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&local, sizeof(local)) == 0)
		return fd;
	log_warn("the machine's new addresses will not be noticed: no netlink");
	if (fd >= 0)
		close(fd);
	return -1;
}

struct addresses *
addresses_watch(struct loop *loop, addresses_fn *fn, void *arg)
{
	struct addresses *a = xcalloc(1, sizeof(*a));

	*a = (struct addresses){ .fd = open_netlink(), .fn = fn, .arg = arg };
	if (a->fd >= 0) {
		a->event = event_new(loop_base(loop), a->fd, EV_READ | EV_PERSIST, on_change, a);
		assert(a->event != NULL);
		event_add(a->event, NULL);
	}
	tell_all(a);
	return a;
}

void
addresses_unwatch(struct addresses **addresses)
{
	struct addresses *a = *addresses;

	if (a == NULL)
		return;
	*addresses = NULL;
	if (a->event != NULL)
		event_free(a->event);
	if (a->fd >= 0)
		close(a->fd);
	free(a);
}
