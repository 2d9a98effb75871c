/* The Scheduler: plans accepted builds, claims queued jobs for free slots, keeps the leases, brings back what is due
 * and what a dead node left. Event-driven: it moves when the store wakes it, when a slot becomes free, and when
 * something is due. It belongs to app.c, which hands the claimed jobs to the builder.
 *
 * Every claimed job ends with scheduler_release(): then its lease is no longer renewed and its slot is asked for again.
 */
#ifndef DAVIT_SCHEDULER_SCHEDULER_H
#define DAVIT_SCHEDULER_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/store/store.h"

struct loop;
struct planner;
struct scheduler;

enum scheduler_stop {
	SCHEDULER_CANCEL,    /* somebody cancels it, maybe once more */
	SCHEDULER_CANCELLED, /* it was cancelled: its lease says so at each renewal */
	SCHEDULER_LOST, /* its lease is no longer ours: nothing more of it is written, only its container is to go */
};

struct scheduler_deps {
	struct loop *loop;
	struct store *store;
	struct planner *planner;
	struct store_node node; /* strings are borrowed for the scheduler's life; of labels see below */
	const char *node_name;
	int64_t lease_ms;
	unsigned planning_max; /* builds planned at the same time */

	/* Those of each engine, as struct store_node has them; for the call's duration. */
	const char *(*labels)(void *arg);
	/* The labels of each engine that could take a job now, at most max; for the call's duration. Returns how many.
	 */
	size_t (*offers)(void *arg, const char **ret, size_t max);
	/* A job for one of them, with its build and change; both are handed over. */
	void (*on_claimed)(void *arg, struct job *job, struct build *build);
	/* A claimed job is to end. May come more than once. */
	void (*on_stop)(void *arg, const char *job, enum scheduler_stop why);
	/* A job that an earlier process or another node claimed and left: remove what is left of its container, then
	 * scheduler_requeue() it, or scheduler_adopt() it where its container is. Handed over. */
	void (*on_left)(void *arg, struct job *job);
	/* As on_claimed, after scheduler_adopt. */
	void (*on_adopted)(void *arg, struct job *job, struct build *build);
	/* Once: every job that this node had claimed before it started was left to the app, and every scheduler_adopt
	 * has come to its end. May be NULL. */
	void (*on_recovered)(void *arg);
	void *arg;
};

/* deps is copied. Nothing happens before the store's first "up". */
struct scheduler *scheduler_new(const struct scheduler_deps *deps);
/* Claims stay in Redis; an unfinished planning is dropped and comes back. Accepts NULL. */
void scheduler_free(struct scheduler **scheduler);
/* A line of store_on_wake; those for others are ignored. */
void scheduler_wake(struct scheduler *scheduler, const char *line);
/* Slots may have become free (an engine came up). */
void scheduler_slots_changed(struct scheduler *scheduler);
/* The claimed job is finished, requeued or lost. */
void scheduler_release(struct scheduler *scheduler, const char *job);
/* Puts a left job back into the queue, with the reason that people see; frees it. */
void scheduler_requeue(struct scheduler *scheduler, struct job **job, const char *reason);
/* A left job of this node goes on under its claim; frees it. on_adopted follows, unless somebody else has it now or
 * Redis does not answer. */
void scheduler_adopt(struct scheduler *scheduler, struct job **job);
/* No further claims, for a stop; what was claimed goes on. */
void scheduler_drain(struct scheduler *scheduler);
/* No further claims until it is called with false. */
void scheduler_hold(struct scheduler *scheduler, bool is_held);

#endif
