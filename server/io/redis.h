/* One Redis: a connection for commands and one for SUBSCRIBE, both made again by a timer when lost (50 ms .. 2 s).
 * Commands are arguments with lengths, never text to be split. hiredis is known here alone; loop.h has the contract.
 *
 * A command whose connection is lost ends with ERR_UNAVAILABLE, one whose deadline passes with ERR_TIMEOUT; in both
 * cases it may have been executed, so what is sent here must be harmless when done twice. Commands given while the
 * connection is down, or beyond the bound on those in flight, end with ERR_UNAVAILABLE at once (from the loop).
 * Error replies: LOADING, MASTERDOWN, BUSY, TRYAGAIN, MISCONF, READONLY, OOM -> ERR_UNAVAILABLE; NOAUTH, WRONGPASS,
 * NOPERM -> ERR_AUTH; others -> ERR_REFUSED. */
#ifndef DAVIT_IO_REDIS_H
#define DAVIT_IO_REDIS_H

#include "proto/err.h"
#include "proto/str.h"

struct loop;
struct redis;
struct redis_op;
struct redis_reply;

struct redis_conf {
	const char *path; /* of a unix socket; NULL: host and port */
	const char *host; /* name or address */
	unsigned port;
	const char *user;     /* NULL: the default user */
	const char *password; /* NULL: none */
	unsigned db;
	bool allow_weak_persistence; /* else a Redis that may forget what it has acknowledged is refused */
	unsigned max_in_flight;      /* 0: 4096 */
};

/* Starts to connect; conf's strings are copied. */
struct redis *redis_new(struct loop *loop, const struct redis_conf *conf);
/* No command may be in flight. Accepts NULL. */
void redis_free(struct redis **redis);
bool redis_is_up(const struct redis *redis);

/* up: both connections stand and the persistence is good enough. When it is not up, err says why. Called from the loop
 * for each change, and for each new reason of being down. Unwatch before what arg points at goes; accepts NULL inside.
 */
struct redis_watch;
typedef void redis_state_fn(void *arg, bool up, const struct err *err);
struct redis_watch *redis_watch(struct redis *redis, redis_state_fn *fn, void *arg);
void redis_unwatch(struct redis_watch **watch);

/* The reply is good for the callback's duration; NULL on an error. */
typedef void redis_fn(void *arg, const struct redis_reply *reply, const struct err *err);
struct redis_op *redis_command(
    struct redis *redis, size_t argc, const struct str *argv, int64_t timeout_ms, redis_fn *fn, void *arg);
/* Accepts NULL inside. */
void redis_cancel(struct redis_op **op);

/* A Lua script, called by its SHA-1 and loaded when Redis does not know it (yet, or after its restart). */
struct redis_script {
	const char *name;
	const char *text;
	const char *sha; /* of text, 40 hex digits */
};

struct redis_args {
	const struct str *keys; /* KEYS */
	size_t key_count;
	const struct str *args; /* ARGV */
	size_t count;
};

/* args is read before the function returns; the script outlives the operation. An error reply that begins with FENCED
 * is ERR_CONFLICT. */
struct redis_op *redis_script(struct redis *redis, const struct redis_script *script, const struct redis_args *args,
    int64_t timeout_ms, redis_fn *fn, void *arg);

/* Messages of one channel; survives reconnects (what is published while it is down is missed). One channel at a
 * time; while there is one, "up" includes the subscription. message is followed by a NUL and good for the callback's
 * duration. */
typedef void redis_message_fn(void *arg, struct str message);
void redis_subscribe(struct redis *redis, const char *channel, redis_message_fn *fn, void *arg);
void redis_unsubscribe(struct redis *redis);

enum redis_type { REDIS_NIL, REDIS_STRING, REDIS_INTEGER, REDIS_ARRAY };

/* All take NULL for "absent". */
enum redis_type redis_reply_type(const struct redis_reply *reply); /* REDIS_NIL for NULL; a status is a string */
struct str redis_reply_str(const struct redis_reply *reply);       /* followed by a NUL; "" when not a string */
int64_t redis_reply_int(const struct redis_reply *reply, int64_t fallback); /* also of a string of digits */
size_t redis_reply_count(const struct redis_reply *reply);                  /* 0 when not an array */
const struct redis_reply *redis_reply_at(const struct redis_reply *reply, size_t i);

#endif
