#include "server/app_job_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/built_image.h"
#include "proto/crypto.h"
#include "proto/image_labels.h"
#include "proto/git_name.h"
#include "proto/mem.h"
#include "proto/recovery.h"
#include "proto/variables.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"
#include "server/store/store.h"

#define RETRY_MS 500
#define IMAGES_MAX (64 * 1024)

static void enter_recall(struct app_job *a);
static void enter_repo(struct app_job *a);
static void enter_environment(struct app_job *a);
static void enter_secrets(struct app_job *a);
static void enter_fetch(struct app_job *a);
static void enter_fetch_base(struct app_job *a);
static void enter_merge(struct app_job *a);
static void enter_workspace(struct app_job *a);
static void enter_files(struct app_job *a);
static void enter_run(struct app_job *a);
static void enter_flush(struct app_job *a);
static void enter_record(struct app_job *a);
static void enter_end(struct app_job *a);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct app_job *a);
} states[] = {
	[APP_JOB_RECALL]      = { "recall",      enter_recall },
	[APP_JOB_REPO]        = { "repository",  enter_repo },
	[APP_JOB_ENVIRONMENT] = { "environment", enter_environment },
	[APP_JOB_SECRETS]     = { "secrets",     enter_secrets },
	[APP_JOB_FETCH]       = { "fetch",       enter_fetch },
	[APP_JOB_FETCH_BASE]  = { "fetch base",  enter_fetch_base },
	[APP_JOB_MERGE]       = { "merge",       enter_merge },
	[APP_JOB_WORKSPACE]   = { "workspace",   enter_workspace },
	[APP_JOB_FILES]       = { "files",       enter_files },
	[APP_JOB_RUN]         = { "run",         enter_run },
	[APP_JOB_FLUSH]       = { "flush",       enter_flush },
	[APP_JOB_RECORD]      = { "record",      enter_record },
	[APP_JOB_END]         = { "end",         enter_end },
};
/* clang-format on */

/* The only place where the state changes. a may be gone when it returns. */
void
app_job_step(struct app_job *a, enum app_job_state next)
{
	log_debug("job %s: %s -> %s", a->job->id, states[a->state].name, states[next].name);
	store_cancel(&a->op);
	git_cancel(&a->git_op);
	deferred_cancel(&a->recall);
	if (a->secrets != NULL)
		app_secrets_cancel(a->secrets);
	if (a->files != NULL)
		app_files_stop(a->files);
	timer_stop(a->retry);
	a->state = next;
	states[next].enter(a);
}

void
app_job_set_result(struct app_job *a, enum job_state state, int64_t exit_code, const char *reason)
{
	if (a->result != JOB_RUNNING)
		return; /* the first cause, not its echoes */
	a->result = state;
	a->exit_code = exit_code;
	snprintf(a->reason, sizeof(a->reason), "%s", reason);
	if (a->secrets != NULL)
		app_secrets_hide_text(a->secrets, a->reason);
}

/* What people see in the log when a job never got a container. */
void
app_job_note(struct app_job *a, const char *text)
{
	char line[320];
	int len = snprintf(line, sizeof(line), "davit: %s\n", text);

	if (a->secrets != NULL)
		app_secrets_hide_text(a->secrets, line);
	if (a->log != NULL && len > 0)
		log_append(a->log, LOG_NOTICE, (struct str){ line, strlen(line) }, 0, NULL);
}

/* The only way off the happy path, as long as there is no container: failure, cancellation and stop end here. */
static void
job_fail(struct app_job *a, enum job_state state, const char *reason)
{
	app_job_set_result(a, state, -1, reason);
	app_job_note(a, reason);
	app_job_step(a, APP_JOB_FLUSH);
}

/* Somebody who ended it has written down how it comes out. */
static bool
has_verdict(const struct app_job *a)
{
	return a->job->verdict != JOB_WAITING;
}

/* Likewise, of one that gets another attempt, unless it is known how it came out: then the end of its log may be
 * missing, for that reason. */
void
app_job_again(struct app_job *a, const char *reason)
{
	if (has_verdict(a)) {
		app_job_note(a, reason);
		app_job_set_result(a, a->job->verdict, a->job->verdict_exit, a->job->verdict_reason);
		app_job_step(a, APP_JOB_FLUSH);
		return;
	}
	if (a->ending == ENDING_OWN)
		a->ending = ENDING_AGAIN;
	job_fail(a, JOB_ERROR, reason);
}

