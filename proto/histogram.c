#include "proto/histogram.h"

#include <math.h>

#define STEPS 4.0 /* to the octave */

/* Where bucket k begins, in ms. */
static double
bound(unsigned k)
{
	return k == 0 ? 0 : exp2((k - 1) / STEPS);
}

void
histogram_add(struct histogram *h, unsigned bucket, uint64_t count)
{
	h->counts[bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1] += count;
	h->total += count;
}

void
histogram_merge(struct histogram *to, const struct histogram *from)
{
	for (unsigned k = 0; k < HISTOGRAM_BUCKETS; k++)
		to->counts[k] += from->counts[k];
	to->total += from->total;
	to->sum_ms += from->sum_ms;
}

/* Within a bucket the durations are taken to be evenly spread. */
double
histogram_quantile(const struct histogram *h, double q)
{
	double wanted = q * (double)h->total, before = 0;
	unsigned k = 0;

	if (h->total == 0)
		return NAN;
	while (k < HISTOGRAM_BUCKETS - 1 && (h->counts[k] == 0 || before + (double)h->counts[k] < wanted))
		before += (double)h->counts[k++];
	return bound(k) + (bound(k + 1) - bound(k)) * fmin(1, (wanted - before) / (double)h->counts[k]);
}

double
histogram_mean(const struct histogram *h)
{
	return h->total > 0 ? (double)h->sum_ms / (double)h->total : NAN;
}
