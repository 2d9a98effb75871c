/* The images that the jobs of a local run have built, for the jobs that need them: as the server's DAVIT_IMAGE. */
#ifndef DAVIT_CLI_RUN_IMAGES_H
#define DAVIT_CLI_RUN_IMAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/built_image.h"
#include "proto/plan.h"

struct run_images;

/* plan is lent. */
struct run_images *run_images_new(const struct plan *plan);
/* Accepts NULL inside. */
void run_images_free(struct run_images **images);
/* Job `index` (from 0) is begun: what an attempt before has built does not count. */
void run_images_begin(struct run_images *images, size_t index);
/* See built_image_add. */
void run_images_add(struct run_images *images, size_t index, const char *name, const char *digest, const char *id);
/* Those of the jobs that this one needs, the nearest first. */
void run_images_needed(const struct run_images *images, size_t index, struct buf *ret);

#endif
