#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/mem.h"
#include "proto/script.h"
#include "server/builder/container.h"
#include "server/builder/run_private.h"
#include "server/core/crash.h"
#include "server/core/log.h"
#include "server/core/loop.h"

enum { DEFAULT_TIMEOUT_S = 3600 };

static void enter_started(struct run *r);
static void enter_script(struct run *r);
static void enter_after(struct run *r);
static void enter_collect(struct run *r);
static void enter_hold(struct run *r);
static void enter_verdict(struct run *r);
static void enter_unbox(struct run *r);
static void enter_unserve(struct run *r);
static void enter_unvolume(struct run *r);
static void enter_done(struct run *r);
static void go_on(struct run *r);
static void drop_before(struct run *r);

/* The deadlines: of RUN_IMAGE the pull's own, then the job's, then those of the calls. */
/* clang-format off */
static const struct {
	const char *name;
	void (*enter)(struct run *r);
	enum run_state next;
	bool is_heard; /* the owner gets what the box writes */
} states[] = {
	[RUN_FIND]     = { "find",     adoption_begin,       RUN_SCRIPT,   false },
	[RUN_IMAGE]    = { "image",    preparation_image,    RUN_VOLUME,   false },
	[RUN_VOLUME]   = { "volume",   preparation_volume,   RUN_BOX,      false },
	[RUN_PULL]     = { "pull",     preparation_pull,     RUN_BOX,      false },
	[RUN_BOX]      = { "box",      preparation_box,      RUN_SERVICES, false },
	[RUN_SERVICES] = { "services", preparation_services, RUN_STARTED,  false },
	[RUN_STARTED]  = { "started",  enter_started,        RUN_SCRIPT,   true },
	[RUN_SCRIPT]   = { "script",   enter_script,         RUN_COLLECT,  true },
	[RUN_AFTER]    = { "after",    enter_after,          RUN_COLLECT,  true },
	[RUN_COLLECT]  = { "collect",  enter_collect,        RUN_UNBOX,    false },
	[RUN_KEEP]     = { "keep",     enter_collect,        RUN_HOLD,     false },
	[RUN_HOLD]     = { "hold",     enter_hold,           RUN_UNBOX,    false },
	[RUN_VERDICT]  = { "verdict",  enter_verdict,        RUN_UNBOX,    true },
	[RUN_UNBOX]    = { "unbox",    enter_unbox,          RUN_UNSERVE,  false },
	[RUN_UNSERVE]  = { "unserve",  enter_unserve,        RUN_UNVOLUME, false },
	[RUN_UNVOLUME] = { "unvolume", enter_unvolume,       RUN_DONE,     false },
	[RUN_DONE]     = { "done",     enter_done,           RUN_DONE,     false },
};
/* clang-format on */

void
run_step(struct run *r, enum run_state next)
{
	log_debug("job %s: %s -> %s", r->job->id, states[r->state].name, states[next].name);
	pull_cancel(&r->pull);
	deferred_cancel(&r->tell);
	r->state = next;
	r->output.is_open = states[next].is_heard;
	states[next].enter(r);
}

void
run_pass(struct run *r)
{
	run_step(r, states[r->state].next);
}

/* What is left to do is what runs always. */
static bool
is_over(const struct run *r)
{
	return verdict_is_bad(&r->verdict) || r->state >= RUN_AFTER;
}

void
run_conclude(struct run *r, enum run_state next)
{
	r->next = next;
	if (r->state != RUN_VERDICT)
		run_step(r, RUN_VERDICT);
}

/* Before its first RUN_SCRIPT nothing of the job has run, and what is put back comes to nothing. */
static bool
is_concluding(const struct run *r, enum builder_state state)
{
	bool has_begun = r->before != NULL || (r->state >= RUN_SCRIPT && r->state <= RUN_KEEP);

	return state != BUILDER_AGAIN && (has_begun || r->state == RUN_VERDICT);
}

/* What the engine is making has to be waited for to be removed. */
void
run_abort(struct run *r, enum builder_state state, struct err err)
{
	if (r->state < RUN_HOLD)
		verdict_end(&r->verdict, state, err);
	if (r->state < RUN_UNBOX && is_concluding(r, state))
		run_conclude(r, RUN_UNBOX);
	else if (r->state < RUN_UNBOX && (r->state != RUN_VOLUME || r->op == NULL))
		run_step(r, RUN_UNBOX);
}

