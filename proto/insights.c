#include "proto/insights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

static const char *const time_names[] = {
	[INSIGHTS_QUEUE] = "queue",
	[INSIGHTS_PREPARE] = "prepare",
	[INSIGHTS_RUN] = "run",
	[INSIGHTS_BUILD] = "build",
	[INSIGHTS_LEAD] = "lead",
	[INSIGHTS_RESTORE] = "restore",
};

static const char *const end_names[] = {
	[INSIGHTS_PASSED] = "passed",
	[INSIGHTS_FAILED] = "failed",
	[INSIGHTS_TIMED_OUT] = "timed_out",
	[INSIGHTS_ERROR] = "error",
	[INSIGHTS_CANCELLED] = "cancelled",
};

const char *
insights_time_name(enum insights_time time)
{
	return time_names[time];
}

const char *
insights_end_name(enum insights_end end)
{
	return end_names[end];
}

/* "run.37", "run.ms" */
static void
add_time(struct insights_sum *sum, struct str name, struct str what, uint64_t value)
{
	uint64_t bucket;

	for (size_t i = 0; i < INSIGHTS_TIMES; i++) {
		struct histogram *h = &sum->times[i];

		if (!str_is(name, time_names[i]))
			continue;
		if (str_is(what, "ms"))
			h->sum_ms += value;
		else if (str_to_u64(what, UINT32_MAX, &bucket))
			histogram_add(h, (unsigned)bucket, value);
	}
}

/* "builds_passed", "deployments_passed" */
static void
add_end(struct insights_sum *sum, struct str name, uint64_t value)
{
	str_cut(&name, '_');
	for (size_t i = 0; i < INSIGHTS_ENDS; i++)
		if (str_is(name, end_names[i]))
			sum->ends[i] += value;
}

static void
add_count(struct insights_sum *sum, struct str name, uint64_t value)
{
	struct str what = name, before = str_cut(&what, '.');

	if (what.len > 0)
		add_time(sum, before, what, value);
	else if (str_is(name, "changes"))
		sum->changes += value;
	else if (str_is(name, "changes_failed"))
		sum->changes_failed += value;
	else
		add_end(sum, name, value);
}

static void
merge(struct insights_sum *to, const struct insights_sum *from)
{
	for (size_t i = 0; i < INSIGHTS_TIMES; i++)
		histogram_merge(&to->times[i], &from->times[i]);
	for (size_t i = 0; i < INSIGHTS_ENDS; i++)
		to->ends[i] += from->ends[i];
	to->changes += from->changes;
	to->changes_failed += from->changes_failed;
}

void
insights_add_day(struct insights *insights, struct str day, const struct str *counts, size_t count)
{
	enum insights_time main_time = insights->environment[0] != '\0' ? INSIGHTS_RUN : INSIGHTS_BUILD;
	struct insights_sum *sum = xcalloc(1, sizeof(*sum));
	struct insights_day *added;
	uint64_t value;

	for (size_t i = 0; i + 1 < count; i += 2)
		if (str_to_u64(counts[i + 1], INT64_MAX, &value))
			add_count(sum, counts[i], value);
	merge(&insights->sum, sum);
	insights->days = xrealloc(insights->days, (insights->day_count + 1) * sizeof(*insights->days));
	added = &insights->days[insights->day_count++];
	snprintf(added->day, sizeof(added->day), "%.*s", (int)day.len, day.p);
	memcpy(added->ends, sum->ends, sizeof(added->ends));
	added->median_ms = histogram_quantile(&sum->times[main_time], 0.5);
	free(sum);
}

void
insights_list_fini(struct insights_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].repo);
		free(list->items[i].environment);
		free(list->items[i].days);
	}
	free(list->items);
	*list = (struct insights_list){ 0 };
}

static double
share(uint64_t part, uint64_t whole)
{
	return whole > 0 ? (double)part / (double)whole : NAN;
}

double
insights_success(const struct insights_sum *sum)
{
	uint64_t ended = 0;

	for (size_t i = 0; i < INSIGHTS_CANCELLED; i++)
		ended += sum->ends[i];
	return share(sum->ends[INSIGHTS_PASSED], ended);
}

/* One that is taken back was brought on an earlier day, which may not be among these. */
double
insights_change_failures(const struct insights_sum *sum)
{
	double failed = share(sum->changes_failed, sum->changes);

	return failed > 1 ? 1 : failed;
}
