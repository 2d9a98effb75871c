/* The kinds of forges, and where a repository lives in its forge's API, derived from the URL that git clones from.
 *
 * GitHub:        https://api.github.com/repos/OWNER/NAME, on an own server https://HOST/api/v3/repos/OWNER/NAME
 * GitLab:        https://HOST/api/v4/projects/GROUP%2FSUBGROUP%2FNAME
 * Gitea/Forgejo: https://HOST/api/v1/repos/OWNER/NAME */
#ifndef DAVIT_PROTO_FORGE_H
#define DAVIT_PROTO_FORGE_H

#include <stdbool.h>

#include "proto/err.h"

/* FORGE_GENERIC has no API: nothing is reported to it. Forgejo speaks Gitea's API. */
enum forge_kind { FORGE_GENERIC, FORGE_GITHUB, FORGE_GITLAB, FORGE_GITEA };

const char *forge_name(enum forge_kind kind); /* "generic", "github", "gitlab", "gitea" */
/* The names of forge_name, and "forgejo". */
bool forge_from_name(const char *name, enum forge_kind *ret);

struct forge_repo {
	char *api;  /* base of the API without a slash at its end: https://api.github.com */
	char *path; /* OWNER/NAME, with GitLab also GROUP/SUBGROUP/NAME; letters, digits, ".", "_", "-" and "/" only */
};

/* clone_url: https://, http://, ssh://, git:// or USER@HOST:PATH; a user and password in it are left out.
 * api_url: the forge's address or its API's (https://git.example.com, https://git.example.com/api/v4) when it cannot be
 * guessed from clone_url; NULL or "" to guess. *ret is filled on success only; end it with forge_repo_fini. */
bool forge_locate(
    enum forge_kind kind, const char *clone_url, const char *api_url, struct forge_repo *ret, struct err *err);
/* The same for a repository whose name the owner wrote down as the forge has it (OWNER/NAME): with an api_url its
 * clone_url may be anything, a mirror or a path. A name without a slash says nothing. */
bool forge_locate_named(enum forge_kind kind, const char *name, const char *clone_url, const char *api_url,
    struct forge_repo *ret, struct err *err);
void forge_repo_fini(struct forge_repo *repo);

#endif