bool
run_leaves_work(const struct run *r)
{
	return parts_next(&r->parts, r->part, true) < r->parts.count || job_spec_leaves_files(r->job->spec);
}

/* Its container is there for it. */
static bool
ends_gently(const struct run *r, enum builder_state state)
{
	return r->state == RUN_SCRIPT && !is_over(r) && (r->verdict.segment[0] != '\0' || r->left != NULL) &&
	       (state == BUILDER_CANCELLED || state == BUILDER_TIMED_OUT || r->output.is_cut) && run_leaves_work(r);
}

void
run_fail(struct run *r, enum builder_state state, struct err err)
{
	if (!ends_gently(r, state)) {
		run_abort(r, state, err);
		return;
	}
	verdict_end(&r->verdict, state, err);
	run_conclude(r, RUN_AFTER);
}

/* One that has not been found yet is cancelled when it is, so that what runs always does. */
static void
run_cancel(struct builder_run *run, const char *why)
{
	struct run *r = (struct run *)run;
	struct err err = err_make(ERR_CANCELLED, 0, "%s", why);

	if (r->state == RUN_FIND && !verdict_is_ended(&r->verdict))
		verdict_end(&r->verdict, BUILDER_CANCELLED, err);
	else
		run_fail(r, BUILDER_CANCELLED, err);
}

void
run_end(struct run *run, const char *why)
{
	run_abort(run, BUILDER_CANCELLED, err_make(ERR_CANCELLED, 0, "%s", why));
}

unsigned
run_timeout_s(const struct run *r)
{
	return r->job->spec->timeout_s != 0 ? r->job->spec->timeout_s : DEFAULT_TIMEOUT_S;
}

struct err
run_late_error(const struct run *r)
{
	return err_make(ERR_TIMEOUT, 0, "took longer than %u s%s%s", run_timeout_s(r),
	    r->verdict.segment[0] != '\0' ? ", in " : "", r->verdict.segment);
}

/* What runs always has had its time, which changes no result; so has who takes files, or looked at a held job. */
static void
on_deadline(void *arg)
{
	struct run *r = arg;

	CRASH_POINT(timeout_passed);
	if (r->state == RUN_FIND) {
		adoption_expire(r);
		return;
	}
	if (is_over(r)) {
		if (r->state == RUN_AFTER)
			r->events->notice(r->arg, "what runs always took too long and is ended");
		else if (r->state == RUN_COLLECT)
			r->events->notice(r->arg, "its files took too long to take, the rest is left out");
		if (r->state == RUN_HOLD)
			run_step(r, RUN_UNBOX);
		else
			run_conclude(r, RUN_UNBOX);
		return;
	}
	run_fail(r, BUILDER_TIMED_OUT, run_late_error(r));
}

void
run_notice(void *arg, const char *text)
{
	struct run *r = arg;

	r->events->notice(r->arg, text);
}

/* --- box --- */

static void
on_box_ready(void *arg)
{
	struct run *r = arg;

	if (r->state == RUN_VERDICT) /* its end was asked for */
		return;
	box_limit(r->box, &r->limits);
	run_pass(r);
}

static void on_box_output(void *arg, enum builder_stream stream, struct str bytes, uint64_t raw);
static void on_box_exit(void *arg, const struct box_result *result);
static void on_box_end(void *arg, struct sandbox *sandbox, const struct box_result *result, const struct err *err);

const struct box_handler run_box_handler = {
	.on_ready = on_box_ready, .on_output = on_box_output, .on_exit = on_box_exit, .on_end = on_box_end
};

/* --- services --- */

static void
on_services_ready(void *arg)
{
	struct run *r = arg;

	CRASH_POINT(services_ready);
	if (r->state == RUN_SERVICES)
		run_pass(r);
}

static void
on_services_end(void *arg, const struct err *err)
{
	struct run *r = arg;

	r->services = NULL;
	if (r->state == RUN_UNSERVE)
		run_pass(r);
	else if (err != NULL)
		run_fail(r, verdict_blame(err), *err);
}

