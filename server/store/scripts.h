/* The Lua scripts of scripts/redis/, which are compiled in (server/store/scripts.c is made by scripts/redis/embed.sh).
 * Each file's head says what it takes and answers. */
#ifndef DAVIT_STORE_SCRIPTS_H
#define DAVIT_STORE_SCRIPTS_H

#include "server/io/redis.h"

extern const struct redis_script script_accept;
extern const struct redis_script script_accept_pull;
extern const struct redis_script script_adopt;
extern const struct redis_script script_approve;
extern const struct redis_script script_artifact_expire;
extern const struct redis_script script_artifact_list;
extern const struct redis_script script_artifact_put;
extern const struct redis_script script_build_get;
extern const struct redis_script script_build_unknown;
extern const struct redis_script script_builds;
extern const struct redis_script script_built;
extern const struct redis_script script_cache_drop;
extern const struct redis_script script_cache_find;
extern const struct redis_script script_cache_prune;
extern const struct redis_script script_cache_put;
extern const struct redis_script script_cache_unknown;
extern const struct redis_script script_cancel_build;
extern const struct redis_script script_cancel_job;
extern const struct redis_script script_claim;
extern const struct redis_script script_access_token_delete;
extern const struct redis_script script_access_token_put;
extern const struct redis_script script_access_tokens;
extern const struct redis_script script_cron_delete;
extern const struct redis_script script_cron_due;
extern const struct redis_script script_cron_fire;
extern const struct redis_script script_cron_put;
extern const struct redis_script script_crons;
extern const struct redis_script script_deployments;
extern const struct redis_script script_environment_delete;
extern const struct redis_script script_environment_get;
extern const struct redis_script script_environment_lock;
extern const struct redis_script script_environment_put;
extern const struct redis_script script_environments;
extern const struct redis_script script_finish;
extern const struct redis_script script_job_approve;
extern const struct redis_script script_head_passed;
extern const struct redis_script script_head_settle;
extern const struct redis_script script_heads_compare;
extern const struct redis_script script_idempotency_answer;
extern const struct redis_script script_idempotency_claim;
extern const struct redis_script script_insights;
extern const struct redis_script script_job_get;
extern const struct redis_script script_job_reject;
extern const struct redis_script script_node_register;
extern const struct redis_script script_outbox_ack;
extern const struct redis_script script_outbox_claim;
extern const struct redis_script script_outbox_retry;
extern const struct redis_script script_plan_claim;
extern const struct redis_script script_plan_commit;
extern const struct redis_script script_plan_failed;
extern const struct redis_script script_planned;
extern const struct redis_script script_poll_done;
extern const struct redis_script script_poll_due;
extern const struct redis_script script_promote;
extern const struct redis_script script_prune;
extern const struct redis_script script_pull_close;
extern const struct redis_script script_queue;
extern const struct redis_script script_recover;
extern const struct redis_script script_reject;
extern const struct redis_script script_renew;
extern const struct redis_script script_repo_delete;
extern const struct redis_script script_repo_get;
extern const struct redis_script script_repo_list;
extern const struct redis_script script_repo_put;
extern const struct redis_script script_report_list;
extern const struct redis_script script_report_put;
extern const struct redis_script script_requeue;
extern const struct redis_script script_rerun;
extern const struct redis_script script_reseal;
extern const struct redis_script script_rollback_find;
extern const struct redis_script script_running;
extern const struct redis_script script_sealed;
extern const struct redis_script script_secret_delete;
extern const struct redis_script script_secret_get;
extern const struct redis_script script_secret_list;
extern const struct redis_script script_secret_put;
extern const struct redis_script script_started;
extern const struct redis_script script_stats;
extern const struct redis_script script_verdict;
extern const struct redis_script script_watch_due;
extern const struct redis_script script_watch_seen;
extern const struct redis_script script_watch_told;

#endif
