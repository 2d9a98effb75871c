/* What run.c, preparation.c and adoption.c share: the run of a script. */
#ifndef DAVIT_BUILDER_RUN_PRIVATE_H
#define DAVIT_BUILDER_RUN_PRIVATE_H

#include <sys/queue.h>

#include "server/builder/box.h"
#include "server/builder/feed.h"
#include "server/builder/output.h"
#include "server/builder/parts.h"
#include "server/builder/run.h"
#include "server/builder/services.h"
#include "server/builder/verdict.h"

/* What runs always has at least that, and so has who takes the files of a job that we ended. */
enum { RUN_AFTER_S = 60 };

/* From RUN_BOX to RUN_AFTER once for each part of the job that is to run. */
enum run_state {
	RUN_FIND,     /* what an earlier process left of it: instead of all up to RUN_STARTED */
	RUN_IMAGE,    /* of every part */
	RUN_VOLUME,   /* the workspace of a job of several parts */
	RUN_PULL,     /* the image of a further part, of a job that an earlier process began */
	RUN_BOX,      /* from the warm pool, or a new one */
	RUN_SERVICES, /* until they are ready; with the first part */
	RUN_STARTED,  /* until the owner has written down that it is */
	RUN_SCRIPT,   /* until the box has ended */
	RUN_AFTER,    /* the same, when only what runs always is left */
	RUN_COLLECT,  /* until the owner has taken its files out of it */
	RUN_KEEP,     /* the same, when the script waits at its end to be held */
	RUN_HOLD,     /* a failed job's box waits for who looks at it; the owner has the result */
	RUN_VERDICT,  /* until the owner has written down how the job comes out, which ends it by force */
	RUN_UNBOX,    /* the box is ended by force */
	RUN_UNSERVE,  /* the services are ended */
	RUN_UNVOLUME,
	RUN_DONE,
};

/* The box of a part that is over, on its way out. */
struct run_past {
	LIST_ENTRY(run_past) link;
	struct run *run;
	struct box *box;
};

struct run {
	struct builder_run base;
	LIST_ENTRY(run) link; /* of the place's */
	struct run_place place;
	const struct builder_job *job; /* kept: the run may outlive its owner */
	struct builder_job kept;
	struct job_spec kept_spec;
	const struct builder_events *events;
	void *arg;
	run_ended_fn *ended;
	void *ended_arg;
	enum run_state state;

	struct parts parts;
	size_t part; /* whose image is got, or that runs */
	struct pull *pull;
	struct docker_op *op; /* of the volume */
	const char *volume;   /* NULL: there is none */
	struct box *box;
	struct box *before; /* of the part before it, which tells its end again, until the box is on record */
	LIST_HEAD(, run_past) past;
	struct sandbox *sandbox; /* the box's, before and after it */
	bool is_clean;           /* the sandbox */
	struct services *services;
	struct timer *deadline; /* of the job, from RUN_VOLUME on; of RUN_AFTER and RUN_HOLD their own */
	int64_t deadline_ms;    /* since 1970 */
	struct deferred *tell;  /* the owner, in RUN_HOLD and RUN_VERDICT */
	enum run_state next;    /* after RUN_VERDICT: RUN_AFTER or RUN_UNBOX */
	struct host_labels labels;
	struct builder_limits limits;
	enum box_input input;
	struct feed feed;
	struct box_result early; /* of a box that ended in RUN_STARTED or RUN_VERDICT */
	bool has_ended_early;

	char *left;     /* the container of an earlier process; NULL: it is our own from the start */
	bool has_ended; /* that container, in which no script can be stopped */

	struct output output;
	struct verdict verdict;
};

extern const struct box_handler run_box_handler;
extern const struct service_handler run_services_handler;

struct run *run_new(const struct run_place *place, const struct builder_job *job, const struct builder_events *events,
    void *arg, run_ended_fn *ended, void *ended_arg);
/* Its slot is free then. */
void run_free(struct run *r);
/* The only place where the state changes. r may be gone when it returns. */
void run_step(struct run *r, enum run_state next);
/* To the state that the table names next. */
void run_pass(struct run *r);
/* The only way off the happy path. */
void run_fail(struct run *r, enum builder_state state, struct err err);
/* The same, with nothing more of the job. */
void run_abort(struct run *r, enum builder_state state, struct err err);
/* How the job comes out is on record before its container, which would tell it again, is touched. next: RUN_AFTER,
 * where only what runs always goes on, or RUN_UNBOX. */
void run_conclude(struct run *r, enum run_state next);
/* Though the job is over: something runs always from the present part on, or files are to be taken out of it. */
bool run_leaves_work(const struct run *r);
void run_notice(void *arg, const char *text);
unsigned run_timeout_s(const struct run *r);
struct err run_late_error(const struct run *r);
/* Nothing of the present part has run: it does in a new box. */
void run_repeat_part(struct run *r);

/* --- the states up to the script --- */

void preparation_image(struct run *r);
void preparation_pull(struct run *r);
void preparation_volume(struct run *r);
void preparation_box(struct run *r);
void preparation_services(struct run *r);
/* In the sandbox of the part before it, if there is one. */
void preparation_make_box(struct run *r);
/* Writes down the name of the workspace of several parts. */
void preparation_own_volume(struct run *r);

/* --- of a run that an earlier process began, or a later one is to go on with --- */

/* RUN_FIND. The job waits for its engine under its lease. */
void adoption_begin(struct run *r);
/* The box that was found can be read. */
void adoption_go_on(struct run *r);
/* The engine did not tell in time what is there. */
void adoption_expire(struct run *r);
/* The container that was found has ended, and the job with it or not: the rest is the run's own. */
void adoption_end(struct run *r);
/* A part has ended by itself, and that is no result of it: another attempt follows, or the part runs again. */
bool adoption_has_failed(struct run *r, const struct box_result *result);
/* See builder_detach. */
bool adoption_detach(struct builder_run *run);

#endif