const struct service_handler run_services_handler = {
	.on_notice = run_notice, .on_ready = on_services_ready, .on_end = on_services_end
};

/* --- the script --- */

/* Only the last part that runs is held: its workspace is that of all, and what runs always comes before. */
static unsigned
hold_s(const struct run *r)
{
	if (verdict_is_ended(&r->verdict) || parts_next(&r->parts, r->part + 1, true) < r->parts.count)
		return 0;
	return r->job->spec->hold_s;
}

/* False: the run has failed. */
static bool
feed(struct run *r)
{
	const struct part *part = &r->parts.list[r->part];
	const struct feed_part what = { .job = r->job,
		.first = part->first,
		.count = part->count,
		.is_first = r->part == 0,
		.status = verdict_word(&r->verdict),
		.hold_s = hold_s(r),
		.services = r->services,
		.for_podman = docker_is_podman(r->place.host->docker),
		.mirror_address = box_mirror_address(r->box),
		.wiring = box_has_mirror(r->box) && !r->job->spec->no_mirror ? r->place.host->conf->wiring : NULL };
	struct buf head;
	struct err err;

	if (!feed_open(&r->feed, &what, &err)) {
		run_fail(r, BUILDER_ERROR, err);
		return false;
	}
	if (!feed_head(&what, &head, &err)) {
		run_fail(r, verdict_blame(&err), err);
		return false;
	}
	CRASH_POINT(job_feeding);
	box_feed(r->box, buf_str(&head), r->feed.pieces, r->feed.count);
	CRASH_POINT(job_fed);
	explicit_bzero(head.data, head.len);
	buf_fini(&head);
	return true;
}

/* The box unpacks what it is fed while the owner writes down that it has one. */
static void
enter_started(struct run *r)
{
	struct progress progress = { .part = (unsigned)r->part,
		.out = r->output.before[BUILDER_STDOUT],
		.err = r->output.before[BUILDER_STDERR],
		.exit_code = r->verdict.exit_code,
		.oom = r->verdict.result.oom,
		.segment_exit = r->verdict.segment_exit };

	memcpy(progress.segment, r->verdict.segment, sizeof(progress.segment));
	if (feed(r))
		r->events->started(r->arg, box_container(r->box), r->place.engine, &progress);
}

static void
run_go(struct builder_run *run)
{
	struct run *r = (struct run *)run;

	if (r->state == RUN_STARTED) {
		drop_before(r);
		run_pass(r);
	} else if (r->state == RUN_VERDICT) {
		go_on(r);
	}
}

static void part_ended(struct run *r, const struct box_result *result);

/* What the box came to while its owner wrote. */
static bool
take_early(struct run *r)
{
	struct box_result early = r->early;

	if (!r->has_ended_early)
		return false;
	r->has_ended_early = false;
	part_ended(r, &early);
	return true;
}

/* What could not be unpacked has ended by now. */
static void
enter_script(struct run *r)
{
	if (r->left != NULL) {
		adoption_go_on(r);
		return;
	}
	if (take_early(r))
		return;
	box_go(r->box);
	box_name(r->box, r->job);
	if (is_over(r) || r->parts.list[r->part].first >= script_after(r->job->spec))
		run_step(r, RUN_AFTER);
}

/* A job that ended by itself has what is left of its time, too. */
static void
enter_after(struct run *r)
{
	int64_t left = !verdict_is_ended(&r->verdict) ? r->deadline_ms - loop_wall_ms() : 0;

	if (!verdict_is_ended(&r->verdict) && r->verdict.exit_code < 0)
		r->verdict.exit_code = 0;
	timer_start(r->deadline, left > RUN_AFTER_S * 1000 ? left : RUN_AFTER_S * 1000);
}

/* --- output --- */

static void
on_text(void *arg, enum builder_stream stream, struct str text, uint64_t raw)
{
	struct run *r = arg;

	r->events->output(r->arg, stream, text, raw);
}

