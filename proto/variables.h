/* The variables that a job finds beside its own: DAVIT_*, and the CI_*, GIT_*, BUILD_* names that tools of other
 * systems look for. Of other systems' marks (GITLAB_CI, JENKINS_URL, TRAVIS) none is set: a tool that sees one talks to
 * that system. A name whose value the change does not have is not set. doc/variables.md has the table. */
#ifndef DAVIT_PROTO_VARIABLES_H
#define DAVIT_PROTO_VARIABLES_H

#include <stddef.h>
#include <stdint.h>

#include "proto/built_image.h"
#include "proto/plan.h"

/* What is known of a job's build. Nothing is owned; NULL, "" and 0 are what it does not have. */
struct variables {
	const char *server; /* URL of davitd */
	int64_t build;
	const char *job; /* "17.2" */
	int64_t attempt;
	const char *job_name;
	const char *workspace; /* absolute path */
	const char *event;     /* push, tag, pull_request ... */
	const char *repo;      /* OWNER/NAME */
	const char *url;       /* that git fetches from */
	const char *ref;       /* refs/heads/main */
	const char *branch;    /* short name of the branch or tag; of a pull request the target */
	const char *commit;
	const char *merge;  /* that is checked out, where a pull request is built merged */
	const char *before; /* what ref pointed at before */
	const char *message;
	const char *title;
	const char *author_name;
	const char *author_email;
	const char *sender;
	const char *environment;
	const char *deploy_image; /* that is brought there */
	struct built_image built; /* that a job before it has built */
	int64_t pull_number;
};

void variables_add(const struct variables *v, struct env *env);
/* The folder below the workspace in which $TEST_RESULT and $TEST_COVERAGE lie, of a job that names one of them or
 * $TEST_DIR; NULL: it does not, and is to have neither. */
const char *variables_reports(const struct job_spec *job);
/* They, of such a job. */
void variables_add_reports(const struct job_spec *job, const char *workspace, struct env *env);
/* The names that there are; NULL behind the last one. */
const char *variables_name(size_t i);

#endif
