#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/recovery.h"
#include "proto/script.h"
#include "server/builder/container.h"
#include "server/builder/left.h"
#include "server/builder/run_private.h"
#include "server/core/log.h"
#include "server/core/loop.h"

enum { FIND_LEAST_S = 30 }; /* an engine has at least that to tell what is there */

void
adoption_begin(struct run *r)
{
	int64_t left = r->deadline_ms - loop_wall_ms();

	timer_start(r->deadline, left > FIND_LEAST_S * 1000 ? left : FIND_LEAST_S * 1000);
}

bool
run_is_left(const struct run *run)
{
	return run->state == RUN_FIND && run->box == NULL;
}

/* What was to be adopted cannot be; one that is to be cancelled, or whose verdict is on record, ends so. */
static void
again(struct run *r, unsigned facts)
{
	if (verdict_is_ended(&r->verdict))
		r->events->notice(r->arg, recovery_find(facts)->reason);
	run_abort(r, BUILDER_AGAIN, err_make(ERR_UNAVAILABLE, 0, "%s", recovery_find(facts)->reason));
}

/* False: one is gone. */
static bool
adopt_services(struct run *r, const struct docker_list *containers, const struct left *left)
{
	size_t count = r->job->spec->service_count;
	struct left_service *services = xcalloc(count + 1, sizeof(*services));

	if (count > 0 && left_services(containers, left, services, count + 1) == count)
		r->services = services_adopt(r->place.host, r->job->spec, services, &run_services_handler, r);
	free(services);
	return (r->services != NULL) == (count > 0);
}

void
run_found(struct run *run, const struct docker_list *containers)
{
	struct left left;
	unsigned facts;

	left_find(containers, run->left, &left);
	facts = left.fact;
	if (recovery_find(facts)->action == RECOVERY_ADOPT) {
		run->box = box_adopt(run->place.host, run->place.sandboxes, &left, &run_box_handler, run);
		facts |= run->box == NULL ? RECOVERY_GONE : 0;
	}
	if (run->box != NULL && !adopt_services(run, containers, &left))
		facts |= RECOVERY_SERVICE_GONE;
	if (recovery_find(facts)->action == RECOVERY_AGAIN) {
		again(run, facts);
		return;
	}
	log_info("job %s: taken up in container %s", run->job->id, left.name);
	timer_stop(run->deadline);
	run->has_ended = left.fact == RECOVERY_ENDED;
	run->is_clean = false;
	if (run->parts.count > 1)
		preparation_own_volume(run);
	output_begin(&run->output, run->job->nonce);
}

/* What has ended by itself was in time. */
void
adoption_go_on(struct run *r)
{
	int64_t left = r->deadline_ms - loop_wall_ms();

	if (left <= 0 && !r->has_ended)
		verdict_end(&r->verdict, BUILDER_TIMED_OUT, run_late_error(r));
	if (!verdict_is_ended(&r->verdict))
		timer_start(r->deadline, left > RUN_AFTER_S * 1000 ? left : RUN_AFTER_S * 1000);
	else
		run_conclude(r, run_leaves_work(r) ? RUN_AFTER : RUN_UNBOX);
}

void
adoption_expire(struct run *r)
{
	again(r, RECOVERY_NO_ENGINE);
}

/* Its script has a word for each segment's end, and its exit code is that of the segment: what ended without was ended
 * from outside, with an engine that was killed as well, which then tells any exit code. */
static bool
is_cut_off(const struct run *r, const struct box_result *result)
{
	const struct verdict *v = &r->verdict;

	return r->left != NULL && !verdict_is_ended(v) && v->exit_code < 0 && !v->result.oom &&
	       (v->segment[0] == '\0' || v->segment_exit != result->exit_code);
}

/* What was cut off as it read its input. */
static bool
is_not_whole(const struct run *r, const struct box_result *result)
{
	return r->left != NULL && result->exit_code == SCRIPT_NO_WORKSPACE && r->output.marker_bytes == 0;
}

bool
adoption_has_failed(struct run *r, const struct box_result *result)
{
	if (is_not_whole(r, result) && r->part > 0)
		run_repeat_part(r);
	else if (is_not_whole(r, result))
		again(r, RECOVERY_NOT_WHOLE);
	else if (is_cut_off(r, result))
		again(r, RECOVERY_CUT_OFF);
	else
		return false;
	return true;
}

/* Its time goes on, also that of a container whose end was told late. */
void
adoption_end(struct run *r)
{
	int64_t left = r->deadline_ms - loop_wall_ms();

	if (r->left == NULL)
		return;
	free(r->left);
	r->left = NULL;
	r->has_ended = false;
	if (!verdict_is_bad(&r->verdict))
		timer_start(r->deadline, left > 0 ? left : 0);
}

static void
recall_progress(struct run *r, const struct progress *progress)
{
	struct verdict *v = &r->verdict;

	r->part = progress->part < r->parts.count ? progress->part : 0;
	output_resume(&r->output, progress->out, progress->err);
	if (r->part == 0)
		return;
	v->exit_code = progress->exit_code;
	v->result.oom = progress->oom;
	memcpy(v->segment, progress->segment, sizeof(v->segment));
	v->segment_exit = progress->segment_exit;
}

struct builder_run *
run_adopt(const struct run_place *place, const struct builder_job *job, const struct builder_left *left,
    const struct builder_events *events, void *arg, run_ended_fn *ended, void *ended_arg)
{
	struct run *r = run_new(place, job, events, arg, ended, ended_arg);
	struct err err;

	container_limits(&job->spec->resources, &place->host->limits, &r->limits, &err);
	r->left = xstrdup(left->container);
	r->deadline_ms = left->deadline_ms;
	recall_progress(r, &left->progress);
	if (left->verdict != NULL)
		verdict_recall(&r->verdict, left->verdict);
	r->state = RUN_FIND;
	adoption_begin(r);
	return &r->base;
}

/* --- left to a later process --- */

/* Its container is on record: that of the part, or until then that of the one before it. */
static bool
may_be_left(const struct run *r)
{
	const struct box *box = r->before != NULL ? r->before : r->box;

	if (r->state == RUN_FIND) /* one that has not been found stays where it is, too */
		return true;
	return (r->before != NULL || r->state >= RUN_SCRIPT) && r->state <= RUN_KEEP && box != NULL &&
	       box_may_be_left(box);
}

/* A part's box that is not on record is left to the sweep. */
bool
adoption_detach(struct builder_run *run)
{
	struct run *r = (struct run *)run;
	struct run_past *past;

	if (!may_be_left(r))
		return false;
	pull_cancel(&r->pull);
	if (r->before != NULL)
		box_detach(&r->before);
	while ((past = LIST_FIRST(&r->past)) != NULL) {
		LIST_REMOVE(past, link);
		box_detach(&past->box);
		free(past);
	}
	if (r->box != NULL)
		box_detach(&r->box);
	sandbox_detach(&r->sandbox);
	services_detach(&r->services);
	host_disown(r->place.host, &r->volume);
	run_free(r);
	return true;
}
