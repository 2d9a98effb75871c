/* The mirror as davit.yml has it: what it may ask, and how engines and jobs come to it. */
#ifndef DAVIT_SERVER_APP_MIRROR_H
#define DAVIT_SERVER_APP_MIRROR_H

#include "server/builder/builder.h"
#include "server/mirror/upstreams.h"

struct conf;
struct conf_engine;

/* mirror.upstreams; free() it, its strings are conf's. */
struct upstream_rule *app_mirror_upstreams(const struct conf *conf);
/* Where an engine finds it, for its pulls and its jobs: one of another machine where it is told to (engines.mirror),
 * one of this machine by itself. app_mirror_forget frees what was found. */
void app_mirror_find(const struct conf *conf, const struct conf_engine *engine, struct builder_engine_conf *ret);
void app_mirror_forget(struct builder_engine_conf *engine);
/* What tells a job's tools of it; NULL: nothing. free() it. */
char *app_mirror_wiring(const struct conf *conf);

#endif