/* One of which an earlier process has begun to deploy the application: whatever is in the way of it now, the containers
 * that were there before come back. */
static bool
undo(struct app_job *a, const char *why)
{
	if (!a->is_adopted || !app_deploy_is_application(&a->spec))
		return false;
	snprintf(a->undoing, sizeof(a->undoing), "%.199s", why);
	app_job_step(a, APP_JOB_RUN);
	return true;
}

/* What belongs to the way back to the job's container cannot be the job's fault. */
static void
job_fail_or_again(struct app_job *a, enum job_state state, const char *reason)
{
	if (a->is_adopted)
		app_job_again(a, reason);
	else
		job_fail(a, state, reason);
}

/* What Redis cannot take now is offered again; the lease bounds it. */
static void
on_retry(void *arg)
{
	struct app_job *a = arg;

	app_job_step(a, a->state);
}

void
app_job_retry(struct app_job *a, const struct err *err)
{
	log_debug("job %s: %s: %s", a->job->id, states[a->state].name, err->text);
	timer_start(a->retry, RETRY_MS);
}

static void
on_recall(void *arg)
{
	struct app_job *a = arg;

	a->recall = NULL;
	enter_recall(a);
}

static void
enter_recall(struct app_job *a)
{
	if (log_recall(a->log, a->progress.log))
		app_job_step(a, APP_JOB_REPO);
	else
		a->recall = deferred_call(a->deps->loop, on_recall, a);
}

static void
on_repo(void *arg, struct repo *repo, const struct err *err)
{
	struct app_job *a = arg;

	a->op = NULL;
	if (err == NULL) {
		a->repo = repo;
		app_job_step(a, a->spec.deploy != NULL ? APP_JOB_ENVIRONMENT : APP_JOB_SECRETS);
	} else if (err->code == ERR_NOT_FOUND) {
		job_fail(a, JOB_ERROR, "the repository was removed");
	} else {
		app_job_retry(a, err);
	}
}

static void
enter_repo(struct app_job *a)
{
	a->op = store_repo_get(a->deps->store, a->job->repo, on_repo, a);
}

static struct git_checkout
checkout_of(const struct app_job *a)
{
	return (struct git_checkout){
		.repo = a->repo->id,
		.commit = a->build->built[0] != '\0' ? a->build->built : a->build->commit,
		.ref = a->build->ref,
		.origin = a->repo->url,
		.full = a->deps->full_clone,
	};
}

/* Planning has the workspace made; the names of caches may depend on files of the commit. An adopted job needs no
 * workspace any more. */
static bool
needs_mirror(const struct app_job *a)
{
	struct git_checkout checkout = checkout_of(a);

	return a->spec.cache_count > 0 || (!a->is_adopted && !git_has_workspace(a->deps->git, &checkout));
}

/* Whether the job may go on there. What was begun goes on or back in the place where it was begun, whatever its environment
 * is now. */
static bool
is_taken(struct app_job *a, const struct environment *environment, const struct err *err, struct err *why)
{
	bool is_left = a->is_adopted && app_deploy_is_application(&a->spec);
	struct err other;
	bool good;

	if (err != NULL)
		*why = *err;
	good = err == NULL && app_deploy_begin(environment, a->build, &a->spec, &a->env, &a->target, why);
	if (!is_left || app_deploy_keep_kind(a->job, &a->target, &other))
		return good;
	if (good)
		*why = other;
	return false;
}

static void
on_environment(void *arg, struct environment *environment, const struct err *err)
{
	struct app_job *a = arg;
	struct err why;

	a->op = NULL;
	if (err != NULL && err->code != ERR_NOT_FOUND)
		app_job_retry(a, err);
	else if (is_taken(a, environment, err, &why))
		app_job_step(a, APP_JOB_SECRETS);
	else if (!undo(a, why.text))
		job_fail_or_again(a, JOB_FAILED, why.text);
	environment_free(&environment);
}

static void
enter_environment(struct app_job *a)
{
	a->op = store_environment_get(a->deps->store, a->repo->id, a->spec.deploy->environment, on_environment, a);
}

/* What follows when it has its secrets; an application's images have all that it needs. */
static enum app_job_state
with_secrets(const struct app_job *a)
{
	if (app_deploy_is_application(&a->spec))
		return APP_JOB_RUN;
	if (needs_mirror(a))
		return APP_JOB_FETCH;
	return a->is_adopted ? APP_JOB_RUN : APP_JOB_WORKSPACE;
}

