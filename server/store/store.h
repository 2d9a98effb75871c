/* The store: everything that Davit remembers, in Redis. Each transition is one Lua script (scripts/redis/), idempotent,
 * on disk before the callback says so; doc/redis-keys.md shows the keys.
 *
 * Functions return the operation, which ends with its one callback or with store_cancel (loop.h has the contract; what
 * was cancelled may still be executed). Deadlines: 1 s for store_submit, 5 s for the rest.
 * Errors that every callback may get: ERR_UNAVAILABLE (Redis is away or too much is in flight), ERR_TIMEOUT (in both
 * cases it may have been executed: do it again), ERR_REFUSED (Redis says no), ERR_PROTO. Further ones are named below:
 * ERR_NOT_FOUND (no such repository, build, job) and ERR_CONFLICT (the token is stale, or the state does not allow it).
 * Records in callbacks are handed over, see records.h; on an error the record is NULL or the list empty. */
#ifndef DAVIT_STORE_STORE_H
#define DAVIT_STORE_STORE_H

#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/insights.h"
#include "proto/plan.h"
#include "proto/secret.h"
#include "proto/str.h"
#include "server/store/records.h"

struct loop;
struct redis;
struct store;
struct store_op;

#define STORE_LIST_MAX 100

struct store_conf {
	const char *node;                          /* this daemon's name, as a repository's id */
	unsigned char seal_key[SEAL_KEY_SIZE];     /* seals secrets and tokens (AES-256-GCM) */
	unsigned char old_seal_key[SEAL_KEY_SIZE]; /* with has_old_seal_key: opens what is not sealed anew yet */
	bool has_old_seal_key;
	int64_t lease_ms;     /* of claims; 0: 30,000. Renew at a third of it */
	int64_t max_planning; /* builds accepted and not planned; 0: 10,000 */
};

/* redis must outlive the store; conf is copied. */
struct store *store_new(struct loop *loop, struct redis *redis, const struct store_conf *conf);
/* No operation may be in flight. Accepts NULL. */
void store_free(struct store **store);
/* Accepts NULL inside. */
void store_cancel(struct store_op **op);
/* From now on store_submit gets ERR_UNAVAILABLE with this reason (lent until the next call); NULL: no more. */
void store_refuse(struct store *store, const char *why);
/* Another text in every process, of letters and digits. */
const char *store_process(const struct store *store);
/* Whether Redis is connected, checked and heard. */
bool store_is_up(const struct store *store);

/* What happens in the store, on this daemon or another one, as a line of words:
 *   "planning"  a build waits to be planned      "queue"   a job waits for a slot, or a slot became free
 *   "cron"      a schedule was added or changed
 *   "watch"     an environment follows a tag now
 *   "access_tokens"  one was added, changed or removed
 *   "poll"      a repository is new, or lies elsewhere
 *   "outbox"    a notice waits                   "delayed" something was put off: ask store_promote when it is due
 *   "repo ID"   it was changed or deleted
 *   "build 17 running", "job 17.2 running"       the new state; also "job 17.2 queued" for a further attempt
 *   "cancel 17.2"  a running job is to end
 *   "up"        Redis is there (again): whatever was said meanwhile was missed, look at everything
 *   "down"      Redis is away
 *   "fenced"    a newer daemon of our node's name has started: nothing is answered to us any more but ERR_CONFLICT
 * "planning" and "queue" come once more when a command of ours that brings them about is sent, so that the claim
 * follows it in one pipeline and Redis's disk is waited for once. One listener: app.c hands the lines on. Not called
 * before this function returns. */
typedef void store_wake_fn(void *arg, const char *line);
void store_on_wake(struct store *store, store_wake_fn *fn, void *arg);

typedef void store_done_fn(void *arg, const struct err *err);

/* --- repositories --- */

