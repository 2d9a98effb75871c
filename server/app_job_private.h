/* What app_job.c and app_job_events.c share: one job, from its claim to its record. */
#ifndef DAVIT_SERVER_APP_JOB_PRIVATE_H
#define DAVIT_SERVER_APP_JOB_PRIVATE_H

#include "proto/buf.h"
#include "proto/plan.h"
#include "proto/progress.h"
#include "server/app_deploy.h"
#include "server/app_files.h"
#include "server/app_job.h"
#include "server/app_release.h"
#include "server/app_secrets.h"
#include "server/builder/builder.h"
#include "server/io/git.h"
#include "server/store/log_store.h"
#include "server/store/records.h"

#define NONCE_BYTES 16

enum app_job_state {
	APP_JOB_RECALL, /* what the log has already, of one that was adopted */
	APP_JOB_REPO,
	APP_JOB_ENVIRONMENT,
	APP_JOB_SECRETS,
	APP_JOB_FETCH,
	APP_JOB_FETCH_BASE,
	APP_JOB_MERGE,
	APP_JOB_WORKSPACE,
	APP_JOB_FILES,
	APP_JOB_RUN,
	APP_JOB_FLUSH,
	APP_JOB_RECORD,
	APP_JOB_END,
};

/* How it is to end, when not by the job's own result. */
enum ending { ENDING_OWN, ENDING_LOST, ENDING_AGAIN, ENDING_LEFT };

struct app_job {
	const struct app_job_deps *deps;
	struct job *job;
	struct build *build;
	struct engine *slot; /* NULL: the run has it */
	enum app_job_state state;
	enum ending ending;
	struct repo *repo;
	struct app_secrets *secrets; /* from APP_JOB_SECRETS on */
	struct job_spec spec;
	struct env env;
	char nonce[2 * NONCE_BYTES + 1];
	struct progress progress; /* before the present container */
	bool is_adopted;
	bool is_cancelled;
	bool is_placed; /* that the builder has it, was said */
	struct deferred *recall;
	struct store_op *op;
	struct git_op *git_op;
	struct git_workspace *workspace;
	struct app_files *files; /* from APP_JOB_FILES on */
	struct log_writer *log;
	struct log_finish *log_finish;
	struct builder_job builder_job; /* lent to the run */
	struct builder_run *run;
	struct app_deploy_target target; /* of a job that deploys an application, as the next four */
	struct app_release_deps release_deps;
	struct app_release *release;
	char undoing[200];                 /* why one that was adopted must not go on; "": it may */
	void (*record)(struct app_job *a); /* writes down what the run waits for */
	struct buf images;                 /* that it has made, as proto/built_image.h has them */
	struct timer *retry;
	struct deferred *begin;
	struct builder_result ended; /* as the script has */
	enum job_state result;       /* JOB_RUNNING: none yet */
	int64_t exit_code;
	char reason[256];
	int64_t log_bytes;
};

extern const struct builder_events app_job_events;

/* The only place where the state changes. a may be gone when it returns. */
void app_job_step(struct app_job *a, enum app_job_state next);
/* The first cause counts, not its echoes. */
void app_job_set_result(struct app_job *a, enum job_state state, int64_t exit_code, const char *reason);
/* A line for people in its log. */
void app_job_note(struct app_job *a, const char *text);
void app_job_on_notice(void *arg, const char *text);
/* Another attempt, unless it is known how it came out. */
void app_job_again(struct app_job *a, const char *reason);
/* What Redis cannot take now is offered again; the lease bounds it. */
void app_job_retry(struct app_job *a, const struct err *err);
enum builder_state app_job_builder_state(enum job_state state);

#endif