static void
on_secrets(void *arg, const struct err *err)
{
	struct app_job *a = arg;

	if (a->is_adopted &&
	    (err == NULL ? app_secrets_changed_ms(a->secrets) > a->job->started_ms : err->code == ERR_REFUSED)) {
		if (!undo(a, recovery_find(RECOVERY_SECRET_CHANGED)->reason))
			app_job_again(a, recovery_find(RECOVERY_SECRET_CHANGED)->reason);
	} else if (err == NULL) {
		CRASH_POINT(secrets_found);
		if (app_secrets_words(a->secrets) != NULL && !a->is_adopted)
			app_job_note(a, app_secrets_words(a->secrets));
		app_job_step(a, with_secrets(a));
	} else if (err->code == ERR_REFUSED) {
		job_fail(a, JOB_FAILED, err->text);
	} else {
		app_job_retry(a, err);
	}
}

static void
enter_secrets(struct app_job *a)
{
	struct app_secrets_job job = { .id = a->job->id, .spec = &a->spec, .repo = a->repo, .build = a->build };

	app_secrets_free(&a->secrets);
	a->secrets = app_secrets_start(a->deps->loop, a->deps->disk, a->deps->store, &job, on_secrets, a);
}

/* What follows when the commit is here. */
static enum app_job_state
with_commit(const struct app_job *a)
{
	return a->is_adopted ? APP_JOB_FILES : APP_JOB_WORKSPACE;
}

static void
on_fetched(void *arg, const struct err *err)
{
	struct app_job *a = arg;

	a->git_op = NULL;
	if (err != NULL)
		job_fail_or_again(a, JOB_ERROR, err_prefix(*err, "fetch").text);
	else
		app_job_step(a, a->build->built[0] != '\0' ? APP_JOB_FETCH_BASE : with_commit(a));
}

/* Planning brought the commit into this node's mirror; on another node, or after its loss, it is fetched here. */
static void
enter_fetch(struct app_job *a)
{
	struct git_source source = {
		.repo = a->repo->id,
		.url = a->repo->url,
		.fetch_url = a->build->change != NULL ? a->build->change->fetch_url : NULL,
		.ref = a->build->ref,
		.token = a->repo->token,
	};

	a->git_op = git_fetch(a->deps->git, &source, a->build->commit, on_fetched, a);
}

static void
on_fetched_base(void *arg, const struct err *err)
{
	struct app_job *a = arg;

	a->git_op = NULL;
	if (err != NULL)
		job_fail_or_again(a, JOB_ERROR, err_prefix(*err, "fetch the target").text);
	else
		app_job_step(a, APP_JOB_MERGE);
}

static void
enter_fetch_base(struct app_job *a)
{
	struct git_source source = { .repo = a->repo->id, .url = a->repo->url, .token = a->repo->token };

	a->git_op = git_fetch(a->deps->git, &source, a->build->base, on_fetched_base, a);
}

static void
on_merged(void *arg, const char *commit, const struct err *err)
{
	struct app_job *a = arg;

	a->git_op = NULL;
	if (err != NULL)
		job_fail_or_again(a, JOB_ERROR, err_prefix(*err, "merge").text);
	else if (strcmp(commit, a->build->built) != 0)
		job_fail_or_again(
		    a, JOB_ERROR, "this node's git merges otherwise than the node's that planned the build");
	else
		app_job_step(a, with_commit(a));
}

/* The planning node made it already; any other one makes the same again. */
static void
enter_merge(struct app_job *a)
{
	a->git_op = git_merge(a->deps->git, a->repo->id, a->build->base, a->build->commit, on_merged, a);
}

static void
on_workspace(void *arg, struct git_workspace *workspace, const struct err *err)
{
	struct app_job *a = arg;

	a->git_op = NULL;
	a->workspace = workspace;
	CRASH_POINT(workspace_ready);
	if (err != NULL)
		job_fail(a, JOB_ERROR, err_prefix(*err, "workspace").text);
	else
		app_job_step(a, APP_JOB_FILES);
}

static void
enter_workspace(struct app_job *a)
{
	struct git_checkout checkout = checkout_of(a);

	a->git_op = git_workspace(a->deps->git, &checkout, on_workspace, a);
}

