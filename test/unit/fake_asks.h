/* Stands in for store/ and the planner before the rest of scheduler/: a question is kept until the test answers it,
 * or whoever asked takes it back. Records have no more texts than the scheduler reads. */
#ifndef DAVIT_TEST_FAKE_ASKS_H
#define DAVIT_TEST_FAKE_ASKS_H

#include <sys/queue.h>

#include "server/scheduler/planner.h"
#include "server/store/store.h"

enum ask_kind {
	ASK_REGISTER,
	ASK_RUNNING,
	ASK_CLAIM,
	ASK_ADOPT,
	ASK_PROMOTE,
	ASK_REQUEUE,
	ASK_RENEW,
	ASK_PLAN_CLAIM,
	ASK_REPO,
	ASK_PLAN, /* of the planner */
	ASK_PLAN_COMMIT,
	ASK_ENVIRONMENTS,
	ASK_PLANNED,
	ASK_PLAN_FAILED,
};

/* A question, as store_ and planner_ functions return it. */
struct store_op {
	TAILQ_ENTRY(store_op) link;
	struct store *store;
	enum ask_kind kind;
	void *fn, *arg;
	char id[JOB_ID_MAX]; /* of the build, job or repository */
	char token[40];
	char reason[256];  /* of a plan: why its first job's environment does not take it */
	int64_t number;    /* the delay, the state, or how many leases */
	char leases[4096]; /* "17 17.2 " */
};

struct store {
	TAILQ_HEAD(, store_op) asks; /* in the order of asking */
	unsigned taken_back;
};

void fake_asks_init(struct store *store);
/* Questions without an answer. */
unsigned fake_asks_count(const struct store *store);
/* The oldest of its kind, NULL: none. */
struct store_op *asked(struct store *store, enum ask_kind kind);

/* Each answers the oldest question of its kind, which there must be. */
void answer_error(struct store *store, enum ask_kind kind, enum err_code code);
void answer_done(struct store *store, enum ask_kind kind);
void answer_registered(struct store *store);
/* ids: "1.1 2.1"; tokens are "token of 1.1". */
void answer_running(struct store *store, const char *ids);
void answer_promoted(struct store *store, const char *ids, int64_t next_ms);
/* NULL: there is none. */
void answer_claim(struct store *store, const char *id, const char *token);
/* The job is that of the question. */
void answer_adopt(struct store *store);
void answer_plan_claim(struct store *store, int64_t build, const char *token);
void answer_repo(struct store *store);
/* reason "": a plan. */
void answer_plan(struct store *store, enum build_state state, const char *reason);
/* A plan of one job, which deploys to "live". */
void answer_plan_deploys(struct store *store);
/* The repository has the environment "live", which takes it or not. */
void answer_environments(struct store *store, bool takes);
/* As answer_plan, and what the build is of was found out. */
void answer_plan_of(struct store *store, const char *commit, const char *built, const char *reason);
/* The same for all leases but for those of id (NULL: none), which get state. */
void answer_renew(struct store *store, const char *id, enum store_lease_state state);

#endif
