#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/store/op.h"

#define REPOS_MAX 10000

/* --- secrets --- */

static char *
seal(struct store *store, const char *id, const char *field, const char *secret)
{
	char *place = xasprintf("davit:repo:%s %s", id, field);
	char *sealed = store_seal(store, place, secret);

	free(place);
	return sealed;
}

static bool
unseal(struct store *store, const char *id, const char *field, char **secret, struct err *err)
{
	char *place = xasprintf("davit:repo:%s %s", id, field);
	bool ok = store_unseal(store, place, secret, NULL, err);

	free(place);
	if (!ok)
		*err = err_prefix(*err, "repository %s: %s", id, field);
	return ok;
}

/* --- cache --- */

static struct repo *
cache_find(struct store *store, const char *id)
{
	for (size_t i = 0; i < STORE_REPO_CACHE; i++)
		if (store->cache[i] != NULL && strcmp(store->cache[i]->id, id) == 0)
			return store->cache[i];
	return NULL;
}

static void
cache_add(struct store *store, const struct repo *repo)
{
	repo_free(&store->cache[store->cache_next]);
	store->cache[store->cache_next] = repo_copy(repo);
	store->cache_next = (store->cache_next + 1) % STORE_REPO_CACHE;
}

void
cache_drop(struct store *store, const char *id)
{
	store->cache_epoch++;
	for (size_t i = 0; i < STORE_REPO_CACHE; i++)
		if (store->cache[i] != NULL && (id == NULL || strcmp(store->cache[i]->id, id) == 0))
			repo_free(&store->cache[i]);
}

/* --- operations --- */

/* Also what was put or deleted here: the message about it may come later than the answer. */
static void
answer_changed(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	cache_drop(op->store, NULL);
	answer_done(op, reply, err);
}

struct store_op *
store_repo_put(struct store *store, const struct repo *repo, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_changed, arg, "repository %.*s", REPO_ID_MAX, repo->id);
	struct repo stored = *repo;
	struct args args = { 0 };

	op->fn.done = fn;
	if (!repo_id_is_valid(repo->id)) {
		op_answer_later(
		    op, err_make(ERR_INPUT, 0, "a repository's id is 1 to %d of a-z 0-9 . _ -", REPO_ID_MAX));
		return op;
	}
	stored.secret = seal(store, repo->id, "secret", repo->secret);
	stored.token = seal(store, repo->id, "token", repo->token);
	args_text(&args, repo->id);
	args_record(&args, &repo_settings_record, &stored, true);
	op_send(op, &script_repo_put, &args, STORE_TIMEOUT_MS);
	free(stored.secret);
	free(stored.token);
	return op;
}

static void
answer_get(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct store *store = op->store;
	struct repo *repo = op->repo;
	struct err failure;

	if (repo != NULL || (err = op_failure(op, reply, err, &failure)) != NULL) {
		op->fn.repo(op->arg, repo, err);
		return;
	}
	repo = xcalloc(1, sizeof(*repo));
	repo_init(repo, redis_reply_at(reply, 1));
	if (!unseal(store, repo->id, "secret", &repo->secret, &failure) ||
	    !unseal(store, repo->id, "token", &repo->token, &failure)) {
		repo_free(&repo);
		op->fn.repo(op->arg, NULL, &failure);
		return;
	}
	if (op->cache_epoch == store->cache_epoch && store_is_up(store))
		cache_add(store, repo);
	op->fn.repo(op->arg, repo, NULL);
}

struct store_op *
store_repo_get(struct store *store, const char *id, store_repo_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_get, arg, "repository %.*s", REPO_ID_MAX, id);
	const struct repo *known = cache_find(store, id);
	struct args args = { 0 };

	op->fn.repo = fn;
	op->cache_epoch = store->cache_epoch;
	if (!repo_id_is_valid(id)) {
		op_answer_later(op, err_make(ERR_NOT_FOUND, 0, "there is no such repository"));
	} else if (known != NULL) {
		op->repo = repo_copy(known);
		op_answer_later(op, ERR_OK);
	} else {
		args_text(&args, id);
		op_send(op, &script_repo_get, &args, STORE_TIMEOUT_MS);
	}
	return op;
}

static void
answer_list(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct repo_list repos = { 0 };
	struct err failure;

	if ((err = op_failure(op, NULL, err, &failure)) == NULL) {
		repos.items = xcalloc(redis_reply_count(reply) + 1, sizeof(*repos.items));
		for (size_t i = 0; i < redis_reply_count(reply); i++)
			repo_init(&repos.items[repos.count++], redis_reply_at(reply, i));
	}
	op->fn.repos(op->arg, repos, err);
}

struct store_op *
store_repo_list(struct store *store, store_repos_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_list, arg, "repositories");
	struct args args = { 0 };

	op->fn.repos = fn;
	args_int(&args, REPOS_MAX);
	op_send(op, &script_repo_list, &args, STORE_TIMEOUT_MS);
	return op;
}

struct store_op *
store_repo_delete(struct store *store, const char *id, store_done_fn *fn, void *arg)
{
	struct store_op *op = op_new(store, answer_changed, arg, "repository %.*s", REPO_ID_MAX, id);
	struct args args = { 0 };

	op->fn.done = fn;
	if (!repo_id_is_valid(id)) {
		op_answer_later(op, err_make(ERR_NOT_FOUND, 0, "there is no such repository"));
	} else {
		args_text(&args, id);
		op_send(op, &script_repo_delete, &args, STORE_TIMEOUT_MS);
	}
	return op;
}
