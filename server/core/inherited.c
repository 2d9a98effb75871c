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
	char *name;
	int fd; /* -1: taken */
};

struct inherited {
	struct item items[INHERITED_MAX];
	size_t count;
};

/* Words that name nothing open are passed over: the environment is not always what it seems. */
static void
add(struct inherited *in, struct str name, int fd)
{
	if (in->count < INHERITED_MAX && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
		in->items[in->count++] = (struct item){ str_dup(name), fd };
}

static void
add_handed_over(struct inherited *in, const char *names)
{
	struct str rest = str_of(names);

	for (int fd = FIRST_FD; rest.len > 0; fd++)
		add(in, str_cut(&rest, ':'), fd);
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
		add(in, STR(INHERITED_ACTIVATED), FIRST_FD + (int)i);
}

struct inherited *
inherited_new(void)
{
	struct inherited *in = xcalloc(1, sizeof(*in));
	const char *names = getenv(INHERITED_VARIABLE);

	if (names != NULL)
		add_handed_over(in, names);
	else
		add_activated(in);
	unsetenv(INHERITED_VARIABLE);
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
		struct item *item = &in->items[i];

		if (item->fd >= 0) {
			log_warn("descriptor %d (%s) was handed to us, and no option asks for it: closed", item->fd,
			    item->name);
			close(item->fd);
		}
		free(item->name);
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

bool
inherited_has(const struct inherited *in, const char *name)
{
	for (size_t i = 0; i < in->count; i++)
		if (in->items[i].fd >= 0 && strcmp(in->items[i].name, name) == 0)
			return true;
	return false;
}
