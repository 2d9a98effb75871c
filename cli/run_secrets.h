/* The secrets of a local run's job: out of the environment of who runs it, under the secret's name, and hidden in what
 * the job prints, as on the server. */
#ifndef DAVIT_CLI_RUN_SECRETS_H
#define DAVIT_CLI_RUN_SECRETS_H

#include "proto/plan.h"
#include "proto/str.h"

struct run_secrets;

/* Adds the job's secrets to its environment; one that is not there is told on stderr, and the job runs without it. */
struct run_secrets *run_secrets_new(const struct job_spec *job, struct env *env);
/* Accepts NULL inside. */
void run_secrets_free(struct run_secrets **secrets);
/* Prints what a job has written on that stream (0, 1), without them. */
void run_secrets_print(struct run_secrets *secrets, unsigned stream, struct str text);
/* And what was held back, since it might have become one. */
void run_secrets_flush(struct run_secrets *secrets);

#endif
