/* The secrets of a local run's job: out of the environment of who runs it, under the secret's name, and hidden in what
 * the job prints, as on the server. */
#ifndef DAVIT_CLI_RUN_SECRETS_H
#define DAVIT_CLI_RUN_SECRETS_H

#include "proto/plan.h"
#include "proto/str.h"

struct run_pipe;
struct run_secrets;

/* Adds the job's secrets to its environment; one that is not there is told on stderr, and the job runs without it.
 * What the job says goes to pipe, which is lent. */
struct run_secrets *run_secrets_new(const struct job_spec *job, struct env *env, struct run_pipe *pipe);
/* Accepts NULL inside. */
void run_secrets_free(struct run_secrets **secrets);

enum run_stream { RUN_STDOUT, RUN_STDERR, RUN_STREAMS };

/* Prints what the job has written on that stream, without them. */
void run_secrets_print(struct run_secrets *secrets, enum run_stream stream, struct str text);
/* And what was held back, since it might have become one. */
void run_secrets_flush(struct run_secrets *secrets, enum run_stream stream);
/* In place. */
void run_secrets_hide(const struct run_secrets *secrets, char *text);

#endif
