#include "server/scheduler/scheduler.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/mem.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/scheduler/leases.h"
#include "server/scheduler/planning.h"

#define RETRY_MS 1000
#define TICK_MAX_MS 60000
#define OFFERS_MAX 64

/* A left job on its way back into the queue. */
struct requeue {
	LIST_ENTRY(requeue) link;
	struct store_op *op;
	struct job *job;
};

/* One that goes on. */
struct adoption {
	LIST_ENTRY(adoption) link;
	struct scheduler *scheduler;
	struct store_op *op;
	struct job *job;
};

struct scheduler {
	struct scheduler_deps deps;
	struct leases *leases;
	struct planning *planning;
	struct timer *tick;        /* when something is due */
	struct timer *retry;       /* what Redis did not take */
	struct store_op *start_op; /* registration, then what an earlier process left */
	struct store_op *claim_op;
	struct store_op *promote_op;
	LIST_HEAD(, requeue) requeues;
	LIST_HEAD(, adoption) adoptions;
	bool started; /* registered, the left jobs known */
	bool recovered;
	bool draining;
	bool is_held;
	bool claim_again;   /* woken while a claim was under way */
	bool promote_again; /* likewise */
};

static void claim(struct scheduler *s);
static void promote(struct scheduler *s);
static void start(struct scheduler *s);

static void
look_at_everything(struct scheduler *s)
{
	planning_wake(s->planning);
	claim(s);
	promote(s);
}

static void
on_tick(void *arg)
{
	struct scheduler *s = arg;

	if (s->started)
		look_at_everything(s);
	else
		start(s);
}

/* One path for what Redis did not take now: everything is tried again. */
static void
try_later(struct scheduler *s, const char *what, const struct err *err)
{
	if (err->code == ERR_UNAVAILABLE || err->code == ERR_TIMEOUT)
		log_debug("scheduler: %s: %s", what, err->text);
	else
		log_warn("scheduler: %s: %s", what, err->text);
	timer_start(s->retry, RETRY_MS);
}

/* --- back into the queue --- */

static void
requeue_free(struct requeue *r)
{
	LIST_REMOVE(r, link);
	store_cancel(&r->op);
	job_free(&r->job);
	free(r);
}

/* A failure needs no retry of its own: the job's lease runs out again, and it comes back as left. */
static void
on_requeued(void *arg, const struct err *err)
{
	struct requeue *r = arg;

	r->op = NULL;
	CRASH_POINT(job_requeued);
	if (err != NULL && err->code != ERR_CONFLICT)
		log_warn("job %s: not put back yet: %s", r->job->id, err->text);
	else if (err == NULL)
		log_info("job %s: put back into the queue", r->job->id);
	requeue_free(r);
}

static void
requeue(struct scheduler *s, struct job **job, int64_t delay_ms, const char *reason)
{
	struct requeue *r = xcalloc(1, sizeof(*r));

	r->job = *job;
	*job = NULL;
	LIST_INSERT_HEAD(&s->requeues, r, link);
	CRASH_POINT(job_requeueing);
	r->op = store_job_requeue(s->deps.store, r->job->id, r->job->token, delay_ms, reason, on_requeued, r);
}

void
scheduler_requeue(struct scheduler *s, struct job **job, const char *reason)
{
	requeue(s, job, 0, reason);
}

/* --- what goes on --- */

static void
adoption_free(struct adoption *a)
{
	LIST_REMOVE(a, link);
	store_cancel(&a->op);
	job_free(&a->job);
	free(a);
}

static void
check_recovered(struct scheduler *s)
{
	if (s->recovered || !s->started || !LIST_EMPTY(&s->adoptions))
		return;
	s->recovered = true;
	if (s->deps.on_recovered != NULL)
		s->deps.on_recovered(s->deps.arg);
}