static void
on_own_marker(struct run *r, const struct marker_event *event)
{
	if (r->state == RUN_SCRIPT && strcmp(event->name, MARKER_JOB) == 0) {
		CRASH_POINT(script_ended);
		r->verdict.exit_code = (int)event->exit_code;
		run_step(r, RUN_AFTER);
	} else if (r->state == RUN_AFTER && r->verdict.exit_code > 0 && strcmp(event->name, MARKER_HOLD) == 0) {
		run_step(r, RUN_KEEP);
	}
}

static void
on_marker(void *arg, const struct marker_event *event)
{
	struct run *r = arg;
	int exit_code = event->kind == MARKER_END ? (int)event->exit_code : -1;

	if (event->name[0] == '.') {
		on_own_marker(r, event);
		return;
	}
	if (r->state == RUN_SCRIPT)
		verdict_segment(&r->verdict, event->name, exit_code);
	r->events->segment(r->arg, event->name, exit_code);
}

/* What only costs the engine's time waits for the script's first words: the next warm container. */
static void
on_first_output(struct run *r)
{
	if (r->input == BOX_STDIN && r->volume == NULL && r->left == NULL)
		pool_note(r->place.pool, r->parts.list[0].id, r->parts.list[0].image);
}

/* A job may write for ever: what is over the budget is neither stored nor waited for. */
static void
on_full(void *arg)
{
	struct run *r = arg;
	unsigned long long limit = r->output.max;

	r->verdict.result.truncated = true;
	if (is_over(r)) /* which changes no result */
		run_conclude(r, RUN_UNBOX);
	else
		run_fail(r, BUILDER_FAILED, err_make(ERR_LIMIT, 0, "wrote more than %llu bytes of output", limit));
}

static void
on_box_output(void *arg, enum builder_stream stream, struct str bytes, uint64_t raw)
{
	struct run *r = arg;

	if (r->output.is_open && r->output.total == 0)
		on_first_output(r);
	output_take(&r->output, stream, bytes, raw);
}

/* --- results --- */

/* The workspace is unpacked in the first part's image. */
static void
judge(struct run *r)
{
	verdict_judge(&r->verdict, r->parts.list[0].image, r->limits.memory);
}

/* In RUN_BOX the image may turn out to have no tar: then it is done in another way, in the same sandbox's place. */
static bool
retry_without_tar(struct run *r, struct sandbox **sandbox, const struct box_result *result)
{
	if (r->state != RUN_BOX || !result->no_tar || r->input == BOX_ARCHIVE || r->job->has_secrets)
		return false;
	if (r->part == 0)
		sandbox_put(sandbox, result->is_removed);
	r->sandbox = *sandbox;
	r->input = BOX_ARCHIVE;
	preparation_make_box(r);
	return true;
}

/* By the signal with which an engine that is stopped ends its containers. */
static bool
is_terminated(const struct run *r, const struct box_result *result)
{
	const struct verdict *v = &r->verdict;

	return !verdict_is_ended(v) && v->exit_code < 0 && !v->result.oom && v->segment[0] != '\0' &&
	       v->segment_exit < 0 && result->exit_code == 128 + SIGTERM;
}

/* The box of a part has ended, by itself or because all that was left to do is elsewhere. */
static void
next_part(struct run *r)
{
	r->part = parts_next(&r->parts, r->part + 1, is_over(r));
	r->input = BOX_STDIN;
	adoption_end(r);
	if (r->part == r->parts.count)
		run_conclude(r, RUN_UNBOX);
	else
		run_step(r, r->parts.list[r->part].id[0] != '\0' ? RUN_BOX : RUN_PULL);
}

/* Whether nothing of the job's containers is left. */
static bool
is_unboxed(const struct run *r)
{
	return r->box == NULL && LIST_EMPTY(&r->past);
}

static void
on_past_end(void *arg, struct sandbox *sandbox, const struct box_result *result, const struct err *err)
{
	struct run_past *past = arg;
	struct run *r = past->run;

	assert(sandbox == NULL);
	(void)err;
	LIST_REMOVE(past, link);
	free(past);
	r->is_clean = r->is_clean && result->is_removed;
	if (r->state == RUN_UNBOX && is_unboxed(r))
		run_pass(r);
}

