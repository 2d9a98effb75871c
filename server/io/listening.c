#include "server/io/listening.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/mem.h"
#include "proto/str.h"
#include "server/core/inherited.h"

#define BACKLOG 1024 /* who comes while one davitd hands over to the next waits here */
#define NAME "listen"

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

/* --- one that is there already --- */

static bool
unix_fits(const struct sockaddr_un *bound, socklen_t len, const struct sockaddr_un *wanted)
{
	size_t path_len = strlen(wanted->sun_path), from = offsetof(struct sockaddr_un, sun_path);

	return len >= from + path_len && memcmp(bound->sun_path, wanted->sun_path, path_len) == 0 &&
	       (len == from + path_len || bound->sun_path[path_len] == '\0');
}

static bool
port_fits(in_port_t bound, in_port_t wanted)
{
	return wanted == 0 || bound == wanted;
}

/* Whether the socket is bound to the address that is wanted. */
static bool
address_fits(int fd, const void *arg)
{
	const union address *wanted = arg;
	union address bound;
	socklen_t len = sizeof(bound);

	memset(&bound, 0, sizeof(bound));
	if (getsockname(fd, &bound.sa, &len) != 0 || bound.sa.sa_family != wanted->sa.sa_family)
		return false;
	if (bound.sa.sa_family == AF_UNIX)
		return unix_fits(&bound.un, len, &wanted->un);
	if (bound.sa.sa_family == AF_INET)
		return port_fits(bound.v4.sin_port, wanted->v4.sin_port) &&
		       bound.v4.sin_addr.s_addr == wanted->v4.sin_addr.s_addr;
	return port_fits(bound.v6.sin6_port, wanted->v6.sin6_port) &&
	       memcmp(&bound.v6.sin6_addr, &wanted->v6.sin6_addr, sizeof(wanted->v6.sin6_addr)) == 0;
}

static int
take_socket(struct listening *l, const union address *address, struct inherited *inherited)
{
	int fd;

	if (inherited == NULL)
		return -1;
	fd = inherited_take(inherited, NAME, address_fits, address);
	if (fd >= 0)
		return fd;
	fd = inherited_take(inherited, INHERITED_ACTIVATED, address_fits, address);
	l->is_activated = fd >= 0;
	if (fd >= 0) /* systemd's may block */
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return fd;
}

/* --- life --- */

static int
bind_new(const union address *address, socklen_t len, const char *text, struct err *err)
{
	int fd;

	if (address->sa.sa_family == AF_UNIX && !clear_path(address, len, err))
		return -1;
	fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		*err = err_errno("listen: %s", text);
	if (fd >= 0 && !bind_socket(fd, address, len, text[0] == '*', text, err)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void
learn_address(struct listening *l, const char *text)
{
	union address bound;
	socklen_t len = sizeof(bound);

	if (strncmp(text, "unix:", 5) == 0) {
		l->path = l->is_activated ? NULL : xstrdup(text + 5);
		l->address = xstrdup(text);
		return;
	}
	memset(&bound, 0, sizeof(bound));
	getsockname(l->fd, &bound.sa, &len);
	l->port = ntohs(bound.sa.sa_family == AF_INET ? bound.v4.sin_port : bound.v6.sin6_port);
	l->address = xasprintf("%.*s:%u", (int)(strrchr(text, ':') - text), text, l->port);
}

bool
listening_open(struct listening *ret, const char *text, struct inherited *inherited, struct err *err)
{
	union address address;
	socklen_t len;

	*ret = (struct listening){ .fd = -1 };
	if (!parse_address(text, &address, &len, err))
		return false;
	ret->fd = take_socket(ret, &address, inherited);
	if (ret->fd < 0)
		ret->fd = bind_new(&address, len, text, err);
	if (ret->fd >= 0)
		learn_address(ret, text);
	return ret->fd >= 0;
}

const char *
listening_name(const struct listening *l)
{
	return l->is_activated ? INHERITED_ACTIVATED : NAME;
}

void
listening_leave(struct listening *l)
{
	free(l->path);
	l->path = NULL;
}

void
listening_remove_path(struct listening *l)
{
	if (l->path != NULL)
		unlink(l->path);
	listening_leave(l);
}

void
listening_close(struct listening *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	listening_remove_path(l);
	free(l->address);
	l->address = NULL;
}