/* What Redis does not answer is run again: its container may not be left to itself for longer. */
static void
on_adopted(void *arg, struct job *job, struct build *build, const struct err *err)
{
	struct adoption *a = arg;
	struct scheduler *s = a->scheduler;

	a->op = NULL;
	if (err == NULL) {
		leases_hold(s->leases, job->id, job->token);
		s->deps.on_adopted(s->deps.arg, job, build);
	} else if (err->code == ERR_CONFLICT || err->code == ERR_NOT_FOUND) {
		log_info("job %s: not ours any more", a->job->id);
	} else {
		log_warn("job %s: cannot go on: %s", a->job->id, err->text);
		requeue(s, &a->job, 0, "davitd was restarted");
	}
	adoption_free(a);
	check_recovered(s);
}

void
scheduler_adopt(struct scheduler *s, struct job **job)
{
	struct adoption *a = xcalloc(1, sizeof(*a));

	*a = (struct adoption){ .scheduler = s, .job = *job };
	*job = NULL;
	LIST_INSERT_HEAD(&s->adoptions, a, link);
	a->op = store_job_adopt(s->deps.store, a->job->id, a->job->token, on_adopted, a);
}

/* --- claims --- */

/* Our older attempt of it lost its lease while Redis was away, and we have not been told so yet: its container has to
 * go before the job may run again. */
static void
give_back(struct scheduler *s, struct job *job, struct build *build)
{
	s->deps.on_stop(s->deps.arg, job->id, SCHEDULER_LOST);
	requeue(s, &job, RETRY_MS, "its lease was lost");
	build_free(&build);
}

static void
on_claim(void *arg, struct job *job, struct build *build, const struct err *err)
{
	struct scheduler *s = arg;

	s->claim_op = NULL;
	if (err != NULL) {
		try_later(s, "claim", err);
		return;
	}
	if (job != NULL && leases_has(s->leases, job->id)) {
		give_back(s, job, build);
		claim(s);
	} else if (job != NULL) {
		CRASH_POINT(job_claimed);
		leases_hold(s->leases, job->id, job->token);
		s->deps.on_claimed(s->deps.arg, job, build);
		claim(s);
	} else if (s->claim_again) {
		claim(s);
	}
}

static void
claim(struct scheduler *s)
{
	const char *offers[OFFERS_MAX];
	size_t count;

	if (s->claim_op != NULL) {
		s->claim_again = true;
		return;
	}
	if (!s->started || s->draining || s->is_held || (count = s->deps.offers(s->deps.arg, offers, OFFERS_MAX)) == 0)
		return;
	s->claim_again = false;
	CRASH_POINT(job_claiming);
	s->claim_op = store_job_claim(s->deps.store, offers, count, on_claim, s);
}

void
scheduler_slots_changed(struct scheduler *s)
{
	claim(s);
}

void
scheduler_release(struct scheduler *s, const char *job)
{
	leases_drop(s->leases, job);
	claim(s);
}

/* --- what is due, what was left --- */

static void
leave_to_app(struct scheduler *s, struct job_list *jobs)
{
	for (size_t i = 0; i < jobs->count; i++) {
		struct job *job = xcalloc(1, sizeof(*job));

		*job = jobs->items[i];
		jobs->items[i] = (struct job){ 0 };
		CRASH_POINT(job_left);
		s->deps.on_left(s->deps.arg, job);
	}
	job_list_fini(jobs);
}

static void
on_promoted(void *arg, struct store_promoted promoted, const struct err *err)
{
	struct scheduler *s = arg;
	int64_t next = promoted.next_ms;

	s->promote_op = NULL;
	if (err != NULL) {
		try_later(s, "promote", err);
		return;
	}
	CRASH_POINT(promoted);
	leave_to_app(s, &promoted.expired);
	if (next < 0 || next > TICK_MAX_MS)
		next = TICK_MAX_MS;
	timer_start(s->tick, next + 1);
	if (s->promote_again)
		promote(s);
}

static void
promote(struct scheduler *s)
{
	if (s->promote_op != NULL) {
		s->promote_again = true;
		return;
	}
	if (!s->started)
		return;
	s->promote_again = false;
	CRASH_POINT(promoting);
	s->promote_op = store_promote(s->deps.store, on_promoted, s);
}

/* --- start --- */

