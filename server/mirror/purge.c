#include "server/mirror/purge.h"

#include <stdlib.h>

#include "proto/mem.h"
#include "server/core/loop.h"
#include "server/mirror/shelf.h"

#define PAUSE_MS 10 /* between two slices */

struct purge {
	struct shelf *shelf;
	struct timer *timer;
	char *prefix;
	char *cursor; /* key of the object that is next; NULL: all were looked at */
	uint64_t dropped;
	purge_fn *fn;
	void *arg;
};

static void
on_turn(void *arg)
{
	struct purge *p = arg;
	purge_fn *fn = p->fn;
	uint64_t dropped;

	p->dropped += shelf_purge(p->shelf, p->prefix, &p->cursor);
	if (p->cursor != NULL) {
		timer_start(p->timer, PAUSE_MS);
		return;
	}
	dropped = p->dropped;
	arg = p->arg;
	purge_cancel(&p);
	fn(arg, dropped);
}

struct purge *
purge_start(struct loop *loop, struct shelf *shelf, const char *prefix, purge_fn *fn, void *arg)
{
	struct purge *p = xcalloc(1, sizeof(*p));

	*p = (struct purge){ .shelf = shelf, .fn = fn, .arg = arg };
	p->prefix = xstrdup(prefix);
	p->cursor = xstrdup("");
	p->timer = timer_new(loop, on_turn, p);
	timer_start(p->timer, 0);
	return p;
}

void
purge_cancel(struct purge **purge)
{
	struct purge *p = *purge;

	if (p == NULL)
		return;
	*purge = NULL;
	timer_free(&p->timer);
	free(p->prefix);
	free(p->cursor);
	free(p);
}
