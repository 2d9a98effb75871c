#include "server/io/redis.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/loop.h"
#include "server/io/redis_link.h"

#define IN_FLIGHT_DEFAULT 4096
#define IN_FLIGHT_BYTES (64 << 20)

struct redis_watch {
	TAILQ_ENTRY(redis_watch) entry;
	struct redis *redis;
	redis_state_fn *fn;
	void *arg;
};

/* A command given to redis_command. It is in flight (call is set), or its failure is on the way (failed is set). */
struct redis_op {
	TAILQ_ENTRY(redis_op) entry;
	struct redis *redis;
	const struct redis_script *script; /* NULL: a plain command */
	bool loaded;                       /* the script was sent along once */
	struct str wire;                   /* of a script: to be sent again; owned */
	struct redis_call *call;
	struct deferred *failed;
	struct timer *timer;
	int64_t timeout_ms;
	struct err err;
	redis_fn *fn;
	void *arg;
};

/* The command connection is up when its persistence was checked, the other one when its channel was confirmed. */
struct redis {
	struct loop *loop;
	struct redis_conf conf;
	struct redis_link *commands;
	struct redis_link *messages; /* NULL: no subscription */
	bool commands_up, messages_up;
	bool up; /* as told to the watches */
	struct err why;
	TAILQ_HEAD(, redis_op) ops;
	TAILQ_HEAD(, redis_watch) watches;
	struct redis_watch *next_watch; /* while they are called */
	char *channel;
	redis_message_fn *message_fn;
	void *message_arg;
};

/* --- state --- */

static void
redis_tell(struct redis *r, bool up, const struct err *err)
{
	struct redis_watch *watch;

	if (!up && !r->up && err->code == r->why.code && strcmp(err->text, r->why.text) == 0)
		return;
	r->up = up;
	r->why = up ? ERR_OK : *err;
	for (watch = TAILQ_FIRST(&r->watches); watch != NULL; watch = r->next_watch) {
		r->next_watch = TAILQ_NEXT(watch, entry);
		watch->fn(watch->arg, up, up ? NULL : &r->why);
	}
}

static void
redis_check_up(struct redis *r)
{
	if (!r->commands_up || (r->messages != NULL && !r->messages_up))
		return;
	redis_link_settled(r->commands);
	if (r->messages != NULL)
		redis_link_settled(r->messages);
	redis_tell(r, true, NULL);
}

struct redis_watch *
redis_watch(struct redis *r, redis_state_fn *fn, void *arg)
{
	struct redis_watch *watch = xcalloc(1, sizeof(*watch));

	*watch = (struct redis_watch){ .redis = r, .fn = fn, .arg = arg };
	TAILQ_INSERT_TAIL(&r->watches, watch, entry);
	return watch;
}

void
redis_unwatch(struct redis_watch **watch)
{
	struct redis_watch *w = *watch;

	if (w == NULL)
		return;
	*watch = NULL;
	if (w->redis->next_watch == w)
		w->redis->next_watch = TAILQ_NEXT(w, entry);
	TAILQ_REMOVE(&w->redis->watches, w, entry);
	free(w);
}

bool
redis_is_up(const struct redis *r)
{
	return r->up;
}

/* --- operations --- */

static void
op_free(struct redis_op *op)
{
	TAILQ_REMOVE(&op->redis->ops, op, entry);
	if (op->call != NULL)
		redis_call_forget(op->call);
	deferred_cancel(&op->failed);
	timer_free(&op->timer);
	free((char *)op->wire.p);
	free(op);
}

static void
op_end(struct redis_op *op, const struct redis_reply *reply, const struct err *err)
{
	redis_fn *fn = op->fn;
	void *arg = op->arg;
	struct err copy = err != NULL ? *err : ERR_OK;

	op_free(op);
	fn(arg, reply, err != NULL ? &copy : NULL);
}

static void
on_failed(void *arg)
{
	struct redis_op *op = arg;

	op->failed = NULL;
	op_end(op, NULL, &op->err);
}

static void
op_fail_later(struct redis_op *op, struct err err)
{
	op->err = err;
	if (op->timer != NULL)
		timer_stop(op->timer);
	op->failed = deferred_call(op->redis->loop, on_failed, op);
}

/* A connection that was silent for half of the command's time is taken for dead: the next commands fail at once rather
 * than each after its own deadline. */
static void
on_deadline(void *arg)
{
	struct redis_op *op = arg;
	struct redis *r = op->redis;
	struct err err = err_make(ERR_TIMEOUT, 0, "Redis did not answer in time");

	redis_call_forget(op->call);
	op->call = NULL;
	op_fail_later(op, err);
	if (loop_mono_ms() - redis_link_heard_ms(r->commands) >= op->timeout_ms / 2)
		redis_link_fail(r->commands, err_make(ERR_UNAVAILABLE, 0, "Redis does not answer"));
}

