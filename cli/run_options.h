/* What `davit run` was asked for. */
#ifndef DAVIT_CLI_RUN_OPTIONS_H
#define DAVIT_CLI_RUN_OPTIONS_H

#include "proto/plan.h"

enum { RUN_JOBS_DEFAULT = 2, RUN_JOBS_MAX = 64 };

struct run_options {
	const char *engine; /* URL */
	const char *job;    /* this one alone; NULL: all */
	unsigned jobs;      /* side by side, at most */
	const char *event, *branch, *tag;
	struct strings deploy; /* environments that jobs may deploy to */
	struct env variables;  /* of those jobs, as the server has an environment's */
	struct env aliases;    /* images to take in the place of others, before those of proto/image_aliases.h */
	char **plan;           /* the other arguments, for plan_options.h */
	int plan_count;
};

/* argv[0] is the command's name; all are lent. False: they are no options. */
bool run_options_parse(int argc, char **argv, struct run_options *ret);
void run_options_fini(struct run_options *options);
/* Without a word about the change it is a push to that branch; NULL: none is known. Lent. */
void run_options_assume(struct run_options *options, char *branch);
/* Makes the plan what can be run here: jobs that deploy where the options allow it run their command, and no container
 * is held. False after saying why that cannot be. */
bool run_options_settle(const struct run_options *options, struct plan *plan);

#endif
