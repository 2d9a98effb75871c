/* Secrets without their values: how they are named, and which builds may have them. Pure; server/store/ keeps them.
 *
 * A secret belongs to a repository, to an organisation (the first part of a repository's name at its forge) or to an
 * environment of a repository (for the jobs that deploy there). Of several with the same name the job gets that of its
 * environment, else that of its repository, else that of the organisation: what stands nearer takes the place of the
 * other, with its own rules.
 */
#ifndef DAVIT_PROTO_SECRET_H
#define DAVIT_PROTO_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/err.h"
#include "proto/str.h"

enum {
	SECRET_NAME_MAX = 100,
	SECRET_WORD_MAX = 100,
	SECRET_OWNER_MAX = 2 * SECRET_WORD_MAX + 1,
	SECRET_ID_MAX = SECRET_NAME_MAX + SECRET_OWNER_MAX + 16, /* "repo:app:NPM_TOKEN", with its NUL */
	SECRET_VALUE_MAX = 48 * 1024,
};

/* In the order in which a job looks. */
enum secret_scope { SECRET_ENVIRONMENT, SECRET_REPO, SECRET_ORG, SECRET_SCOPES };

const char *secret_scope_name(enum secret_scope scope); /* "environment", "repo", "org" */
bool secret_scope_from_name(const char *name, enum secret_scope *ret);

/* Letters, digits and "_.-", the first a letter or "_". */
bool secret_name_is_valid(const char *name);
/* Letters, digits and "._-", the first a letter or digit. */
bool secret_word_is_valid(struct str word);
/* Such a word; of an environment two of them: "app/live". */
bool secret_owner_is_valid(enum secret_scope scope, const char *owner);
/* "repo:app:NPM_TOKEN": what follows davit:secret: in Redis. Both are valid. */
void secret_id(char ret[SECRET_ID_MAX], enum secret_scope scope, const char *owner, const char *name);
/* "acme" of acme/app, in lower case; NULL when the name has no such part. free() it. */
char *secret_org(const char *repo_name);

/* A value: UTF-8 without NUL, neither too long nor so short that it could not be masked. */
bool secret_value_check(struct str value, struct err *err);

/* Rules are lists, separated by commas; an empty one means any.
 *   events    push, tag, pull_request, cron, manual, api, deploy
 *   branches  patterns of branch names; those that begin with refs/ are patterns of full names of refs */
bool secret_events_check(const char *events, struct err *err);
bool secret_branches_check(const char *branches, struct err *err);

/* Code that nobody with write access to the repository has pushed: a fork's, or what stands below refs/pull/ and the
 * like and is not known to be the repository's own. It gets no secret, whatever the rules say. */
bool secret_code_is_foreign(bool is_fork, const char *event, const char *ref);
/* Whether the rules let a build of that event and ref have it. A pull request's code is not on the branch yet that it
 * is for: with a list of branches there must be one of refs that fits. why: in words, which rule does not. */
bool secret_is_allowed(const char *events, const char *branches, const char *event, const char *ref, struct err *why);

#endif
