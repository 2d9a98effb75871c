/* What release.c gives to the kinds of destination beside it (engine_release.c, swarm_release.c), which embed struct
 * release as their first member: what goes before the work and comes behind it. The work itself is the kind's. */
#ifndef DAVIT_DELIVERY_RELEASE_PRIVATE_H
#define DAVIT_DELIVERY_RELEASE_PRIVATE_H

#include "proto/buf.h"
#include "proto/rollout.h"
#include "server/delivery/release.h"
#include "server/delivery/resolve.h"

struct deferred;
struct timer;

/* Each of enter_* ends, now or later, in release_pass or in one of the ends below. */
struct release_kind {
	size_t size;
	const char *old; /* for people: "the old containers" */
	void (*init)(struct release *d);
	/* Whether that application can be there at all. Nothing is changed. */
	void (*enter_check)(struct release *d);
	/* Goes on in d->rollout.way, from what is there. Passes to nowhere: ends in release_commit or release_finish.
	 */
	void (*enter_work)(struct release *d);
	/* The last lines of what has failed, to release_on_log. */
	void (*enter_logs)(struct release *d);
	void (*halt)(struct release *d);          /* what waits, waits no more */
	int64_t (*base)(const struct release *d); /* the deployment that there is to go back to; 0: none */
	void (*fini)(struct release *d);
};
extern const struct release_kind release_engine_kind, release_swarm_kind;

enum {
	RELEASE_LOG_LINES = 20, /* of a container that did not prove itself */
	RELEASE_LABELS = 7,
};

enum release_step {
	RELEASE_ENGINE,  /* its version, which is how it is known that it answers */
	RELEASE_CHECK,   /* of the kind */
	RELEASE_IMAGES,  /* of each service */
	RELEASE_STARTED, /* until the owner has written it down */
	RELEASE_WORK,    /* of the kind, in one of the three ways */
	RELEASE_LOGS,    /* of what failed */
	RELEASE_VERDICT, /* until the owner has written it down */
	RELEASE_AWAY,    /* the engine is asked again soon */
	RELEASE_DONE,
};

struct release {
	const struct release_kind *kind;
	struct destinations *destinations;
	const struct destination *destination;
	const struct release_job *job;
	const struct release_events *events;
	void *arg;
	enum release_step state;
	struct timer *timer;    /* of RELEASE_AWAY */
	struct timer *deadline; /* of the way */
	struct docker_op *op;   /* of the state */
	struct resolve *resolve;
	struct deferred *begin, *next; /* next: the state has nothing to wait for */
	char *prefix;                  /* of the names of containers, volumes and networks: "boat.production." */
	struct strings ids;            /* the image's of each service */
	struct strings references;     /* likewise, NAME@DIGEST where it came from a registry */
	struct buf images;             /* the lines that tell of them */
	struct resolve_spec wanted;
	struct rollout rollout;
	struct env env; /* of the service that is brought there */
	struct buf log;
	struct release_result result;
	bool is_begun;     /* something may have been changed */
	bool has_verdict;  /* result is how it comes out */
	bool is_cancelled; /* before it had begun; result says why */
	bool was_away;     /* it was said that the engine does not answer */
	unsigned trouble;
};

struct loop *release_loop(const struct release *d);
void release_say(struct release *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The state has nothing (more) to do. */
void release_pass(struct release *d);
/* Whether a reply is good. If not, d has gone on its way: away, or to its failure. */
bool release_holds(struct release *d, const struct err *err);
/* The work goes on soon, from what is there then. */
void release_again(struct release *d);
/* Whether the engine is not there, rather than against it. */
bool release_is_away(const struct err *err);
void release_away(struct release *d, const struct err *err);
/* What fails, is cancelled or takes too long. d may be gone when it returns. */
void release_fail(struct release *d, enum release_state state, struct err err);
/* Forward: everything is well. */
void release_commit(struct release *d);
/* The other two ways: there is nothing left to do. */
void release_finish(struct release *d);
/* Ends what the state waits for, the kind's too. */
void release_halt(struct release *d);
void release_on_log(void *arg, enum docker_stream stream, struct str bytes);
/* The logs are told; free on both ways, good and bad. */
void release_on_logs(void *arg, const union docker_result *result, const struct err *err);

char *release_application(const struct release *d); /* "boat/production"; free() it */
/* d->env is what the service's variables come to. False: it has failed. */
bool release_make_env(struct release *d, const struct application_service *service);

/* The labels of what is made for a service; replica 0: of none. */
struct release_labels {
	struct docker_label items[RELEASE_LABELS];
	size_t count;
	char *application;
	char replica[16], deployment[24];
};
void release_labels_init(struct release_labels *labels, const struct release *d, const char *service, unsigned replica);
void release_labels_fini(struct release_labels *labels);

#endif