/* Nobody needs it any more. */
static void
drop_before(struct run *r)
{
	static const struct box_handler handler = { .on_end = on_past_end };
	struct run_past *past;

	if (r->before == NULL)
		return;
	past = xcalloc(1, sizeof(*past));
	*past = (struct run_past){ .run = r, .box = r->before };
	LIST_INSERT_HEAD(&r->past, past, link);
	r->before = NULL;
	box_set_handler(past->box, &handler, past);
	box_let_go(past->box);
}

/* Its box stays until the next part's is on record: whoever takes the job up in between finds out from it how the part
 * ended. */
static void
pass_on(struct run *r)
{
	drop_before(r); /* one that runs again */
	r->before = r->box;
	r->box = NULL;
	r->sandbox = box_leave_sandbox(r->before);
	next_part(r);
}

void
run_repeat_part(struct run *r)
{
	r->part--;
	pass_on(r);
}

/* The script of a part has ended by itself. The box of the last one stays for the owner's files. */
static void
part_ended(struct run *r, const struct box_result *result)
{
	bool is_last = r->part + 1 == r->parts.count;

	if (adoption_has_failed(r, result))
		return;
	if (is_terminated(r, result)) {
		run_abort(r, BUILDER_ERROR,
		    err_make(ERR_UNAVAILABLE, 0, "its container was ended from outside, in %s: was the engine stopped?",
			r->verdict.segment));
		return;
	}
	if (r->verdict.exit_code < 0 && !verdict_is_ended(&r->verdict) && (result->exit_code > 0 || is_last))
		r->verdict.exit_code = result->exit_code;
	if (parts_next(&r->parts, r->part + 1, is_over(r)) < r->parts.count)
		pass_on(r);
	else if (!verdict_is_ended(&r->verdict) || job_spec_leaves_files(r->job->spec))
		run_pass(r);
	else
		run_step(r, RUN_UNBOX);
}

static void
on_box_exit(void *arg, const struct box_result *result)
{
	struct run *r = arg;

	output_end(&r->output);
	r->verdict.result.oom = r->verdict.result.oom || result->oom;
	r->verdict.result.truncated = r->verdict.result.truncated || result->truncated;
	if (r->state == RUN_STARTED || r->state == RUN_VERDICT) {
		r->early = *result;
		r->has_ended_early = true;
	} else if (states[r->state].is_heard)
		part_ended(r, result);
	else if (r->state == RUN_HOLD)
		run_pass(r);
}

static void
add_hold_words(struct run *r)
{
	time_t until = (time_t)(loop_wall_ms() / 1000 + r->job->spec->hold_s);
	struct builder_result *result = &r->verdict.result;
	size_t len = strlen(result->reason);
	struct tm tm;

	gmtime_r(&until, &tm);
	strftime(result->reason + len, sizeof(result->reason) - len, "; held for debugging until %H:%M UTC", &tm);
}

static void
enter_collect(struct run *r)
{
	struct builder_result result;

	timer_stop(r->deadline);
	if (verdict_is_ended(&r->verdict))
		timer_start(r->deadline, RUN_AFTER_S * 1000);
	else
		judge(r);
	if (r->state == RUN_KEEP)
		add_hold_words(r);
	result = verdict_result(&r->verdict);
	if (r->events->ended != NULL)
		r->events->ended(r->arg, &result);
	else
		run_leave(&r->base);
}

static bool
is_collecting(const struct run *r)
{
	return r->state == RUN_COLLECT || r->state == RUN_KEEP;
}

struct collect *
run_collect(struct builder_run *run, const struct strings *patterns, const struct collect_limits *limits,
    const struct collect_handler *handler, void *arg)
{
	struct run *r = (struct run *)run;

	assert(is_collecting(r));
	return collect_start(r->place.host->loop, r->place.host->docker, box_container(r->box), BOX_WORKSPACE, patterns,
	    limits, handler, arg);
}

void
run_leave(struct builder_run *run)
{
	struct run *r = (struct run *)run;

	if (is_collecting(r))
		run_pass(r);
}