/* Adds or replaces it; running and created_ms are the store's. ERR_INPUT when the id is not valid. */
struct store_op *store_repo_put(struct store *store, const struct repo *repo, store_done_fn *fn, void *arg);
/* From memory when it was asked for lately. ERR_NOT_FOUND. */
typedef void store_repo_fn(void *arg, struct repo *repo, const struct err *err);
struct store_op *store_repo_get(struct store *store, const char *id, store_repo_fn *fn, void *arg);
/* By id. Secrets and tokens are left out (""). */
typedef void store_repos_fn(void *arg, struct repo_list repos, const struct err *err);
struct store_op *store_repo_list(struct store *store, store_repos_fn *fn, void *arg);
/* Its builds stay until store_prune takes them. ERR_NOT_FOUND; ERR_CONFLICT while a build of it is not finished. */
struct store_op *store_repo_delete(struct store *store, const char *id, store_done_fn *fn, void *arg);

/* --- access tokens --- */

#define STORE_ACCESS_TOKENS_MAX 1000

/* Adds it, or replaces what its name had; created_ms is the store's. ERR_INPUT; ERR_LIMIT. */
struct store_op *store_access_token_put(
    struct store *store, const struct access_token *token, store_done_fn *fn, void *arg);
/* ERR_NOT_FOUND. */
struct store_op *store_access_token_delete(struct store *store, const char *name, store_done_fn *fn, void *arg);
/* All, by name. */
typedef void store_access_tokens_fn(void *arg, struct access_token_list tokens, const struct err *err);
struct store_op *store_access_tokens(struct store *store, store_access_tokens_fn *fn, void *arg);

/* --- secrets (proto/secret.h) --- */

#define STORE_SECRETS_MAX 200 /* of one owner */

/* Adds or replaces it, with its rules; times are the store's. ERR_INPUT; ERR_NOT_FOUND when its repository is not
 * there; ERR_LIMIT. */
struct store_op *store_secret_put(struct store *store, const struct secret *secret, store_done_fn *fn, void *arg);
/* Without values. Of one owner, or with owner NULL of all, sorted by scope, owner and name. */
typedef void store_secrets_fn(void *arg, struct secret_list secrets, const struct err *err);
struct store_op *store_secret_list(
    struct store *store, enum secret_scope scope, const char *owner, store_secrets_fn *fn, void *arg);
/* ERR_NOT_FOUND. */
struct store_op *store_secret_delete(
    struct store *store, enum secret_scope scope, const char *owner, const char *name, store_done_fn *fn, void *arg);

/* Who looks for secrets: NULL for a scope that there is not. */
struct store_secret_owners {
	const char *owner[SECRET_SCOPES];
};

/* For each name the secret that stands nearest, in clear; one without a name where there is none. ERR_AUTH when a value
 * does not open. */
struct store_op *store_secret_find(struct store *store, const struct store_secret_owners *owners,
    const char *const *names, size_t count, store_secrets_fn *fn, void *arg);

/* From now on this key seals; old (NULL: none) still opens what it has sealed. */
void store_set_seal_keys(struct store *store, const unsigned char *key, const unsigned char *old);

/* Seals anew all that the old key has sealed. Without an error nothing is left of it but `lost` values, which neither
 * key opens; with one some may be, and it may be asked again. */
struct store_reseal;
typedef void store_resealed_fn(void *arg, unsigned sealed, unsigned lost, const struct err *err);
struct store_reseal *store_reseal_start(struct store *store, store_resealed_fn *fn, void *arg);
/* Accepts NULL inside. */
void store_reseal_cancel(struct store_reseal **reseal);

/* --- a change becomes a build --- */

enum store_submit_result {
	STORE_NEW,       /* build is the new one's number */
	STORE_DUPLICATE, /* known by its delivery or by its body: build is the older one */
	STORE_CONFLICT,  /* the delivery's id is known with another body */
	STORE_FULL,      /* too many builds wait to be planned: 503 */
	STORE_NO_REPO,
};

