/* crypto_equal takes as long for a wrong secret as for the right one, whichever byte is wrong. The time itself is only
 * looked at with DAVIT_TEST_LONG: Welch's t over a million calls in random order, as dudect does it. */
#include "test/unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/crypto.h"
#include "proto/mem.h"

#define SECRET 32
#define CALLS 1000000
#define T_LIMIT 4.5
#define ROUNDS 64 /* comparisons in one measurement: the clock is coarse */

typedef bool equal_fn(const void *a, const void *b);

static bool
ours(const void *a, const void *b)
{
	return crypto_equal((struct str){ a, SECRET }, (struct str){ b, SECRET });
}

/* What the test is there to find. */
static bool
ends_at_the_first_difference(const void *a, const void *b)
{
	const volatile unsigned char *x = a, *y = b;

	for (size_t i = 0; i < SECRET; i++)
		if (x[i] != y[i])
			return false;
	return true;
}

static void
test_every_byte_counts(void **state)
{
	unsigned char a[SECRET] = { 0 }, b[SECRET] = { 0 };

	(void)state;
	assert_true(ours(a, b));
	for (size_t i = 0; i < SECRET; i++)
		for (unsigned bit = 1; bit < 0x100; bit <<= 1) {
			b[i] = (unsigned char)bit;
			assert_false(ours(a, b));
			b[i] = 0;
		}
	assert_true(ours(a, b));
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct sample {
	uint32_t ns;
	bool is_right;
};

static int
by_time(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return (x->ns > y->ns) - (x->ns < y->ns);
}

static uint64_t
next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void
measure(equal_fn *equal, struct sample *samples, size_t count)
{
	unsigned char secret[SECRET], guesses[2][SECRET];
	uint64_t random = 0x9e3779b97f4a7c15u;
	volatile unsigned hits = 0;

	for (size_t i = 0; i < SECRET; i++)
		secret[i] = (unsigned char)next_random(&random);
	memcpy(guesses[1], secret, SECRET);
	memcpy(guesses[0], secret, SECRET);
	guesses[0][0] ^= 1;
	for (size_t i = 0; i < count; i++) {
		bool is_right = next_random(&random) >> 63;
		uint64_t begin = now_ns();

		for (int k = 0; k < ROUNDS; k++)
			hits += equal(secret, guesses[is_right]);
		samples[i] = (struct sample){ (uint32_t)(now_ns() - begin), is_right };
	}
	assert_true(hits > 0);
}

/* Welch's t of the two classes over the fastest share of all samples: interrupts make the rest. */
static double
welch_t(const struct sample *sorted, size_t count)
{
	double n[2] = { 0 }, mean[2] = { 0 }, m2[2] = { 0 };

	for (size_t i = 0; i < count; i++) {
		int k = sorted[i].is_right;
		double delta = sorted[i].ns - mean[k];

		n[k]++;
		mean[k] += delta / n[k];
		m2[k] += delta * (sorted[i].ns - mean[k]);
	}
	return (mean[1] - mean[0]) / sqrt(m2[0] / (n[0] - 1) / n[0] + m2[1] / (n[1] - 1) / n[1]);
}

static double
t_of(equal_fn *equal)
{
	size_t count = CALLS / ROUNDS;
	struct sample *samples = xcalloc(count, sizeof(*samples));
	double t;

	measure(equal, samples, count); /* warms up */
	measure(equal, samples, count);
	qsort(samples, count, sizeof(*samples), by_time);
	t = welch_t(samples, count * 9 / 10);
	free(samples);
	return t;
}

static void
test_time_says_nothing(void **state)
{
	double t;

	(void)state;
	if (getenv("DAVIT_TEST_LONG") == NULL)
		return;
	t = t_of(ends_at_the_first_difference);
	printf("t of a comparison that ends early: %.1f\n", t);
	assert_true(fabs(t) > T_LIMIT); /* the test sees what it should */
	t = t_of(ours);
	printf("t of crypto_equal: %.2f\n", t);
	assert_true(fabs(t) < T_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte_counts),
		cmocka_unit_test(test_time_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
