/* Members that the engine's containers and a swarm's services have in common, of an application's service. */
#ifndef DAVIT_PROTO_DOCKER_PARTS_H
#define DAVIT_PROTO_DOCKER_PARTS_H

#include "proto/application.h"
#include "proto/docker_spec.h"

struct json_writer;

/* Nothing when the list is empty. */
void docker_write_list(struct json_writer *w, const char *key, const struct strings *list);
/* Nothing when it is NULL. */
void docker_write_text(struct json_writer *w, const char *key, const char *text);
/* Nanoseconds; nothing for 0. */
void docker_write_seconds(struct json_writer *w, const char *key, unsigned seconds);
/* Env, Labels, Healthcheck. */
void docker_write_env(struct json_writer *w, const struct env *env);
void docker_write_labels(struct json_writer *w, const struct docker_application_spec *spec);
void docker_write_health(struct json_writer *w, const struct application_service *service);
/* An item of Mounts: a volume of that prefix, NAME:/path or NAME:/path:ro. */
void docker_write_mount(struct json_writer *w, const char *prefix, const char *volume);

#endif
