/* Tokens of registries, one for each repository, that anybody gets who asks where the registry says: kept for as long
 * as they are good, and asked for once by all that wait for the same. */
#ifndef DAVIT_MIRROR_TOKENS_H
#define DAVIT_MIRROR_TOKENS_H

#include "proto/challenge.h"
#include "proto/err.h"

struct loop;
struct token_wait;
struct tokens;
struct upstreams;

struct tokens *tokens_new(struct loop *loop, struct upstreams *upstreams);
/* Nobody may wait. Accepts NULL inside. */
void tokens_free(struct tokens **tokens);

/* The token that is good for scope (whatever the caller tells repositories apart by); NULL: none. Lent until the next
 * call. */
const char *tokens_find(struct tokens *tokens, const char *scope);

/* Gets a new one for scope; the callback finds it by tokens_find, or has an error. The async contract holds. */
typedef void token_fn(void *arg, const struct err *err);
struct token_wait *tokens_fetch(
    struct tokens *tokens, const char *scope, const struct challenge *challenge, token_fn *fn, void *arg);
/* Accepts NULL inside. */
void tokens_leave(struct token_wait **wait);

#endif
