#include "server/core/inherited.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/mem.h"
#include "proto/str.h"
#include "server/core/log.h"

#define FIRST_FD (STDERR_FILENO + 1)

struct item {
	const char *name;
	int fd; /* -1: taken */
};

struct inherited {
	struct item items[INHERITED_MAX];
	size_t count;
};

/* Words that name nothing open are passed over: the environment is not always what it seems. */
static void
add(struct inherited *in, const char *name, int fd)
{
	if (in->count < INHERITED_MAX && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
		in->items[in->count++] = (struct item){ name, fd };
}

/* systemd's words count only when they are meant for this process. */
static void
add_activated(struct inherited *in)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t meant, count;

	if (pid == NULL || fds == NULL || !str_to_u64(str_of(pid), INT32_MAX, &meant) || (pid_t)meant != getpid() ||
	    !str_to_u64(str_of(fds), INHERITED_MAX, &count))
		return;
	for (uint64_t i = 0; i < count; i++)
		add(in, INHERITED_ACTIVATED, FIRST_FD + (int)i);
}

struct inherited *
inherited_new(void)
{
	struct inherited *in = xcalloc(1, sizeof(*in));

	add_activated(in);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return in;
}

void
inherited_free(struct inherited **inherited)
{
	struct inherited *in = *inherited;

	if (in == NULL)
		return;
	*inherited = NULL;
	for (size_t i = 0; i < in->count; i++) {
		if (in->items[i].fd < 0)
			continue;
		log_warn("descriptor %d (%s) was handed to us, and no option asks for it: closed", in->items[i].fd,
		    in->items[i].name);
		close(in->items[i].fd);
	}
	free(in);
}

int
inherited_take(struct inherited *in, const char *name, inherited_fits_fn *fits, const void *arg)
{
	for (size_t i = 0; i < in->count; i++) {
		struct item *item = &in->items[i];
		int fd = item->fd;

		if (fd >= 0 && strcmp(item->name, name) == 0 && (fits == NULL || fits(fd, arg))) {
			item->fd = -1;
			return fd;
		}
	}
	return -1;
}
