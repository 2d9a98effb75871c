/* Builds by the clock: when a repository's schedule is due, it becomes a build of the newest commit of its branch, and
 * has another time. Any number of daemons do this beside each other: the store lets one of them make the build. What
 * was due while no daemon ran is made up for by one build, however often it was missed.
 *
 *   due -> (zone -> fire)* -> idle, until the next is due or somebody changes one */
#ifndef DAVIT_SCHEDULER_SCHEDULES_H
#define DAVIT_SCHEDULER_SCHEDULES_H

struct loop;
struct schedules;
struct store;
struct zones;

/* Nothing happens before the store's first "up". All must outlive it. */
struct schedules *schedules_new(struct loop *loop, struct store *store, struct zones *zones);
/* Accepts NULL inside. */
void schedules_free(struct schedules **schedules);
/* A line of store_on_wake; others than "cron" and "up" are ignored. */
void schedules_wake(struct schedules *schedules, const char *line);
/* No further builds, for a stop. */
void schedules_drain(struct schedules *schedules);

#endif
