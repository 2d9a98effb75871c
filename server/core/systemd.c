#include "server/core/systemd.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/err.h"
#include "server/core/log.h"

static void
send_to(const char *path, const char *text, size_t len)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t path_len = strlen(path);
	int fd;

	if (path_len >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, path_len);
	if (path[0] == '@') /* a name without a file */
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || sendto(fd, text, len, MSG_NOSIGNAL, (const struct sockaddr *)&address,
			  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_len)) != (ssize_t)len)
		log_warn("%s", err_errno("systemd was not told \"%s\"", text).text);
	if (fd >= 0)
		close(fd);
}

void
systemd_notify(const char *format, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	char text[256];
	va_list args;
	int len;

	if (path == NULL)
		return;
	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len > 0 && (size_t)len < sizeof(text))
		send_to(path, text, (size_t)len);
}
