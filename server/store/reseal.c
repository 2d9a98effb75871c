#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "server/core/log.h"
#include "server/store/op.h"

#define FIELDS_MAX 2

enum reseal_state { RESEAL_LIST, RESEAL_GET, RESEAL_PUT, RESEAL_END };

enum holder { HOLDER_REPO, HOLDER_SECRET };

/* What has sealed values, and in which fields; its key is davit:KIND:ID. */
static const struct {
	const char *kind;
	const char *fields[FIELDS_MAX + 1];
	const struct redis_script *get;
} holders[] = {
	[HOLDER_REPO] = { "repo", { "secret", "token" }, &script_repo_get },
	[HOLDER_SECRET] = { "secret", { "value" }, &script_secret_get },
};

struct item {
	enum holder holder;
	char *id;
};

struct store_reseal {
	struct store *store;
	enum reseal_state state;
	struct store_op *op;
	struct item *items; /* those that were there when the new key had been set */
	size_t count, at;
	struct args values; /* for RESEAL_PUT */
	unsigned sealed;
	unsigned lost; /* open with neither key */
	struct err err;
	store_resealed_fn *fn;
	void *arg;
};

static void enter_list(struct store_reseal *r);
static void enter_get(struct store_reseal *r);
static void enter_put(struct store_reseal *r);
static void enter_end(struct store_reseal *r);

/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct store_reseal *r);
} states[] = {
	[RESEAL_LIST] = { "list", enter_list },
	[RESEAL_GET]  = { "get",  enter_get },
	[RESEAL_PUT]  = { "put",  enter_put },
	[RESEAL_END]  = { "end",  enter_end },
};
/* clang-format on */

/* The only place where the state changes. r may be gone when it returns. */
static void
reseal_step(struct store_reseal *r, enum reseal_state next)
{
	log_debug("reseal: %s -> %s", states[r->state].name, states[next].name);
	store_cancel(&r->op);
	r->state = next;
	states[next].enter(r);
}

/* What Redis cannot do now ends it: it may be begun again. */
static void
reseal_fail(struct store_reseal *r, const struct err *err)
{
	r->err = *err;
	reseal_step(r, RESEAL_END);
}

static void
reseal_next(struct store_reseal *r)
{
	r->at++;
	reseal_step(r, r->at < r->count ? RESEAL_GET : RESEAL_END);
}

/* --- list --- */

static void
add_items(struct store_reseal *r, enum holder holder, const struct redis_reply *ids)
{
	for (size_t i = 0; i < redis_reply_count(ids); i++)
		r->items[r->count++] =
		    (struct item){ .holder = holder, .id = str_dup(redis_reply_str(redis_reply_at(ids, i))) };
}

static void
answer_list(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct store_reseal *r = op->arg;
	const struct redis_reply *repos = redis_reply_at(reply, 0), *secrets = redis_reply_at(reply, 1);

	r->op = NULL;
	if (err != NULL) {
		reseal_fail(r, err);
		return;
	}
	r->items = xcalloc(redis_reply_count(repos) + redis_reply_count(secrets) + 1, sizeof(*r->items));
	add_items(r, HOLDER_REPO, repos);
	add_items(r, HOLDER_SECRET, secrets);
	reseal_step(r, r->count > 0 ? RESEAL_GET : RESEAL_END);
}

static void
enter_list(struct store_reseal *r)
{
	struct args args = { 0 };

	r->op = op_new(r->store, answer_list, r, "sealed values");
	op_send(r->op, &script_sealed, &args, STORE_TIMEOUT_MS);
}

/* --- get --- */

static struct str
value_of(const struct redis_reply *list, const char *field)
{
	for (size_t i = 0; i + 1 < redis_reply_count(list); i += 2)
		if (str_is(redis_reply_str(redis_reply_at(list, i)), field))
			return redis_reply_str(redis_reply_at(list, i + 1));
	return STR("");
}

/* A value that the old key has sealed goes into values. */
static void
seal_anew(struct store_reseal *r, const char *kind, const char *id, const char *field, struct str sealed)
{
	char *place = xasprintf("davit:%s:%s %s", kind, id, field), *clear = str_dup(sealed), *anew;
	struct err err;
	bool is_old;

	if (!store_unseal(r->store, place, &clear, &is_old, &err)) {
		log_warn("%s", err.text);
		r->lost++;
	} else if (is_old) {
		anew = store_seal(r->store, place, clear);
		args_text(&r->values, field);
		args_copy(&r->values, sealed);
		args_copy(&r->values, str_of(anew));
		r->sealed++;
		free(anew);
	}
	crypto_wipe_free(&clear);
	free(place);
}

static void
answer_get(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct store_reseal *r = op->arg;
	const struct item *item = &r->items[r->at];
	const char *const *fields = holders[item->holder].fields;

	r->op = NULL;
	if (err != NULL) {
		reseal_fail(r, err);
		return;
	}
	args_text(&r->values, holders[item->holder].kind);
	args_text(&r->values, item->id);
	for (; *fields != NULL; fields++)
		seal_anew(
		    r, holders[item->holder].kind, item->id, *fields, value_of(redis_reply_at(reply, 1), *fields));
	if (r->values.count > 2) {
		reseal_step(r, RESEAL_PUT);
		return;
	}
	args_fini(&r->values);
	reseal_next(r);
}

static void
enter_get(struct store_reseal *r)
{
	const struct item *item = &r->items[r->at];
	struct args args = { 0 };

	r->op = op_new(r->store, answer_get, r, "%s %.*s", holders[item->holder].kind, REPO_ID_MAX, item->id);
	args_text(&args, item->id);
	op_send(r->op, holders[item->holder].get, &args, STORE_TIMEOUT_MS);
}

/* --- put --- */

static void
answer_put(const struct store_op *op, const struct redis_reply *reply, const struct err *err)
{
	struct store_reseal *r = op->arg;

	(void)reply;
	r->op = NULL;
	if (err != NULL)
		reseal_fail(r, err);
	else
		reseal_next(r);
}

static void
enter_put(struct store_reseal *r)
{
	r->op = op_new(r->store, answer_put, r, "sealed values of %.*s", REPO_ID_MAX, r->items[r->at].id);
	op_send(r->op, &script_reseal, &r->values, STORE_TIMEOUT_MS);
}

/* --- end --- */

static void
reseal_free(struct store_reseal *r)
{
	store_cancel(&r->op);
	args_fini(&r->values);
	for (size_t i = 0; i < r->count; i++)
		free(r->items[i].id);
	free(r->items);
	free(r);
}

static void
enter_end(struct store_reseal *r)
{
	struct err err = r->err;
	unsigned sealed = r->sealed, lost = r->lost;
	store_resealed_fn *fn = r->fn;
	void *arg = r->arg;

	reseal_free(r);
	fn(arg, sealed, lost, err.code != ERR_NONE ? &err : NULL);
}

struct store_reseal *
store_reseal_start(struct store *store, store_resealed_fn *fn, void *arg)
{
	struct store_reseal *r = xcalloc(1, sizeof(*r));

	*r = (struct store_reseal){ .store = store, .fn = fn, .arg = arg };
	reseal_step(r, RESEAL_LIST);
	return r;
}

void
store_reseal_cancel(struct store_reseal **reseal)
{
	if (*reseal != NULL)
		reseal_free(*reseal);
	*reseal = NULL;
}