void
app_job_on_notice(void *arg, const char *text)
{
	app_job_note(arg, text);
}

static void
on_hide(void *arg, char *text)
{
	struct app_job *a = arg;

	app_secrets_hide_text(a->secrets, text);
}

static void
on_gathered(void *arg, const struct err *err)
{
	struct app_job *a = arg;

	CRASH_POINT(files_gathered);
	if (err == NULL)
		app_job_step(a, APP_JOB_RUN);
	else if (err->code == ERR_UNAVAILABLE || err->code == ERR_TIMEOUT)
		app_job_retry(a, err);
	else
		job_fail_or_again(a, JOB_ERROR, err->text);
}

static void
make_files(struct app_job *a)
{
	struct app_files_job job = {
		.job = a->job,
		.build = a->build,
		.spec = &a->spec,
		.is_left = a->is_adopted,
		.note = app_job_on_notice,
		.hide = on_hide,
		.arg = a,
	};

	if (a->files == NULL)
		a->files = app_files_new(a->deps->files, &job);
}

static void
enter_files(struct app_job *a)
{
	make_files(a);
	app_files_gather(a->files, on_gathered, a);
}

static void
add_env(struct app_job *a)
{
	const struct build *b = a->build;
	const struct change *c = b->change;
	struct variables v = {
		.server = a->deps->url,
		.build = b->build,
		.job = a->job->id,
		.attempt = a->job->attempt,
		.job_name = a->spec.name,
		.workspace = BUILDER_WORKSPACE,
		.event = b->event,
		.repo = a->repo->name,
		.url = a->repo->url,
		.ref = b->ref,
		.branch = b->branch,
		.commit = b->commit,
		.merge = b->built,
		.before = c != NULL ? c->before : NULL,
		.message = c != NULL ? c->message : NULL,
		.title = b->title,
		.author_name = b->author,
		.author_email = c != NULL ? c->author_email : NULL,
		.sender = c != NULL ? c->sender : NULL,
		.environment = a->spec.deploy != NULL ? a->spec.deploy->environment : NULL,
		.deploy_image = a->spec.deploy != NULL ? a->spec.deploy->image : NULL,
		.pull_number = c != NULL ? c->pull_number : 0,
	};

	built_image_find(a->job->needed_images, v.deploy_image, &v.built);
	variables_add(&v, &a->env);
}

/* To the owner, who waits for all adopted jobs. */
static void
say_placed(struct app_job *a)
{
	if (!a->is_adopted || a->is_placed)
		return;
	a->is_placed = true;
	a->deps->on_placed(a->deps->arg);
}

static struct builder_result
recorded_verdict(const struct app_job *a)
{
	struct builder_result result = { .state = app_job_builder_state(a->job->verdict), .exit_code = -1 };

	snprintf(result.reason, sizeof(result.reason), "%s", a->job->verdict_reason);
	return result;
}

/* What the image is to say of where it comes from. */
static void
label_image(struct app_job *a)
{
	const struct build *b = a->build;
	char *fetched = git_url_clean(a->repo->url), *page = NULL;
	bool is_tag = strncmp(b->ref, "refs/tags/", strlen("refs/tags/")) == 0;
	struct image_origin origin = { .revision = b->built[0] != '\0' ? b->built : b->commit,
		.version = is_tag ? b->branch : NULL,
		.commit_ms = b->commit_ms };

	if (a->repo->web[0] != '\0')
		page = xasprintf("%s/%s", a->repo->web, a->repo->name);
	origin.source = page != NULL ? page : fetched;
	image_labels_add(&a->spec.build->labels, &origin);
	free(page);
	free(fetched);
}

static void
fill_env(struct app_job *a)
{
	add_env(a);
	variables_add_reports(&a->spec, BUILDER_WORKSPACE, &a->env);
	app_secrets_add(a->secrets, &a->env);
}

/* What it was fed is in its container, but for the further ones of a job that has several; its time runs from its
 * start. */