struct store_submitted {
	enum store_submit_result result;
	int64_t build;
};

/* A fork's change waits for an approval (BUILD_WAITING) unless its repository allows forks; it takes the place of one
 * that waits on the same ref. change->commit may be missing: store_plan_commit comes later.
 * delivery: the forge's id of it, any bytes, empty for none; body_sha256: 64 hex digits of the raw body, NULL for none
 * (a manual submit, which is never a duplicate unless by its delivery). change is read before the function returns. */
typedef void store_submit_fn(void *arg, const struct store_submitted *submitted, const struct err *err);
struct store_op *store_submit(struct store *store, const char *repo, const struct change *change, struct str delivery,
    const char *body_sha256, store_submit_fn *fn, void *arg);

/* --- planning --- */

/* The oldest build that is not planned, with its change; NULL when there is none. Its token goes with what follows;
 * store_renew it. One that is lost with its node comes back by store_promote, three times. */
typedef void store_build_fn(void *arg, struct build *build, const struct err *err);
struct store_op *store_plan_claim(struct store *store, store_build_fn *fn, void *arg);
/* What the build is of was found out: the commit that its ref is at, where the change did not say; and the merge that
 * is built instead. ERR_CONFLICT as with store_planned. */
struct store_commit {
	const char *ref; /* "refs/heads/...": the default branch, of a build of CHANGE_REF_DEFAULT; NULL for others */
	const char *commit;
	const char *base; /* "" unless it is built merged */
	const char *built;
};

struct store_op *store_plan_commit(struct store *store, int64_t build, const char *token,
    const struct store_commit *commit, store_done_fn *fn, void *arg);
/* The jobs enter the queue, or wait for those that they need; those whose conditions leave them out are skipped.
 * ERR_CONFLICT when it was cancelled or is no longer ours; then drop the plan. ERR_INPUT when the plan takes it for
 * the repository's first build of an image and it is not. A plan without jobs ends the build as passed. */
struct store_op *store_planned(
    struct store *store, int64_t build, const char *token, const struct plan *plan, store_done_fn *fn, void *arg);
/* Ends the build in a final state, with the reason that people see. ERR_CONFLICT as above. */
struct store_op *store_plan_failed(struct store *store, int64_t build, const char *token, enum build_state state,
    const char *reason, store_done_fn *fn, void *arg);

/* --- jobs --- */

/* The next job in fair order whose repository is below its limit and whose labels one of the offers has, with its build
 * and the build's change; both NULL when there is none. offers: the labels of each engine with a free slot, as
 * proto/labels.h writes them; read before the function returns. An answer that was lost is given again by the next
 * call, whatever is offered then. */
typedef void store_claim_fn(void *arg, struct job *job, struct build *build, const struct err *err);
struct store_op *store_job_claim(
    struct store *store, const char *const *offers, size_t count, store_claim_fn *fn, void *arg);
/* The container exists, on that engine; the job's first (progress ""), or the next, with how far it came before it
 * (proto/progress.h). images: that it deploys, "" for none; kind: of the environment to which it
 * brings an application, "" for none. ERR_CONFLICT: the token is stale, remove the container. */
struct store_op *store_job_started(struct store *store, const char *job, const char *token, const char *container,
    const char *engine, const char *progress, const char *images, const char *kind, store_done_fn *fn, void *arg);

/* It has built an image, with that id, on that engine. ERR_CONFLICT: the token is stale. */
struct store_op *store_job_built(struct store *store, const char *job, const char *token, const char *engine,
    const char *image, store_done_fn *fn, void *arg);

struct store_job_result {
	enum job_state state; /* a final one */
	int64_t exit_code;    /* -1: none */
	const char *reason;   /* "" or why, one line */
	int64_t log_bytes;
	const char *images; /* that it made, see proto/built_image.h; NULL: none */
};

/* How the job will come out, whatever becomes of its container: from now on every way to its end leads there, also that
 * of store_job_requeue. log_bytes and
 * images do not count. ERR_CONFLICT: the token is stale. */
