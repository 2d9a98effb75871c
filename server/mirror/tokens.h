/* Tokens of registries, one for each repository, that anybody gets who asks where the registry says, or who shows a
 * login there: kept for as long as they are good, and asked for once by all that wait for the same. */
#ifndef DAVIT_MIRROR_TOKENS_H
#define DAVIT_MIRROR_TOKENS_H

#include "proto/challenge.h"
#include "proto/err.h"

struct loop;
struct origin;
struct token_wait;
struct tokens;
struct upstream_rule;
struct upstreams;

struct tokens *tokens_new(struct loop *loop, struct upstreams *upstreams);
/* Nobody may wait. Accepts NULL inside. */
void tokens_free(struct tokens **tokens);

/* The Authorization that is good for scope (whatever the caller tells repositories and logins apart by); NULL: none.
 * Lent until the next call. */
const char *tokens_find(struct tokens *tokens, const char *scope);
/* The registry takes the login itself (Basic). */
void tokens_keep_login(struct tokens *tokens, const char *scope, const char *authorization);

/* What a new token is for, and of whom. */
struct token_request {
	const char *scope;
	const struct origin *registry; /* that asks for it */
	const struct challenge *challenge;
	const struct upstream_rule *as; /* whose login is shown for it, at a place that may have it; NULL: nobody's */
};

/* Gets a new one for scope; the callback finds it by tokens_find, or has an error. The async contract holds. */
typedef void token_fn(void *arg, const struct err *err);
struct token_wait *tokens_fetch(struct tokens *tokens, const struct token_request *request, token_fn *fn, void *arg);
/* Accepts NULL inside. */
void tokens_leave(struct token_wait **wait);

#endif
