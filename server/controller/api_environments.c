/* /api/v1/repos/:repo/environments, their deployments, and /api/v1/jobs/:job/approve. */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "proto/environment.h"
#include "proto/image.h"
#include "proto/mem.h"
#include "proto/params.h"
#include "server/controller/api_json.h"
#include "server/controller/controller_private.h"

#define REASON_MAX 200

/* The name that people read in the history. */
static const char *
who(const struct api_call *call)
{
	return reply_request(call->reply)->who;
}

static void
audit(const struct api_call *call, const char *what)
{
	api_audit(reply_request(call->reply), "environment %s of %s: %s", api_call_param(call, "environment"),
	    api_call_param(call, "repo"), what);
}

/* --- looking --- */

static void
on_list(void *arg, struct environment_list environments, struct deployment_list deployments, const struct err *err)
{
	struct api_call *call = arg;
	struct json_writer *w;

	if (!api_call_failed(&call, err)) {
		w = api_list_open("environments");
		for (size_t i = 0; i < environments.count; i++)
			api_write_environment(w, &environments.items[i], &deployments.items[i]);
		api_list_answer(&call, &w);
	}
	environment_list_fini(&environments);
	deployment_list_fini(&deployments);
}

/* The repository is there: what it has. */
static void
on_repo(void *arg, struct repo *repo, const struct err *err)
{
	struct api_call *call = arg;

	if (!api_call_failed(&call, err))
		call->op = store_environments(call->store, repo->id, on_list, call);
	repo_free(&repo);
}

void
api_environment_list(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	call->op = store_repo_get(call->store, api_call_param(call, "repo"), on_repo, call);
}

static void
on_environment(void *arg, struct environment *environment, const struct err *err)
{
	struct api_call *call = arg;
	struct json_writer *w;

	if (!api_call_failed(&call, err)) {
		w = json_writer_new(API_JSON_MAX);
		api_write_environment(w, environment, NULL);
		api_call_json(&call, 200, &w);
	}
	environment_free(&environment);
}

void
api_environment_get(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	call->op = store_environment_get(
	    call->store, api_call_param(call, "repo"), api_call_param(call, "environment"), on_environment, call);
}

static void
on_deployments(void *arg, struct deployment_list deployments, const struct err *err)
{
	struct api_call *call = arg;
	struct json_writer *w;

	if (!api_call_failed(&call, err)) {
		w = api_list_open("deployments");
		for (size_t i = 0; i < deployments.count; i++)
			api_write_deployment(w, &deployments.items[i]);
		api_list_answer(&call, &w);
	}
	deployment_list_fini(&deployments);
}

/* ?before=N&limit=N */
void
api_deployment_list(void *arg, struct http_reply *reply)
{
	struct api_call *call;
	uint64_t before, limit;

	if (!api_query_number(&reply, "before", INT64_MAX, 0, &before) ||
	    !api_query_number(&reply, "limit", STORE_LIST_MAX, 30, &limit))
		return;
	call = api_call_new(arg, reply);
	call->op = store_deployments(call->store, api_call_param(call, "repo"), api_call_param(call, "environment"),
	    (int64_t)before, (unsigned)limit, on_deployments, call);
}

/* --- adding and changing: what is not said stays as it is --- */

static const struct {
	const char *name;
	size_t offset;
} texts[] = {
	{ "kind", offsetof(struct environment, kind) },
	{ "engine", offsetof(struct environment, engine) },
	{ "image", offsetof(struct environment, image) },
	{ "command", offsetof(struct environment, command) },
	{ "events", offsetof(struct environment, events) },
	{ "branches", offsetof(struct environment, branches) },
	{ "tags", offsetof(struct environment, tags) },
	{ "deployers", offsetof(struct environment, deployers) },
	{ "watch", offsetof(struct environment, watch) },
};

#define TEXT_COUNT (sizeof(texts) / sizeof(texts[0]))

