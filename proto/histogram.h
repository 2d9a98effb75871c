/* Counts of durations on a scale of four steps to the octave, from 1 ms to more than a year: what is read of it is
 * within a tenth of the truth. Bucket 0 is for less than 1 ms, bucket K for 2^((K-1)/4) up to 2^(K/4) ms; the last one
 * takes what is longer. scripts/redis/common/stats.lua counts by the same scale. */
#ifndef DAVIT_PROTO_HISTOGRAM_H
#define DAVIT_PROTO_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 144 };

struct histogram {
	uint64_t counts[HISTOGRAM_BUCKETS];
	uint64_t total;
	uint64_t sum_ms;
};

void histogram_add(struct histogram *h, unsigned bucket, uint64_t count);
void histogram_merge(struct histogram *to, const struct histogram *from);
/* Milliseconds that a share q (0..1) of the durations does not exceed; NAN when there are none. */
double histogram_quantile(const struct histogram *h, double q);
/* NAN when there are none. */
double histogram_mean(const struct histogram *h);

#endif
