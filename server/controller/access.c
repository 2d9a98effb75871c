#include "server/controller/access.h"

#include <stdlib.h>

#include "proto/mem.h"
#include "server/controller/auth.h"
#include "server/core/loop.h"
#include "server/store/store.h"

#define RETRY_MS 1000

struct access {
	struct store *store;
	struct auth *auth;
	struct store_op *op;
	struct timer *retry;
	access_lost_fn *lost;
	void *arg;
};

static void
on_tokens(void *arg, struct access_token_list tokens, const struct err *err)
{
	struct access *access = arg;
	bool is_lost = false;

	access->op = NULL;
	if (err == NULL)
		is_lost = auth_set_tokens(access->auth, &tokens);
	else
		timer_start(access->retry, RETRY_MS);
	access_token_list_fini(&tokens);
	if (is_lost)
		access->lost(access->arg);
}

void
access_reload(struct access *access)
{
	timer_stop(access->retry);
	store_cancel(&access->op); /* it may have been read before the change */
	access->op = store_access_tokens(access->store, on_tokens, access);
}

static void
on_retry(void *arg)
{
	access_reload(arg);
}

struct access *
access_new(struct loop *loop, struct store *store, struct auth *auth, access_lost_fn *lost, void *arg)
{
	struct access *access = xcalloc(1, sizeof(*access));

	*access = (struct access){ .store = store, .auth = auth, .lost = lost, .arg = arg };
	access->retry = timer_new(loop, on_retry, access);
	return access;
}

void
access_free(struct access **access)
{
	struct access *a = *access;

	if (a == NULL)
		return;
	*access = NULL;
	store_cancel(&a->op);
	timer_free(&a->retry);
	free(a);
}
