/* Stands in for core/'s timers: time stands still until the test moves it. */
#ifndef DAVIT_TEST_FAKE_CLOCK_H
#define DAVIT_TEST_FAKE_CLOCK_H

#include <stdint.h>

/* What becomes due meanwhile runs, in its order. */
void fake_clock_advance(int64_t ms);
/* From now until the next timer is due, -1: none runs. */
int64_t fake_clock_next(void);
/* Timers that exist; 0 at a test's end, or one leaks. */
unsigned fake_clock_timers(void);

#endif
