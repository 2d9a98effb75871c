/* A store on a real Redis, and its operations as calls that wait: each runs the loop until the callback came, keeps
 * what it was given in `got`, and returns the error's code. */
#ifndef DAVIT_TEST_STORE_FIXTURE_H
#define DAVIT_TEST_STORE_FIXTURE_H

#include "server/store/files.h"
#include "server/store/heads.h"
#include "server/store/store.h"
#include "test/component/redis_fixture.h"

struct got {
	struct err err;
	struct store_submitted submitted;
	struct repo *repo;
	struct build *build;
	struct job *job;
	struct notice *notice;
	struct repo_list repos;
	struct build_list builds;
	struct job_list jobs;
	struct secret_list secrets;
	struct access_token_list access_tokens;
	struct artifact_list artifacts;
	struct test_report_list reports;
	struct cache *cache;
	struct id_list ids;
	int64_t number; /* also next_ms */
	enum store_lease_state states[STORE_LIST_MAX];
	int64_t forgotten[STORE_LIST_MAX];
	size_t count;
	struct store_stats stats;
	struct schedule_list schedules;
	struct environment *environment;
	struct environment_list environments;
	struct deployment_list deployments;
	struct insights_list insights;
	int64_t now_ms; /* of schedules_due */
	struct store_poll poll;
	struct store_comparison comparison;
};

struct store_fixture {
	struct loop *loop;
	bool shared_loop;
	const char *labels; /* of the node's engines, when it is registered; NULL: none */
	struct redis *redis;
	struct store *store;
	struct got got;
	struct store_op *op;
	char words[16384]; /* the wake lines, each with a newline */
	const char *awaited;
};

/* Connects and registers as node. */
void store_fixture_start(struct store_fixture *f, const struct redis_fixture *redis, const char *node);
/* The same in the loop of another one. */
void store_fixture_join(
    struct store_fixture *f, struct loop *loop, const struct redis_fixture *redis, const char *node);
void store_fixture_stop(struct store_fixture *f);
/* Runs the loop until the wake line came, unless it stands in words already. */
void await_word(struct store_fixture *f, const char *line);
void got_clear(struct store_fixture *f);
/* Takes it out of got, where the next call would free it. */
struct build *take_build(struct store_fixture *f);
struct store_comparison take_comparison(struct store_fixture *f);
struct job *take_job(struct store_fixture *f);
struct notice *take_notice(struct store_fixture *f);

enum err_code put_repo(struct store_fixture *f, const char *id, int64_t max_running, bool statuses);
/* With a commit and a branch; delivery and body as given (NULL: none). Returns the build. */
int64_t submit(struct store_fixture *f, const char *repo, const char *delivery, const char *body);
enum err_code plan_claim(struct store_fixture *f);
/* A plan of count jobs. */
enum err_code planned(struct store_fixture *f, int64_t build, const char *token, size_t count);
enum err_code planned_with(struct store_fixture *f, int64_t build, const char *token, const struct plan *plan);
enum err_code plan_failed(struct store_fixture *f, int64_t build, const char *token, enum build_state state);
enum err_code job_claim(struct store_fixture *f);
/* For an engine with these labels. */
enum err_code job_claim_with(struct store_fixture *f, const char *labels);
enum err_code job_adopt(struct store_fixture *f, const char *job, const char *token);
/* It has another container than the first. */
enum err_code job_moved(
    struct store_fixture *f, const char *job, const char *token, const char *container, const char *progress);
enum err_code job_started(struct store_fixture *f, const char *job, const char *token, const char *container);
/* An application, whose images are these. */
enum err_code job_started_with(struct store_fixture *f, const char *job, const char *token, const char *images);
enum err_code job_finished(struct store_fixture *f, const char *job, const char *token, enum job_state state);
/* As job_finished would end it. */
/* Of the last seven days, of so many repositories and environments. */
enum err_code insights(struct store_fixture *f, const char *repo, unsigned most);
enum err_code job_built(struct store_fixture *f, const char *job, const char *token, const char *image);
/* It has passed, and made these. */
enum err_code job_finished_with(struct store_fixture *f, const char *job, const char *token, const char *images);
enum err_code job_verdict(struct store_fixture *f, const char *job, const char *token, enum job_state state);
enum err_code job_requeue(struct store_fixture *f, const char *job, const char *token, int64_t delay_ms);
enum err_code job_get(struct store_fixture *f, const char *job);
enum err_code job_cancel(struct store_fixture *f, const char *job);
enum err_code build_get(struct store_fixture *f, int64_t build);
enum err_code build_cancel(struct store_fixture *f, int64_t build);
enum err_code build_rerun(struct store_fixture *f, int64_t build);
/* A pull request; fork: whose it is. Returns the build. */
int64_t submit_pull(struct store_fixture *f, const char *repo, const char *ref, bool fork);
enum err_code plan_commit(struct store_fixture *f, int64_t build, const char *token, const struct store_commit *commit);
enum err_code build_approve(struct store_fixture *f, int64_t build);
enum err_code build_reject(struct store_fixture *f, int64_t build);
/* "nightly" of that repository, due then. */
enum err_code schedule_put(struct store_fixture *f, const char *repo, int64_t next_ms);
enum err_code schedule_delete(struct store_fixture *f, const char *repo);
enum err_code schedules(struct store_fixture *f, const char *repo);
enum err_code schedules_due(struct store_fixture *f);
/* got.number: of how many builds something ended. */
enum err_code pull_close(struct store_fixture *f, const char *repo, const char *ref);
enum err_code schedule_fire(struct store_fixture *f, const struct schedule *schedule, int64_t next_ms);
enum err_code environment_put(struct store_fixture *f, const struct environment *environment, bool is_new);
enum err_code environment_get(struct store_fixture *f, const char *repo, const char *name);
enum err_code environments(struct store_fixture *f, const char *repo);
enum err_code environment_delete(struct store_fixture *f, const char *repo, const char *name);
/* who "": unlocks it. */
enum err_code environment_lock(struct store_fixture *f, const char *repo, const char *name, const char *who);
enum err_code deployments(struct store_fixture *f, const char *repo, const char *name);
enum err_code job_approve(struct store_fixture *f, const char *job);
enum err_code job_reject(struct store_fixture *f, const char *job);
enum err_code build_deploy(struct store_fixture *f, int64_t build, const char *environment, int64_t redeploys);
enum err_code build_follow(struct store_fixture *f, int64_t build, const char *environment, const char *cause);
/* -> environments, deployments, number: until the next is due. */
enum err_code watches_due(struct store_fixture *f, unsigned limit);
enum err_code watch_told(struct store_fixture *f, const char *name);
enum err_code watch_seen(
    struct store_fixture *f, const struct environment *environment, const char *digest, const char *error);
