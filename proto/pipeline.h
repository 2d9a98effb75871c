/* daocloud.yml -> plan. The form is recognised by the file's structure, never by its version number: one job at the
 * file's top; test: and build:; stages and jobs beside them; jobs below jobs:. doc/pipeline.md has them all.
 *
 * A job that its conditions leave out stays in the plan with job_spec.skipped set, and counts as met for those that
 * need it.
 *
 * Every error and warning begins with "FILE:LINE:COLUMN: " and says what to write instead; an unknown key is an error
 * that names the nearest known one. Pure: equal bytes and an equal context give equal plans.
 *
 * Whoever has a change does three steps: pipeline_includes names the texts that the file includes or whose applications
 * its jobs deploy, the caller reads them into the items, and pipeline_parse makes the plan. When plan.wants_paths is
 * set afterwards, a condition asks for the changed files: the caller finds them out and parses again. */
#ifndef DAVIT_PROTO_PIPELINE_H
#define DAVIT_PROTO_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/err.h"
#include "proto/plan.h"
#include "proto/str.h"
#include "proto/yaml.h"

enum { PIPELINE_INCLUDE_MAX = 16 };

/* A text that the file names below include:, or as a job's application. */
struct pipeline_include {
	char *name;          /* a path below the repository's root, or a template's name */
	bool is_template;    /* of the server's folder, not of the repository */
	bool is_application; /* whose keys are those of a compose file */
	char *text;          /* filled by the caller; NULL: there is none, an error where it is named */
	size_t len;
};

struct pipeline_includes {
	struct pipeline_include *items;
	size_t count;
};

/* What is planned for. Nothing is owned. event NULL: nothing is known but what is set, and conditions on the rest hold.
 * With an event, a branch or tag that is NULL is one that the change does not have, and no pattern fits it. */
struct pipeline_context {
	const char *event; /* push, tag, pull_request, cron, manual, api, deploy */
	const char *repo;
	const char *ref;    /* refs/heads/main */
	const char *branch; /* of a pull request: the target */
	const char *tag;
	const char *commit;
	const char *message;
	const char *author;
	const char *environment; /* of a deploy event */
	int64_t pull_number;     /* 0: none */
	bool fork;
	bool first;                               /* to build an image of the repository; of a branch */
	const struct strings *paths;              /* changed files; NULL: not known, and conditions on them hold */
	const struct env *parameters;             /* of a manual run; NULL: the defaults */
	const struct pipeline_includes *includes; /* with their texts; NULL: none was read */
};

/* The texts that the file includes, in their order, without text; free with pipeline_includes_fini. *ret is filled on
 * success only. */
bool pipeline_includes(struct str text, const char *file, struct pipeline_includes *ret, struct err *err);
void pipeline_includes_fini(struct pipeline_includes *includes);

/* file is the name used in messages; context NULL: nothing is known. Free with plan_free. */
bool pipeline_parse(
    struct str text, const char *file, const struct pipeline_context *context, struct plan **ret, struct err *err);

/* The names of all keys that a file and a job may have, for whoever checks the manual; NULL behind the last one. */
const char *pipeline_key_name(size_t i);

#endif
