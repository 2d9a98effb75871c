#include "server/core/child.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "server/core/loop.h"

enum {
	READ_MAX = 65536,    /* bytes read from a pipe in one call */
	WRITE_MAX = 1 << 20, /* bytes that wait for a program to read them */
	GRACE_MS = 2000,     /* between TERM and KILL */
	LINGER_MS = 1000,    /* for output pipes held open by others, after the program's end */
};

enum child_state {
	CHILD_RUNNING,
	CHILD_ENDING, /* TERM was sent; the timer brings KILL */
	CHILD_KILLED,
	CHILD_EXITED, /* a zombie: its number stays ours, and so does the group's, until its pipes are read to the end
		       */
};

/* Our end of one of the program's streams. */
struct pipe_end {
	struct child *child;
	int fd; /* -1: none, or done with */
	struct event *event;
	struct child_output output; /* of those that we read */
	struct buf buf;             /* what was collected, or waits to be written */
	bool cut;
};

struct children {
	struct loop *loop;
	LIST_HEAD(, child) list;
	unsigned count;
};

struct child {
	LIST_ENTRY(child) link;
	struct children *children;
	enum child_state state;
	bool cancelled;
	bool timed_out;
	bool stopped;
	bool closing; /* the input ends when what waits is written */
	char *name;
	pid_t pid;
	int pidfd;
	struct event *exit_event;
	struct pipe_end in;
	struct pipe_end out;
	struct pipe_end err;
	int64_t timeout_ms;
	struct timer *timer;
	struct deferred *failed; /* it could not be started */
	struct err start_err;
	child_done_fn *done;
	void (*on_drain)(void *arg);
	void *arg;
};

struct children *
children_new(struct loop *loop)
{
	struct children *children = xcalloc(1, sizeof(*children));

	signal(SIGPIPE, SIG_IGN); /* a program that closed its input is an error of write() */
	children->loop = loop;
	LIST_INIT(&children->list);
	return children;
}

unsigned
children_count(const struct children *children)
{
	return children->count;
}

/* --- starting a process --- */

/* The descriptors that the program gets as its streams (-1: /dev/null), and behind them. */
struct spawn_fds {
	int in;
	int out;
	int err;
	const int *more;
	size_t more_count;
};

static void
add_stream(posix_spawn_file_actions_t *actions, int stream, int fd)
{
	if (fd < 0)
		posix_spawn_file_actions_addopen(actions, stream, "/dev/null", stream == 0 ? O_RDONLY : O_WRONLY, 0);
	else
		posix_spawn_file_actions_adddup2(actions, fd, stream);
}

static void
add_attributes(posix_spawnattr_t *attr, short session)
{
	sigset_t none;
	sigset_t all;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setsigdefault(attr, &all);
	posix_spawnattr_setpgroup(attr, 0);
	posix_spawnattr_setflags(attr, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | session));
}

static bool
spawn(const struct child_spec *spec, struct spawn_fds fds, short session, pid_t *pid, struct err *err)
{
	static char *const no_env[] = { NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int error;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	add_attributes(&attr, session);
	add_stream(&actions, STDIN_FILENO, fds.in);
	add_stream(&actions, STDOUT_FILENO, fds.out);
	add_stream(&actions, STDERR_FILENO, fds.err);
	for (size_t i = 0; i < fds.more_count; i++)
		posix_spawn_file_actions_adddup2(&actions, fds.more[i], STDERR_FILENO + 1 + (int)i);
	posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1 + (int)fds.more_count);
	if (spec->dir != NULL)
		posix_spawn_file_actions_addchdir_np(&actions, spec->dir);
	error = posix_spawnp(pid, spec->program != NULL ? spec->program : spec->argv[0], &actions, &attr,
	    (char *const *)spec->argv, spec->env == NULL ? no_env : (char *const *)spec->env);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	if (error == 0)
		return true;
	return err_set(err, ERR_IO, error, "%s cannot be started: %s", spec->argv[0], strerror(error));
}

/* A descriptor above the three streams, so that placing one stream cannot overwrite the source of another. */
static int
fd_above_streams(int fd)
{
	int moved;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	close(fd);
	return moved;
}

