#include "server/io/redis_server.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "server/core/child.h"
#include "server/core/crash.h"
#include "server/core/disk.h"
#include "server/core/log.h"

#define CONF_MAX 8192
#define RESTART_FIRST_MS 50
#define RESTART_LAST_MS 5000
#define FIND_MS 50 /* until the running one has written its pid */
#define KILL_MS 10000

enum server_state {
	SERVER_FIND,  /* is one running? */
	SERVER_RUN,   /* pidfd watches it */
	SERVER_PAUSE, /* before it is started again */
	SERVER_STOP,  /* told to end */
	SERVER_GONE,
};

struct redis_server {
	struct loop *loop;
	const struct redis_server_conf *conf;
	struct redis_conf client;
	char *dir; /* without symbolic links, as /proc shows it */
	char *socket;
	enum server_state state;
	int pidfd; /* -1: none */
	struct event *watch;
	struct timer *timer;
	int64_t restart_ms;
	loop_fn *done;
	void *arg;
};

static void enter_find(struct redis_server *s);
static void enter_run(struct redis_server *s);
static void enter_pause(struct redis_server *s);
static void enter_stop(struct redis_server *s);
static void enter_gone(struct redis_server *s);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct redis_server *s);
} states[] = {
	[SERVER_FIND]  = { "find",  enter_find },
	[SERVER_RUN]   = { "run",   enter_run },
	[SERVER_PAUSE] = { "pause", enter_pause },
	[SERVER_STOP]  = { "stop",  enter_stop },
	[SERVER_GONE]  = { "gone",  enter_gone },
};
/* clang-format on */

/* The only place where the state changes. */
static void
server_step(struct redis_server *s, enum server_state next)
{
	log_debug("redis-server: %s -> %s", states[s->state].name, states[next].name);
	timer_stop(s->timer);
	s->state = next;
	states[next].enter(s);
}

/* --- its folder --- */

/* All but what can harm it; an operator's redis-cli sees everything. */
static const char acl[] = "user default on nopass ~davit:* &davit:* +@all -@dangerous +info +config|get +role";

static void
print_conf(const struct redis_server *s, struct buf *b)
{
	buf_adds(b, "# Written by davitd at each start; changes are lost.\n");
	buf_addf(b, "dir \"%s\"\nunixsocket \"%s\"\nunixsocketperm 700\nport 0\n", s->dir, s->socket);
	buf_addf(b, "pidfile \"%s/redis.pid\"\nlogfile \"%s/redis.log\"\n", s->dir, s->dir);
	buf_adds(b, "daemonize no\nsupervised no\ndatabases 1\n");
	buf_adds(b, "appendonly yes\nappendfsync always\nno-appendfsync-on-rewrite no\naof-load-truncated yes\n");
	buf_adds(b, "save \"\"\nmaxmemory-policy noeviction\nenable-debug-command no\n");
	buf_addf(b, "%s\n", acl);
}

