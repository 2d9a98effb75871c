/* /api/v1/builds and the queue. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/change.h"
#include "proto/mem.h"
#include "proto/params.h"
#include "proto/ref.h"
#include "server/builder/builder.h"
#include "server/controller/api_json.h"
#include "server/controller/build_feed.h"
#include "server/controller/controller_private.h"
#include "server/core/crash.h"

#define LIMIT_DEFAULT 30

static void
answer_number(struct api_call **call, unsigned status, int64_t build)
{
	struct json_writer *w = json_writer_new(4096);

	json_write_object_open(w);
	json_member_int(w, "build", build);
	json_write_object_close(w);
	api_call_json(call, status, &w);
}

/* --- looking --- */

static void
on_builds(void *arg, struct build_list builds, const struct err *err)
{
	struct api_call *call = arg;
	struct json_writer *w;

	if (!api_call_failed(&call, err)) {
		w = api_list_open("builds");
		for (size_t i = 0; i < builds.count; i++)
			api_write_build(w, &builds.items[i]);
		api_list_answer(&call, &w);
	}
	build_list_fini(&builds);
}

void
api_build_list(void *arg, struct http_reply *reply)
{
	struct controller *controller = arg;
	struct api_call *call;
	struct buf repo;
	uint64_t limit, before;
	bool has_repo;

	if (!api_query_number(&reply, "limit", STORE_LIST_MAX, LIMIT_DEFAULT, &limit) ||
	    !api_query_number(&reply, "before", INT64_MAX, 0, &before))
		return;
	buf_init(&repo, REPO_ID_MAX);
	has_repo = request_query(reply_request(reply), "repo", &repo) && repo.len > 0;
	if (has_repo && !repo_id_is_valid(repo.data)) {
		reply_error(&reply, 422, "input", "repo: \"%s\" is no repository's id", repo.data);
	} else {
		call = api_call_new(controller, reply);
		call->op = store_builds(controller->deps.store, has_repo ? repo.data : NULL, (int64_t)before,
		    limit != 0 ? (unsigned)limit : LIMIT_DEFAULT, on_builds, call);
	}
	buf_fini(&repo);
}

static void
on_build(void *arg, struct build *build, const struct err *err)
{
	struct api_call *call = arg;
	struct json_writer *w;

	if (!api_call_failed(&call, err)) {
		w = json_writer_new(API_JSON_MAX);
		api_write_build(w, build);
		api_call_json(&call, 200, &w);
	}
	build_free(&build);
}

void
api_build_get(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_build(arg, reply);

	if (call != NULL)
		call->op = store_build_get(call->store, call->log.build, on_build, call);
}

void
api_events(void *arg, struct http_reply *reply)
{
	struct controller *controller = arg;

	build_feed_open(controller->feed, &reply);
}

/* --- doing --- */

static void
on_done(void *arg, const struct err *err)
{
	struct api_call *call = arg;

	CRASH_POINT(decision_recorded);
	if (!api_call_failed(&call, err))
		answer_number(&call, 202, call->log.build);
}

/* What is over already may still have been held. */
static void
on_cancelled(void *arg, const struct err *err)
{
	struct api_call *call = arg;

	CRASH_POINT(cancel_recorded);
	on_done(arg, call->is_released && err != NULL && err->code == ERR_CONFLICT ? NULL : err);
}

void
api_build_cancel(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_build(arg, reply);
	struct builder *builder;

	if (call == NULL)
		return;
	builder = call->controller->deps.builder;
	call->is_released = builder_release(builder, api_call_param(call, "build"));
	CRASH_POINT(cancel_asking);
	call->op = store_build_cancel(call->store, call->log.build, on_cancelled, call);
}

void
api_build_approve(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_build(arg, reply);

	if (call != NULL)
		call->op =
		    store_build_approve(call->store, call->log.build, reply_request(call->reply)->who, on_done, call);
}

void
api_build_reject(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_build(arg, reply);

	if (call != NULL)
		call->op =
		    store_build_reject(call->store, call->log.build, reply_request(call->reply)->who, on_done, call);
}

static void
on_rerun(void *arg, int64_t number, const struct err *err)
{
	struct api_call *call = arg;

	CRASH_POINT(rerun_recorded);
	if (!api_call_failed(&call, err))
		answer_number(&call, 201, number);
}

/* ?jobs=failed, or a job's number; without it all. */
static bool
read_jobs(struct http_reply **reply, char ret[24])
{
	struct buf text;
	uint64_t k;
	bool ok;

	buf_init(&text, 23);
	request_query(reply_request(*reply), "jobs", &text);
	ok = text.len == 0 || strcmp(text.data, "failed") == 0 || (str_to_u64(buf_str(&text), INT64_MAX, &k) && k > 0);
	snprintf(ret, 24, "%s", text.data);
	buf_fini(&text);
	if (!ok)
		reply_error(reply, 422, "input", "jobs must be \"failed\" or a job's number in the build");
	return ok;
}

void
api_build_rerun(void *arg, struct http_reply *reply)
{
	struct api_call *call;
	char jobs[24];

	if (!read_jobs(&reply, jobs) || (call = api_call_build(arg, reply)) == NULL)
		return;
	CRASH_POINT(rerun_asking);
	call->op = store_build_rerun(call->store, call->log.build, jobs, on_rerun, call);
}

/* --- a build that is asked for: {"branch": "main", "commit": "0123...", "parameters": {"NAME": "VALUE"}} --- */

