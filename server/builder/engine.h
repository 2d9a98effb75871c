/* One engine of the builder: up or down and why, its slots, and what is kept on it (pools, networks). It is up when it
 * has answered, what an earlier process left is swept away, and the network holders' image is there. */
#ifndef DAVIT_BUILDER_ENGINE_H
#define DAVIT_BUILDER_ENGINE_H

#include "server/builder/builder.h"
#include "server/builder/run.h"

struct engine;

typedef void engine_fn(void *arg);

/* on_slot: a slot has become free, or the engine has come up. */
struct engine *engine_new(struct loop *loop, const struct builder_conf *conf, const struct builder_engine_conf *own,
    engine_fn *on_slot, void *arg);
/* Nothing is asked of it before. Once only. */
void engine_begin(struct engine *engine);
/* See builder_drain. */
void engine_drain(struct engine *engine);
/* Takes down what is kept on it, held jobs too, within bounded time; then done is called, and the engine is gone. No
 * other run may be alive. */
void engine_end(struct engine **engine, engine_fn *done, void *arg);

const char *engine_name(const struct engine *engine);
/* 0 while it is down. */
unsigned engine_free_slots(const struct engine *engine);
/* The configured ones, and its platform from when it has been up; "": none. */
const char *engine_labels(const struct engine *engine);
/* A slot, which there must be, is somebody's: until it is given back, or the run in it ends. */
void engine_take(struct engine *engine);
void engine_give_back(struct engine *engine);
/* In a slot that was taken; what has become of the engine meanwhile, the run finds out. See builder_start. */
struct builder_run *engine_run(
    struct engine *engine, const struct builder_job *job, const struct builder_events *events, void *arg);
/* Before engine_begin. See builder_adopt. */
struct builder_run *engine_adopt(struct engine *engine, const struct builder_job *job, const struct builder_left *left,
    const struct builder_events *events, void *arg);
/* That of the job's last attempt; NULL: it is not here. */
struct run *engine_find(const struct engine *engine, const char *job);
/* See builder_release. */
bool engine_release(struct engine *engine, const char *id);
/* In that run's container. */
struct terminal *engine_terminal(struct engine *engine, const char *container, const struct terminal_spec *spec,
    const struct terminal_handler *handler, void *arg);
void engine_status(const struct engine *engine, struct builder_engine_status *ret);

#endif