enum err_code rollback_find(struct store_fixture *f, const char *repo, const char *name);
/* A push to a ref of "app", told by a delivery of its own; before may be NULL, commit "" deletes and "!ID" is one that
 * asks for no build. Returns the build, 0: none; got.submitted. */
int64_t tell_push(struct store_fixture *f, const char *ref, const char *before, const char *commit);
/* Of "app": text is what git ls-remote prints. */
enum err_code heads_compare(struct store_fixture *f, const char *text);
enum err_code head_settle(struct store_fixture *f, const struct store_difference *difference);
/* Returns the build, 0: got.err says why there is none. */
int64_t head_recover(struct store_fixture *f, const struct store_difference *difference);
enum err_code poll_due(struct store_fixture *f, unsigned limit, bool all);
/* got.number: failures in a row, got.count: those before. */
enum err_code poll_done(struct store_fixture *f, const char *repo, const char *error);
enum err_code build_rerun_jobs(struct store_fixture *f, int64_t build, const char *which);
enum err_code builds(struct store_fixture *f, const char *repo, int64_t before, unsigned limit);
enum err_code queue(struct store_fixture *f);
enum err_code running(struct store_fixture *f, const char *node);
enum err_code promote(struct store_fixture *f);
enum err_code renew(struct store_fixture *f, const struct store_lease *leases, size_t count);
enum err_code prune(struct store_fixture *f, int64_t keep);
enum err_code build_unknown(struct store_fixture *f, const int64_t *builds, size_t count);
enum err_code outbox_claim(struct store_fixture *f);
enum err_code outbox_ack(struct store_fixture *f, const struct notice *notice);
enum err_code outbox_retry(struct store_fixture *f, const struct notice *notice, int64_t delay_ms);
enum err_code outbox_drop(struct store_fixture *f, const struct notice *notice);
enum err_code outbox_fanout(
    struct store_fixture *f, const struct notice *event, const struct store_fanout *to, size_t count);
enum err_code artifact_put(struct store_fixture *f, const char *job, const char *token, const struct artifact *artifact,
    int64_t expire_s, int64_t repo_max);
enum err_code artifact_list(struct store_fixture *f, int64_t build, int64_t job);
enum err_code artifact_expire(struct store_fixture *f);
enum err_code report_put(struct store_fixture *f, const char *job, const char *token, const struct test_report *report);
enum err_code report_list(struct store_fixture *f, int64_t build);
enum err_code cache_find(struct store_fixture *f, const struct cache_query *query);
enum err_code cache_put(struct store_fixture *f, const struct cache *cache);
enum err_code cache_prune(struct store_fixture *f, int64_t max_bytes, int64_t max_age_ms);
enum err_code cache_forget(struct store_fixture *f, const char *id);
enum err_code cache_unknown(struct store_fixture *f, const char *const *ids, size_t count);
enum err_code repo_get(struct store_fixture *f, const char *id);
enum err_code repo_list(struct store_fixture *f);
enum err_code repo_delete(struct store_fixture *f, const char *id);
enum err_code node_register(struct store_fixture *f);
enum err_code stats(struct store_fixture *f);
enum err_code access_token_put(struct store_fixture *f, const char *name, const char *role, const char *sha256);
enum err_code access_token_delete(struct store_fixture *f, const char *name);
enum err_code access_tokens(struct store_fixture *f);
/* By ann, with this key; the claim has its name. */
enum err_code request_claim(struct store_fixture *f, const char *key);
enum err_code request_answered(struct store_fixture *f, const char *key);
enum err_code secret_put(struct store_fixture *f, const struct secret *secret);
enum err_code secret_list(struct store_fixture *f, enum secret_scope scope, const char *owner);
enum err_code secret_delete(struct store_fixture *f, enum secret_scope scope, const char *owner, const char *name);
enum err_code secret_find(
    struct store_fixture *f, const struct store_secret_owners *owners, const char *const *names, size_t count);
/* How many values, in number; how many of them open with neither key, in count. */
enum err_code reseal(struct store_fixture *f);

/* Submit, claim and plan in one: a build with count jobs in the queue. */
int64_t queued_build(struct store_fixture *f, const char *repo, size_t count);

#endif
