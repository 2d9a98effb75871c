/* The private Redis: a redis-server of our own in STATE_DIR/redis, on a unix socket that only our user may open. It is
 * a process of its own that outlives davitd (kill, crash, restart): the next davitd finds it by the lock that it holds
 * and takes it over. While we live it is started again when it ends.
 *
 * Durability is its purpose: appendonly with appendfsync always, noeviction. Its user may not reconfigure it. */
#ifndef DAVIT_IO_REDIS_SERVER_H
#define DAVIT_IO_REDIS_SERVER_H

#include "proto/err.h"
#include "server/core/loop.h"
#include "server/io/redis.h"

struct redis_server;

/* Lent for the server's life. */
struct redis_server_conf {
	const char *state_dir; /* absolute; redis/ is made below it */
	const char *binary;    /* "redis-server" or a path */
	loop_fn *on_end;       /* it ended, though nobody asked it to; called before it is started again. May be NULL */
	void *arg;
};

/* Writes its configuration, then takes over the running one or starts it (from the loop). NULL and *err when the folder
 * cannot be written or its path is too long for a unix socket (107 bytes). */
struct redis_server *redis_server_new(struct loop *loop, const struct redis_server_conf *conf, struct err *err)
    __attribute__((warn_unused_result));
/* How to connect to it; good for the server's life. */
const struct redis_conf *redis_server_client(const struct redis_server *server);
/* Ends it (SIGTERM, KILL after 10 s) and does not start it again; done is called when it is gone. Once only. */
void redis_server_stop(struct redis_server *server, loop_fn *done, void *arg);
/* Leaves the process to the next davitd. Accepts NULL inside. */
void redis_server_free(struct redis_server **server);

#endif
