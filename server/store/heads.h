/* Looking at repositories: who is due, what is known of their branches and tags, and pushes that nobody told. The calls
 * are the store's (store.h has the contract); doc/triggers.md says what comes of them.
 *
 * A difference is what a look found at one time. It is acted upon only when a second look, taken later, finds the same:
 * then whatever was told before the first one is known, and a push that is told between a call and its answer makes the
 * call fail with ERR_CONFLICT. */
#ifndef DAVIT_STORE_HEADS_H
#define DAVIT_STORE_HEADS_H

#include "proto/heads.h"
#include "server/store/files.h"
#include "server/store/store.h"

/* What is due now becomes the caller's for mine_ms. all: every repository is due. */
struct store_poll {
	struct id_list repos; /* handed over */
	int64_t next_ms;      /* until another one is due; -1: there is none */
};

typedef void store_poll_fn(void *arg, struct store_poll poll, const struct err *err);
struct store_op *store_poll_due(
    struct store *store, unsigned limit, int64_t mine_ms, bool all, store_poll_fn *fn, void *arg);

/* Ends a look: the next one is in wait_ms, after the n-th failure in a row 2^(n-1) times as late, but at most most_ms.
 * error: "" or why it failed. failures: in a row, with this one; before: without. ERR_NOT_FOUND: it was deleted. */
typedef void store_polled_fn(void *arg, int64_t failures, int64_t before, const struct err *err);
struct store_op *store_poll_done(struct store *store, const char *repo, int64_t wait_ms, int64_t most_ms,
    const char *error, store_polled_fn *fn, void *arg);

enum store_difference_kind {
	STORE_HEAD_NEW,   /* there is a commit of which no push was told */
	STORE_HEAD_KNOWN, /* it was told, but not in order */
	STORE_HEAD_GONE,
};

struct store_difference {
	enum store_difference_kind kind;
	char *ref;
	char *value; /* what the store knew of it */
	char commit[COMMIT_SIZE];
	char object[COMMIT_SIZE];
	char before[COMMIT_SIZE]; /* where it was, as far as is known; "" */
};

#define STORE_DIFFERENCES_MAX 100

struct store_comparison {
	struct store_difference *items; /* handed over: end with store_comparison_fini */
	size_t count;                   /* at most STORE_DIFFERENCES_MAX */
	bool is_first;                  /* nothing was known: all is now */
	bool more;                      /* differences than these */
};

void store_comparison_fini(struct store_comparison *comparison);
typedef void store_comparison_fn(void *arg, struct store_comparison comparison, const struct err *err);
/* ERR_NOT_FOUND: no such repository. */
struct store_op *store_heads_compare(
    struct store *store, const char *repo, const struct heads *heads, store_comparison_fn *fn, void *arg);

/* The difference needs no build. */
struct store_op *store_head_settle(
    struct store *store, const char *repo, const struct store_difference *difference, store_done_fn *fn, void *arg);
/* A push was told of which nothing is built; without change->commit: a branch or tag was deleted. */
struct store_op *store_head_passed(
    struct store *store, const char *repo, const struct change *change, store_done_fn *fn, void *arg);
/* The difference becomes a build. For four days a delivery of the same push is its duplicate. The number is the
 * build's. ERR_LIMIT as STORE_FULL; ERR_NOT_FOUND. */
struct store_op *store_head_recover(struct store *store, const char *repo, const struct store_difference *difference,
    const struct change *change, store_number_fn *fn, void *arg);

#endif
