/* One connection to Redis, private to io/redis*: connects, authenticates, sends commands in a pipeline, hands each
 * reply to the one who asked for it, and connects again (50 ms .. 2 s) whenever it is lost. hiredis gives the
 * protocol's reader and writer; its own asynchronous layer is not used, since it blocks in getaddrinfo, cannot withdraw
 * a command or bound its output, and asserts on replies that nobody asked for. */
#ifndef DAVIT_IO_REDIS_LINK_H
#define DAVIT_IO_REDIS_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "server/io/redis.h"

struct redis_link;
struct redis_call;

struct redis_link_events {
	void (*ready)(void *arg);                       /* authenticated: commands may be sent */
	void (*lost)(void *arg, const struct err *err); /* it will be made again; what was sent is forgotten */
	/* A message of a subscription. NULL: whatever was not asked for ends the connection. */
	void (*push)(void *arg, const struct redis_reply *reply);
};

/* The first attempt is made from the loop. conf and events must outlive the link. */
struct redis_link *redis_link_new(
    struct loop *loop, const struct redis_conf *conf, const struct redis_link_events *events, void *arg);
void redis_link_free(struct redis_link **link);

/* The owner is content with the connection: the next loss starts again at the shortest wait. */
void redis_link_settled(struct redis_link *link);
/* Drops the connection; lost() is called before it returns. */
void redis_link_fail(struct redis_link *link, struct err err);
/* When something came on it last (loop_mono_ms). */
int64_t redis_link_heard_ms(const struct redis_link *link);

/* reply is of any type but an error, which comes as err. */
typedef void redis_call_fn(void *arg, const struct redis_reply *reply, const struct err *err);
/* wire: a command as redis_wire_new made it. Only between ready() and lost(). fn is called once, or never when the
 * connection is lost; NULL when the answer does not matter. */
struct redis_call *redis_link_send(struct redis_link *link, struct str wire, redis_call_fn *fn, void *arg);
/* fn will not be called. */
void redis_call_forget(struct redis_call *call);
/* Calls not yet answered, the forgotten ones too, and their bytes. */
size_t redis_link_pending(const struct redis_link *link);
size_t redis_link_pending_bytes(const struct redis_link *link);

/* The command as bytes, owned; free() them. */
struct str redis_wire_new(size_t argc, const struct str *argv);

#endif