static void
adopt_run(struct app_job *a)
{
	struct builder_result verdict;
	struct builder_left left = { .engine = a->job->engine,
		.container = a->job->container,
		.deadline_ms = a->job->started_ms + (int64_t)a->spec.timeout_s * 1000,
		.progress = a->progress };

	if (has_verdict(a) && a->job->verdict_exit < 0) { /* else its container tells it again */
		verdict = recorded_verdict(a);
		left.verdict = &verdict;
	}
	make_files(a);
	a->builder_job = (struct builder_job){
		.id = a->job->id,
		.attempt = (unsigned)a->job->attempt,
		.nonce = a->nonce,
		.spec = &a->spec,
		.env = &a->env,
		.has_secrets = a->spec.secret_count > 0,
		.pull_always = a->deps->pull_always,
	};
	fill_env(a);
	if (!builder_adopt(a->deps->builder, &a->builder_job, &left, &app_job_events, a, &a->run)) {
		app_job_again(a, recovery_find(RECOVERY_NO_ENGINE)->reason);
		return;
	}
	if (a->job->cancel && left.verdict != NULL) /* which that has brought about, or was faster */
		a->is_cancelled = true;
	else if (a->job->cancel) /* before its output is read, which may tell of the end that this brought about */
		app_job_cancel(a, true);
	say_placed(a);
}

/* --- an application --- */

static void
on_delivered(void *arg, const struct release_result *result)
{
	struct app_job *a = arg;

	a->release = NULL;
	if (result == NULL) {
		a->ending = ENDING_LOST;
		job_fail(a, JOB_ERROR, "the job is not ours any more");
		return;
	}
	if (result->state != RELEASE_PASSED)
		app_job_note(a, result->reason);
	app_job_set_result(
	    a, app_release_state(result->state), result->state == RELEASE_PASSED ? 0 : -1, result->reason);
	app_job_step(a, APP_JOB_FLUSH);
}

static const struct app_release_events release_events = {
	.notice = app_job_on_notice, .hide = on_hide, .done = on_delivered
};

static void
deliver(struct app_job *a)
{
	const struct app_release_job job = {
		.job = a->job,
		.spec = &a->spec,
		.target = &a->target,
		.env = &a->env,
		.is_left = a->is_adopted,
		.undoing = a->undoing,
	};

	add_env(a);
	if (a->secrets != NULL)
		app_secrets_add(a->secrets, &a->env);
	a->release_deps = (struct app_release_deps){ a->deps->loop, a->deps->store, a->deps->destinations };
	a->release = app_release_start(&a->release_deps, &job, &release_events, a);
	if (a->is_adopted)
		app_job_note(a, "davitd was restarted; the deployment goes on");
	if (a->is_adopted && a->job->cancel)
		app_release_cancel(a->release, "cancelled");
	say_placed(a);
}

static void
enter_run(struct app_job *a)
{
	if (app_deploy_is_application(&a->spec)) {
		deliver(a);
		return;
	}
	if (a->is_adopted) {
		adopt_run(a);
		return;
	}
	if (a->run != NULL) { /* only a record is tried again */
		a->record(a);
		return;
	}
	a->builder_job = (struct builder_job){
		.id = a->job->id,
		.attempt = (unsigned)a->job->attempt,
		.nonce = a->nonce,
		.spec = &a->spec,
		.slot = a->slot,
		.env = &a->env,
		.has_secrets = a->spec.secret_count > 0,
		.workspace_tar = git_workspace_path(a->workspace),
		.folder = variables_reports(&a->spec),
		.pull_always = a->deps->pull_always,
		.commit_ms = a->build->commit_ms,
		.is_foreign = a->build->change == NULL || a->build->change->trust != CHANGE_TRUSTED,
		.built = a->job->built,
		.built_on = a->job->built_on,
		.images = a->job->needed_images,
	};

	a->builder_job.inputs = app_files_pieces(a->files, &a->builder_job.input_count);
	fill_env(a);
	if (a->spec.build != NULL)
		label_image(a);
	a->slot = NULL;
	builder_start(a->deps->builder, &a->builder_job, &app_job_events, a, &a->run);
}

static void
on_flushed(void *arg, const struct err *err)
{
	struct app_job *a = arg;

	a->log_finish = NULL;
	CRASH_POINT(log_synced);
	if (err != NULL)
		app_job_set_result(a, JOB_ERROR, -1, err->text);
	app_job_step(a, APP_JOB_RECORD);
}

/* The log is on disk before the result is, so that a finished job has a whole log. */
static void
enter_flush(struct app_job *a)
{
	say_placed(a);
	if (a->log == NULL) {
		app_job_step(a, APP_JOB_RECORD);
		return;
	}
	a->log_bytes = (int64_t)log_writer_size(a->log);
	a->log_finish = log_finish(&a->log, on_flushed, a);
}

