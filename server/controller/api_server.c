/* What the server says of itself: /healthz, /metrics, /api/v1/engines. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/mem.h"
#include "server/builder/builder.h"
#include "server/controller/controller_private.h"
#include "server/controller/listener.h"
#include "server/controller/sse.h"
#include "server/core/holdups.h"
#include "server/core/loop.h"
#include "server/core/reserve.h"
#include "server/hook/hook.h"

#define STORE_PATIENCE_MS 900
#define METRICS_MAX (1024 * 1024)

struct engines {
	unsigned count, up, slots, busy, warm;
};

static struct engines
count_engines(const struct builder *builder)
{
	struct builder_engine_status status;
	struct engines sum = { 0 };

	for (size_t i = 0; builder_engine_status(builder, i, &status); i++) {
		sum.count++;
		sum.up += status.up;
		sum.slots += status.slots;
		sum.busy += status.busy;
		sum.warm += status.warm;
	}
	return sum;
}

/* --- /healthz --- */

static void
write_reason(struct json_writer *w, const struct builder *builder)
{
	struct builder_engine_status status;

	json_write_key(w, "engine_problems");
	json_write_array_open(w);
	for (size_t i = 0; builder_engine_status(builder, i, &status); i++)
		if (!status.up) {
			json_write_object_open(w);
			json_member_string(w, "name", status.name);
			json_member_string(w, "reason", status.reason);
			json_write_object_close(w);
		}
	json_write_array_close(w);
}

static void
answer_health(struct api_call **call, const struct err *err)
{
	const struct builder *builder = (*call)->controller->deps.builder;
	struct engines engines = count_engines(builder);
	struct json_writer *w = json_writer_new(65536);
	bool is_full = reserve_is_given((*call)->controller->deps.reserve);
	bool is_well = err == NULL && engines.up > 0 && !is_full;

	json_write_object_open(w);
	json_member_string(w, "status", is_well ? "ok" : "unavailable");
	json_member_bool(w, "redis", err == NULL);
	if (err != NULL)
		json_member_string(w, "redis_problem", err->text);
	json_member_bool(w, "disk_full", is_full);
	json_member_int(w, "engines", engines.count);
	json_member_int(w, "engines_up", engines.up);
	if (engines.up < engines.count)
		write_reason(w, builder);
	json_member_string(w, "version", (*call)->controller->deps.version);
	json_write_object_close(w);
	reply_header((*call)->reply, "Cache-Control", "no-store");
	api_call_json(call, is_well ? 200 : 503, &w);
}

static void
on_health(void *arg, const struct store_stats *stats, const struct err *err)
{
	struct api_call *call = arg;

	(void)stats;
	call->op = NULL;
	answer_health(&call, err);
}

static void
on_health_late(void *arg)
{
	struct api_call *call = arg;
	struct err err = err_make(ERR_TIMEOUT, 0, "Redis does not answer; see redis.url, and the daemon's log");

	answer_health(&call, &err);
}

/* A question that Redis itself must answer: a connection that is merely open would not tell that it hangs. */
void
api_health(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	call->op = store_stats(call->store, on_health, call);
	api_call_limit(call, STORE_PATIENCE_MS, on_health_late);
}

/* --- /metrics --- */

static void
print_store(const struct store_stats *s, struct buf *out)
{
	const struct {
		const char *name, *help;
		int64_t value;
	} gauges[] = {
		{ "davit_repositories", "Repositories.", s->repos },
		{ "davit_builds_planning", "Builds accepted and not planned.", s->planning },
		{ "davit_jobs_queued", "Jobs that wait for a slot.", s->queued },
		{ "davit_jobs_held", "Jobs held by their repository's limit.", s->held },
		{ "davit_jobs_delayed", "Jobs and notices that wait for their time.", s->delayed },
		{ "davit_jobs_running", "Jobs and plannings under a lease.", s->running },
		{ "davit_outbox_targets", "Targets with notices that wait.", s->outbox },
		{ "davit_outbox_dead", "Notices that were given up.", s->dead },
		{ "davit_nodes", "Daemons on this Redis.", s->nodes },
	};

	for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++)
		figures_one(out, gauges[i].name, "gauge", gauges[i].help, (double)gauges[i].value);
}

static void
print_hook_counts(const struct hook *hook, struct buf *out)
{
	struct hook_counts c = hook_counts(hook);

	figures_head(out, "davit_hook_deliveries_total", "counter", "Deliveries of forges, by what became of them.");
	figures_value(out, "davit_hook_deliveries_total", "result=\"build\"", (double)c.builds);
	figures_value(out, "davit_hook_deliveries_total", "result=\"duplicate\"", (double)c.duplicates);
	figures_value(out, "davit_hook_deliveries_total", "result=\"ignored\"", (double)c.ignored);
	figures_value(out, "davit_hook_deliveries_total", "result=\"refused\"", (double)c.refused);
	figures_value(out, "davit_hook_deliveries_total", "result=\"unavailable\"", (double)c.unavailable);
}

