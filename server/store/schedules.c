#include <stdlib.h>

#include "server/store/op.h"

#define SCHEDULES_MAX 100 /* of a repository */

struct store_op *
store_schedule_put(struct store *store, const struct schedule *schedule, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "schedule of %.*s", REPO_ID_MAX, schedule->repo);
	struct args args = { 0 };

	op->fn.done = fn;
	if (!repo_id_is_valid(schedule->name) || !repo_id_is_valid(schedule->repo)) {
		op_answer_later(
		    op, err_make(ERR_INPUT, 0, "a schedule's name is 1 to %d of a-z 0-9 . _ -", REPO_ID_MAX));
		return op;
	}
	args_text(&args, schedule->repo);
	args_text(&args, schedule->name);
	args_int(&args, SCHEDULES_MAX);
	args_int(&args, schedule->next_ms);
	args_record(&args, &schedule_settings_record, schedule, true);
	op_send(op, &script_cron_put, &args, STORE_TIMEOUT_MS);
	return op;
}

struct store_op *
store_schedule_delete(struct store *store, const char *repo, const char *name, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "schedule of %.*s", REPO_ID_MAX, repo);
	struct args args = { 0 };

	op->fn.done = fn;
	if (!repo_id_is_valid(name) || !repo_id_is_valid(repo)) {
		op_answer_later(op, err_make(ERR_NOT_FOUND, 0, "there is no such schedule"));
		return op;
	}
	args_text(&args, repo);
	args_text(&args, name);
	op_send(op, &script_cron_delete, &args, STORE_TIMEOUT_MS);
	return op;
}

static void
answer_schedules(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct schedule_list schedules = { 0 };
	struct err failure;

	if ((err = op_failure(op, NULL, err, &failure)) == NULL)
		schedules = schedule_list_read(reply, 0);
	op->fn.schedules(op->arg, schedules, err);
}

struct store_op *
store_schedules(struct store *store, const char *repo, store_schedules_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_schedules, arg, "schedules of %.*s", REPO_ID_MAX, repo);
	struct args args = { 0 };

	op->fn.schedules = fn;
	if (!repo_id_is_valid(repo)) {
		op_answer_later(op, err_make(ERR_NOT_FOUND, 0, "there is no such repository"));
		return op;
	}
	args_text(&args, repo);
	op_send(op, &script_crons, &args, STORE_TIMEOUT_MS);
	return op;
}

static void
answer_due(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct store_due due = { .next_ms = -1 };
	struct err failure;

	if ((err = op_failure(op, NULL, err, &failure)) == NULL) {
		due.now_ms = redis_reply_int(redis_reply_at(reply, 0), 0);
		due.next_ms = redis_reply_int(redis_reply_at(reply, 1), -1);
		due.schedules = schedule_list_read(reply, 2);
	}
	op->fn.due(op->arg, due, err);
}

struct store_op *
store_schedules_due(struct store *store, store_due_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_due, arg, "schedules");
	struct args args = { 0 };

	op->fn.due = fn;
	args_int(&args, STORE_LIST_MAX);
	op_send(op, &script_cron_due, &args, STORE_TIMEOUT_MS);
	return op;
}

struct store_op *
store_schedule_fire(struct store *store, const struct schedule *schedule, int64_t next_ms, const struct change *change,
    store_number_fn *fn, void *arg)
{
	struct store_op *op =
	    op_new(store, answer_number, arg, "schedule %.*s of %.64s", 12, schedule->name, schedule->repo);
	struct args args = { 0 };

	op->fn.number = fn;
	args_text(&args, schedule->repo);
	args_text(&args, schedule->name);
	args_int(&args, schedule->next_ms);
	args_int(&args, next_ms);
	args_int(&args, store->conf.max_planning);
	args_change(&args, change);
	op_send(op, &script_cron_fire, &args, STORE_TIMEOUT_MS);
	return op;
}
