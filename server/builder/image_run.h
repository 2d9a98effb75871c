/* One job that builds an image, from its context to the removal of all that was made on the way; what stays on the
 * engine is the image under its tags. The steps of the Dockerfile run behind the walls of a job's sandbox and within
 * its limits. A job with a compile (DaoCloud's lite_image) builds that image first, and takes files out of it into the
 * context of the second one. */
#ifndef DAVIT_BUILDER_IMAGE_RUN_H
#define DAVIT_BUILDER_IMAGE_RUN_H

#include "server/builder/run.h"

/* As run_start; spec->kind is JOB_KIND_BUILD. It has no ended, and no files to collect. */
struct builder_run *image_run_start(const struct run_place *place, const struct builder_job *job,
    const struct builder_events *events, void *arg, run_ended_fn *ended, void *ended_arg);

#endif
