#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/store/op.h"

#define LIST_MAX 10000

static char *
place_of(const char *scope, const char *owner, const char *name)
{
	return xasprintf("davit:secret:%s:%s:%s value", scope, owner, name);
}

/* --- set, list, remove --- */

static void
answer_put(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct err many;

	if (err == NULL && str_is(reply_word(reply), "many")) {
		many = err_make(ERR_LIMIT, 0, "%s: there are %d secrets already", op->what, STORE_SECRETS_MAX);
		op->fn.done(op->arg, &many);
	} else {
		answer_done(op, reply, err);
	}
}

static bool
check(const struct secret *secret, struct err *err)
{
	enum secret_scope scope;

	if (!secret_scope_from_name(secret->scope, &scope))
		return err_set(err, ERR_INPUT, 0, "a secret is for repo, org or environment");
	if (!secret_owner_is_valid(scope, secret->owner))
		return err_set(err, ERR_INPUT, 0,
		    "a secret's owner has 1 to %d of A-Z a-z 0-9 . _ -, and that of an environment is "
		    "REPOSITORY/ENVIRONMENT",
		    SECRET_WORD_MAX);
	if (!secret_name_is_valid(secret->name))
		return err_set(err, ERR_INPUT, 0,
		    "a secret's name has 1 to %d of A-Z a-z 0-9 _ . -, and a letter or _ in front", SECRET_NAME_MAX);
	return secret_value_check(str_of(secret->value), err) && secret_events_check(secret->events, err) &&
	       secret_branches_check(secret->branches, err);
}

struct store_op *
store_secret_put(struct store *store, const struct secret *secret, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_put, arg, "%s %.*s", secret->scope, REPO_ID_MAX, secret->owner);
	struct args args = { 0 };
	struct err err;
	char *place, *sealed;

	op->fn.done = fn;
	if (!check(secret, &err)) {
		op_answer_later(op, err);
		return op;
	}
	place = place_of(secret->scope, secret->owner, secret->name);
	sealed = store_seal(store, place, secret->value);
	args_text(&args, secret->scope);
	args_text(&args, secret->owner);
	args_text(&args, secret->name);
	args_int(&args, STORE_SECRETS_MAX);
	args_text(&args, "value");
	args_text(&args, sealed);
	args_text(&args, "events");
	args_text(&args, secret->events);
	args_text(&args, "branches");
	args_text(&args, secret->branches);
	op_send(op, &script_secret_put, &args, STORE_TIMEOUT_MS);
	free(sealed);
	free(place);
	return op;
}

static void
secret_init(struct secret *ret, const struct redis_reply *list)
{
	record_read(&secret_record, list, ret);
	record_no_nulls(&secret_record, ret);
}

static void
answer_list(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct secret_list list = { 0 };
	struct err failure;

	if ((err = op_failure(op, NULL, err, &failure)) == NULL) {
		list.items = xcalloc(redis_reply_count(reply) + 1, sizeof(*list.items));
		for (size_t i = 0; i < redis_reply_count(reply); i++)
			secret_init(&list.items[list.count++], redis_reply_at(reply, i));
	}
	op->fn.secrets(op->arg, list, err);
}

struct store_op *
store_secret_list(struct store *store, enum secret_scope scope, const char *owner, store_secrets_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_list, arg, "secrets");
	char beginning[SECRET_ID_MAX] = "";
	struct args args = { 0 };

	op->fn.secrets = fn;
	if (owner != NULL && !secret_owner_is_valid(scope, owner)) {
		op_answer_later(op, err_make(ERR_NOT_FOUND, 0, "there is no such owner of secrets"));
		return op;
	}
	if (owner != NULL)
		secret_id(beginning, scope, owner, "");
	args_text(&args, beginning);
	args_int(&args, LIST_MAX);
	op_send(op, &script_secret_list, &args, STORE_TIMEOUT_MS);
	return op;
}

struct store_op *
store_secret_delete(
    struct store *store, enum secret_scope scope, const char *owner, const char *name, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_done, arg, "secret %.*s", REPO_ID_MAX, name);
	char id[SECRET_ID_MAX];
	struct args args = { 0 };

	op->fn.done = fn;
	if (!secret_owner_is_valid(scope, owner) || !secret_name_is_valid(name)) {
		op_answer_later(op, err_make(ERR_NOT_FOUND, 0, "there is no such secret"));
		return op;
	}
	secret_id(id, scope, owner, name);
	args_text(&args, id);
	op_send(op, &script_secret_delete, &args, STORE_TIMEOUT_MS);
	return op;
}

/* --- for a job --- */

static bool
open_secret(const struct store *store, struct secret *secret, struct err *err)
{
	char *place = place_of(secret->scope, secret->owner, secret->name);
	bool ok = store_unseal(store, place, &secret->value, NULL, err);

	free(place);
	if (!ok)
		*err = err_prefix(*err, "secret %s of %s %s", secret->name, secret->scope, secret->owner);
	return ok;
}

/* Of each name there are as many hashes as there are owners; the first that is not empty counts. */
static void
answer_find(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct secret_list list = { 0 };
	struct err failure;
	size_t each = op->each, count;

	if ((err = op_failure(op, reply, err, &failure)) == NULL) {
		count = (redis_reply_count(reply) - 1) / each;
		list.items = xcalloc(count + 1, sizeof(*list.items));
		for (size_t i = 0; i < count * each; i++) {
			struct secret *secret = &list.items[i / each];

			if (secret->name == NULL || secret->name[0] == '\0')
				secret_init(secret, redis_reply_at(reply, i + 1));
		}
		list.count = count;
	}
	for (size_t i = 0; i < list.count && err == NULL; i++)
		if (!open_secret(op->store, &list.items[i], &failure))
			err = &failure;
	if (err != NULL)
		secret_list_fini(&list);
	op->fn.secrets(op->arg, list, err);
}

struct store_op *
store_secret_find(struct store *store, const struct store_secret_owners *owners, const char *const *names, size_t count,
    store_secrets_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_find, arg, "secrets");
	struct args args = { 0 };
	char id[SECRET_ID_MAX];

	op->fn.secrets = fn;
	for (size_t i = 0; i < count; i++)
		for (size_t scope = 0; scope < SECRET_SCOPES; scope++) {
			const char *owner = owners->owner[scope];

			if (owner == NULL || !secret_owner_is_valid((enum secret_scope)scope, owner))
				continue;
			assert(secret_name_is_valid(names[i]));
			secret_id(id, (enum secret_scope)scope, owner, names[i]);
			args_copy(&args, str_of(id));
		}
	op->each = args.count / count;
	if (op->each > 0) {
		op_send(op, &script_secret_get, &args, STORE_TIMEOUT_MS);
	} else {
		args_fini(&args);
		op_answer_later(op, err_make(ERR_NOT_FOUND, 0, "nobody is named whose secrets these are"));
	}
	return op;
}
