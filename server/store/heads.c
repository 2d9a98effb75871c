#include "server/store/heads.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/mem.h"
#include "server/store/op.h"

static struct str
text_at(const struct redis_reply *reply, size_t i)
{
	return redis_reply_str(redis_reply_at(reply, i));
}

/* --- when --- */

static void
answer_due(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct store_poll poll = { .next_ms = -1 };
	struct err failure;
	size_t count = redis_reply_count(reply);

	if ((err = op_failure(op, NULL, err, &failure)) == NULL && count > 0) {
		poll.next_ms = redis_reply_int(redis_reply_at(reply, 0), -1);
		poll.repos.items = xcalloc(count, sizeof(*poll.repos.items));
		for (size_t i = 1; i < count; i++)
			poll.repos.items[poll.repos.count++] = str_dup(text_at(reply, i));
	}
	op->fn.poll(op->arg, poll, err);
}

struct store_op *
store_poll_due(struct store *store, unsigned limit, int64_t mine_ms, bool all, store_poll_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_due, arg, "repositories to look at");
	struct args args = { 0 };

	op->fn.poll = fn;
	args_int(&args, limit);
	args_int(&args, mine_ms);
	args_int(&args, all);
	op_send(op, &script_poll_due, &args, STORE_TIMEOUT_MS);
	return op;
}

static void
answer_polled(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	int64_t failures = redis_reply_int(redis_reply_at(reply, 1), 0);
	int64_t before = redis_reply_int(redis_reply_at(reply, 2), 0);
	struct err failure;

	if (failures != before) /* what the repository's record says of it is another thing now */
		cache_drop(op->store, NULL);
	if ((err = op_failure(op, reply, err, &failure)) != NULL)
		op->fn.polled(op->arg, 0, 0, err);
	else
		op->fn.polled(op->arg, failures, before, NULL);
}

struct store_op *
store_poll_done(struct store *store, const char *repo, int64_t wait_ms, int64_t most_ms, const char *error,
    store_polled_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_polled, arg, "look at %.*s", REPO_ID_MAX, repo);
	struct args args = { 0 };

	op->fn.polled = fn;
	args_text(&args, repo);
	args_int(&args, wait_ms);
	args_int(&args, most_ms);
	args_text(&args, error);
	op_send(op, &script_poll_done, &args, STORE_TIMEOUT_MS);
	return op;
}

/* --- what differs --- */

void
store_comparison_fini(struct store_comparison *comparison)
{
	for (size_t i = 0; i < comparison->count; i++) {
		free(comparison->items[i].ref);
		free(comparison->items[i].value);
	}
	free(comparison->items);
	*comparison = (struct store_comparison){ 0 };
}

static void
set_commit(char to[COMMIT_SIZE], struct str id)
{
	snprintf(to, COMMIT_SIZE, "%.*s", (int)id.len, id.p);
}

/* "{kind, ref, value, commit, object}"; the first word of the value is where the ref was. */
static void
read_difference(struct store_difference *d, const struct redis_reply *reply)
{
	struct str kind = text_at(reply, 0), value = text_at(reply, 2), head = value;

	head = str_cut(&head, ' ');
	d->kind = str_is(kind, "gone") ? STORE_HEAD_GONE : str_is(kind, "known") ? STORE_HEAD_KNOWN : STORE_HEAD_NEW;
	d->ref = str_dup(text_at(reply, 1));
	d->value = str_dup(value);
	set_commit(d->before, str_is(head, "-") ? STR("") : head);
	set_commit(d->commit, text_at(reply, 3));
	set_commit(d->object, text_at(reply, 4));
}

static void
answer_comparison(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct store_comparison comparison = { 0 };
	struct err failure;

	if ((err = op_failure(op, reply, err, &failure)) == NULL) {
		comparison.is_first = str_is(reply_word(reply), "recorded");
		comparison.items = xcalloc(redis_reply_count(reply) + 1, sizeof(*comparison.items));
		for (size_t i = 2; i < redis_reply_count(reply); i++)
			read_difference(&comparison.items[comparison.count++], redis_reply_at(reply, i));
		comparison.more = redis_reply_int(redis_reply_at(reply, 1), 0) > (int64_t)comparison.count;
	}
	op->fn.comparison(op->arg, comparison, err);
}

struct store_op *
store_heads_compare(
    struct store *store, const char *repo, const struct heads *heads, store_comparison_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_comparison, arg, "branches of %.*s", REPO_ID_MAX, repo);
	struct args args = { 0 };

	op->fn.comparison = fn;
	args_text(&args, repo);
	args_int(&args, STORE_DIFFERENCES_MAX);
	for (size_t i = 0; i < heads->count; i++) {
		args_text(&args, heads->items[i].ref);
		args_text(&args, heads->items[i].commit);
		args_text(&args, heads->items[i].object);
	}
	op_send(op, &script_heads_compare, &args, STORE_TIMEOUT_MS);
	return op;
}

/* --- what comes of it --- */

struct store_op *
store_head_settle(
    struct store *store, const char *repo, const struct store_difference *difference, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "branch of %.*s", REPO_ID_MAX, repo);
	struct args args = { 0 };

	op->fn.done = fn;
	args_text(&args, repo);
	args_text(&args, difference->ref);
	args_text(&args, difference->value);
	args_text(&args, difference->commit);
	op_send(op, &script_head_settle, &args, STORE_TIMEOUT_MS);
	return op;
}

struct store_op *
store_head_passed(struct store *store, const char *repo, const struct change *change, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "push to %.*s", REPO_ID_MAX, repo);
	struct args args = { 0 };

	op->fn.done = fn;
	args_text(&args, repo);
	args_text(&args, change->ref);
	args_text(&args, change->before);
	args_text(&args, change->commit);
	op_send(op, &script_head_passed, &args, STORE_SUBMIT_TIMEOUT_MS);
	return op;
}

struct store_op *
store_head_recover(struct store *store, const char *repo, const struct store_difference *difference,
    const struct change *change, store_number_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_number, arg, "push to %.*s", REPO_ID_MAX, repo);
	struct args args = { 0 };

	op->fn.number = fn;
	args_text(&args, repo);
	args_text(&args, difference->ref);
	args_text(&args, difference->value);
	args_text(&args, difference->commit);
	args_text(&args, difference->object);
	args_int(&args, store->conf.max_planning);
	args_int(&args, STORE_LATE_S);
	args_change(&args, change);
	op_send(op, &script_recover, &args, STORE_TIMEOUT_MS);
	store_expect(store, STORE_EXPECT_PLANNING);
	return op;
}
