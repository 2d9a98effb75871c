#include "server/mirror/pace.h"

#define SECOND_US 1000000

/* The generic cell rate algorithm, in microseconds: each one moves the time that is due by its share of a second, and
 * may be ahead of that by one second less its share. */
int64_t
pace_take(struct pace *p, int64_t now)
{
	int64_t share, due, ahead;

	if (p->rate == 0)
		return 0;
	share = SECOND_US / (int64_t)p->rate;
	due = p->next > now * 1000 ? p->next : now * 1000;
	ahead = due - now * 1000;
	if (ahead > SECOND_US - share)
		return (ahead - (SECOND_US - share) + 999) / 1000;
	p->next = due + share;
	return 0;
}
