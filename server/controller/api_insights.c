/* /api/v1/repos/:repo/insights: how long builds and deployments take, and how well they go. */
#include <math.h>
#include <string.h>

#include "server/controller/api_json.h"
#include "server/controller/controller_private.h"

#define DAYS 30
#define ENVIRONMENTS_MAX 20

/* null is not known. */
static void
member_double(struct json_writer *w, const char *key, double value)
{
	json_write_key(w, key);
	if (isnan(value))
		json_write_null(w);
	else
		json_write_double(w, value);
}

static void
member_ms(struct json_writer *w, const char *key, double ms)
{
	member_double(w, key, isnan(ms) ? ms : round(ms));
}

static void
write_times(struct json_writer *w, const struct insights_sum *sum)
{
	json_write_key(w, "times");
	json_write_object_open(w);
	for (size_t i = 0; i < INSIGHTS_TIMES; i++) {
		const struct histogram *h = &sum->times[i];

		if (h->total == 0)
			continue;
		json_write_key(w, insights_time_name((enum insights_time)i));
		json_write_object_open(w);
		json_member_int(w, "count", (int64_t)h->total);
		member_ms(w, "mean_ms", histogram_mean(h));
		member_ms(w, "p50_ms", histogram_quantile(h, 0.5));
		member_ms(w, "p95_ms", histogram_quantile(h, 0.95));
		json_write_object_close(w);
	}
	json_write_object_close(w);
}

static void
write_ends(struct json_writer *w, const uint64_t *ends)
{
	for (size_t i = 0; i < INSIGHTS_ENDS; i++)
		json_member_int(w, insights_end_name((enum insights_end)i), (int64_t)ends[i]);
}

static void
write_days(struct json_writer *w, const struct insights *insights)
{
	json_write_key(w, "days");
	json_write_array_open(w);
	for (size_t i = 0; i < insights->day_count; i++) {
		json_write_object_open(w);
		json_member_string(w, "day", insights->days[i].day);
		write_ends(w, insights->days[i].ends);
		member_ms(w, "median_ms", insights->days[i].median_ms);
		json_write_object_close(w);
	}
	json_write_array_close(w);
}

/* days: how many were looked at. */
static void
write_part(struct json_writer *w, const struct insights *insights, unsigned days)
{
	const struct insights_sum *sum = &insights->sum;
	bool is_environment = insights->environment[0] != '\0';

	json_write_key(w, is_environment ? "deployments" : "builds");
	json_write_object_open(w);
	write_ends(w, sum->ends);
	json_write_object_close(w);
	member_double(w, "success", insights_success(sum));
	if (is_environment) {
		member_double(w, "per_day", (double)sum->ends[INSIGHTS_PASSED] / days);
		json_member_int(w, "changes", (int64_t)sum->changes);
		json_member_int(w, "changes_failed", (int64_t)sum->changes_failed);
		member_double(w, "change_failures", insights_change_failures(sum));
	}
	write_times(w, sum);
	write_days(w, insights);
}

static void
write_list(struct json_writer *w, const struct insights_list *list, unsigned days)
{
	json_write_object_open(w);
	json_member_string(w, "repo", list->items[0].repo);
	json_member_int(w, "day_count", days);
	write_part(w, &list->items[0], days);
	json_write_key(w, "environments");
	json_write_array_open(w);
	for (size_t i = 1; i < list->count; i++) {
		json_write_object_open(w);
		json_member_string(w, "name", list->items[i].environment);
		write_part(w, &list->items[i], days);
		json_write_object_close(w);
	}
	json_write_array_close(w);
	json_write_object_close(w);
}

static void
on_insights(void *arg, struct insights_list list, const struct err *err)
{
	struct api_call *call = arg;
	struct json_writer *w;

	if (!api_call_failed(&call, err)) {
		w = json_writer_new(API_JSON_MAX);
		write_list(w, &list, (unsigned)call->offset);
		api_call_json(&call, 200, &w);
	}
	insights_list_fini(&list);
}

/* ?days=N */
void
api_insights(void *arg, struct http_reply *reply)
{
	struct api_call *call;
	uint64_t days;

	if (!api_query_number(&reply, "days", INSIGHTS_DAYS_MAX, DAYS, &days))
		return;
	call = api_call_new(arg, reply);
	call->offset = days > 0 ? days : 1;
	call->op = store_insights(
	    call->store, api_call_param(call, "repo"), (unsigned)call->offset, 1 + ENVIRONMENTS_MAX, on_insights, call);
}