static void
on_left(void *arg, struct job_list jobs, const struct err *err)
{
	struct scheduler *s = arg;

	s->start_op = NULL;
	if (err != NULL) {
		try_later(s, "jobs of an earlier process", err);
		return;
	}
	CRASH_POINT(left_known);
	s->started = true;
	leave_to_app(s, &jobs);
	leases_start(s->leases);
	check_recovered(s);
	look_at_everything(s);
}

static void
on_registered(void *arg, int64_t epoch, const struct err *err)
{
	struct scheduler *s = arg;

	s->start_op = NULL;
	if (err != NULL) {
		try_later(s, "registration", err);
		return;
	}
	log_info("node %s: epoch %lld", s->deps.node_name, (long long)epoch);
	CRASH_POINT(node_registered);
	s->start_op = store_running(s->deps.store, s->deps.node_name, on_left, s);
}

static void
start(struct scheduler *s)
{
	if (s->start_op != NULL)
		return;
	CRASH_POINT(node_registering);
	s->deps.node.labels = s->deps.labels(s->deps.arg);
	s->start_op = store_node_register(s->deps.store, &s->deps.node, on_registered, s);
}

/* What was planned and run is lost with it, as the leases say then; new work finds a node with labels. */
static void
start_again(struct scheduler *s)
{
	log_warn(
	    "node %s: Redis does not know it any more, as if its data were lost: registering again", s->deps.node_name);
	s->started = false;
	timer_start(s->retry, RETRY_MS);
}

static void
on_lease(void *arg, const char *id, enum store_lease_state state)
{
	struct scheduler *s = arg;

	if (id == NULL)
		start_again(s);
	else if (strchr(id, '.') == NULL)
		planning_drop(s->planning, id);
	else
		s->deps.on_stop(s->deps.arg, id, state == STORE_LEASE_LOST ? SCHEDULER_LOST : SCHEDULER_CANCELLED);
}

static const char *
on_labels(void *arg)
{
	struct scheduler *s = arg;

	return s->deps.labels(s->deps.arg);
}

struct scheduler *
scheduler_new(const struct scheduler_deps *deps)
{
	struct scheduler *s = xcalloc(1, sizeof(*s));

	s->deps = *deps;
	LIST_INIT(&s->requeues);
	LIST_INIT(&s->adoptions);
	s->tick = timer_new(deps->loop, on_tick, s);
	s->retry = timer_new(deps->loop, on_tick, s);
	s->leases = leases_new(deps->loop, deps->store, deps->lease_ms, on_labels, on_lease, s);
	s->planning = planning_new(deps->loop, deps->store, deps->planner, s->leases, deps->planning_max);
	return s;
}

void
scheduler_free(struct scheduler **scheduler)
{
	struct scheduler *s = *scheduler;

	if (s == NULL)
		return;
	*scheduler = NULL;
	store_cancel(&s->start_op);
	store_cancel(&s->claim_op);
	store_cancel(&s->promote_op);
	while (!LIST_EMPTY(&s->adoptions))
		adoption_free(LIST_FIRST(&s->adoptions));
	while (!LIST_EMPTY(&s->requeues))
		requeue_free(LIST_FIRST(&s->requeues));
	planning_free(&s->planning);
	leases_free(&s->leases);
	timer_free(&s->tick);
	timer_free(&s->retry);
	free(s);
}

void
scheduler_wake(struct scheduler *s, const char *line)
{
	if (strcmp(line, "up") == 0)
		on_tick(s);
	else if (!s->started)
		return; /* the start looks at everything */
	else if (strcmp(line, "planning") == 0)
		planning_wake(s->planning);
	else if (strcmp(line, "queue") == 0)
		claim(s);
	else if (strcmp(line, "delayed") == 0)
		promote(s);
	else if (strncmp(line, "cancel ", 7) == 0)
		s->deps.on_stop(s->deps.arg, line + 7, SCHEDULER_CANCEL);
}

void
scheduler_drain(struct scheduler *s)
{
	s->draining = true;
	planning_drain(s->planning);
}

void
scheduler_hold(struct scheduler *s, bool is_held)
{
	s->is_held = is_held;
	planning_hold(s->planning, is_held);
	if (s->started && !is_held) {
		planning_wake(s->planning);
		claim(s);
	}
}
