#include <stdio.h>
#include <stdlib.h>

#include "proto/change.h"
#include "proto/environment.h"
#include "proto/mem.h"
#include "server/store/op.h"

#define ENVIRONMENTS_MAX 100 /* of a repository */

/* An operation upon an environment begins with repository and name; where they can be none it gets its answer at once.
 */
static struct store_op *
environment_op(
    struct store *store, store_answer_fn *answer, const char *repo, const char *name, struct args *args, void *arg)
{
	struct store_op *op = op_new(store, answer, arg, "environment %.40s", name);

	*args = (struct args){ 0 };
	args_text(args, repo);
	args_text(args, name);
	if (!repo_id_is_valid(repo) || !environment_name_is_valid(name))
		op_answer_later(op, err_make(ERR_NOT_FOUND, 0, "there is no environment \"%.60s\"", name));
	return op;
}

struct store_op *
store_environment_put(
    struct store *store, const struct environment *environment, bool is_new, store_done_fn *fn, void *arg)
{
	struct args args;
	struct store_op *op = environment_op(store, answer_done, environment->repo, environment->name, &args, arg);

	op->fn.done = fn;
	if (op->deferred != NULL)
		op->err = err_make(ERR_INPUT, 0,
		    "an environment's name is 1 to %d letters, digits and . _ -, a letter or digit first",
		    ENVIRONMENT_NAME_MAX);
	args_text(&args, is_new ? "add" : "set");
	args_int(&args, ENVIRONMENTS_MAX);
	args_record(&args, &environment_settings_record, environment, true);
	return op_send(op, &script_environment_put, &args, STORE_TIMEOUT_MS);
}

static void
answer_environment(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct environment *environment = NULL;
	struct err failure;

	if ((err = op_failure(op, reply, err, &failure)) == NULL) {
		environment = xcalloc(1, sizeof(*environment));
		environment_init(environment, redis_reply_at(reply, 1));
	}
	op->fn.environment(op->arg, environment, err);
}

struct store_op *
store_environment_get(struct store *store, const char *repo, const char *name, store_environment_fn *fn, void *arg)
{
	struct args args;
	struct store_op *op = environment_op(store, answer_environment, repo, name, &args, arg);

	op->fn.environment = fn;
	return op_send(op, &script_environment_get, &args, STORE_TIMEOUT_MS);
}

void
environments_read(const struct redis_reply *reply, size_t at, struct environment_list *environments,
    struct deployment_list *deployments)
{
	size_t all = redis_reply_count(reply), count = all > at ? (all - at) / 2 : 0;

	environments->items = xcalloc(count + 1, sizeof(*environments->items));
	deployments->items = xcalloc(count + 1, sizeof(*deployments->items));
	for (size_t i = 0; i < count; i++) {
		environment_init(&environments->items[environments->count++], redis_reply_at(reply, at + 2 * i));
		deployment_init(&deployments->items[deployments->count++], redis_reply_at(reply, at + 2 * i + 1));
	}
}

static void
answer_environments(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct environment_list environments = { 0 };
	struct deployment_list deployments = { 0 };
	struct err failure;

	if ((err = op_failure(op, NULL, err, &failure)) == NULL)
		environments_read(reply, 0, &environments, &deployments);
	op->fn.environments(op->arg, environments, deployments, err);
}

struct store_op *
store_environments(struct store *store, const char *repo, store_environments_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_environments, arg, "environments of %.*s", REPO_ID_MAX, repo);
	struct args args = { 0 };

	op->fn.environments = fn;
	if (!repo_id_is_valid(repo)) {
		op_answer_later(op, err_make(ERR_NOT_FOUND, 0, "there is no such repository"));
		return op;
	}
	args_text(&args, repo);
	op_send(op, &script_environments, &args, STORE_TIMEOUT_MS);
	return op;
}

bool
environment_takes(const struct environment *environment, const struct build *build, struct err *why)
{
	const struct change *change = build->change;
	const struct environment_rules rules = {
		.kind = environment->kind,
		.events = environment->events,
		.branches = environment->branches,
		.tags = environment->tags,
		.deployers = environment->deployers,
	};
	const struct environment_request request = {
		.event = build->event,
		.ref = build->ref,
		.branch = build->branch,
		.sender = change != NULL ? change->sender : NULL,
		.is_fork = change == NULL || change->trust != CHANGE_TRUSTED,
	};

	return environment_allows(&rules, environment->name, &request, why);
}

struct store_op *
store_environment_delete(struct store *store, const char *repo, const char *name, store_done_fn *fn, void *arg)
{
	struct args args;
	struct store_op *op = environment_op(store, answer_done, repo, name, &args, arg);

	op->fn.done = fn;
	return op_send(op, &script_environment_delete, &args, STORE_TIMEOUT_MS);
}

struct store_op *
store_environment_lock(struct store *store, const char *repo, const char *name, const char *who, const char *reason,
    store_done_fn *fn, void *arg)
{
	struct args args;
	struct store_op *op = environment_op(store, answer_done, repo, name, &args, arg);

	op->fn.done = fn;
	args_text(&args, who);
	args_text(&args, reason);
	return op_send(op, &script_environment_lock, &args, STORE_TIMEOUT_MS);
}

static void
answer_deployments(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct deployment_list deployments = { 0 };
	struct err failure;

	if ((err = op_failure(op, reply, err, &failure)) == NULL)
		deployments = deployment_list_read(reply, 1);
	op->fn.deployments(op->arg, deployments, err);
}

struct store_op *
store_deployments(struct store *store, const char *repo, const char *name, int64_t before, unsigned limit,
    store_deployments_fn *fn, void *arg)
{
	struct args args;
	struct store_op *op = environment_op(store, answer_deployments, repo, name, &args, arg);

	op->fn.deployments = fn;
	args_int(&args, before);
	args_int(&args, limit < STORE_LIST_MAX ? limit : STORE_LIST_MAX);
	return op_send(op, &script_deployments, &args, STORE_TIMEOUT_MS);
}

struct store_op *
store_rollback_find(struct store *store, const char *repo, const char *name, store_deployments_fn *fn, void *arg)
{
	struct args args;
	struct store_op *op = environment_op(store, answer_deployments, repo, name, &args, arg);

	op->fn.deployments = fn;
	return op_send(op, &script_rollback_find, &args, STORE_TIMEOUT_MS);
}