static bool
write_conf(const struct redis_server *s, struct err *err)
{
	char *path = xasprintf("%s/redis.conf", s->dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct buf b;
	bool ok;

	buf_init(&b, CONF_MAX);
	print_conf(s, &b);
	ok = fd >= 0 && !buf_failed(&b) && write(fd, b.data, b.len) == (ssize_t)b.len;
	if (!ok)
		*err = err_errno("redis: write %s", path);
	if (fd >= 0)
		close(fd);
	buf_fini(&b);
	free(path);
	return ok;
}

/* Quotes and backslashes have a meaning in redis.conf, and blanks would end a word in it. */
static bool
path_is_plain(const char *path)
{
	return strpbrk(path, "\"\\\n\r") == NULL;
}

static bool
make_dir(struct redis_server *s, struct err *err)
{
	char *path = xasprintf("%s/redis", s->conf->state_dir);
	struct sockaddr_un address;
	bool ok = disk_make_folder(path, 0700, err);

	s->dir = ok ? realpath(path, NULL) : NULL;
	if (ok && s->dir == NULL)
		*err = err_errno("find %s", path);
	free(path);
	if (s->dir == NULL) {
		*err = err_prefix(*err, "redis");
		return false;
	}
	s->socket = xasprintf("%s/redis.sock", s->dir);
	s->client.path = s->socket;
	if (strlen(s->socket) >= sizeof(address.sun_path))
		return err_set(err, ERR_LIMIT, 0,
		    "redis: %s is longer than a unix socket's path may be (107): choose a shorter "
		    "state_dir",
		    s->socket);
	if (!path_is_plain(s->socket))
		return err_set(err, ERR_INPUT, 0, "redis: state_dir must not hold quotes or backslashes");
	return true;
}

/* --- is one running? --- */

/* The process holds the lock as long as it lives; flock(1) handed it over at its start. */
static bool
is_locked(const struct redis_server *s)
{
	char *path = xasprintf("%s/lock", s->dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;

	if (fd >= 0)
		close(fd);
	free(path);
	return locked;
}

/* A pid from a file may be somebody else's by now: it is ours if it works in our folder. */
static bool
is_ours(const struct redis_server *s, pid_t pid)
{
	char link[64], cwd[4096];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/%ld/cwd", (long)pid);
	len = readlink(link, cwd, sizeof(cwd) - 1);
	if (len < 0)
		return false;
	cwd[len] = '\0';
	return strcmp(cwd, s->dir) == 0;
}

static pid_t
read_pid(const struct redis_server *s)
{
	char *path = xasprintf("%s/redis.pid", s->dir);
	FILE *file = fopen(path, "re");
	long pid = 0;

	if (file != NULL) {
		if (fscanf(file, "%ld", &pid) != 1)
			pid = 0;
		fclose(file);
	}
	free(path);
	return (pid_t)pid;
}

static void
unwatch(struct redis_server *s)
{
	if (s->watch != NULL)
		event_free(s->watch);
	s->watch = NULL;
	if (s->pidfd >= 0)
		close(s->pidfd);
	s->pidfd = -1;
}

static void
on_exit_of_child(evutil_socket_t fd, short what, void *arg)
{
	struct redis_server *s = arg;
	siginfo_t info;

	(void)fd;
	(void)what;
	waitid(P_PIDFD, (id_t)s->pidfd, &info, WEXITED | WNOHANG); /* one that was taken over is not ours to reap */
	unwatch(s);
	if (s->state == SERVER_STOP) {
		server_step(s, SERVER_GONE);
		return;
	}
	log_warn("redis-server ended; see %s/redis.log", s->dir);
	if (s->conf->on_end != NULL)
		s->conf->on_end(s->conf->arg);
	server_step(s, SERVER_PAUSE);
}

static bool
watch(struct redis_server *s, pid_t pid)
{
	s->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (s->pidfd < 0)
		return false;
	fcntl(s->pidfd, F_SETFD, FD_CLOEXEC);
	s->watch = event_new(loop_base(s->loop), s->pidfd, EV_READ, on_exit_of_child, s);
	assert(s->watch != NULL);
	event_add(s->watch, NULL);
	return true;
}

static bool
launch(struct redis_server *s, pid_t *pid)
{
	char *lock = xasprintf("%s/lock", s->dir);
	char *conf = xasprintf("%s/redis.conf", s->dir);
	const char *argv[] = { "flock", "--nonblock", "--no-fork", lock, s->conf->binary, conf, NULL };
	const char *env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL };
	struct child_spec spec = { .argv = argv, .env = env, .dir = s->dir };
	struct err err;
	bool ok;

	CRASH_POINT(redis_launching);
	ok = child_detach(&spec, pid, &err);
	CRASH_POINT(redis_launched);
	if (!ok)
		log_error("redis-server: %s", err.text);
	free(conf);
	free(lock);
	return ok;
}

/* The running one, once it has written its pid. */
static bool
adopt(struct redis_server *s)
{
	pid_t pid = read_pid(s);

	return pid > 0 && is_ours(s, pid) && watch(s, pid);
}

static void
enter_find(struct redis_server *s)
{
	pid_t pid;

	if (is_locked(s)) {
		if (adopt(s))
			server_step(s, SERVER_RUN);
		else
			timer_start(s->timer, FIND_MS);
	} else if (launch(s, &pid) && watch(s, pid)) {
		server_step(s, SERVER_RUN);
	} else {
		server_step(s, SERVER_PAUSE);
	}
}

static void
enter_run(struct redis_server *s)
{
	timer_start(s->timer, RESTART_LAST_MS); /* when it lives that long, the next failure is a first one */
}

static void
enter_pause(struct redis_server *s)
{
	timer_start(s->timer, s->restart_ms);
	s->restart_ms = s->restart_ms * 2 < RESTART_LAST_MS ? s->restart_ms * 2 : RESTART_LAST_MS;
}

static void
send_signal(struct redis_server *s, int signo)
{
	if (syscall(SYS_pidfd_send_signal, s->pidfd, signo, NULL, 0) != 0)
		log_warn("%s", err_errno("redis-server: signal %d", signo).text);
}

static void
enter_stop(struct redis_server *s)
{
	if (s->pidfd >= 0 || (is_locked(s) && adopt(s))) {
		send_signal(s, SIGTERM);
		timer_start(s->timer, KILL_MS);
	} else if (is_locked(s)) {
		timer_start(s->timer, FIND_MS);
	} else {
		server_step(s, SERVER_GONE);
	}
}

static void
enter_gone(struct redis_server *s)
{
	s->done(s->arg); /* last: s may be gone */
}

static void
on_timer(void *arg)
{
	struct redis_server *s = arg;

	switch (s->state) {
	case SERVER_FIND:
	case SERVER_PAUSE:
		server_step(s, SERVER_FIND);
		return;
	case SERVER_RUN:
		s->restart_ms = RESTART_FIRST_MS;
		return;
	case SERVER_STOP:
		if (s->pidfd < 0)
			enter_stop(s);
		else
			send_signal(s, SIGKILL);
		return;
	case SERVER_GONE:
		return;
	}
}

struct redis_server *
redis_server_new(struct loop *loop, const struct redis_server_conf *conf, struct err *err)
{
	struct redis_server *s = xcalloc(1, sizeof(*s));

	*s = (struct redis_server){ .loop = loop, .conf = conf, .pidfd = -1, .restart_ms = RESTART_FIRST_MS };
	s->timer = timer_new(loop, on_timer, s);
	if (!make_dir(s, err) || !write_conf(s, err)) {
		redis_server_free(&s);
		return NULL;
	}
	timer_start(s->timer, 0);
	return s;
}

const struct redis_conf *
redis_server_client(const struct redis_server *server)
{
	return &server->client;
}

void
redis_server_stop(struct redis_server *s, loop_fn *done, void *arg)
{
	assert(s->done == NULL);
	s->done = done;
	s->arg = arg;
	if (s->pidfd >= 0) {
		server_step(s, SERVER_STOP);
		return;
	}
	s->state = SERVER_STOP; /* entered on the next turn of the loop, as there may be nothing to wait for */
	timer_start(s->timer, 0);
}

void
redis_server_free(struct redis_server **server)
{
	struct redis_server *s = *server;

	if (s == NULL)
		return;
	*server = NULL;
	unwatch(s);
	timer_free(&s->timer);
	free(s->socket);
	free(s->dir);
	free(s);
}
