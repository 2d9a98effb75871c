/* The store itself and its operations, private to store/. An operation is a script on its way to Redis, or an answer
 * that is known already; when the reply comes, its answer function turns it into records and calls the caller's
 * callback. */
#ifndef DAVIT_STORE_OP_H
#define DAVIT_STORE_OP_H

#include <sys/queue.h>

#include "server/store/fields.h"
#include "server/store/files.h"
#include "server/store/heads.h"
#include "server/store/idempotency.h"
#include "server/store/scripts.h"
#include "server/store/store.h"

#define STORE_TIMEOUT_MS 5000
#define STORE_SUBMIT_TIMEOUT_MS 1000
#define STORE_LATE_S (4 * 24 * 3600) /* GitHub redelivers what is up to three days old */
#define STORE_REPO_CACHE 256
#define STORE_NONCES 16
#define NONCE_HEX_SIZE 33

/* What a command that was just sent is going to bring about. */
enum store_expectation { STORE_EXPECT_PLANNING, STORE_EXPECT_QUEUE, STORE_EXPECTATIONS };

/* Nonces of claims whose answers were lost: the next claims ask with them again. */
struct nonces {
	char text[STORE_NONCES][NONCE_HEX_SIZE];
	size_t count;
};

struct store {
	struct loop *loop;
	struct redis *redis;
	struct redis_watch *watch;
	struct store_conf conf; /* node is owned */
	char *node_key;         /* of the node's record */
	char epoch[24];         /* "" before store_node_register */
	char process[NONCE_HEX_SIZE];
	bool is_fenced;      /* a newer process of the node's name has started */
	const char *refusal; /* why nothing is accepted; NULL: it is */
	struct nonces lost_plans, lost_jobs;
	struct repo *cache[STORE_REPO_CACHE]; /* of repositories asked for lately, NULL: free */
	size_t cache_next;                    /* the next one to give way */
	uint64_t cache_epoch;                 /* changes whenever a repository may have changed */
	size_t ops;
	store_wake_fn *wake;
	void *wake_arg;
	struct deferred *expected[STORE_EXPECTATIONS]; /* lines that are told before Redis says them */
};

/* Called once; op is a copy on the stack, the operation itself is gone. */
typedef void store_answer_fn(const struct store_op *op, const struct redis_reply *reply, const struct err *err);

struct store_op {
	struct store *store;
	struct redis_op *redis;
	struct deferred *deferred; /* the answer is known: it comes from the loop */
	struct err err;            /* then; ERR_NONE: no reply is needed */
	store_answer_fn *answer;
	char what[REPO_ID_MAX + 16]; /* for error texts: "job 17.2" */
	struct nonces *lost;         /* of claims: where the nonce goes when the answer is lost */
	char nonce[NONCE_HEX_SIZE];
	struct repo *repo;    /* from the cache; owned */
	uint64_t cache_epoch; /* when it was asked */
	size_t each;          /* of a search for secrets: places for one name */
	union {
		store_done_fn *done;
		store_repo_fn *repo;
		store_repos_fn *repos;
		store_submit_fn *submit;
		store_build_fn *build;
		store_builds_fn *builds;
		store_claim_fn *claim;
		store_job_fn *job;
		store_jobs_fn *jobs;
		store_number_fn *number;
		store_promote_fn *promote;
		store_renew_fn *renew;
		store_forgotten_fn *forgotten;
		store_notice_fn *notice;
		store_stats_fn *stats;
		store_secrets_fn *secrets;
		store_access_tokens_fn *access_tokens;
		store_schedules_fn *schedules;
		store_due_fn *due;
		store_artifacts_fn *artifacts;
		store_reports_fn *reports;
		store_cache_fn *cache;
		store_ids_fn *ids;
		store_environment_fn *environment;
		store_environments_fn *environments;
		store_deployments_fn *deployments;
		store_poll_fn *poll;
		store_polled_fn *polled;
		store_comparison_fn *comparison;
		store_idempotency_fn *idempotency;
		store_insights_fn *insights;
		store_watches_fn *watches;
	} fn;
	void *arg;
};

/* what: printf-like, names the thing in error texts. */
struct store_op *op_new(struct store *store, store_answer_fn *answer, void *arg, const char *what, ...)
    __attribute__((format(printf, 4, 5)));
/* Sends it, unless op_answer_later has answered it already; ends args and gives op. */
struct store_op *op_send(struct store_op *op, const struct redis_script *script, struct args *args, int64_t timeout_ms);
/* Answers from the loop, with err or (ERR_NONE) neither reply nor error. */
void op_answer_later(struct store_op *op, struct err err);

/* The error that a reply means: err itself, or by the reply's first word: none, stale, final, open, nothing, full.
 * NULL: none of these. *ret has room for it. */
const struct err *op_failure(
    const struct store_op *op, const struct redis_reply *reply, const struct err *err, struct err *ret);
struct str reply_word(const struct redis_reply *reply);
/* The answer function of operations that end with a store_done_fn. */
void answer_done(const struct store_op *op, const struct redis_reply *reply, const struct err *err);

/* And of those whose number is the reply's second element. */
void answer_number(const struct store_op *op, const struct redis_reply *reply, const struct err *err);

/* A change that is to become a build, as build_new() in common/builds.lua takes it. */
void args_change(struct args *args, const struct change *change);

/* Node, nonce and lease, as every claim begins. */
void op_claim_args(struct store_op *op, struct nonces *lost, struct args *args);

/* Wakes those who claim on the loop's next turn: their claim follows the command in one pipeline, and Redis writes both
 * to disk at once. When nothing came of the command, the claim finds none. */
void store_expect(struct store *store, enum store_expectation expectation);

/* Sealed for its place ("davit:repo:app token"), so that it cannot be moved to another. NULL and "" stay "". */
char *store_seal(const struct store *store, const char *place, const char *clear);
/* In place. While keys are changed, what the older one sealed opens too; *is_old (may be NULL) says so. */
bool store_unseal(const struct store *store, const char *place, char **secret, bool *is_old, struct err *err);

/* Tells the owner, once, by the line "fenced". */
void store_fenced(struct store *store);

/* Forgets what is known of a repository; NULL: of all. */
void cache_drop(struct store *store, const char *id);

#endif
