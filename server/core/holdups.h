/* How long callbacks hold the loop: each one's duration is counted, and who holds it for more than HOLDUP_MS is named
 * in the log. Part of struct loop; loop_enter and loop_leave in loop.h stand around every callback that libevent makes.
 */
#ifndef DAVIT_CORE_HOLDUPS_H
#define DAVIT_CORE_HOLDUPS_H

#include <stdint.h>

enum { HOLDUP_MS = 20, HOLDUP_BUCKETS = 8, HOLDUP_NAME_SIZE = 80 };

/* Milliseconds: upper bounds of the buckets, but the last one's, which has none. */
extern const unsigned holdup_bounds_ms[HOLDUP_BUCKETS];

struct holdups {
	uint64_t counts[HOLDUP_BUCKETS + 1];
	uint64_t total_us;
	uint64_t longest_us;
	char longest[HOLDUP_NAME_SIZE]; /* whose that was */

	/* of the callback that runs */
	unsigned depth;
	int64_t start_us;
	char name[HOLDUP_NAME_SIZE];
	/* of the log */
	int64_t told_us;
	unsigned untold;
};

/* what outlives the callback; of, which may be NULL, need not. A callback below another one is part of that. */
void holdups_enter(struct holdups *h, const char *what, const char *of);
void holdups_leave(struct holdups *h);

#endif