static bool
take_texts(const struct json_value *body, struct environment *environment, struct err *err)
{
	for (size_t i = 0; i < TEXT_COUNT; i++) {
		const struct json_value *value = json_get(body, texts[i].name);
		char **text = (char **)((char *)environment + texts[i].offset);

		if (value == NULL)
			continue;
		if (json_type(value) != JSON_STRING)
			return err_set(err, ERR_INPUT, 0, "%s must be a text", texts[i].name);
		free(*text);
		*text = xstrdup(json_string(value, ""));
	}
	return true;
}

static bool
take_others(const struct json_value *body, struct environment *environment, struct err *err)
{
	const struct json_value *approve = json_get(body, "approve"), *variables = json_get(body, "variables");

	if (approve != NULL && json_type(approve) != JSON_BOOL)
		return err_set(err, ERR_INPUT, 0, "approve must be true or false");
	environment->approve = json_bool(approve, environment->approve);
	if (variables == NULL)
		return true;
	free(environment->variables);
	environment->variables = NULL;
	if (!params_read(variables, &environment->variables, err))
		return false;
	if (environment->variables == NULL)
		environment->variables = xstrdup("");
	return true;
}

static bool
check(const struct environment *environment, struct err *err)
{
	const struct environment_rules rules = {
		.kind = environment->kind,
		.events = environment->events,
		.branches = environment->branches,
		.tags = environment->tags,
		.deployers = environment->deployers,
	};
	struct image_ref image;
	struct err wrong;

	if (environment->image[0] != '\0' && !image_parse(str_of(environment->image), &image, &wrong))
		return err_set(err, ERR_INPUT, 0, "image: %s", wrong.text);
	if (environment->watch[0] != '\0' && !image_parse(str_of(environment->watch), &image, &wrong))
		return err_set(err, ERR_INPUT, 0, "watch: %s", wrong.text);
	if (environment->watch[0] != '\0' && image.digest[0] != '\0')
		return err_set(err, ERR_INPUT, 0, "watch: what a digest names never changes; a tag is wanted");
	if (!environment_command_is_valid(environment->command))
		return err_set(err, ERR_INPUT, 0,
		    "command: a text of at most %d bytes is wanted, without control "
		    "characters",
		    ENVIRONMENT_COMMAND_MAX);
	return environment_check(&rules, err);
}

static bool
take_body(const struct json_value *body, struct environment *environment, struct err *err)
{
	static const char *const members[] = { "kind", "engine", "image", "command", "events", "branches", "tags",
		"deployers", "watch", "approve", "variables", NULL };

	return api_check_members(body, members, "an environment", err) && take_texts(body, environment, err) &&
	       take_others(body, environment, err) && check(environment, err);
}

static void
on_put(void *arg, const struct err *err)
{
	struct api_call *call = arg;

	if (api_call_failed(&call, err))
		return;
	audit(call, "set");
	call->op = store_environment_get(
	    call->store, api_call_param(call, "repo"), api_call_param(call, "environment"), on_environment, call);
}

static void
put(struct api_call *call, struct environment *environment, bool is_new)
{
	struct err err;

	if (take_body(json_root(call->body), environment, &err))
		call->op = store_environment_put(call->store, environment, is_new, on_put, call);
	else
		api_call_failed(&call, &err);
}

static struct environment *
environment_new(const char *repo, const char *name)
{
	struct environment *environment = xcalloc(1, sizeof(*environment));

	*environment = (struct environment){ .repo = xstrdup(repo),
		.name = xstrdup(name),
		.variables = xstrdup(""),
		.locked_by = xstrdup(""),
		.watch_digest = xstrdup(""),
		.watch_error = xstrdup(""),
		.lock_reason = xstrdup("") };
	for (size_t i = 0; i < TEXT_COUNT; i++)
		*(char **)((char *)environment + texts[i].offset) =
		    xstrdup(strcmp(texts[i].name, "kind") == 0 ? "command" : "");
	return environment;
}

static void
on_known(void *arg, struct environment *environment, const struct err *err)
{
	struct api_call *call = arg;
	bool is_new = err != NULL && err->code == ERR_NOT_FOUND;

	call->op = NULL;
	if (is_new)
		environment = environment_new(api_call_param(call, "repo"), api_call_param(call, "environment"));
	if (environment != NULL)
		put(call, environment, is_new);
	else
		api_call_failed(&call, err);
	environment_free(&environment);
}

