/* So many requests a second and no more, those of one second at once at most. Time is the caller's. */
#ifndef DAVIT_MIRROR_PACE_H
#define DAVIT_MIRROR_PACE_H

#include <stdint.h>

/* All zero: there is no limit. */
struct pace {
	unsigned rate; /* requests a second; 0: any */
	int64_t next;  /* us: when the next would be due if they came evenly */
};

/* 0: one may go now, and is counted; else ms until then. now: ms of a clock that does not go back. */
int64_t pace_take(struct pace *pace, int64_t now);

#endif