struct store_op *store_job_verdict(struct store *store, const char *job, const char *token,
    const struct store_job_result *result, store_done_fn *fn, void *arg);
/* Ends the job, or lets it be tried again when its pipeline says so. At its end those that need it go on or are
 * skipped, and with the last one the build ends. The same call again is no error, after a retry ERR_CONFLICT as for any
 * stale token. */
struct store_op *store_job_finished(struct store *store, const char *job, const char *token,
    const struct store_job_result *result, store_done_fn *fn, void *arg);
/* A job that an earlier process of this node has claimed is ours now, under the same token; its lease is renewed.
 * ERR_CONFLICT: it is not to be had any more. */
struct store_op *store_job_adopt(
    struct store *store, const char *job, const char *token, store_claim_fn *fn, void *arg);
/* Back into the queue after delay_ms with attempt + 1, once it is sure that its container is gone. A job that is to be
 * cancelled ends instead. ERR_CONFLICT: the token is stale. */
struct store_op *store_job_requeue(struct store *store, const char *job, const char *token, int64_t delay_ms,
    const char *reason, store_done_fn *fn, void *arg);
/* Complete. ERR_NOT_FOUND. */
typedef void store_job_fn(void *arg, struct job *job, const struct err *err);
struct store_op *store_job_get(struct store *store, const char *job, store_job_fn *fn, void *arg);
/* All that wait for a slot, in the order in which they will be claimed, then those held by their repository's limit,
 * then the delayed ones, then those that wait for jobs of their build or of their group. waits_for says why; without
 * specs; at most STORE_LIST_MAX. */
typedef void store_jobs_fn(void *arg, struct job_list jobs, const struct err *err);
struct store_op *store_queue(struct store *store, store_jobs_fn *fn, void *arg);
/* The jobs claimed by a node (NULL: by any), to be adopted after a restart; without specs. */
struct store_op *store_running(struct store *store, const char *node, store_jobs_fn *fn, void *arg);

/* --- builds --- */

/* The newest first, below number `before` (0: from the newest on), of one repository or (NULL) of all; without jobs. */
typedef void store_builds_fn(void *arg, struct build_list builds, const struct err *err);
struct store_op *store_builds(
    struct store *store, const char *repo, int64_t before, unsigned limit, store_builds_fn *fn, void *arg);
/* With change and jobs (these without specs). ERR_NOT_FOUND. */
struct store_op *store_build_get(struct store *store, int64_t build, store_build_fn *fn, void *arg);
/* Waiting and queued jobs and a planning build end at once, running jobs are asked to ("cancel 17.2"). Cancelling a
 * cancelled build is no error. ERR_NOT_FOUND; ERR_CONFLICT when it has ended otherwise. */
struct store_op *store_build_cancel(struct store *store, int64_t build, store_done_fn *fn, void *arg);
struct store_op *store_job_cancel(struct store *store, const char *job, store_done_fn *fn, void *arg);
/* A waiting build is planned, or ends as cancelled. Done already is no error. ERR_NOT_FOUND; ERR_CONFLICT when it does
 * not wait; ERR_LIMIT as STORE_FULL. who: in words, for people. */
struct store_op *store_build_approve(struct store *store, int64_t build, const char *who, store_done_fn *fn, void *arg);
struct store_op *store_build_reject(struct store *store, int64_t build, const char *who, store_done_fn *fn, void *arg);
/* A pull request's ref: its build that waits for an approval is cancelled, and of builds that have not begun the jobs
 * that a newer one of their group would cancel. The number says of how many builds. */
typedef void store_number_fn(void *arg, int64_t number, const struct err *err);
struct store_op *store_pull_close(
    struct store *store, const char *repo, const char *ref, store_number_fn *fn, void *arg);
