#include "server/scheduler/schedules.h"

#include <stdlib.h>
#include <string.h>

#include "proto/change.h"
#include "proto/cron.h"
#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/core/zones.h"
#include "server/store/store.h"

#define RETRY_MS 1000
#define TICK_MAX_MS 60000 /* the wall clock may be set meanwhile */

enum schedules_state { SCHEDULES_IDLE, SCHEDULES_DUE, SCHEDULES_ZONE, SCHEDULES_FIRE };

struct schedules {
	struct loop *loop;
	struct store *store;
	struct zones *zones;
	enum schedules_state state;
	struct timer *timer; /* while idle: until one is due */
	struct store_op *op;
	struct zones_op *zones_op;
	struct store_due due;
	size_t at;       /* the one of due at hand */
	int64_t next_ms; /* its next time */
	int64_t wait_ms; /* how long to be idle */
	bool again;      /* woken while not idle */
	bool draining;
};

static void enter_idle(struct schedules *s);
static void enter_due(struct schedules *s);
static void enter_zone(struct schedules *s);
static void enter_fire(struct schedules *s);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct schedules *s); /* what it starts has deadlines of its own */
} states[] = {
	[SCHEDULES_IDLE] = { "idle", enter_idle },
	[SCHEDULES_DUE]  = { "due",  enter_due },
	[SCHEDULES_ZONE] = { "zone", enter_zone },
	[SCHEDULES_FIRE] = { "fire", enter_fire },
};
/* clang-format on */

/* The only place where the state changes. */
static void
schedules_step(struct schedules *s, enum schedules_state next)
{
	log_debug("schedules: %s -> %s", states[s->state].name, states[next].name);
	store_cancel(&s->op);
	zones_cancel(&s->zones_op);
	timer_stop(s->timer);
	s->state = next;
	states[next].enter(s);
}

/* --- idle --- */

static void
on_timer(void *arg)
{
	schedules_step(arg, SCHEDULES_DUE);
}

static void
enter_idle(struct schedules *s)
{
	schedule_list_fini(&s->due.schedules);
	if (s->draining)
		return;
	if (s->again)
		s->wait_ms = 0;
	s->again = false;
	timer_start(s->timer, s->wait_ms + 1);
}

/* --- which are due --- */

static void
wait_at_most(struct schedules *s, int64_t ms)
{
	if (ms < s->wait_ms)
		s->wait_ms = ms;
}

static void
on_due(void *arg, struct store_due due, const struct err *err)
{
	struct schedules *s = arg;

	s->op = NULL;
	s->due = due;
	s->at = 0;
	s->wait_ms = TICK_MAX_MS;
	if (err != NULL) { /* Redis coming up wakes us as well */
		log_debug("schedules: %s", err->text);
		wait_at_most(s, RETRY_MS);
	} else if (due.schedules.count == STORE_LIST_MAX) {
		wait_at_most(s, RETRY_MS); /* there are more of them */
	} else if (due.next_ms >= 0) {
		wait_at_most(s, due.next_ms);
	}
	schedules_step(s, due.schedules.count > 0 ? SCHEDULES_ZONE : SCHEDULES_IDLE);
}

static void
enter_due(struct schedules *s)
{
	s->op = store_schedules_due(s->store, on_due, s);
}

/* --- one that is due --- */

static const struct schedule *
at_hand(const struct schedules *s)
{
	return &s->due.schedules.items[s->at];
}

static void
go_on(struct schedules *s)
{
	s->at++;
	schedules_step(s, s->at < s->due.schedules.count && !s->draining ? SCHEDULES_ZONE : SCHEDULES_IDLE);
}

/* It stays due, and is looked at again with the next tick. */
static void
leave(struct schedules *s, const struct err *err)
{
	const struct schedule *schedule = at_hand(s);

	log_warn("schedule %s of %s: %s", schedule->name, schedule->repo, err->text);
	go_on(s);
}

static void
on_zone(void *arg, const struct zone *zone, const struct err *err)
{
	struct schedules *s = arg;
	struct cron cron;
	struct err wrong;

	s->zones_op = NULL;
	if (err != NULL) {
		leave(s, err);
	} else if (!cron_parse(str_of(at_hand(s)->rule), &cron, &wrong)) {
		leave(s, &wrong);
	} else {
		/* from now on, not from when it was due: what was missed is one build */
		s->next_ms = 1000 * cron_next(&cron, zone, s->due.now_ms / 1000);
		schedules_step(s, SCHEDULES_FIRE);
	}
}

static void
enter_zone(struct schedules *s)
{
	s->zones_op = zones_get(s->zones, at_hand(s)->zone, on_zone, s);
}

static void
on_fired(void *arg, int64_t build, const struct err *err)
{
	struct schedules *s = arg;
	const struct schedule *schedule = at_hand(s);

	s->op = NULL;
	CRASH_POINT(schedule_fired);
	wait_at_most(s, s->next_ms - s->due.now_ms);
	if (err == NULL)
		log_info("schedule %s of %s: build %lld", schedule->name, schedule->repo, (long long)build);
	else if (err->code == ERR_CONFLICT)
		log_debug("schedule %s of %s: another daemon was first", schedule->name, schedule->repo);
	else {
		wait_at_most(s, RETRY_MS);
		leave(s, err);
		return;
	}
	go_on(s);
}

static void
enter_fire(struct schedules *s)
{
	const struct schedule *schedule = at_hand(s);
	bool has_branch = schedule->branch[0] != '\0';
	struct change change = {
		.event = CHANGE_CRON,
		.trust = CHANGE_TRUSTED,
		.ref = has_branch ? xasprintf("refs/heads/%s", schedule->branch) : xstrdup(CHANGE_REF_DEFAULT),
		.branch = has_branch ? schedule->branch : NULL,
		.title = xasprintf("Scheduled: %s", schedule->name),
		.params = schedule->params[0] != '\0' ? schedule->params : NULL,
	};

	CRASH_POINT(schedule_firing);
	s->op = store_schedule_fire(s->store, schedule, s->next_ms, &change, on_fired, s);
	free(change.ref);
	free(change.title);
}

/* --- life --- */

struct schedules *
schedules_new(struct loop *loop, struct store *store, struct zones *zones)
{
	struct schedules *s = xcalloc(1, sizeof(*s));

	*s = (struct schedules){ .loop = loop, .store = store, .zones = zones };
	s->timer = timer_new(loop, on_timer, s);
	return s;
}

void
schedules_free(struct schedules **schedules)
{
	struct schedules *s = *schedules;

	*schedules = NULL;
	if (s == NULL)
		return;
	store_cancel(&s->op);
	zones_cancel(&s->zones_op);
	timer_free(&s->timer);
	schedule_list_fini(&s->due.schedules);
	free(s);
}

void
schedules_wake(struct schedules *s, const char *line)
{
	if (s->draining || (strcmp(line, "cron") != 0 && strcmp(line, "up") != 0))
		return;
	if (s->state == SCHEDULES_IDLE)
		schedules_step(s, SCHEDULES_DUE);
	else
		s->again = true;
}

void
schedules_drain(struct schedules *s)
{
	s->draining = true;
	timer_stop(s->timer);
}