static bool
open_pipe(int *reader, int *writer)
{
	int fds[2];

	*reader = *writer = -1;
	if (pipe2(fds, O_CLOEXEC) != 0)
		return false;
	*reader = fd_above_streams(fds[0]);
	*writer = fd_above_streams(fds[1]);
	return *reader >= 0 && *writer >= 0;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void
set_nonblocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* --- the end --- */

static void
pipe_close(struct pipe_end *end)
{
	if (end->event != NULL)
		event_free(end->event);
	end->event = NULL;
	close_fd(&end->fd);
}

static void
child_free(struct child *child)
{
	timer_free(&child->timer);
	deferred_cancel(&child->failed);
	if (child->exit_event != NULL)
		event_free(child->exit_event);
	close_fd(&child->pidfd);
	pipe_close(&child->in);
	pipe_close(&child->out);
	pipe_close(&child->err);
	buf_fini(&child->in.buf);
	buf_fini(&child->out.buf);
	buf_fini(&child->err.buf);
	LIST_REMOVE(child, link);
	child->children->count--;
	free(child->name);
	free(child);
}

static struct err
child_error(const struct child *child, const struct child_result *result)
{
	if (child->pid < 0)
		return child->start_err;
	if (child->stopped)
		return err_make(ERR_CANCELLED, 0, "%s was ended", child->name);
	if (child->timed_out)
		return err_make(ERR_TIMEOUT, 0, "%s took longer than %lld s and was ended", child->name,
		    (long long)((child->timeout_ms + 999) / 1000));
	if (result->signal != 0)
		return err_make(ERR_REFUSED, 128 + result->signal, "%s was ended by signal %d (%s)", child->name,
		    result->signal, strsignal(result->signal));
	if (result->exit_code != 0)
		return err_make(
		    ERR_REFUSED, result->exit_code, "%s ended with exit code %d", child->name, result->exit_code);
	return ERR_OK;
}

/* The collected bytes move into the callback's hands, so that the child is gone when it runs. */
static void
child_end(struct child *child, struct child_result result)
{
	struct err err = child_error(child, &result);
	child_done_fn *done = child->done;
	void *arg = child->arg;
	bool cancelled = child->cancelled;
	size_t out_len;
	size_t err_len;
	char *out = buf_take(&child->out.buf, &out_len);
	char *errors = buf_take(&child->err.buf, &err_len);

	result.out = (struct str){ out, out_len };
	result.err = (struct str){ errors, err_len };
	result.out_cut = child->out.cut;
	result.err_cut = child->err.cut;
	child_free(child);
	if (!cancelled)
		done(arg, &result, err.code == ERR_NONE ? NULL : &err);
	free(out);
	free(errors);
}

static void
child_reap(struct child *child)
{
	struct child_result result = { .exit_code = -1 };
	siginfo_t status = { 0 };

	kill(-child->pid, SIGKILL); /* whoever is left of the group; the zombie keeps its number from being used anew */
	waitid(P_PID, (id_t)child->pid, &status, WEXITED);
	if (status.si_code == CLD_EXITED)
		result.exit_code = status.si_status;
	else
		result.signal = status.si_status;
	child_end(child, result);
}

/* The join of what done waits for: the end of the process and of its output. */
static void
child_arrived(struct child *child)
{
	if (child->state == CHILD_EXITED && child->out.fd < 0 && child->err.fd < 0)
		child_reap(child);
}

static void
child_kill(struct child *child, enum child_state state, int signo)
{
	child->state = state;
	kill(-child->pid, signo);
	timer_start(child->timer, GRACE_MS);
}

static void
on_timer(void *arg)
{
	struct child *child = arg;

	switch (child->state) {
	case CHILD_RUNNING:
		child->timed_out = true;
		child_kill(child, CHILD_ENDING, SIGTERM);
		break;
	case CHILD_ENDING:
	case CHILD_KILLED:
		child_kill(child, CHILD_KILLED, SIGKILL);
		break;
	case CHILD_EXITED:
		pipe_close(&child->out);
		pipe_close(&child->err);
		child_reap(child);
		break;
	}
}

static void
on_exited(evutil_socket_t fd, short what, void *arg)
{
	struct child *child = arg;
	struct loop *loop = child->children->loop;

	(void)fd;
	(void)what;
	loop_enter(loop, "end of", child->name);
	event_free(child->exit_event);
	child->exit_event = NULL;
	child->state = CHILD_EXITED;
	pipe_close(&child->in);
	timer_start(child->timer, LINGER_MS);
	child_arrived(child);
	loop_leave(loop);
}

static void
on_start_failed(void *arg)
{
	struct child *child = arg;

	child->failed = NULL;
	child_end(child, (struct child_result){ .exit_code = -1 });
}

/* --- streams --- */

static void
pipe_deliver(struct pipe_end *end, struct str bytes)
{
	size_t room = end->buf.max - end->buf.len;

	if (end->output.kind == CHILD_OUT_STREAM) {
		end->output.fn(end->child->arg, bytes); /* may cancel the child, which stays until it is reaped */
		return;
	}
	if (bytes.len > room) {
		end->cut = true;
		bytes.len = room;
	}
	buf_addstr(&end->buf, bytes);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct pipe_end *end = arg;
	struct loop *loop = end->child->children->loop;
	char bytes[READ_MAX];
	ssize_t got = read(fd, bytes, sizeof(bytes));

	(void)what;
	loop_enter(loop, "output of", end->child->name);
	if (got > 0)
		pipe_deliver(end, (struct str){ bytes, (size_t)got });
	else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		pipe_close(end);
		child_arrived(end->child);
	}
	loop_leave(loop);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct pipe_end *end = arg;
	ssize_t put = 0;

	(void)what;
	if (end->buf.len > 0)
		put = write(fd, end->buf.data, end->buf.len < READ_MAX ? end->buf.len : READ_MAX);
	if (put < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (put < 0) { /* the program reads no more; its exit code will say whether that was right */
		pipe_close(end);
		return;
	}
	buf_shift(&end->buf, (size_t)put);
	if (end->buf.len > 0)
		return;
	event_del(end->event);
	if (end->child->closing)
		pipe_close(end);
	else if (end->child->on_drain != NULL)
		end->child->on_drain(end->child->arg);
}

bool
child_write(struct child *child, struct str bytes)
{
	if (child->in.fd < 0 || child->closing || bytes.len > child->in.buf.max - child->in.buf.len)
		return false;
	buf_addstr(&child->in.buf, bytes);
	if (child->in.buf.len > 0)
		event_add(child->in.event, NULL);
	return true;
}

void
child_close_input(struct child *child)
{
	child->closing = true;
	if (child->in.fd >= 0 && child->in.buf.len == 0)
		pipe_close(&child->in);
}

/* --- start and cancel --- */

static bool
is_read_by_us(const struct child_output *output)
{
	return output->kind == CHILD_OUT_COLLECT || output->kind == CHILD_OUT_STREAM;
}

/* The descriptor for the program: a new pipe's, of which end->fd is ours, or the one that it was given. */
static bool
open_output(struct pipe_end *end, int inherited, int *theirs)
{
	*theirs = -1;
	if (is_read_by_us(&end->output))
		return open_pipe(&end->fd, theirs);
	if (end->output.kind == CHILD_OUT_INHERIT)
		*theirs = fcntl(inherited, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (end->output.kind == CHILD_OUT_FD)
		*theirs = fcntl(end->output.fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return end->output.kind == CHILD_OUT_NULL || *theirs >= 0;
}

static bool
open_input(struct pipe_end *end, const struct child_spec *spec, int *theirs)
{
	*theirs = -1;
	if (spec->in == CHILD_IN_BYTES || spec->in == CHILD_IN_PIPE)
		return open_pipe(theirs, &end->fd);
	if (spec->in == CHILD_IN_FD)
		*theirs = fcntl(spec->in_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return spec->in == CHILD_IN_NULL || *theirs >= 0;
}

static bool
open_streams(struct child *child, const struct child_spec *spec, struct spawn_fds *fds, struct err *err)
{
	*fds = (struct spawn_fds){ .in = -1, .out = -1, .err = -1 };
	if (open_input(&child->in, spec, &fds->in) && open_output(&child->out, STDOUT_FILENO, &fds->out) &&
	    open_output(&child->err, STDERR_FILENO, &fds->err))
		return true;
	*err = err_errno("%s cannot be started: its streams", spec->argv[0]);
	return false;
}

static struct event *
watch(struct child *child, int fd, short what, event_callback_fn fn, void *arg)
{
	struct event *event = event_new(loop_base(child->children->loop), fd, (short)(what | EV_PERSIST), fn, arg);

	assert(event != NULL);
	if (what == EV_READ)
		event_add(event, NULL);
	return event;
}

static void
watch_all(struct child *child)
{
	child->exit_event = watch(child, child->pidfd, EV_READ, on_exited, child);
	if (child->out.fd >= 0) {
		set_nonblocking(child->out.fd);
		child->out.event = watch(child, child->out.fd, EV_READ, on_readable, &child->out);
	}
	if (child->err.fd >= 0) {
		set_nonblocking(child->err.fd);
		child->err.event = watch(child, child->err.fd, EV_READ, on_readable, &child->err);
	}
	if (child->in.fd >= 0) {
		set_nonblocking(child->in.fd);
		child->in.event = watch(child, child->in.fd, EV_WRITE, on_writable, &child->in);
	}
}

static bool
launch(struct child *child, const struct child_spec *spec, struct err *err)
{
	struct spawn_fds fds = { 0 };
	bool ok = open_streams(child, spec, &fds, err) && spawn(spec, fds, POSIX_SPAWN_SETPGROUP, &child->pid, err);

	close_fd(&fds.in);
	close_fd(&fds.out);
	close_fd(&fds.err);
	if (!ok) {
		child->pid = -1;
		return false;
	}
	child->pidfd = pidfd_open(child->pid, 0);
	if (child->pidfd >= 0)
		return true;
	*err = err_errno("%s cannot be watched: pidfd_open", spec->argv[0]);
	kill(-child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	child->pid = -1;
	return false;
}

static void
pipe_init(struct pipe_end *end, struct child *child, const struct child_output *output, size_t max)
{
	*end = (struct pipe_end){ .child = child, .fd = -1 };
	if (output != NULL)
		end->output = *output;
	buf_init(&end->buf, max > 0 ? max : 1);
}

static struct child *
child_new(struct children *children, const struct child_spec *spec)
{
	struct child *child = xcalloc(1, sizeof(*child));

	child->children = children;
	child->pid = child->pidfd = -1;
	child->name = xstrdup(spec->argv[0]);
	child->timeout_ms = spec->timeout_ms;
	child->timer = timer_new(children->loop, on_timer, child);
	pipe_init(&child->in, child, NULL, spec->in == CHILD_IN_BYTES ? spec->input.len : WRITE_MAX);
	pipe_init(&child->out, child, &spec->out, spec->out.max);
	pipe_init(&child->err, child, &spec->err, spec->err.max);
	LIST_INSERT_HEAD(&children->list, child, link);
	children->count++;
	return child;
}

struct child *
child_start(struct children *children, const struct child_spec *spec, child_done_fn *done, void *arg)
{
	struct child *child = child_new(children, spec);

	child->done = done;
	child->on_drain = spec->on_drain;
	child->arg = arg;
	if (!launch(child, spec, &child->start_err)) {
		child->failed = deferred_call(children->loop, on_start_failed, child);
		return child;
	}
	watch_all(child);
	if (spec->timeout_ms > 0)
		timer_start(child->timer, spec->timeout_ms);
	if (spec->in == CHILD_IN_BYTES) {
		child_write(child, spec->input);
		child_close_input(child);
	}
	return child;
}

void
child_cancel(struct child **child)
{
	struct child *c = *child;

	*child = NULL;
	if (c == NULL)
		return;
	if (c->pid < 0) {
		child_free(c);
		return;
	}
	c->cancelled = true;
	pipe_close(&c->in);
	pipe_close(&c->out);
	pipe_close(&c->err);
	if (c->state == CHILD_RUNNING)
		child_kill(c, CHILD_ENDING, SIGTERM);
	else if (c->state == CHILD_EXITED)
		timer_start(c->timer, 0); /* reaped by the loop: the caller may be in on_readable */
}

void
child_stop(struct child *child)
{
	child->stopped = true;
	if (child->state == CHILD_RUNNING && child->pid >= 0)
		child_kill(child, CHILD_ENDING, SIGTERM);
}

void
children_free(struct children **children)
{
	struct children *all = *children;

	if (all == NULL)
		return;
	*children = NULL;
	while (!LIST_EMPTY(&all->list)) {
		struct child *child = LIST_FIRST(&all->list);

		assert(child->cancelled);
		child_reap(child);
	}
	free(all);
}

pid_t
child_pid(const struct child *child)
{
	return child->pid;
}

/* Copies that stand above where the program is to have them, so that placing one cannot overwrite the next. */
static bool
copy_fds(const struct child_spec *spec, int *copies)
{
	bool ok = true;

	for (size_t i = 0; i < spec->fd_count; i++) {
		copies[i] = fcntl(spec->fds[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1 + (int)spec->fd_count);
		ok = ok && copies[i] >= 0;
	}
	return ok;
}

bool
child_detach(const struct child_spec *spec, pid_t *pid, struct err *err)
{
	struct child_output out = spec->out;
	struct child_output errors = spec->err;
	struct pipe_end ends[3] = { { .fd = -1 }, { .fd = -1, .output = out }, { .fd = -1, .output = errors } };
	int *copies = xcalloc(spec->fd_count + 1, sizeof(*copies));
	struct spawn_fds fds = { -1, -1, -1, copies, spec->fd_count };
	bool ok;

	assert(spec->in == CHILD_IN_NULL || spec->in == CHILD_IN_FD);
	assert(!is_read_by_us(&out) && !is_read_by_us(&errors));
	ok = copy_fds(spec, copies) && open_input(&ends[0], spec, &fds.in) &&
	     open_output(&ends[1], STDOUT_FILENO, &fds.out) && open_output(&ends[2], STDERR_FILENO, &fds.err);
	if (!ok)
		*err = err_errno("%s cannot be started: its descriptors", spec->argv[0]);
	else
		ok = spawn(spec, fds, POSIX_SPAWN_SETSID, pid, err);
	close_fd(&fds.in);
	close_fd(&fds.out);
	close_fd(&fds.err);
	for (size_t i = 0; i < spec->fd_count; i++)
		close_fd(&copies[i]);
	free(copies);
	return ok;
}
