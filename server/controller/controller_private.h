/* The controller from the inside, for its api_*.c files: what a handler finds, and calls that wait for the store. */
#ifndef DAVIT_CONTROLLER_CONTROLLER_PRIVATE_H
#define DAVIT_CONTROLLER_CONTROLLER_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proto/json.h"
#include "proto/mem.h"
#include "server/controller/controller.h"
#include "server/controller/figures.h"
#include "server/controller/reply.h"
#include "server/controller/router.h"
#include "server/controller/week_figures.h"
#include "server/store/log_store.h"
#include "server/store/store.h"

struct controller {
	struct controller_deps deps;
	struct auth *auth;
	struct access *access;
	struct router *router;
	struct idempotency *idempotency;
	struct sse_hub *followers;
	struct log_streams *logs;
	struct build_feed *feed;
	struct listener **listeners;
	size_t listener_count;
	struct timer *leaving; /* runs out, or is let run out when all requests are answered */
	void (*on_left)(void *arg);
	void *left_arg;
	struct figures figures;
	struct buf week; /* what /metrics says of the last seven days */
	int64_t week_us; /* when that was asked; 0: not yet */
	LIST_HEAD(, debug_session) debug_sessions;
	unsigned debug_count;
};

/* A request that waits for the store. It ends when it is answered, and also when the client leaves: then the question
 * is cancelled (what it asked for may still happen). */
struct api_call {
	struct controller *controller;
	struct store *store; /* the controller's */
	struct http_reply *reply;
	struct store_op *op;
	struct timer *timer; /* of api_call_limit */
	struct repo *repo;   /* what it writes */
	struct json *body;
	struct job_list jobs;
	struct schedule_list schedules; /* the one that it writes */
	struct zones_op *zones_op;
	struct purge *purge;
	struct log_id log;
	uint64_t offset;
	char *token;      /* that it makes for somebody */
	bool is_released; /* a held job's container goes, whatever the store says */
};

/* The form of a handler: it makes a call, reads what it needs and asks the store; the store's callback begins with
 * api_call_failed and ends with an answer. */
struct api_call *api_call_new(struct controller *controller, struct http_reply *reply);
/* About the build that the route names, as log.build; or the job, as log.build and log.job. NULL when there can be none
 * of that name, which is answered. */
struct api_call *api_call_build(struct controller *controller, struct http_reply *reply);
struct api_call *api_call_job(struct controller *controller, struct http_reply *reply);
/* The route's parameter. */
const char *api_call_param(const struct api_call *call, const char *name);
/* The request's body, which must be a JSON object; else it answers and returns false. */
bool api_call_parse(struct api_call **call);
/* Does as if the store had failed when it has not answered in time: fn gets the call. */
void api_call_limit(struct api_call *call, int64_t ms, void (*fn)(void *call));
/* What was asked of the store is over. Answers with the error when there is one, and ends the call. */
bool api_call_failed(struct api_call **call, const struct err *err);
/* Ends a call whose reply has been sent (or taken). */
void api_call_end(struct api_call **call);

/* --- answers, with which the call ends --- */

void api_call_json(struct api_call **call, unsigned status, struct json_writer **w);
/* {"KEY": [...]}: the items are written between these two. */
struct json_writer *api_list_open(const char *key);
void api_list_answer(struct api_call **call, struct json_writer **w);
/* 204, there is nothing to tell; arg is the call. */
store_done_fn api_call_done;

struct mirror;
/* False: there is none, which is answered. */
bool api_has_mirror(const struct controller *controller, struct http_reply **reply);
void api_mirror_figures(const struct mirror *mirror, struct buf *out);

/* What was done, into the log: "TEXT by WHO at PEER". */
void api_audit(const struct http_request *request, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- what requests say --- */

/* No member of the body may have another name; what: "a secret". names ends with NULL. */
bool api_check_members(const struct json_value *body, const char *const *names, const char *what, struct err *err);
/* A number of the query, or fallback; answers 422 and returns false when it is none or above max. */
bool api_query_number(struct http_reply **reply, const char *name, uint64_t max, uint64_t fallback, uint64_t *ret);
/* Where people and forges reach this server, without a slash at its end. */
void api_print_base(const struct controller *controller, const struct http_request *request, struct buf *ret);

/* Closes all terminals. */
void api_debug_end_all(struct controller *controller);

/* The handlers, by file. */
route_fn api_repo_list, api_repo_add, api_repo_get, api_repo_change, api_repo_delete;
route_fn api_secret_list, api_secret_put, api_secret_delete, api_seal_key_rotate;
route_fn api_build_list, api_build_get, api_build_cancel, api_build_rerun, api_build_submit, api_events;
route_fn api_build_approve, api_build_reject;
route_fn api_cron_list, api_cron_put, api_cron_delete;
route_fn api_environment_list, api_environment_get, api_environment_put, api_environment_delete;
route_fn api_environment_lock, api_environment_unlock, api_environment_rollback, api_deployment_list;
route_fn api_build_deploy, api_job_approve, api_job_reject;
#define API_REGISTRY_EVENTS_MAX (256 * 1024) /* bytes; a registry sends an event or a few at a time, of 1 kB each */
route_fn api_registry_events;
route_fn api_insights;
route_fn api_job_get, api_job_cancel, api_queue;
route_fn api_artifact_list, api_artifact_get, api_artifact_file, api_report_list;
route_fn api_log_get, api_log_stream;
route_fn api_job_debug, api_job_release;
route_fn api_hook, api_health, api_metrics, api_engines, api_mirror, api_mirror_purge, api_mirror_pins, api_mirror_pin,
    api_mirror_unpin, api_mirror_fetch, api_mirror_fetched, api_login, api_logout;
route_fn api_me, api_token_list, api_token_put, api_token_delete;
route_fn page_get, page_asset;

#endif
