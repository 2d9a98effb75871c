/* The list of an image's platforms: what the jobs of the platforms have pushed is looked up at the registry, and when
 * all of it is there the list goes out under each of the image's names. Nothing is built, and no container is made. */
#ifndef DAVIT_BUILDER_INDEX_RUN_H
#define DAVIT_BUILDER_INDEX_RUN_H

#include "server/builder/run.h"

/* As run_start; spec->build->platforms is not empty. It has no ended, and no files to collect. */
struct builder_run *index_run_start(const struct run_place *place, const struct builder_job *job,
    const struct builder_events *events, void *arg, run_ended_fn *ended, void *ended_arg);

#endif
