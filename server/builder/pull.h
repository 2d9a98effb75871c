/* Gets an image onto the engine: its id, after a pull if it is not there. Runs that want the same image share one pull,
 * and what the engine said of an image holds until it tells that images changed: asking costs a millisecond of each
 * start. */
#ifndef DAVIT_BUILDER_PULL_H
#define DAVIT_BUILDER_PULL_H

#include "proto/docker_reply.h"
#include "proto/err.h"
#include "server/builder/host.h"

struct pull;
struct pulls;

struct pulls *pulls_new(struct host *host);
/* All of them must have ended or been cancelled. */
void pulls_free(struct pulls **pulls);

/* What is known of images is known no more: one of them changed, or nobody would tell. */
void pulls_forget(struct pulls *pulls);

/* err: "image x:y not found: pull access denied ...". on_notice comes before, if it is
 * pulled ("pulling image x:y"), or another one than was asked for ("image x:y (instead of z:y)"). */
typedef void pull_fn(void *arg, const struct docker_image *image, const struct err *err);
typedef void pull_notice_fn(void *arg, const char *text);
/* image: as users write it, aliases not yet resolved. always: the registry is asked even if the image is there. */
struct pull *pull_start(
    struct pulls *pulls, const char *image, bool always, pull_notice_fn *on_notice, pull_fn *fn, void *arg);
/* Others who wait for the same image go on. Accepts NULL inside. */
void pull_cancel(struct pull **pull);

#endif