static void
on_submitted(void *arg, const struct store_submitted *submitted, const struct err *err)
{
	struct api_call *call = arg;

	CRASH_POINT(submit_accepted);
	if (api_call_failed(&call, err))
		return;
	switch (submitted->result) {
	case STORE_NEW:
	case STORE_DUPLICATE:
		answer_number(&call, 201, submitted->build);
		return;
	case STORE_NO_REPO:
		reply_error(&call->reply, 404, "not_found", "there is no such repository");
		break;
	case STORE_FULL:
		reply_error(&call->reply, 503, "unavailable", "too many builds wait to be planned, try again");
		break;
	case STORE_CONFLICT:
		reply_error(&call->reply, 409, "conflict", "this delivery is known with another body");
		break;
	}
	api_call_end(&call);
}

/* "branch", "tag" or "ref"; the default branch when there is none of them. */
static char *
read_ref(const struct json_value *body)
{
	const char *ref = json_string(json_get(body, "ref"), "");
	const char *tag = json_string(json_get(body, "tag"), "");
	const char *branch = json_string(json_get(body, "branch"), "");

	if (ref[0] != '\0')
		return xstrdup(ref);
	if (tag[0] != '\0')
		return xasprintf("refs/tags/%s", tag);
	return branch[0] != '\0' ? xasprintf("refs/heads/%s", branch) : xstrdup(CHANGE_REF_DEFAULT);
}

/* What others can put there, such as refs/pull/7/head, is not trusted, whoever asks for a build of it. */
static bool
is_own_ref(const char *ref)
{
	return strcmp(ref, CHANGE_REF_DEFAULT) == 0 || str_has_prefix(str_of(ref), "refs/heads/") ||
	       str_has_prefix(str_of(ref), "refs/tags/");
}

/* What people call the ref. */
static bool
read_branch(struct change *change, struct err *err)
{
	const char *slash;

	if (strcmp(change->ref, CHANGE_REF_DEFAULT) == 0)
		return true; /* found out when the build is planned */
	if (!ref_is_valid(str_of(change->ref)))
		return err_set(
		    err, ERR_INPUT, 0, "give a branch, a tag, or a ref such as refs/heads/main or refs/tags/v1");
	slash = strchr(change->ref + strlen("refs/"), '/');
	change->branch = xstrdup(slash != NULL ? slash + 1 : change->ref);
	return true;
}

/* Fills change, whose strings are its own. Without a commit it is what the ref is at when the build is planned. */
static bool
read_change(const struct json_value *body, const char *who, struct change *change, struct err *err)
{
	const char *commit = json_string(json_get(body, "commit"), "");
	const char *event = json_string(json_get(body, "event"), "api");

	if (commit[0] != '\0' && !commit_is_valid(str_of(commit)))
		return err_set(err, ERR_INPUT, 0, "commit must be a full object id: 40 or 64 lower-case hex digits");
	change->commit = commit[0] != '\0' ? xstrdup(commit) : NULL;
	change->ref = read_ref(body);
	if (!read_branch(change, err))
		return false;
	change->trust = is_own_ref(change->ref) ? CHANGE_TRUSTED : CHANGE_FORK;
	if (!change_event_from_name(event, &change->event) ||
	    (change->event != CHANGE_MANUAL && change->event != CHANGE_API))
		return err_set(err, ERR_INPUT, 0, "event must be manual or api");
	change->sender = xstrdup(who);
	change->title = xstrdup(json_string(
	    json_get(body, "title"), change->event == CHANGE_API ? "Started by the API" : "Started by hand"));
	return params_read(json_get(body, "parameters"), &change->params, err);
}

void
api_build_submit(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);
	struct change change = { 0 };
	struct err err;

	if (!api_call_parse(&call))
		return;
	if (read_change(json_root(call->body), reply_request(call->reply)->who, &change, &err))
		call->op =
		    store_submit(call->store, api_call_param(call, "repo"), &change, STR(""), NULL, on_submitted, call);
	else
		api_call_failed(&call, &err);
	change_fini(&change);
}

/* --- jobs --- */

static void
on_job(void *arg, struct job *job, const struct err *err)
{
	struct api_call *call = arg;
	struct json_writer *w;

	if (!api_call_failed(&call, err)) {
		w = json_writer_new(API_JSON_MAX);
		api_write_job(w, job);
		api_call_json(&call, 200, &w);
	}
	job_free(&job);
}

void
api_job_get(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	call->op = store_job_get(call->store, api_call_param(call, "job"), on_job, call);
}

void
api_job_cancel(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_job(arg, reply);
	const char *job;

	if (call == NULL)
		return;
	job = api_call_param(call, "job");
	call->is_released = builder_release(call->controller->deps.builder, job);
	call->op = store_job_cancel(call->store, job, on_cancelled, call);
}

static void
write_jobs(struct json_writer *w, const char *key, const struct job_list *jobs)
{
	json_write_key(w, key);
	json_write_array_open(w);
	for (size_t i = 0; i < jobs->count; i++)
		api_write_job(w, &jobs->items[i]);
	json_write_array_close(w);
}

static void
on_running(void *arg, struct job_list jobs, const struct err *err)
{
	struct api_call *call = arg;
	struct json_writer *w;

	if (!api_call_failed(&call, err)) {
		w = json_writer_new(API_JSON_MAX);
		json_write_object_open(w);
		write_jobs(w, "queued", &call->jobs);
		write_jobs(w, "running", &jobs);
		json_write_object_close(w);
		api_call_json(&call, 200, &w);
	}
	job_list_fini(&jobs);
}

static void
on_queued(void *arg, struct job_list jobs, const struct err *err)
{
	struct api_call *call = arg;

	call->jobs = jobs;
	if (!api_call_failed(&call, err))
		call->op = store_running(call->store, NULL, on_running, call);
}

void
api_queue(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	call->op = store_queue(call->store, on_queued, call);
}