static void
on_recorded(void *arg, const struct err *err)
{
	struct app_job *a = arg;

	a->op = NULL;
	if (err != NULL && err->code != ERR_CONFLICT && err->code != ERR_NOT_FOUND) {
		app_job_retry(a, err);
		return;
	}
	CRASH_POINT(result_recorded);
	if (err != NULL)
		log_warn("job %s: its result is not wanted any more: %s", a->job->id, err->text);
	app_job_step(a, APP_JOB_END);
}

static void
enter_record(struct app_job *a)
{
	struct store_job_result result = {
		.state = a->result,
		.exit_code = a->exit_code,
		.reason = a->reason,
		.log_bytes = a->log_bytes,
		.images = a->images.data,
	};

	CRASH_POINT(result_recording);
	switch (a->ending) {
	case ENDING_OWN:
		a->op = store_job_finished(a->deps->store, a->job->id, a->job->token, &result, on_recorded, a);
		return;
	case ENDING_AGAIN:
		a->op = store_job_requeue(a->deps->store, a->job->id, a->job->token, 0, a->reason, on_recorded, a);
		return;
	case ENDING_LOST:
	case ENDING_LEFT:
		app_job_step(a, APP_JOB_END);
		return;
	}
}

/* Of one that ends without a result. */
static const char *
ending_words(enum ending ending)
{
	if (ending == ENDING_LOST)
		return "given up, its lease is lost";
	return ending == ENDING_LEFT ? "goes on in its container" : "put back";
}

static void
enter_end(struct app_job *a)
{
	const struct app_job_deps *deps = a->deps;
	bool is_left = a->ending == ENDING_LEFT;
	char id[JOB_ID_MAX];

	if (a->run != NULL && !builder_forget(a->run))
		return; /* done follows */
	snprintf(id, sizeof(id), "%s", a->job->id);
	if (a->ending == ENDING_OWN)
		log_info("job %s: %s: exit code %" PRId64 ", %" PRId64 " bytes of log%s%s", id,
		    job_state_name(a->result), a->exit_code, a->log_bytes, a->reason[0] != '\0' ? ": " : "", a->reason);
	else
		log_info("job %s: %s", id, ending_words(a->ending));
	git_workspace_release(&a->workspace);
	builder_give_back(&a->slot);
	timer_free(&a->retry);
	env_fini(&a->env);
	buf_fini(&a->images);
	app_files_free(&a->files);
	app_secrets_free(&a->secrets);
	job_spec_fini(&a->spec);
	repo_free(&a->repo);
	job_free(&a->job);
	build_free(&a->build);
	free(a);
	CRASH_POINT(job_ended);
	deps->on_end(deps->arg, id, is_left); /* last: the next claim may start from here */
}

static bool
open_log(struct app_job *a, struct err *err)
{
	struct log_id id = { .attempt = a->job->attempt };

	if (!job_id_parse(a->job->id, &id.build, &id.job))
		return err_set(err, ERR_PROTO, 0, "%s is no job's id", a->job->id);
	a->log = log_open(a->deps->logs, &id, err);
	return a->log != NULL;
}

static void
on_begin(void *arg)
{
	struct app_job *a = arg;
	struct err err;

	a->begin = NULL;
	if (!open_log(a, &err) || !job_spec_from_json(str_of(a->job->spec), &a->spec, &err) ||
	    !progress_from_json(str_of(a->job->progress), &a->progress, &err)) {
		job_fail(a, JOB_ERROR, err.text);
		return;
	}
	CRASH_POINT(job_begun);
	if (a->spec.kind == JOB_KIND_BUILD && a->is_adopted) {
		app_job_again(a, recovery_find(RECOVERY_IMAGE_BUILD)->reason);
		return;
	}
	if (a->spec.timeout_s == 0)
		a->spec.timeout_s = a->deps->timeout_s;
	if (a->build->change == NULL || a->build->change->trust != CHANGE_TRUSTED)
		a->spec.hold_s = 0; /* a stranger's code keeps no slot */
	app_job_step(a, a->is_adopted ? APP_JOB_RECALL : APP_JOB_REPO);
}