static void
on_box_end(void *arg, struct sandbox *sandbox, const struct box_result *result, const struct err *err)
{
	struct run *r = arg;

	r->box = NULL;
	if (retry_without_tar(r, &sandbox, result))
		return;
	r->sandbox = sandbox;
	r->is_clean = r->is_clean && result->is_removed;
	output_end(&r->output);
	if (r->state == RUN_UNBOX) {
		if (is_unboxed(r))
			run_pass(r);
		return;
	}
	if (r->state == RUN_VERDICT) { /* which changes it no more */
		r->next = RUN_UNBOX;
		return;
	}
	r->verdict.result.truncated = r->verdict.result.truncated || result->truncated;
	if (err != NULL && !is_over(r) && result->no_tar && r->job->has_secrets)
		run_fail(r, BUILDER_FAILED,
		    err_make(
			err->code, 0, "%s: without it the job's secrets would come to the engine's disk", err->text));
	else if (err != NULL && !is_over(r))
		run_fail(r, verdict_blame(err), *err);
	else if (states[r->state].is_heard)
		next_part(r);
	else
		run_step(r, RUN_UNBOX);
}

/* --- without its owner --- */

static void
ignore_notice(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

static void
ignore_done(void *arg, const struct builder_result *result)
{
	(void)arg;
	(void)result;
}

static const struct builder_events nobody = { .notice = ignore_notice, .done = ignore_done };

bool
run_forget(struct builder_run *run)
{
	struct run *r = (struct run *)run;

	if (!is_collecting(r) && r->state != RUN_VERDICT)
		return false;
	r->events = &nobody;
	run_pass(r);
	return true;
}

static void
on_tell(void *arg)
{
	struct run *r = arg;
	const struct builder_events *events = r->events;

	r->tell = NULL;
	r->events = &nobody;
	events->done(r->arg, &r->verdict.result);
}

/* From now on the run is the builder's: its owner has the result, and everything that was lent goes with it. */
static void
enter_hold(struct run *r)
{
	CRASH_POINT(job_held);
	timer_start(r->deadline, (int64_t)r->job->spec->hold_s * 1000);
	if (r->events != &nobody)
		r->tell = deferred_call(r->place.host->loop, on_tell, r);
}

bool
run_is_forgotten(const struct run *run)
{
	return run->events == &nobody;
}

bool
run_is_held(const struct run *run)
{
	return run->state == RUN_HOLD && run_is_forgotten(run);
}

/* --- the end --- */

static void
on_tell_verdict(void *arg)
{
	struct run *r = arg;
	struct builder_result result = verdict_result(&r->verdict);

	r->tell = NULL;
	if (r->events->verdict != NULL)
		r->events->verdict(r->arg, &result);
	else
		go_on(r);
}

/* Later, since it is often the owner who asks for the end. Its answer is bounded by its own deadline. */
static void
enter_verdict(struct run *r)
{
	timer_stop(r->deadline);
	if (!verdict_is_ended(&r->verdict) && r->verdict.exit_code >= 0)
		judge(r);
	r->tell = deferred_call(r->place.host->loop, on_tell_verdict, r);
}

/* Files are taken out of a container that the script ended by itself; one that has nothing of that ends at once. */
static void
stop_script(struct run *r)
{
	if (r->has_ended)
		return;
	if (r->parts.list[r->part].has_always || job_spec_leaves_files(r->job->spec))
		box_stop_script(r->box, verdict_word(&r->verdict));
	else
		box_end(r->box);
}

/* The verdict is written down. */
static void
go_on(struct run *r)
{
	if (r->next != RUN_AFTER) {
		run_step(r, r->next);
		return;
	}
	run_step(r, RUN_AFTER);
	if (!take_early(r))
		stop_script(r);
}

static void
enter_unbox(struct run *r)
{
	timer_stop(r->deadline);
	if (!verdict_is_ended(&r->verdict) && r->verdict.exit_code >= 0)
		judge(r);
	drop_before(r);
	if (r->box != NULL)
		box_end(r->box);
	if (is_unboxed(r))
		run_pass(r);
}

static void
enter_unserve(struct run *r)
{
	if (r->services != NULL)
		services_end(r->services);
	else
		run_pass(r);
}

static void
on_unvolume(void *arg, const union docker_result *result, const struct err *err)
{
	struct run *r = arg;

	(void)result;
	r->op = NULL;
	if (err != NULL)
		log_warn("job %s: %s; the sweep will remove it", r->job->id, err->text);
	CRASH_POINT(volume_removed);
	host_disown(r->place.host, &r->volume);
	run_pass(r);
}

static void
enter_unvolume(struct run *r)
{
	if (r->volume != NULL)
		r->op = docker_volume_remove(r->place.host->docker, r->volume, on_unvolume, r);
	else
		run_pass(r);
}

static void
drop_kept(struct run *r)
{
	free((char *)r->kept.id);
	free((char *)r->kept.nonce);
	job_spec_fini(&r->kept_spec);
}

void
run_free(struct run *r)
{
	run_ended_fn *ended = r->ended;
	void *ended_arg = r->ended_arg;

	LIST_REMOVE(r, link);
	deferred_cancel(&r->tell);
	timer_free(&r->deadline);
	output_fini(&r->output);
	feed_fini(&r->feed);
	parts_fini(&r->parts);
	drop_kept(r);
	free(r->left);
	free(r);
	ended(ended_arg);
}

static void
on_finish(void *arg)
{
	struct run *r = arg;
	const struct builder_events *events = r->events;
	struct builder_result result = verdict_result(&r->verdict);
	void *events_arg = r->arg;

	run_free(r);
	events->done(events_arg, &result);
}

/* Later, since a job may be cancelled before there is anything to wait for. */
static void
enter_done(struct run *r)
{
	assert(is_unboxed(r) && r->before == NULL && r->services == NULL && r->pull == NULL && r->op == NULL);
	sandbox_put(&r->sandbox, r->is_clean);
	deferred_call(r->place.host->loop, on_finish, r);
}

/* --- for the owner --- */

static void
keep_job(struct run *r)
{
	char *json = job_spec_to_json(r->job->spec);
	bool good = job_spec_from_json(str_of(json), &r->kept_spec, NULL);

	assert(good);
	free(json);
	r->kept = *r->job;
	r->kept.id = xstrdup(r->job->id);
	r->kept.nonce = xstrdup(r->job->nonce);
	r->kept.spec = &r->kept_spec;
	r->job = &r->kept;
}

const char *
run_job(const struct run *run)
{
	return run->job->id;
}

const char *
run_container(const struct run *run)
{
	bool is_there = run->box != NULL && run->state >= RUN_SCRIPT && run->state < RUN_UNBOX;

	return is_there ? box_container(run->box) : NULL;
}

struct run *
run_next(const struct run *run)
{
	return LIST_NEXT(run, link);
}

static void
end(struct builder_run *run, enum builder_state state, const char *why)
{
	run_abort((struct run *)run, state, err_make(ERR_CANCELLED, 0, "%s", why));
}

struct run *
run_new(const struct run_place *place, const struct builder_job *job, const struct builder_events *events, void *arg,
    run_ended_fn *ended, void *ended_arg)
{
	static const struct run_kind kind = { run_go, run_cancel, end, adoption_detach };
	static const struct output_handler output_handler = {
		.on_text = on_text, .on_marker = on_marker, .on_full = on_full
	};
	struct run *r = xcalloc(1, sizeof(*r));

	*r = (struct run){ .base = { &kind },
		.place = *place,
		.job = job,
		.events = events,
		.arg = arg,
		.ended = ended,
		.ended_arg = ended_arg,
		.is_clean = true };
	LIST_INIT(&r->past);
	verdict_init(&r->verdict);
	keep_job(r);
	LIST_INSERT_HEAD(place->runs, r, link);
	parts_init(&r->parts, r->job->spec);
	feed_init(&r->feed);
	r->deadline = timer_new(place->host->loop, on_deadline, r);
	output_init(&r->output, place->host->limits.log_bytes, &output_handler, r);
	return r;
}

struct builder_run *
run_start(const struct run_place *place, const struct builder_job *job, const struct builder_events *events, void *arg,
    run_ended_fn *ended, void *ended_arg)
{
	struct run *r = run_new(place, job, events, arg, ended, ended_arg);

	run_step(r, RUN_IMAGE);
	return &r->base;
}
