/* What may be handed to git: object ids, full ref names, URLs. git itself takes much more: refs/heads/--upload-pack=...
 * is a valid ref, ext::... a valid URL. */
#ifndef DAVIT_PROTO_GIT_NAME_H
#define DAVIT_PROTO_GIT_NAME_H

#include <stdbool.h>

#include "proto/err.h"

/* 40 or 64 lower-case hex digits. */
bool git_commit_is_valid(const char *commit);
/* A full name that begins with refs/ and passes git check-ref-format, at most 1,000 bytes. Its components may begin
 * with
 * '-', and it may contain quotes, dollar signs and the like: it is for arguments and files, never for a shell. */
bool git_ref_is_valid(const char *ref);
/* "main" of refs/heads/main when prefix is "refs/heads/"; NULL when ref has another prefix. */
const char *git_ref_short(const char *ref, const char *prefix);

/* Takes http://, https://, ssh:// and git:// with a host, [user@]host:path (ssh), and with allow_local file:///... and
 * /...; at most 2,000 bytes. Refuses blanks and control bytes, a password (it belongs into the repository's token), and
 * a host, user or ssh path that begins with '-'. */
bool git_url_check(const char *url, bool allow_local, struct err *err);
/* Whether a fork's URL, which whoever sends a change chooses, leads to the server that has the repository: the same
 * host, and for two http(s) URLs the same port, or https's own. Elsewhere the fetch would be a way into our network.
 * Both have passed git_url_check. */
bool git_url_is_near(const char *fork, const char *repository);
/* The URL without a user or password when it is an http or https one, else a copy; free() it. */
char *git_url_clean(const char *url);
/* "https://host:port" of an http or https URL, for git's credential settings; NULL for others. free() it. */
char *git_url_origin(const char *url);

#endif
