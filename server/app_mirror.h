/* The mirror as davit.yml has it: what it may ask, and how engines and jobs come to it. */
#ifndef DAVIT_SERVER_APP_MIRROR_H
#define DAVIT_SERVER_APP_MIRROR_H

#include "server/builder/builder.h"
#include "server/mirror/upstreams.h"

struct conf;
struct conf_engine;

/* mirror.upstreams, with the logins out of their files; its other strings are conf's. NULL and *err when one cannot be
 * read. */
struct upstream_rule *app_mirror_upstreams(const struct conf *conf, struct err *err);
/* Accepts NULL inside. */
void app_mirror_upstreams_free(struct upstream_rule **rules, size_t count);
/* Where an engine finds it, for its pulls and its jobs: one of another machine where it is told to (engines.mirror),
 * one of this machine by itself, to which it shows the token (lent) where jobs may have images by a login.
 * app_mirror_forget frees what was found. */
void app_mirror_find(
    const struct conf *conf, const struct conf_engine *engine, const char *token, struct builder_engine_conf *ret);
void app_mirror_forget(struct builder_engine_conf *engine);
/* What tells a job's tools of it; NULL: nothing. free() it. */
char *app_mirror_wiring(const struct conf *conf);

#endif