/* Of the attempt, which a later process of this node can make again, and nobody who has not the claim's token. */
static void
make_nonce(struct app_job *a)
{
	char *secret = xasprintf("davit nonce %s %" PRId64, a->job->token, a->job->attempt);
	char hash[SHA256_HEX_SIZE];

	sha256_hex(str_of(secret), hash);
	snprintf(a->nonce, sizeof(a->nonce), "%.*s", 2 * NONCE_BYTES, hash);
	free(secret);
}

struct app_job *
app_job_start(const struct app_job_deps *deps, struct job *job, struct build *build, struct engine *slot)
{
	struct app_job *a = xcalloc(1, sizeof(*a));

	*a = (struct app_job){ .deps = deps, .job = job, .build = build, .slot = slot, .result = JOB_RUNNING };
	a->retry = timer_new(deps->loop, on_retry, a);
	buf_init(&a->images, IMAGES_MAX);
	make_nonce(a);
	a->begin = deferred_call(deps->loop, on_begin, a);
	return a;
}

struct app_job *
app_job_adopt(const struct app_job_deps *deps, struct job *job, struct build *build)
{
	struct app_job *a = app_job_start(deps, job, build, NULL);

	a->is_adopted = true;
	return a;
}

const char *
app_job_id(const struct app_job *a)
{
	return a->job->id;
}

/* Before there is a container the job ends here; after, by the builder's done; at its end, by itself. */
static void
stop(struct app_job *a, void (*end_run)(struct builder_run *run, const char *why), const char *why)
{
	if (a->state == APP_JOB_RUN && a->release != NULL) {
		app_release_cancel(a->release, why);
	} else if (a->state == APP_JOB_RUN && a->run != NULL) {
		end_run(a->run, why);
	} else if (a->state < APP_JOB_RUN) {
		deferred_cancel(&a->begin);
		job_fail(a, JOB_CANCELLED, why);
	}
}

void
app_job_cancel(struct app_job *a, bool was_told)
{
	CRASH_POINT(cancel_heard);
	log_debug("job %s is to be cancelled", a->job->id);
	if (a->is_adopted && a->run == NULL && a->release == NULL && a->state < APP_JOB_RUN)
		return; /* its lease says it again, when what runs always can be run */
	if (was_told && a->is_cancelled)
		return;
	a->is_cancelled = true;
	stop(a, builder_cancel, "cancelled");
}

void
app_job_lose(struct app_job *a)
{
	a->ending = ENDING_LOST;
	if (a->release != NULL) { /* what it has begun is for who has the job now */
		app_release_leave(&a->release);
		job_fail(a, JOB_ERROR, "the job is not ours any more");
		return;
	}
	stop(a, builder_end, "the job is not ours any more");
}

/* Nothing of it changes: it is as if this process had been killed. */
static void
job_leave(struct app_job *a)
{
	app_release_leave(&a->release);
	deferred_cancel(&a->begin);
	log_close(&a->log);
	a->ending = ENDING_LEFT;
	app_job_step(a, APP_JOB_END);
}

/* Where the container of one that was to be adopted is, only a later process will find out. */
static bool
is_lost_sight_of(const struct app_job *a)
{
	return a->is_adopted && a->run == NULL && a->release == NULL && a->state <= APP_JOB_RUN;
}

/* It is neither old nor new: whoever comes after us goes on. */
static bool
has_begun_release(const struct app_job *a)
{
	return a->release != NULL && app_release_is_begun(a->release);
}

void
app_job_suspend(struct app_job *a)
{
	static const char why[] = "davitd was stopped";

	if (is_lost_sight_of(a) || has_begun_release(a)) {
		job_leave(a);
	} else if (a->state == APP_JOB_RUN && a->release != NULL) {
		app_release_leave(&a->release);
		app_job_again(a, why);
	} else if (a->state == APP_JOB_RUN && a->run != NULL) {
		builder_put_back(a->run, why);
	} else if (a->state < APP_JOB_RUN) {
		deferred_cancel(&a->begin);
		app_job_again(a, why);
	}
}

/* It has no result yet, so it runs. */
static bool
detach_run(struct app_job *a)
{
	app_files_stop(a->files);
	if (!builder_detach(a->run))
		return false;
	a->run = NULL;
	return true;
}

void
app_job_detach(struct app_job *a)
{
	bool is_ours = a->ending == ENDING_OWN && a->result == JOB_RUNNING;

	if (is_ours && (a->run != NULL ? detach_run(a) : is_lost_sight_of(a) || has_begun_release(a)))
		job_leave(a);
	else
		app_job_suspend(a);
}
