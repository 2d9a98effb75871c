/* The secrets of one job: looked up before its run, given to it as variables, and hidden in all that it says. Hidden
 * are also what its repository has of its own (token, webhook secret), should it ever get there.
 *
 * Who may have a secret is decided here and in proto/secret.h: never code from outside the repository, and else by the
 * secret's rules. The log says which secrets a job uses, never what they are. */
#ifndef DAVIT_SERVER_APP_SECRETS_H
#define DAVIT_SERVER_APP_SECRETS_H

#include <stdint.h>

#include "proto/err.h"
#include "proto/plan.h"
#include "proto/str.h"
#include "server/store/records.h"

struct app_secrets;
struct disk;
struct loop;
struct store;

/* What is lent for the life of the secrets. */
struct app_secrets_job {
	const char *id; /* "17.2" */
	const struct job_spec *spec;
	const struct repo *repo;
	const struct build *build;
};

/* NULL: they are known, and everything is hidden from here on. ERR_REFUSED: the job must not run, as it asks for what
 * is not there or not for it. Anything else is the store's, and begins anew. */
typedef void app_secrets_fn(void *arg, const struct err *err);

/* Asks nobody when the job has none; then, too, fn is called from the loop. */
struct app_secrets *app_secrets_start(struct loop *loop, struct disk *disk, struct store *store,
    const struct app_secrets_job *job, app_secrets_fn *fn, void *arg);
/* fn is not called any more. What is known is hidden still, and what is the repository's own. */
void app_secrets_cancel(struct app_secrets *secrets);
/* Wipes them; fn is not called any more. Accepts NULL inside. */
void app_secrets_free(struct app_secrets **secrets);

/* Appends the variables to env. */
void app_secrets_add(const struct app_secrets *secrets, struct env *env);
/* When one of them got its value last, milliseconds since 1970; 0: there are none. */
int64_t app_secrets_changed_ms(const struct app_secrets *secrets);
/* "secrets: NPM_TOKEN of org acme"; NULL when there are none. */
const char *app_secrets_words(const struct app_secrets *secrets);

enum app_secrets_stream { APP_SECRETS_STDOUT, APP_SECRETS_STDERR, APP_SECRETS_STREAMS };

/* What comes out is good until the next call. */
struct app_secrets_output {
	struct str text;
	uint64_t raw; /* how many bytes of the stream it and what came before stands for */
};

/* raw: of the stream up to the end of text. What may still become a secret is held back. */
struct app_secrets_output app_secrets_hide(
    struct app_secrets *secrets, enum app_secrets_stream stream, struct str text, uint64_t raw);
/* What is held back, at a place where something else stands between it and what follows. */
struct app_secrets_output app_secrets_flush(struct app_secrets *secrets, enum app_secrets_stream stream);
/* In place; before they are known, nothing is. */
void app_secrets_hide_text(const struct app_secrets *secrets, char *text);

#endif
