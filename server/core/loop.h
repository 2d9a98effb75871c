/* The reactor: libevent's base, its resolver, timers, and calls deferred to the next turn.
 * One thread owns all state. Nothing that runs here may block or run over unbounded input.
 *
 * The async contract, which every header of io/ and above follows:
 * 1. A start function never calls back before it returns, and never fails synchronously.
 * 2. The callback runs exactly once, or never after x_cancel(&op).
 * 3. The operation is already gone when the callback runs; the callback's first line clears the caller's pointer.
 * 4. The callback may free its owner, cancel siblings and close the stream; whoever calls out survives that.
 * 5. Every operation has a deadline, owned by whoever started it. */
#ifndef DAVIT_CORE_LOOP_H
#define DAVIT_CORE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct evdns_base;
struct loop;
struct timer;

typedef void loop_fn(void *arg);

/* Ends the process when libevent cannot start. Ignores SIGPIPE in this process. */
struct loop *loop_new(void);
/* Every timer, deferred call and watcher must be gone: asserted, as this is our leak report. */
void loop_free(struct loop **loop);
/* Until loop_stop. Ends the process with SIGABRT when the system can't wait for events any more. */
void loop_run(struct loop *loop);
/* Makes loop_run return after this turn. */
void loop_stop(struct loop *loop);

/* For io/ and controller/, which hand them to libevent. */
struct event_base *loop_base(struct loop *loop);
/* Made on first use, since it reads /etc/resolv.conf. */
struct evdns_base *loop_dns(struct loop *loop);

/* Stand around what libevent calls, outside this file: what it is, and of what (NULL: nothing more to say). The loop's
 * owner sees in holdups.h who held it for how long. */
struct holdups;
void loop_enter(struct loop *loop, const char *what, const char *of);
void loop_leave(struct loop *loop);
const struct holdups *loop_holdups(const struct loop *loop);

/* Milliseconds that never jump; for deadlines and durations. */
int64_t loop_mono_ms(void);
/* Milliseconds since 1970 (UTC); for what people read. */
int64_t loop_wall_ms(void);

/* A one-shot timer; fn may free or start it again. Named after fn, for holdups. */
#define timer_new(loop, fn, arg) timer_new_named(loop, __FILE__ ": " #fn, fn, arg)
struct timer *timer_new_named(struct loop *loop, const char *name, loop_fn *fn, void *arg);
void timer_free(struct timer **timer);
/* (Re)starts it; the earlier start is forgotten. */
void timer_start(struct timer *timer, int64_t ms);
void timer_stop(struct timer *timer);
bool timer_is_running(const struct timer *timer);

/* A signal of the process, seen in the loop. */
struct loop_signal;
struct loop_signal *loop_signal_new(struct loop *loop, int signo, loop_fn *fn, void *arg);
void loop_signal_free(struct loop_signal **handler);

/* A call that is made on a later turn of the loop, before the loop waits again: how a start function "answers" at once
 * without breaking rule 1. */
struct deferred;
#define deferred_call(loop, fn, arg) deferred_call_named(loop, __FILE__ ": " #fn, fn, arg)
struct deferred *deferred_call_named(struct loop *loop, const char *name, loop_fn *fn, void *arg);
/* Accepts NULL. Not after fn has begun: fn's first line clears the pointer. */
void deferred_cancel(struct deferred **call);

#endif