static void
print_listeners(const struct controller *controller, struct buf *out)
{
	struct listener_figures sum = { 0 };
	char label[16];

	for (size_t i = 0; i < controller->listener_count; i++) {
		struct listener_figures f = listener_figures(controller->listeners[i]);

		sum.connections += f.connections;
		sum.accepted += f.accepted;
		sum.accept_pauses += f.accept_pauses;
		for (size_t k = 0; k < sizeof(f.answers) / sizeof(f.answers[0]); k++)
			sum.answers[k] += f.answers[k];
	}
	figures_one(out, "davit_http_connections", "gauge", "Open connections of clients.", sum.connections);
	figures_one(out, "davit_http_connections_total", "counter", "Connections accepted.", (double)sum.accepted);
	figures_one(out, "davit_http_accept_pauses_total", "counter", "Times that accepting rested for lack of room.",
	    (double)sum.accept_pauses);
	figures_head(out, "davit_http_requests_total", "counter", "Answers, by class of status.");
	for (size_t k = 2; k < sizeof(sum.answers) / sizeof(sum.answers[0]); k++) {
		snprintf(label, sizeof(label), "code=\"%zuxx\"", k);
		figures_value(out, "davit_http_requests_total", label, (double)sum.answers[k]);
	}
	figures_one(out, "davit_followers", "gauge", "Open live streams.", sse_hub_count(controller->followers));
}

static void
print_engines(const struct builder *builder, struct buf *out)
{
	struct engines e = count_engines(builder);

	figures_one(out, "davit_engines", "gauge", "Engines configured.", e.count);
	figures_one(out, "davit_engines_up", "gauge", "Engines that answer.", e.up);
	figures_one(out, "davit_slots", "gauge", "Slots of all engines.", e.slots);
	figures_one(out, "davit_slots_busy", "gauge", "Slots with a job.", e.busy);
	figures_one(out, "davit_warm_containers", "gauge", "Containers started in advance.", e.warm);
}

static void
print_loop(const struct loop *loop, struct buf *out)
{
	const struct holdups *h = loop_holdups(loop);
	const struct figures_times times = { holdup_bounds_ms, HOLDUP_BUCKETS, h->counts, h->total_us };

	figures_histogram(out, "davit_loop_callback_seconds",
	    "Time that one callback held the loop, while everything else waited.", &times);
	figures_one(out, "davit_loop_longest_callback_seconds", "gauge", "The longest of them since the start.",
	    (double)h->longest_us / 1e6);
}

static void
answer_metrics(struct api_call **call, const struct store_stats *stats)
{
	struct controller *controller = (*call)->controller;
	struct buf out;

	buf_init(&out, METRICS_MAX);
	figures_one(&out, "davit_redis_up", "gauge", "Whether Redis answers.", stats != NULL);
	if (stats != NULL)
		print_store(stats, &out);
	figures_one(&out, "davit_disk_full", "gauge", "Whether the state folder's disk is full.",
	    reserve_is_given(controller->deps.reserve));
	print_hook_counts(controller->deps.hook, &out);
	print_listeners(controller, &out);
	print_engines(controller->deps.builder, &out);
	if (controller->deps.mirror != NULL)
		api_mirror_figures(controller->deps.mirror, &out);
	print_loop(controller->deps.loop, &out);
	figures_print(&controller->figures, &out);
	buf_addstr(&out, buf_str(&controller->week));
	reply_send(&(*call)->reply, 200, "text/plain; version=0.0.4; charset=utf-8", out.data, out.len);
	buf_fini(&out);
	api_call_end(call);
}

static void
on_metrics(void *arg, const struct store_stats *stats, const struct err *err)
{
	struct api_call *call = arg;

	call->op = NULL;
	answer_metrics(&call, err == NULL ? stats : NULL);
}

static void
on_week(void *arg, struct insights_list list, const struct err *err)
{
	struct api_call *call = arg;
	struct controller *controller = call->controller;

	call->op = NULL;
	if (err == NULL) {
		buf_reset(&controller->week);
		week_figures_print(&list, &controller->week);
		controller->week_us = figures_now_us();
	}
	insights_list_fini(&list);
	call->op = store_stats(call->store, on_metrics, call);
}

static void
on_metrics_late(void *arg)
{
	struct api_call *call = arg;

	answer_metrics(&call, NULL);
}

void
api_metrics(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);
	const struct controller *controller = call->controller;

	if (controller->week_us == 0 || figures_now_us() - controller->week_us > (int64_t)WEEK_FIGURES_KEPT_S * 1000000)
		call->op = store_insights(call->store, NULL, WEEK_FIGURES_DAYS, WEEK_FIGURES_MAX, on_week, call);
	else
		call->op = store_stats(call->store, on_metrics, call);
	api_call_limit(call, STORE_PATIENCE_MS, on_metrics_late);
}

/* --- /api/v1/engines --- */

void
api_engines(void *arg, struct http_reply *reply)
{
	struct controller *controller = arg;
	struct builder_engine_status status;
	struct json_writer *w = json_writer_new(METRICS_MAX);

	json_write_object_open(w);
	json_write_key(w, "engines");
	json_write_array_open(w);
	for (size_t i = 0; builder_engine_status(controller->deps.builder, i, &status); i++) {
		json_write_object_open(w);
		json_member_string(w, "name", status.name);
		json_member_string(w, "version", status.version);
		json_member_bool(w, "up", status.up);
		json_member_string(w, "reason", status.reason);
		json_member_int(w, "slots", status.slots);
		json_member_int(w, "busy", status.busy);
		json_member_int(w, "warm", status.warm);
		json_write_object_close(w);
	}
	json_write_array_close(w);
	json_write_object_close(w);
	reply_json(&reply, 200, &w);
}
