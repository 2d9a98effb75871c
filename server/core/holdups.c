#include "server/core/holdups.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/core/log.h"

#define TOLD_US 10000000 /* from one line in the log to the next */

const unsigned holdup_bounds_ms[HOLDUP_BUCKETS] = { 1, 2, 5, 10, 20, 50, 100, 500 };

static int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* "stream unix:///run/docker.sock", by hand since it is done for each callback. */
static void
set_name(struct holdups *h, const char *what, const char *of)
{
	char *end = h->name + sizeof(h->name) - 1, *at;

	at = stpncpy(h->name, what, (size_t)(end - h->name));
	if (of != NULL && at < end) {
		*at++ = ' ';
		at = stpncpy(at, of, (size_t)(end - at));
	}
	*at = '\0';
}

void
holdups_enter(struct holdups *h, const char *what, const char *of)
{
	if (h->depth++ > 0)
		return;
	set_name(h, what, of);
	h->start_us = now_us();
}

static void
tell(struct holdups *h, int64_t now, uint64_t us)
{
	if (h->told_us != 0 && now - h->told_us < TOLD_US) {
		h->untold++;
		return;
	}
	log_warn("the loop was held for %llu ms: %s (%u more in the 10 s before)", (unsigned long long)us / 1000,
	    h->name, h->untold);
	h->told_us = now;
	h->untold = 0;
}

void
holdups_leave(struct holdups *h)
{
	int64_t now;
	uint64_t us;
	size_t i = 0;

	assert(h->depth > 0);
	if (--h->depth > 0)
		return;
	now = now_us();
	us = (uint64_t)(now - h->start_us);
	while (i < HOLDUP_BUCKETS && us > (uint64_t)holdup_bounds_ms[i] * 1000)
		i++;
	h->counts[i]++;
	h->total_us += us;
	if (us > h->longest_us) {
		h->longest_us = us;
		memcpy(h->longest, h->name, sizeof(h->longest));
	}
	if (us > HOLDUP_MS * 1000)
		tell(h, now, us);
}