/* A new build of the same change. which: "" for all, planned anew; "failed", or a job's number, for these and all that
 * need them, the others being taken over as they ended (job.reused_from). Asked again while that one is not finished,
 * it is the same one. ERR_NOT_FOUND; ERR_CONFLICT while the old one or another rerun of it is not finished, or when
 * nothing of it has failed; ERR_LIMIT as STORE_FULL. */
struct store_op *store_build_rerun(
    struct store *store, int64_t build, const char *which, store_number_fn *fn, void *arg);

/* --- schedules --- */

/* Adds or replaces it; last_ms and last_build are the store's. ERR_INPUT: the name is not valid; ERR_NOT_FOUND: no such
 * repository; ERR_LIMIT: it has 100 already. */
struct store_op *store_schedule_put(struct store *store, const struct schedule *schedule, store_done_fn *fn, void *arg);
/* ERR_NOT_FOUND. */
struct store_op *store_schedule_delete(
    struct store *store, const char *repo, const char *name, store_done_fn *fn, void *arg);
/* Those of a repository, by name. */
typedef void store_schedules_fn(void *arg, struct schedule_list schedules, const struct err *err);
struct store_op *store_schedules(struct store *store, const char *repo, store_schedules_fn *fn, void *arg);

/* Those that are due, at most STORE_LIST_MAX. */
struct store_due {
	struct schedule_list schedules; /* handed over */
	int64_t now_ms;                 /* by Redis' clock */
	int64_t next_ms;                /* from now until one is due; -1: there is none */
};

typedef void store_due_fn(void *arg, struct store_due due, const struct err *err);
struct store_op *store_schedules_due(struct store *store, store_due_fn *fn, void *arg);
/* One that is due becomes a build and has another time, in one step: whoever comes second gets ERR_CONFLICT. The number
 * is the build's. ERR_LIMIT as STORE_FULL: it stays due. */
struct store_op *store_schedule_fire(struct store *store, const struct schedule *schedule, int64_t next_ms,
    const struct change *change, store_number_fn *fn, void *arg);

/* --- environments and deployments (proto/environment.h) --- */

/* Adds it, or with is_new false changes it. ERR_INPUT: the name is not valid; ERR_NOT_FOUND: no such repository or
 * environment; ERR_CONFLICT: it is there already; ERR_LIMIT: the repository has 100. */
struct store_op *store_environment_put(
    struct store *store, const struct environment *environment, bool is_new, store_done_fn *fn, void *arg);
/* ERR_NOT_FOUND. */
typedef void store_environment_fn(void *arg, struct environment *environment, const struct err *err);
struct store_op *store_environment_get(
    struct store *store, const char *repo, const char *name, store_environment_fn *fn, void *arg);
/* By name; deployments[i] is what environments[i] has now, of number 0 when there is nothing. */
typedef void store_environments_fn(
    void *arg, struct environment_list environments, struct deployment_list deployments, const struct err *err);
struct store_op *store_environments(struct store *store, const char *repo, store_environments_fn *fn, void *arg);
/* With its history and secrets. ERR_NOT_FOUND; ERR_CONFLICT while a deployment has not ended. */
struct store_op *store_environment_delete(
    struct store *store, const char *repo, const char *name, store_done_fn *fn, void *arg);
/* Whether the environment's rules let the build be deployed there; else *why says why not, for people. */
bool environment_takes(const struct environment *environment, const struct build *build, struct err *why);
/* Locked, nothing is deployed to it but what has its turn already; who "": it is unlocked, and the first that waits has
 * its turn. ERR_NOT_FOUND. */
struct store_op *store_environment_lock(struct store *store, const char *repo, const char *name, const char *who,
    const char *reason, store_done_fn *fn, void *arg);
/* Its history, the newest first, below number `before` (0: from the newest on). ERR_NOT_FOUND. */
typedef void store_deployments_fn(void *arg, struct deployment_list deployments, const struct err *err);
struct store_op *store_deployments(struct store *store, const char *repo, const char *name, int64_t before,
    unsigned limit, store_deployments_fn *fn, void *arg);
