/* Keeps requests from a server that does not answer: after some failures in a row it is left alone for a while, then
 * one request tries it, and decides. Time is the caller's, so that it needs no loop. */
#ifndef DAVIT_MIRROR_BREAKER_H
#define DAVIT_MIRROR_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_FAILURES 5 /* in a row */
#define BREAKER_WAIT_MS 5000
#define BREAKER_WAIT_MAX_MS 60000 /* it doubles up to that with each try that fails */

/* All zero: the server is there. */
struct breaker {
	unsigned failures; /* in a row */
	int64_t wait_ms;   /* 0: closed */
	int64_t until;     /* it is left alone */
	bool is_tried;     /* by one request, which is out */
};

enum breaker_verdict { BREAKER_GO, BREAKER_TRY, BREAKER_REFUSE };

/* BREAKER_TRY is for one caller, who has to tell how it came out. now: ms of a clock that does not go back. */
enum breaker_verdict breaker_ask(struct breaker *breaker, int64_t now);
/* Whether it refuses all but perhaps one. */
bool breaker_is_open(const struct breaker *breaker);
void breaker_succeed(struct breaker *breaker);
void breaker_fail(struct breaker *breaker, int64_t now);
/* The one that tried it has been given up. */
void breaker_give_up(struct breaker *breaker);

#endif
