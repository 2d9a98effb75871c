#include "server/takeover.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/err.h"
#include "proto/mem.h"
#include "server/core/inherited.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/handover.h"

#define END_MS 60000 /* longer than a stop may take; what hangs then is fenced off when we register */

enum takeover_state { TAKEOVER_START, TAKEOVER_READY, TAKEOVER_GO, TAKEOVER_OVER };

struct takeover {
	struct loop *loop;
	enum takeover_state state;
	int line;
	struct event *event;
	struct timer *timer;
	const struct takeover_events *events;
	void *arg;
};

static void
takeover_end(struct takeover *t, void (*event)(void *arg))
{
	t->state = TAKEOVER_OVER;
	timer_stop(t->timer);
	event_del(t->event);
	event(t->arg); /* last: t may be gone */
}

static void
on_timeout(void *arg)
{
	struct takeover *t = arg;

	log_warn("the older davitd has not ended within %d s: its place is taken", END_MS / 1000);
	takeover_end(t, t->events->ended);
}

static void
take_word(struct takeover *t)
{
	char text[sizeof(HANDOVER_GO)];
	ssize_t len = recv(t->line, text, sizeof(text), MSG_DONTWAIT);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len <= 0) {
		takeover_end(t, t->state == TAKEOVER_GO ? t->events->ended : t->events->lost);
	} else if (t->state == TAKEOVER_READY) {
		t->state = TAKEOVER_GO;
		timer_start(t->timer, END_MS);
		t->events->go(t->arg);
	}
}

static void
on_line(evutil_socket_t fd, short what, void *arg)
{
	struct takeover *t = arg;
	struct loop *loop = t->loop;

	(void)fd;
	(void)what;
	loop_enter(loop, "word of the older davitd", NULL);
	take_word(t);
	loop_leave(loop);
}

struct takeover *
takeover_new(struct loop *loop, struct inherited *inherited, const struct takeover_events *events, void *arg)
{
	int line = inherited_take(inherited, HANDOVER_LINE, NULL, NULL);
	struct takeover *t;

	if (line < 0)
		return NULL;
	t = xcalloc(1, sizeof(*t));
	*t = (struct takeover){ .loop = loop, .line = line, .events = events, .arg = arg };
	t->timer = timer_new(loop, on_timeout, t);
	t->event = event_new(loop_base(loop), line, EV_READ | EV_PERSIST, on_line, t);
	assert(t->event != NULL);
	event_add(t->event, NULL);
	return t;
}

void
takeover_free(struct takeover **takeover)
{
	struct takeover *t = *takeover;

	if (t == NULL)
		return;
	*takeover = NULL;
	event_free(t->event);
	timer_free(&t->timer);
	close(t->line);
	free(t);
}

void
takeover_ready(struct takeover *t)
{
	if (t->state != TAKEOVER_START)
		return;
	t->state = TAKEOVER_READY;
	if (send(t->line, HANDOVER_READY, strlen(HANDOVER_READY), MSG_NOSIGNAL) < 0)
		log_debug("%s", err_errno("handover: the older davitd").text); /* its end is seen in a moment */
}