/* A job that waits for an approval to deploy has it, or ends as cancelled. Done already is no error. ERR_NOT_FOUND;
 * ERR_CONFLICT when it does not wait. who: in words, for people. */
struct store_op *store_job_approve(struct store *store, const char *job, const char *who, store_done_fn *fn, void *arg);
struct store_op *store_job_reject(struct store *store, const char *job, const char *who, store_done_fn *fn, void *arg);
/* Those jobs of a finished build that deploy to the environment run in a new build, of the event deploy, whatever the
 * conditions of the old one's event said of them; the others are taken over. That a person asks for it is the approval.
 * redeploys: the deployment that is made again by it; 0: none. While it is not finished, asking for the same again
 * gives the same build. ERR_NOT_FOUND when no job of it deploys there; ERR_CONFLICT while the old one is not finished,
 * or when the jobs lack something (deploy_spec.lacks); ERR_LIMIT as STORE_FULL. */
struct store_op *store_build_deploy(struct store *store, int64_t build, const char *environment, const char *person,
    int64_t redeploys, store_number_fn *fn, void *arg);
/* The same of what nobody asked for, by what stands in person's place; it waits for an approval where the environment
 * or the job wants one. */
struct store_op *store_build_follow(
    struct store *store, int64_t build, const char *environment, const char *cause, store_number_fn *fn, void *arg);
/* Environments whose tag is to be asked about, at most `limit` of them, each with the deployment that it has (number 0:
 * none). They are the caller's for wait_ms, and due again then. */
struct store_watches {
	struct environment_list environments; /* handed over, as is the next */
	struct deployment_list deployments;
	int64_t next_ms; /* until the next is due; -1: there is none */
};
typedef void store_watches_fn(void *arg, struct store_watches watches, const struct err *err);
struct store_op *store_watches_due(
    struct store *store, unsigned limit, int64_t wait_ms, store_watches_fn *fn, void *arg);
/* Where the tag that the environment follows is, or in error why that is not known; the other is "". ERR_NOT_FOUND: it
 * does not follow it any more. */
struct store_op *store_watch_seen(struct store *store, const struct environment *environment, const char *digest,
    const char *error, store_done_fn *fn, void *arg);
/* Something was pushed under these names, "REPOSITORY:TAG" of any registry: environments that follow such a tag are
 * due, each at most once in a second. */
struct store_op *store_watch_told(struct store *store, const struct strings *names, store_done_fn *fn, void *arg);
/* The one deployment that a rollback makes again. ERR_NOT_FOUND; ERR_CONFLICT: there is none. */
struct store_op *store_rollback_find(
    struct store *store, const char *repo, const char *name, store_deployments_fn *fn, void *arg);

/* --- time --- */

/* Moves what is due into the queue, puts builds back whose planner is gone, and gives the jobs whose lease has run
 * out: their leases are prolonged once, for the caller to look at the engine and to requeue, finish or adopt them. */
struct store_promoted {
	struct job_list expired; /* without specs; handed over */
	int64_t next_ms;         /* from now until something is due or a lease runs out; -1: nothing */
};

typedef void store_promote_fn(void *arg, struct store_promoted promoted, const struct err *err);
struct store_op *store_promote(struct store *store, store_promote_fn *fn, void *arg);

enum store_lease_state {
	STORE_LEASE_OK,
	STORE_LEASE_CANCEL, /* ours, and somebody wants it to end */
	STORE_LEASE_LOST,   /* the token is stale: drop the work */
};

struct store_lease {
	const char *id; /* "17" (planning) or "17.2" */
	const char *token;
};

/* Prolongs this node's claims and its own heartbeat (also with count 0). states[i] belongs to leases[i], for the
 * callback's duration; at most STORE_LIST_MAX. ERR_NOT_FOUND: the node's record is lost, register again. */
