#include "server/handover.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "server/core/child.h"
#include "server/core/inherited.h"
#include "server/core/log.h"
#include "server/core/loop.h"

extern char **environ;

#define READY_MS 30000 /* a Redis that reads a large file at its start is not waited for */
#define NAMES_MAX 4096

enum handover_state {
	HANDOVER_START, /* from the loop */
	HANDOVER_WAIT,  /* for its word */
	HANDOVER_END,   /* it is not wanted, and killed: for its end */
	HANDOVER_DONE,  /* it is ready */
	HANDOVER_GONE,  /* the place is its */
};

struct handover {
	struct loop *loop;
	enum handover_state state;
	struct timer *timer;
	int64_t timeout_ms;
	pid_t pid;
	int pidfd;
	int line; /* our end of the socket */
	struct event *on_word, *on_exit;
	struct err err; /* why it fails */
	handover_fn *fn;
	void *arg;
};

static void
unwatch(struct event **event)
{
	if (*event != NULL)
		event_free(*event);
	*event = NULL;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void
kill_process(struct handover *h)
{
	if (h->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, h->pidfd, SIGKILL, NULL, 0);
}

void
handover_free(struct handover **handover)
{
	struct handover *h = *handover;

	if (h == NULL)
		return;
	*handover = NULL;
	if (h->state != HANDOVER_GONE)
		kill_process(h); /* only at our own end: who comes after us reaps it */
	unwatch(&h->on_word);
	unwatch(&h->on_exit);
	close_fd(&h->line);
	close_fd(&h->pidfd);
	timer_free(&h->timer);
	free(h);
}

/* The only way off the happy path. */
static void
handover_fail(struct handover *h)
{
	handover_fn *fn = h->fn;
	void *arg = h->arg;
	struct err err = h->err;

	handover_free(&h);
	fn(arg, &err);
}

static void
on_timer(void *arg)
{
	struct handover *h = arg;

	if (h->state == HANDOVER_START) {
		handover_fail(h);
		return;
	}
	h->err = err_make(ERR_TIMEOUT, 0, "the new davitd (pid %ld) was not ready within %lld s", (long)h->pid,
	    (long long)(h->timeout_ms + 999) / 1000);
	h->state = HANDOVER_END;
	unwatch(&h->on_word);
	kill_process(h);
}

static void
on_process_end(evutil_socket_t fd, short what, void *arg)
{
	struct handover *h = arg;
	struct loop *loop = h->loop;
	siginfo_t info = { 0 };

	(void)fd;
	(void)what;
	loop_enter(loop, "end of the new davitd", NULL);
	waitid(P_PIDFD, (id_t)h->pidfd, &info, WEXITED | WNOHANG);
	close_fd(&h->pidfd); /* reaped */
	if (h->state != HANDOVER_END)
		h->err = err_make(ERR_REFUSED, info.si_status, "the new davitd (pid %ld) ended with %s %d",
		    (long)h->pid, info.si_code == CLD_EXITED ? "exit code" : "signal", info.si_status);
	handover_fail(h);
	loop_leave(loop);
}

/* What is not its word is its end, which the process tells better. */
static void
on_line(evutil_socket_t fd, short what, void *arg)
{
	struct handover *h = arg;
	struct loop *loop = h->loop;
	char text[sizeof(HANDOVER_READY)];
	ssize_t len = read(fd, text, sizeof(text));

	(void)what;
	loop_enter(loop, "word of the new davitd", NULL);
	unwatch(&h->on_word);
	if (len == (ssize_t)strlen(HANDOVER_READY) && memcmp(text, HANDOVER_READY, (size_t)len) == 0) {
		timer_stop(h->timer);
		unwatch(&h->on_exit);
		h->state = HANDOVER_DONE;
		h->fn(h->arg, NULL);
	}
	loop_leave(loop);
}

static void
watch(struct handover *h, struct event **event, int fd, event_callback_fn fn)
{
	*event = event_new(loop_base(h->loop), fd, EV_READ, fn, h);
	assert(*event != NULL);
	event_add(*event, NULL);
}

/* Ours, with one word more. */
static const char **
make_env(const char *word)
{
	size_t count = 0, kept = 0;
	const char **env;

	while (environ[count] != NULL)
		count++;
	env = xcalloc(count + 2, sizeof(*env));
	for (size_t i = 0; i < count; i++)
		if (strncmp(environ[i], INHERITED_VARIABLE "=", sizeof(INHERITED_VARIABLE)) != 0)
			env[kept++] = environ[i];
	env[kept] = word;
	return env;
}

static bool
launch(struct handover *h, const struct handover_conf *conf, const struct handover_fd *fds, size_t count, int line)
{
	int list[INHERITED_MAX];
	struct child_spec spec = { .program = conf->program,
		.argv = conf->argv,
		.out.kind = CHILD_OUT_INHERIT,
		.err.kind = CHILD_OUT_INHERIT,
		.fds = list,
		.fd_count = count + 1 };
	struct buf word;
	bool ok;

	assert(count < INHERITED_MAX);
	buf_init(&word, NAMES_MAX);
	buf_adds(&word, INHERITED_VARIABLE "=" HANDOVER_LINE);
	list[0] = line;
	for (size_t i = 0; i < count; i++) {
		buf_addf(&word, ":%s", fds[i].name);
		list[i + 1] = fds[i].fd;
	}
	assert(!buf_failed(&word)); /* NUL-terminated */
	spec.env = make_env(word.data);
	ok = child_detach(&spec, &h->pid, &h->err);
	free((void *)spec.env);
	buf_fini(&word);
	return ok;
}

static bool
start(struct handover *h, const struct handover_conf *conf, const struct handover_fd *fds, size_t count)
{
	int pair[2];
	bool ok;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		h->err = err_errno("a line to the new davitd");
		return false;
	}
	h->line = pair[0];
	ok = launch(h, conf, fds, count, pair[1]);
	close(pair[1]);
	if (!ok)
		return false;
	h->pidfd = (int)syscall(SYS_pidfd_open, h->pid, 0); /* close-on-exec by itself */
	assert(h->pidfd >= 0);                              /* our child, and not reaped */
	return true;
}

struct handover *
handover_start(struct loop *loop, const struct handover_conf *conf, const struct handover_fd *fds, size_t count,
    handover_fn *fn, void *arg)
{
	struct handover *h = xcalloc(1, sizeof(*h));

	*h = (struct handover){ .loop = loop, .pidfd = -1, .line = -1, .fn = fn, .arg = arg };
	h->timeout_ms = conf->timeout_ms != 0 ? conf->timeout_ms : READY_MS;
	h->timer = timer_new(loop, on_timer, h);
	if (!start(h, conf, fds, count)) {
		timer_start(h->timer, 0);
		return h;
	}
	h->state = HANDOVER_WAIT;
	timer_start(h->timer, h->timeout_ms);
	watch(h, &h->on_word, h->line, on_line);
	watch(h, &h->on_exit, h->pidfd, on_process_end);
	return h;
}

pid_t
handover_pid(const struct handover *handover)
{
	return handover->pid;
}

/* A new process that has died meanwhile is nothing that could be undone: who supervises us starts another one. */
void
handover_go(struct handover *h)
{
	assert(h->state == HANDOVER_DONE);
	h->state = HANDOVER_GONE;
	if (send(h->line, HANDOVER_GO, strlen(HANDOVER_GO), MSG_NOSIGNAL) < 0)
		log_error("%s", err_errno("handover: the new davitd (pid %ld) cannot be told", (long)h->pid).text);
}