static void on_reply(void *arg, const struct redis_reply *reply, const struct err *err);

/* Redis forgets scripts when it restarts: the text goes along once, in the same pipeline. */
static void
op_load(struct redis_op *op)
{
	struct str wire = redis_wire_new(3, (struct str[]){ STR("SCRIPT"), STR("LOAD"), str_of(op->script->text) });

	redis_link_send(op->redis->commands, wire, NULL, NULL);
	free((char *)wire.p);
	op->loaded = true;
	op->call = redis_link_send(op->redis->commands, op->wire, on_reply, op);
}

static void
on_reply(void *arg, const struct redis_reply *reply, const struct err *err)
{
	struct redis_op *op = arg;

	op->call = NULL;
	if (err != NULL && err->code == ERR_NOT_FOUND && op->script != NULL && !op->loaded)
		op_load(op);
	else
		op_end(op, reply, err);
}

static struct redis_op *
op_start(
    struct redis *r, const struct redis_script *script, struct str wire, int64_t timeout_ms, redis_fn *fn, void *arg)
{
	struct redis_op *op = xcalloc(1, sizeof(*op));

	*op = (struct redis_op){
		.redis = r, .script = script, .wire = wire, .timeout_ms = timeout_ms, .fn = fn, .arg = arg
	};
	TAILQ_INSERT_TAIL(&r->ops, op, entry);
	if (!r->commands_up) {
		op_fail_later(op, err_make(ERR_UNAVAILABLE, 0, "%s", r->why.text));
	} else if (redis_link_pending(r->commands) >= r->conf.max_in_flight ||
		   redis_link_pending_bytes(r->commands) + wire.len > IN_FLIGHT_BYTES) {
		op_fail_later(op, err_make(ERR_UNAVAILABLE, 0, "too many Redis commands are in flight"));
	} else {
		op->call = redis_link_send(r->commands, wire, on_reply, op);
		op->timer = timer_new(r->loop, on_deadline, op);
		timer_start(op->timer, timeout_ms);
	}
	return op;
}

struct redis_op *
redis_command(struct redis *r, size_t argc, const struct str *argv, int64_t timeout_ms, redis_fn *fn, void *arg)
{
	return op_start(r, NULL, redis_wire_new(argc, argv), timeout_ms, fn, arg);
}

struct redis_op *
redis_script(struct redis *r, const struct redis_script *script, const struct redis_args *args, int64_t timeout_ms,
    redis_fn *fn, void *arg)
{
	size_t argc = 3 + args->key_count + args->count;
	struct str *argv = xcalloc(argc, sizeof(*argv));
	char key_count[24];
	struct str wire;

	snprintf(key_count, sizeof(key_count), "%zu", args->key_count);
	argv[0] = STR("EVALSHA");
	argv[1] = str_of(script->sha);
	argv[2] = str_of(key_count);
	if (args->key_count > 0)
		memcpy(argv + 3, args->keys, args->key_count * sizeof(*argv));
	if (args->count > 0)
		memcpy(argv + 3 + args->key_count, args->args, args->count * sizeof(*argv));
	wire = redis_wire_new(argc, argv);
	free(argv);
	return op_start(r, script, wire, timeout_ms, fn, arg);
}

void
redis_cancel(struct redis_op **op)
{
	struct redis_op *o = *op;

	*op = NULL;
	if (o != NULL)
		op_free(o);
}

/* --- the command connection --- */

/* What a Redis must be set to, so that it does not forget what it has acknowledged. */
static const struct {
	const char *name;
	const char *value;
} persistence[] = {
	{ "appendonly", "yes" },
	{ "appendfsync", "always" },
	{ "maxmemory-policy", "noeviction" },
};

#define PERSISTENCE_COUNT (sizeof(persistence) / sizeof(persistence[0]))

static void
commands_up(struct redis *r)
{
	CRASH_POINT(redis_up);
	r->commands_up = true;
	redis_check_up(r);
}

/* The reply to CONFIG GET * would show passwords: each setting is asked for by its name, and all are in one pipeline.
 */
