/* What git's standard error means, in an error's code and in words for the people who set the repository up. */
#ifndef DAVIT_PROTO_GIT_ERROR_H
#define DAVIT_PROTO_GIT_ERROR_H

#include "proto/err.h"
#include "proto/str.h"

/* text: what git said (LC_ALL=C), any bytes. commit: what was asked for, to name it; may be NULL.
 * ERR_NOT_FOUND, ERR_AUTH, ERR_UNAVAILABLE (worth another try), ERR_CONFLICT (a stale lock) or, when nothing is known
 * to fit, ERR_REFUSED with git's own last line, made printable. detail is exit_code. */
struct err git_error(struct str text, int exit_code, const char *commit);
/* Whether the server has or gives no such commit by its id: a ref may still bring it. */
bool git_error_is_missing_commit(struct str text);
/* Whether git complains of its own files, as a power cut leaves them. */
bool git_error_is_damage(struct str text);

#endif
