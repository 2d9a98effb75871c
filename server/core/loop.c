#include "server/core/loop.h"

#include <assert.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "proto/mem.h"
#include "server/core/holdups.h"
#include "server/core/log.h"

enum { WAIT_FAILURES = 1000 }; /* of the system's wait for events, in a life: a passing trouble has far fewer */

struct loop {
	struct event_base *base;
	struct evdns_base *dns;
	unsigned objects; /* timers, signals and deferred calls alive */
	struct holdups holdups;
};

struct timer {
	struct loop *loop;
	const char *name;
	struct event *event;
	loop_fn *fn;
	void *arg;
};

struct loop_signal {
	struct loop *loop;
	struct event *event;
	loop_fn *fn;
	void *arg;
};

struct deferred {
	struct loop *loop;
	const char *name;
	struct event *event;
	loop_fn *fn;
	void *arg;
};

static void
on_libevent_log(int severity, const char *text)
{
	if (severity >= EVENT_LOG_WARN)
		log_warn("libevent: %s", text);
	else
		log_debug("libevent: %s", text);
}

struct loop *
loop_new(void)
{
	struct loop *loop = xcalloc(1, sizeof(*loop));

	/* libevent writes without MSG_NOSIGNAL; a peer that went away is an error of the write */
	signal(SIGPIPE, SIG_IGN);
	event_set_log_callback(on_libevent_log);
	loop->base = event_base_new();
	if (loop->base == NULL) {
		log_error("libevent offers no way to wait for events on this system");
		abort();
	}
	return loop;
}

void
loop_free(struct loop **loop)
{
	struct loop *l = *loop;

	if (l == NULL)
		return;
	*loop = NULL;
	if (l->dns != NULL)
		evdns_base_free(l->dns, 0);
	event_base_loop(l->base, EVLOOP_NONBLOCK); /* libevent frees bufferevents on a later turn */
	assert(l->objects == 0);
	event_base_free(l->base);
	free(l);
}

/* A wait that failed is tried again: events that were there stay there. What fails for ever ends with a signal, which a
 * supervisor takes for a crash and starts us anew; a return would look as if we had been told to stop. */
void
loop_run(struct loop *loop)
{
	for (int failed = 0; event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0; failed++) {
		if (failed == WAIT_FAILURES) {
			log_error("waiting for events has failed %d times: ending", failed);
			abort();
		}
	}
}

void
loop_stop(struct loop *loop)
{
	event_base_loopbreak(loop->base);
}

struct event_base *
loop_base(struct loop *loop)
{
	return loop->base;
}

struct evdns_base *
loop_dns(struct loop *loop)
{
	if (loop->dns == NULL) {
		loop->dns =
		    evdns_base_new(loop->base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
		if (loop->dns == NULL) { /* no readable resolv.conf: /etc/hosts still serves */
			loop->dns = evdns_base_new(loop->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
			evdns_base_load_hosts(loop->dns, "/etc/hosts");
		}
	}
	return loop->dns;
}

static int64_t
clock_ms(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
loop_mono_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

int64_t
loop_wall_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

void
loop_enter(struct loop *loop, const char *what, const char *of)
{
	holdups_enter(&loop->holdups, what, of);
}

void
loop_leave(struct loop *loop)
{
	holdups_leave(&loop->holdups);
}

const struct holdups *
loop_holdups(const struct loop *loop)
{
	return &loop->holdups;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timer *timer = arg;
	struct loop *loop = timer->loop;

	(void)fd;
	(void)what;
	loop_enter(loop, timer->name, NULL);
	timer->fn(timer->arg); /* timer may be gone */
	loop_leave(loop);
}

struct timer *
timer_new_named(struct loop *loop, const char *name, loop_fn *fn, void *arg)
{
	struct timer *timer = xcalloc(1, sizeof(*timer));

	*timer = (struct timer){ .loop = loop, .name = name, .fn = fn, .arg = arg };
	timer->event = evtimer_new(loop->base, on_timer, timer);
	assert(timer->event != NULL);
	loop->objects++;
	return timer;
}

void
timer_free(struct timer **timer)
{
	struct timer *t = *timer;

	if (t == NULL)
		return;
	*timer = NULL;
	t->loop->objects--;
	event_free(t->event);
	free(t);
}

void
timer_start(struct timer *timer, int64_t ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };

	assert(ms >= 0);
	evtimer_add(timer->event, &tv);
}

void
timer_stop(struct timer *timer)
{
	evtimer_del(timer->event);
}

bool
timer_is_running(const struct timer *timer)
{
	return evtimer_pending(timer->event, NULL) != 0;
}

static void
on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct loop_signal *handler = arg;
	struct loop *loop = handler->loop;

	(void)signo;
	(void)what;
	loop_enter(loop, "signal", NULL);
	handler->fn(handler->arg); /* handler may be gone */
	loop_leave(loop);
}

struct loop_signal *
loop_signal_new(struct loop *loop, int signo, loop_fn *fn, void *arg)
{
	struct loop_signal *handler = xcalloc(1, sizeof(*handler));

	*handler = (struct loop_signal){ .loop = loop, .fn = fn, .arg = arg };
	handler->event = evsignal_new(loop->base, signo, on_signal, handler);
	assert(handler->event != NULL);
	evsignal_add(handler->event, NULL);
	loop->objects++;
	return handler;
}

void
loop_signal_free(struct loop_signal **handler)
{
	struct loop_signal *h = *handler;

	if (h == NULL)
		return;
	*handler = NULL;
	h->loop->objects--;
	event_free(h->event);
	free(h);
}

static void
deferred_free(struct deferred *call)
{
	call->loop->objects--;
	event_free(call->event);
	free(call);
}

static void
on_deferred(evutil_socket_t fd, short what, void *arg)
{
	struct deferred *call = arg;
	struct loop *loop = call->loop;
	loop_fn *fn = call->fn;
	void *fn_arg = call->arg;

	(void)fd;
	(void)what;
	loop_enter(loop, call->name, NULL);
	deferred_free(call);
	fn(fn_arg);
	loop_leave(loop);
}

struct deferred *
deferred_call_named(struct loop *loop, const char *name, loop_fn *fn, void *arg)
{
	struct deferred *call = xcalloc(1, sizeof(*call));

	*call = (struct deferred){ .loop = loop, .name = name, .fn = fn, .arg = arg };
	call->event = event_new(loop->base, -1, 0, on_deferred, call);
	assert(call->event != NULL);
	loop->objects++;
	event_active(call->event, EV_TIMEOUT, 0);
	return call;
}

void
deferred_cancel(struct deferred **call)
{
	struct deferred *c = *call;

	*call = NULL;
	if (c != NULL)
		deferred_free(c);
}
