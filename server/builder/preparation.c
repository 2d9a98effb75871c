/* The states of a run up to its script: images, workspace, box, services. See run_private.h. */
#include <stdio.h>
#include <string.h>

#include "server/builder/container.h"
#include "server/builder/run_private.h"
#include "server/core/crash.h"
#include "server/core/loop.h"

/* --- image --- */

static void
on_image(void *arg, const struct docker_image *image, const struct err *err)
{
	struct run *r = arg;
	struct part *part = &r->parts.list[r->part];

	r->pull = NULL;
	if (err != NULL) {
		run_fail(r, verdict_blame(err), *err);
		return;
	}
	memcpy(part->id, image->id, sizeof(part->id));
	if (r->part == 0)
		snprintf(r->verdict.result.image_digest, sizeof(r->verdict.result.image_digest), "%s",
		    image->digest[0] != '\0' ? image->digest : image->id);
	r->part++;
	if (r->part < r->parts.count) {
		preparation_image(r);
		return;
	}
	r->part = 0;
	run_pass(r);
}

void
preparation_image(struct run *r)
{
	struct err err;

	if (!container_limits(&r->job->spec->resources, &r->place.host->limits, &r->limits, &err))
		run_fail(r, verdict_blame(&err), err);
	else
		r->pull = pull_start(
		    r->place.pulls, r->parts.list[r->part].image, r->job->pull_always, run_notice, on_image, r);
}

static void
on_pulled(void *arg, const struct docker_image *image, const struct err *err)
{
	struct run *r = arg;

	r->pull = NULL;
	if (err != NULL) {
		run_fail(r, verdict_blame(err), *err);
		return;
	}
	memcpy(r->parts.list[r->part].id, image->id, sizeof(image->id));
	run_pass(r);
}

void
preparation_pull(struct run *r)
{
	r->pull =
	    pull_start(r->place.pulls, r->parts.list[r->part].image, r->job->pull_always, run_notice, on_pulled, r);
}

/* --- the workspace of several parts --- */

static void
on_volume(void *arg, const union docker_result *result, const struct err *err)
{
	struct run *r = arg;

	(void)result;
	r->op = NULL;
	CRASH_POINT(volume_made);
	if (err != NULL)
		run_abort(r, BUILDER_ERROR, *err);
	else if (verdict_is_ended(&r->verdict))
		run_step(r, RUN_UNBOX);
	else
		run_pass(r);
}

void
preparation_own_volume(struct run *r)
{
	r->volume = host_own(r->place.host, "workspace-%s-%u", r->job->id, r->job->attempt);
}

void
preparation_volume(struct run *r)
{
	struct host_labels labels;

	r->deadline_ms = loop_wall_ms() + (int64_t)run_timeout_s(r) * 1000;
	timer_start(r->deadline, (int64_t)run_timeout_s(r) * 1000);
	if (r->parts.count == 1) {
		run_pass(r);
		return;
	}
	host_labels_init(&labels, r->place.host, "workspace");
	host_labels_job(&labels, r->job, r->deadline_ms);
	preparation_own_volume(r);
	CRASH_POINT(volume_making);
	r->op = docker_volume_create(r->place.host->docker, r->volume, labels.list, labels.count, on_volume, r);
}

/* --- box --- */

/* In the sandbox of the part before it, if there is one. */
void
preparation_make_box(struct run *r)
{
	const struct part *part = &r->parts.list[r->part];
	struct box_spec spec = { .image = part->id,
		.title = part->image,
		.input = r->input,
		.job = r->job,
		.is_further = r->part > 0,
		.deadline_ms = r->deadline_ms,
		.sandbox = r->sandbox,
		.volume = r->volume,
		.limits = &r->limits };

	r->sandbox = NULL;
	r->box = box_start(r->place.host, r->place.sandboxes, &spec, &run_box_handler, r);
}

/* No container that was started in advance has the volume of a job of several parts. */
void
preparation_box(struct run *r)
{
	output_begin(&r->output, r->job->nonce);
	if (r->part == 0) {
		host_labels_init(&r->labels, r->place.host, "service");
		host_labels_job(&r->labels, r->job, r->deadline_ms);
	}
	if (r->volume == NULL)
		r->box = pool_take(r->place.pool, r->parts.list[0].id);
	if (r->box == NULL) {
		preparation_make_box(r);
		return;
	}
	CRASH_POINT(warm_taken);
	box_set_handler(r->box, &run_box_handler, r);
	r->verdict.result.warm = box_is_ready(r->box);
	if (r->verdict.result.warm)
		run_box_handler.on_ready(r);
}

/* --- services --- */

void
preparation_services(struct run *r)
{
	char text[100];

	if (r->job->spec->service_count == 0 || r->part > 0) {
		run_pass(r);
		return;
	}
	CRASH_POINT(services_starting);
	snprintf(text, sizeof(text), "starting %zu service%s", r->job->spec->service_count,
	    r->job->spec->service_count > 1 ? "s" : "");
	r->services = services_start(
	    r->place.host, r->place.pulls, r->job->spec, &r->labels, box_network(r->box), &run_services_handler, r);
	run_notice(r, text);
}