typedef void store_renew_fn(void *arg, const enum store_lease_state *states, size_t count, const struct err *err);
struct store_op *store_renew(struct store *store, const char *labels, const struct store_lease *leases, size_t count,
    store_renew_fn *fn, void *arg);

/* Forgets finished builds but the newest `keep` of each repository, at most STORE_LIST_MAX a call. What it gives is
 * gone from Redis: remove the logs. When count is STORE_LIST_MAX, call again. For the callback's duration. */
typedef void store_forgotten_fn(void *arg, const int64_t *builds, size_t count, const struct err *err);
struct store_op *store_prune(struct store *store, int64_t keep, store_forgotten_fn *fn, void *arg);
/* Which of these (at most STORE_LIST_MAX) were forgotten, by whichever daemon. */
struct store_op *store_build_unknown(
    struct store *store, const int64_t *builds, size_t count, store_forgotten_fn *fn, void *arg);

/* --- outbox: at least once, in order within a target --- */

/* The oldest notice of the target that is due first. It stays at its target's head, and the target is ours for
 * lease_ms; ack, retry, fanout or drop it. NULL when none is due; then next_ms is the time until one is, -1: never. */
typedef void store_notice_fn(void *arg, struct notice *notice, int64_t next_ms, const struct err *err);
struct store_op *store_outbox_claim(struct store *store, store_notice_fn *fn, void *arg);
/* It was delivered. The following three are no error when it is gone already. */
struct store_op *store_outbox_ack(struct store *store, const struct notice *notice, store_done_fn *fn, void *arg);
/* It was not: again after delay_ms; attempts + 1. */
struct store_op *store_outbox_retry(struct store *store, const struct notice *notice, int64_t delay_ms,
    const char *error, store_done_fn *fn, void *arg);
/* It will never be: onto the list of dead ones (the last 1,000 are kept), the next of its target follows. */
struct store_op *store_outbox_drop(
    struct store *store, const struct notice *notice, const char *error, store_done_fn *fn, void *arg);

struct store_fanout {
	const char *target; /* 1..200 bytes of printable ASCII without blanks: status:17, mail:a@b.example */
	const char *kind;
	const char *payload;
};

/* Replaces an event by one notice for each target, atomically (count 0: an ack). build and state are taken over. */
struct store_op *store_outbox_fanout(struct store *store, const struct notice *event,
    const struct store_fanout *notices, size_t count, store_done_fn *fn, void *arg);

/* --- nodes and figures --- */

struct store_node {
	const char *url; /* where other nodes reach this one */
	const char *version;
	const char *engines; /* in words */
	const char *labels;  /* those of each engine, with semicolons between */
};

/* Once at start, before the first claim: a new epoch, after which an older process of the same node gets nothing
 * but ERR_CONFLICT; builds that it was planning are planned again. The number is the epoch. */
struct store_op *store_node_register(
    struct store *store, const struct store_node *node, store_number_fn *fn, void *arg);

struct store_stats {
	int64_t repos;
	int64_t builds;
	int64_t planning;
	int64_t queued;
	int64_t held;
	int64_t delayed;
	int64_t running; /* jobs and plannings under a lease */
	int64_t outbox;  /* targets with notices */
	int64_t dead;    /* notices */
	int64_t nodes;
};

/* Of the last `days` days (at most INSIGHTS_DAYS_MAX), today among them: first of the repository, then of each of its
 * environments; of at most so many of both. repo NULL: of all repositories, by name. The list is handed over.
 * ERR_NOT_FOUND. */
typedef void store_insights_fn(void *arg, struct insights_list list, const struct err *err);
struct store_op *store_insights(
    struct store *store, const char *repo, unsigned days, unsigned most, store_insights_fn *fn, void *arg);

typedef void store_stats_fn(void *arg, const struct store_stats *stats, const struct err *err);
struct store_op *store_stats(struct store *store, store_stats_fn *fn, void *arg);

#endif
