#include "test/unit/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/insights.h"

/* As the scripts count. */
static unsigned
bucket_of(double ms)
{
	return ms < 1 ? 0 : (unsigned)(log2(ms) * 4) + 1;
}

static void
test_a_quantile_is_within_a_tenth(void **state)
{
	struct histogram h = { .total = 0 };

	(void)state;
	assert_true(isnan(histogram_quantile(&h, 0.5)));
	assert_true(isnan(histogram_mean(&h)));
	for (unsigned ms = 1; ms <= 100000; ms++)
		histogram_add(&h, bucket_of(ms), 1);
	for (double q = 0.01; q <= 1; q += 0.01)
		if (fabs(histogram_quantile(&h, q) / (100000 * q) - 1) > 0.1)
			fail_msg("%g: %g", q, histogram_quantile(&h, q));
}

/* One value alone, of any size: within its bucket, whatever is asked. */
static void
test_one_duration(void **state)
{
	static const double values[] = { 0, 1, 1.5, 999, 60000, 86400000.0 * 400 };

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct histogram h = { .total = 0 };

		histogram_add(&h, bucket_of(values[i]), 1);
		for (double q = 0; q <= 1; q += 0.25) {
			double got = histogram_quantile(&h, q);

			assert_true(got <= fmax(1, values[i] * 1.2) && got >= values[i] / 1.2 - 1);
		}
	}
}

static void
test_what_is_longer_goes_to_the_last(void **state)
{
	struct histogram h = { .total = 0 };

	(void)state;
	histogram_add(&h, 4000000000u, 2);
	assert_int_equal(h.counts[HISTOGRAM_BUCKETS - 1], 2);
	assert_true(histogram_quantile(&h, 1) > 86400000.0 * 365);
}

static void
add_day(struct insights *insights, const char *day, const char *counts)
{
	struct str words[32], rest = str_of(counts);
	size_t count = 0;

	while (rest.len > 0)
		words[count++] = str_cut(&rest, ' ');
	insights_add_day(insights, str_of(day), words, count);
}

static void
test_days_add_up(void **state)
{
	struct insights_list list = { calloc(1, sizeof(struct insights)), 1 };
	struct insights *live = list.items;
	const struct insights_sum *sum = &live->sum;

	(void)state;
	live->repo = strdup("app");
	live->environment = strdup("live");
	add_day(live, "2026-11-28",
	    "deployments_passed 3 deployments_failed 1 changes 4 changes_failed 2 run.41 2 run.ms 2100");
	add_day(live, "2026-11-29",
	    "deployments_cancelled 7 deployments_error x run.41 1 run.ms 900 later 5 run.x 3 odd.9 3 run.41");
	assert_int_equal(live->day_count, 2);
	assert_string_equal(live->days[1].day, "2026-11-29");
	assert_int_equal(live->days[0].ends[INSIGHTS_FAILED], 1);
	assert_int_equal(live->days[1].ends[INSIGHTS_CANCELLED], 7);
	assert_true(live->days[0].median_ms > 900 && live->days[0].median_ms < 1300);
	assert_int_equal(sum->times[INSIGHTS_RUN].total, 3);
	assert_true(histogram_mean(&sum->times[INSIGHTS_RUN]) == 1000);
	assert_true(insights_success(sum) == 0.75);
	assert_true(insights_change_failures(sum) == 0.5);
	insights_list_fini(&list);
	assert_null(list.items);
}

static void
test_without_anything(void **state)
{
	static const struct insights_sum none;
	struct insights_sum taken_back = { .changes = 1, .changes_failed = 2 };

	(void)state;
	assert_true(isnan(insights_success(&none)));
	assert_true(isnan(insights_change_failures(&none)));
	assert_true(insights_change_failures(&taken_back) == 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_quantile_is_within_a_tenth),
		cmocka_unit_test(test_one_duration),
		cmocka_unit_test(test_what_is_longer_goes_to_the_last),
		cmocka_unit_test(test_days_add_up),
		cmocka_unit_test(test_without_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
