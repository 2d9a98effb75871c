/* One job on one engine, from its image to the removal of all that was made for it. A run is of one of three
 * kinds: a script in containers (struct run, in run.c), the build of an image (image_run.c), or the list of what was
 * built for several platforms (index_run.c). */
#ifndef DAVIT_BUILDER_RUN_H
#define DAVIT_BUILDER_RUN_H

#include <sys/queue.h>

#include "server/builder/builder.h"
#include "server/builder/host.h"
#include "server/builder/pool.h"
#include "server/builder/pull.h"
#include "server/builder/sandbox.h"

struct run;

/* All of an engine, those that are held, too. */
LIST_HEAD(run_list, run);

/* Where runs take place; lent for a run's life. */
struct run_place {
	struct host *host;
	struct pulls *pulls;
	struct sandboxes *sandboxes;
	struct pool *pool;
	struct run_list *runs;
	const char *engine; /* its name */
};

/* The run has ended; it is gone. Called in front of events->done, so that its slot is free by then. */
typedef void run_ended_fn(void *arg);

/* What all kinds begin with. */
struct builder_run {
	const struct run_kind {
		void (*go)(struct builder_run *run); /* the answer to events->started, and verdict */
		/* done follows, after what runs always. why: for people. A second time, or for a held job: as end.
		 * NULL: nothing runs always. */
		void (*cancel)(struct builder_run *run, const char *why);
		/* The same without anything more of the job; BUILDER_CANCELLED or BUILDER_AGAIN. */
		void (*end)(struct builder_run *run, enum builder_state state, const char *why);
		/* See builder_detach. NULL: never. */
		bool (*detach)(struct builder_run *run);
	} * kind;
};

/* job, events and place are lent until events->done. */
struct builder_run *run_start(const struct run_place *place, const struct builder_job *job,
    const struct builder_events *events, void *arg, run_ended_fn *ended, void *ended_arg);
/* One that an earlier process left, as soon as its engine has said what is there; before that nothing is asked of the
 * engine. left is copied. See builder_adopt. */
struct builder_run *run_adopt(const struct run_place *place, const struct builder_job *job,
    const struct builder_left *left, const struct builder_events *events, void *arg, run_ended_fn *ended,
    void *ended_arg);
/* It waits for run_found: all containers of the engine that are this node's. */
bool run_is_left(const struct run *run);
void run_found(struct run *run, const struct docker_list *containers);
/* For builder_collect, builder_leave and builder_forget: of a script. */
struct collect *run_collect(struct builder_run *run, const struct strings *patterns,
    const struct collect_limits *limits, const struct collect_handler *handler, void *arg);
void run_leave(struct builder_run *run);
bool run_forget(struct builder_run *run);

/* --- scripts, which can be held --- */

void run_end(struct run *run, const char *why);
/* Its owner hears nothing more of it: it is held, or what is left of it is being removed. Only run_end is left. */
bool run_is_forgotten(const struct run *run);
/* For who looks at it. */
bool run_is_held(const struct run *run);
const char *run_job(const struct run *run);
/* The container in which its script is; NULL: there is none. */
const char *run_container(const struct run *run);
struct run *run_next(const struct run *run);

#endif