static void
on_setting(void *arg, const struct redis_reply *reply, const struct err *err)
{
	struct redis *r = arg;
	struct str name = redis_reply_str(redis_reply_at(reply, 0));
	struct str value = redis_reply_str(redis_reply_at(reply, 1));

	if (err != NULL) {
		redis_link_fail(
		    r->commands, err_prefix(*err, "persistence cannot be checked (allow_weak_persistence)"));
		return;
	}
	for (size_t i = 0; i < PERSISTENCE_COUNT; i++)
		if (str_is(name, persistence[i].name) && str_is(value, persistence[i].value)) {
			if (i == PERSISTENCE_COUNT - 1)
				commands_up(r);
			return;
		}
	redis_link_fail(r->commands, err_make(ERR_UNAVAILABLE, 0,
					 "Redis could lose builds: \"%.*s\" is set to \"%.*s\"; it must have "
					 "appendonly yes, appendfsync always, "
					 "maxmemory-policy noeviction (or allow_weak_persistence: true)",
					 (int)name.len, name.p, (int)value.len, value.p));
}

static void
on_commands_ready(void *arg)
{
	struct redis *r = arg;
	struct str wire;

	if (r->conf.allow_weak_persistence) {
		commands_up(r);
		return;
	}
	for (size_t i = 0; i < PERSISTENCE_COUNT; i++) {
		wire = redis_wire_new(3, (struct str[]){ STR("CONFIG"), STR("GET"), str_of(persistence[i].name) });
		redis_link_send(r->commands, wire, on_setting, r);
		free((char *)wire.p);
	}
}

static void
on_commands_lost(void *arg, const struct err *err)
{
	struct redis *r = arg;
	struct redis_op *op;

	r->commands_up = false;
	TAILQ_FOREACH(op, &r->ops, entry)
	if (op->call != NULL) {
		op->call = NULL;
		op_fail_later(op, err_make(ERR_UNAVAILABLE, 0, "%s", err->text));
	}
	redis_tell(r, false, err);
}

/* --- the connection for messages --- */

static void
on_subscribed(void *arg, const struct redis_reply *reply, const struct err *err)
{
	struct redis *r = arg;

	(void)reply;
	if (err != NULL) {
		redis_link_fail(r->messages, *err);
		return;
	}
	r->messages_up = true;
	redis_check_up(r);
}

static void
on_messages_ready(void *arg)
{
	struct redis *r = arg;
	struct str wire = redis_wire_new(2, (struct str[]){ STR("SUBSCRIBE"), str_of(r->channel) });

	redis_link_send(r->messages, wire, on_subscribed, r);
	free((char *)wire.p);
}

static void
on_messages_lost(void *arg, const struct err *err)
{
	struct redis *r = arg;

	r->messages_up = false;
	redis_tell(r, false, err);
}

static void
on_push(void *arg, const struct redis_reply *reply)
{
	struct redis *r = arg;

	r->message_fn(r->message_arg, redis_reply_str(redis_reply_at(reply, 2)));
}

void
redis_subscribe(struct redis *r, const char *channel, redis_message_fn *fn, void *arg)
{
	static const struct redis_link_events events = {
		.ready = on_messages_ready,
		.lost = on_messages_lost,
		.push = on_push,
	};

	assert(r->messages == NULL);
	r->channel = xstrdup(channel);
	r->message_fn = fn;
	r->message_arg = arg;
	r->messages = redis_link_new(r->loop, &r->conf, &events, r);
}

void
redis_unsubscribe(struct redis *r)
{
	redis_link_free(&r->messages);
	r->messages_up = false;
	free(r->channel);
	r->channel = NULL;
}

/* --- life --- */

struct redis *
redis_new(struct loop *loop, const struct redis_conf *conf)
{
	static const struct redis_link_events events = { .ready = on_commands_ready, .lost = on_commands_lost };
	struct redis *r = xcalloc(1, sizeof(*r));

	*r = (struct redis){ .loop = loop, .conf = *conf };
	r->conf.path = xstrdup_null(conf->path);
	r->conf.host = xstrdup_null(conf->host);
	r->conf.user = xstrdup_null(conf->user);
	r->conf.password = xstrdup_null(conf->password);
	if (conf->max_in_flight == 0)
		r->conf.max_in_flight = IN_FLIGHT_DEFAULT;
	r->why = err_make(ERR_UNAVAILABLE, 0, "Redis is not connected yet");
	TAILQ_INIT(&r->ops);
	TAILQ_INIT(&r->watches);
	r->commands = redis_link_new(loop, &r->conf, &events, r);
	return r;
}

void
redis_free(struct redis **redis)
{
	struct redis *r = *redis;

	if (r == NULL)
		return;
	*redis = NULL;
	assert(TAILQ_EMPTY(&r->ops));
	assert(TAILQ_EMPTY(&r->watches));
	redis_link_free(&r->commands);
	redis_unsubscribe(r);
	free((char *)r->conf.path);
	free((char *)r->conf.host);
	free((char *)r->conf.user);
	free((char *)r->conf.password);
	free(r);
}
