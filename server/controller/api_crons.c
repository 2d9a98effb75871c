/* /api/v1/repos/:repo/crons: builds by the clock. */
#include <stdlib.h>
#include <string.h>

#include "proto/cron.h"
#include "proto/mem.h"
#include "proto/params.h"
#include "proto/ref.h"
#include "server/controller/api_json.h"
#include "server/controller/controller_private.h"
#include "server/core/loop.h"
#include "server/core/zones.h"

/* --- looking --- */

static void
on_list(void *arg, struct schedule_list schedules, const struct err *err)
{
	struct api_call *call = arg;
	struct json_writer *w;

	if (!api_call_failed(&call, err)) {
		w = api_list_open("crons");
		for (size_t i = 0; i < schedules.count; i++)
			api_write_schedule(w, &schedules.items[i]);
		api_list_answer(&call, &w);
	}
	schedule_list_fini(&schedules);
}

/* The repository is there: what it has. */
static void
on_repo(void *arg, struct repo *repo, const struct err *err)
{
	struct api_call *call = arg;

	if (!api_call_failed(&call, err))
		call->op = store_schedules(call->store, repo->id, on_list, call);
	repo_free(&repo);
}

void
api_cron_list(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	call->op = store_repo_get(call->store, api_call_param(call, "repo"), on_repo, call);
}

/* --- adding and changing: {"cron": "0 3 * * *", "timezone": "UTC", "branch": "main", "parameters": {}} --- */

static void
on_put(void *arg, const struct err *err)
{
	struct api_call *call = arg;
	struct json_writer *w;

	if (api_call_failed(&call, err))
		return;
	w = json_writer_new(API_JSON_MAX);
	api_write_schedule(w, &call->schedules.items[0]);
	api_call_json(&call, 200, &w);
}

static void
on_zone(void *arg, const struct zone *zone, const struct err *err)
{
	struct api_call *call = arg;
	struct schedule *schedule = &call->schedules.items[0];
	struct cron cron;
	struct err wrong;

	call->zones_op = NULL;
	if (api_call_failed(&call, err))
		return;
	if (!cron_parse(str_of(schedule->rule), &cron, &wrong)) {
		wrong = err_prefix(wrong, "cron");
		api_call_failed(&call, &wrong);
		return;
	}
	schedule->next_ms = 1000 * cron_next(&cron, zone, loop_wall_ms() / 1000);
	call->op = store_schedule_put(call->store, schedule, on_put, call);
}

/* All its strings are its own, also on failure. */
static bool
read_schedule(struct api_call *call, struct schedule *schedule, struct err *err)
{
	static const char *const members[] = { "cron", "timezone", "branch", "parameters", NULL };
	const struct json_value *body = json_root(call->body);
	char *ref;
	bool ok;

	*schedule = (struct schedule){
		.repo = xstrdup(api_call_param(call, "repo")),
		.name = xstrdup(api_call_param(call, "cron")),
		.rule = xstrdup(json_string(json_get(body, "cron"), "")),
		.zone = xstrdup(json_string(json_get(body, "timezone"), "UTC")),
		.branch = xstrdup(json_string(json_get(body, "branch"), "")),
	};
	if (!api_check_members(body, members, "a schedule", err) ||
	    !params_read(json_get(body, "parameters"), &schedule->params, err))
		return false;
	if (schedule->params == NULL)
		schedule->params = xstrdup("");
	if (schedule->branch[0] == '\0')
		return true; /* the default branch, as it is when the time comes */
	ref = xasprintf("refs/heads/%s", schedule->branch);
	ok = ref_is_valid(str_of(ref)) ||
	     err_set(err, ERR_INPUT, 0, "branch: \"%.64s\" is no branch's name", schedule->branch);
	free(ref);
	return ok;
}

void
api_cron_put(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);
	struct err err;

	if (!api_call_parse(&call))
		return;
	call->schedules.items = xcalloc(1, sizeof(struct schedule));
	call->schedules.count = 1;
	if (read_schedule(call, &call->schedules.items[0], &err))
		call->zones_op = zones_get(call->controller->deps.zones, call->schedules.items[0].zone, on_zone, call);
	else
		api_call_failed(&call, &err);
}

/* --- removing --- */

void
api_cron_delete(void *arg, struct http_reply *reply)
{
	struct api_call *call = api_call_new(arg, reply);

	call->op = store_schedule_delete(
	    call->store, api_call_param(call, "repo"), api_call_param(call, "cron"), api_call_done, call);
}
