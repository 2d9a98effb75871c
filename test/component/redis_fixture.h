/* A real redis-server of the test's own, on a unix socket in a temporary directory, set up as Davit wants it. */
#ifndef DAVIT_TEST_REDIS_FIXTURE_H
#define DAVIT_TEST_REDIS_FIXTURE_H

#include <sys/types.h>

struct redisReply;

struct redis_fixture {
	char dir[64];
	char path[96]; /* of the socket */
	pid_t pid;
	const char *extra; /* further lines of redis.conf, or NULL */
};

/* Returns once it accepts connections. */
void redis_fixture_start(struct redis_fixture *f, const char *extra);
/* kill -9; what was acknowledged is on disk. */
void redis_fixture_kill(struct redis_fixture *f);
/* The same data again. */
void redis_fixture_restart(struct redis_fixture *f);
/* Ends it when it runs, and removes the directory. */
void redis_fixture_stop(struct redis_fixture *f);

/* One command, split at blanks, on a connection of its own that blocks; fails the test on an error.
 * The reply is good until the next call. */
const struct redisReply *redis_fixture_ask(struct redis_fixture *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The integer of such a reply, or of its text. */
long long redis_fixture_int(struct redis_fixture *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The text of such a reply, "" for nil. */
const char *redis_fixture_text(struct redis_fixture *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