void
api_environment_put(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	if (api_call_parse(&call))
		call->op = store_environment_get(
		    call->store, api_call_param(call, "repo"), api_call_param(call, "environment"), on_known, call);
}

static void
on_deleted(void *arg, const struct err *err)
{
	if (err == NULL)
		audit(arg, "removed");
	api_call_done(arg, err);
}

void
api_environment_delete(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	call->op = store_environment_delete(
	    call->store, api_call_param(call, "repo"), api_call_param(call, "environment"), on_deleted, call);
}

/* --- the lock: {"reason": "a freeze"} --- */

static void
on_locked(void *arg, const struct err *err)
{
	if (err == NULL)
		audit(arg, "locked");
	api_call_done(arg, err);
}

static bool
check_reason(const char *reason, struct err *err)
{
	return (strlen(reason) <= REASON_MAX && strpbrk(reason, "\r\n\t\x1b") == NULL) ||
	       err_set(err, ERR_INPUT, 0, "reason: one line of at most %d bytes is wanted", REASON_MAX);
}

void
api_environment_lock(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);
	const char *reason;
	struct err err;

	if (!api_call_parse(&call))
		return;
	reason = json_string(json_get(json_root(call->body), "reason"), "");
	if (!check_reason(reason, &err))
		api_call_failed(&call, &err);
	else
		call->op = store_environment_lock(call->store, api_call_param(call, "repo"),
		    api_call_param(call, "environment"), who(call), reason, on_locked, call);
}

static void
on_unlocked(void *arg, const struct err *err)
{
	if (err == NULL)
		audit(arg, "unlocked");
	api_call_done(arg, err);
}

void
api_environment_unlock(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	call->op = store_environment_lock(
	    call->store, api_call_param(call, "repo"), api_call_param(call, "environment"), "", "", on_unlocked, call);
}

/* --- deploying again --- */

static void
on_deploying(void *arg, int64_t number, const struct err *err)
{
	struct api_call *call = arg;
	struct json_writer *w;

	if (api_call_failed(&call, err))
		return;
	w = json_writer_new(API_JSON_MAX);
	json_write_object_open(w);
	json_member_int(w, "build", number);
	json_write_object_close(w);
	api_call_json(&call, 201, &w);
}

static void
on_target(void *arg, struct deployment_list found, const struct err *err)
{
	struct api_call *call = arg;

	if (!api_call_failed(&call, err)) {
		audit(call, "rolled back");
		call->op = store_build_deploy(call->store, found.items[0].build, found.items[0].environment, who(call),
		    found.items[0].number, on_deploying, call);
	}
	deployment_list_fini(&found);
}

void
api_environment_rollback(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	call->op = store_rollback_find(
	    call->store, api_call_param(call, "repo"), api_call_param(call, "environment"), on_target, call);
}

/* What a build made goes to an environment that its pipeline names: {"environment": "live"}. */
void
api_build_deploy(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_build(arg, reply);
	const char *name;
	struct err err;

	if (call == NULL || !api_call_parse(&call))
		return;
	name = json_string(json_get(json_root(call->body), "environment"), "");
	if (environment_name_is_valid(name)) {
		api_audit(reply_request(call->reply), "build %" PRId64 ": deployed to %s", call->log.build, name);
		call->op = store_build_deploy(call->store, call->log.build, name, who(call), 0, on_deploying, call);
	} else {
		err = err_make(ERR_INPUT, 0, "environment: the name of an environment is wanted");
		api_call_failed(&call, &err);
	}
}

/* --- approving --- */

static void
on_judged(void *arg, const struct err *err)
{
	struct api_call *call = arg;

	if (err == NULL)
		api_audit(reply_request(call->reply), "job %s: judged", api_call_param(call, "job"));
	api_call_done(arg, err);
}

void
api_job_approve(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_job(arg, reply);

	if (call != NULL)
		call->op = store_job_approve(call->store, api_call_param(call, "job"), who(call), on_judged, call);
}

void
api_job_reject(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_job(arg, reply);

	if (call != NULL)
		call->op = store_job_reject(call->store, api_call_param(call, "job"), who(call), on_judged, call);
}
