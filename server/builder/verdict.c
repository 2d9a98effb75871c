#include "server/builder/verdict.h"

#include <stdio.h>

#include "proto/script.h"

void
verdict_init(struct verdict *v)
{
	*v = (struct verdict){ .exit_code = -1, .segment_exit = -1, .result = { .exit_code = -1 } };
}

void
verdict_end(struct verdict *v, enum builder_state state, struct err err)
{
	if (verdict_is_ended(v))
		return;
	v->err = err;
	v->state = state;
}

void
verdict_recall(struct verdict *v, const struct builder_result *result)
{
	v->result.exit_code = result->exit_code;
	verdict_end(v, result->state, err_make(ERR_CANCELLED, 0, "%s", result->reason));
}

enum builder_state
verdict_blame(const struct err *err)
{
	return err->code == ERR_NOT_FOUND || err->code == ERR_INPUT || err->code == ERR_AUTH ? BUILDER_FAILED
											     : BUILDER_ERROR;
}

void
verdict_segment(struct verdict *v, const char *name, int exit_code)
{
	if (v->segment_exit > 0)
		return;
	snprintf(v->segment, sizeof(v->segment), "%s", name);
	v->segment_exit = exit_code;
}

bool
verdict_is_ended(const struct verdict *v)
{
	return v->err.code != ERR_NONE;
}

bool
verdict_is_bad(const struct verdict *v)
{
	return verdict_is_ended(v) || v->exit_code > 0;
}

const char *
verdict_word(const struct verdict *v)
{
	if (!verdict_is_bad(v))
		return NULL;
	if (verdict_is_ended(v) && v->state == BUILDER_CANCELLED)
		return "cancelled";
	return verdict_is_ended(v) && v->state == BUILDER_TIMED_OUT ? "timed_out" : "failed";
}

void
verdict_judge(struct verdict *v, const char *image, uint64_t memory)
{
	struct builder_result *result = &v->result;
	bool ended_in_segment = v->segment[0] != '\0' && (v->segment_exit != 0 || v->exit_code == 0);

	result->exit_code = v->exit_code;
	if (v->exit_code == 0)
		result->state = BUILDER_PASSED;
	else if (v->exit_code == SCRIPT_NO_WORKSPACE && v->segment[0] == '\0')
		result->state = BUILDER_ERROR;
	else
		result->state = BUILDER_FAILED;
	if (result->state == BUILDER_ERROR)
		snprintf(
		    result->reason, sizeof(result->reason), "the workspace could not be unpacked in image %s", image);
	else if (result->oom)
		snprintf(result->reason, sizeof(result->reason), "the memory limit of %llu MiB was hit",
		    (unsigned long long)(memory >> 20));
	else if (result->state == BUILDER_FAILED)
		snprintf(result->reason, sizeof(result->reason), "exit code %d%s%s", v->exit_code,
		    ended_in_segment ? " in " : "", ended_in_segment ? v->segment : "");
}

struct builder_result
verdict_result(const struct verdict *v)
{
	struct builder_result result = v->result;

	if (verdict_is_ended(v)) {
		result.state = v->state;
		snprintf(result.reason, sizeof(result.reason), "%s", v->err.text);
	}
	return result;
}

struct builder_result
verdict_result_passed(const struct verdict *v)
{
	struct builder_result result = verdict_result(v);

	if (!verdict_is_ended(v)) {
		result.state = BUILDER_PASSED;
		result.exit_code = 0;
	}
	return result;
}
