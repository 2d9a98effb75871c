#include "test/component/redis_fixture.h"

#include "test/unit/unit.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static redisReply *last;

static void
write_conf(const struct redis_fixture *f)
{
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), "%s/redis.conf", f->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
	    "port 0\nunixsocket %s\nunixsocketperm 700\ndir %s\nappendonly yes\nappendfsync always\n"
	    "maxmemory-policy noeviction\nsave \"\"\nlogfile \"\"\n%s\n",
	    f->path, f->dir, f->extra == NULL ? "" : f->extra);
	fclose(file);
}

static void
child_run(const struct redis_fixture *f, int out)
{
	char path[96];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(path, sizeof(path), "%s/redis.conf", f->dir);
	dup2(out, STDOUT_FILENO);
	execlp("redis-server", "redis-server", path, (char *)NULL);
	_exit(127);
}

/* Its log says when it is ready; afterwards nobody reads it, so the rest goes nowhere. */
static void
wait_ready(int fd)
{
	FILE *log = fdopen(fd, "r");
	char line[512];
	bool ready = false;

	while (!ready && fgets(line, sizeof(line), log) != NULL)
		ready = strstr(line, "The server is now ready to accept connections") != NULL;
	fclose(log);
	assert_true(ready);
}

void
redis_fixture_restart(struct redis_fixture *f)
{
	int pipe_fd[2];

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(pipe_fd, O_CLOEXEC), 0);
	f->pid = fork();
	if (f->pid == 0)
		child_run(f, pipe_fd[1]);
	close(pipe_fd[1]);
	assert_true(f->pid > 0);
	wait_ready(pipe_fd[0]);
}

void
redis_fixture_start(struct redis_fixture *f, const char *extra)
{
	*f = (struct redis_fixture){ .dir = "/tmp/davit-test-XXXXXX", .extra = extra };
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/redis.sock", f->dir);
	write_conf(f);
	redis_fixture_restart(f);
}

void
redis_fixture_kill(struct redis_fixture *f)
{
	if (f->pid <= 0)
		return;
	kill(f->pid, SIGKILL);
	waitpid(f->pid, NULL, 0);
	f->pid = 0;
}

void
redis_fixture_stop(struct redis_fixture *f)
{
	char command[128];

	redis_fixture_kill(f);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	if (last != NULL)
		freeReplyObject(last);
	last = NULL;
}

static const struct redisReply *
ask(struct redis_fixture *f, const char *fmt, va_list ap)
{
	redisContext *c = redisConnectUnix(f->path);
	redisReply *before = last; /* an argument may point into it */

	assert_non_null(c);
	assert_int_equal(c->err, 0);
	last = redisvCommand(c, fmt, ap);
	if (before != NULL)
		freeReplyObject(before);
	assert_non_null(last);
	if (last->type == REDIS_REPLY_ERROR)
		fail_msg("%s: %s", fmt, last->str);
	redisFree(c);
	return last;
}

const struct redisReply *
redis_fixture_ask(struct redis_fixture *f, const char *fmt, ...)
{
	const struct redisReply *reply;
	va_list ap;

	va_start(ap, fmt);
	reply = ask(f, fmt, ap);
	va_end(ap);
	return reply;
}

long long
redis_fixture_int(struct redis_fixture *f, const char *fmt, ...)
{
	const struct redisReply *reply;
	va_list ap;

	va_start(ap, fmt);
	reply = ask(f, fmt, ap);
	va_end(ap);
	return reply->type == REDIS_REPLY_INTEGER ? reply->integer : reply->str == NULL ? 0 : atoll(reply->str);
}

const char *
redis_fixture_text(struct redis_fixture *f, const char *fmt, ...)
{
	const struct redisReply *reply;
	va_list ap;

	va_start(ap, fmt);
	reply = ask(f, fmt, ap);
	va_end(ap);
	return reply->str == NULL ? "" : reply->str;
}
