/* Stands in for store/, builder/ and hook/ before the controller: a few records in memory, answers on the next turn. */
#ifndef DAVIT_TEST_FAKE_STORE_H
#define DAVIT_TEST_FAKE_STORE_H

#include <stdbool.h>

#include "server/store/store.h"

#define FAKE_MAX 64

struct loop;

struct store {
	struct loop *loop;
	bool is_away;  /* every operation fails */
	bool is_stuck; /* none is answered */
	struct repo *repos[FAKE_MAX];
	size_t repo_count;
	struct build builds[FAKE_MAX]; /* strings are literals */
	struct job jobs[FAKE_MAX];
	size_t build_count, job_count;
	unsigned questions; /* store_job_get and store_build_get so far */
	struct change submitted;
	char cancelled[256];
	struct { /* one; scope "" for none */
		char scope[16], owner[64], name[64], value[128], events[64], branches[64];
	} secret;
	struct { /* up to two tokens; name "" for none */
		char name[32], role[16], sha256[65];
	} tokens[2];
	char rerun[32];  /* what was asked for last */
	unsigned claims; /* of requests with a key: each is the first */
	int answered;    /* the status of the last one */
};

void fake_store_init(struct store *store, struct loop *loop);
void fake_store_fini(struct store *store);
/* All strings "" but for what is given. */
struct build *fake_build(struct store *store, int64_t number, enum build_state state);
struct job *fake_job(struct store *store, const char *id, enum job_state state);

/* hook/: answers with the repository and the body's length. */
extern bool fake_hook_is_slow; /* keeps the delivery until fake_hook_answer */
void fake_hook_answer(void);
extern bool fake_engine_is_down;

#endif
