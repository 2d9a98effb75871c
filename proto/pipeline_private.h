/* What the files of the pipeline reader share: pipeline.c (forms, keys, notify), pipeline_env.c, pipeline_service.c. */
#ifndef DAVIT_PROTO_PIPELINE_PRIVATE_H
#define DAVIT_PROTO_PIPELINE_PRIVATE_H

#include "proto/pipeline.h"

struct pipeline {
	const struct yml *doc;
	const struct pipeline_context *context; /* never NULL */
	struct plan *plan;                      /* being made */
	struct err *err;
	size_t bytes; /* of text taken over: aliases let a small file name the same text many times */
};

/* Adds a warning "FILE:LINE:COLUMN: ..." to the plan; from the hundredth on they are dropped. */
void pipeline_warn(struct pipeline *p, const struct yml_node *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Refuses the node: "KEY wants WHAT, not a list". Returns false. */
bool pipeline_wants(struct pipeline *p, const struct yml_node *at, const char *key, const char *what);
/* Counts text against the plan's limit; false when it is passed. */
bool pipeline_count(struct pipeline *p, const struct yml_node *at, size_t len);
/* An image's name, checked; on success *image is owned by the caller and was freed before when it was not NULL. */
bool pipeline_read_image(struct pipeline *p, const struct yml_node *node, const char *key, char **image);

/* Whose variables they are. A job's values keep references ($NAME) alive and write a dollar sign as $$; a service's are
 * taken literally, since no shell reads them. */
enum pipeline_env { PIPELINE_ENV_JOB, PIPELINE_ENV_SERVICE };
bool pipeline_read_env(struct pipeline *p, const struct yml_node *node, enum pipeline_env whose, struct env *env);

/* The items are added to *includes, which the caller ends in any case. */
bool pipeline_read_includes(struct pipeline *p, const struct yml_node *node, struct pipeline_includes *includes);

bool pipeline_read_services(struct pipeline *p, const struct yml_node *node, struct job_spec *job);

#endif
